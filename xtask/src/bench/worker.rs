//! A process that measures on request.

use super::compare::OURS;
use super::{Answer, Request};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The other frameworks' side, written beside the machine's temporary files when it is needed.
const SCRIPT: &str = include_str!("../../bench/peers.py");

/// The folder of the Rust frameworks' programs, a workspace of its own.
const RUST_PEERS: &str = "xtask/bench/rust-peers";

/// Builds the Rust frameworks' programs and names the folder they are in.
pub(crate) fn build_rust_peers(peers: &[&str]) -> Result<PathBuf> {
    let target = crate::web::target_folder().join("rust-peers");
    for peer in peers {
        eprintln!("building {peer}");
        let mut cargo = Command::new(env!("CARGO"));
        // One at a time, so that what one asks of a shared dependency does not become the other's.
        cargo
            .current_dir(crate::web::root().join(RUST_PEERS))
            .args(["build", "--quiet", "--locked", "--release"])
            .args(["--features", peer, "--bin", &format!("{peer}-peer")])
            .arg("--target-dir")
            .arg(&target);
        let status = cargo.status().context("cannot start cargo")?;
        ensure!(status.success(), "{peer} cannot be built: cargo {status}");
    }
    Ok(target.join("release"))
}

/// A running worker; it ends with this value.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) versions: serde_json::Map<String, serde_json::Value>,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Ourselves, in a process of our own, so that memory is counted alike.
    pub(crate) fn ours(threads: usize) -> Result<Self> {
        Self::xtask(OURS, &std::env::current_exe()?, threads)
    }

    /// A build of this program, perhaps an older one: its questions and answers must stay what they are, or
    /// builds could no longer be compared.
    pub(crate) fn xtask(name: &str, program: &Path, threads: usize) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["bench", "--worker", "--threads", &threads.to_string()]);
        Self::start(name, command)
    }

    /// Another framework.
    pub(crate) fn peer(python: &Path, peer: &str, threads: usize) -> Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT, peer]);
        command.env("BENCH_THREADS", threads.to_string());
        command.stderr(Stdio::null());
        Self::start(peer, command)
    }

    /// Another framework in Rust, from the folder its program was built in.
    pub(crate) fn rust_peer(folder: &Path, peer: &str, threads: usize) -> Result<Self> {
        let program = folder.join(format!("{peer}-peer"));
        let mut command = Command::new(program.with_extension(std::env::consts::EXE_EXTENSION));
        command.env("RAYON_NUM_THREADS", threads.to_string());
        command.stderr(Stdio::null());
        Self::start(peer, command)
    }

    fn start(name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no pipes");
        };
        let mut worker = Self {
            name: name.into(),
            versions: serde_json::Map::new(),
            child,
            questions,
            answers: BufReader::new(answers),
        };
        let hello: serde_json::Value = serde_json::from_str(&worker.line()?)?;
        if let Some(versions) = hello["versions"].as_object() {
            worker.versions = versions.clone();
        }
        Ok(worker)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended without an answer", self.name);
        }
        Ok(line)
    }

    /// One question, answered.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer> {
        writeln!(self.questions, "{}", serde_json::to_string(request)?)?;
        self.questions.flush()?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("{} answered {line}", self.name))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
