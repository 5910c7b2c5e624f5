//! Batch normalisation over `[n, channels, inner]`, `inner` being the positions of a map (1 for
//! dense layers).

use super::parallel::{Disjoint, for_each_row_block};
use super::simd::vectorised;
use super::sums;
use rayon::prelude::*;

/// Above this many elements the channels are worked on in parallel.
const PARALLEL: usize = 1 << 14;

/// Runs `work(channel)` for every channel, in parallel when there is enough to do.
fn for_each_channel(channels: usize, elements: usize, work: impl Fn(usize) + Sync + Send) {
    if elements <= PARALLEL {
        (0..channels).for_each(work);
    } else {
        (0..channels).into_par_iter().for_each(work);
    }
}

/// Mean and biased variance of each channel; `mean` and `variance [channels]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn statistics(x: &[f32], inner: usize, mean: &mut [f32], variance: &mut [f32]) {
    let channels = mean.len();
    assert!(variance.len() == channels && x.len().is_multiple_of(channels * inner));
    if inner == 1 {
        return column_statistics(x, mean, variance);
    }
    let count = (x.len() / channels) as f64;
    let (means, variances) = (Disjoint::new(mean), Disjoint::new(variance));
    for_each_channel(channels, x.len(), |c| {
        let maps = || x.chunks_exact(inner).skip(c).step_by(channels);
        let mean = maps().map(|map| f64::from(sums::sum(map))).sum::<f64>() / count;
        let squares = |map| f64::from(sums::sum_of_squares(map, mean as f32));
        let variance = maps().map(squares).sum::<f64>() / count;
        // SAFETY: every channel writes its own element.
        let (m, v) = unsafe { (means.range(c..c + 1), variances.range(c..c + 1)) };
        (m[0], v[0]) = (mean as f32, variance as f32);
    });
}

vectorised! {
    /// As [`statistics`] for rows of one value per channel. Rows are summed in runs of sixteen, so
    /// that long batches keep their precision.
    fn column_statistics(x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
        let channels = mean.len();
        let count = (x.len() / channels) as f32;
        let mut run = vec![0.0f32; channels];
        mean.fill(0.0);
        variance.fill(0.0);
        for rows in x.chunks(16 * channels) {
            run.fill(0.0);
            for row in rows.chunks_exact(channels) {
                run.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            mean.iter_mut().zip(&run).for_each(|(sum, run)| *sum += run);
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        for rows in x.chunks(16 * channels) {
            run.fill(0.0);
            for row in rows.chunks_exact(channels) {
                for ((sum, x), mean) in run.iter_mut().zip(row).zip(mean.iter()) {
                    *sum += (x - mean) * (x - mean);
                }
            }
            variance.iter_mut().zip(&run).for_each(|(sum, run)| *sum += run);
        }
        variance.iter_mut().for_each(|variance| *variance /= count);
    }
}

/// `1 / sqrt(variance + eps)` per channel.
pub fn inverse_deviation(variance: &[f32], eps: f32) -> Vec<f32> {
    let inverse = |variance: &f32| (1.0 / (f64::from(*variance) + f64::from(eps)).sqrt()) as f32;
    variance.iter().map(inverse).collect()
}

vectorised! {
    fn affine_rows(x: &[f32], y: &mut [f32], centre: &[f32], scale: &[f32], shift: &[f32]) {
        let channels = scale.len();
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for c in 0..channels {
                y[c] = (x[c] - centre[c]) * scale[c] + shift[c];
            }
        }
    }
}

vectorised! {
    fn affine_map(x: &[f32], y: &mut [f32], centre: f32, scale: f32, shift: f32) {
        for (x, y) in x.iter().zip(y) {
            *y = (x - centre) * scale + shift;
        }
    }
}

/// `y = (x - centre) scale + shift` per channel; all three `[channels]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn affine(
    x: &[f32],
    inner: usize,
    centre: &[f32],
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
) {
    let channels = scale.len();
    assert!(x.len() == y.len() && centre.len() == channels && shift.len() == channels);
    assert!(x.len().is_multiple_of(channels * inner));
    for_each_row_block(y, channels * inner, |start, y| {
        let x = &x[start..start + y.len()];
        if inner == 1 {
            return affine_rows(x, y, centre, scale, shift);
        }
        for (i, (x, y)) in x
            .chunks_exact(inner)
            .zip(y.chunks_exact_mut(inner))
            .enumerate()
        {
            let c = i % channels;
            affine_map(x, y, centre[c], scale[c], shift[c]);
        }
    });
}

