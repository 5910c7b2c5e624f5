//! The names of the single-number metrics, and what each means in words.

use crate::error::EvalError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Declares each metric once: variant, name in files and on the command line, direction, meaning.
macro_rules! metrics {
    ($($variant:ident, $name:literal, $higher:literal, $meaning:literal;)*) => {
        /// A single number that [`crate::Metrics`] holds; read it with [`crate::Metrics::get`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Metric {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)*
        }

        impl Metric {
            /// Every metric, in the order reports show them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in files, papers' declarations and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in a sentence a report can quote.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Whether a higher value is better.
            pub fn higher_is_better(self) -> bool {
                match self { $(Self::$variant => $higher,)* }
            }
        }
    };
}

metrics! {
    Accuracy, "accuracy", true, "Share of samples whose most probable class is the true one; the lowest class among equals.";
    ErrorRate, "error_rate", false, "Share of samples whose most probable class is not the true one: 1 minus accuracy.";
    Top2Accuracy, "top2_accuracy", true, "Share of samples whose true class is among the two most probable.";
    Top3Accuracy, "top3_accuracy", true, "Share of samples whose true class is among the three most probable.";
    Top5Accuracy, "top5_accuracy", true, "Share of samples whose true class is among the five most probable.";
    PrecisionMacro, "precision_macro", true, "Of the samples called a class, the share that are: the plain mean over all classes, 0 for a class never called.";
    RecallMacro, "recall_macro", true, "Of the samples of a class, the share called so: the plain mean over all classes, 0 for a class without samples.";
    F1Macro, "f1_macro", true, "Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), of each class: the plain mean over all classes.";
    PrecisionWeighted, "precision_weighted", true, "Of the samples called a class, the share that are: the mean over classes weighted by their number of samples.";
    RecallWeighted, "recall_weighted", true, "Of the samples of a class, the share called so: the mean over classes weighted by their number of samples, which equals accuracy.";
    F1Weighted, "f1_weighted", true, "Harmonic mean of precision and recall of each class: the mean over classes weighted by their number of samples.";
    AurocMacro, "auroc_macro", true, "Area under the ROC curve, one class against the rest: the chance that a sample of the class gets a higher probability of it than a sample of another, ties counted half; the plain mean over the classes present.";
    AurocWeighted, "auroc_weighted", true, "Area under the ROC curve, one class against the rest, ties counted half: the mean over the classes present, weighted by their number of samples.";
    Ece, "ece", false, "Expected calibration error: the samples fall into 15 equally wide bins by the probability of the predicted class; the mean gap between a bin's accuracy and its mean confidence, weighted by its samples.";
    Mce, "mce", false, "Maximum calibration error: the largest gap between accuracy and mean confidence among 15 equally wide bins that hold a sample.";
    Brier, "brier", false, "Brier's score: squared distance between the probabilities and the one-hot truth, summed over classes, mean over samples; 0 is best, 2 is worst.";
    LogLoss, "log_loss", false, "Mean of minus the natural logarithm of the true class's probability, clipped to [2^-23, 1 - 2^-23].";
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = EvalError;
    fn from_str(name: &str) -> Result<Self, EvalError> {
        let found = Self::ALL.iter().find(|metric| metric.name() == name);
        found.copied().ok_or_else(|| EvalError::UnknownMetric {
            name: name.to_owned(),
            known: Self::ALL
                .iter()
                .map(|m| m.name())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}
