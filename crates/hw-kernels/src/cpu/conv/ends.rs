//! What happens to a convolution's maps while they are still in the cache: copied out, or passed
//! through ReLU and maximum pooling; and the way of the gradient back into such maps.

use crate::cpu::simd::vectorised;
use crate::geometry::Windows;

/// A winner code saying that ReLU stopped everything in the window.
pub const DEAD: u8 = u8::MAX;

/// Maps of one image in scratch: `planes` of `rows` rows, `width` used positions each, rows `pitch`
/// apart, planes `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Maps {
    pub(super) planes: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) pitch: usize,
    pub(super) stride: usize,
}

impl Maps {
    fn compact_size(&self) -> usize {
        self.rows * self.width
    }

    /// Copies the maps to `y [planes, rows, width]`.
    pub(super) fn copy_out(&self, maps: &[f32], y: &mut [f32]) {
        for (o, y) in y.chunks_exact_mut(self.compact_size()).enumerate() {
            let plane = &maps[o * self.stride..];
            for (row, y) in y.chunks_exact_mut(self.width).enumerate() {
                y.copy_from_slice(&plane[row * self.pitch..][..self.width]);
            }
        }
    }

    /// Copies `dy [planes, rows, width]` into the maps and zeros everything between.
    pub(super) fn copy_in(&self, dy: &[f32], maps: &mut [f32]) {
        for (o, dy) in dy.chunks_exact(self.compact_size()).enumerate() {
            let plane = &mut maps[o * self.stride..(o + 1) * self.stride];
            let (body, tail) = plane.split_at_mut(self.rows * self.pitch);
            tail.fill(0.0);
            let rows = body.chunks_exact_mut(self.pitch);
            for (row, dy) in rows.zip(dy.chunks_exact(self.width)) {
                row[..self.width].copy_from_slice(dy);
                row[self.width..].fill(0.0);
            }
        }
    }

    /// ReLU and maximum pooling of the maps: `y` and `winners [planes, oh, ow]`. A winner is the
    /// row-major position of the first maximum inside its window, or [`DEAD`].
    pub(super) fn pool_out(&self, maps: &[f32], y: &mut [f32], winners: &mut [u8], g: &Windows) {
        let size = g.output_size();
        let planes = y.chunks_exact_mut(size).zip(winners.chunks_exact_mut(size));
        for (o, (y, winners)) in planes.enumerate() {
            let plane = &maps[o * self.stride..][..self.rows * self.pitch];
            if super::super::pool::is_halving(g) {
                halve(plane, self.pitch, y, winners, g.output[1]);
            } else {
                pool_plane(plane, self.pitch, y, winners, g);
            }
        }
    }

    /// The gradient of [`Maps::pool_out`]: puts `dy [planes, oh, ow]` where the winners were and
    /// zeros everywhere else.
    pub(super) fn pool_in(&self, dy: &[f32], winners: &[u8], maps: &mut [f32], g: &Windows) {
        let size = g.output_size();
        let planes = dy.chunks_exact(size).zip(winners.chunks_exact(size));
        for (o, (dy, winners)) in planes.enumerate() {
            let plane = &mut maps[o * self.stride..(o + 1) * self.stride];
            if super::super::pool::is_halving(g) {
                unhalve(dy, winners, plane, self.pitch, g.output);
            } else {
                unpool_plane(dy, winners, plane, self.pitch, g);
            }
        }
    }
}

fn pool_plane(plane: &[f32], pitch: usize, y: &mut [f32], winners: &mut [u8], g: &Windows) {
    for (at, (y, winner)) in y.iter_mut().zip(winners).enumerate() {
        let (row, column) = (at / g.output[1], at % g.output[1]);
        let (top, left) = (row * g.stride[0], column * g.stride[1]);
        (*y, *winner) = (0.0, DEAD);
        for i in g.rows(row) {
            for j in g.columns(column) {
                let value = plane[i * pitch + j];
                if value > *y || value.is_nan() {
                    *y = value;
                    let (di, dj) = (i + g.padding.top - top, j + g.padding.left - left);
                    *winner = (di * g.kernel[1] + dj) as u8;
                }
            }
        }
    }
}

fn unpool_plane(dy: &[f32], winners: &[u8], plane: &mut [f32], pitch: usize, g: &Windows) {
    plane.fill(0.0);
    for (at, (dy, &winner)) in dy.iter().zip(winners).enumerate() {
        if winner == DEAD {
            continue;
        }
        let (row, column) = (at / g.output[1], at % g.output[1]);
        let (di, dj) = (
            usize::from(winner) / g.kernel[1],
            usize::from(winner) % g.kernel[1],
        );
        let i = row * g.stride[0] + di - g.padding.top;
        let j = column * g.stride[1] + dj - g.padding.left;
        plane[i * pitch + j] += dy;
    }
}

vectorised! {
    /// [`pool_plane`] for 2x2 windows side by side.
    fn halve(plane: &[f32], pitch: usize, y: &mut [f32], winners: &mut [u8], width: usize) {
        let rows = y.chunks_exact_mut(width).zip(winners.chunks_exact_mut(width));
        for (row, (y, winners)) in rows.enumerate() {
            let upper = &plane[2 * row * pitch..][..2 * width];
            let lower = &plane[(2 * row + 1) * pitch..][..2 * width];
            for j in 0..width {
                let (mut best, mut winner) = (0.0, DEAD);
                let window = [upper[2 * j], upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]];
                for (tap, value) in window.into_iter().enumerate() {
                    let wins = value > best || value.is_nan();
                    best = if wins { value } else { best };
                    winner = if wins { tap as u8 } else { winner };
                }
                y[j] = best;
                winners[j] = winner;
            }
        }
    }
}

vectorised! {
    /// [`unpool_plane`] for 2x2 windows side by side.
    fn unhalve(dy: &[f32], winners: &[u8], plane: &mut [f32], pitch: usize, output: [usize; 2]) {
        let [height, width] = output;
        let (body, rest) = plane.split_at_mut(2 * height * pitch);
        rest.fill(0.0);
        for (row, pair) in body.chunks_exact_mut(2 * pitch).enumerate() {
            let dy = &dy[row * width..(row + 1) * width];
            let winners = &winners[row * width..(row + 1) * width];
            let (upper, lower) = pair.split_at_mut(pitch);
            for (line, taps) in [(upper, [0, 1]), (lower, [2, 3])] {
                let (used, rest) = line.split_at_mut(2 * width);
                rest.fill(0.0);
                for (j, cells) in used.chunks_exact_mut(2).enumerate() {
                    cells[0] = if winners[j] == taps[0] { dy[j] } else { 0.0 };
                    cells[1] = if winners[j] == taps[1] { dy[j] } else { 0.0 };
                }
            }
        }
    }
}
