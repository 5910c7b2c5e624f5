//! What happens to a convolution's maps while they are still in the cache: copied out, or passed
//! through ReLU and maximum pooling; and the way of the gradient back into such maps.

use crate::cpu::halving::{maxima, place};
use crate::cpu::pool::is_halving;
use crate::cpu::sums;
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

    /// Copies `dy [planes, rows, width]` into the maps, zeros everything between, and adds each
    /// plane's sum to `db`.
    pub(super) fn copy_in(&self, dy: &[f32], maps: &mut [f32], db: &mut [f32]) {
        let planes = dy.chunks_exact(self.compact_size());
        for ((o, db), dy) in db.iter_mut().enumerate().zip(planes) {
            *db += sums::sum(dy);
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
            if is_halving(g) {
                maxima(plane, self.pitch, y, winners, g.output[1], 0.0, DEAD);
            } else {
                pool_plane(plane, self.pitch, y, winners, g);
            }
        }
    }

    /// The gradient of [`Maps::pool_out`]: puts `dy [planes, oh, ow]` where the winners were and
    /// zeros everywhere else, and adds each plane's sum to `db`.
    pub(super) fn pool_in(
        &self,
        dy: &[f32],
        winners: &[u8],
        maps: &mut [f32],
        db: &mut [f32],
        g: &Windows,
    ) {
        let size = g.output_size();
        let planes = dy.chunks_exact(size).zip(winners.chunks_exact(size));
        for ((o, db), (dy, winners)) in db.iter_mut().enumerate().zip(planes) {
            let plane = &mut maps[o * self.stride..(o + 1) * self.stride];
            *db += if is_halving(g) {
                place(dy, winners, plane, self.pitch, g.output)
            } else {
                unpool_plane(dy, winners, plane, self.pitch, g)
            };
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

fn unpool_plane(dy: &[f32], winners: &[u8], plane: &mut [f32], pitch: usize, g: &Windows) -> f32 {
    let mut sum = 0.0;
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
        sum += dy;
    }
    sum
}
