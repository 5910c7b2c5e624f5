//! The few vector operations that the micro-kernels need, for each instruction set.

/// A register of [`LANES`](Vector::LANES) floats.
///
/// # Safety
/// Every method may only run on a processor with the instructions of the implementing type, and
/// is meant to be inlined into a function compiled for them. What is read or written must be there,
/// as far as the method says.
pub(crate) trait Vector: Copy {
    /// Floats per register.
    const LANES: usize;
    /// Whether sums go through memory at each step: a vector in plain Rust is else vectorized
    /// across the rows of a tile, at a third of the speed.
    const IN_MEMORY: bool = false;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;
    /// Loads `LANES` floats from `at`, of any alignment.
    unsafe fn load(at: *const f32) -> Self;
    /// Stores `LANES` floats to `at`, of any alignment.
    unsafe fn store(self, at: *mut f32);
    /// Loads the first `lanes` floats (`<= LANES`) from `at`; the other lanes are 0.
    unsafe fn load_first(at: *const f32, lanes: usize) -> Self;
    /// Stores the first `lanes` floats (`<= LANES`) to `at`.
    unsafe fn store_first(self, at: *mut f32, lanes: usize);
    /// `self * y + z`, rounded once where the processor can.
    unsafe fn mul_add(self, y: Self, z: Self) -> Self;
    /// `self + y`.
    unsafe fn add(self, y: Self) -> Self;
    /// `self * y`.
    unsafe fn mul(self, y: Self) -> Self;
    /// `self - y`.
    #[inline(always)]
    unsafe fn sub(self, y: Self) -> Self {
        // SAFETY: the processor has the instructions, as this method demands too.
        unsafe { Self::splat(-1.0).mul_add(y, self) }
    }
    /// 0 where the lane is negative, else the lane itself (a NaN stays).
    unsafe fn relu(self) -> Self;
}

/// Four lanes in plain Rust, which the compiler maps to whatever the target always has.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, y: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], y.0[lane])))
    }
}

