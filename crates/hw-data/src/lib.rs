//! Handwriting data sets: finding, reading and checking them; splitting them and loading batches.
//!
//! The published sets ([`catalogue`]) are read from their own IDX files ([`idx`]), wherever they lie
//! ([`locate`](mod@locate)); [`glyphs`] draws characters where there is no real data, and
//! [`folder`] reads your own images. All come as a [`Dataset`]: bytes, upright, labels from 0.
//! A [`Loader`] turns parts of it ([`split`]) into shuffled batches of floats ([`preprocess`],
//! [`augment`](mod@augment)); [`audit`](mod@audit) says what is wrong with it before.
//! No neural network is pulled in.
//!
//! ```
//! # fn main() -> Result<(), hw_data::DataError> {
//! use hw_data::glyphs::{GlyphConfig, generate};
//! use hw_data::{GlyphSet, Loader, LoaderConfig, Split, SplitIndices};
//! use std::sync::Arc;
//!
//! // With real data: load(&"mnist".parse()?, Split::Train, &DataDirs::resolve(None))?
//! let digits = generate(GlyphSet::Digits, Split::Train, 200, &GlyphConfig::default())?;
//!
//! let everything: Vec<u32> = (0..digits.len() as u32).collect();
//! let parts = SplitIndices::stratified(&everything, &digits.labels, 0.1, 42)?;
//! let config = LoaderConfig { batch: 32, shuffle_seed: Some(42), ..LoaderConfig::default() };
//! let loader = Loader::new(Arc::new(digits), parts.train.into(), config)?;
//!
//! assert_eq!(loader.batches_per_epoch(), 6); // 180 images
//! let first = loader.epoch(0, 0).next().unwrap();
//! assert_eq!(first.shape, [32, 1, 28, 28]);
//! # Ok(())
//! # }
//! ```

pub mod audit;
pub mod augment;
pub mod catalogue;
pub mod centre;
pub mod class_map;
pub mod dataset;
pub mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod folder;
pub mod glyphs;
pub mod gray;
pub mod grid;
mod gzip;
pub mod idx;
pub mod label_space;
pub mod loader;
pub mod locate;
mod normal;
pub mod open;
pub mod overlap;
pub mod preprocess;
pub mod published;
mod resample;
pub mod split;
pub mod verify;

pub use augment::Augment;
pub use catalogue::{DatasetId, EmnistEdition, GlyphSet};
pub use dataset::{Dataset, Images, Split};
pub use error::DataError;
pub use loader::{Batch, Loader, LoaderConfig, Sampling};
pub use locate::{DataDirs, Located, locate};
pub use open::{load, load_all};
pub use preprocess::{PixelScale, Preprocess, Step};
pub use resample::Filter;
pub use split::SplitIndices;
pub use verify::verify;
