//! One number a seed: their mean, spread and confidence interval.

use super::distributions::t_quantile;
use crate::error::{EvalError, check_finite, check_level};
use crate::interval::Interval;
use serde::{Deserialize, Serialize};

/// Values measured under different seeds, summarised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of values.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (denominator `count - 1`); `None` for a single value.
    pub std: Option<f64>,
    /// Confidence interval of the mean, `mean ± t · std / sqrt(count)` with Student's t of
    /// `count - 1` degrees of freedom; `None` for a single value.
    pub interval: Option<Interval>,
    /// Confidence level of `interval`.
    pub level: f64,
    /// Smallest value.
    pub minimum: f64,
    /// Largest value.
    pub maximum: f64,
}

impl Summary {
    /// What mean, spread and interval are, in a sentence a report can quote.
    pub fn description() -> &'static str {
        "Over seeds: the arithmetic mean, the sample standard deviation (denominator n - 1) and \
         Student's t interval of the mean; a single seed has neither spread nor interval."
    }

    /// Summarises `values` with a confidence interval of 95 %.
    ///
    /// # Errors
    /// No value, or one that is not finite.
    pub fn of(values: &[f64]) -> Result<Self, EvalError> {
        Self::with_level(values, 0.95)
    }

    /// Summarises `values` with a confidence interval of the given `level`.
    ///
    /// # Errors
    /// No value, one that is not finite, or a level outside (0, 1).
    pub fn with_level(values: &[f64], level: f64) -> Result<Self, EvalError> {
        check_level(level)?;
        let mean = mean(values)?;
        let std = sample_std(values).ok();
        let count = values.len();
        let half = |std: f64| t_two_sided(level, count) * std / (count as f64).sqrt();
        Ok(Self {
            count,
            mean,
            std,
            interval: std.map(|std| Interval::around(mean, half(std))),
            level,
            minimum: values.iter().copied().fold(f64::INFINITY, f64::min),
            maximum: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// Where one further value would lie, at the summary's level: `mean ± t · std · sqrt(1 + 1/n)`;
    /// `None` for a single value. Normal values are assumed.
    pub fn prediction_interval(&self) -> Option<Interval> {
        let widen = (1.0 + 1.0 / self.count as f64).sqrt();
        let half = t_two_sided(self.level, self.count) * self.std? * widen;
        Some(Interval::around(self.mean, half))
    }
}

fn t_two_sided(level: f64, count: usize) -> f64 {
    t_quantile(0.5 + level / 2.0, (count - 1) as f64)
}

/// Arithmetic mean.
///
/// # Errors
/// No value, or one that is not finite.
pub fn mean(values: &[f64]) -> Result<f64, EvalError> {
    if values.is_empty() {
        return Err(EvalError::Empty {
            what: "the sample of a mean",
        });
    }
    check_finite("the sample of a mean", values)?;
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (denominator `n - 1`); exactly 0 if all values are equal.
///
/// # Errors
/// Fewer than two values, or one that is not finite.
pub fn sample_std(values: &[f64]) -> Result<f64, EvalError> {
    if values.len() < 2 {
        return Err(EvalError::TooFew {
            what: "a standard deviation",
            needed: 2,
            got: values.len(),
        });
    }
    let mean = mean(values)?;
    // The mean of equal values may differ from them by a rounding, which is no spread.
    if values.iter().all(|&value| value == values[0]) {
        return Ok(0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Ok((squares / (values.len() - 1) as f64).sqrt())
}
