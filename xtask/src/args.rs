//! The command tree of `cargo xtask`.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Chores of the handwriting workbench.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rerun every table and figure of the papers and report, cell by cell, what held up
    ReproduceAll(ReproduceArgs),
    /// Measure how fast networks train and run here, alone or beside other frameworks
    Bench(BenchArgs),
}

/// Arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                    our rates, latency, memory, share of the peak
  cargo xtask bench --net bn-cnn --json
  cargo xtask bench --peers peers/bin/python           beside PyTorch, Keras and ONNX Runtime
The peers' Python needs: torch torchvision tensorflow-cpu keras onnx onnxscript onnxruntime")]
pub(crate) struct BenchArgs {
    /// A Python that has the other frameworks; they are then measured in turns with ours
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,

    /// Only this network
    #[arg(long, value_name = "NAME")]
    pub(crate) net: Option<String>,

    /// Rounds in which all take their turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = rounds)]
    pub(crate) rounds: usize,

    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Processor threads [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Answer the bench's questions on standard input; it starts itself so
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("a whole number from 1 to 1000".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("seconds, above 0 and at most 3600".into()),
    }
}

/// Arguments of `reproduce-all`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask reproduce-all                                  everything, in minutes
  cargo xtask reproduce-all --list                           what would run, and for how long
  cargo xtask reproduce-all --only simple-cnn-bn --profile paper
  cargo xtask reproduce-all --only simple-cnn-bn/table-1
  cargo xtask reproduce-all --data glyphs --profile smoke    without any files

Finished runs are kept in OUT/runs and skipped; stop with Ctrl-C and start again at will.
Exit codes: 0 all runs finished, 1 a run failed or something went wrong, 2 wrong usage, 130 stopped.")]
pub(crate) struct ReproduceArgs {
    /// How large the runs are; every reported number carries its scale
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    pub(crate) profile: Profile,

    /// Only this paper, or one table or figure of it
    #[arg(long, value_name = "PAPER[/TABLE]")]
    pub(crate) only: Option<String>,

    /// Real data, generated glyphs, or real where it can be found
    #[arg(long, value_enum, default_value_t = DataChoice::Auto)]
    pub(crate) data: DataChoice,

    /// Where real data is; else HW_DATA_DIR, else the user's cache folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where runs and report go [default: results/PROFILE]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Show what would run and how long it should take, and do nothing
    #[arg(long)]
    pub(crate) list: bool,

    /// Print one JSON object on standard output at the end
    #[arg(long)]
    pub(crate) json: bool,

    /// Processor threads [default: all]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// How large the runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Does everything work? A few thousand images, two epochs; at most 3 minutes
    Smoke,
    /// Minutes: a fifth of the images, four epochs, three seeds
    Quick,
    /// Hours: all images and epochs, five seeds
    Cpu,
    /// Exactly as printed, three seeds
    Paper,
}

/// Which data to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataChoice {
    /// Real data if all of it can be found, else glyphs
    Auto,
    /// Real data only
    Real,
    /// Generated glyphs only
    Glyphs,
}

impl Profile {
    /// Its name in papers' declarations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Cpu => "cpu",
            Self::Paper => "paper",
        }
    }
}
