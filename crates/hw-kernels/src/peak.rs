//! What the processor could do at most: a loop of fused multiply-adds on registers, against which
//! benchmarks hold themselves. Time it in turns with what is measured: clocks change.

use crate::cpu::simd::Isa;
use std::hint::black_box;

/// Rounds of the peak loop.
const PEAK_ROUNDS: usize = 20_000;

/// Independent chains of multiply-adds: more than any processor needs to fill its pipelines.
const CHAINS: usize = 12;

/// Floating-point operations of one call of [`run`].
pub fn flops() -> u64 {
    let lanes = match Isa::best() {
        Isa::Avx512 => 16,
        Isa::Avx2 => 8,
        Isa::Portable => 4,
    };
    (2 * CHAINS * lanes * PEAK_ROUNDS) as u64
}

/// Multiplies and adds on registers alone.
pub fn run() -> f32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;

        #[target_feature(enable = "avx512f")]
        fn avx512() -> f32 {
            let (x, y) = (
                _mm512_set1_ps(black_box(0.5)),
                _mm512_set1_ps(black_box(0.25)),
            );
            let mut sums = [_mm512_setzero_ps(); CHAINS];
            for _ in 0..PEAK_ROUNDS {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, x, y);
                }
            }
            sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
        }

        #[target_feature(enable = "avx2,fma")]
        fn avx2() -> f32 {
            let (x, y) = (
                _mm256_set1_ps(black_box(0.5)),
                _mm256_set1_ps(black_box(0.25)),
            );
            let mut sums = [_mm256_setzero_ps(); CHAINS];
            for _ in 0..PEAK_ROUNDS {
                for sum in &mut sums {
                    *sum = _mm256_fmadd_ps(*sum, x, y);
                }
            }
            sums.into_iter().map(|sum| _mm256_cvtss_f32(sum)).sum()
        }

        match Isa::best() {
            // SAFETY: the best instruction set is one that the processor was just seen to have.
            Isa::Avx512 => return unsafe { avx512() },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2() },
            Isa::Portable => {}
        }
    }
    let (x, y) = (black_box(0.5f32), black_box(0.25f32));
    let mut sums = [[0.0f32; 4]; CHAINS];
    for _ in 0..PEAK_ROUNDS {
        for lane in sums.iter_mut().flatten() {
            *lane = *lane * x + y;
        }
    }
    sums.iter().flatten().sum()
}
