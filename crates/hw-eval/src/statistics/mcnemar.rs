//! McNemar's test: two models on the same images, judged by the images on which they disagree.

use super::distributions::{normal_quantile, normal_upper_tail};
use crate::error::{EvalError, check_level};
use crate::interval::Interval;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};
use statrs::function::beta::beta_reg;

/// How two models did on the same images, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedOutcomes {
    /// Images both classified correctly.
    pub both: u64,
    /// Images only the first classified correctly.
    pub only_first: u64,
    /// Images only the second classified correctly.
    pub only_second: u64,
    /// Images neither classified correctly.
    pub neither: u64,
}

/// The outcome of McNemar's test (1947).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemarTest {
    /// Accuracy of the first minus accuracy of the second.
    pub difference: f64,
    /// Whether the p-values are binomial (exact) or from the chi-square approximation.
    pub exact: bool,
    /// Chance of a disagreement at least as one-sided if both are equally good.
    pub p_two_sided: f64,
    /// Chance of a lead of the first at least as large if it is not better.
    pub p_greater: f64,
    /// Chance of a lead of the second at least as large if it is not better.
    pub p_less: f64,
}

impl PairedOutcomes {
    /// Disagreements up to which [`PairedOutcomes::test`] is exact; above, the two ways agree to
    /// well under a hundredth of the p-values that matter.
    pub const EXACT_LIMIT: u64 = 1000;

    /// Counts from the predictions of two models on the same images in the same order.
    ///
    /// # Errors
    /// Different numbers of samples, or labels that differ: not the same images, then.
    pub fn of(first: &Predictions, second: &Predictions) -> Result<Self, EvalError> {
        if first.len() != second.len() {
            return Err(EvalError::Length {
                what: "samples of the second model",
                expected: first.len(),
                got: second.len(),
            });
        }
        let labels = first.labels().iter().zip(second.labels());
        if let Some((sample, (_, &label))) = labels.enumerate().find(|(_, (a, b))| a != b) {
            return Err(EvalError::Label {
                what: "label (which differs between the two models)",
                sample,
                label,
                classes: first.classes(),
            });
        }
        Self::of_correct(&first.correct(), &second.correct())
    }

    /// Counts from which images each of two models classified correctly, in the same order: for
    /// models with different label spaces.
    ///
    /// # Errors
    /// Different numbers of images.
    pub fn of_correct(first: &[bool], second: &[bool]) -> Result<Self, EvalError> {
        if first.len() != second.len() {
            return Err(EvalError::Length {
                what: "images of the second model",
                expected: first.len(),
                got: second.len(),
            });
        }
        let mut counts = Self::default();
        for outcome in first.iter().zip(second) {
            match outcome {
                (true, true) => counts.both += 1,
                (true, false) => counts.only_first += 1,
                (false, true) => counts.only_second += 1,
                (false, false) => counts.neither += 1,
            }
        }
        Ok(counts)
    }

    /// Number of images.
    pub fn total(&self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// The exact test up to [`Self::EXACT_LIMIT`] disagreements, chi-square above.
    pub fn test(&self) -> McNemarTest {
        if self.only_first + self.only_second <= Self::EXACT_LIMIT {
            self.exact_test()
        } else {
            self.chi_square_test()
        }
    }

    /// The binomial test: if both are equally good, each disagreement is a fair coin.
    pub fn exact_test(&self) -> McNemarTest {
        let tosses = self.only_first + self.only_second;
        let p_greater = fair_coin_upper_tail(self.only_first, tosses);
        let p_less = fair_coin_upper_tail(self.only_second, tosses);
        self.outcome(true, p_greater, p_less)
    }

    /// The chi-square test with one degree of freedom and Edwards' continuity correction (1948):
    /// (max(0, |b - c| - 1))² / (b + c) for b and c disagreements either way.
    pub fn chi_square_test(&self) -> McNemarTest {
        let (b, c) = (self.only_first as f64, self.only_second as f64);
        let tail = |lead: f64| {
            if b + c == 0.0 {
                return 1.0;
            }
            normal_upper_tail((lead - 1.0) / (b + c).sqrt())
        };
        self.outcome(false, tail(b - c), tail(c - b))
    }

    fn outcome(&self, exact: bool, p_greater: f64, p_less: f64) -> McNemarTest {
        McNemarTest {
            difference: self.difference(),
            exact,
            p_two_sided: (2.0 * p_greater.min(p_less)).min(1.0),
            p_greater,
            p_less,
        }
    }

    /// Accuracy of the first minus accuracy of the second; 0 without images.
    pub fn difference(&self) -> f64 {
        (self.only_first as f64 - self.only_second as f64) / self.total().max(1) as f64
    }

    /// Wald's interval of the difference of two paired proportions,
    /// `d ± z · sqrt(b + c - (b - c)² / n) / n`.
    ///
    /// # Errors
    /// A level outside (0, 1), or no images.
    pub fn interval(&self, level: f64) -> Result<Interval, EvalError> {
        check_level(level)?;
        if self.total() == 0 {
            return Err(EvalError::Empty {
                what: "the table of paired outcomes",
            });
        }
        let (b, c) = (self.only_first as f64, self.only_second as f64);
        let n = self.total() as f64;
        let error = (b + c - (b - c).powi(2) / n).max(0.0).sqrt() / n;
        let z = normal_quantile(0.5 + level / 2.0);
        Ok(Interval::around(self.difference(), z * error))
    }
}

/// P(at least `heads` of `tosses` fair coins): I½(heads, tosses - heads + 1).
fn fair_coin_upper_tail(heads: u64, tosses: u64) -> f64 {
    if heads == 0 {
        return 1.0;
    }
    beta_reg(heads as f64, (tosses - heads) as f64 + 1.0, 0.5)
}
