//! A picture of a data set: one row a class, random examples side by side.

use crate::{DataError, Dataset};
use hw_core::Rng;
use image::{GrayImage, ImageFormat, Luma, imageops};
use std::io::Cursor;

/// Each pixel of an image becomes a square of this many.
const ZOOM: u32 = 2;
/// Pixels between images.
const GAP: u32 = 2;
/// The grey between images.
const GROUND: u8 = 48;

/// A PNG file showing `per_class` examples of each class (fewer where the class has fewer), drawn by
/// `seed`; classes from top to bottom in label order. Of colour images the first channel is shown.
///
/// # Errors
/// [`DataError::Invalid`] when `per_class` is 0 or the picture would be wider than 65,535 pixels.
pub fn grid_png(dataset: &Dataset, per_class: usize, seed: u64) -> Result<Vec<u8>, DataError> {
    let [_, height, width] = dataset.images.shape();
    let cell = |side: usize| side as u32 * ZOOM + GAP;
    let total = |count: usize, side: usize| {
        u32::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(cell(side))?.checked_add(GAP))
            .filter(|pixels| (cell(side) + 1..1 << 16).contains(pixels))
            .ok_or_else(|| DataError::invalid("grid", format!("cannot show {count} in a line")))
    };
    let size = (
        total(per_class, width)?,
        total(dataset.classes.len(), height)?,
    );
    let mut picture = GrayImage::from_pixel(size.0, size.1, Luma([GROUND]));
    for (class, examples) in examples(dataset, per_class, seed).iter().enumerate() {
        for (place, &index) in examples.iter().enumerate() {
            let image = dataset.images.image(index as usize);
            let zoomed = GrayImage::from_fn(width as u32 * ZOOM, height as u32 * ZOOM, |x, y| {
                Luma([image[(y / ZOOM) as usize * width + (x / ZOOM) as usize]])
            });
            let at = |position: usize, side: usize| i64::from(GAP + position as u32 * cell(side));
            imageops::replace(&mut picture, &zoomed, at(place, width), at(class, height));
        }
    }
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| DataError::invalid("grid", error.to_string()))?;
    Ok(png.into_inner())
}

/// For each class, the indices of its examples.
fn examples(dataset: &Dataset, per_class: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); dataset.classes.len()];
    for (index, &label) in dataset.labels.iter().enumerate() {
        members[usize::from(label)].push(index as u32);
    }
    for (class, members) in members.iter_mut().enumerate() {
        Rng::stream(seed, "grid", class as u64).shuffle(members);
        members.truncate(per_class);
    }
    members
}
