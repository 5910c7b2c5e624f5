//! The right to work on something until it is released or lost, see [`crate::shared`].

use super::owner::Owner;
use super::system::{Here, System};
use crate::CancelToken;
use crate::files::FileError;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often an owner counts up its heartbeat.
pub const BEAT: Duration = Duration::from_secs(5);
/// For how long a heartbeat must stand still before another takes over: many times a beat, and longer than
/// network file systems keep old contents.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often the heartbeat of another is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// File of a lease that says who owns it.
const OWNER: &str = "owner.json";
/// File with the owner's heartbeat, a number.
const HEARTBEAT: &str = "heartbeat";
/// File that is there once the owner has given the lease back.
pub(super) const RELEASED: &str = "released";

/// What one process has seen of others' heartbeats, by its own clock.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    seen: Mutex<HashMap<PathBuf, Sighting>>,
}

/// A heartbeat, and when it was first seen to be at that number.
#[derive(Debug)]
struct Sighting {
    heartbeat: Option<Vec<u8>>,
    since: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new(PATIENCE)
    }
}

impl Watch {
    /// A watch that takes an owner for dead when its heartbeat stands still for so long.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: Mutex::default(),
        }
    }

    /// Whether the heartbeat of the lease in `folder` has stood still for too long.
    fn is_still<S: System>(&self, system: &S, folder: &Path) -> io::Result<bool> {
        let heartbeat = system.read(&folder.join(HEARTBEAT))?;
        let now = system.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(folder) {
            Some(sighting) if sighting.heartbeat == heartbeat => {
                Ok(now.saturating_sub(sighting.since) >= self.patience)
            }
            _ => {
                let sighting = Sighting {
                    heartbeat,
                    since: now,
                };
                seen.insert(folder.into(), sighting);
                Ok(false)
            }
        }
    }

    fn forget(&self, folder: &Path) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(folder);
    }
}

/// A lease without the thread that keeps it alive.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) home: PathBuf,
    pub(super) token: u64,
    owner: Vec<u8>,
    heartbeat: u64,
}

/// What came of asking for a lease.
#[derive(Debug)]
pub(super) enum Claimed {
    Mine(Claim),
    /// Its owner, where that is known.
    Busy(Option<Owner>),
}

/// The tokens in the folder of a lease, lowest first.
pub(super) fn tokens<S: System>(system: &S, home: &Path) -> io::Result<Vec<u64>> {
    let names = system.names(home)?;
    let mut tokens: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    tokens.sort_unstable();
    Ok(tokens)
}

