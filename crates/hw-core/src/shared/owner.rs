//! Who holds a lease, precisely enough to know whether it is still alive.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A process that holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The machine's name.
    pub host: String,
    /// The process's number on it.
    pub process: u32,
    /// When the process started, in the kernel's ticks since boot: numbers of processes are used again.
    pub started: u64,
    /// Which start of which machine this is: names of machines are used again.
    pub boot: String,
    /// The name space of the process's number: two containers of a machine count for themselves.
    pub namespace: String,
    /// Which of the process's leases this is.
    pub lease: u64,
    /// The folder of the lease, as this process sees it: in a copy of the folder it means nothing.
    pub home: PathBuf,
}

impl Owner {
    /// This process, for one more lease, in `home`.
    pub fn current(home: &Path) -> Self {
        static LEASES: AtomicU64 = AtomicU64::new(0);
        let read = |path: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.trim().to_string()
        };
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let process = std::process::id();
        Self {
            host: read("/proc/sys/kernel/hostname"),
            process,
            started: state(process).map_or(0, |(_, started)| started),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.to_string_lossy().into_owned(),
            lease: LEASES.fetch_add(1, Ordering::Relaxed),
            home: whole(home),
        }
    }

    /// Whether it runs, or ran, where it would be seen by this process.
    pub fn is_here(&self) -> bool {
        let asking = Self::current(&self.home);
        !self.boot.is_empty()
            && !self.namespace.is_empty()
            && (&self.boot, &self.namespace) == (&asking.boot, &asking.namespace)
    }

    /// Whether this process is known not to work in `home`: it ran since the same start of the same machine as
    /// the one who asks, and is not there any more, or `home` is a copy of the folder where it works. `false`
    /// where that cannot be known.
    pub fn is_gone(&self, home: &Path) -> bool {
        let over = || {
            Path::new("/proc/self/stat").exists()
                && match state(self.process) {
                    None => true,
                    Some((state, started)) => started != self.started || matches!(state, 'Z' | 'X'),
                }
        };
        self.is_here() && (whole(home) != self.home || over())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process, self.host)
    }
}

/// The path without links, where it can be found out.
fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

/// State and start of a process of this machine; `None` if there is none.
fn state(process: u32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_it_is_over_and_not_when_it_may_be_elsewhere() {
        let home = Path::new("/proc");
        let own = Owner::current(home);
        assert!(!own.is_gone(home) && own.started > 0);
        assert!(own.is_gone(Path::new("/")), "a copy of the folder");
        assert_ne!(own, Owner::current(home), "each lease is another");
        let reused = Owner {
            started: own.started - 1,
            ..own.clone()
        };
        assert!(reused.is_gone(home));
        let elsewhere = Owner {
            boot: "another".into(),
            ..reused
        };
        assert!(!elsewhere.is_gone(home));
    }

    #[test]
    fn a_killed_child_is_gone_before_anyone_has_waited_for_it() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let owner = Owner {
            process: child.id(),
            started: state(child.id()).unwrap().1,
            ..Owner::current(Path::new("/"))
        };
        assert!(!owner.is_gone(Path::new("/")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(owner.is_gone(Path::new("/")));
    }
}
