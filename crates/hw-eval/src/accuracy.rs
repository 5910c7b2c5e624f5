//! How often the right class came first, or among the first k.

use crate::error::EvalError;
use crate::predictions::Predictions;

/// Share of samples whose most probable class is the true one (the lowest class among equals).
pub fn accuracy(predictions: &Predictions) -> f64 {
    let correct = predictions.correct().into_iter().filter(|&c| c).count();
    correct as f64 / predictions.len() as f64
}

/// Share of samples whose true class is among the `k` most probable.
///
/// Equal probabilities rank by class index, so that `k = 1` is [`accuracy`] exactly.
///
/// # Errors
/// `k` of zero. A `k` of at least the number of classes gives 1.
pub fn top_k_accuracy(predictions: &Predictions, k: usize) -> Result<f64, EvalError> {
    if k == 0 {
        return Err(EvalError::OutOfRange {
            what: "k of top-k accuracy",
            value: 0.0,
            expected: "at least 1",
        });
    }
    let hits = predictions
        .rows()
        .zip(predictions.labels())
        .filter(|&(row, &label)| rank(row, label as usize) < k)
        .count();
    Ok(hits as f64 / predictions.len() as f64)
}

/// How many classes come before `class` in order of falling probability.
fn rank(row: &[f32], class: usize) -> usize {
    let p = row[class];
    let before = row[..class].iter().filter(|&&q| q >= p).count();
    let after = row[class + 1..].iter().filter(|&&q| q > p).count();
    before + after
}
