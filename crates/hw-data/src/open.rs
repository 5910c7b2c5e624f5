//! From a data set's name to its images in memory, upright and checked.

use crate::catalogue::{DatasetId, EmnistEdition, Entry, Orientation, names};
use crate::dataset::{Dataset, Images, Split};
use crate::glyphs::{self, GlyphConfig};
use crate::locate::{DataDirs, SplitFiles, locate, locate_split};
use crate::{DataError, folder, idx};
use rayon::prelude::*;

/// The side of every published image.
const SIDE: usize = 28;

/// Loads one part of a data set.
///
/// # Errors
/// What a [`DataSource`](crate::catalogue::DataSource) says of its own. Of ours, as
/// [`crate::locate()`] when it is not there; [`DataError::Damaged`] when a file is not what the
/// catalogue says (format, image size, label range); [`DataError::CountMismatch`] when images and
/// labels differ in number.
pub fn load(id: &DatasetId, split: Split, dirs: &DataDirs) -> Result<Dataset, DataError> {
    match id {
        DatasetId::Glyphs(set) => {
            let count = glyphs::default_count(*set, split);
            glyphs::generate(*set, split, count, &GlyphConfig::default())
        }
        DatasetId::Folder(path) => folder::load(path, split),
        DatasetId::Registered(source) => source.load(split, dirs),
        _ => load_idx(id, split, dirs),
    }
}

/// Loads every part of every one of `ids` that is there, side by side. Unless `dirs` names an EMNIST,
/// the parts of both are taken.
///
/// # Errors
/// As [`load`]; [`DataError::NotFound`] when a set has no part anywhere.
pub fn load_all(ids: &[DatasetId], dirs: &DataDirs) -> Result<Vec<Dataset>, DataError> {
    let mut wanted = Vec::new();
    for id in ids {
        for edition in editions(id, dirs) {
            let dirs = dirs.clone().with_edition(edition);
            let located = match locate(id, &dirs) {
                Err(DataError::NotFound { .. }) => continue,
                located => located?,
            };
            let files = |split: &Split| id.entry().is_none() || located.files(*split).is_some();
            let here = [Split::Train, Split::Test].into_iter().filter(files);
            wanted.extend(here.map(|split| (id, split, dirs.clone())));
        }
        if !wanted.iter().any(|(known, ..)| *known == id) {
            locate(id, dirs)?;
        }
    }
    let load = |(id, split, dirs): &(&DatasetId, Split, DataDirs)| load(id, *split, dirs);
    wanted.par_iter().map(load).collect()
}

/// Which editions to look for.
fn editions(id: &DatasetId, dirs: &DataDirs) -> Vec<Option<EmnistEdition>> {
    let several = id
        .entry()
        .is_some_and(|entry| entry.editions.iter().any(|e| e.family.is_some()));
    match dirs.edition {
        None if several => vec![Some(EmnistEdition::Full), Some(EmnistEdition::Sixth)],
        edition => vec![edition],
    }
}

fn load_idx(id: &DatasetId, split: Split, dirs: &DataDirs) -> Result<Dataset, DataError> {
    let located = locate_split(id, split, dirs)?;
    let (Some(entry), Some(files)) = (id.entry(), located.files(split)) else {
        // `locate_split` answers with the files of this split or an error.
        return Err(DataError::invalid(
            id.to_string(),
            "is not kept in IDX files",
        ));
    };
    let images = read_images(files, entry)?;
    let labels = read_labels(files, entry)?;
    if images.len() != labels.len() {
        return Err(DataError::CountMismatch {
            images: files.images.clone(),
            image_count: images.len(),
            labels: files.labels.clone(),
            label_count: labels.len(),
        });
    }
    let mut dataset = Dataset::new(id.to_string(), split, images, labels, names(entry.classes))?;
    dataset.edition = files.edition.to_string();
    Ok(dataset)
}

fn read_images(files: &SplitFiles, entry: &Entry) -> Result<Images, DataError> {
    let (header, mut pixels) = idx::read_bytes(&files.images, 3)?;
    let [count, height, width] = [0, 1, 2].map(|axis| header.shape[axis] as usize);
    if count == 0 || [height, width] != [SIDE, SIDE] {
        return Err(DataError::Damaged {
            path: files.images.clone(),
            offset: 4,
            expected: format!("at least one image of {SIDE}x{SIDE}"),
            found: format!("{count} of {height}x{width}"),
        });
    }
    if entry.orientation == Orientation::Transposed {
        transpose_all(&mut pixels, SIDE);
    }
    Images::new(pixels, count, 1, SIDE, SIDE)
}

/// Transposes every `side` x `side` image in place.
fn transpose_all(pixels: &mut [u8], side: usize) {
    for image in pixels.chunks_exact_mut(side * side) {
        for row in 0..side {
            for column in 0..row {
                image.swap(row * side + column, column * side + row);
            }
        }
    }
}

fn read_labels(files: &SplitFiles, entry: &Entry) -> Result<Vec<u16>, DataError> {
    let (header, bytes) = idx::read_bytes(&files.labels, 1)?;
    let first = entry.label_base;
    let last = u16::from(first) + entry.classes.chars().count() as u16 - 1;
    let wrong = |label: u8| label < first || u16::from(label) > last;
    if let Some(index) = bytes.iter().position(|&label| wrong(label)) {
        return Err(DataError::Damaged {
            path: files.labels.clone(),
            offset: header.header_len() + index as u64,
            expected: format!("a label in {first}..={last}"),
            found: format!("{} for image {index}", bytes[index]),
        });
    }
    Ok(bytes
        .iter()
        .map(|&label| u16::from(label - first))
        .collect())
}