impl Vector for Portable {
    const LANES: usize = 4;
    const IN_MEMORY: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 4])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller hands `LANES` readable floats.
        unsafe { Self(at.cast::<[f32; 4]>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller hands `LANES` writable floats.
        unsafe { at.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(at: *const f32, lanes: usize) -> Self {
        let mut all = [0.0; 4];
        for (lane, value) in all.iter_mut().enumerate().take(lanes) {
            // SAFETY: the caller hands `lanes` readable floats.
            *value = unsafe { *at.add(lane) };
        }
        Self(all)
    }

    #[inline(always)]
    unsafe fn store_first(self, at: *mut f32, lanes: usize) {
        for (lane, value) in self.0.into_iter().enumerate().take(lanes) {
            // SAFETY: the caller hands `lanes` writable floats.
            unsafe { *at.add(lane) = value };
        }
    }

    #[inline(always)]
    unsafe fn mul_add(self, y: Self, z: Self) -> Self {
        // Without the instruction, `f32::mul_add` is a slow library call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            Self(std::array::from_fn(|i| self.0[i].mul_add(y.0[i], z.0[i])))
        } else {
            Self(std::array::from_fn(|i| self.0[i] * y.0[i] + z.0[i]))
        }
    }

    #[inline(always)]
    unsafe fn add(self, y: Self) -> Self {
        self.zip(y, |x, y| x + y)
    }

    #[inline(always)]
    unsafe fn mul(self, y: Self) -> Self {
        self.zip(y, |x, y| x * y)
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        Self(self.0.map(|x| if x < 0.0 { 0.0 } else { x }))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    /// Eight lanes of AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    /// For each count of lanes, the sign bits `vmaskmovps` looks at, read at `8 - lanes`.
    static LANE_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    /// The first `lanes` (`<= 8`) lanes selected.
    #[inline(always)]
    unsafe fn first_lanes(lanes: usize) -> __m256i {
        debug_assert!(lanes <= 8);
        // SAFETY: `8 - lanes + 8 <= 16`; the caller has AVX2.
        unsafe { _mm256_loadu_si256(LANE_MASKS.as_ptr().add(8 - lanes).cast()) }
    }

    impl Vector for Avx2 {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the trait demands AVX2 and FMA.
            unsafe { Self(_mm256_set1_ps(x)) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the trait demands AVX2 and FMA and `LANES` readable floats.
            unsafe { Self(_mm256_loadu_ps(at)) }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the trait demands AVX2 and FMA and `LANES` writable floats.
            unsafe { _mm256_storeu_ps(at, self.0) }
        }

        // Masked moves are slow on some processors, so whole registers avoid them.
        #[inline(always)]
        unsafe fn load_first(at: *const f32, lanes: usize) -> Self {
            // SAFETY: the trait demands AVX2 and FMA and `lanes` readable floats, and reads no
            // other.
            unsafe {
                if lanes == Self::LANES {
                    Self::load(at)
                } else {
                    Self(_mm256_maskload_ps(at, first_lanes(lanes)))
                }
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, at: *mut f32, lanes: usize) {
            // SAFETY: the trait demands AVX2 and FMA and `lanes` writable floats, and writes no
            // other.
            unsafe {
                if lanes == Self::LANES {
                    self.store(at);
                } else {
                    _mm256_maskstore_ps(at, first_lanes(lanes), self.0);
                }
            }
        }

        #[inline(always)]
        unsafe fn mul_add(self, y: Self, z: Self) -> Self {
            // SAFETY: the trait demands AVX2 and FMA.
            unsafe { Self(_mm256_fmadd_ps(self.0, y.0, z.0)) }
        }

        #[inline(always)]
        unsafe fn add(self, y: Self) -> Self {
            // SAFETY: the trait demands AVX2 and FMA.
            unsafe { Self(_mm256_add_ps(self.0, y.0)) }
        }

        #[inline(always)]
        unsafe fn mul(self, y: Self) -> Self {
            // SAFETY: the trait demands AVX2 and FMA.
            unsafe { Self(_mm256_mul_ps(self.0, y.0)) }
        }

        // `vmaxps` returns its second operand when one is NaN.
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            // SAFETY: the trait demands AVX2 and FMA.
            unsafe { Self(_mm256_max_ps(_mm256_setzero_ps(), self.0)) }
        }
    }

    /// Sixteen lanes of AVX-512F.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    #[inline(always)]
    fn mask16(lanes: usize) -> __mmask16 {
        debug_assert!(lanes <= 16);
        ((1u32 << lanes) - 1) as __mmask16
    }

    impl Vector for Avx512 {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the trait demands AVX-512F.
            unsafe { Self(_mm512_set1_ps(x)) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the trait demands AVX-512F and `LANES` readable floats.
            unsafe { Self(_mm512_loadu_ps(at)) }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the trait demands AVX-512F and `LANES` writable floats.
            unsafe { _mm512_storeu_ps(at, self.0) }
        }

        #[inline(always)]
        unsafe fn load_first(at: *const f32, lanes: usize) -> Self {
            // SAFETY: the trait demands AVX-512F and `lanes` readable floats, and reads no other.
            unsafe { Self(_mm512_maskz_loadu_ps(mask16(lanes), at)) }
        }

        #[inline(always)]
        unsafe fn store_first(self, at: *mut f32, lanes: usize) {
            // SAFETY: the trait demands AVX-512F and `lanes` writable floats, and writes no other.
            unsafe { _mm512_mask_storeu_ps(at, mask16(lanes), self.0) }
        }

        #[inline(always)]
        unsafe fn mul_add(self, y: Self, z: Self) -> Self {
            // SAFETY: the trait demands AVX-512F.
            unsafe { Self(_mm512_fmadd_ps(self.0, y.0, z.0)) }
        }

        #[inline(always)]
        unsafe fn add(self, y: Self) -> Self {
            // SAFETY: the trait demands AVX-512F.
            unsafe { Self(_mm512_add_ps(self.0, y.0)) }
        }

        #[inline(always)]
        unsafe fn mul(self, y: Self) -> Self {
            // SAFETY: the trait demands AVX-512F.
            unsafe { Self(_mm512_mul_ps(self.0, y.0)) }
        }

        #[inline(always)]
        unsafe fn relu(self) -> Self {
            // SAFETY: the trait demands AVX-512F.
            unsafe { Self(_mm512_max_ps(_mm512_setzero_ps(), self.0)) }
        }
    }
}
