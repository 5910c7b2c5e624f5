//! Sampling an image where a map of the plane says, bilinearly, in one pass.

use super::field::Window;

/// The map from (row, column) of the result to (row, column) of the source, pixel centres at whole
/// numbers: `matrix` times the position, plus `offset`.
pub(super) struct Affine {
    matrix: [[f32; 2]; 2],
    offset: [f32; 2],
}

impl Affine {
    /// The inverse of: sheared, scaled by `[tall, wide]`, turned clockwise by `angle` radians about
    /// the middle of a `size` image, and moved by `[down, right]`.
    pub(super) fn new(
        angle: f32,
        slant: f32,
        [tall, wide]: [f32; 2],
        [down, right]: [f32; 2],
        size: [usize; 2],
    ) -> Self {
        let (sin, cos) = angle.sin_cos();
        // Undo the turn, then the scaling, then the slant, in (row, column).
        let unturned = [[cos, -sin], [sin, cos]];
        let unscaled = [unturned[0].map(|v| v / tall), unturned[1].map(|v| v / wide)];
        let matrix = [
            unscaled[0],
            [0, 1].map(|i| unscaled[1][i] + slant * unscaled[0][i]),
        ];
        let middle = size.map(|side| (side as f32 - 1.0) / 2.0);
        let moved = [middle[0] + down, middle[1] + right];
        let offset = [0, 1].map(|i| middle[i] - matrix[i][0] * moved[0] - matrix[i][1] * moved[1]);
        Self { matrix, offset }
    }
}

/// An image on the 0..=1 scale with ground around it: one pixel before and two after in each
/// direction, so that four neighbours can be read wherever a clamped position lies.
pub(super) struct Canvas {
    pixels: Vec<f32>,
    height: usize,
    width: usize,
}

impl Canvas {
    pub(super) fn of(image: &[u8], height: usize, width: usize) -> Self {
        let line = width + 3;
        let mut pixels = vec![0.0; (height + 3) * line];
        for (y, row) in image.chunks_exact(width).enumerate() {
            let into = &mut pixels[(y + 1) * line + 1..][..width];
            for (to, &byte) in into.iter_mut().zip(row) {
                *to = f32::from(byte) * (1.0 / 255.0);
            }
        }
        Self {
            pixels,
            height,
            width,
        }
    }

    /// Samples every pixel of `out` where the map and the displacements say.
    pub(super) fn warp(&self, affine: &Affine, window: Option<&Window<'_>>, out: &mut [f32]) {
        let mut rows = vec![0.0; self.width];
        let mut columns = vec![0.0; self.width];
        for (y, out) in out.chunks_exact_mut(self.width).enumerate() {
            self.positions(affine, y, &mut rows, &mut columns);
            if let Some(window) = window {
                let ([down, right], signs) = window.row(y);
                add(&mut rows, down, signs[0]);
                add(&mut columns, right, signs[1]);
            }
            clamp(&mut rows, self.height);
            clamp(&mut columns, self.width);
            self.sample(&rows, &columns, out);
        }
    }

    /// Where row `y` of the result comes from, in the canvas's coordinates.
    fn positions(&self, affine: &Affine, y: usize, rows: &mut [f32], columns: &mut [f32]) {
        let Affine { matrix, offset } = affine;
        let start = [0, 1].map(|i| offset[i] + matrix[i][0] * y as f32 + 1.0);
        let places = rows.iter_mut().zip(columns.iter_mut()).enumerate();
        for (x, (row, column)) in places {
            let x = x as f32;
            *row = start[0] + matrix[0][1] * x;
            *column = start[1] + matrix[1][1] * x;
        }
    }

    fn sample(&self, rows: &[f32], columns: &[f32], out: &mut [f32]) {
        let line = self.width + 3;
        for ((out, &row), &column) in out.iter_mut().zip(rows).zip(columns) {
            // Positions are clamped to 0 and above, so cutting off is rounding down.
            let (y, x) = (row as usize, column as usize);
            let (down, right) = (row - y as f32, column - x as f32);
            let (above, below) = (y * line + x, (y + 1) * line + x);
            let mixed = |at: usize| match self.pixels.get(at..at + 2) {
                Some(pair) => pair[0] + right * (pair[1] - pair[0]),
                None => 0.0,
            };
            let (above, below) = (mixed(above), mixed(below));
            *out = above + down * (below - above);
        }
    }
}

fn add(positions: &mut [f32], moves: &[f32], sign: f32) {
    for (position, step) in positions.iter_mut().zip(moves) {
        *position += sign * step;
    }
}

/// Keeps positions on the canvas, where a `side` of the image is surrounded by ground.
fn clamp(positions: &mut [f32], side: usize) {
    let last = side as f32 + 1.0;
    for position in positions {
        *position = position.clamp(0.0, last);
    }
}
