//! Training runs that are their inputs: the same configuration and data give the same bits, on any
//! number of threads, stopped and resumed or not.
//!
//! ```
//! use hw_train::{Experiment, RunOptions, TrainConfig};
//!
//! // Three hundred generated digits, two epochs; no files needed.
//! let config = TrainConfig {
//!     model: "ann-bn".into(),
//!     dataset: "glyphs:digits".parse()?,
//!     limit: Some(300),
//!     epochs: 2,
//!     ..TrainConfig::default()
//! };
//! let experiment = Experiment::load(config, &hw_data::DataDirs::resolve(None))?;
//! let folder = tempfile::tempdir()?;
//! let outcome = experiment.start(folder.path(), RunOptions::new(&mut |_event| {}))?;
//! assert_eq!(outcome.history.len(), 2);
//!
//! // The weights, with everything needed to use them.
//! let trained = hw_train::checkpoint::open(folder.path(), &candle_core::Device::Cpu)?;
//! assert_eq!(trained.stamp.classes.len(), 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

pub mod averaging;
pub mod batch_norm;
pub mod blocks;
pub mod calibrate;
pub mod checkpoint;
pub mod choice;
pub mod config;
mod error;
pub mod evaluate;
pub mod events;
pub mod experiment;
mod learner;
pub mod load;
pub mod loss;
pub mod mixing;
pub mod optimizer;
pub mod provenance;
pub mod range_test;
pub mod recipe;
pub mod run;
pub mod schedule;
pub mod stopping;
pub mod survey;
pub mod teacher;

pub use batch_norm::BatchNormStatistics;
pub use checkpoint::{Progress, Stamp, Trained};
pub use config::{EarlyStopping, Monitor, TrainConfig};
pub use error::{Result, TrainError};
pub use events::{EpochRecord, Event, Score};
pub use experiment::{Experiment, read_config};
pub use loss::{ClassWeights, Loss};
pub use mixing::Mix;
pub use optimizer::{Optimizer, OptimizerState};
pub use provenance::{Computation, DataStamp, Machine, Versions};
pub use recipe::{recipe_id, recipe_label};
pub use run::{Outcome, RunOptions};
pub use schedule::Schedule;
pub use stopping::Plateau;
pub use teacher::Teacher;
