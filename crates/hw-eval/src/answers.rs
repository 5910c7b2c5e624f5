//! What a classifier said about images, before anyone compares it with labels; and the same said in
//! fewer classes.

use crate::error::EvalError;
use crate::predictions::Predictions;

/// Class probabilities of `n` images, `[n, classes]`, not yet held against any labels.
///
/// ```
/// use hw_eval::Answers;
///
/// // Classes C, c and 0; without case there are only C and 0.
/// let answers = Answers::from_probabilities(vec![0.25, 0.35, 0.4], 3)?;
/// let merged = answers.merged(&[Some(0), Some(0), Some(1)], 2)?;
/// let predictions = merged.labelled(&[Some(0)])?;
/// assert_eq!(predictions.predicted(), [0]); // .6 for either case beats .4 for the digit
/// # Ok::<(), hw_eval::EvalError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    probabilities: Vec<f32>,
    classes: usize,
}

impl Answers {
    /// Takes `[n, classes]` row-major `probabilities`.
    ///
    /// # Errors
    /// As [`Predictions::new`].
    pub fn from_probabilities(probabilities: Vec<f32>, classes: usize) -> Result<Self, EvalError> {
        let labels = unknown_labels(probabilities.len(), classes);
        Ok(Self::of(&Predictions::new(probabilities, labels, classes)?))
    }

    /// Takes `[n, classes]` row-major `logits` and applies softmax to each row.
    ///
    /// # Errors
    /// As [`Predictions::from_logits`].
    pub fn from_logits(logits: Vec<f32>, classes: usize) -> Result<Self, EvalError> {
        let labels = unknown_labels(logits.len(), classes);
        Ok(Self::of(&Predictions::from_logits(
            logits, labels, classes,
        )?))
    }

    /// The answers of predictions, their labels forgotten.
    pub fn of(predictions: &Predictions) -> Self {
        Self {
            probabilities: predictions.probabilities().to_vec(),
            classes: predictions.classes(),
        }
    }

    /// Number of images.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.classes
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The answers in `classes` merged classes: class `i` becomes `map[i]`, and the probabilities of
    /// classes that become one add up. A class that becomes `None` is no possible answer; the others
    /// are then conditional on it being one of them, as for a model that never knew that class.
    ///
    /// # Errors
    /// A map that has not one entry a class, names a class that is not there, or leaves no class.
    pub fn merged(&self, map: &[Option<u32>], classes: usize) -> Result<Self, EvalError> {
        if map.len() != self.classes {
            return Err(EvalError::Length {
                what: "the map of classes",
                expected: self.classes,
                got: map.len(),
            });
        }
        let targets: Vec<u32> = map.iter().flatten().copied().collect();
        crate::predictions::check_labels("merged class", &targets, classes)?;
        if targets.is_empty() {
            return Err(EvalError::Empty {
                what: "the set of possible answers",
            });
        }
        let mut probabilities = Vec::with_capacity(self.len() * classes);
        let mut sums = vec![0f64; classes];
        for row in self.probabilities.chunks_exact(self.classes) {
            sums.fill(0.0);
            for (&p, to) in row.iter().zip(map) {
                if let Some(to) = to {
                    sums[*to as usize] += f64::from(p);
                }
            }
            let total: f64 = sums.iter().sum();
            // All probability on impossible answers: nothing is known about the possible ones.
            let even = 1.0 / classes as f64;
            let share = |sum: &f64| if total > 0.0 { sum / total } else { even };
            probabilities.extend(sums.iter().map(|sum| share(sum) as f32));
        }
        Self::from_probabilities(probabilities, classes)
    }

    /// The answers held against labels; images whose label is `None` are left out.
    ///
    /// # Errors
    /// Not one label an image, a label that is no class, or no label at all.
    pub fn labelled(&self, labels: &[Option<u32>]) -> Result<Predictions, EvalError> {
        if labels.len() != self.len() {
            return Err(EvalError::Length {
                what: "labels (one an image)",
                expected: self.len(),
                got: labels.len(),
            });
        }
        let kept = self.probabilities.chunks_exact(self.classes).zip(labels);
        let kept = kept.filter(|(_, label)| label.is_some());
        let probabilities = kept.flat_map(|(row, _)| row.iter().copied()).collect();
        let labels = labels.iter().flatten().copied().collect();
        Predictions::new(probabilities, labels, self.classes)
    }
}

/// One valid label a row, so that the rows can be checked before the true labels are known.
fn unknown_labels(values: usize, classes: usize) -> Vec<u32> {
    vec![0; values.checked_div(classes).unwrap_or(0)]
}
