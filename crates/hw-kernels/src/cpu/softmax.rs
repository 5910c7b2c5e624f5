//! Softmax, and the losses built on it.
//!
//! Arrays are `[n, k, inner]`: classes or channels on the middle axis, `inner` positions each.

use super::math::exp;
use super::parallel::for_each_row_block;
use super::simd::vectorised;

vectorised! {
    /// `y = exp(x - max)` and per position the sum over the classes, left in `sums`; one image.
    fn exponentials(x: &[f32], y: &mut [f32], highest: &mut [f32], sums: &mut [f32]) {
        let inner = sums.len();
        highest.fill(f32::NEG_INFINITY);
        for row in x.chunks_exact(inner) {
            for (highest, x) in highest.iter_mut().zip(row) {
                // The unusual comparison lets NaN through.
                *highest = if *x <= *highest { *highest } else { *x };
            }
        }
        for (row, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)) {
            for ((x, y), highest) in row.iter().zip(y).zip(highest.iter()) {
                *y = x - highest;
            }
        }
        for y in y.iter_mut() {
            *y = exp(*y);
        }
        sums.fill(0.0);
        for row in y.chunks_exact(inner) {
            for (sum, y) in sums.iter_mut().zip(row) {
                *sum += y;
            }
        }
    }
}

/// Room for the maximum and the sum of every position of one image.
struct Totals(Vec<f32>);

impl Totals {
    fn new(inner: usize) -> Self {
        Self(vec![0.0; 2 * inner])
    }

    fn halves(&mut self) -> (&mut [f32], &mut [f32]) {
        let middle = self.0.len() / 2;
        self.0.split_at_mut(middle)
    }
}

/// `y = exp(x) / Σ exp(x)`, the sum over the classes. Shapes `[n, k, inner]`.
///
/// # Panics
/// When the lengths differ or are no multiple of `k * inner`.
pub fn softmax(x: &[f32], y: &mut [f32], k: usize, inner: usize) {
    assert_eq!(x.len(), y.len());
    for_each_row_block(y, k * inner, |start, y| {
        let mut totals = Totals::new(inner);
        let (highest, sums) = totals.halves();
        let images = x[start..start + y.len()].chunks_exact(k * inner);
        for (x, y) in images.zip(y.chunks_exact_mut(k * inner)) {
            exponentials(x, y, highest, sums);
            sums.iter_mut().for_each(|sum| *sum = 1.0 / *sum);
            for row in y.chunks_exact_mut(inner) {
                for (y, factor) in row.iter_mut().zip(sums.iter()) {
                    *y *= factor;
                }
            }
        }
    });
}

/// `dx = y (dy - Σ y dy)`, given `y = softmax(x)`. Shapes `[n, k, inner]`.
///
/// # Panics
/// As [`softmax`].
pub fn softmax_backward(y: &[f32], dy: &[f32], dx: &mut [f32], k: usize, inner: usize) {
    assert!(y.len() == dx.len() && dy.len() == dx.len());
    for_each_row_block(dx, k * inner, |start, dx| {
        let mut dots = vec![0.0; inner];
        for (i, dx) in dx.chunks_exact_mut(k * inner).enumerate() {
            let from = start + i * k * inner;
            let (y, dy) = (&y[from..from + k * inner], &dy[from..from + k * inner]);
            dots.fill(0.0);
            for (y, dy) in y.chunks_exact(inner).zip(dy.chunks_exact(inner)) {
                for ((dot, y), dy) in dots.iter_mut().zip(y).zip(dy) {
                    *dot += y * dy;
                }
            }
            for (j, dx) in dx.iter_mut().enumerate() {
                *dx = y[j] * (dy[j] - dots[j % inner]);
            }
        }
    });
}

/// What changes a cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms<'a> {
    /// γ of the focal loss, 0 for none.
    pub gamma: f32,
    /// The share of the target spread over all classes.
    pub smoothing: f32,
    /// How much each class counts; all the same if absent.
    pub class_weights: Option<&'a [f32]>,
}

