//! Networks beside other frameworks.
//!
//! Every competitor, ourselves included, is a process that measures on request ([`super::worker`]); they
//! take turns, round by round, so that a ratio compares what was measured within seconds on the same
//! machine. Only ratios and shares of the peak are worth quoting: clocks change.

use super::worker::{self, Worker};
use super::{Answer, BenchArgs, Mode, Net, Request, median, page, spread};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Name of our own worker.
pub(crate) const OURS: &str = "hw";
/// The peers that `peers.py` knows.
const PEERS: [&str; 4] = ["torch", "torch-compile", "keras", "onnxruntime"];
/// Those that `rust-peers` has.
const RUST_PEERS: [&str; 2] = ["candle", "burn"];

/// Medians of one competitor on one network in one mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) who: String,
    pub(crate) net: String,
    pub(crate) mode: Mode,
    /// Images a second, or milliseconds for [`Mode::Latency`].
    pub(crate) value: Option<f64>,
    /// How many times as fast we are, from rounds of both: median, smallest, largest.
    pub(crate) ratio: Option<[f64; 3]>,
    /// How many rounds it was measured in.
    pub(crate) rounds: usize,
    pub(crate) share: Option<f64>,
    pub(crate) peak_mb: Option<f64>,
    pub(crate) error: Option<String>,
}

/// What was found for one network in one mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) machine: hw_train::Machine,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// The peers' packages.
    pub(crate) versions: serde_json::Map<String, serde_json::Value>,
    pub(crate) cells: Vec<Cell>,
}

pub(crate) fn run(args: &BenchArgs, threads: usize) -> Result<ExitCode> {
    let rust_peers = match args.rust_peers {
        true => Some(worker::build_rust_peers(&RUST_PEERS)?),
        false => None,
    };
    let bench = Bench {
        args,
        threads,
        rust_peers,
    };
    let mut findings = Vec::new();
    for net in super::wanted(args, None) {
        findings.extend(bench.network(net)?);
    }
    if args.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print!("{}", page::text(&findings));
    }
    if let Some(path) = &args.out {
        hw_core::files::write_whole(path, page::markdown(&findings).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Bench<'a> {
    args: &'a BenchArgs,
    threads: usize,
    /// The folder of the Rust peers' programs.
    rust_peers: Option<PathBuf>,
}

impl Bench<'_> {
    /// All wanted modes of one network: read where they are recorded, else measured and recorded.
    fn network(&self, net: &'static Net) -> Result<Vec<Finding>> {
        let started = Instant::now();
        let (mut workers, mut findings) = (Vec::new(), Vec::new());
        for mode in Mode::ALL {
            if self.args.only.is_some_and(|only| !only.has(mode)) {
                continue;
            }
            let file = format!("{}-{}.json", net.name, mode.name());
            let file = self.args.record.as_ref().map(|folder| folder.join(file));
            if let Some(finding) = file.as_deref().map(recorded).transpose()?.flatten() {
                findings.push(finding);
                continue;
            }
            if workers.is_empty() {
                workers = self.workers()?;
            }
            let finding = self.finding(net, mode, &mut workers, started)?;
            if let Some(file) = file {
                let text = serde_json::to_string_pretty(&finding)? + "\n";
                hw_core::files::write_whole(&file, text.as_bytes())?;
            }
            findings.push(finding);
        }
        Ok(findings)
    }

    /// Ourselves and whomever is to be measured beside us.
    fn workers(&self) -> Result<Vec<Worker>> {
        let mut workers = vec![Worker::ours(self.threads)?];
        if let Some(python) = &self.args.peers {
            for peer in PEERS {
                let worker = Worker::peer(python, peer, self.threads);
                workers.push(worker.with_context(|| format!("--peers {}", python.display()))?);
            }
        }
        if let Some(folder) = &self.rust_peers {
            for peer in RUST_PEERS {
                workers.push(Worker::rust_peer(folder, peer, self.threads)?);
            }
        }
        Ok(workers)
    }

    /// One mode of one network, competitors in turns.
    fn finding(
        &self,
        net: &'static Net,
        mode: Mode,
        workers: &mut [Worker],
        started: Instant,
    ) -> Result<Finding> {
        let args = self.args;
        let request = Request {
            net: net.name.into(),
            mode,
            seconds: args.seconds,
        };
        let mut answers: Vec<Vec<Answer>> = vec![Vec::new(); workers.len()];
        for round in 0..args.rounds {
            let late = |minutes| started.elapsed() > Duration::from_secs_f64(60.0 * minutes);
            if round > 0 && args.minutes.is_some_and(late) {
                break;
            }
            for (worker, answers) in workers.iter_mut().zip(&mut answers) {
                if answers
                    .last()
                    .is_some_and(|last| !worth_asking(last, net, args.seconds))
                {
                    continue;
                }
                let (name, rounds) = (&worker.name, args.rounds);
                eprintln!("{} {mode:?} round {}/{rounds}: {name}", net.name, round + 1);
                answers.push(worker.ask(&request)?);
            }
        }
        let mut finding = Finding {
            machine: hw_train::Machine::current(),
            threads: self.threads,
            rounds: args.rounds,
            seconds: args.seconds,
            versions: serde_json::Map::new(),
            cells: Vec::new(),
        };
        for (worker, theirs) in workers.iter().zip(&answers) {
            finding.versions.extend(worker.versions.clone());
            let cell = cell(&worker.name, net.name, mode, theirs, &answers[0]);
            if cell.value.is_some() || cell.error.is_some() {
                // A long bench that is stopped has told what it found so far.
                eprint!("{}", page::line(&cell));
                finding.cells.push(cell);
            }
        }
        Ok(finding)
    }
}

