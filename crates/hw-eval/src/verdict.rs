//! What became of a claim.
//!
//! Every part of a claim is looked at both ways at the same error rate α. In this order:
//!
//! 1. What was not run is *not run*; what was run too small to decide is *too small to decide*. Both
//!    are the caller's to say, as is a comparison of single runs whose spread nobody knows.
//! 2. If our own data decide, the part is *reproduced* or *contradicted*.
//! 3. If they do not, and single runs could not have shown the reported gap either, the part is
//!    *undecidable as reported*.
//! 4. Else it is *within noise*.

use crate::error::EvalError;
use serde::{Deserialize, Serialize};

/// What became of a claim, or of a part of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The evidence for the claim is significant.
    Reproduced,
    /// The evidence for the opposite of the claim is significant.
    Contradicted,
    /// Neither is.
    WithinNoise {
        /// The smallest true distance from the nearest other answer that the measurements would have
        /// found with probability 0.8.
        detectable: Option<f64>,
    },
    /// Neither is, and the reported gap is smaller than what one run an arm can show.
    UndecidableAsReported {
        /// The reported difference (a ratio for a question of ratios).
        gap: f64,
        /// Standard deviation of the difference of two single runs, over seeds and test images (of
        /// its logarithm for a question of ratios).
        noise: f64,
        /// Seeds an arm that would show the gap at α with probability 0.8; `None` if no number of
        /// seeds would on this test set.
        seeds: Option<u64>,
    },
    /// Something was measured, but at a scale that cannot decide.
    TooSmall {
        /// Why not.
        reason: String,
    },
    /// Nothing was measured.
    NotRun {
        /// Why not.
        reason: String,
    },
}

impl Verdict {
    /// The verdict in the report's words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Contradicted => "contradicted",
            Self::WithinNoise { .. } => "within noise",
            Self::UndecidableAsReported { .. } => "undecidable as reported",
            Self::TooSmall { .. } => "too small to decide",
            Self::NotRun { .. } => "not run",
        }
    }

    /// What the verdict means, in a sentence a report can quote.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Reproduced => {
                "Our measurements agree with the claim, and chance alone would rarely agree as well \
                 (corrected p below the stated level)."
            }
            Self::Contradicted => {
                "Our measurements say the opposite of the claim, and chance alone would rarely say \
                 it as clearly (corrected p below the stated level)."
            }
            Self::WithinNoise { .. } => {
                "Neither the claim nor its opposite stands out from the noise of our measurements; \
                 more seeds or images might decide."
            }
            Self::UndecidableAsReported { .. } => {
                "Our measurements decide nothing, and the reported gap is smaller than what one run \
                 of each side can show: the report itself could not know."
            }
            Self::TooSmall { .. } => {
                "What was measured is too small, too short or too few to decide the claim."
            }
            Self::NotRun { .. } => "Nothing was measured that could decide the claim.",
        }
    }

    /// Whether the claim holds or its opposite does.
    pub fn decided(&self) -> bool {
        matches!(self, Self::Reproduced | Self::Contradicted)
    }
}

/// The error rate α of each direction of a test, above 0 and below 0.5; 0.05 by default.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// Checks an error rate.
    ///
    /// # Errors
    /// One that does not lie between 0 and 0.5.
    pub fn new(rate: f64) -> Result<Self, EvalError> {
        if rate > 0.0 && rate < 0.5 {
            return Ok(Self(rate));
        }
        Err(EvalError::OutOfRange {
            what: "the significance level",
            value: rate,
            expected: "above 0 and below 0.5, 0.05 for instance",
        })
    }

    /// The rate.
    pub fn rate(self) -> f64 {
        self.0
    }
}

impl Default for Alpha {
    fn default() -> Self {
        Self(0.05)
    }
}

impl TryFrom<f64> for Alpha {
    type Error = EvalError;
    fn try_from(rate: f64) -> Result<Self, EvalError> {
        Self::new(rate)
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}
