//! Euclidean radial basis functions of one vector (LeCun et al. 1998, section II.B), as scores: the
//! nearer the center, the higher.

use crate::cpu::simd::vectorised;

vectorised! {
    /// `y[k] = -sum over d of (x[d] - centers[k, d])² / 2`, with `centers [classes, features]`.
    pub fn forward(x: &[f32], centers: &[f32], y: &mut [f32]) {
        for (y, center) in y.iter_mut().zip(centers.chunks_exact(x.len())) {
            *y = -0.5 * squared_distance(x, center);
        }
    }
}

vectorised! {
    /// The gradient of [`forward`] in `x`: `dx[d] = sum over k of dy[k] (centers[k, d] - x[d])`; `dx`
    /// is overwritten.
    pub fn backward(x: &[f32], centers: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        for (dy, center) in dy.iter().zip(centers.chunks_exact(x.len())) {
            for ((dx, x), center) in dx.iter_mut().zip(x).zip(center) {
                *dx += dy * (center - x);
            }
        }
    }
}

/// Sums that are kept side by side, so that the loop is a few vector instructions.
const ABREAST: usize = 16;

#[inline(always)]
fn squared_distance(x: &[f32], center: &[f32]) -> f32 {
    let (runs, rest) = x.as_chunks::<ABREAST>();
    let (centers, rest_centers) = center.as_chunks::<ABREAST>();
    let mut sums = [0.0f32; ABREAST];
    for (x, center) in runs.iter().zip(centers) {
        for ((sum, x), center) in sums.iter_mut().zip(x).zip(center) {
            *sum += (x - center) * (x - center);
        }
    }
    for ((sum, x), center) in sums.iter_mut().zip(rest).zip(rest_centers) {
        *sum += (x - center) * (x - center);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nhwc::tests::{close, draws};
    use hw_core::Rng;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn scores_and_gradient_are_the_sums_of_their_definition(
            features in 1usize..100, classes in 1usize..12, seed in any::<u64>(),
        ) {
            let mut rng = Rng::stream(seed, "test", 0);
            let (x, centers) = (draws(&mut rng, features), draws(&mut rng, classes * features));
            let dy = draws(&mut rng, classes);
            let away = |k: usize, d: usize| f64::from(x[d]) - f64::from(centers[k * features + d]);
            let score = |k: usize| -0.5 * (0..features).map(|d| away(k, d).powi(2)).sum::<f64>();
            let gradient = |d| -> f64 { (0..classes).map(|k| -f64::from(dy[k]) * away(k, d)).sum() };
            let (mut y, mut dx) = (vec![f32::NAN; classes], vec![f32::NAN; features]);
            forward(&x, &centers, &mut y);
            backward(&x, &centers, &dy, &mut dx);
            close(&y, &(0..classes).map(score).collect::<Vec<_>>()).unwrap();
            close(&dx, &(0..features).map(gradient).collect::<Vec<_>>()).unwrap();
        }
    }
}
