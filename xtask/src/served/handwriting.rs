//! Real handwriting to learn from: EMNIST ByClass's training images, fitted as the reader fits what
//! is written, with pens of many widths.

use anyhow::Result;
use hw_core::Rng;
use hw_data::centre::fit_like_mnist;
use hw_data::class_map::ClassMap;
use hw_data::gray::Gray;
use hw_data::{
    DataDirs, DataError, Dataset, DatasetId, EmnistEdition, Images, Split, SplitIndices,
};
use rayon::prelude::*;
use std::sync::Arc;

/// The share of the images that is not learned from but calibrates.
const HELD_OUT: f64 = 0.05;
/// The share of the images that keep the pen they were written with.
const OWN_PEN: f32 = 0.3;

/// EMNIST's training images of a model's classes.
pub(super) struct Handwriting {
    /// To learn from: fitted, with other pens.
    pub(super) learned: Dataset,
    /// To calibrate with: fitted.
    pub(super) held_out: Dataset,
    /// Both as published, to be known again among test images.
    pub(super) originals: Dataset,
}

impl Handwriting {
    /// The first `share` of the training images whose characters are among `classes`, letters'
    /// cases folded where `classes` has one case only; `None` where the set is not found.
    pub(super) fn load(
        dirs: &DataDirs,
        classes: &Arc<[String]>,
        share: f64,
        seed: u64,
    ) -> Result<Option<Self>> {
        let dirs = dirs.clone().with_edition(Some(EmnistEdition::Sixth));
        let all = match hw_data::load(&DatasetId::EmnistByclass, Split::Train, &dirs) {
            Err(DataError::NotFound { .. }) => return Ok(None),
            all => all?,
        };
        let map = ClassMap::by_character(all.classes.clone(), classes.clone())?;
        let originals = map.apply(&all)?;
        let some = (originals.len() as f64 * share).ceil() as u32;
        let indices: Vec<u32> = (0..some).collect();
        let split = SplitIndices::stratified(&indices, &originals.labels, HELD_OUT, seed)?;
        let other_pens = |index: usize, image: &[u8]| {
            let mut rng = Rng::stream(seed, "served-pen", index as u64);
            other_pen(image, &mut rng)
        };
        Ok(Some(Self {
            learned: fitted(&originals.subset(&split.train), &other_pens)?,
            held_out: fitted(&originals.subset(&split.validation), &|_, image| {
                image.to_vec()
            })?,
            originals,
        }))
    }
}

/// The image as another pen would have left it. EMNIST's strokes are blurred, so that their edges are
/// slopes: what lies above a level is the wider the lower the level.
fn other_pen(image: &[u8], rng: &mut Rng) -> Vec<u8> {
    if rng.uniform() < OWN_PEN {
        return image.to_vec();
    }
    let level = rng.range(0.0, 120.0);
    let slope = 255.0 / rng.range(70.0, 135.0);
    let cut = |&ink: &u8| ((f32::from(ink) - level) * slope).clamp(0.0, 255.0) as u8;
    image.iter().map(cut).collect()
}

/// Every image, changed by `change` (given its index and pixels), cropped and centred as the glyphs
/// are: as one sent to the server would be.
pub(super) fn fitted(
    set: &Dataset,
    change: &(dyn Fn(usize, &[u8]) -> Vec<u8> + Sync),
) -> Result<Dataset> {
    let [_, height, width] = set.images.shape();
    let refit = |index: usize| -> Result<Vec<u8>> {
        let own = set.images.image(index);
        match fit_like_mnist(&Gray::new(height, width, change(index, own))?) {
            // A faint hand leaves nothing above a high level.
            Err(DataError::Blank) => match fit_like_mnist(&Gray::new(height, width, own.to_vec())?)
            {
                Err(DataError::Blank) => Ok(own.to_vec()),
                own_pen => Ok(own_pen?),
            },
            other => Ok(other?),
        }
    };
    let images: Vec<Vec<u8>> = (0..set.len())
        .into_par_iter()
        .map(refit)
        .collect::<Result<_>>()?;
    let images = Images::new(images.concat(), images.len(), 1, height, width)?;
    let mut fitted = Dataset::new(
        set.id.clone(),
        set.split,
        images,
        set.labels.clone(),
        set.classes.clone(),
    )?;
    fitted.edition.clone_from(&set.edition);
    Ok(fitted)
}

/// Both sets' images, one after the other.
pub(super) fn mixed(one: &Dataset, other: &Dataset) -> Result<Dataset> {
    let [channels, height, width] = one.images.shape();
    let bytes = [one.images.bytes(), other.images.bytes()].concat();
    let count = one.len() + other.len();
    let images = Images::new(bytes, count, channels, height, width)?;
    let mut mixed = Dataset::new(
        format!("{} and {}", one.id, other.id),
        one.split,
        images,
        [&one.labels[..], &other.labels[..]].concat(),
        one.classes.clone(),
    )?;
    mixed.edition = format!("{}; {}", one.edition, other.edition);
    Ok(mixed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A vertical stroke with sloping edges, as EMNIST's blur leaves it.
    fn blurred() -> Vec<u8> {
        let across = [0u8, 40, 110, 190, 245, 255, 245, 190, 110, 40];
        let pixel = |i: usize| match (i / 28, (i % 28).checked_sub(9)) {
            (4..24, Some(at)) => across.get(at).copied().unwrap_or(0),
            _ => 0,
        };
        (0..784).map(pixel).collect()
    }

    #[test]
    fn other_pens_are_narrower_and_wider_and_leave_paper_empty() {
        let ink = |image: &[u8]| image.iter().map(|&v| u32::from(v)).sum::<u32>();
        let image = blurred();
        let drawn: Vec<Vec<u8>> = (0..50)
            .map(|index| other_pen(&image, &mut Rng::stream(1, "test", index)))
            .collect();
        assert!(drawn.iter().any(|other| ink(other) * 8 < ink(&image) * 7));
        assert!(drawn.iter().any(|other| ink(other) * 5 > ink(&image) * 6));
        assert!(drawn.contains(&image));
        for other in &drawn {
            assert!(
                other
                    .iter()
                    .zip(&image)
                    .all(|(&now, &was)| was > 0 || now == 0)
            );
        }
    }

    #[test]
    fn a_mixture_has_the_images_and_labels_of_both() {
        let classes: Arc<[String]> = ["a", "b"].map(String::from).into();
        let set = |fill: u8, label: u16| {
            let images = Images::new(vec![fill; 784], 1, 1, 28, 28).unwrap();
            Dataset::new("set", Split::Train, images, vec![label], classes.clone()).unwrap()
        };
        let both = mixed(&set(3, 1), &set(9, 0)).unwrap();
        assert_eq!(both.labels, [1, 0]);
        assert_eq!((both.images.image(0)[5], both.images.image(1)[5]), (3, 9));
    }
}
