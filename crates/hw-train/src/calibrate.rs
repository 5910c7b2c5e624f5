//! Probabilities that mean what they say: one temperature for all logits (Guo, Pleiss, Sun &
//! Weinberger 2017), chosen on images that were not trained on.

/// Images that suffice to choose one number.
pub(crate) const IMAGES: usize = 10_000;

/// The `t` with which `softmax(logits / t)` has the least cross-entropy, between `e^-2` and `e^2`, by
/// golden section on its logarithm, in which the cross-entropy has one minimum. `logits` holds `classes`
/// numbers for each label.
///
/// ```
/// // Right three times of four, and as sure each time: e^(1/t) must be three times 1.
/// let logits = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
/// let t = hw_train::calibrate::temperature(&logits, 2, &[0, 0, 0, 1]);
/// assert!((t - 1.0 / 3f32.ln()).abs() < 1e-3);
/// ```
///
/// # Panics
/// When there are fewer logits than labels ask for, or a label is no class.
pub fn temperature(logits: &[f32], classes: usize, labels: &[u32]) -> f32 {
    let loss = |log_t: f64| -> f64 {
        let t = log_t.exp();
        let rows = logits.chunks_exact(classes).zip(labels);
        rows.map(|(row, &label)| cross_entropy(row, label, t)).sum()
    };
    assert!(logits.len() >= classes * labels.len(), "too few logits");
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-2.0f64, 2.0f64);
    let mut inner = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut losses = inner.map(loss);
    while high - low > 1e-3 {
        if losses[0] < losses[1] {
            high = inner[1];
            inner = [high - ratio * (high - low), inner[0]];
            losses = [loss(inner[0]), losses[0]];
        } else {
            low = inner[0];
            inner = [inner[1], low + ratio * (high - low)];
            losses = [losses[1], loss(inner[1])];
        }
    }
    (0.5 * (low + high)).exp() as f32
}

/// `-log softmax(logits / t)[label]`.
pub(crate) fn cross_entropy(logits: &[f32], label: u32, t: f64) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scaled = |x: f32| f64::from(x - highest) / t;
    let sum: f64 = logits.iter().map(|&x| scaled(x).exp()).sum();
    sum.ln() - scaled(logits[label as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_core::Rng;
    use proptest::prelude::{any, prop_assert, proptest};

    proptest! {
        #[test]
        fn no_temperature_nearby_fits_better_and_larger_logits_need_a_larger_one(
            seed in any::<u64>(), scale in 0.5f32..2.0,
        ) {
            let mut rng = Rng::stream(seed, "test", 0);
            let labels: Vec<u32> = (0..200).map(|_| rng.below(4) as u32).collect();
            // Their own class ahead by about one, so that the best temperature is no bound.
            let logits: Vec<f32> = labels
                .iter()
                .flat_map(|&label| std::array::from_fn::<f32, 4, _>(|class| {
                    rng.normal() + f32::from(u8::from(class as u32 == label))
                }))
                .collect();
            let t = f64::from(temperature(&logits, 4, &labels));
            let loss = |t: f64| -> f64 {
                let rows = logits.chunks_exact(4).zip(&labels);
                rows.map(|(row, &label)| cross_entropy(row, label, t)).sum()
            };
            prop_assert!(loss(t) < loss(0.98 * t) && loss(t) < loss(1.02 * t), "{}", t);
            let scaled: Vec<f32> = logits.iter().map(|x| scale * x).collect();
            let found = f64::from(temperature(&scaled, 4, &labels)) / f64::from(scale);
            prop_assert!((found / t - 1.0).abs() < 5e-3, "{} {}", found, t);
        }
    }
}
