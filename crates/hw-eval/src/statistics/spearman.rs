//! Spearman's rank correlation: does one number rise with another, by whatever curve?

use super::distributions::t_upper_tail;
use super::summary::mean;
use crate::error::{EvalError, check_finite};
use serde::{Deserialize, Serialize};

/// Spearman's rank correlation and its test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spearman {
    /// Number of pairs.
    pub count: usize,
    /// The correlation of the ranks, -1 to 1; equal values share their mean rank.
    pub rho: f64,
    /// Chance of a correlation at least as strong if there is none, by Student's t with
    /// `count - 2` degrees of freedom (an approximation below about ten pairs).
    pub p_two_sided: f64,
}

/// Spearman's rank correlation of the pairs `(x[i], y[i])`.
///
/// # Errors
/// Lists of different length, fewer than three pairs, a value that is not finite, or a list whose
/// values are all equal.
pub fn spearman(x: &[f64], y: &[f64]) -> Result<Spearman, EvalError> {
    if x.len() != y.len() {
        return Err(EvalError::Length {
            what: "second list of a rank correlation",
            expected: x.len(),
            got: y.len(),
        });
    }
    if x.len() < 3 {
        return Err(EvalError::TooFew {
            what: "Spearman's rank correlation",
            needed: 3,
            got: x.len(),
        });
    }
    check_finite("first list of a rank correlation", x)?;
    check_finite("second list of a rank correlation", y)?;
    let rho = correlation(&ranks(x), &ranks(y))?;
    let freedom = x.len() as f64 - 2.0;
    let statistic = rho.abs() * (freedom / ((1.0 - rho) * (1.0 + rho))).sqrt();
    Ok(Spearman {
        count: x.len(),
        rho,
        p_two_sided: if rho.abs() == 1.0 {
            0.0
        } else {
            2.0 * t_upper_tail(statistic, freedom)
        },
    })
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&index| ranks[index] = rank);
        before += equal.len();
    }
    ranks
}

/// Pearson's correlation.
fn correlation(x: &[f64], y: &[f64]) -> Result<f64, EvalError> {
    let (mean_x, mean_y) = (mean(x)?, mean(y)?);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean_x, b - mean_y);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    if xx == 0.0 || yy == 0.0 {
        return Err(EvalError::NoSpread {
            what: "Spearman's rank correlation",
        });
    }
    Ok((xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}