/// Per channel `total = Σ dy` and `moment = Σ (x - centre) dy`: the gradients of shift and scale of
/// [`affine`].
///
/// # Panics
/// When the lengths do not fit.
pub fn gradient_sums(
    x: &[f32],
    dy: &[f32],
    inner: usize,
    centre: &[f32],
    total: &mut [f32],
    moment: &mut [f32],
) {
    let channels = centre.len();
    assert!(x.len() == dy.len() && x.len().is_multiple_of(channels * inner));
    assert!(total.len() == channels && moment.len() == channels);
    if inner == 1 {
        return column_sums(x, dy, centre, total, moment);
    }
    let (totals, moments) = (Disjoint::new(total), Disjoint::new(moment));
    for_each_channel(channels, x.len(), |c| {
        let (mut total, mut moment) = (0.0f64, 0.0f64);
        let maps = x.chunks_exact(inner).zip(dy.chunks_exact(inner));
        for (x, dy) in maps.skip(c).step_by(channels) {
            total += f64::from(sums::sum(dy));
            moment += f64::from(sums::dot(x, centre[c], dy));
        }
        // SAFETY: every channel writes its own element.
        let (t, m) = unsafe { (totals.range(c..c + 1), moments.range(c..c + 1)) };
        (t[0], m[0]) = (total as f32, moment as f32);
    });
}

vectorised! {
    fn column_sums(x: &[f32], dy: &[f32], centre: &[f32], total: &mut [f32], moment: &mut [f32]) {
        let channels = centre.len();
        total.fill(0.0);
        moment.fill(0.0);
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            for c in 0..channels {
                total[c] += dy[c];
                moment[c] += (x[c] - centre[c]) * dy[c];
            }
        }
    }
}

/// The gradient of batch normalisation in `x`, through the statistics (Ioffe & Szegedy 2015,
/// section 3): `dx = scale (dy - total / m - (x - mean) inverse² moment / m)`, with `scale =
/// gamma inverse` and `m` values per channel; `total` and `moment` from [`gradient_sums`].
///
/// # Panics
/// When the lengths do not fit.
pub fn backward(
    x: &[f32],
    dy: &[f32],
    inner: usize,
    mean: &[f32],
    inverse: &[f32],
    gamma: &[f32],
    total: &[f32],
    moment: &[f32],
    dx: &mut [f32],
) {
    let channels = mean.len();
    assert!(x.len() == dx.len() && dy.len() == dx.len());
    let count = (x.len() / channels) as f32;
    // dx = a dy + b (x - mean) + d per channel
    let a: Vec<f32> = (0..channels).map(|c| gamma[c] * inverse[c]).collect();
    let b: Vec<f32> = (0..channels)
        .map(|c| -a[c] * inverse[c] * inverse[c] * moment[c] / count)
        .collect();
    let d: Vec<f32> = (0..channels).map(|c| -a[c] * total[c] / count).collect();
    for_each_row_block(dx, channels * inner, |start, dx| {
        let range = start..start + dx.len();
        let (x, dy) = (&x[range.clone()], &dy[range]);
        if inner == 1 {
            return combine_rows(x, dy, dx, mean, &a, &b, &d);
        }
        let maps = x.chunks_exact(inner).zip(dy.chunks_exact(inner));
        for (i, ((x, dy), dx)) in maps.zip(dx.chunks_exact_mut(inner)).enumerate() {
            let c = i % channels;
            combine_map(x, dy, dx, mean[c], a[c], b[c], d[c]);
        }
    });
}

vectorised! {
    fn combine_rows(
        x: &[f32], dy: &[f32], dx: &mut [f32], mean: &[f32], a: &[f32], b: &[f32], d: &[f32],
    ) {
        let channels = mean.len();
        let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels));
        for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(channels)) {
            for c in 0..channels {
                dx[c] = a[c] * dy[c] + b[c] * (x[c] - mean[c]) + d[c];
            }
        }
    }
}

vectorised! {
    fn combine_map(x: &[f32], dy: &[f32], dx: &mut [f32], mean: f32, a: f32, b: f32, d: f32) {
        for ((x, dy), dx) in x.iter().zip(dy).zip(dx) {
            *dx = a * dy + b * (x - mean) + d;
        }
    }
}
