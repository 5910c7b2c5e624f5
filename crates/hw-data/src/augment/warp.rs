//! Sampling an image where a map of the plane says, in one pass.

use super::Interpolation;
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

/// How far the ground reaches in front of an image, and the image and all of its ground together
/// beyond the image's own side: a clamped position lies up to one pixel outside on either side, and
/// a cubic then reads one more in front of it and two behind it. (What little it would overshoot
/// further out is left away.)
const FRONT: usize = 2;
const GROUND: usize = 5;

/// An image on the 0..=1 scale with ground around it, so that all neighbours can be read wherever a
/// clamped position lies. Positions are counted from one pixel outside the image.
pub(super) struct Canvas {
    pixels: Vec<f32>,
    height: usize,
    width: usize,
}

impl Canvas {
    pub(super) fn of(image: &[u8], height: usize, width: usize) -> Self {
        let line = width + GROUND;
        let mut pixels = vec![0.0; (height + GROUND) * line];
        for (y, row) in image.chunks_exact(width).enumerate() {
            let into = &mut pixels[(y + FRONT) * line + FRONT..][..width];
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
    pub(super) fn warp(
        &self,
        interpolation: Interpolation,
        affine: &Affine,
        window: Option<&Window<'_>>,
        out: &mut [f32],
    ) {
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
            match interpolation {
                Interpolation::Linear => self.sample(&rows, &columns, out, Self::linear),
                Interpolation::Cubic => self.sample(&rows, &columns, out, Self::cubic),
            }
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

    fn sample(
        &self,
        rows: &[f32],
        columns: &[f32],
        out: &mut [f32],
        value: impl Fn(&Self, usize, [f32; 2]) -> f32,
    ) {
        let line = self.width + GROUND;
        for ((out, &row), &column) in out.iter_mut().zip(rows).zip(columns) {
            // Positions are clamped to 0 and above, so cutting off is rounding down.
            let (y, x) = (row as usize, column as usize);
            let past = [row - y as f32, column - x as f32];
            *out = value(self, y * line + x, past);
        }
    }

    /// The value so far `past` the second of the four pixels from `corner` on, in both directions.
    fn linear(&self, corner: usize, [down, right]: [f32; 2]) -> f32 {
        let line = self.width + GROUND;
        let mixed = |at: usize| match self.pixels.get(at..at + 2) {
            Some(pair) => pair[0] + right * (pair[1] - pair[0]),
            None => 0.0,
        };
        let above = mixed(corner + line + 1);
        let below = mixed(corner + 2 * line + 1);
        above + down * (below - above)
    }

    /// As [`Self::linear`], by cubic convolution; what it overshoots black and white by is cut off.
    fn cubic(&self, corner: usize, [down, right]: [f32; 2]) -> f32 {
        let line = self.width + GROUND;
        let across = keys(right);
        let row = |at: usize| match self.pixels.get(at..at + 4) {
            Some(four) => (0..4).map(|i| across[i] * four[i]).sum(),
            None => 0.0f32,
        };
        let whole: f32 = (0..4).map(|i| keys(down)[i] * row(corner + i * line)).sum();
        whole.clamp(0.0, 1.0)
    }
}

/// The weights of four neighbours for a place so far `past` the second: cubic convolution with the
/// parameter -1/2, for which it is exact for parabolas (Keys 1981, eq. 15; Catmull & Rom 1974).
fn keys(past: f32) -> [f32; 4] {
    let t = past;
    [
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        height: usize,
        width: usize,
        down: f32,
        right: f32,
        image: Vec<u8>,
        moved: Vec<f32>,
    }

    #[test]
    fn a_cubic_shift_equals_pillow() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/data/shift.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let size = [case.height, case.width];
            let affine = Affine::new(0.0, 0.0, [1.0; 2], [case.down, case.right], size);
            let mut out = vec![f32::NAN; case.moved.len()];
            Canvas::of(&case.image, case.height, case.width).warp(
                Interpolation::Cubic,
                &affine,
                None,
                &mut out,
            );
            for (found, expected) in out.iter().zip(&case.moved) {
                assert!((found - expected).abs() < 3e-6, "{found} {expected}");
            }
        }
    }

    proptest! {
        #[test]
        fn cubic_weights_are_exact_for_parabolas(t in 0.0f32..1.0, a in -1.0f32..1.0, b in -1.0f32..1.0) {
            let parabola = |x: f32| 1.0 + a * x + b * x * x;
            let mixed: f32 = keys(t).iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w * parabola(x)).sum();
            prop_assert!((mixed - parabola(t)).abs() < 1e-5);
        }
    }
}
