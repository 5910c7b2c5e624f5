//! `cargo xtask cluster-test`: all papers' smoke runs on a cluster of this machine alone, with a node and a worker
//! killed half-way, must give what one process gives.

mod compare;
mod processes;
mod slurm;

use crate::args::ClusterTestArgs;
use anyhow::{Context, Result, bail, ensure};
use hw_core::CancelToken;
use serde_json::Value;
use slurm::Cluster;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Differences that are shown.
const SHOWN: usize = 20;
/// The runs must go on at least so often.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs the test.
///
/// # Errors
/// Whatever keeps it from being made, and what it found wrong.
pub(crate) fn run(args: &ClusterTestArgs) -> Result<ExitCode> {
    let cancel = CancelToken::new();
    crate::stop_on_ctrl_c(&cancel)?;
    slurm::install()?;
    let hw = match &args.hw {
        Some(hw) => std::path::absolute(hw)?,
        None => crate::web::build_hw()?,
    };
    let folder = tempfile::Builder::new()
        .prefix("hw-cluster-")
        .tempdir()
        .context("cannot make a folder for the cluster")?;
    let test = Test {
        hw,
        out: folder.path().join("shared"),
        reference: match &args.reference {
            Some(reference) => std::path::absolute(reference)?,
            None => folder.path().join("alone"),
        },
        only: args.only.clone(),
        cancel,
        started: Instant::now(),
    };
    let result = test.run(folder.path());
    if cancelled(&result) {
        eprintln!("stopped");
        return Ok(ExitCode::from(130));
    }
    if result.is_err() {
        let kept = folder.keep();
        eprintln!("logs and runs are kept in {}", kept.display());
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// Ends the test where the user asked for it.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

fn cancelled(result: &Result<()>) -> bool {
    result.as_ref().is_err_and(|error| error.is::<Stopped>())
}

struct Test {
    hw: PathBuf,
    /// What the cluster's workers share.
    out: PathBuf,
    /// What one process makes.
    reference: PathBuf,
    only: Option<String>,
    cancel: CancelToken,
    started: Instant,
}

impl Test {
    fn run(&self, folder: &Path) -> Result<()> {
        self.make_reference()?;
        let all = finished(&self.reference);
        ensure!(all > 3, "{all} runs are too few to interrupt; choose more");
        let mut cluster = Cluster::start(&folder.join("slurm"), &self.cancel)?;
        self.say(&format!("Slurm is up: {}", cluster.version()?));
        let first = self.submit(&cluster)?;
        self.wait_for(&cluster, all, "half of the runs", || {
            Ok(2 * finished(&self.out) >= all)
        })?;
        self.break_things(&mut cluster)?;
        let second = self.submit(&cluster)?;
        self.wait_for(&cluster, all, "the end of the second job", || {
            cluster.is_over(&second)
        })?;
        cluster.ended_well(&second)?;
        // What Slurm queued again when the node failed has nothing left to do.
        cluster.cancel_job(&first)?;
        let made = finished(&self.out);
        ensure!(made == all, "{made} runs are finished, not {all}");
        self.reproduce(&self.out, &["--report-only"])?;
        self.say("the report is made; every cell is compared with one process's");
        self.compare()?;
        drop(cluster);
        self.say("ok: the cluster's cells are those of one process");
        Ok(())
    }

    /// What one process makes, unless an earlier call made it.
    fn make_reference(&self) -> Result<()> {
        if cells_file(&self.reference).exists() {
            self.say("one process's report is there already");
            return Ok(());
        }
        self.say("one process makes all runs and the report");
        self.reproduce(&self.reference, &[])?;
        self.say(&format!("one process: {} runs", finished(&self.reference)));
        Ok(())
    }

    /// Kills a node's daemon and a worker of the other node, and brings the node back as its owner would.
    fn break_things(&self, cluster: &mut Cluster) -> Result<()> {
        let worker = cluster.worker_on("n2")?;
        let worker = worker.context(
            "no worker is at work on n2: the runs were over too soon; choose more of them",
        )?;
        cluster.kill_daemon("n1")?;
        processes::kill(worker)?;
        let there = finished(&self.out);
        self.say(&format!(
            "{there} runs are finished; killed the daemon of node n1 and the worker of node n2 (process {worker})"
        ));
        cluster.wait_for_node("n1", "is given up", slurm::is_down, &self.cancel)?;
        self.say("Slurm gave node n1 up");
        cluster.start_daemon("n1")?;
        cluster.wait_for_node("n1", "is back", slurm::is_up, &self.cancel)?;
        self.say("node n1 is back");
        Ok(())
    }

    /// Submits two workers and gives the job's number.
    fn submit(&self, cluster: &Cluster) -> Result<String> {
        let engine = ["--engine", "slurm", "--nodes", "2", "--json"];
        let mut command = self.command(&self.out, &engine);
        cluster.at_home(&mut command);
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the job was not submitted");
        let said: Value = serde_json::from_slice(&output.stdout)
            .context("hw reproduce --engine slurm --json printed no JSON")?;
        let job = said["job"].as_str().context("it named no job")?.to_string();
        self.say(&format!("submitted job {job}: two workers"));
        Ok(job)
    }

    fn command(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(&self.hw);
        command
            .args(["reproduce", "--data", "glyphs", "--profile", "smoke"])
            .arg("--out")
            .arg(out)
            .args(self.only.iter().flat_map(|only| ["--only", only.as_str()]))
            .args(more);
        command
    }

    /// Runs `hw reproduce` here; its progress goes to a file beside `out`.
    fn reproduce(&self, out: &Path, more: &[&str]) -> Result<()> {
        let log = out.with_extension("log");
        if let Some(parent) = log.parent() {
            hw_core::files::create_folder(parent)?;
        }
        let file = std::fs::File::create(&log).context("cannot write a log")?;
        let mut child = self
            .command(out, more)
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {}", self.hw.display()))?;
        let mut told = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if self.cancel.is_cancelled() {
                // It has had the same Ctrl-C, and saves.
                child.wait()?;
                bail!(Stopped);
            }
            if told.elapsed() > slurm::BETWEEN_LINES {
                told = Instant::now();
                self.say(&format!("{} runs are finished", finished(out)));
            }
            std::thread::sleep(slurm::LOOK);
        };
        if !status.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            eprintln!("{}", slurm::last_lines(&said));
            bail!("hw reproduce {} ended with {status}", more.join(" "));
        }
        Ok(())
    }

    /// Waits for `done`, and says now and then how far the runs are.
    fn wait_for(
        &self,
        cluster: &Cluster,
        all: usize,
        what: &str,
        done: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let (mut there, mut moved, mut told) = (0, Instant::now(), Instant::now());
        while !done()? {
            if self.cancel.is_cancelled() {
                bail!(Stopped);
            }
            let now = finished(&self.out);
            if now > there {
                (there, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                eprintln!("{}", cluster.last_words(&self.out));
                bail!(
                    "waiting for {what}: no run was finished for {} s",
                    PATIENCE.as_secs()
                );
            }
            if told.elapsed() > slurm::BETWEEN_LINES {
                told = Instant::now();
                self.say(&format!("{now} of {all} runs are finished"));
            }
            std::thread::sleep(slurm::LOOK);
        }
        Ok(())
    }

    fn compare(&self) -> Result<()> {
        let read = |folder: &Path| -> Result<Value> {
            let file = cells_file(folder);
            let text = hw_core::files::read_text(&file)?;
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
        };
        let differences = compare::differences(&read(&self.reference)?, &read(&self.out)?);
        for difference in differences.iter().take(SHOWN) {
            eprintln!("{difference}");
        }
        let count = differences.len();
        ensure!(
            count == 0,
            "cells.json differs in {count} places from one process's"
        );
        Ok(())
    }

    fn say(&self, words: &str) {
        let seconds = self.started.elapsed().as_secs();
        eprintln!("[{:>2}:{:02}] {words}", seconds / 60, seconds % 60);
    }
}

fn cells_file(out: &Path) -> PathBuf {
    out.join("report").join("cells.json")
}

/// How many runs are finished under `out`.
fn finished(out: &Path) -> usize {
    let runs = std::fs::read_dir(out.join("runs")).into_iter().flatten();
    runs.flatten().filter(|run| run.path().is_dir()).count()
}
