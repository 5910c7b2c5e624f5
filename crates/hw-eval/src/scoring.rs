//! Proper scoring rules: what honest probabilities minimise.

use crate::predictions::Predictions;

/// Brier's score (1950), lower is better: the mean over samples of the squared distance between
/// the probabilities and the one-hot truth, summed over classes; 0 to 2. (For two classes this is
/// twice the score of the positive class alone, which other tools print.)
pub fn brier_score(predictions: &Predictions) -> f64 {
    let sum: f64 = predictions
        .rows()
        .zip(predictions.labels())
        .map(|(row, &label)| squared_distance(row, label as usize))
        .sum();
    sum / predictions.len() as f64
}

/// Mean cross-entropy in nats: `-ln` of the true class's probability, which is first clipped to
/// `[ε, 1 - ε]` with ε = 2⁻²³, the precision of the `f32` probabilities (scikit-learn's rule); one
/// confident mistake thus costs at most 15.9.
pub fn log_loss(predictions: &Predictions) -> f64 {
    let epsilon = f64::from(f32::EPSILON);
    let sum: f64 = predictions
        .rows()
        .zip(predictions.labels())
        .map(|(row, &label)| {
            let p = f64::from(row[label as usize]);
            -p.clamp(epsilon, 1.0 - epsilon).ln()
        })
        .sum();
    sum / predictions.len() as f64
}

fn squared_distance(row: &[f32], label: usize) -> f64 {
    row.iter()
        .enumerate()
        .map(|(class, &p)| {
            let truth = f64::from(u8::from(class == label));
            (f64::from(p) - truth).powi(2)
        })
        .sum()
}
