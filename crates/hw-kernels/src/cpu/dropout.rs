//! Inverted dropout: the mask of element `i` depends on the seed and on `i` alone.

use super::parallel::for_each_chunk;
use super::simd::vectorised;

/// The factor of element `index`: 0 with probability `rate`, else `1 / (1 - rate)`.
#[inline(always)]
pub fn factor(seed: u64, index: u64, rate: f32) -> f32 {
    // Counter-based: the finaliser of SplitMix64 over seed and index (Steele, Lea & Flood 2014).
    let step = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = seed.wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let uniform = ((z ^ (z >> 31)) >> 40) as f32 * (1.0 / (1u64 << 24) as f32);
    if uniform < rate {
        0.0
    } else {
        1.0 / (1.0 - rate)
    }
}

vectorised! {
    /// `y[i] = factor(first + i) x[i]`, on the calling thread.
    pub fn scale(x: &[f32], y: &mut [f32], first: u64, seed: u64, rate: f32) {
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let factor = factor(seed, first + i as u64, rate);
            // A dropped element is 0 even where `x` is not finite.
            *y = if factor == 0.0 { 0.0 } else { x * factor };
        }
    }
}

/// `y[i] = factor(i) x[i]`. The gradient is the same map, applied to the gradient of `y`.
///
/// # Panics
/// When the lengths differ.
pub fn apply(x: &[f32], y: &mut [f32], rate: f32, seed: u64) {
    assert_eq!(x.len(), y.len());
    for_each_chunk(y, |start, y| {
        scale(&x[start..start + y.len()], y, start as u64, seed, rate);
    });
}

#[cfg(test)]
mod tests {
    use super::{apply, factor};

    #[test]
    fn the_share_of_dropped_elements_is_the_rate_and_the_rest_is_scaled_up() {
        for rate in [0.1f32, 0.5, 0.9] {
            let mut y = vec![0.0; 100_000];
            apply(&vec![1.0; 100_000], &mut y, rate, 3);
            let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / 1e5;
            // Six standard errors.
            assert!((dropped - f64::from(rate)).abs() < 0.0095, "{dropped}");
            let kept = 1.0 / (1.0 - rate);
            assert!(y.iter().all(|&y| y == 0.0 || y == kept));
        }
    }

    #[test]
    fn the_mask_never_changes_between_releases() {
        let mask: Vec<u8> = (0..16)
            .map(|i| u8::from(factor(42, i, 0.5) != 0.0))
            .collect();
        assert_eq!(
            mask,
            [1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0],
            "recorded runs would no longer rerun"
        );
    }
}