/// What is in this file; nothing if there is none.
fn recorded(file: &Path) -> Result<Option<Finding>> {
    if !file.exists() {
        return Ok(None);
    }
    let text = hw_core::files::read_text(file)?;
    let finding = serde_json::from_str(&text);
    let problem = || format!("{} is no finding; delete it", file.display());
    finding.with_context(problem).map(Some)
}

/// Whether to ask a competitor again after this answer: not if it failed, has nothing to say, or takes
/// longer for a single call than was asked of the whole measurement.
fn worth_asking(last: &Answer, net: &Net, seconds: f64) -> bool {
    match (last.rate, last.milliseconds) {
        (Some(rate), _) => net.batch as f64 / rate <= seconds,
        (None, Some(milliseconds)) => milliseconds / 1e3 <= seconds,
        (None, None) => false,
    }
}

fn value(answer: &Answer) -> Option<f64> {
    answer.rate.or(answer.milliseconds)
}

fn cell(who: &str, net: &str, mode: Mode, theirs: &[Answer], ours: &[Answer]) -> Cell {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .filter_map(|(ours, theirs)| {
            let (ours, theirs) = (value(ours)?, value(theirs)?);
            Some(match mode {
                Mode::Latency => theirs / ours,
                _ => ours / theirs,
            })
        })
        .collect();
    let all = |get: fn(&Answer) -> Option<f64>| {
        median(&theirs.iter().filter_map(get).collect::<Vec<_>>())
    };
    Cell {
        who: who.into(),
        net: net.into(),
        mode,
        value: all(value),
        ratio: if who == OURS { None } else { spread(&ratios) },
        rounds: theirs.iter().filter_map(value).count(),
        share: all(|answer| answer.share),
        peak_mb: theirs
            .iter()
            .filter_map(|answer| answer.peak_mb)
            .reduce(f64::max),
        error: theirs.iter().find_map(|answer| answer.error.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::nets::NETS;
    use super::*;

    fn rate(rate: f64) -> Answer {
        Answer {
            rate: Some(rate),
            ..Answer::default()
        }
    }

    fn time(milliseconds: f64) -> Answer {
        Answer {
            milliseconds: Some(milliseconds),
            ..Answer::default()
        }
    }

    #[test]
    fn a_ratio_compares_rounds_and_says_how_many_times_as_fast_we_are() {
        let ours = [rate(20.0), rate(30.0), rate(50.0)];
        let theirs = [rate(10.0), rate(10.0), rate(10.0)];
        let cell_of = cell("torch", "lenet5", Mode::Train, &theirs, &ours);
        assert_eq!(
            (cell_of.value, cell_of.ratio, cell_of.rounds),
            (Some(10.0), Some([3.0, 2.0, 5.0]), 3)
        );
        let faster = cell("torch", "lenet5", Mode::Latency, &[time(4.0)], &[time(2.0)]);
        assert_eq!(faster.ratio, Some([2.0, 2.0, 2.0]));
        assert_eq!(cell(OURS, "lenet5", Mode::Train, &ours, &ours).ratio, None);
    }

    #[test]
    fn who_fails_or_needs_longer_than_asked_for_a_single_step_is_asked_once() {
        let net = &NETS[0];
        let batch = net.batch as f64;
        assert!(worth_asking(&rate(batch), net, 1.5));
        assert!(!worth_asking(&rate(batch / 2.0), net, 1.5));
        assert!(worth_asking(&time(3.0), net, 1.5));
        assert!(!worth_asking(&time(2_000.0), net, 1.5));
        assert!(!worth_asking(&Answer::default(), net, 1.5));
    }

    #[test]
    fn a_finding_is_read_back_as_it_was_recorded_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lenet5-train.json");
        assert!(recorded(&file).unwrap().is_none());
        let finding = Finding {
            machine: hw_train::Machine::current(),
            threads: 2,
            rounds: 1,
            seconds: 0.5,
            versions: serde_json::Map::new(),
            cells: vec![cell(
                "burn",
                "lenet5",
                Mode::Train,
                &[rate(2.0)],
                &[rate(3.0)],
            )],
        };
        std::fs::write(&file, serde_json::to_string(&finding).unwrap()).unwrap();
        let read = recorded(&file).unwrap().unwrap();
        assert_eq!(read.cells[0].ratio, Some([1.5; 3]));
        std::fs::write(&file, "{").unwrap();
        let problem = format!("{:#}", recorded(&file).unwrap_err());
        assert!(problem.contains("lenet5-train.json"), "{problem}");
    }
}
