//! An interval around an estimate, and the one for a proportion such as accuracy.

use crate::error::{EvalError, check_level};
use crate::statistics::distributions::normal_quantile;
use serde::{Deserialize, Serialize};

/// A closed interval, in the units of the estimate it surrounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `centre` plus and minus `half_width`.
    pub fn around(centre: f64, half_width: f64) -> Self {
        Self {
            low: centre - half_width,
            high: centre + half_width,
        }
    }

    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Upper minus lower end.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

/// Wilson's score interval for a proportion (Wilson 1927): the true rates that a two-sided score
/// test at `1 - level` would not reject. Unlike `p ± z·sqrt(p(1-p)/n)` it stays inside `[0, 1]`
/// and keeps its coverage near 0 and 1, where test accuracies live.
///
/// # Errors
/// `total` of zero, more successes than `total`, or a level outside (0, 1).
pub fn wilson_interval(successes: u64, total: u64, level: f64) -> Result<Interval, EvalError> {
    check_level(level)?;
    check_proportion(successes, total)?;
    Ok(wilson(successes as f64, total as f64, level))
}

/// Refuses counts that are no proportion.
pub(crate) fn check_proportion(successes: u64, total: u64) -> Result<(), EvalError> {
    if total == 0 {
        return Err(EvalError::Empty {
            what: "the sample of a proportion",
        });
    }
    if successes > total {
        return Err(EvalError::OutOfRange {
            what: "the number of successes",
            value: successes as f64,
            expected: "at most the number of trials",
        });
    }
    Ok(())
}

/// [`wilson_interval`] for arguments already checked.
pub(crate) fn wilson(successes: f64, total: f64, level: f64) -> Interval {
    let z = normal_quantile(0.5 + level / 2.0);
    let p = successes / total;
    let z2n = z * z / total;
    let centre = (p + z2n / 2.0) / (1.0 + z2n);
    let half = z / (1.0 + z2n) * (p * (1.0 - p) / total + z2n / (4.0 * total)).sqrt();
    // The ends are exactly 0 and 1 there; rounding must not push the estimate out of its interval.
    Interval {
        low: if successes == 0.0 {
            0.0
        } else {
            (centre - half).clamp(0.0, p)
        },
        high: if successes == total {
            1.0
        } else {
            (centre + half).clamp(p, 1.0)
        },
    }
}
