//! Holm's correction: several tests, one error rate.

use crate::error::{EvalError, check_finite};

/// Holm's step-down adjustment (1979) of the p-values of a family of tests, in their order.
/// Rejecting those below α keeps the chance of any false rejection below α, whatever the
/// dependence between the tests.
///
/// # Errors
/// A p-value outside [0, 1].
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, EvalError> {
    check_finite("p-values", p_values)?;
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(EvalError::OutOfRange {
            what: "a p-value",
            value,
            expected: "between 0 and 1",
        });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (step, &index) in order.iter().enumerate() {
        let remaining = (p_values.len() - step) as f64;
        largest = largest.max((remaining * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}
