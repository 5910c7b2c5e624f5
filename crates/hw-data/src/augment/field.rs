//! Elastic displacements: one large smooth random field, wrapped around at its edges; each image gets
//! a window of it at a random place.
//!
//! Smoothing a fresh field for every image costs more than everything else together (Simard et al.
//! 2003 do that); a window costs two reads a pixel. At sigma 4 the field has about a thousand
//! independent patches, 65,536 places and eight orientations.

use hw_core::Rng;
use std::sync::Arc;

/// Smallest side of the field; a power of two.
const SIDE: usize = 256;

/// Displacements along both axes at every point of a torus.
#[derive(Clone, Debug)]
pub(super) struct Field {
    side: usize,
    /// Image rows and columns.
    size: [usize; 2],
    /// Rows are as long as the side and an image's width, so that no window wraps within a row.
    down: Arc<[f32]>,
    right: Arc<[f32]>,
}

impl Field {
    /// A field of root mean square `strength` smoothed by a Gaussian of deviation `sigma` pixels.
    pub(super) fn new(strength: f32, sigma: f32, size: [usize; 2], seed: u64) -> Self {
        let side = SIDE.max(2 * size[0].max(size[1])).next_power_of_two();
        let axis = |number: u64| {
            let mut rng = Rng::stream(seed, "elastic", number);
            let noise: Vec<f32> = (0..side * side).map(|_| rng.normal()).collect();
            // Smoothing and transposing twice smooths both ways and turns nothing.
            let smooth = smoothed(&smoothed(&noise, side, sigma), side, sigma);
            let squares: f64 = smooth.iter().map(|&v| f64::from(v * v)).sum();
            let scale = strength / (squares / smooth.len() as f64).sqrt() as f32;
            let row = |row: &[f32]| {
                let wrapped = row.iter().chain(&row[..size[1]]);
                wrapped.map(|v| v * scale).collect::<Vec<f32>>()
            };
            smooth.chunks_exact(side).flat_map(row).collect()
        };
        Self {
            side,
            size,
            down: axis(0),
            right: axis(1),
        }
    }

    /// A random place in the field, seen from a random side.
    pub(super) fn window(&self, rng: &mut Rng) -> Window<'_> {
        let bits = rng.next_u64();
        let sign = |bit: u32| if bits >> bit & 1 == 0 { 1.0 } else { -1.0 };
        let place = |shift: u32| (bits >> shift) as usize % self.side;
        let (down, right) = match bits & 1 {
            0 => (&self.down, &self.right),
            _ => (&self.right, &self.down),
        };
        Window {
            field: self,
            down,
            right,
            signs: [sign(1), sign(2)],
            top: place(16),
            left: place(40),
        }
    }
}

/// The displacements of one image.
pub(super) struct Window<'a> {
    field: &'a Field,
    down: &'a [f32],
    right: &'a [f32],
    signs: [f32; 2],
    top: usize,
    left: usize,
}

impl Window<'_> {
    /// The displacements of row `y` of the image, down and to the right, and their signs.
    pub(super) fn row(&self, y: usize) -> ([&[f32]; 2], [f32; 2]) {
        let line = self.field.side + self.field.size[1];
        let start = (self.top + y) % self.field.side * line + self.left;
        let cut = |values: &'_ [f32]| start..(start + self.field.size[1]).min(values.len());
        (
            [&self.down[cut(self.down)], &self.right[cut(self.right)]],
            self.signs,
        )
    }
}

/// Smoothed along its rows by a Gaussian that wraps around, and transposed.
fn smoothed(values: &[f32], side: usize, sigma: f32) -> Vec<f32> {
    let radius = (3.5 * sigma).ceil() as usize;
    let bell = |d: usize| (-0.5 * (d as f32 / sigma).powi(2)).exp();
    let kernel: Vec<f32> = (0..=2 * radius).map(|i| bell(i.abs_diff(radius))).collect();
    let mut out = vec![0.0; values.len()];
    let mut row = vec![0.0; side];
    for (y, from) in values.chunks_exact(side).enumerate() {
        row.fill(0.0);
        for (i, weight) in kernel.iter().enumerate() {
            let shift = (i + 16 * side - radius) % side;
            let (head, tail) = from.split_at(shift);
            let turned = tail.iter().chain(head);
            row.iter_mut()
                .zip(turned)
                .for_each(|(sum, v)| *sum += weight * v);
        }
        for (x, &value) in row.iter().enumerate() {
            out[x * side + y] = value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_strength_and_smoothness_asked_for() {
        let field = Field::new(1.5, 4.0, [28, 28], 3);
        let rows = |values: &[f32]| -> Vec<f32> {
            values
                .chunks_exact(256 + 28)
                .flat_map(|row| row[..256].to_vec())
                .collect()
        };
        let values = rows(&field.down);
        let mean = |f: &dyn Fn(usize) -> f32| {
            (0..values.len()).map(|i| f64::from(f(i))).sum::<f64>() / values.len() as f64
        };
        assert!((mean(&|i| values[i] * values[i]).sqrt() - 1.5).abs() < 1e-3);
        // White noise smoothed by a Gaussian of deviation s correlates as exp(-d² / 4s²).
        for distance in [4usize, 8] {
            let shifted = |i: usize| values[(i + distance * 256) % values.len()];
            let measured = mean(&|i| values[i] * shifted(i)) / 2.25;
            let expected = (-((distance * distance) as f64) / 64.0).exp();
            assert!(
                (measured - expected).abs() < 0.05,
                "{distance}: {measured} {expected}"
            );
        }
    }
}
