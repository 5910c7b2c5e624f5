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
    Bench(crate::bench::BenchArgs),
    /// Measure every building block against its reference and write docs/blocks.md
    Blocks(BlocksArgs),
    /// Train the small networks that come with the binary, measure them, and write their files
    TrainServed(TrainServedArgs),
    /// Build the drawing page as a folder that needs no server: WebAssembly reads
    Web(WebArgs),
    /// Check and test the drawing page in headless Chromium, with the server and without
    PageTests(PageTestsArgs),
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

    /// Which EMNIST: the published one, the sixth-scale one, or whichever is there
    #[arg(long, value_enum, default_value_t = Emnist::Auto, value_name = "WHICH")]
    pub(crate) emnist: Emnist,

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

    /// Runs at a time, 1 to give each run all threads [default: one for each two threads or so]; results do
    /// not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,

    /// Memory for all runs together [default: two thirds of what is free]
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub(crate) memory: Option<f64>,

    /// Keep the report here too, as Markdown, figures and cells, without links to its runs
    #[arg(long, value_name = "DIR")]
    pub(crate) publish: Option<PathBuf>,

    /// Stop after so many minutes and report what there is; the same command goes on later
    #[arg(long, value_name = "MINUTES", value_parser = positive)]
    pub(crate) stop_after: Option<f64>,

    /// Give every run so many times the profile's training time; changes the scale of the runs
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) time_factor: Option<f64>,

    /// Seeds of every run [default: the profile's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) seeds: Option<u64>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

/// Which EMNIST to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emnist {
    /// The first folder that holds both training and test files
    Auto,
    /// The published sets
    Full,
    /// The sixth-scale sets made of the published ByClass test images
    Sixth,
}

impl Emnist {
    /// The edition meant, if one is.
    pub(crate) fn edition(self) -> Option<hw_data::EmnistEdition> {
        match self {
            Self::Auto => None,
            Self::Full => Some(hw_data::EmnistEdition::Full),
            Self::Sixth => Some(hw_data::EmnistEdition::Sixth),
        }
    }
}

/// How large the runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Does everything work? Next to no images, one seed; at most 3 minutes
    Smoke,
    /// At most 15 minutes: fewer images and epochs, large networks narrower, three seeds
    Quick,
    /// At most ten hours: as much of the document's scale as fits
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
    /// Images on a t-SNE map.
    pub(crate) fn map_points(self) -> usize {
        match self {
            Self::Smoke => 200,
            Self::Quick => 1_000,
            Self::Cpu | Self::Paper => 4_000,
        }
    }

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
