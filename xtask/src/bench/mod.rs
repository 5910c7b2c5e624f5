//! `cargo xtask bench`: how fast networks train and run here, beside other frameworks.
//!
//! Every competitor, ourselves included, is a process that measures on request ([`worker`]); they take
//! turns, round by round, so that a ratio compares what was measured within seconds on the same
//! machine. Only ratios and shares of the peak are worth quoting: clocks change.

mod args;
mod nets;
mod ours;
mod page;
mod worker;

use anyhow::{Context, Result};
pub(crate) use args::BenchArgs;
use nets::{NETS, Net};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use worker::Worker;

/// What is asked of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Images a second of whole training steps.
    Train,
    /// Images a second of forward passes, batch 256.
    Infer,
    /// Milliseconds of one image.
    Latency,
}

const MODES: [Mode; 3] = [Mode::Train, Mode::Infer, Mode::Latency];

/// One question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) net: String,
    pub(crate) mode: Mode,
    pub(crate) seconds: f64,
}

/// One answer: a rate or a time, or why there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) rate: Option<f64>,
    pub(crate) milliseconds: Option<f64>,
    /// Share of what the processor can do, measured in turns with the work.
    pub(crate) share: Option<f64>,
    pub(crate) peak_mb: Option<f64>,
    pub(crate) error: Option<String>,
}

/// Medians of one competitor on one network in one mode.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) who: String,
    pub(crate) net: &'static str,
    pub(crate) mode: Mode,
    /// Images a second, or milliseconds for [`Mode::Latency`].
    pub(crate) value: Option<f64>,
    /// How many times as fast we are, from rounds of both: median, smallest, largest.
    pub(crate) ratio: Option<[f64; 3]>,
    pub(crate) share: Option<f64>,
    pub(crate) peak_mb: Option<f64>,
    pub(crate) error: Option<String>,
}

/// Everything one bench found.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) machine: hw_train::Machine,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) versions: serde_json::Value,
    pub(crate) cells: Vec<Cell>,
}

/// Name of our own worker.
pub(crate) const OURS: &str = "hw";
/// The peers that `peers.py` knows.
const PEERS: [&str; 4] = ["torch", "torch-compile", "keras", "onnxruntime"];

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism()?.get(),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    if args.worker {
        return ours::serve();
    }
    // The command line knows the names.
    let wanted = |net: &&Net| args.net.as_deref().is_none_or(|name| name == net.name);
    let nets: Vec<&Net> = NETS.iter().filter(wanted).collect();
    let mut outcome = Outcome {
        machine: hw_train::Machine::current(),
        threads,
        rounds: args.rounds,
        seconds: args.seconds,
        versions: serde_json::Value::Null,
        cells: Vec::new(),
    };
    for net in nets {
        bench(net, args, threads, &mut outcome)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        print!("{}", page::text(&outcome));
    }
    if let Some(path) = &args.out {
        hw_core::files::write_whole(path, page::markdown(&outcome).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All modes of one network, competitors in turns.
fn bench(net: &'static Net, args: &BenchArgs, threads: usize, outcome: &mut Outcome) -> Result<()> {
    let mut workers = vec![Worker::ours(threads)?];
    if let Some(python) = &args.peers {
        for peer in PEERS {
            let worker = Worker::peer(python, peer, threads)
                .with_context(|| format!("starting {peer} with {}", python.display()))?;
            if outcome.versions.is_null() {
                outcome.versions = worker.versions.clone();
            }
            workers.push(worker);
        }
    }
    for mode in MODES {
        let mut answers: Vec<Vec<Answer>> = vec![Vec::new(); workers.len()];
        for round in 0..args.rounds {
            for (worker, answers) in workers.iter_mut().zip(&mut answers) {
                if answers
                    .last()
                    .is_some_and(|last: &Answer| last.error.is_some())
                {
                    continue;
                }
                eprintln!(
                    "{} {mode:?} round {}/{}: {}",
                    net.name,
                    round + 1,
                    args.rounds,
                    worker.name
                );
                let request = Request {
                    net: net.name.into(),
                    mode,
                    seconds: args.seconds,
                };
                answers.push(worker.ask(&request)?);
            }
        }
        for (index, worker) in workers.iter().enumerate() {
            let cell = cell(&worker.name, net.name, mode, &answers[index], &answers[0]);
            if cell.value.is_some() || cell.error.is_some() {
                // A long bench that is stopped has told what it found so far.
                eprint!("{}", page::line(&cell));
                outcome.cells.push(cell);
            }
        }
    }
    Ok(())
}

fn value(answer: &Answer) -> Option<f64> {
    answer.rate.or(answer.milliseconds)
}

fn cell(who: &str, net: &'static str, mode: Mode, theirs: &[Answer], ours: &[Answer]) -> Cell {
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
    let spread = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        Some([median(values)?, low, high])
    };
    let all = |get: fn(&Answer) -> Option<f64>| {
        median(&theirs.iter().filter_map(get).collect::<Vec<_>>())
    };
    Cell {
        who: who.into(),
        net,
        mode,
        value: all(value),
        ratio: if who == OURS { None } else { spread(&ratios) },
        share: all(|answer| answer.share),
        peak_mb: theirs
            .iter()
            .filter_map(|answer| answer.peak_mb)
            .reduce(f64::max),
        error: theirs.iter().find_map(|answer| answer.error.clone()),
    }
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_rounds_and_says_how_many_times_as_fast_we_are() {
        let rate = |rate: f64| Answer {
            rate: Some(rate),
            ..Answer::default()
        };
        let time = |milliseconds: f64| Answer {
            milliseconds: Some(milliseconds),
            ..Answer::default()
        };
        let ours = [rate(20.0), rate(30.0), rate(50.0)];
        let theirs = [rate(10.0), rate(10.0), rate(10.0)];
        let cell_of = cell("torch", "lenet5", Mode::Train, &theirs, &ours);
        assert_eq!(
            (cell_of.value, cell_of.ratio),
            (Some(10.0), Some([3.0, 2.0, 5.0]))
        );
        let faster = cell("torch", "lenet5", Mode::Latency, &[time(4.0)], &[time(2.0)]);
        assert_eq!(faster.ratio, Some([2.0, 2.0, 2.0]));
        assert_eq!(cell(OURS, "lenet5", Mode::Train, &ours, &ours).ratio, None);
    }
}
