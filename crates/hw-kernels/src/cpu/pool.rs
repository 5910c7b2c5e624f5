//! Maximum and average pooling over maps `[planes, height, width]`, planes being batch times
//! channels.

use super::halving::maxima;
use super::parallel::{CHUNK, for_each_row_block};
use super::simd::vectorised;
use crate::geometry::Windows;
use rayon::prelude::*;

/// How many real (not padding) cells each window holds, row-major over the output map.
pub fn cells_per_window(g: &Windows) -> Vec<usize> {
    let mut cells = Vec::with_capacity(g.output_size());
    for row in 0..g.output[0] {
        for column in 0..g.output[1] {
            cells.push(g.rows(row).len() * g.columns(column).len());
        }
    }
    cells
}

/// Whether windows are 2x2, side by side, without padding: the case with loops of its own.
pub(super) fn is_halving(g: &Windows) -> bool {
    g.kernel == [2, 2] && g.stride == [2, 2] && g.padding == crate::Padding::zero()
}

/// The largest value of each window, and where in its map (row-major offset) the first such value
/// is. Shapes: `x [planes, h, w]`, `y` and `winners [planes, oh, ow]`.
///
/// # Panics
/// When the lengths do not fit `g`.
pub fn max_forward(x: &[f32], y: &mut [f32], winners: &mut [u32], g: &Windows) {
    let (input, output) = (g.input_size(), g.output_size());
    assert!(y.len() == winners.len() && x.len() / input == y.len() / output);
    let block = (CHUNK / input).max(1);
    y.par_chunks_mut(block * output)
        .zip(winners.par_chunks_mut(block * output))
        .zip(x.par_chunks(block * input))
        .with_min_len(1)
        .for_each(|((y, winners), x)| {
            let mut codes = vec![0; output];
            let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output));
            for ((x, y), winners) in planes.zip(winners.chunks_exact_mut(output)) {
                if is_halving(g) {
                    max_halving(x, y, winners, &mut codes, g);
                } else {
                    max_plane(x, y, winners, g);
                }
            }
        });
}

fn max_plane(x: &[f32], y: &mut [f32], winners: &mut [u32], g: &Windows) {
    for row in 0..g.output[0] {
        for column in 0..g.output[1] {
            let (mut best, mut winner) = (f32::NEG_INFINITY, None);
            for i in g.rows(row) {
                for j in g.columns(column) {
                    let value = x[i * g.input[1] + j];
                    if value > best || value.is_nan() || winner.is_none() {
                        best = value;
                        winner = Some(i * g.input[1] + j);
                    }
                }
            }
            let at = row * g.output[1] + column;
            y[at] = best;
            winners[at] = winner.unwrap_or(0) as u32;
        }
    }
}

/// [`max_plane`] for 2x2 windows side by side; `codes` is room for one plane.
fn max_halving(x: &[f32], y: &mut [f32], winners: &mut [u32], codes: &mut [u8], g: &Windows) {
    let (pitch, width) = (g.input[1], g.output[1]);
    maxima(x, pitch, y, codes, width, f32::NEG_INFINITY, 0);
    for (at, (winner, code)) in winners.iter_mut().zip(codes.iter()).enumerate() {
        let (row, column) = (at / width, at % width);
        let code = usize::from(*code);
        *winner = ((2 * row + code / 2) * pitch + 2 * column + code % 2) as u32;
    }
}

/// The gradient of [`max_forward`]: each `dy` is added where its window's maximum was.
///
/// # Panics
/// When the lengths do not fit `g`.
pub fn max_backward(dy: &[f32], winners: &[u32], dx: &mut [f32], g: &Windows) {
    let (input, output) = (g.input_size(), g.output_size());
    assert!(dy.len() == winners.len() && dx.len() / input == dy.len() / output);
    for_each_row_block(dx, input, |start, dx| {
        dx.fill(0.0);
        let first = start / input * output;
        let planes = dy[first..]
            .chunks_exact(output)
            .zip(winners[first..].chunks_exact(output));
        for (dx, (dy, winners)) in dx.chunks_exact_mut(input).zip(planes) {
            for (dy, &winner) in dy.iter().zip(winners) {
                dx[winner as usize] += dy;
            }
        }
    });
}

