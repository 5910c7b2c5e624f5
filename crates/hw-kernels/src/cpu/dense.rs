//! Dense layers and squared distances: matrix products with a little around them.

use super::parallel::for_each_row_block;
use super::simd::vectorised;
use crate::gemm::par_sgemm;

/// `y = x wᵀ + bias`. Shapes: `x [n, i]`, `w [o, i]`, `bias [o]`, `y [n, o]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], i: usize, o: usize) {
    let n = y.len() / o;
    let beta = match bias {
        Some(bias) => {
            y.chunks_exact_mut(o)
                .for_each(|row| row.copy_from_slice(bias));
            1.0
        }
        None => 0.0,
    };
    par_sgemm(n, o, i, 1.0, x, (i, 1), w, (1, i), beta, y, o);
}

/// `dx = dy w`. Shapes as [`forward`].
///
/// # Panics
/// When the lengths do not fit.
pub fn backward_data(dy: &[f32], w: &[f32], dx: &mut [f32], i: usize, o: usize) {
    par_sgemm(dx.len() / i, i, o, 1.0, dy, (o, 1), w, (i, 1), 0.0, dx, i);
}

/// `dw = dyᵀ x`. Shapes as [`forward`].
///
/// # Panics
/// When the lengths do not fit.
pub fn backward_weights(x: &[f32], dy: &[f32], dw: &mut [f32], i: usize, o: usize) {
    par_sgemm(o, i, x.len() / i, 1.0, dy, (1, o), x, (i, 1), 0.0, dw, i);
}

vectorised! {
    /// The column sums `db = Σ_n dy[n]`: the gradient of the bias. Shapes: `dy [n, o]`, `db [o]`.
    pub fn backward_bias(dy: &[f32], db: &mut [f32]) {
        db.fill(0.0);
        for row in dy.chunks_exact(db.len()) {
            for (db, dy) in db.iter_mut().zip(row) {
                *db += dy;
            }
        }
    }
}

vectorised! {
    fn squared_distance(x: &[f32], centre: &[f32]) -> f32 {
        let mut lanes = [0.0f32; 16];
        let (xs, centres) = (x.chunks_exact(16), centre.chunks_exact(16));
        let tail = xs.remainder().iter().zip(centres.remainder());
        for (x, c) in xs.zip(centres) {
            for i in 0..16 {
                lanes[i] += (x[i] - c[i]) * (x[i] - c[i]);
            }
        }
        let whole: f32 = lanes.iter().sum();
        tail.fold(whole, |sum, (x, c)| sum + (x - c) * (x - c))
    }
}

/// Squared distances `y[n, k] = |x[n] - centres[k]|²`; differences are squared, not expanded, so
/// close points keep their precision. Shapes: `x [n, d]`, `centres [k, d]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn distances(x: &[f32], centres: &[f32], y: &mut [f32], d: usize) {
    let k = centres.len() / d;
    assert_eq!(x.len() / d * k, y.len());
    for_each_row_block(y, k, |start, y| {
        for (x, y) in x[start / k * d..]
            .chunks_exact(d)
            .zip(y.chunks_exact_mut(k))
        {
            for (centre, y) in centres.chunks_exact(d).zip(y) {
                *y = squared_distance(x, centre);
            }
        }
    });
}

/// One side's gradient of [`distances`]: `da[i] = 2 Σ_j g[i, j] (a[i] - b[j])`, where
/// `g[i, j] = dy[i * strides.0 + j * strides.1]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn distances_backward(
    a: &[f32],
    b: &[f32],
    dy: &[f32],
    strides: (usize, usize),
    da: &mut [f32],
    d: usize,
) {
    assert_eq!(a.len(), da.len());
    for_each_row_block(da, d, |start, da| {
        let rows = a[start..].chunks_exact(d).zip(da.chunks_exact_mut(d));
        for (i, (a, da)) in rows.enumerate() {
            let row = (start / d + i) * strides.0;
            da.fill(0.0);
            for (j, b) in b.chunks_exact(d).enumerate() {
                let factor = 2.0 * dy[row + j * strides.1];
                for ((a, b), da) in a.iter().zip(b).zip(da.iter_mut()) {
                    *da += factor * (a - b);
                }
            }
        }
    });
}
