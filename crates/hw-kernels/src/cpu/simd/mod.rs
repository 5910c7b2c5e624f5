//! Vector instructions: one body compiled for AVX-512, for AVX2 and portably, chosen at run time;
//! and vector types ([`vector`]) for the loops the compiler would not keep in registers by itself.

pub(crate) mod vector;

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
    ///
    /// # Safety
    /// No convolution that was made before is used after: how its weights lie in memory depends on
    /// the registers.
    pub unsafe fn limit(isa: Self) {
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
                    // SAFETY: the current instruction set is one this machine was seen to have.
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
