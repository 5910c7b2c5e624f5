//! Archives: a small record of each run, from which the whole report follows without training, and a proof
//! that reruns some of them here. The format and the rule of the proof: `docs/archive.md`.

mod args;
mod collect;
mod compact;
mod error;
mod known;
mod letters;
mod manifest;
mod merge;
mod proof;
mod record;
mod replay;
mod report;
mod store;
pub(crate) mod weights;

#[cfg(test)]
mod tests;

pub use args::{ArchiveOptions, USUAL_BUDGET};
pub(crate) use collect::{Collector, keep_in};
pub use error::ArchiveError;
pub(crate) use letters::Confidences;
pub(crate) use manifest::{Manifest, Reproduction};
pub(crate) use merge::merge;
pub(crate) use record::{CameOfIt, MapPlaces, Record, Tested};
pub(crate) use report::from_archive;
pub(crate) use store::{Archive, Written};
