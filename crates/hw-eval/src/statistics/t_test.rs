//! Student's t: does a mean, or a difference of means, stand out from the spread between seeds?

use super::distributions::{t_quantile, t_upper_tail};
use super::summary::{mean, sample_std};
use crate::error::{EvalError, check_level};
use crate::interval::Interval;
use serde::{Deserialize, Serialize};

/// The outcome of a t-test on a difference of means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// The estimated difference, first minus second.
    pub difference: f64,
    /// Its standard error, above 0.
    pub standard_error: f64,
    /// Degrees of freedom.
    pub degrees_of_freedom: f64,
    /// `difference / standard_error`.
    pub statistic: f64,
    /// Chance of a difference at least as large in size if there is none.
    pub p_two_sided: f64,
    /// Chance of a difference at least as large if the first is not greater.
    pub p_greater: f64,
    /// Chance of a difference at most as large if the first is not less.
    pub p_less: f64,
}

impl TTest {
    fn new(
        what: &'static str,
        difference: f64,
        standard_error: f64,
        degrees_of_freedom: f64,
    ) -> Result<Self, EvalError> {
        let statistic = difference / standard_error;
        // Spreads so small that their square vanishes are no spread either.
        if !(standard_error > 0.0 && statistic.is_finite() && degrees_of_freedom > 0.0) {
            return Err(EvalError::NoSpread { what });
        }
        Ok(Self {
            difference,
            standard_error,
            degrees_of_freedom,
            statistic,
            p_two_sided: 2.0 * t_upper_tail(statistic.abs(), degrees_of_freedom),
            p_greater: t_upper_tail(statistic, degrees_of_freedom),
            p_less: t_upper_tail(-statistic, degrees_of_freedom),
        })
    }

    /// Chance of a difference at least as large if the true one is at most `bound`.
    pub fn p_greater_than(&self, bound: f64) -> f64 {
        let statistic = (self.difference - bound) / self.standard_error;
        t_upper_tail(statistic, self.degrees_of_freedom)
    }

    /// Chance of a difference at most as large if the true one is at least `bound`.
    pub fn p_less_than(&self, bound: f64) -> f64 {
        let statistic = (bound - self.difference) / self.standard_error;
        t_upper_tail(statistic, self.degrees_of_freedom)
    }

    /// Confidence interval of the difference.
    ///
    /// # Errors
    /// A level outside (0, 1).
    pub fn interval(&self, level: f64) -> Result<Interval, EvalError> {
        check_level(level)?;
        let t = t_quantile(0.5 + level / 2.0, self.degrees_of_freedom);
        Ok(Interval::around(self.difference, t * self.standard_error))
    }

    /// The smallest true difference that a one-sided test at `alpha` would find with probability
    /// `power`, for samples of this size and spread: `(t(1-alpha) + t(power)) · standard error`.
    ///
    /// # Errors
    /// `alpha` or `power` outside (0, 1).
    pub fn detectable_difference(&self, alpha: f64, power: f64) -> Result<f64, EvalError> {
        check_level(alpha)?;
        check_level(power)?;
        let t = |p| t_quantile(p, self.degrees_of_freedom);
        Ok((t(1.0 - alpha) + t(power)) * self.standard_error)
    }
}

/// Welch's test (1947) of mean(a) - mean(b) for independent samples whose variances may differ,
/// with Welch & Satterthwaite's degrees of freedom.
///
/// # Errors
/// Fewer than two values on a side, one that is not finite, or no spread on either side.
pub fn welch_t_test(a: &[f64], b: &[f64]) -> Result<TTest, EvalError> {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let u = sample_std(a)?.powi(2) / n;
    let v = sample_std(b)?.powi(2) / m;
    let freedom = (u + v).powi(2) / (u * u / (n - 1.0) + v * v / (m - 1.0));
    let difference = mean(a)? - mean(b)?;
    TTest::new("Welch's t-test", difference, (u + v).sqrt(), freedom)
}

/// Student's test of the mean of `a[i] - b[i]`: the same seeds, or the same folds, on both sides.
///
/// # Errors
/// Samples of different size, fewer than two pairs, a value that is not finite, or differences
/// that do not vary.
pub fn paired_t_test(a: &[f64], b: &[f64]) -> Result<TTest, EvalError> {
    if a.len() != b.len() {
        return Err(EvalError::Length {
            what: "second sample of a paired t-test",
            expected: a.len(),
            got: b.len(),
        });
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
    mean_test("the paired t-test", &differences, 0.0)
}

/// Student's test of mean(a) - `expected`, a number without spread: one that a paper reported.
///
/// # Errors
/// Fewer than two values, one that is not finite, or values that do not vary.
pub fn one_sample_t_test(a: &[f64], expected: f64) -> Result<TTest, EvalError> {
    crate::error::check_finite("expected mean", &[expected])?;
    mean_test("the one-sample t-test", a, expected)
}

fn mean_test(what: &'static str, values: &[f64], expected: f64) -> Result<TTest, EvalError> {
    let standard_error = sample_std(values)? / (values.len() as f64).sqrt();
    let freedom = values.len() as f64 - 1.0;
    TTest::new(what, mean(values)? - expected, standard_error, freedom)
}
