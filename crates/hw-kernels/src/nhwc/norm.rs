//! Batch normalization (Ioffe & Szegedy 2015) over rows of channels, and the sums it needs.

use crate::cpu::simd::vectorised;

/// Rows whose mean is taken before their squared distances are summed; they stay in the first cache.
const TOGETHER: usize = 32;

/// Count, means and sums of squared distances of rows of channels, to which more can be added.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// Rows seen.
    pub count: usize,
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Sum of squared distances from the mean, of each channel.
    pub spread: Vec<f32>,
    block: [Vec<f32>; 2],
}

impl Moments {
    /// No rows yet.
    pub fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self {
            count: 0,
            mean: zeros(),
            spread: zeros(),
            block: [zeros(), zeros()],
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.count = 0;
        self.mean.fill(0.0);
        self.spread.fill(0.0);
    }

    /// Adds `rows` (`[rows, channels]`), block by block (Chan, Golub & LeVeque 1979).
    pub fn add_rows(&mut self, rows: &[f32]) {
        let channels = self.mean.len();
        for block in rows.chunks(TOGETHER * channels) {
            let [mean, spread] = &mut self.block;
            block_moments(block, mean, spread);
            merge(
                (&mut self.mean, &mut self.spread, self.count),
                (mean, spread, block.len() / channels),
            );
            self.count += block.len() / channels;
        }
    }

    /// Adds what another part of the batch gave.
    pub fn add(&mut self, other: &Self) {
        merge(
            (&mut self.mean, &mut self.spread, self.count),
            (&other.mean, &other.spread, other.count),
        );
        self.count += other.count;
    }
}

fn merge(to: (&mut [f32], &mut [f32], usize), from: (&[f32], &[f32], usize)) {
    let (before, more) = (to.2 as f32, from.2 as f32);
    if more == 0.0 {
        return;
    }
    let share = more / (before + more);
    merge_channels(to.0, to.1, from.0, from.1, share, before * share);
}

vectorised! {
    fn merge_channels(mean: &mut [f32], spread: &mut [f32], from_mean: &[f32], from_spread: &[f32], share: f32, weight: f32) {
        let from = from_mean.iter().zip(from_spread);
        for ((mean, spread), (from_mean, from_spread)) in mean.iter_mut().zip(spread).zip(from) {
            let step = from_mean - *mean;
            *mean += step * share;
            *spread += from_spread + step * step * weight;
        }
    }
}

vectorised! {
    fn block_moments(rows: &[f32], mean: &mut [f32], spread: &mut [f32]) {
        let channels = mean.len();
        mean.fill(0.0);
        spread.fill(0.0);
        for row in rows.chunks_exact(channels) {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean += x;
            }
        }
        let share = channels as f32 / rows.len() as f32;
        for mean in mean.iter_mut() {
            *mean *= share;
        }
        for row in rows.chunks_exact(channels) {
            for ((spread, mean), x) in spread.iter_mut().zip(mean.iter()).zip(row) {
                *spread += (x - mean) * (x - mean);
            }
        }
    }
}

vectorised! {
    /// `y = x * scale + shift`, channel by channel.
    pub fn affine(x: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
        let channels = scale.len();
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                *y = x * scale + shift;
            }
        }
    }
}

vectorised! {
    /// Adds to `dscale` and `dshift` the gradients of [`affine`] in its scales and shifts: the sums
    /// over rows of `dy x` and of `dy`.
    pub fn affine_sums(x: &[f32], dy: &[f32], dscale: &mut [f32], dshift: &mut [f32]) {
        let channels = dscale.len();
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            let sums = dscale.iter_mut().zip(dshift.iter_mut());
            for ((x, dy), (dscale, dshift)) in x.iter().zip(dy).zip(sums) {
                *dscale += dy * x;
                *dshift += dy;
            }
        }
    }
}

vectorised! {
    /// `y = x * scale`, channel by channel: of a gradient, the gradient of [`affine`] in its input.
    pub fn scale_channels(x: &[f32], scale: &[f32], y: &mut [f32]) {
        let channels = scale.len();
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
                *y = x * scale;
            }
        }
    }
}

vectorised! {
    /// `y = max(x * scale + shift + side, 0)`, where `side` is empty or shaped as `x`.
    pub fn affine_relu(x: &[f32], scale: &[f32], shift: &[f32], side: &[f32], y: &mut [f32]) {
        let channels = scale.len();
        let clip = |v: f32| if v < 0.0 { 0.0 } else { v };
        if side.is_empty() {
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                    *y = clip(x * scale + shift);
                }
            }
            return;
        }
        let rows = x.chunks_exact(channels).zip(side.chunks_exact(channels));
        for ((x, side), y) in rows.zip(y.chunks_exact_mut(channels)) {
            let factors = scale.iter().zip(shift);
            for (((y, x), side), (scale, shift)) in y.iter_mut().zip(x).zip(side).zip(factors) {
                *y = clip(x * scale + shift + side);
            }
        }
    }
}

