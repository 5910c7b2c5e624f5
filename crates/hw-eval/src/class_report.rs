//! Precision, recall and F1: per class, and averaged three ways.

use crate::confusion::ConfusionMatrix;
use serde::{Deserialize, Serialize};

/// Precision, recall and their harmonic mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// TP / (TP + FP): of what was called this class, the share that was. 0 if never called so.
    pub precision: f64,
    /// TP / (TP + FN): of what was this class, the share called so. 0 if there was none.
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN): their harmonic mean. 0 if the class neither was nor was called.
    pub f1: f64,
}

/// The scores of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Precision, recall and F1.
    #[serde(flatten)]
    pub scores: Scores,
    /// Samples of this class.
    pub support: u64,
    /// Times this class was predicted.
    pub predicted: u64,
}

/// Precision, recall and F1 as scikit-learn's `precision_recall_fscore_support` gives them with
/// `labels=range(classes)` and `zero_division=0`: a score without a denominator is 0, and a class
/// that was neither present nor predicted still counts, as 0, in the macro average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// One entry a class, in class order.
    pub per_class: Vec<ClassScores>,
    /// The plain mean over all classes, absent ones included (as 0).
    pub macro_average: Scores,
    /// The plain mean over the classes that are present or predicted: scikit-learn's default when
    /// no labels are given. It differs from `macro_average` only if `unseen` is not empty.
    pub macro_seen: Scores,
    /// The mean over all classes weighted by support.
    pub weighted_average: Scores,
    /// The scores of all classes' counts pooled; for one label a sample each equals accuracy.
    pub micro_average: Scores,
    /// The classes neither present nor predicted.
    pub unseen: Vec<u32>,
}

impl ClassReport {
    /// The report of a confusion matrix.
    pub fn of(matrix: &ConfusionMatrix) -> Self {
        let support = matrix.true_totals();
        let predicted = matrix.predicted_totals();
        let per_class: Vec<ClassScores> = (0..matrix.classes())
            .map(|c| ClassScores {
                scores: Scores::from_counts(matrix.row(c)[c], predicted[c], support[c]),
                support: support[c],
                predicted: predicted[c],
            })
            .collect();
        let seen = |class: &ClassScores| class.support + class.predicted > 0;
        Self {
            macro_average: Scores::mean(&per_class, |_| 1.0),
            macro_seen: Scores::mean(&per_class, |class| f64::from(u8::from(seen(class)))),
            weighted_average: Scores::mean(&per_class, |class| class.support as f64),
            micro_average: Scores::from_counts(
                matrix.correct(),
                predicted.iter().sum(),
                support.iter().sum(),
            ),
            unseen: (0u32..)
                .zip(&per_class)
                .filter(|(_, class)| !seen(class))
                .map(|(index, _)| index)
                .collect(),
            per_class,
        }
    }
}

impl Scores {
    /// From true positives, times predicted (TP + FP) and support (TP + FN).
    fn from_counts(hits: u64, predicted: u64, support: u64) -> Self {
        Self {
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, predicted + support),
        }
    }

    fn mean(classes: &[ClassScores], weight: impl Fn(&ClassScores) -> f64) -> Self {
        let mut sum = Self::default();
        let mut total = 0.0;
        for class in classes {
            let w = weight(class);
            sum.precision += w * class.scores.precision;
            sum.recall += w * class.scores.recall;
            sum.f1 += w * class.scores.f1;
            total += w;
        }
        if total == 0.0 {
            return Self::default();
        }
        Self {
            precision: sum.precision / total,
            recall: sum.recall / total,
            f1: sum.f1 / total,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