/// What each window's sum is divided by: its size, or the number of its real cells.
pub fn divisors(g: &Windows, count_include_pad: bool) -> Vec<f32> {
    if count_include_pad {
        return vec![g.kernel_size() as f32; g.output_size()];
    }
    cells_per_window(g)
        .into_iter()
        .map(|cells| cells as f32)
        .collect()
}

/// The sum of each window over its divisor (see [`divisors`]); shapes as [`max_forward`].
///
/// # Panics
/// When the lengths do not fit `g`.
pub fn average_forward(x: &[f32], y: &mut [f32], divisors: &[f32], g: &Windows) {
    let (input, output) = (g.input_size(), g.output_size());
    assert!(x.len() / input == y.len() / output && divisors.len() == output);
    for_each_row_block(y, output, |start, y| {
        let first = start / output * input;
        for (x, y) in x[first..]
            .chunks_exact(input)
            .zip(y.chunks_exact_mut(output))
        {
            average_plane(x, y, divisors, g);
        }
    });
}

vectorised! {
    fn average_plane(x: &[f32], y: &mut [f32], divisors: &[f32], g: &Windows) {
        let rows = y.chunks_exact_mut(g.output[1]).zip(divisors.chunks_exact(g.output[1]));
        for (row, (y, divisors)) in rows.enumerate() {
            y.fill(0.0);
            for i in g.rows(row) {
                let line = &x[i * g.input[1]..(i + 1) * g.input[1]];
                for j in 0..g.kernel[1] {
                    let (outputs, left) = g.real(1, j);
                    let from = &line[left.min(line.len())..];
                    for (y, x) in y[outputs].iter_mut().zip(from.iter().step_by(g.stride[1])) {
                        *y += x;
                    }
                }
            }
            y.iter_mut().zip(divisors).for_each(|(y, divisor)| *y /= divisor);
        }
    }
}

/// The gradient of [`average_forward`].
///
/// # Panics
/// When the lengths do not fit `g`.
pub fn average_backward(dy: &[f32], dx: &mut [f32], divisors: &[f32], g: &Windows) {
    let (input, output) = (g.input_size(), g.output_size());
    assert!(dx.len() / input == dy.len() / output && divisors.len() == output);
    for_each_row_block(dx, input, |start, dx| {
        let first = start / input * output;
        for (dx, dy) in dx
            .chunks_exact_mut(input)
            .zip(dy[first..].chunks_exact(output))
        {
            dx.fill(0.0);
            average_plane_backward(dy, dx, divisors, g);
        }
    });
}

vectorised! {
    fn average_plane_backward(dy: &[f32], dx: &mut [f32], divisors: &[f32], g: &Windows) {
        let rows = dy.chunks_exact(g.output[1]).zip(divisors.chunks_exact(g.output[1]));
        for (row, (dy, divisors)) in rows.enumerate() {
            for i in g.rows(row) {
                let line = &mut dx[i * g.input[1]..(i + 1) * g.input[1]];
                for j in 0..g.kernel[1] {
                    let (outputs, left) = g.real(1, j);
                    let left = left.min(line.len());
                    let to = line[left..].iter_mut().step_by(g.stride[1]);
                    let shares = dy[outputs.clone()].iter().zip(&divisors[outputs]);
                    for (dx, (dy, divisor)) in to.zip(shares) {
                        *dx += dy / divisor;
                    }
                }
            }
        }
    }
}

/// The mean of each plane of `size` values.
///
/// # Panics
/// When the lengths do not fit.
pub fn global_average_forward(x: &[f32], y: &mut [f32], size: usize) {
    assert_eq!(x.len(), y.len() * size);
    for (x, y) in x.chunks_exact(size).zip(y) {
        *y = super::sums::sum(x) / size as f32;
    }
}

/// The gradient of [`global_average_forward`].
///
/// # Panics
/// When the lengths do not fit.
pub fn global_average_backward(dy: &[f32], dx: &mut [f32], size: usize) {
    assert_eq!(dx.len(), dy.len() * size);
    for (dx, dy) in dx.chunks_exact_mut(size).zip(dy) {
        dx.fill(dy / size as f32);
    }
}
