//! How a shape from the table becomes one handwritten sample: the points wander, the strokes shift
//! against each other, and the whole is bent, stretched, slanted and turned.
//!
//! Only `+ - * /` and `sqrt` are used, which IEEE 754 rounds the same way everywhere, so that a
//! seed gives the same bytes on every machine. Hence [`bell`] and the polynomial tangent.

use super::Stroke;
use super::config::Checked;
use super::curve::flatten;
use super::shapes::{Knot, Path, Shape};
use hw_core::rng::Rng;

/// What a sample turns and scales about: the middle of a typical capital.
const MIDDLE: [f32; 2] = [0.4, 0.5];

/// Where knots can be, with room for wandering: the elastic field covers this much.
const FIELD_FROM: f32 = -0.3;
const FIELD_TO: f32 = 1.7;

/// One handwritten sample of `shape`. Its overall scale and place carry no meaning.
pub(super) fn distorted(shape: &Shape, rng: &mut Rng, config: Checked<'_>) -> Vec<Stroke> {
    // One number for the whole sample, because a hasty hand is hasty in all respects.
    let haste = 0.4 + 1.2 * rng.uniform();
    let field = Elastic::draw(rng, config, haste);
    let affine = Affine::draw(rng, config);
    shape
        .paths
        .iter()
        .map(|path| {
            let path = wandered(path, rng, haste * config.0.wobble);
            let points: Vec<[f32; 2]> = flatten(&path)
                .into_iter()
                .map(|point| affine.apply(field.apply(point)))
                .collect();
            let pressure = pressures(points.len(), rng, config.0.pressure);
            Stroke { points, pressure }
        })
        .collect()
}

/// Nearly normal, mean 0, variance 1, within -3 and 3: the sum of three even draws (Irwin-Hall).
fn bell(rng: &mut Rng) -> f32 {
    2.0 * (rng.uniform() + rng.uniform() + rng.uniform() - 1.5)
}

/// Moves each knot by `deviation`, and the stroke as a whole by as much again: its place, its
/// length, its direction.
fn wandered(path: &Path, rng: &mut Rng, deviation: f32) -> Path {
    let count = path.len() as f32;
    let centre = [0, 1].map(|axis| path.iter().map(|k| k.at[axis]).sum::<f32>() / count);
    let shift = [deviation * bell(rng), deviation * bell(rng)];
    let scale = 1.0 + 2.0 * deviation * bell(rng);
    let turn = 2.0 * deviation * bell(rng);
    path.iter()
        .map(|knot| {
            let [x, y] = [0, 1].map(|axis| (knot.at[axis] - centre[axis]) * scale);
            let turned = [x - turn * y, y + turn * x];
            let at = [0, 1].map(|i| centre[i] + turned[i] + shift[i] + deviation * bell(rng));
            Knot { at, ..*knot }
        })
        .collect()
}

/// The pen's relative width at each of `count` points: a parabola through three random values.
fn pressures(count: usize, rng: &mut Rng, deviation: f32) -> Vec<f32> {
    let [start, middle, end] = [(); 3].map(|()| (1.0 + deviation * bell(rng)).clamp(0.4, 1.6));
    let last = count.saturating_sub(1).max(1) as f32;
    (0..count)
        .map(|index| {
            let t = index as f32 / last;
            let bend = 4.0 * t * (1.0 - t) * (middle - 0.5 * (start + end));
            (start + (end - start) * t + bend).clamp(0.3, 1.8)
        })
        .collect()
}

/// Slant, stretch and rotation about [`MIDDLE`], as one matrix.
struct Affine([[f32; 2]; 2]);

impl Affine {
    fn draw(rng: &mut Rng, config: Checked<'_>) -> Self {
        let config = config.0;
        let mut drawn = |[low, high]: [f32; 2]| rng.range(low, high);
        let slant = drawn(config.slant);
        let aspect = drawn(config.aspect).sqrt();
        let [sin, cos] = sin_cos(drawn(config.rotation));
        let (wide, high) = (aspect, 1.0 / aspect);
        // Rotation times slant times stretch; y grows downwards, so leaning right is -slant.
        Self([
            [cos * wide, (-cos * slant - sin) * high],
            [sin * wide, (-sin * slant + cos) * high],
        ])
    }

    fn apply(&self, point: [f32; 2]) -> [f32; 2] {
        let [x, y] = [point[0] - MIDDLE[0], point[1] - MIDDLE[1]];
        [0, 1].map(|row| self.0[row][0] * x + self.0[row][1] * y + MIDDLE[row])
    }
}

/// Sine and cosine of an angle of at most 45 degrees, from the series of tan(angle / 2).
fn sin_cos(degrees: f32) -> [f32; 2] {
    let half = degrees * (std::f32::consts::PI / 360.0);
    let square = half * half;
    let tan = half * (1.0 + square * (1.0 / 3.0 + square * (2.0 / 15.0 + square * (17.0 / 315.0))));
    let scale = 1.0 / (1.0 + tan * tan);
    [2.0 * tan * scale, (1.0 - tan * tan) * scale]
}

