//! Reruns a paper: its tables, figures and claims are a file of data, its runs are trained and tested,
//! and a report says, cell by cell and claim by claim, what held up.
//!
//! Four papers on handwriting recognition come with the crate; any other is a TOML file
//! ([`Paper::parse`] checks one, [`template`] starts one). [`run`] does the whole: it plans the runs of a
//! [`Profile`], trains what an earlier call has not, spends seeds where they decide, and writes the report
//! as HTML, Markdown, JSON and CSV.
//!
//! ```
//! use hw_repro::Paper;
//!
//! let papers = hw_repro::builtin();
//! let slugs: Vec<&str> = papers.iter().map(Paper::slug).collect();
//! assert_eq!(slugs[..2], ["three-datasets", "emnist-classifier"]);
//! // A paper of your own, checked before anything runs.
//! let mine = Paper::parse(hw_repro::template())?;
//! assert_eq!(mine.slug(), "my-paper");
//! let error = Paper::parse("slug = 1\n").unwrap_err();
//! assert!(error.to_string().contains("slug"));
//! # Ok::<(), hw_repro::ReproError>(())
//! ```
//!
//! What decides whether a run can say anything about a claim, and how the verdicts are made, is in
//! `docs/papers.md` and in [`hw_eval::verdict`].
#![warn(missing_docs)]

mod archive;

// What is asked.
mod error;
mod expression;
mod options;
mod paper;
mod toml_error;

// What is run.
mod crew;
mod data;
pub mod engine;
mod estimate;
mod execute;
mod jobs;
#[cfg(test)]
mod kept;
mod measure;
mod progress;
mod scale;
mod seeds;
mod sharing;
mod simulate;
mod status;
mod stopwatch;

// What it says.
mod cells;
mod claims;
mod computed;
mod evidence;
mod results;

// Options that vary, in place of a paper.
mod sweep;

// How it is told.
mod command;
mod export;
mod figures;
mod forest;
mod front;
mod layers;
mod list;
mod maps;
mod page;
mod profiles;
mod publish;
mod report;
mod tables;
mod tally;

pub use archive::{ArchiveError, ArchiveOptions, USUAL_BUDGET};
pub use command::{Finished, run};
pub use error::ReproError;
#[cfg(feature = "clap")]
pub use options::EXAMPLES;
pub use options::{Common, DataChoice, Emnist, Options, Profile};
pub use paper::{Paper, builtin, template};
pub use sharing::Sharing;
pub use simulate::SimulateOptions;
#[cfg(feature = "clap")]
pub use sweep::SWEEP_EXAMPLES;
pub use sweep::{SweepMachine, SweepOptions, Swept, sweep, sweep_template};
