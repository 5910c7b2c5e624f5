//! `cargo xtask bench`: how fast networks train and run here, beside other frameworks ([`compare`]) or an older
//! build ([`against`]); what training loses around its steps ([`overhead`]); and how its cost grows ([`scaling`]).

mod against;
mod args;
mod compare;
mod nets;
mod ours;
mod overhead;
mod page;
mod scaling;
mod worker;

use anyhow::Result;
pub(crate) use args::BenchArgs;
use nets::{NETS, Net};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

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

impl Mode {
    const ALL: [Self; 3] = [Self::Train, Self::Infer, Self::Latency];

    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Infer => "infer",
            Self::Latency => "latency",
        }
    }
}

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

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism()?.get(),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    match args {
        BenchArgs { worker: true, .. } => ours::serve(),
        BenchArgs {
            scaling_point: Some(point),
            ..
        } => scaling::measure_point(point),
        BenchArgs { overhead: true, .. } => overhead::run(args),
        BenchArgs { scaling: true, .. } => scaling::run(args, threads),
        BenchArgs {
            against: Some(old), ..
        } => against::run(args, old, threads),
        _ => compare::run(args, threads),
    }
}

/// The networks that are wanted, of those called `among`, or of all.
fn wanted(args: &BenchArgs, among: Option<&[&str]>) -> Vec<&'static Net> {
    // The command line knows the names; a network asked for is measured wherever it usually is not.
    let wanted = |net: &&Net| match &args.net {
        Some(name) => name == net.name,
        None => among.is_none_or(|among| among.contains(&net.name)),
    };
    NETS.iter().filter(wanted).collect()
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The middle, the smallest and the largest value.
fn spread(values: &[f64]) -> Option<[f64; 3]> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some([median(values)?, low, high])
}

/// Peak resident memory of this process, where the system says.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
