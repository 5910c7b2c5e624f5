//! A process that measures on request.

use super::{Answer, OURS, Request};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The other frameworks' side, written beside the machine's temporary files when it is needed.
const SCRIPT: &str = include_str!("../../bench/peers.py");

/// A running worker; it ends with this value.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) versions: serde_json::Value,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Ourselves, in a process of our own, so that memory is counted alike.
    pub(crate) fn ours(threads: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--worker", "--threads", &threads.to_string()]);
        Self::start(OURS, command)
    }

    /// Another framework.
    pub(crate) fn peer(python: &Path, peer: &str, threads: usize) -> Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT, peer]);
        command.env("BENCH_THREADS", threads.to_string());
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
            versions: serde_json::Value::Null,
            child,
            questions,
            answers: BufReader::new(answers),
        };
        let hello: serde_json::Value = serde_json::from_str(&worker.line()?)?;
        worker.versions = hello["versions"].clone();
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