/// A smooth random displacement of the plane (after Simard, Steinkraus & Platt 2003): random
/// vectors on a grid of spacing sigma, joined by uniform cubic B-splines instead of smoothed pixel
/// by pixel with a Gaussian, since only the points of the pen need it.
struct Elastic {
    nodes: Vec<[f32; 2]>,
    side: usize,
    per_unit: f32,
}

impl Elastic {
    fn draw(rng: &mut Rng, config: Checked<'_>, haste: f32) -> Self {
        let sigma = config.0.elastic_sigma;
        let side = ((FIELD_TO - FIELD_FROM) / sigma) as usize + 4;
        // 0.48 is the root mean square of a B-spline surface over nodes of variance 1.
        let scale = haste * config.0.elastic_alpha / 0.48;
        let nodes = (0..side * side)
            .map(|_| [scale * bell(rng), scale * bell(rng)])
            .collect();
        Self {
            nodes,
            side,
            per_unit: 1.0 / sigma,
        }
    }

    fn apply(&self, point: [f32; 2]) -> [f32; 2] {
        let [(left, wx), (top, wy)] = point.map(|x| {
            let x = (x.clamp(FIELD_FROM, FIELD_TO) - FIELD_FROM) * self.per_unit;
            (x as usize, b_spline(x - x as usize as f32))
        });
        let mut moved = point;
        for (row, weight_y) in wy.into_iter().enumerate() {
            let nodes = &self.nodes[(top + row) * self.side + left..][..4];
            for (node, weight_x) in nodes.iter().zip(wx) {
                moved[0] += weight_x * weight_y * node[0];
                moved[1] += weight_x * weight_y * node[1];
            }
        }
        moved
    }
}

/// The four weights of the uniform cubic B-spline at `t` in [0, 1].
fn b_spline(t: f32) -> [f32; 4] {
    let (s, t2, t3) = (1.0 - t, t * t, t * t * t);
    [
        s * s * s,
        3.0 * t3 - 6.0 * t2 + 4.0,
        -3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0,
        t3,
    ]
    .map(|w| w / 6.0)
}

#[cfg(test)]
mod tests {
    use super::{Affine, Elastic, MIDDLE, b_spline, bell, sin_cos};
    use crate::glyphs::GlyphConfig;
    use hw_core::rng::Rng;

    #[test]
    fn bell_draws_have_mean_zero_and_variance_one() {
        let mut rng = Rng::stream(1, "test", 0);
        let draws: Vec<f32> = (0..100_000).map(|_| bell(&mut rng)).collect();
        let mean = draws.iter().sum::<f32>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn sine_and_cosine_agree_with_the_libraries() {
        for degrees in -45..=45 {
            let [sin, cos] = sin_cos(degrees as f32);
            let (true_sin, true_cos) = (degrees as f32).to_radians().sin_cos();
            assert!((sin - true_sin).abs() < 1e-4 && (cos - true_cos).abs() < 1e-4);
        }
    }

    #[test]
    fn a_slant_leans_the_top_right_and_a_rotation_turns_clockwise() {
        let moved = |slant: f32, rotation: f32, aspect: f32, [x, y]: [f32; 2]| {
            let config = GlyphConfig {
                slant: [slant; 2],
                rotation: [rotation; 2],
                aspect: [aspect; 2],
                ..GlyphConfig::default()
            };
            let mut rng = Rng::stream(0, "test", 0);
            let affine = Affine::draw(&mut rng, config.checked().unwrap());
            let [x, y] = affine.apply([MIDDLE[0] + x, MIDDLE[1] + y]);
            [x - MIDDLE[0], y - MIDDLE[1]]
        };
        let near = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-4;
        let half = 0.5f32.sqrt();
        assert!(near(moved(0.5, 0.0, 1.0, [0.0, -1.0]), [0.5, -1.0]));
        assert!(near(moved(0.0, 45.0, 1.0, [0.0, -1.0]), [half, -half]));
        assert!(near(moved(0.0, 0.0, 4.0, [1.0, 1.0]), [2.0, 0.5]));
        // Stretched, then slanted, then turned.
        assert!(near(moved(1.0, 45.0, 4.0, [0.0, -2.0]), [2.0 * half, 0.0]));
    }

    #[test]
    fn spline_weights_sum_to_one_and_join_smoothly() {
        for step in 0..=10 {
            let weights = b_spline(step as f32 / 10.0);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let (end, start) = (b_spline(1.0), b_spline(0.0));
        assert!((0..3).all(|i| (end[i + 1] - start[i]).abs() < 1e-6));
    }

    #[test]
    fn the_elastic_displacement_has_the_asked_for_size() {
        let config = GlyphConfig {
            elastic_alpha: 0.05,
            ..GlyphConfig::default()
        };
        let mut rng = Rng::stream(1, "test", 0);
        let squares: f32 = (0..4000)
            .map(|_| {
                let field = Elastic::draw(&mut rng, config.checked().unwrap(), 1.0);
                let point = [rng.uniform(), rng.uniform()];
                let moved = field.apply(point);
                (moved[0] - point[0]).powi(2)
            })
            .sum();
        let rms = (squares / 4000.0).sqrt();
        assert!((rms - 0.05).abs() < 0.004, "{rms}");
    }
}
