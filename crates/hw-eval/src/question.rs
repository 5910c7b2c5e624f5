//! What a claim asks of two recipes, and the evidence for and against it.

use crate::error::EvalError;
use crate::statistics::error_law::ErrorLaw;
use serde::{Deserialize, Serialize};

/// What is claimed of a first and a second recipe, or of a recipe and a reported number. `a` and `b`
/// stand for their expected values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "snake_case")]
pub enum Question {
    /// a - b > margin. A negative margin asks whether a is not worse by more than that.
    Greater {
        /// In the quantity's unit; 0 for "a is better".
        margin: f64,
    },
    /// a - b < margin: a does not improve on b by as much, shown and not only not refuted.
    NotGreater {
        /// In the quantity's unit.
        margin: f64,
    },
    /// a - b lies within `margin` of `expected`. With `expected` 0: "a reaches b".
    About {
        /// In the quantity's unit.
        expected: f64,
        /// Above 0, in the quantity's unit.
        margin: f64,
    },
    /// a / b lies within a `factor` of `ratio`.
    Ratio {
        /// Above 0.
        ratio: f64,
        /// Above 1.
        factor: f64,
    },
}

/// p-values of a question and of its opposite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) p: f64,
    pub(crate) p_opposite: f64,
}

impl Question {
    /// Refuses margins that are no range.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        let refuse = |what, value, expected| {
            Err(EvalError::OutOfRange {
                what,
                value,
                expected,
            })
        };
        match *self {
            Self::Greater { margin } | Self::NotGreater { margin } if !margin.is_finite() => {
                refuse("the margin of a question", margin, "a finite number")
            }
            Self::About { expected, .. } if !expected.is_finite() => {
                refuse("an expected difference", expected, "a finite number")
            }
            Self::About { margin, .. } if !(margin > 0.0 && margin.is_finite()) => refuse(
                "the margin around an expected difference",
                margin,
                "above 0",
            ),
            Self::Ratio { ratio, .. } if !(ratio > 0.0 && ratio.is_finite()) => {
                refuse("an expected ratio", ratio, "above 0")
            }
            Self::Ratio { factor, .. } if !(factor > 1.0 && factor.is_finite()) => {
                refuse("the factor around an expected ratio", factor, "above 1")
            }
            _ => Ok(()),
        }
    }

    /// The test, in words a report can quote.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Greater { .. } => {
                "One-sided each way: is the difference above the margin, or below it?"
            }
            Self::NotGreater { .. } => {
                "One-sided each way (non-superiority): is the difference below the margin, or above \
                 it? That an improvement was not found is no evidence that there is none."
            }
            Self::About { .. } => {
                "Two one-sided tests (Schuirmann 1987): does the difference lie within the margin of \
                 the expected value? The opposite is tested against the nearer end of the margin \
                 (McCarthy and Smyth 2009)."
            }
            Self::Ratio { .. } => {
                "Two one-sided tests on logarithms: does the ratio of the geometric means lie within \
                 the factor of the expected one? The opposite is tested against the nearer end."
            }
        }
    }

    /// The differences that answer yes: its ends, on the scale of the test (logarithms for ratios).
    fn region(&self) -> (f64, f64) {
        match *self {
            Self::Greater { margin } => (margin, f64::INFINITY),
            Self::NotGreater { margin } => (f64::NEG_INFINITY, margin),
            Self::About { expected, margin } => (expected - margin, expected + margin),
            Self::Ratio { ratio, factor } => (ratio.ln() - factor.ln(), ratio.ln() + factor.ln()),
        }
    }

    /// Evidence from an estimate and the distribution of its error.
    pub(crate) fn evidence(&self, estimate: f64, error: &ErrorLaw) -> Evidence {
        let (low, high) = self.region();
        let above = |bound: f64| error.upper_tail(estimate - bound);
        let below = |bound: f64| error.upper_tail(bound - estimate);
        match *self {
            Self::Greater { .. } => Evidence {
                p: above(low),
                p_opposite: below(low),
            },
            Self::NotGreater { .. } => Evidence {
                p: below(high),
                p_opposite: above(high),
            },
            Self::About { .. } | Self::Ratio { .. } => {
                // The chance of an estimate at least as far out if the truth is at the nearer end:
                // beyond that end, or as far out beyond the other.
                let off = (estimate - 0.5 * (low + high)).abs();
                let half = 0.5 * (high - low);
                Evidence {
                    p: above(low).max(below(high)),
                    p_opposite: (error.upper_tail(off - half) + error.upper_tail(off + half))
                        .min(1.0),
                }
            }
        }
    }

    /// How far inside the differences that answer yes a reported difference (a ratio for
    /// [`Question::Ratio`]) lies; negative outside. On the scale of the test.
    pub(crate) fn clearance(&self, gap: f64) -> f64 {
        let gap = match self {
            Self::Ratio { .. } => gap.ln(),
            _ => gap,
        };
        let (low, high) = self.region();
        (gap - low).min(high - gap)
    }
}
