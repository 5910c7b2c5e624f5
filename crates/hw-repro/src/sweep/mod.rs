//! Sweeps: a TOML file says which options of a training vary; the best by validation is trained anew and
//! scored on the test set once.

mod agenda;
mod archive;
mod axis;
mod command;
mod decide;
mod list;
mod options;
mod plan;
mod report;
mod results;
mod words;

pub use command::{Swept, sweep, sweep_template};
#[cfg(feature = "clap")]
pub use options::SWEEP_EXAMPLES;
pub use options::{SweepMachine, SweepOptions};
