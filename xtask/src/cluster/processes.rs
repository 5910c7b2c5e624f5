//! The processes of one cluster, known by their environment: all of them have its configuration's path there.

use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

/// A process and how it was started.
pub(super) struct Process {
    pub(super) id: u32,
    environment: Vec<u8>,
    pub(super) command: Vec<u8>,
}

impl Process {
    /// Whether its environment has `name=value`.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        self.environment
            .split(|&byte| byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    }

    /// Whether `word` is one of the words of its command line.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.command
            .split(|&byte| byte == 0)
            .any(|own| own == word.as_bytes())
    }
}

/// All processes with `SLURM_CONF=conf` in their environment.
pub(super) fn of_cluster(conf: &Path) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse::<u32>().ok()?;
        // One that has just ended has neither.
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(Process {
            id,
            environment,
            command,
        })
    });
    let conf = conf.display().to_string();
    processes
        .filter(|process| process.has("SLURM_CONF", &conf))
        .collect()
}

/// Kills a process, as a machine that goes down would.
pub(super) fn kill(id: u32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-KILL", &id.to_string()])
        .status()?;
    ensure!(status.success(), "cannot kill process {id}");
    Ok(())
}