/// The owner of a lease that nobody has released, as far as it is known.
pub(super) fn holder<S: System>(system: &S, folder: &Path) -> io::Result<Option<Owner>> {
    let text = system.read(&folder.join(OWNER))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The heartbeat of a lease, as far as it is known.
pub(super) fn heartbeat<S: System>(system: &S, folder: &Path) -> io::Result<Option<u64>> {
    let text = system.read(&folder.join(HEARTBEAT))?;
    Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
}

impl Claim {
    /// Asks for the lease in `home`, a folder for nothing else, whose parent exists.
    pub(super) fn ask<S: System>(system: &S, home: &Path, watch: &Watch) -> io::Result<Claimed> {
        // Not its parents: a shared folder that has gone away is not made anew.
        system.claim(home)?;
        match Self::ask_in(system, home, watch) {
            // Removed meanwhile, by whoever finished what it was for.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Claimed::Busy(None)),
            asked => asked,
        }
    }

    fn ask_in<S: System>(system: &S, home: &Path, watch: &Watch) -> io::Result<Claimed> {
        let last = tokens(system, home)?.last().copied();
        if let Some(token) = last {
            let folder = home.join(token.to_string());
            let owner = holder(system, &folder)?;
            let free = system.exists(&folder.join(RELEASED))?
                || owner
                    .as_ref()
                    .is_some_and(|owner| system.is_gone(owner, home))
                || watch.is_still(system, &folder)?;
            if !free {
                return Ok(Claimed::Busy(owner));
            }
            watch.forget(&folder);
        }
        let token = last.unwrap_or(0) + 1;
        let folder = home.join(token.to_string());
        if !system.claim(&folder)? {
            return Ok(Claimed::Busy(None));
        }
        let owner =
            serde_json::to_vec(&system.owner(home)).expect("an owner is plain text and numbers");
        system.write(&folder.join(OWNER), &owner)?;
        let mut claim = Self {
            home: home.into(),
            token,
            owner,
            heartbeat: 0,
        };
        claim.beat(system)?;
        Ok(Claimed::Mine(claim))
    }

    /// The folder of this token, which nobody else writes into.
    pub(super) fn folder(&self) -> PathBuf {
        self.home.join(self.token.to_string())
    }

    /// Counts up the heartbeat.
    pub(super) fn beat<S: System>(&mut self, system: &S) -> io::Result<()> {
        self.heartbeat += 1;
        let text = self.heartbeat.to_string();
        system.write(&self.folder().join(HEARTBEAT), text.as_bytes())
    }

    /// Whether nobody has taken over.
    pub(super) fn is_held<S: System>(&self, system: &S) -> io::Result<bool> {
        let last = tokens(system, &self.home)?.last().copied();
        // Tokens count from one again once a home is removed, so the owner is compared as well.
        Ok(last == Some(self.token)
            && system.read(&self.folder().join(OWNER))?.as_deref() == Some(&self.owner))
    }

    /// Gives it back: the next one who asks gets it.
    pub(super) fn release<S: System>(&self, system: &S) -> io::Result<()> {
        if self.is_held(system)? {
            system.write(&self.folder().join(RELEASED), b"")?;
        }
        Ok(())
    }
}

/// A lease of this process, kept alive by a thread and released when dropped.
#[derive(Debug)]
pub struct Lease {
    claim: Claim,
    lost: CancelToken,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease in `home`, a folder for nothing else in one that exists; else who holds it, where that is known.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be written.
    pub fn take(home: &Path, watch: &Watch) -> Result<Result<Self, Option<Owner>>, FileError> {
        let claimed =
            Claim::ask(&Here, home, watch).map_err(FileError::at("take a lease in", home))?;
        Ok(match claimed {
            Claimed::Mine(claim) => Ok(Self::keep(claim)),
            Claimed::Busy(owner) => Err(owner),
        })
    }

    /// As [`Self::take`], but an owner on another machine, of which nothing can be known but its heartbeat, is
    /// watched: until that moves, or has stood still for long enough, or `cancel` is cancelled.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_patiently(
        home: &Path,
        watch: &Watch,
        cancel: &CancelToken,
    ) -> Result<Result<Self, Option<Owner>>, FileError> {
        let heartbeat = || -> io::Result<_> {
            let last = tokens(&Here, home)?.last().copied().unwrap_or(0);
            Ok((
                last,
                Here.read(&home.join(last.to_string()).join(HEARTBEAT))?,
            ))
        };
        let heartbeat = || heartbeat().map_err(FileError::at("look at the lease in", home));
        let first = heartbeat()?;
        loop {
            let owner = match Self::take(home, watch)? {
                Ok(lease) => return Ok(Ok(lease)),
                Err(owner) => owner,
            };
            let here = owner.as_ref().is_some_and(Owner::is_here);
            if here || cancel.is_cancelled() || heartbeat()? != first {
                return Ok(Err(owner));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Gives it back and removes its folder.
    pub fn close(self) {
        let claim = self.claim.clone();
        drop(self);
        if let Ok(true) = claim.is_held(&Here) {
            // What stays is a lease that is released.
            let _ = Here.remove(&claim.home);
        }
    }

    /// Keeps a lease alive.
    pub(super) fn keep(claim: Claim) -> Self {
        let lost = CancelToken::new();
        let (stop, stopped) = mpsc::channel();
        let (mut beating, flag) = (claim.clone(), lost.clone());
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // A disk that fails for a while costs a beat; whoever took over meanwhile is seen later.
                let _ = beating.beat(&Here);
                if let Ok(false) = beating.is_held(&Here) {
                    flag.cancel();
                    return;
                }
            }
        });
        Self {
            claim,
            lost,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Its number: higher than that of everyone who held it before.
    pub fn token(&self) -> u64 {
        self.claim.token
    }

    /// Cancelled within a heartbeat after another took over.
    pub fn lost(&self) -> &CancelToken {
        &self.lost
    }

    /// Whether nobody has taken over, looked up now.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be read.
    pub fn is_held(&self) -> Result<bool, FileError> {
        let held = self.claim.is_held(&Here);
        held.map_err(FileError::at("look at the lease in", &self.claim.home))
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only waits and writes: if it panicked, there is nothing left to do.
            let _ = thread.join();
        }
        // What cannot be released is taken over later.
        let _ = self.claim.release(&Here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_one_processs_until_it_is_released_and_tokens_only_grow() {
        let home = tempfile::tempdir().unwrap();
        let watch = Watch::default();
        let take = || Lease::take(home.path(), &watch).unwrap();
        let first = take().unwrap();
        assert_eq!((first.token(), first.is_held().unwrap()), (1, true));
        let busy = take().unwrap_err().unwrap();
        assert_eq!(busy.process, std::process::id());
        drop(first);
        let second = take().unwrap();
        assert_eq!(second.token(), 2);
        assert!(take().is_err());
    }

    #[test]
    fn a_dead_owner_of_this_machine_is_succeeded_at_once_and_a_living_one_never() {
        let home = tempfile::tempdir().unwrap();
        let watch = Watch::new(Duration::from_secs(3600));
        let folder = home.path().join("7");
        std::fs::create_dir(&folder).unwrap();
        let alive = Owner::current(home.path());
        let dead = Owner {
            started: alive.started - 1,
            ..alive.clone()
        };
        let write = |owner: &Owner| {
            std::fs::write(folder.join(OWNER), serde_json::to_vec(owner).unwrap()).unwrap();
        };
        write(&alive);
        assert!(Lease::take(home.path(), &watch).unwrap().is_err());
        write(&dead);
        assert_eq!(
            Lease::take(home.path(), &watch).unwrap().unwrap().token(),
            8
        );
    }

    #[test]
    fn whoever_was_succeeded_knows_it_and_releases_nothing() {
        let home = tempfile::tempdir().unwrap();
        let impatient = Watch::new(Duration::ZERO);
        let late = Lease::take(home.path(), &impatient).unwrap().unwrap();
        assert!(
            Lease::take(home.path(), &impatient).unwrap().is_err(),
            "seen once"
        );
        let next = Lease::take(home.path(), &impatient).unwrap().unwrap();
        assert_eq!(
            (late.is_held().unwrap(), next.is_held().unwrap()),
            (false, true)
        );
        drop(late);
        assert!(next.is_held().unwrap());
        assert!(!home.path().join("1").join(RELEASED).exists());
    }
}