vectorised! {
    /// `to += from`.
    pub fn add(from: &[f32], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}

vectorised! {
    /// `y = a + b`.
    pub fn sum(a: &[f32], b: &[f32], y: &mut [f32]) {
        for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    }
}

vectorised! {
    /// Adds to `gradient` and `product` the sums over rows of `g` and of `g (x - mean)`.
    pub fn backward_sums(x: &[f32], g: &[f32], mean: &[f32], gradient: &mut [f32], product: &mut [f32]) {
        let channels = mean.len();
        for (x, g) in x.chunks_exact(channels).zip(g.chunks_exact(channels)) {
            let sums = gradient.iter_mut().zip(product.iter_mut());
            for (((x, g), mean), (gradient, product)) in x.iter().zip(g).zip(mean).zip(sums) {
                *gradient += g;
                *product += g * (x - mean);
            }
        }
    }
}

vectorised! {
    /// As [`backward_sums`], after `g` was set to 0 where `y` is not above 0.
    pub fn relu_backward_sums(x: &[f32], y: &[f32], g: &mut [f32], mean: &[f32], gradient: &mut [f32], product: &mut [f32]) {
        let channels = mean.len();
        let rows = x.chunks_exact(channels).zip(y.chunks_exact(channels));
        for ((x, y), g) in rows.zip(g.chunks_exact_mut(channels)) {
            let sums = gradient.iter_mut().zip(product.iter_mut());
            for ((((x, y), g), mean), (gradient, product)) in x.iter().zip(y).zip(g).zip(mean).zip(sums) {
                let passed = if *y > 0.0 { *g } else { 0.0 };
                *g = passed;
                *gradient += passed;
                *product += passed * (x - mean);
            }
        }
    }
}

/// The factors of [`backward`], one of each a channel.
pub struct Factors<'a> {
    /// The batch's means.
    pub mean: &'a [f32],
    /// Of the gradient.
    pub gradient: &'a [f32],
    /// Of the distance from the mean.
    pub distance: &'a [f32],
    /// Added.
    pub shift: &'a [f32],
}

/// `dx (+)= gradient g + distance (x - mean) + shift`, channel by channel.
pub fn backward(x: &[f32], g: &[f32], factors: &Factors<'_>, accumulate: bool, dx: &mut [f32]) {
    let f = factors;
    if accumulate {
        backward_add(x, g, f.mean, f.gradient, f.distance, f.shift, dx);
    } else {
        backward_set(x, g, f.mean, f.gradient, f.distance, f.shift, dx);
    }
}

/// As [`backward`], over `g` itself.
pub fn backward_in_place(x: &[f32], g: &mut [f32], factors: &Factors<'_>) {
    let f = factors;
    backward_over(x, g, f.mean, f.gradient, f.distance, f.shift);
}

vectorised! {
    fn backward_set(x: &[f32], g: &[f32], mean: &[f32], a: &[f32], b: &[f32], c: &[f32], dx: &mut [f32]) {
        let channels = a.len();
        let rows = x.chunks_exact(channels).zip(g.chunks_exact(channels));
        for ((x, g), dx) in rows.zip(dx.chunks_exact_mut(channels)) {
            let factors = a.iter().zip(b).zip(c).zip(mean);
            for (((dx, x), g), (((a, b), c), mean)) in dx.iter_mut().zip(x).zip(g).zip(factors) {
                *dx = a * g + (b * (x - mean) + c);
            }
        }
    }
}

vectorised! {
    fn backward_add(x: &[f32], g: &[f32], mean: &[f32], a: &[f32], b: &[f32], c: &[f32], dx: &mut [f32]) {
        let channels = a.len();
        let rows = x.chunks_exact(channels).zip(g.chunks_exact(channels));
        for ((x, g), dx) in rows.zip(dx.chunks_exact_mut(channels)) {
            let factors = a.iter().zip(b).zip(c).zip(mean);
            for (((dx, x), g), (((a, b), c), mean)) in dx.iter_mut().zip(x).zip(g).zip(factors) {
                *dx += a * g + (b * (x - mean) + c);
            }
        }
    }
}

vectorised! {
    fn backward_over(x: &[f32], g: &mut [f32], mean: &[f32], a: &[f32], b: &[f32], c: &[f32]) {
        let channels = a.len();
        for (x, g) in x.chunks_exact(channels).zip(g.chunks_exact_mut(channels)) {
            let factors = a.iter().zip(b).zip(c).zip(mean);
            for ((x, g), (((a, b), c), mean)) in x.iter().zip(g).zip(factors) {
                *g = a * *g + (b * (x - mean) + c);
            }
        }
    }
}

/// Rows added up side by side where channels are few.
const ABREAST: usize = 16;

/// Adds the rows of `g` to `sums`: the gradient of a bias.
pub fn add_rows(g: &[f32], sums: &mut [f32]) {
    let channels = sums.len();
    if channels >= 64 || g.len() < 4 * ABREAST * channels {
        return add_each_row(g, sums);
    }
    // Short rows waste most of a register: many of them are added as one long row, then folded.
    let mut wide = [0.0f32; 64 * ABREAST];
    let wide = &mut wide[..ABREAST * channels];
    let whole = g.len() / wide.len() * wide.len();
    add_each_row(&g[..whole], wide);
    add_each_row(wide, sums);
    add_each_row(&g[whole..], sums);
}

vectorised! {
    fn add_each_row(g: &[f32], sums: &mut [f32]) {
        for row in g.chunks_exact(sums.len()) {
            for (sum, g) in sums.iter_mut().zip(row) {
                *sum += g;
            }
        }
    }
}
