//! The mask of dropout: element `i` depends on the seed and on `i` alone.

/// The factor of element `index`: 0 with probability `rate`, else `1 / (1 - rate)`.
#[inline]
pub fn factor(seed: u64, index: u64, rate: f32) -> f32 {
    // Counter-based: the finaliser of SplitMix64 over seed and index (Steele, Lea & Flood 2014).
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let uniform = ((z ^ (z >> 31)) >> 40) as f32 * (1.0 / (1u64 << 24) as f32);
    if uniform < rate {
        0.0
    } else {
        1.0 / (1.0 - rate)
    }
}
