//! What a sweep is asked for. With the feature `clap` it is the arguments of `hw sweep`, declared once.

use crate::engine::EngineOptions;
use std::path::PathBuf;

/// Examples for `--help`.
#[cfg(feature = "clap")]
pub const SWEEP_EXAMPLES: &str = "\
Examples:
  hw sweep --new rates.toml                       start a sweep file, with every part explained
  hw sweep rates.toml --list                      what would run, and for how long
  hw sweep rates.toml                             run it; the report is results/sweeps/NAME/report/index.html
  hw sweep rates.toml --worker                    one more worker, here or on a machine that shares the folder
  hw sweep rates.toml --engine slurm --nodes 8    eight workers on a Slurm cluster
  hw sweep rates.toml --status                    how far they are
  hw runs list results/sweeps --sort accuracy     look at its runs

Trials are chosen by validation; the winner is trained anew and scored on the test set once. Finished runs
are kept in OUT/runs and skipped; stop with Ctrl-C and start again at will.
Exit codes: 0 done, 1 no trial or no test run succeeded, 2 wrong usage, 130 stopped.";

/// What to sweep, and where results go.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct SweepOptions {
    /// The sweep: what is fixed, what varies, how trials are chosen
    #[cfg_attr(
        feature = "clap",
        arg(value_name = "FILE.toml", required_unless_present = "new")
    )]
    pub file: Option<PathBuf>,

    /// Write a sweep file to start from, with every part explained, and do nothing else
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "FILE", conflicts_with_all = ["file", "list"])
    )]
    pub new: Option<PathBuf>,

    /// Where runs and report go [default: results/sweeps/NAME]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR"))]
    pub out: Option<PathBuf>,

    /// Show what would run and how long it should take, and do nothing
    #[cfg_attr(feature = "clap", arg(long))]
    pub list: bool,

    /// Take what is open in a folder that other workers share, until nothing is left; no report
    #[cfg_attr(feature = "clap", arg(long, conflicts_with_all = ["list", "report_only"]))]
    pub worker: bool,

    /// Report what there is, and train nothing
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "list"))]
    pub report_only: bool,

    /// Keep a small record of each run here, without weights: with them anybody can make the report again
    /// (--from-archive); `hw reproduce --archive DIR --merge A B` merges those of many machines
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR", conflicts_with_all = ["list", "worker", "engine"]))]
    pub archive: Option<PathBuf>,

    /// Make the report from the records in an archive of this sweep, without training
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "DIR", conflicts_with_all = ["archive", "list", "worker", "engine", "status"])
    )]
    pub from_archive: Option<PathBuf>,

    /// Show how far the sweep is, who works on it and how fast; live on a terminal
    #[cfg_attr(feature = "clap", arg(long, conflicts_with_all = ["list", "worker", "report_only", "new"]))]
    pub status: bool,

    /// Workers on a cluster.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub engine: EngineOptions,

    /// How the runs share this machine.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub machine: SweepMachine,
}

/// How the runs of a sweep share a machine.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct SweepMachine {
    /// Runs at a time, 1 to give each run all threads [default: one for each two threads or so]; results do
    /// not depend on it
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))
    )]
    pub workers: Option<u16>,

    /// Memory for all runs together [default: two thirds of what is free]
    #[cfg_attr(feature = "clap", arg(long, value_name = "GIB", value_parser = crate::options::positive))]
    pub memory: Option<f64>,

    /// Stop after so many minutes and report what there is; the same command goes on later
    #[cfg_attr(feature = "clap", arg(long, value_name = "MINUTES", value_parser = crate::options::positive))]
    pub stop_after: Option<f64>,
}
