//! The runs of one recipe: what a comparison is made of.

use crate::error::{EvalError, check_finite};
use crate::statistics::Variance;
use std::sync::Arc;

/// How far an accuracy may be from the share of its own answers: the rounding of a division.
const ROUNDING: f64 = 1e-9;

/// One trained model on one test set.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Seed of the training. Runs of different recipes with the same seed are compared as a pair.
    pub seed: u64,
    /// The quantity measured: a share (0 to 1), a loss, seconds.
    pub value: f64,
    /// For accuracies: whether each test image was classified correctly, in the test set's order.
    pub correct: Option<Arc<[bool]>>,
}

impl Outcome {
    /// A quantity of any kind.
    pub fn new(seed: u64, value: f64) -> Self {
        Self {
            seed,
            value,
            correct: None,
        }
    }

    /// The accuracy of a model from its answers to the test images.
    ///
    /// # Errors
    /// No image.
    pub fn of_answers(seed: u64, correct: impl Into<Arc<[bool]>>) -> Result<Self, EvalError> {
        let correct = correct.into();
        Ok(Self {
            seed,
            value: share(&correct)?,
            correct: Some(correct),
        })
    }
}

/// The runs of one recipe, one a seed, in the order of their seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    name: String,
    outcomes: Vec<Outcome>,
    test_images: Option<u64>,
}

impl Arm {
    /// The runs of the recipe `name`.
    ///
    /// # Errors
    /// No run, two runs of one seed, a value that is not finite, answers to different numbers of
    /// images, or an accuracy that is not the share of its correct answers.
    pub fn new(name: impl Into<String>, mut outcomes: Vec<Outcome>) -> Result<Self, EvalError> {
        let name = name.into();
        outcomes.sort_by_key(|outcome| outcome.seed);
        let values: Vec<f64> = outcomes.iter().map(|outcome| outcome.value).collect();
        if values.is_empty() {
            return Err(EvalError::Empty {
                what: "the list of a recipe's runs",
            });
        }
        check_finite("runs of a recipe", &values)?;
        if let Some(twice) = outcomes.windows(2).find(|two| two[0].seed == two[1].seed) {
            return Err(EvalError::SeedTwice {
                arm: name,
                seed: twice[0].seed,
            });
        }
        check_answers(&outcomes)?;
        Ok(Self {
            name,
            outcomes,
            test_images: None,
        })
    }

    /// Values of any kind, each with its seed.
    ///
    /// # Errors
    /// As [`Arm::new`].
    pub fn of_values(
        name: impl Into<String>,
        values: impl IntoIterator<Item = (u64, f64)>,
    ) -> Result<Self, EvalError> {
        let outcomes = values.into_iter().map(|(s, value)| Outcome::new(s, value));
        Self::new(name, outcomes.collect())
    }

    /// Says that the values are accuracies (shares, 0 to 1) on a test set of `images`: what is known
    /// of the noise of the test set where the answers to single images were not kept.
    ///
    /// # Errors
    /// No image, or a value that is no share.
    pub fn on_test_set(mut self, images: u64) -> Result<Self, EvalError> {
        if images == 0 {
            return Err(EvalError::Empty {
                what: "the test set of a recipe's runs",
            });
        }
        let no_share = |outcome: &&Outcome| !(0.0..=1.0).contains(&outcome.value);
        if let Some(outcome) = self.outcomes.iter().find(no_share) {
            return Err(EvalError::OutOfRange {
                what: "an accuracy",
                value: outcome.value,
                expected: "a share between 0 and 1",
            });
        }
        self.test_images = Some(images);
        Ok(self)
    }

    /// The recipe's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The runs, in the order of their seeds; at least one.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The values, in the order of their seeds.
    pub fn values(&self) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| outcome.value).collect()
    }

    /// The arithmetic mean of the values.
    pub fn mean(&self) -> f64 {
        self.values().iter().sum::<f64>() / self.outcomes.len() as f64
    }

    /// Images in the test set, if the values are accuracies.
    pub fn test_images(&self) -> Option<u64> {
        let answers = self.outcomes[0].correct.as_ref();
        answers.map(|a| a.len() as u64).or(self.test_images)
    }

    /// The variance over seeds; `None` for a single run.
    pub fn variance(&self) -> Option<Variance> {
        Variance::of(&self.values()).ok()
    }

    /// The same runs on the logarithmic scale, on which ratios are judged.
    ///
    /// # Errors
    /// A value that is not above 0.
    pub fn logarithms(&self) -> Result<Self, EvalError> {
        let ln = |outcome: &Outcome| {
            if outcome.value > 0.0 {
                return Ok((outcome.seed, outcome.value.ln()));
            }
            Err(EvalError::OutOfRange {
                what: "a value of a ratio",
                value: outcome.value,
                expected: "above 0",
            })
        };
        let values = self
            .outcomes
            .iter()
            .map(ln)
            .collect::<Result<Vec<_>, _>>()?;
        Self::of_values(self.name.clone(), values)
    }

    /// The answers of every run, if all were kept.
    pub(crate) fn answers(&self) -> Option<Vec<&[bool]>> {
        let answers = self
            .outcomes
            .iter()
            .map(|outcome| outcome.correct.as_deref());
        answers.collect()
    }

    /// The runs whose seeds both arms have: pairs, in the order of their seeds.
    pub(crate) fn shared<'a>(&'a self, other: &'a Self) -> Vec<(&'a Outcome, &'a Outcome)> {
        let of_other = |outcome: &'a Outcome| {
            let found = other
                .outcomes
                .binary_search_by_key(&outcome.seed, |o| o.seed);
            Some((outcome, &other.outcomes[found.ok()?]))
        };
        self.outcomes.iter().filter_map(of_other).collect()
    }
}

/// The variance over seeds of `a - b` on the seeds both have: what [`crate::statistics::Pooled::fit`]
/// takes, of comparable pairs of recipes. `None` with fewer than two shared seeds. For ratios, give
/// [`Arm::logarithms`].
pub fn difference_variance(a: &Arm, b: &Arm) -> Option<Variance> {
    let differences = a.shared(b).into_iter().map(|(a, b)| a.value - b.value);
    Variance::of(&differences.collect::<Vec<f64>>()).ok()
}

fn check_answers(outcomes: &[Outcome]) -> Result<(), EvalError> {
    let mut images = None;
    for outcome in outcomes {
        let Some(correct) = &outcome.correct else {
            continue;
        };
        let expected = *images.get_or_insert(correct.len());
        if correct.len() != expected {
            return Err(EvalError::Length {
                what: "answers of a recipe's runs to the test images",
                expected,
                got: correct.len(),
            });
        }
        let share = share(correct)?;
        if (share - outcome.value).abs() > ROUNDING {
            return Err(EvalError::NotItsAnswers {
                seed: outcome.seed,
                value: outcome.value,
                share,
            });
        }
    }
    Ok(())
}

fn share(correct: &[bool]) -> Result<f64, EvalError> {
    if correct.is_empty() {
        return Err(EvalError::Empty {
            what: "the list of answers to test images",
        });
    }
    let right = correct.iter().filter(|right| **right).count();
    Ok(right as f64 / correct.len() as f64)
}
