//! Images that two data sets share, found by the hash of their pixels.
//!
//! ByClass and ByMerge are two shuffles of one pool, so most test images of the one are training
//! images of the other: what was trained on one and is tested on the other must be tested without
//! them.
//!
//! ```
//! use hw_data::glyphs::{GlyphConfig, generate};
//! use hw_data::{GlyphSet, Split, overlap};
//!
//! let digits = generate(GlyphSet::Digits, Split::Train, 20, &GlyphConfig::default())?;
//! let some = digits.subset(&[3, 4, 5]);
//! assert_eq!(overlap::shared_with(&some, &digits), [true, true, true]);
//! assert_eq!(overlap::shared_with(&digits, &some).iter().filter(|&&shared| shared).count(), 3);
//! # Ok::<(), hw_data::DataError>(())
//! ```

use crate::{Dataset, Images};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// One number an image: the first 128 bits of the SHA-256 of its shape and pixels. Equal images
/// have equal numbers; that two of a million different ones do is less likely than one in 10^26.
pub fn image_hashes(images: &Images) -> Vec<u128> {
    let shape: Vec<u8> = images
        .shape()
        .iter()
        .flat_map(|&side| (side as u64).to_le_bytes())
        .collect();
    let hash = |index: usize| {
        let mut hasher = Sha256::new();
        hasher.update(&shape);
        hasher.update(images.image(index));
        let digest = hasher.finalize();
        let first = digest.iter().take(16);
        first.fold(0u128, |number, &byte| number << 8 | u128::from(byte))
    };
    (0..images.len()).into_par_iter().map(hash).collect()
}

/// For each image of `test`, whether the very same pixels are in `train`, whatever their labels.
pub fn shared_with(test: &Dataset, train: &Dataset) -> Vec<bool> {
    let known: HashSet<u128> = image_hashes(&train.images).into_iter().collect();
    let hashes = image_hashes(&test.images);
    hashes.iter().map(|hash| known.contains(hash)).collect()
}
