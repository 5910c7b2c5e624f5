//! Vector instructions: one body compiled for AVX-512, for AVX2 and portably, chosen at run time;
//! and a vector type for the loops the compiler would not keep in registers by itself.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set our loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// Whatever the target always has.
    Portable = 1,
    /// AVX2 with fused multiply-add.
    Avx2 = 2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512 = 3,
}

/// 0 until detected.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// The best instruction set of this machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            let wide = has!("avx512f") && has!("avx512vl");
            if avx2 && wide && has!("avx512bw") && has!("avx512dq") {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// The instruction set in use.
    #[inline]
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => {
                let best = Self::best();
                CURRENT.store(best as u8, Ordering::Relaxed);
                best
            }
        }
    }

    /// Makes all kernels use `isa`, or the best available one below it; for tests and measurements.
    pub fn limit(isa: Self) {
        CURRENT.store(isa.min(Self::best()) as u8, Ordering::Relaxed);
    }
}

/// Compiles a function three times, for each [`Isa`](crate::cpu::simd::Isa), and calls the one in use.
/// The loops inside are plain Rust, so all three round alike and give the same bits.
///
/// ```
/// hw_kernels::vectorised! {
///     fn add(y: &mut [f32], x: &[f32]) {
///         for (y, x) in y.iter_mut().zip(x) {
///             *y += x;
///         }
///     }
/// }
///
/// let mut y = [1.0; 20];
/// add(&mut y, &[2.0; 20]);
/// assert_eq!(y, [3.0; 20]);
/// ```
#[macro_export]
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$generic:ident: $bound:path>)? (
        $($arg:ident: $ty:ty),* $(,)?
    ) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn avx512 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match $crate::cpu::simd::Isa::current() {
                    // SAFETY: `Isa` only names instruction sets this machine was seen to have.
                    $crate::cpu::simd::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::simd::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::simd::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

/// A register of [`Vector::LANES`] floats.
///
/// # Safety
/// All methods need the instruction set of the implementing type; `load` and `store` need
/// `LANES` readable or writable floats at the pointer (of any alignment).
pub(crate) trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self * factor + sum`
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// The sum of all lanes, in a fixed order.
    unsafe fn sum(self) -> f32;

    /// One bit per lane.
    type Mask: Copy;
    /// Where `self` is greater than `other`, or NaN.
    unsafe fn beats(self, other: Self) -> Self::Mask;
    unsafe fn equals(self, other: Self) -> Self::Mask;
    /// `yes` where the mask is set, else `no`.
    unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The even and the odd elements of the run `low, high`.
    unsafe fn unzip(low: Self, high: Self) -> (Self, Self);
    /// The opposite of [`Vector::unzip`].
    unsafe fn zip(even: Self, odd: Self) -> (Self, Self);
    /// `LANES` bytes as numbers.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Lanes that are whole numbers from 0 to 255, as bytes.
    unsafe fn store_bytes(self, to: *mut u8);
}

/// Eight floats on any machine; the compiler maps them to what there is.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for eight readable floats; arrays of f32 align as f32.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for eight writable floats.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                self.0[i].mul_add(factor.0[i], sum.0[i])
            } else {
                // Without the instruction, `mul_add` would be a slow library call.
                self.0[i] * factor.0[i] + sum.0[i]
            }
        }))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let v = self.0;
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }

    type Mask = [bool; 8];

    #[inline(always)]
    unsafe fn beats(self, other: Self) -> Self::Mask {
        std::array::from_fn(|i| self.0[i] > other.0[i] || self.0[i].is_nan())
    }

    #[inline(always)]
    unsafe fn equals(self, other: Self) -> Self::Mask {
        std::array::from_fn(|i| self.0[i] == other.0[i])
    }

    #[inline(always)]
    unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if mask[i] { yes.0[i] } else { no.0[i] }
        }))
    }

    #[inline(always)]
    unsafe fn unzip(low: Self, high: Self) -> (Self, Self) {
        let at = |i: usize| if i < 8 { low.0[i] } else { high.0[i - 8] };
        let [even, odd] = [0, 1].map(|first| Self(std::array::from_fn(|i| at(2 * i + first))));
        (even, odd)
    }

    #[inline(always)]
    unsafe fn zip(even: Self, odd: Self) -> (Self, Self) {
        let at = |i: usize| {
            if i.is_multiple_of(2) {
                even.0[i / 2]
            } else {
                odd.0[i / 2]
            }
        };
        let [low, high] = [0, 8].map(|first| Self(std::array::from_fn(|i| at(first + i))));
        (low, high)
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: the caller vouches for eight readable bytes.
        Self(unsafe { from.cast::<[u8; 8]>().read() }.map(f32::from))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: the caller vouches for eight writable bytes.
        unsafe { to.cast::<[u8; 8]>().write(self.0.map(|lane| lane as u8)) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    // SAFETY of every block below: the trait's contract gives the instruction set and the memory.

    impl Vector for __m256 {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
            unsafe { _mm256_fmadd_ps(self, factor, sum) }
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps(self, 1));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)))
            }
        }

        type Mask = __m256;

        #[inline(always)]
        unsafe fn beats(self, other: Self) -> Self::Mask {
            unsafe {
                let greater = _mm256_cmp_ps(self, other, _CMP_GT_OQ);
                _mm256_or_ps(greater, _mm256_cmp_ps(self, self, _CMP_UNORD_Q))
            }
        }

        #[inline(always)]
        unsafe fn equals(self, other: Self) -> Self::Mask {
            unsafe { _mm256_cmp_ps(self, other, _CMP_EQ_OQ) }
        }

        #[inline(always)]
        unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
            unsafe { _mm256_blendv_ps(no, yes, mask) }
        }

        #[inline(always)]
        unsafe fn unzip(low: Self, high: Self) -> (Self, Self) {
            unsafe {
                let (a, b) = (
                    _mm256_permute2f128_ps(low, high, 0x20),
                    _mm256_permute2f128_ps(low, high, 0x31),
                );
                let (even, odd) = (_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
                (even, odd)
            }
        }

        #[inline(always)]
        unsafe fn zip(even: Self, odd: Self) -> (Self, Self) {
            unsafe {
                let (a, b) = (_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd));
                (
                    _mm256_permute2f128_ps(a, b, 0x20),
                    _mm256_permute2f128_ps(a, b, 0x31),
                )
            }
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> Self {
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadu_si64(from))) }
        }

        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8) {
            unsafe {
                let whole = _mm256_cvttps_epi32(self);
                let (low, high) = (
                    _mm256_castsi256_si128(whole),
                    _mm256_extracti128_si256(whole, 1),
                );
                let words = _mm_packus_epi32(low, high);
                _mm_storeu_si64(to, _mm_packus_epi16(words, words));
            }
        }
    }

    impl Vector for __m512 {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
            unsafe { _mm512_fmadd_ps(self, factor, sum) }
        }

        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            unsafe { _mm512_reduce_add_ps(self) }
        }

        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn beats(self, other: Self) -> Self::Mask {
            unsafe {
                let greater = _mm512_cmp_ps_mask(self, other, _CMP_GT_OQ);
                greater | _mm512_cmp_ps_mask(self, self, _CMP_UNORD_Q)
            }
        }

        #[inline(always)]
        unsafe fn equals(self, other: Self) -> Self::Mask {
            unsafe { _mm512_cmp_ps_mask(self, other, _CMP_EQ_OQ) }
        }

        #[inline(always)]
        unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
            unsafe { _mm512_mask_blend_ps(mask, no, yes) }
        }

        #[inline(always)]
        unsafe fn unzip(low: Self, high: Self) -> (Self, Self) {
            unsafe {
                let even =
                    _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                let odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
                let pick = |index| _mm512_permutex2var_ps(low, index, high);
                (pick(even), pick(odd))
            }
        }

        #[inline(always)]
        unsafe fn zip(even: Self, odd: Self) -> (Self, Self) {
            unsafe {
                let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
                let pick = |index| _mm512_permutex2var_ps(even, index, odd);
                (pick(low), pick(high))
            }
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> Self {
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
        }

        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8) {
            unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(self))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every method gives for fixed vectors, lane by lane.
    fn observe<V: Vector>() -> Vec<f32> {
        let value =
            |i: usize| [3.0, -1.0, f32::NAN, 0.5, f32::INFINITY, -0.0, 7.0][i * i % 7] + i as f32;
        let (mut seen, count) = (Vec::new(), 16 / V::LANES);
        let mut values = [[0.0f32; 16]; 4];
        for (i, row) in values.iter_mut().enumerate() {
            *row = std::array::from_fn(|j| value(i + j));
        }
        for part in 0..count {
            // SAFETY: the callers pass types whose instructions this machine has; all pointers
            // have LANES floats left.
            unsafe {
                let [a, b, c, _] = values.map(|row| V::load(row.as_ptr().add(part * V::LANES)));
                let results = [
                    V::select(a.beats(b), a, b),
                    V::select(b.equals(c), V::splat(1.0), a),
                ];
                for result in results {
                    let mut lanes = [0.0; 16];
                    result.store(lanes.as_mut_ptr());
                    seen.extend_from_slice(&lanes[..V::LANES]);
                }
            }
        }
        seen
    }

    fn zipped<V: Vector>() -> [f32; 32] {
        let run: [f32; 32] = std::array::from_fn(|i| i as f32);
        let mut result = [0.0; 32];
        let bytes: [u8; 32] = std::array::from_fn(|i| 255 - 3 * i as u8);
        for start in (0..32).step_by(2 * V::LANES) {
            // SAFETY: as above.
            unsafe {
                let low = V::load(run.as_ptr().add(start));
                let high = V::load(run.as_ptr().add(start + V::LANES));
                let (even, odd) = V::unzip(low, high);
                let mut lanes = [0.0; 16];
                odd.store(lanes.as_mut_ptr());
                let odds: Vec<f32> = (0..V::LANES).map(|i| (start + 2 * i + 1) as f32).collect();
                assert_eq!(lanes[..V::LANES], odds);
                let mut copy = [0u8; 16];
                V::load_bytes(bytes.as_ptr().add(start)).store_bytes(copy.as_mut_ptr());
                assert_eq!(copy[..V::LANES], bytes[start..start + V::LANES]);
                let (low, high) = V::zip(even, odd);
                low.store(result.as_mut_ptr().add(start));
                high.store(result.as_mut_ptr().add(start + V::LANES));
            }
        }
        result
    }

    #[test]
    fn zip_undoes_unzip_and_bytes_come_back() {
        let run: [f32; 32] = std::array::from_fn(|i| i as f32);
        assert_eq!(zipped::<Portable>(), run);
        #[cfg(target_arch = "x86_64")]
        {
            if Isa::best() >= Isa::Avx2 {
                assert_eq!(zipped::<std::arch::x86_64::__m256>(), run);
            }
            if Isa::best() >= Isa::Avx512 {
                assert_eq!(zipped::<std::arch::x86_64::__m512>(), run);
            }
        }
    }

    #[test]
    fn masks_follow_the_definition_with_nan() {
        #[cfg(target_arch = "x86_64")]
        if Isa::best() >= Isa::Avx2 {
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let portable = bits(observe::<Portable>());
            assert_eq!(bits(observe::<std::arch::x86_64::__m256>()), portable);
        }
        let lanes = [1.0, f32::NAN, 2.0, 2.0, f32::NAN, -0.0, 0.0, f32::INFINITY];
        let others = [2.0, 1.0, 1.0, 2.0, f32::NAN, 0.0, f32::NAN, f32::INFINITY];
        // SAFETY: portable vectors need no instruction set.
        let (beats, equals) = unsafe {
            let (a, b) = (
                Portable::load(lanes.as_ptr()),
                Portable::load(others.as_ptr()),
            );
            (a.beats(b), a.equals(b))
        };
        assert_eq!(beats, [false, true, true, false, true, false, false, false]);
        assert_eq!(
            equals,
            [false, false, false, true, false, true, false, true]
        );
    }
}
