//! How good a classifier is, how sure we are of that, and whether a claim about it holds: metrics,
//! statistics, verdicts and timing as pure functions over predictions. No network and no trainer
//! is needed to use it.
//!
//! ```
//! use hw_eval::{
//!     Arm, Design, Evidence, Metric, Part, Predictions, Question, Setting, Verdict, compare, evaluate,
//!     judge_family,
//! };
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
//! // Does one network beat another? One test accuracy a seed, on 10,000 images. The seeds are the
//! // same, so their runs are compared pair by pair.
//! let with_bn = Arm::of_values("with", [(1, 0.9921), (2, 0.9917), (3, 0.9923)])?;
//! let without = Arm::of_values("without", [(1, 0.9883), (2, 0.9881), (3, 0.9887)])?;
//! let comparison = compare(
//!     &with_bn.on_test_set(10_000)?,
//!     &without.on_test_set(10_000)?,
//!     Question::Greater { margin: 0.0 },
//!     &Setting::default(),
//! )?;
//! let evidence = Evidence::compared(comparison, Some(0.002));
//! // Alone here; else with all parts of all claims of the paper.
//! let parts = vec![Part::new("with > without", evidence)];
//! let judged = judge_family(parts, &Design::once(Default::default()))?;
//! assert_eq!(judged[0].verdict, Verdict::Reproduced);
//! # Ok::<(), hw_eval::EvalError>(())
//! ```
//!
//! Start at [`Predictions`] and [`evaluate`]. A claim goes from [`Arm`]s by [`compare`] to
//! [`judge_family`] and [`overall`]; [`statistics`] holds the tests, [`sequential`] says when more seeds
//! are worth their time, [`cell`] whether a reported number agrees, [`timing`] how long inference takes,
//! [`looks`] how often a test set was looked at.
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
mod arm;
pub mod cell;
pub mod claim;
pub mod comparison;
pub mod cross;
pub mod family;
mod question;
pub mod ranking;
pub mod sequential;
pub mod statistics;
pub mod verdict;

// What was measured already.
pub mod looks;

// How it looks.
#[cfg(feature = "tsne")]
pub mod tsne;

pub use accuracy::{accuracy, top_k_accuracy};
pub use answers::Answers;
pub use arm::{Arm, Outcome, difference_variance};
pub use auroc::{Auroc, auroc, auroc_ovr};
pub use calibration::{Calibration, ReliabilityBin};
pub use cell::{CellComparison, CellVerdict, TestSets, Tolerance, reproduces_value};
pub use claim::{ClaimVerdict, overall};
pub use class_report::{ClassReport, ClassScores, Scores};
pub use comparison::{
    Comparison, Images, Noise, Setting, Signs, Test, compare, compare_with_reported,
};
pub use confusion::{Confusion, ConfusionMatrix};
pub use cross::{CrossCell, CrossInput, Duel, cross_cell, cross_predictions, duels};
pub use error::EvalError;
pub use family::{Evidence, Judged, Part, Rival, best_of, judge_family};
pub use interval::{Interval, wilson_interval};
pub use metric::Metric;
pub use metrics::{ACCURACY_LEVEL, Metrics, TOP_KS, TopK, bootstrap, evaluate};
pub use predictions::Predictions;
pub use question::Question;
pub use ranking::{Ranked, rank};
pub use scoring::{brier_score, log_loss};
pub use sequential::{Design, Spending};
pub use timing::{Timing, time_inference};
pub use verdict::{Alpha, Verdict};
