//! What every crate of the workbench shares: seeded random streams, files that appear whole or not
//! at all, a token that stops long work cleanly, and errors in one line.
//!
//! ```
//! use hw_core::rng::Rng;
//!
//! // One stream per purpose: drawing more from one never changes another.
//! let mut init = Rng::stream(7, "init", 0);
//! let mut shuffle = Rng::stream(7, "shuffle", 0);
//! assert_ne!(init.next_u64(), shuffle.next_u64());
//!
//! // The same seed, purpose and index always give the same draws, on every machine.
//! assert_eq!(Rng::stream(7, "init", 0).permutation(5), Rng::stream(7, "init", 0).permutation(5));
//! ```
#![warn(missing_docs)]

pub mod cancel;
pub mod errors;
pub mod files;
pub mod registry;
pub mod rng;
pub mod shared;

pub use cancel::CancelToken;
pub use errors::one_line;
pub use files::FileError;
pub use registry::{Member, Named, RegisterError, Registry};
pub use rng::Rng;

/// The place of the largest number; of equals the first, and 0 of none. A number that is none (NaN) is
/// never larger.
pub fn argmax(numbers: &[f32]) -> usize {
    let mut best = 0;
    for (place, number) in numbers.iter().enumerate() {
        if *number > numbers[best] {
            best = place;
        }
    }
    best
}
