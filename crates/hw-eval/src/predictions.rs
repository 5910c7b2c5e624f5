//! What a classifier said about a labelled set: the checked input of every metric.

use crate::error::EvalError;
use serde::{Deserialize, Serialize};

/// How far a row's sum may be from 1: generous to half-precision softmax, far from any logit.
const ROW_SUM_TOLERANCE: f64 = 1e-3;

/// Class probabilities and true labels of `n` samples, checked once on construction.
///
/// Always at least one sample and two classes; every label is below the number of classes; every
/// probability is finite and in `[0, 1]`; every row sums to 1 within 0.001.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Predictions {
    probabilities: Vec<f32>,
    labels: Vec<u32>,
    classes: usize,
}

/// The same fields as read from a file, before they are checked.
#[derive(Deserialize)]
struct Unchecked {
    probabilities: Vec<f32>,
    labels: Vec<u32>,
    classes: usize,
}

impl TryFrom<Unchecked> for Predictions {
    type Error = EvalError;
    fn try_from(raw: Unchecked) -> Result<Self, EvalError> {
        Self::new(raw.probabilities, raw.labels, raw.classes)
    }
}

impl Predictions {
    /// Takes `[n, classes]` row-major `probabilities` and `n` true `labels`.
    ///
    /// # Errors
    /// [`EvalError`] naming the first sample that breaks one of the type's promises.
    pub fn new(
        probabilities: Vec<f32>,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<Self, EvalError> {
        check_shape(probabilities.len(), &labels, classes)?;
        for (sample, row) in probabilities.chunks_exact(classes).enumerate() {
            check_row(sample, row)?;
        }
        Ok(Self {
            probabilities,
            labels,
            classes,
        })
    }

    /// Takes `[n, classes]` row-major `logits` and applies softmax to each row (in `f64`).
    ///
    /// # Errors
    /// As [`Predictions::new`]; a logit that is NaN or infinite is refused too.
    pub fn from_logits(
        mut logits: Vec<f32>,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<Self, EvalError> {
        check_shape(logits.len(), &labels, classes)?;
        if let Some(index) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "logits",
                index,
                value: f64::from(logits[index]),
            });
        }
        logits.chunks_exact_mut(classes).for_each(softmax);
        Ok(Self {
            probabilities: logits,
            labels,
            classes,
        })
    }

    /// Number of samples, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Number of classes, at least 2.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The true class of each sample.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// All probabilities, `[n, classes]` row-major.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// The probabilities of each sample in turn.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.classes)
    }

    /// The predicted class of each sample: the most probable one, the lowest index among equals.
    pub fn predicted(&self) -> Vec<u32> {
        self.rows().map(|row| hw_core::argmax(row) as u32).collect()
    }

    /// The probability of the predicted class of each sample.
    pub fn confidence(&self) -> Vec<f32> {
        self.rows().map(|row| row[hw_core::argmax(row)]).collect()
    }

    /// Whether each sample was classified correctly.
    pub fn correct(&self) -> Vec<bool> {
        self.rows()
            .zip(&self.labels)
            .map(|(row, &label)| hw_core::argmax(row) == label as usize)
            .collect()
    }

    /// The predictions of the samples `indices`, in that order: a subset of the test set, the
    /// images shared with no training set for instance.
    ///
    /// # Errors
    /// No index at all, or one that is not a sample.
    pub fn select(&self, indices: &[u32]) -> Result<Self, EvalError> {
        let mut probabilities = Vec::with_capacity(indices.len() * self.classes);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let at = index as usize;
            let &label = self.labels.get(at).ok_or(EvalError::OutOfRange {
                what: "the index of a sample",
                value: f64::from(index),
                expected: "below the number of samples",
            })?;
            labels.push(label);
            probabilities
                .extend_from_slice(&self.probabilities[at * self.classes..][..self.classes]);
        }
        Self::new(probabilities, labels, self.classes)
    }
}

fn check_shape(values: usize, labels: &[u32], classes: usize) -> Result<(), EvalError> {
    if classes < 2 {
        return Err(EvalError::OutOfRange {
            what: "the number of classes",
            value: classes as f64,
            expected: "at least 2",
        });
    }
    if labels.is_empty() {
        return Err(EvalError::Empty {
            what: "the list of labels",
        });
    }
    // Saturating: an absurd class count must be an error here, not an overflow.
    let expected = labels.len().saturating_mul(classes);
    if values != expected {
        return Err(EvalError::Length {
            what: "probabilities (samples x classes)",
            expected,
            got: values,
        });
    }
    check_labels("label", labels, classes)
}

/// Refuses class indices outside `0..classes`.
pub(crate) fn check_labels(
    what: &'static str,
    labels: &[u32],
    classes: usize,
) -> Result<(), EvalError> {
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(sample) => Err(EvalError::Label {
            what,
            sample,
            label: labels[sample],
            classes,
        }),
    }
}

fn check_row(sample: usize, row: &[f32]) -> Result<(), EvalError> {
    for (class, &value) in row.iter().enumerate() {
        if !(0.0..=1.0).contains(&value) {
            return Err(EvalError::Probability {
                sample,
                class,
                value,
            });
        }
    }
    let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
    if (sum - 1.0).abs() > ROW_SUM_TOLERANCE {
        return Err(EvalError::RowSum { sample, sum });
    }
    Ok(())
}

fn softmax(row: &mut [f32]) {
    let largest = f64::from(row[hw_core::argmax(row)]);
    let sum: f64 = row.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
    for x in row {
        *x = ((f64::from(*x) - largest).exp() / sum) as f32;
    }
}
