//! Quantiles of a sample, interpolated linearly (type 7 of Hyndman & Fan 1996, NumPy's default).

use crate::error::{EvalError, check_finite};

/// The value below which the `share` (0 to 1) of `values` lies.
///
/// # Errors
/// No value, one that is not finite, or a share outside [0, 1].
pub fn quantile(values: &[f64], share: f64) -> Result<f64, EvalError> {
    if values.is_empty() {
        return Err(EvalError::Empty {
            what: "the sample of a quantile",
        });
    }
    check_finite("the sample of a quantile", values)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(EvalError::OutOfRange {
            what: "the share of a quantile",
            value: share,
            expected: "between 0 and 1",
        });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(quantile_of_sorted(&sorted, share))
}

/// [`quantile`] of values that are sorted, finite and at least one.
pub(crate) fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = share * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}
