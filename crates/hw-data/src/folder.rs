//! A folder of PNG or JPEG images as a data set: one sub-folder a class, named after it.
//!
//! Every image is cropped and centred like MNIST's, whatever its size and polarity. When the folder
//! has sub-folders `train` and `test`, each holding the classes, those are the two parts; otherwise
//! a stratified fifth of the images, chosen by a fixed seed, is the test set. Names starting with a dot
//! and files of other kinds are passed over. Order, and with it labels and the split, follows the
//! code points of the names, not the file system.

use crate::centre::fit_like_mnist;
use crate::dataset::{Dataset, Images, Split};
use crate::gray::Gray;
use crate::{DataError, SplitIndices, centre};
use hw_core::FileError;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// The part of the images that is held out for testing when the folder does not say.
const TEST_FRACTION: f64 = 0.2;

/// The seed of that split: fixed, so that training and testing in different runs never overlap.
const SPLIT_SEED: u64 = 0;

/// One image file and its label.
struct Example {
    path: PathBuf,
    label: u16,
}

/// Loads one part of the images under `path`.
///
/// # Errors
/// [`DataError::File`] when a folder or file cannot be read; [`DataError::NotAnImage`] when one is
/// no image or blank; [`DataError::Invalid`] when there are no classes, no images, or a name is
/// not Unicode.
pub fn load(path: &Path, split: Split) -> Result<Dataset, DataError> {
    let (classes, examples) = examples(path, split)?;
    if examples.is_empty() {
        let problem = format!("has no PNG or JPEG image for {split} in a class folder");
        return Err(DataError::invalid(path.display().to_string(), problem));
    }
    let fitted: Vec<Result<Vec<u8>, DataError>> = examples
        .par_iter()
        .map(|example| fit(&example.path))
        .collect();
    let mut pixels = Vec::with_capacity(examples.len() * centre::SIDE * centre::SIDE);
    for image in fitted {
        pixels.extend(image?);
    }
    let images = Images::new(pixels, examples.len(), 1, centre::SIDE, centre::SIDE)?;
    let labels = examples.iter().map(|example| example.label).collect();
    let id = format!("folder:{}", path.display());
    let mut dataset = Dataset::new(id, split, images, labels, classes.into())?;
    dataset.edition = "folder".to_string();
    Ok(dataset)
}

fn fit(path: &Path) -> Result<Vec<u8>, DataError> {
    fit_like_mnist(&Gray::open(path)?).map_err(|reason| DataError::NotAnImage {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    })
}

/// The classes of both parts and the images of the one asked for.
fn examples(path: &Path, split: Split) -> Result<(Vec<String>, Vec<Example>), DataError> {
    let parts = [Split::Train, Split::Test].map(|part| path.join(part.to_string()));
    match [parts[0].is_dir(), parts[1].is_dir()] {
        [true, true] => {
            let mut classes = sub_folders(&parts[0])?;
            classes.extend(sub_folders(&parts[1])?);
            classes.sort();
            classes.dedup();
            let examples = examples_of(&path.join(split.to_string()), &classes)?;
            Ok((classes, examples))
        }
        [false, false] => {
            let classes = sub_folders(path)?;
            let all = examples_of(path, &classes)?;
            Ok((classes, part_of(all, split)?))
        }
        [has_train, _] => {
            let (has, lacks) = if has_train {
                ("train", "test")
            } else {
                ("test", "train")
            };
            let problem = format!("has a folder {has} but no folder {lacks}");
            Err(DataError::invalid(path.display().to_string(), problem))
        }
    }
}

fn part_of(all: Vec<Example>, split: Split) -> Result<Vec<Example>, DataError> {
    let labels: Vec<u16> = all.iter().map(|example| example.label).collect();
    let indices: Vec<u32> = (0..all.len() as u32).collect();
    let parts = SplitIndices::stratified(&indices, &labels, TEST_FRACTION, SPLIT_SEED)?;
    let mut wanted = vec![split == Split::Train; all.len()];
    for index in parts.validation {
        wanted[index as usize] = split == Split::Test;
    }
    let kept = all.into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
    Ok(kept.map(|(example, _)| example).collect())
}

/// The images in the class folders of `folder`, class by class, sorted by name. A class without a
/// folder here has no images.
fn examples_of(folder: &Path, classes: &[String]) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let label = u16::try_from(label).map_err(|_| {
            DataError::invalid(folder.display().to_string(), "has too many classes")
        })?;
        let class_folder = folder.join(class);
        if class_folder.is_dir() {
            for name in names_in(&class_folder, is_image)? {
                let path = class_folder.join(name);
                examples.push(Example { path, label });
            }
        }
    }
    Ok(examples)
}

fn sub_folders(folder: &Path) -> Result<Vec<String>, DataError> {
    names_in(folder, Path::is_dir)
}

fn is_image(path: &Path) -> bool {
    let kinds = ["png", "jpg", "jpeg"];
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && extension.is_some_and(|e| kinds.contains(&e.to_lowercase().as_str()))
}

/// The sorted names in a folder of what `wanted` accepts.
fn names_in(folder: &Path, wanted: fn(&Path) -> bool) -> Result<Vec<String>, DataError> {
    let failed = |error| DataError::File(FileError::at("list folder", folder)(error));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !wanted(&entry.path()) {
            continue;
        }
        let name = entry.file_name().into_string().map_err(|_| {
            DataError::invalid(
                entry.path().display().to_string(),
                "the name is not Unicode",
            )
        })?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
