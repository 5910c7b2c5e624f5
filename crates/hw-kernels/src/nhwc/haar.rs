//! One level of the two-dimensional Haar wavelet transform (Haar 1910; Mallat 1989) of one image's
//! maps, and its adjoint.
//!
//! Of a window `(a b; c d)` of 2 x 2 pixels the low band is `(a + b + c + d) / 2`, the details are
//! `(a + b - c - d) / 2`, `(a - b + c - d) / 2` and `(a - b - c + d) / 2`. A pixel of the output
//! holds the low bands of all maps, then the three details of each: detail `d` of map `m` is channel
//! `channels + 3 * m + d`. Maps of odd size are continued with zeros below and to the right.

use crate::cpu::simd::vectorised;

/// Floats of the transform of `[h, w, c]`: pixels of half the size, with `c` or `4 * c` channels.
pub fn output_len(h: usize, w: usize, c: usize, low_only: bool) -> usize {
    h.div_ceil(2) * w.div_ceil(2) * out_channels(c, low_only)
}

fn out_channels(c: usize, low_only: bool) -> usize {
    if low_only { c } else { 4 * c }
}

/// The transform of `x [h, w, c]`: `y [h/2, w/2, 4c]`, or only the low bands, `[h/2, w/2, c]`; sizes
/// are rounded up.
///
/// # Panics
/// When a slice does not have its shape's length.
pub fn forward(h: usize, w: usize, c: usize, low_only: bool, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), h * w * c, "haar: x");
    assert_eq!(y.len(), output_len(h, w, c, low_only), "haar: y");
    analyze([h, w, c], low_only, x, y);
}

/// The gradient of [`forward`] in `x`, given `dy` shaped as `y`; `dx [h, w, c]` is overwritten.
///
/// # Panics
/// When a slice does not have its shape's length.
pub fn backward(h: usize, w: usize, c: usize, low_only: bool, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dx.len(), h * w * c, "haar: dx");
    assert_eq!(dy.len(), output_len(h, w, c, low_only), "haar: dy");
    synthesize([h, w, c], low_only, dy, dx);
}

/// Where a window starts, and whether it has a column to the right and a row below.
fn windows(h: usize, w: usize) -> impl Iterator<Item = (usize, [bool; 2])> {
    let rows = (0..h).step_by(2);
    rows.flat_map(move |y| {
        let columns = (0..w).step_by(2);
        columns.map(move |x| (y * w + x, [x + 1 < w, y + 1 < h]))
    })
}

vectorised! {
    fn analyze(shape: [usize; 3], low_only: bool, x: &[f32], y: &mut [f32]) {
        let [h, w, c] = shape;
        let pixels = y.chunks_exact_mut(out_channels(c, low_only));
        for ((pixel, whole), y) in windows(h, w).zip(pixels) {
            let (x, (low, details)) = (&x[pixel * c..], y.split_at_mut(c));
            match whole {
                [true, true] => analyze_window::<true, true>(x, w, low, details),
                [true, false] => analyze_window::<true, false>(x, w, low, details),
                [false, true] => analyze_window::<false, true>(x, w, low, details),
                [false, false] => analyze_window::<false, false>(x, w, low, details),
            }
        }
    }
}

/// The window whose upper left pixel is the first of `x`; pixels that are not there count as 0.
#[inline(always)]
fn analyze_window<const RIGHT: bool, const BELOW: bool>(
    x: &[f32],
    w: usize,
    low: &mut [f32],
    details: &mut [f32],
) {
    let c = low.len();
    let pixel = |there: bool, at: usize| if there { &x[at * c..][..c] } else { &x[..c] };
    let (a, b) = (pixel(true, 0), pixel(RIGHT, 1));
    let (d, e) = (pixel(BELOW, w), pixel(RIGHT && BELOW, w + 1));
    let sums = |m: usize| {
        let (a, b) = (a[m], if RIGHT { b[m] } else { 0.0 });
        let d = if BELOW { d[m] } else { 0.0 };
        let e = if RIGHT && BELOW { e[m] } else { 0.0 };
        [a + b, d + e, a - b, d - e]
    };
    for (m, low) in low.iter_mut().enumerate() {
        let [upper, lower, ..] = sums(m);
        *low = (upper + lower) * 0.5;
    }
    for (m, details) in details.chunks_exact_mut(3).enumerate() {
        let [upper, lower, above, below] = sums(m);
        details[0] = (upper - lower) * 0.5;
        details[1] = (above + below) * 0.5;
        details[2] = (above - below) * 0.5;
    }
}

