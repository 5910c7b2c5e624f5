//! Whether the images of two parts look as if they were made the same way.

use super::Shift;
use crate::Dataset;
use rayon::prelude::*;

/// Steps a feature is counted in.
const BINS: usize = 128;
/// What is measured of each image.
const FEATURES: [&str; 5] = ["ink", "height", "width", "row", "column"];

/// How the features of a part's images are distributed.
pub(super) struct Look {
    /// Images without any ink.
    pub(super) blank: usize,
    images: usize,
    counts: [[u64; BINS]; FEATURES.len()],
}

impl Look {
    pub(super) fn of(set: &Dataset) -> Self {
        let [channels, height, width] = set.images.shape();
        let plane = height * width;
        let features: Vec<Option<[f32; 5]>> = set
            .images
            .bytes()
            .par_chunks(channels * plane)
            .map(|image| features(&image[..plane], height, width))
            .collect();
        let mut look = Self {
            blank: 0,
            images: 0,
            counts: [[0; BINS]; FEATURES.len()],
        };
        for values in features {
            let Some(values) = values else {
                look.blank += 1;
                continue;
            };
            look.images += 1;
            for (counts, value) in look.counts.iter_mut().zip(values) {
                counts[((value * BINS as f32) as usize).min(BINS - 1)] += 1;
            }
        }
        look
    }

    /// The feature in which two parts differ most, beside the given distance of their classes.
    pub(super) fn shift(&self, other: &Self, classes: Option<f64>) -> Shift {
        let (mut feature, mut distance) = (FEATURES[0], 0.0);
        for (index, name) in FEATURES.iter().enumerate() {
            let here = self.distance(other, index);
            if here > distance {
                (feature, distance) = (name, here);
            }
        }
        Shift {
            classes,
            feature,
            distance,
        }
    }

    /// Kolmogorov & Smirnov's distance of one feature.
    fn distance(&self, other: &Self, feature: usize) -> f64 {
        let (mut mine, mut theirs, mut most) = (0, 0, 0.0f64);
        for bin in 0..BINS {
            mine += self.counts[feature][bin];
            theirs += other.counts[feature][bin];
            let share = |sum: u64, images: usize| sum as f64 / images.max(1) as f64;
            most = most.max((share(mine, self.images) - share(theirs, other.images)).abs());
        }
        most
    }
}

/// Mean brightness, height and width of the ink, row and column of its centre of mass, all as shares
/// of what is possible; `None` without ink.
fn features(image: &[u8], height: usize, width: usize) -> Option<[f32; 5]> {
    let mut columns = vec![0u32; width];
    let (mut mass, mut row_moment) = (0u64, 0u64);
    let (mut top, mut bottom) = (height, 0);
    for (y, row) in image.chunks_exact(width).enumerate() {
        let mut sum = 0;
        for (column, &value) in columns.iter_mut().zip(row) {
            *column += u32::from(value);
            sum += u64::from(value);
        }
        if sum > 0 {
            (top, bottom) = (top.min(y), y + 1);
        }
        mass += sum;
        row_moment += sum * y as u64;
    }
    if mass == 0 {
        return None;
    }
    let left = columns.iter().position(|&sum| sum > 0)?;
    let right = columns.iter().rposition(|&sum| sum > 0)? + 1;
    let column_moment: u64 = columns
        .iter()
        .zip(0..)
        .map(|(&s, x)| u64::from(s) * x)
        .sum();
    let share = |value: usize, whole: usize| value as f32 / whole as f32;
    let centre =
        |moment: u64, whole: usize| ((moment as f64 / mass as f64 + 0.5) / whole as f64) as f32;
    Some([
        mass as f32 / (255 * height * width) as f32,
        share(bottom - top, height),
        share(right - left, width),
        centre(row_moment, height),
        centre(column_moment, width),
    ])
}
