//! Models against test sets that they were not made for: other label spaces, and images that the
//! model may have been trained on.
//!
//! Every cell is measured twice: on all test images, as papers report it, and on those that are not
//! among the model's training images.
//!
//! ```
//! use hw_eval::{Answers, CrossInput, cross_cell};
//!
//! let cell = cross_cell(&CrossInput {
//!     // A model of three classes, tested on labels of two: its last two classes are one of them.
//!     answers: &Answers::from_probabilities(vec![0.8, 0.1, 0.1, 0.3, 0.3, 0.4], 3)?,
//!     of_model: &[Some(0), Some(1), Some(1)],
//!     labels: &[Some(0), Some(1)],
//!     classes: 2,
//!     // The first test image was trained on.
//!     seen: &[true, false],
//! })?;
//! assert_eq!((cell.all.samples, cell.all.accuracy), (2, 1.0));
//! assert_eq!((cell.shared, cell.leak_free.map(|metrics| metrics.samples)), (1, Some(1)));
//! # Ok::<(), hw_eval::EvalError>(())
//! ```

use crate::answers::Answers;
use crate::error::EvalError;
use crate::interval::Interval;
use crate::metrics::{Metrics, evaluate};
use crate::predictions::Predictions;
use crate::statistics::{McNemarTest, PairedOutcomes, holm};
use crate::verdict::Alpha;
use serde::{Deserialize, Serialize};

/// A model's answers about a test set, and how the two are to be compared.
#[derive(Clone, Copy, Debug)]
pub struct CrossInput<'a> {
    /// What the model said about every image, in its own classes.
    pub answers: &'a Answers,
    /// What each of the model's classes becomes in the common space.
    pub of_model: &'a [Option<u32>],
    /// Each image's label in the common space; `None` leaves the image out.
    pub labels: &'a [Option<u32>],
    /// Number of classes of the common space.
    pub classes: usize,
    /// Whether each image is among the model's training images.
    pub seen: &'a [bool],
}

/// A model on a test set, leaky and leak-free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossCell {
    /// On all images that have a label in the common space.
    pub all: Metrics,
    /// How many of those are among the model's training images.
    pub shared: u64,
    /// On the others; `None` if all are shared.
    pub leak_free: Option<Metrics>,
    /// Images without a label in the common space.
    pub left_out: u64,
}

/// Measures a model on a test set, on all images and on those it was not trained on.
///
/// # Errors
/// Maps, labels or flags that do not fit, or no image left.
pub fn cross_cell(input: &CrossInput<'_>) -> Result<CrossCell, EvalError> {
    let (all, unseen) = cross_predictions(input)?;
    let counted = |(label, seen): &(&Option<u32>, &bool)| label.is_some() && **seen;
    Ok(CrossCell {
        shared: input.labels.iter().zip(input.seen).filter(counted).count() as u64,
        left_out: input.labels.iter().filter(|label| label.is_none()).count() as u64,
        all: evaluate(&all),
        leak_free: unseen.as_ref().map(evaluate),
    })
}

/// The predictions behind [`cross_cell`]: on all images, and on those not trained on, if any.
///
/// # Errors
/// As [`cross_cell`].
pub fn cross_predictions(
    input: &CrossInput<'_>,
) -> Result<(Predictions, Option<Predictions>), EvalError> {
    if input.seen.len() != input.labels.len() {
        return Err(EvalError::Length {
            what: "flags of images trained on (one an image)",
            expected: input.labels.len(),
            got: input.seen.len(),
        });
    }
    let merged = input.answers.merged(input.of_model, input.classes)?;
    let all = merged.labelled(input.labels)?;
    let hidden = |(label, seen): (&Option<u32>, &bool)| label.filter(|_| !seen);
    let unseen: Vec<Option<u32>> = input.labels.iter().zip(input.seen).map(hidden).collect();
    let unseen = match unseen.iter().any(Option::is_some) {
        true => Some(merged.labelled(&unseen)?),
        false => None,
    };
    Ok((all, unseen))
}

/// Two models on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duel {
    /// Index of the first model.
    pub first: usize,
    /// Index of the second model.
    pub second: usize,
    /// On how many images they agree and disagree.
    pub outcomes: PairedOutcomes,
    /// McNemar's test of these two trained models; other seeds of them are another matter.
    pub test: McNemarTest,
    /// Interval of the difference of their accuracies, at the level `1 - 2α`.
    pub interval: Interval,
    /// Two-sided p after Holm's correction over all pairs.
    pub p_adjusted: f64,
}

/// Every pair of models on the same images in the same order, by McNemar's test. Each entry says
/// which images a model classified correctly, so the models may have different label spaces.
///
/// # Errors
/// Entries of different length, or no images.
pub fn duels(correct: &[Vec<bool>], alpha: Alpha) -> Result<Vec<Duel>, EvalError> {
    let mut duels = Vec::new();
    for first in 0..correct.len() {
        for second in first + 1..correct.len() {
            let outcomes = PairedOutcomes::of_correct(&correct[first], &correct[second])?;
            let test = outcomes.test();
            duels.push(Duel {
                first,
                second,
                test,
                interval: outcomes.interval(1.0 - 2.0 * alpha.rate())?,
                p_adjusted: test.p_two_sided,
                outcomes,
            });
        }
    }
    let p_values: Vec<f64> = duels.iter().map(|duel| duel.p_adjusted).collect();
    for (duel, p) in duels.iter_mut().zip(holm(&p_values)?) {
        duel.p_adjusted = p;
    }
    Ok(duels)
}