/// The mean over the rows of `-w_y Σ_j t_j (1-p_j)^γ log p_j` with `p = softmax(logits)`, label `y`,
/// target `t_j = (1-ε) [j = y] + ε/k` and class weights `w`; leaves its gradient in `dx`. Shapes:
/// `logits` and `dx [n, k]`, `labels [n]`.
///
/// # Panics
/// When lengths do not agree, there is no row, or a label is not below `k`.
pub fn loss(logits: &[f32], labels: &[u32], k: usize, terms: Terms<'_>, dx: &mut [f32]) -> f32 {
    assert!(!labels.is_empty() && logits.len() == labels.len() * k && logits.len() == dx.len());
    let (mut highest, mut sum) = ([0.0], [0.0]);
    let rows = labels.len() as f32;
    let spread = terms.smoothing / k as f32;
    let mut total = 0.0f64;
    let pairs = logits.chunks_exact(k).zip(dx.chunks_exact_mut(k));
    for ((x, dx), &label) in pairs.zip(labels) {
        exponentials(x, dx, &mut highest, &mut sum);
        let log_sum = sum[0].ln();
        let weight = terms.class_weights.map_or(1.0, |w| w[label as usize]);
        // dx holds p, then q_j = t_j df/dp_j p_j, from which dx_j = q_j - p_j Σ q.
        let (mut value, mut sum_q) = (0.0f64, 0.0f32);
        let q = |j: usize, p: f32| {
            let certain = f32::from(u8::from(j == label as usize)) * (1.0 - terms.smoothing);
            let target = certain + spread;
            let log_p = (x[j] - highest[0]) - log_sum;
            let (f, slope) = focal(terms.gamma, p, log_p);
            (target * f, target * slope)
        };
        for (j, p) in dx.iter_mut().enumerate() {
            *p /= sum[0];
            let (f, slope) = q(j, *p);
            value += f64::from(f);
            sum_q += slope;
        }
        let factor = weight / rows;
        for (j, p) in dx.iter_mut().enumerate() {
            let slope = q(j, *p).1;
            *p = factor * (slope - *p * sum_q);
        }
        total += f64::from(weight) * value;
    }
    (total / labels.len() as f64) as f32
}

/// `f = -(1-p)^γ log p` and `p df/dp`.
fn focal(gamma: f32, p: f32, log_p: f32) -> (f32, f32) {
    if gamma == 0.0 {
        return (-log_p, -1.0);
    }
    // 1 - p without cancellation where p is near 1.
    let rest = -super::math::exp_m1(log_p);
    if rest <= 0.0 {
        return (0.0, 0.0);
    }
    let power = rest.powf(gamma);
    (-power * log_p, gamma * power / rest * p * log_p - power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_core::Rng;

    #[test]
    fn softmax_over_the_middle_axis_and_its_gradient_are_those_of_the_definition() {
        let (n, k, inner) = (3, 5, 4);
        let mut rng = Rng::stream(9, "test", 0);
        let mut draw = || -> Vec<f32> { (0..n * k * inner).map(|_| 3.0 * rng.normal()).collect() };
        let (x, dy) = (draw(), draw());
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        softmax(&x, &mut y, k, inner);
        softmax_backward(&y, &dy, &mut dx, k, inner);
        for (image, position) in (0..n).flat_map(|n| (0..inner).map(move |i| (n, i))) {
            let at = |class: usize| (image * k + class) * inner + position;
            let sum: f64 = (0..k).map(|j| f64::from(x[at(j)]).exp()).sum();
            let p = |j: usize| f64::from(x[at(j)]).exp() / sum;
            let dot: f64 = (0..k).map(|j| p(j) * f64::from(dy[at(j)])).sum();
            for j in 0..k {
                let gradient = p(j) * (f64::from(dy[at(j)]) - dot);
                assert!((f64::from(y[at(j)]) - p(j)).abs() < 1e-6);
                assert!((f64::from(dx[at(j)]) - gradient).abs() < 1e-6);
            }
        }
    }
}
