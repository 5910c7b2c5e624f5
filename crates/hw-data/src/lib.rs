//! Handwriting data sets: finding, reading and checking them; splitting them and loading batches.

pub mod catalogue;
pub mod centre;
pub mod class_map;
pub mod dataset;
pub mod error;
pub mod folder;
pub mod glyphs;
pub mod gray;
pub mod grid;
mod gzip;
pub mod idx;
pub mod loader;
pub mod locate;
mod normal;
pub mod open;
pub mod preprocess;
pub mod published;
pub mod split;
pub mod verify;

pub use catalogue::{DatasetId, EmnistEdition, GlyphSet};
pub use dataset::{Dataset, Images, Split};
pub use error::DataError;
pub use loader::{Batch, Loader, LoaderConfig};
pub use locate::{DataDirs, Located, locate};
pub use open::load;
pub use preprocess::{PixelScale, Preprocess, Step};
pub use split::SplitIndices;
pub use verify::verify;
