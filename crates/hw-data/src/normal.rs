//! Fast standard normal draws for per-pixel noise: the ziggurat method (Marsaglia & Tsang 2000, in
//! the form of Doornik 2005), about fifteen times as fast as Box-Muller.

use hw_core::Rng;
use std::sync::LazyLock;

const LAYERS: usize = 128;
/// Where the tail begins, for 128 layers.
const TAIL: f64 = 3.442_619_855_899;
/// The area of each layer, for 128 layers.
const AREA: f64 = 9.912_563_035_262_17e-3;

/// The right edges of the layers, widest first, and the ratio of each edge to the one before.
struct Ziggurat {
    edge: [f64; LAYERS + 1],
    ratio: [f64; LAYERS],
}

static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(|| {
    let density = |x: f64| (-0.5 * x * x).exp();
    let mut edge = [0.0; LAYERS + 1];
    edge[0] = AREA / density(TAIL);
    edge[1] = TAIL;
    for i in 2..LAYERS {
        edge[i] = (-2.0 * (AREA / edge[i - 1] + density(edge[i - 1])).ln()).sqrt();
    }
    Ziggurat {
        ratio: std::array::from_fn(|i| edge[i + 1] / edge[i]),
        edge,
    }
});

/// One draw from the standard normal distribution.
pub(crate) fn normal(rng: &mut Rng) -> f32 {
    let Ziggurat { edge, ratio } = &*ZIGGURAT;
    loop {
        let bits = rng.next_u64();
        // The layer from the lowest bits, the place in it from the highest 53: disjoint.
        let layer = (bits & (LAYERS as u64 - 1)) as usize;
        let place = (bits >> 11) as f64 * (2.0 / (1u64 << 53) as f64) - 1.0;
        let x = place * edge[layer];
        if place.abs() < ratio[layer] {
            return x as f32;
        }
        if layer == 0 {
            return tail(rng, place < 0.0) as f32;
        }
        let above = |edge: f64| (-0.5 * (edge * edge - x * x)).exp();
        let (low, high) = (above(edge[layer]), above(edge[layer + 1]));
        if high + rng.uniform_f64() * (low - high) < 1.0 {
            return x as f32;
        }
    }
}

/// A draw beyond [`TAIL`] (Marsaglia 1964).
fn tail(rng: &mut Rng, negative: bool) -> f64 {
    loop {
        let x = -(1.0 - rng.uniform_f64()).ln() / TAIL;
        let y = -(1.0 - rng.uniform_f64()).ln();
        if 2.0 * y >= x * x {
            return if negative { -TAIL - x } else { TAIL + x };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::normal;
    use hw_core::Rng;

    #[test]
    fn draws_fall_where_the_normal_distribution_says() {
        let mut rng = Rng::stream(3, "test", 0);
        let count = 2_000_000;
        // P(x < z), from tables of the normal distribution.
        let table = [
            (-4.0, 3.167e-5),
            (-3.0, 1.349_898e-3),
            (-2.0, 0.022_750_13),
            (-1.0, 0.158_655_25),
            (-0.25, 0.401_293_67),
            (0.0, 0.5),
            (0.5, 0.691_462_46),
            (1.5, 0.933_192_8),
            (3.442_62, 0.999_711_97),
        ];
        let mut below = [0usize; 9];
        for _ in 0..count {
            let x = normal(&mut rng);
            for (seen, (z, _)) in below.iter_mut().zip(table) {
                *seen += usize::from(x < z);
            }
        }
        for (seen, (z, p)) in below.into_iter().zip(table) {
            let expected: f64 = p * f64::from(count);
            let error = (expected * (1.0 - p)).sqrt();
            let off = (seen as f64 - expected) / error;
            assert!(
                off.abs() < 5.0,
                "P(x < {z}): {seen} of {count}, {off} standard errors off"
            );
        }
    }
}
