//! Accuracies as counts: does a difference stand out from the noise of a finite test set?

use super::distributions::normal_upper_tail;
use crate::error::EvalError;
use crate::interval::{Interval, check_proportion, wilson};
use serde::{Deserialize, Serialize};

/// Successes among trials: images classified correctly, of a test set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proportion {
    /// Number of successes, at most `total`.
    pub successes: u64,
    /// Number of trials, at least one.
    pub total: u64,
}

impl Proportion {
    /// `successes / total`.
    pub fn share(&self) -> f64 {
        self.successes as f64 / self.total as f64
    }

    fn checked(self) -> Result<Self, EvalError> {
        check_proportion(self.successes, self.total)?;
        Ok(self)
    }
}

/// The pooled z-test of two independent proportions.
///
/// Two models tested on the same images are not independent: they stumble over the same ones, and
/// this test then finds less than [`super::PairedOutcomes`] would. It errs towards "noise".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoProportionTest {
    /// First share minus second share.
    pub difference: f64,
    /// The difference over its pooled standard error; 0 if the shares are equal.
    pub statistic: f64,
    /// Chance of a difference at least as large in size if there is none.
    pub p_two_sided: f64,
    /// Chance of a difference at least as large if the first is not greater.
    pub p_greater: f64,
    /// Chance of a difference at most as large if the first is not less.
    pub p_less: f64,
    a: Proportion,
    b: Proportion,
}

impl TwoProportionTest {
    /// Tests share(a) - share(b).
    ///
    /// # Errors
    /// A total of zero, or more successes than trials.
    pub fn of(a: Proportion, b: Proportion) -> Result<Self, EvalError> {
        let (a, b) = (a.checked()?, b.checked()?);
        let (n, m) = (a.total as f64, b.total as f64);
        let pooled = (a.successes as f64 + b.successes as f64) / (n + m);
        let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        let difference = a.share() - b.share();
        // Without any success, or any failure, both shares are equal and the error is 0.
        let statistic = if difference == 0.0 {
            0.0
        } else {
            difference / error
        };
        Ok(Self {
            difference,
            statistic,
            p_two_sided: 2.0 * normal_upper_tail(statistic.abs()),
            p_greater: normal_upper_tail(statistic),
            p_less: normal_upper_tail(-statistic),
            a,
            b,
        })
    }

    /// Newcombe's interval (1998, method 10) of the difference, from the two Wilson intervals.
    ///
    /// # Errors
    /// A level outside (0, 1).
    pub fn interval(&self, level: f64) -> Result<Interval, EvalError> {
        crate::error::check_level(level)?;
        let wilson = |p: Proportion| wilson(p.successes as f64, p.total as f64, level);
        let (a, b) = (wilson(self.a), wilson(self.b));
        let (p, q) = (self.a.share(), self.b.share());
        Ok(Interval {
            low: self.difference - (p - a.low).hypot(b.high - q),
            high: self.difference + (a.high - p).hypot(q - b.low),
        })
    }
}

/// The score z-test of a proportion against a number without spread: one that a paper reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneProportionTest {
    /// Share minus the expected share.
    pub difference: f64,
    /// The difference over `sqrt(p0 (1 - p0) / n)` with the expected share p0.
    pub statistic: f64,
    /// Chance of a share at least as large if the true one is not above the expected.
    pub p_greater: f64,
    /// Chance of a share at most as large if the true one is not below the expected.
    pub p_less: f64,
}

impl OneProportionTest {
    /// Tests share(a) - `expected`.
    ///
    /// # Errors
    /// A total of zero, more successes than trials, or an expected share outside (0, 1).
    pub fn of(a: Proportion, expected: f64) -> Result<Self, EvalError> {
        let a = a.checked()?;
        if !(expected > 0.0 && expected < 1.0) {
            return Err(EvalError::OutOfRange {
                what: "the expected share",
                value: expected,
                expected: "between 0 and 1, both excluded",
            });
        }
        let difference = a.share() - expected;
        let statistic = difference / (expected * (1.0 - expected) / a.total as f64).sqrt();
        Ok(Self {
            difference,
            statistic,
            p_greater: normal_upper_tail(statistic),
            p_less: normal_upper_tail(-statistic),
        })
    }
}
