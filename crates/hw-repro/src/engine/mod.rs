//! Engines: programs that start workers on other machines. An engine starts equal workers and keeps them
//! going; the workers themselves agree, over the folder they share, on who runs what.

mod command_line;
mod slurm;

pub use command_line::CommandLine;

use crate::error::ReproError;
use std::num::NonZeroU32;

/// Which engine starts how many workers.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct EngineOptions {
    /// Start workers by this engine on a cluster, say how to watch and stop them, and end
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            value_enum,
            value_name = "ENGINE",
            requires = "nodes",
            conflicts_with_all = ["list", "new", "worker", "report_only", "status"],
            help_heading = "Cluster"
        )
    )]
    pub engine: Option<Engine>,

    /// How many workers the engine starts
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", requires = "engine", help_heading = "Cluster")
    )]
    pub nodes: Option<NonZeroU32>,

    /// More options for sbatch, as in "--partition=long --time=12:00:00 --cpus-per-task=8"
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            value_name = "OPTIONS",
            requires = "engine",
            allow_hyphen_values = true,
            help_heading = "Cluster"
        )
    )]
    pub sbatch: Option<String>,
}

/// A program that starts workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Engine {
    /// Slurm: one job array, each element one worker, queued again before its time limit
    Slurm,
}

/// Starts the workers that `options` ask for and says on standard output how to watch them, stop them and go on:
/// as one JSON object where `json` is set.
///
/// # Errors
/// [`ReproError::Engine`] when the engine is not there or refuses, [`ReproError::File`] when the shared folder
/// cannot be written, [`ReproError::Usage`] when `options` are impossible.
pub fn start(options: &EngineOptions, again: &CommandLine, json: bool) -> Result<(), ReproError> {
    let nodes = options.nodes.map_or(1, NonZeroU32::get);
    let more = options.sbatch.as_deref().unwrap_or_default();
    let more = shlex::split(more)
        .ok_or_else(|| ReproError::Usage(format!("--sbatch: a quote is not closed in: {more}")))?;
    let submitted = slurm::submit(again, nodes, &more, slurm::SBATCH)?;
    if json {
        println!("{}", submitted.json(again));
    } else {
        print!("{}", submitted.advice(again));
    }
    Ok(())
}