vectorised! {
    fn synthesize(shape: [usize; 3], low_only: bool, dy: &[f32], dx: &mut [f32]) {
        let [h, w, c] = shape;
        let pixels = dy.chunks_exact(out_channels(c, low_only));
        for ((pixel, [right, below]), dy) in windows(h, w).zip(pixels) {
            let (low, details) = dy.split_at(c);
            let mut put = |there: bool, at: usize, signs: [f32; 3]| {
                if there {
                    synthesize_pixel(low, details, signs, &mut dx[(pixel + at) * c..][..c]);
                }
            };
            put(true, 0, [1.0, 1.0, 1.0]);
            put(right, 1, [1.0, -1.0, -1.0]);
            put(below, w, [-1.0, 1.0, -1.0]);
            put(right && below, w + 1, [-1.0, -1.0, 1.0]);
        }
    }
}

/// The pixel of a window in which the details have these signs.
#[inline(always)]
fn synthesize_pixel(low: &[f32], details: &[f32], signs: [f32; 3], dx: &mut [f32]) {
    if details.is_empty() {
        for (dx, low) in dx.iter_mut().zip(low) {
            *dx = 0.5 * low;
        }
        return;
    }
    for ((dx, low), details) in dx.iter_mut().zip(low).zip(details.chunks_exact(3)) {
        let [horizontal, vertical, diagonal] = signs;
        let sum = horizontal * details[0] + vertical * details[1] + diagonal * details[2];
        *dx = 0.5 * (low + sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nhwc::tests::{close, dot, draws};
    use hw_core::Rng;
    use proptest::prelude::{any, prop_assert, proptest};

    /// The transform by its definition.
    fn exact([h, w, c]: [usize; 3], low_only: bool, x: &[f32]) -> Vec<f64> {
        let mut y = Vec::new();
        for (oy, ox) in (0..h.div_ceil(2)).flat_map(|y| (0..w.div_ceil(2)).map(move |x| (y, x))) {
            let window = |m: usize| {
                [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| {
                    let (y, x_) = (2 * oy + i, 2 * ox + j);
                    let inside = y < h && x_ < w;
                    if inside {
                        f64::from(x[(y * w + x_) * c + m])
                    } else {
                        0.0
                    }
                })
            };
            let band = |m, signs: [f64; 4]| {
                let products = window(m).into_iter().zip(signs).map(|(x, sign)| x * sign);
                products.sum::<f64>() / 2.0
            };
            y.extend((0..c).map(|m| band(m, [1.0; 4])));
            for m in (0..c).filter(|_| !low_only) {
                y.push(band(m, [1.0, 1.0, -1.0, -1.0]));
                y.push(band(m, [1.0, -1.0, 1.0, -1.0]));
                y.push(band(m, [1.0, -1.0, -1.0, 1.0]));
            }
        }
        y
    }

    proptest! {
        #[test]
        fn bands_are_those_of_the_definition_and_the_gradient_is_the_adjoint(
            h in 1usize..9, w in 1usize..9, c in 1usize..40, low_only: bool, seed in any::<u64>(),
        ) {
            let mut rng = Rng::stream(seed, "test", 0);
            let x = draws(&mut rng, h * w * c);
            let mut y = vec![f32::NAN; output_len(h, w, c, low_only)];
            forward(h, w, c, low_only, &x, &mut y);
            close(&y, &exact([h, w, c], low_only, &x)).unwrap();
            let dy = draws(&mut rng, y.len());
            let mut dx = vec![f32::NAN; x.len()];
            backward(h, w, c, low_only, &dy, &mut dx);
            // <transform of every unit image, dy> = <unit image, dx>
            for i in 0..x.len() {
                let unit: Vec<f32> = (0..x.len()).map(|j| f32::from(u8::from(i == j))).collect();
                let mut column = vec![f32::NAN; y.len()];
                forward(h, w, c, low_only, &unit, &mut column);
                prop_assert!((dot(&column, &dy) - f64::from(dx[i])).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn of_even_maps_the_adjoint_is_the_inverse() {
        let mut rng = Rng::stream(5, "test", 0);
        let (h, w, c) = (6, 4, 7);
        let x = draws(&mut rng, h * w * c);
        let (mut y, mut back) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        forward(h, w, c, false, &x, &mut y);
        backward(h, w, c, false, &y, &mut back);
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        close(&back, &x).unwrap();
    }
}
