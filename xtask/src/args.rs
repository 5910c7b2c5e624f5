//! The command tree of `cargo xtask`.

use clap::{Parser, Subcommand};
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
    /// Make the whole report from the archived runs in seconds, then rerun some of them, drawn at random, for ten
    /// minutes as a proof; with options, rerun the papers
    ReproduceAll(Box<ReproduceArgs>),
    /// Measure how fast networks train and run here, alone or beside other frameworks
    Bench(crate::bench::BenchArgs),
    /// Measure every building block against its reference and write docs/blocks.md
    Blocks(BlocksArgs),
    /// Train the small networks that come with the binary, measure them, and write their files
    TrainServed(TrainServedArgs),
    /// Build the drawing page as a folder that needs no server: WebAssembly reads
    Web(WebArgs),
    /// Check and test the drawing page in headless Chromium, with the server and without
    PageTests(PageTestsArgs),
    /// Run the papers' smoke profile on a Slurm cluster of this machine alone, break it half-way, and compare
    ClusterTest(ClusterTestArgs),
}

/// Arguments of `blocks`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BlocksArgs {
    /// Write nothing; fail when docs/blocks.md is out of date
    #[arg(long)]
    pub(crate) check: bool,
}

/// Arguments of `web`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WebArgs {
    /// The folder [default: results/web]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `page-tests`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Needs Node.js with npm, Debian's chromium (or CHROMIUM=path), and the target wasm32-unknown-unknown.")]
pub(crate) struct PageTestsArgs {
    /// Keep pictures of the page here
    #[arg(long, value_name = "DIR")]
    pub(crate) screenshots: Option<PathBuf>,

    /// Test this hw; it is built if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) hw: Option<PathBuf>,
}

/// Arguments of `cluster-test`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Needs Debian's slurm-wlm; as root it is installed. A controller and two nodes run on the loopback in a folder
of their own, without munge or systemd, and are gone afterwards.")]
pub(crate) struct ClusterTestArgs {
    /// Test this hw; it is built if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) hw: Option<PathBuf>,

    /// Only this paper, or this table or figure of it [default: all papers]
    #[arg(long, value_name = "PAPER[/ITEM]")]
    pub(crate) only: Option<String>,

    /// Where one process's runs and report are, or go: made once, compared with ever after
    #[arg(long, value_name = "DIR")]
    pub(crate) reference: Option<PathBuf>,
}

/// Arguments of `train-served`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask train-served                       all four, a quarter of an hour on two cores
  cargo xtask train-served --only digits
  cargo xtask train-served --scale 0.01 --out trial    does everything work?

They learn from generated glyphs and, where it is found, from the sixth-scale EMNIST's ByClass training
images; real test sets only measure. The same command on the same data gives the same bytes on one kind of
processor. Stop with Ctrl-C and start again at will.")]
pub(crate) struct TrainServedArgs {
    /// Only this one: digits, letters, all or hiragana
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,

    /// Share of the full number of training images
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) scale: f64,

    /// Where the models go [default: where the binary embeds them from]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Where the runs go
    #[arg(long, value_name = "DIR", default_value = "results/served")]
    pub(crate) runs: PathBuf,

    /// Processor threads [default: all]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Where real data is; else HW_DATA_DIR, else the user's cache folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Arguments of `reproduce-all`: those of `hw reproduce`, and what every command of `hw` understands.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = hw_repro::EXAMPLES)]
pub(crate) struct ReproduceArgs {
    #[command(flatten)]
    pub(crate) options: hw_repro::Options,

    /// Where real data is; else HW_DATA_DIR, else the user's cache folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Processor threads [default: all]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Print one JSON object on standard output at the end
    #[arg(long)]
    pub(crate) json: bool,
}
