//! Zeros between the pixels of one image: with a convolution after it, a transposed convolution
//! (Zeiler et al. 2010).

/// Every pixel of `x [h, w, c]` followed by `stride - 1` zeros to the right and below: `y [h *
/// stride, w * stride, c]`.
///
/// # Panics
/// When a slice does not have its shape's length.
pub fn forward(h: usize, w: usize, c: usize, stride: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), h * w * c, "spread: x");
    assert_eq!(y.len(), h * w * c * stride * stride, "spread: y");
    y.fill(0.0);
    let rows = y.chunks_exact_mut(w * c * stride).step_by(stride);
    for (x, y) in x.chunks_exact(w * c).zip(rows) {
        let pixels = y.chunks_exact_mut(c).step_by(stride);
        for (x, y) in x.chunks_exact(c).zip(pixels) {
            y.copy_from_slice(x);
        }
    }
}

/// The gradient of [`forward`] in `x`, given `dy` shaped as `y`; `dx [h, w, c]` is overwritten.
///
/// # Panics
/// When a slice does not have its shape's length.
pub fn backward(h: usize, w: usize, c: usize, stride: usize, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dx.len(), h * w * c, "spread: dx");
    assert_eq!(dy.len(), h * w * c * stride * stride, "spread: dy");
    let rows = dy.chunks_exact(w * c * stride).step_by(stride);
    for (dx, dy) in dx.chunks_exact_mut(w * c).zip(rows) {
        let pixels = dy.chunks_exact(c).step_by(stride);
        for (dx, dy) in dx.chunks_exact_mut(c).zip(pixels) {
            dx.copy_from_slice(dy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nhwc::tests::{dot, draws};
    use hw_core::Rng;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn pixels_land_a_stride_apart_with_zeros_between_and_the_gradient_is_the_adjoint(
            h in 1usize..6, w in 1usize..6, c in 1usize..9, stride in 1usize..4, seed in any::<u64>(),
        ) {
            let mut rng = Rng::stream(seed, "test", 0);
            let x = draws(&mut rng, h * w * c);
            let mut y = vec![f32::NAN; x.len() * stride * stride];
            forward(h, w, c, stride, &x, &mut y);
            for (i, value) in y.iter().enumerate() {
                let (row, column, m) = (i / c / (w * stride), i / c % (w * stride), i % c);
                let kept = row % stride == 0 && column % stride == 0;
                let from = (row / stride * w + column / stride) * c + m;
                prop_assert_eq!(*value, if kept { x[from] } else { 0.0 });
            }
            let dy = draws(&mut rng, y.len());
            let mut dx = vec![f32::NAN; x.len()];
            backward(h, w, c, stride, &dy, &mut dx);
            prop_assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-9);
        }
    }
}
