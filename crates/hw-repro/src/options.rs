//! What a reproduction is asked for. With the feature `clap` it is the arguments of `hw reproduce` and
//! of `cargo xtask reproduce-all`, declared once.

use super::archive::ArchiveOptions;
use super::sharing::Sharing;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Examples for `--help`; `{}` stands for the command.
#[cfg(feature = "clap")]
pub const EXAMPLES: &str = "\
Examples:
  hw reproduce                                    every paper, in minutes
  hw reproduce --list                             what would run, and for how long
  hw reproduce --only simple-cnn-bn --profile paper
  hw reproduce --only simple-cnn-bn/table-1
  hw reproduce --data glyphs --profile smoke      without any files
  hw reproduce --new my-paper.toml                start a paper file of your own
  hw reproduce my-paper.toml                      rerun it
  hw reproduce --profile cpu --out /share/x --worker     one of many, on any machines that share the folder
  hw reproduce --profile cpu --out /share/x --status     how far they are
  hw reproduce --archive kept                     keep a record of each run, 10 kB each
  hw reproduce --from-archive kept                the same report in seconds, without training or data
  hw reproduce --from-archive kept --budget 10    and reruns archived runs, drawn at random, for ten minutes
  hw reproduce --archive all --merge kept other   one archive from several machines

Finished runs are kept in OUT/runs and skipped; stop with Ctrl-C and start again at will.
In a checkout, `cargo xtask reproduce-all` is the same command.
Exit codes: 0 all runs finished, 1 a run failed or something went wrong, 2 wrong usage, 130 stopped.";

/// What to reproduce, at which scale, on which data, and where results go.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Options {
    /// Paper files of your own, in place of the four that come with the program
    #[cfg_attr(feature = "clap", arg(value_name = "PAPER.toml"))]
    pub papers: Vec<PathBuf>,

    /// Write a paper file to start from, with every part explained, and do nothing else
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "FILE", conflicts_with_all = ["papers", "list", "only"])
    )]
    pub new: Option<PathBuf>,

    /// How large the runs are [default: quick]
    #[cfg_attr(feature = "clap", arg(long, value_enum, value_name = "PROFILE"))]
    pub profile: Option<Profile>,

    /// One paper, or one table or figure of it (PAPER/ITEM)
    #[cfg_attr(feature = "clap", arg(long, value_name = "PAPER[/ITEM]"))]
    pub only: Option<String>,

    /// Which data to run on
    #[cfg_attr(
        feature = "clap",
        arg(long, value_enum, value_name = "WHICH", default_value = "auto")
    )]
    pub data: DataChoice,

    /// Which EMNIST to use where both are there
    #[cfg_attr(
        feature = "clap",
        arg(long, value_enum, value_name = "WHICH", default_value = "auto")
    )]
    pub emnist: Emnist,

    /// Where runs and report go [default: results/PROFILE]
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR"))]
    pub out: Option<PathBuf>,

    /// Show what would run and how long it should take, and do nothing
    #[cfg_attr(feature = "clap", arg(long))]
    pub list: bool,

    /// Runs at a time, 1 to give each run all threads [default: one for each two threads or so]; results do
    /// not depend on it
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))
    )]
    pub workers: Option<u16>,

    /// Memory for all runs together [default: two thirds of what is free]
    #[cfg_attr(feature = "clap", arg(long, value_name = "GIB", value_parser = positive))]
    pub memory: Option<f64>,

    /// Keep the report here too, as Markdown, figures and cells, without links to its runs
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "DIR", conflicts_with = "engine")
    )]
    pub publish: Option<PathBuf>,

    /// Stop after so many minutes and report what there is; the same command goes on later
    #[cfg_attr(feature = "clap", arg(long, value_name = "MINUTES", value_parser = positive))]
    pub stop_after: Option<f64>,

    /// Seeds of every run, all of them [default: up to the profile's, spent where they decide]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))
    )]
    pub seeds: Option<u64>,

    /// Which engine starts workers elsewhere, if one does.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub engine: crate::engine::EngineOptions,

    /// What to simulate, if anything.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub simulate: crate::simulate::SimulateOptions,

    /// Working with others on one folder
    #[cfg_attr(feature = "clap", command(flatten))]
    pub sharing: Sharing,
    /// Records of runs, and reports from them.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub archive: ArchiveOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            papers: Vec::new(),
            new: None,
            profile: None,
            only: None,
            data: DataChoice::Auto,
            emnist: Emnist::Auto,
            out: None,
            list: false,
            workers: None,
            memory: None,
            publish: None,
            stop_after: None,
            seeds: None,
            engine: Default::default(),
            simulate: Default::default(),
            sharing: Sharing::default(),
            archive: ArchiveOptions::default(),
        }
    }
}

impl Options {
    /// How large the runs are.
    pub(crate) fn profile(&self) -> Profile {
        self.profile.unwrap_or(Profile::Quick)
    }
}

/// What every command of a program understands.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// Where data is looked for first.
    pub data_dir: Option<PathBuf>,
    /// Whether the summary is reported as one JSON object on standard output.
    pub json: bool,
    /// How the command was called, for the report's last line.
    pub program: &'static str,
}

#[cfg(feature = "clap")]
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

/// Which EMNIST to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Emnist {
    /// The first folder that holds both training and test files
    Auto,
    /// The published sets
    Full,
    /// The sixth-scale sets made of the published ByClass test images
    Sixth,
}

impl Emnist {
    /// The edition meant, if one is.
    pub fn edition(self) -> Option<hw_data::EmnistEdition> {
        match self {
            Self::Auto => None,
            Self::Full => Some(hw_data::EmnistEdition::Full),
            Self::Sixth => Some(hw_data::EmnistEdition::Sixth),
        }
    }
}

/// How large the runs are. No profile changes a network; each sets the number of training images,
/// when a run has reached its plateau, and how many seeds there are at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Does everything work? Next to no images, one seed; a few minutes
    Smoke,
    /// About 9 minutes: shows that everything runs, and decides what so little can
    Quick,
    /// About 20 hours of two cores: full networks, 20,000 training images, to the plateau, up to three seeds
    /// (ten where they cost minutes)
    Cpu,
    /// All images of the sixth-scale EMNIST, to the plateau, up to three seeds
    Sixth,
    /// Exactly as the papers report, up to three seeds
    Paper,
}

/// Which data to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum DataChoice {
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
            Self::Cpu | Self::Sixth | Self::Paper => 4_000,
        }
    }

    /// Its name in papers' declarations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Cpu => "cpu",
            Self::Sixth => "sixth",
            Self::Paper => "paper",
        }
    }
}
