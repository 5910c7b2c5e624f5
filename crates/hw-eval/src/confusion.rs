//! Which class was taken for which.

use crate::error::EvalError;
use crate::predictions::{Predictions, check_labels};
use serde::{Deserialize, Serialize};

/// Counts of (true class, predicted class): row = true, column = predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
struct Unchecked {
    classes: usize,
    counts: Vec<u64>,
}

impl TryFrom<Unchecked> for ConfusionMatrix {
    type Error = EvalError;
    fn try_from(raw: Unchecked) -> Result<Self, EvalError> {
        let expected = raw.classes.saturating_mul(raw.classes);
        if raw.counts.len() != expected {
            return Err(EvalError::Length {
                what: "confusion matrix (classes x classes)",
                expected,
                got: raw.counts.len(),
            });
        }
        Ok(Self {
            classes: raw.classes,
            counts: raw.counts,
        })
    }
}

/// One kind of mistake: an off-diagonal cell of a confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class it was.
    pub truth: u32,
    /// The class it was taken for.
    pub predicted: u32,
    /// How often.
    pub count: u64,
    /// `count` divided by the number of samples of the true class.
    pub share: f64,
}

impl ConfusionMatrix {
    /// The matrix of checked predictions.
    pub fn of(predictions: &Predictions) -> Self {
        Self::tally(
            predictions.labels(),
            &predictions.predicted(),
            predictions.classes(),
        )
    }

    /// The matrix of true and predicted class indices.
    ///
    /// # Errors
    /// Lists of different length, or an index not below `classes`.
    pub fn from_labels(
        labels: &[u32],
        predicted: &[u32],
        classes: usize,
    ) -> Result<Self, EvalError> {
        if labels.len() != predicted.len() {
            return Err(EvalError::Length {
                what: "predictions (one a label)",
                expected: labels.len(),
                got: predicted.len(),
            });
        }
        check_labels("label", labels, classes)?;
        check_labels("prediction", predicted, classes)?;
        Ok(Self::tally(labels, predicted, classes))
    }

    fn tally(labels: &[u32], predicted: &[u32], classes: usize) -> Self {
        let mut counts = vec![0; classes * classes];
        for (&truth, &guess) in labels.iter().zip(predicted) {
            counts[truth as usize * classes + guess as usize] += 1;
        }
        Self { classes, counts }
    }

    /// Number of classes: rows, and columns.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All counts, row-major.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How the samples of true class `truth` were classified.
    ///
    /// # Panics
    /// When `truth` is not a class.
    pub fn row(&self, truth: usize) -> &[u64] {
        &self.counts[truth * self.classes..][..self.classes]
    }

    /// Samples of each true class: the row sums.
    pub fn true_totals(&self) -> Vec<u64> {
        (0..self.classes)
            .map(|c| self.row(c).iter().sum())
            .collect()
    }

    /// Times each class was predicted: the column sums.
    pub fn predicted_totals(&self) -> Vec<u64> {
        let column = |c: usize| self.counts.iter().skip(c).step_by(self.classes).sum();
        (0..self.classes).map(column).collect()
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Samples classified correctly: the trace.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.row(c)[c]).sum()
    }

    /// The matrix with each row divided by its sum, row-major: shares of each true class. The row
    /// of a class without samples is all zero.
    pub fn normalised_rows(&self) -> Vec<f64> {
        self.counts
            .chunks_exact(self.classes.max(1))
            .flat_map(|row| {
                let total = row.iter().sum::<u64>().max(1) as f64;
                row.iter().map(move |&count| count as f64 / total)
            })
            .collect()
    }

    /// The `limit` most frequent mistakes, most frequent first, then by true and predicted class.
    pub fn top_confusions(&self, limit: usize) -> Vec<Confusion> {
        let totals = self.true_totals();
        let mut mistakes: Vec<Confusion> = (0..self.classes * self.classes)
            .map(|at| (at / self.classes, at % self.classes, self.counts[at]))
            .filter(|&(truth, predicted, count)| truth != predicted && count > 0)
            .map(|(truth, predicted, count)| Confusion {
                truth: truth as u32,
                predicted: predicted as u32,
                count,
                share: count as f64 / totals[truth] as f64,
            })
            .collect();
        // A stable sort keeps the order of the classes among equal counts.
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.count));
        mistakes.truncate(limit);
        mistakes
    }
}
