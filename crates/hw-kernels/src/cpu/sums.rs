//! Sums in a fixed order that the compiler can vectorise: sixteen running sums, added up at the
//! end.

use super::simd::vectorised;

const LANES: usize = 16;

#[inline(always)]
fn reduce(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail = xs.remainder().iter().zip(ys.remainder());
    let rest: f32 = tail.fold(0.0, |sum, (x, y)| sum + term(*x, *y));
    for (x, y) in xs.zip(ys) {
        for i in 0..LANES {
            lanes[i] += term(x[i], y[i]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0] + rest
}

vectorised! {
    /// `Σ x`
    pub fn sum(x: &[f32]) -> f32 {
        reduce(x, x, |x, _| x)
    }
}

vectorised! {
    /// `Σ (x - centre)²`
    pub fn sum_of_squares(x: &[f32], centre: f32) -> f32 {
        reduce(x, x, |x, _| (x - centre) * (x - centre))
    }
}

vectorised! {
    /// `Σ (x - centre) y`
    pub fn dot(x: &[f32], centre: f32, y: &[f32]) -> f32 {
        reduce(x, y, |x, y| (x - centre) * y)
    }
}

vectorised! {
    /// `y += x`
    pub fn add(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y += x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    proptest! {
        #[test]
        fn the_sums_are_those_of_double_precision(x in proptest::collection::vec(-2f32..2.0, 0..200)) {
            let y: Vec<f32> = x.iter().map(|x| 1.0 - x).collect();
            let exact = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
                x.iter().zip(&y).map(|(x, y)| term((*x).into(), (*y).into())).sum()
            };
            let close = |ours: f32, exact: f64| (f64::from(ours) - exact).abs() < 2e-4;
            prop_assert!(close(sum(&x), exact(&|x, _| x)));
            prop_assert!(close(sum_of_squares(&x, 0.5), exact(&|x, _| (x - 0.5) * (x - 0.5))));
            prop_assert!(close(dot(&x, 0.5, &y), exact(&|x, y| (x - 0.5) * y)));
        }
    }
}
