//! Which vector instructions the product runs on, decided once at run time.

use std::sync::OnceLock;

/// A set of vector instructions for which there is a micro-kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Simd(Level);

/// Private, so that a [`Simd`] in hand proves that the processor has the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// The widest level this processor has; detected on the first call.
    pub fn detect() -> Self {
        static BEST: OnceLock<Simd> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Simd(Level::Portable)))
    }

    /// All levels this processor has, narrowest first; never empty.
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Simd(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Simd(Level::Avx2));
            if is_x86_feature_detected!("avx512f") {
                levels.push(Simd(Level::Avx512));
            }
        }
        levels
    }

    /// The level's name: `portable`, `avx2` or `avx512`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}
