//! How good a classifier is, how sure we are of that, and whether a claim about it holds: metrics,
//! statistics, verdicts and timing as pure functions over predictions. No network and no trainer
//! is needed to use it.
//!
//! ```
//! use hw_eval::{Alpha, Metric, Predictions, Runs, Verdict, compare_greater, evaluate};
//!
//! // Four images, three classes: the probabilities a model gave, and the truth.
//! let predictions = Predictions::new(
//!     vec![
//!         0.8, 0.1, 0.1, //
//!         0.2, 0.7, 0.1, //
//!         0.1, 0.6, 0.3, //
//!         0.0, 0.1, 0.9,
//!     ],
//!     vec![0, 1, 2, 2],
//!     3,
//! )?;
//! let metrics = evaluate(&predictions);
//! assert_eq!(metrics.accuracy, 0.75);
//! assert!(metrics.accuracy_interval.contains(0.95)); // four images say very little
//! assert_eq!(metrics.confusion.row(2), [0, 1, 1]); // one 2 was taken for a 1
//! assert_eq!(metrics.get(Metric::F1Macro), Some((1.0 + 2.0 / 3.0 + 2.0 / 3.0) / 3.0));
//!
//! // Does one network beat another? One test accuracy a seed, on 10,000 images.
//! let with_bn = Runs::accuracies([0.9921, 0.9917, 0.9923], 10_000);
//! let without = Runs::accuracies([0.9893, 0.9901, 0.9897], 10_000);
//! let claim = compare_greater(&with_bn, &without, Alpha::default());
//! assert_eq!(claim.verdict, Verdict::Reproduced);
//! # Ok::<(), hw_eval::EvalError>(())
//! ```
//!
//! Start at [`Predictions`] and [`evaluate`]; [`statistics`] holds the tests, [`verdict`] and
//! [`cell`] what they say about claims and printed numbers, [`timing`] how long inference takes.
//! Every result serialises with serde and holds shares (0 to 1), never per cent; every number is
//! the same on any machine with any number of threads, time excepted.
#![warn(missing_docs)]

// What is evaluated.
mod answers;
mod error;
mod predictions;

// How good: one file a question.
mod accuracy;
mod auroc;
mod calibration;
mod class_report;
mod confusion;
mod interval;
mod metric;
mod metrics;
#[cfg(feature = "network")]
pub mod network;
mod scoring;
pub mod timing;

// How sure, and what follows.
pub mod cell;
pub mod cross;
pub mod ranking;
pub mod statistics;
pub mod verdict;

// How it looks.
#[cfg(feature = "tsne")]
pub mod tsne;

pub use accuracy::{accuracy, top_k_accuracy};
pub use answers::Answers;
pub use auroc::{Auroc, auroc, auroc_ovr};
pub use calibration::{Calibration, ReliabilityBin};
pub use cell::{CellComparison, CellVerdict, Tolerance, reproduces_value};
pub use class_report::{ClassReport, ClassScores, Scores};
pub use confusion::{Confusion, ConfusionMatrix};
pub use cross::{CrossCell, CrossInput, Duel, cross_cell, cross_predictions, duels};
pub use error::EvalError;
pub use interval::{Interval, wilson_interval};
pub use metric::Metric;
pub use metrics::{ACCURACY_LEVEL, Metrics, TOP_KS, TopK, bootstrap, evaluate};
pub use predictions::Predictions;
pub use ranking::{Ranked, rank};
pub use scoring::{brier_score, log_loss};
pub use timing::{Timing, time_inference};
pub use verdict::{
    Alpha, BestOf, Comparison, Rival, Runs, Test, Verdict, best_of, compare_about, compare_greater,
    compare_greater_by, compare_greater_than_printed, compare_paired_greater, compare_ratio,
};
