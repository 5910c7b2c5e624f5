//! A labelled set of images in memory, as bytes.

use crate::DataError;
use hw_core::files::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Which part of a data set: the one to learn from or the one to be judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The images to learn from; validation images are taken from here too.
    Train,
    /// The images used once, to report a result.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// Images of one shape as bytes in NCHW order (image, channel, row, column), upright, ink bright on
/// a dark ground as in MNIST. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    data: Arc<Vec<u8>>,
    count: usize,
    shape: [usize; 3],
}

impl Images {
    /// Takes `count` images of `channels` x `height` x `width` bytes.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when `data` has not exactly that many bytes, or a side is 0.
    pub fn new(
        data: Vec<u8>,
        count: usize,
        channels: usize,
        height: usize,
        width: usize,
    ) -> Result<Self, DataError> {
        let shape = [channels, height, width];
        let needed = shape
            .iter()
            .try_fold(count, |product, &side| product.checked_mul(side));
        if shape.contains(&0) || needed != Some(data.len()) {
            let problem = format!(
                "{count} images of {channels}x{height}x{width} cannot be made of {} bytes",
                data.len()
            );
            return Err(DataError::invalid("image shape", problem));
        }
        Ok(Self {
            data: Arc::new(data),
            count,
            shape,
        })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// `[channels, height, width]`, the same for every image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Image `index`, channel by channel, row by row.
    ///
    /// # Panics
    /// When `index` is not below [`Images::len`], like indexing a slice.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        &self.data[index * size..][..size]
    }

    /// All images, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [c, h, w] = self.shape;
        write!(f, "Images({} of {c}x{h}x{w})", self.count)
    }
}

/// A labelled set of images, with where it came from.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name it was asked for by ("mnist", "emnist-letters", "glyphs:digits", ...).
    pub id: String,
    /// Which part of the set this is.
    pub split: Split,
    /// The images.
    pub images: Images,
    /// One label an image, counted from 0, below `classes.len()`.
    pub labels: Vec<u16>,
    /// The name of each class, by label.
    pub classes: Arc<[String]>,
    /// Whether the images are drawn by a program rather than by people; results must say so.
    pub synthetic: bool,
    /// Which edition of the set this is ("nist-gzip", "sixth", ...).
    pub edition: String,
    /// SHA-256 over shape, pixels and labels, as hexadecimal digits; see [`checksum_of`].
    pub checksum: String,
}

impl Dataset {
    /// Puts a data set together and computes its checksum.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when images and labels differ in number or a label names no class.
    pub fn new(
        id: impl Into<String>,
        split: Split,
        images: Images,
        labels: Vec<u16>,
        classes: Arc<[String]>,
    ) -> Result<Self, DataError> {
        let id = id.into();
        if images.len() != labels.len() {
            let problem = format!("{} images but {} labels", images.len(), labels.len());
            return Err(DataError::invalid(id, problem));
        }
        if let Some(index) = labels.iter().position(|&l| usize::from(l) >= classes.len()) {
            let problem = format!(
                "label {} of image {index} is not one of its {} classes",
                labels[index],
                classes.len()
            );
            return Err(DataError::invalid(id, problem));
        }
        let checksum = checksum_of(&images, &labels);
        Ok(Self {
            id,
            split,
            images,
            labels,
            classes,
            synthetic: false,
            edition: String::new(),
            checksum,
        })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many images each class has, by label.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// The images named by `indices`, in that order, copied; with its own checksum.
    ///
    /// # Panics
    /// When an index is not below [`Dataset::len`], like indexing a slice.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let mut data =
            Vec::with_capacity(indices.len() * self.images.shape.iter().product::<usize>());
        for &index in indices {
            data.extend_from_slice(self.images.image(index as usize));
        }
        let images = Images {
            data: Arc::new(data),
            count: indices.len(),
            shape: self.images.shape,
        };
        let labels: Vec<u16> = indices.iter().map(|&i| self.labels[i as usize]).collect();
        let checksum = checksum_of(&images, &labels);
        Self {
            id: self.id.clone(),
            split: self.split,
            images,
            labels,
            classes: self.classes.clone(),
            synthetic: self.synthetic,
            edition: self.edition.clone(),
            checksum,
        }
    }
}

/// SHA-256 over count and shape (four little-endian u64), the pixels, and the labels (little-endian
/// u16), as hexadecimal digits: equal exactly when images and labels are equal, however stored.
pub fn checksum_of(images: &Images, labels: &[u16]) -> String {
    let [channels, height, width] = images.shape();
    let mut hasher = Sha256::new();
    for number in [images.len(), channels, height, width] {
        hasher.update((number as u64).to_le_bytes());
    }
    hasher.update(images.bytes());
    let label_bytes: Vec<u8> = labels
        .iter()
        .flat_map(|label| label.to_le_bytes())
        .collect();
    hasher.update(label_bytes);
    hex(&hasher.finalize())
}
