//! Synthetic handwriting: images drawn from our own pen strokes, for when no real data can be had.
//!
//! A character's shape is picked from a table (`shapes.txt`: several ways of writing each of the
//! 62 letters and digits and of KMNIST's ten hiragana), distorted as a hand distorts it, and
//! rendered the way MNIST was. Results on these images say nothing about real handwriting and are
//! always called synthetic.
//!
//! ```
//! use hw_data::glyphs::{GlyphConfig, generate};
//! use hw_data::{GlyphSet, Split};
//! let set = generate(GlyphSet::Digits, Split::Train, 100, &GlyphConfig::default())?;
//! assert_eq!(set.images.shape(), [1, 28, 28]);
//! assert_eq!(set.class_counts(), [10; 10]);
//! assert!(set.synthetic);
//! # Ok::<(), hw_data::DataError>(())
//! ```

mod config;
mod curve;
mod distort;
mod shapes;
#[cfg(test)]
mod tests;

pub use config::GlyphConfig;
pub use hw_ink::{Stroke, render};

use crate::{DataError, Dataset, GlyphSet, Images, Split};
use config::Checked;
use hw_core::rng::Rng;
use hw_ink::stroke::fineness;
use rayon::prelude::*;
use shapes::{Shape, shapes_of};

/// The edition that [`Dataset::edition`] names; it changes whenever the pixels do.
pub const EDITION: &str = "synthetic strokes v1";

/// The characters of `set` in the order of their labels. Those of [`GlyphSet::Letters`] are
/// capitals, each standing for both cases.
pub fn characters(set: GlyphSet) -> Vec<char> {
    set.classes().iter().flat_map(|name| name.chars()).collect()
}

/// How many images of `set` a run gets that does not say: as many as MNIST and KMNIST have, and
/// for the larger alphabets a round number of images a class.
pub fn default_count(set: GlyphSet, split: Split) -> usize {
    let (train, test) = match set {
        GlyphSet::Digits | GlyphSet::Hiragana => (60_000, 10_000),
        GlyphSet::Letters => (26 * 3_000, 26 * 500),
        GlyphSet::All => (62 * 1_600, 62 * 260),
    };
    match split {
        Split::Train => train,
        Split::Test => test,
    }
}

/// The pen's way in one distorted sample of `character`, in its order of writing. Coordinates are
/// in heights of a capital letter, near [0, 1] x [0, 1.4], y down.
///
/// # Errors
/// [`DataError::Invalid`] when `config` is out of range or `character` is none of the 72 known.
pub fn sample_strokes(
    character: char,
    rng: &mut Rng,
    config: &GlyphConfig,
) -> Result<Vec<Stroke>, DataError> {
    let config = config.checked()?;
    match shapes_of(character) {
        [] => Err(DataError::invalid(
            "glyphs character",
            format!(
                "there are no strokes for {character:?}; there are for 0-9 A-Z a-z おきすつなはまやれを"
            ),
        )),
        shapes => Ok(sample(shapes, rng, config)),
    }
}

/// `count` images of `set`, `config.size` pixels wide and high, in classes of equal size (to one)
/// and random order.
///
/// Image `i` depends only on the configuration, the split and `i`: a smaller count gives the first
/// images of a larger one, and the number of threads does not matter. Train and test come from
/// separate streams.
///
/// # Errors
/// [`DataError::Invalid`] when `config` is out of range or so many images overflow the memory's
/// addresses.
pub fn generate(
    set: GlyphSet,
    split: Split,
    count: usize,
    config: &GlyphConfig,
) -> Result<Dataset, DataError> {
    let checked = config.checked()?;
    let pixels = config.size * config.size;
    let Some(bytes) = count
        .checked_mul(pixels)
        .filter(|&b| b <= isize::MAX as usize)
    else {
        let problem = format!("{count} images of {pixels} bytes are more than memory can address");
        return Err(DataError::invalid("glyphs count", problem));
    };
    let labels = balanced_labels(set, split, count, config.seed);
    let drawable: Vec<Vec<&[Shape]>> = characters(set)
        .into_iter()
        .map(|character| cases(set, character))
        .collect();
    let purpose = format!("glyphs {split}");
    let mut data = vec![0; bytes];
    data.par_chunks_exact_mut(pixels)
        .zip(&labels)
        .enumerate()
        .for_each(|(index, (image, &label))| {
            let mut rng = Rng::stream(config.seed, &purpose, index as u64);
            let cases = &drawable[usize::from(label)];
            let shapes = cases[rng.below(cases.len())];
            let strokes = sample(shapes, &mut rng, checked);
            let pen = rng.range(config.pen[0], config.pen[1]) * fineness(&strokes);
            image.copy_from_slice(&render(&strokes, pen, config.size));
        });
    let images = Images::new(data, count, 1, config.size, config.size)?;
    let mut dataset = Dataset::new(set.name(), split, images, labels, set.classes())?;
    dataset.synthetic = true;
    dataset.edition = EDITION.to_owned();
    Ok(dataset)
}

/// One sample of one of `shapes`, which must not be empty, picked by weight.
fn sample(shapes: &[Shape], rng: &mut Rng, config: Checked<'_>) -> Vec<Stroke> {
    let mut ticket = rng.below(shapes.iter().map(|s| s.weight).sum());
    let mut picked = &shapes[0];
    for shape in shapes {
        picked = shape;
        match ticket.checked_sub(shape.weight) {
            Some(rest) => ticket = rest,
            None => break,
        }
    }
    distort::distorted(picked, rng, config)
}

/// The tables of shapes that stand for `character` in `set`: one, or one per case.
fn cases(set: GlyphSet, character: char) -> Vec<&'static [Shape]> {
    match set {
        GlyphSet::Letters => vec![
            shapes_of(character),
            shapes_of(character.to_ascii_lowercase()),
        ],
        _ => vec![shapes_of(character)],
    }
}

/// Every class once in random order, and so on: balanced after each round, and the label of image
/// `i` does not depend on how many follow.
fn balanced_labels(set: GlyphSet, split: Split, count: usize, seed: u64) -> Vec<u16> {
    let classes = set.classes().len();
    let purpose = format!("glyphs {split} labels");
    (0..count.div_ceil(classes))
        .flat_map(|round| Rng::stream(seed, &purpose, round as u64).permutation(classes))
        .map(|label| label as u16)
        .take(count)
        .collect()
}
