//! Any picture of one character, cropped and centred the way a data set's images were.
//!
//! Each `fit_like_*` takes a grey image of any size, dark on light or light on dark, and gives 28x28
//! bytes, ink bright on black, row by row.
//!
//! ```
//! use hw_data::centre::fit_like_mnist;
//! use hw_data::gray::Gray;
//!
//! // A dark bar on light paper.
//! let pixels = (0..200 * 100).map(|i| if (40..50).contains(&(i % 100)) { 30 } else { 220 });
//! let bar = fit_like_mnist(&Gray::new(200, 100, pixels.collect())?)?;
//! assert_eq!(bar.len(), 28 * 28);
//! assert_eq!(bar[14 * 28 + 14], 255); // ink is bright and in the middle
//! assert_eq!(bar[0], 0);
//! # Ok::<(), hw_data::DataError>(())
//! ```

use crate::DataError;
use crate::gray::Gray;
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use serde::{Deserialize, Serialize};

/// The side of every result.
pub const SIDE: usize = 28;

/// Less contrast than this, of 255, is taken for an empty page.
const LEAST_CONTRAST: f32 = 20.0;

/// Ink fainter than this part of the darkest does not make the bounding box: around sharp edges JPEG
/// leaves such traces.
const FAINT: f32 = 0.1;

/// The way a data set's images were cropped and centred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centring {
    /// [`fit_like_mnist`].
    Mnist,
    /// [`fit_like_emnist`].
    Emnist,
    /// [`fit_like_kmnist`].
    Kmnist,
}

impl Centring {
    /// Fits an image this way; see the function of that name.
    ///
    /// # Errors
    /// [`DataError::Blank`] when the image shows nothing.
    pub fn fit(self, image: &Gray) -> Result<Vec<u8>, DataError> {
        match self {
            Self::Mnist => fit_like_mnist(image),
            Self::Emnist => fit_like_emnist(image),
            Self::Kmnist => fit_like_kmnist(image),
        }
    }
}

/// As MNIST (LeCun et al. 1998, section III-A): the ink's bounding box is scaled to 20 pixels on its
/// longer side by averaging areas, and placed so that its centre of mass is at pixel (14, 14).
///
/// # Errors
/// [`DataError::Blank`] when the image shows nothing.
pub fn fit_like_mnist(image: &Gray) -> Result<Vec<u8>, DataError> {
    let small = Ink::of(image)?.scaled(20);
    let (row, column) = small.centre_of_mass();
    Ok(small.placed(
        offset_to_middle(row, small.height),
        offset_to_middle(column, small.width),
    ))
}

/// As KMNIST, whose characters fill the frame: scaled to 28 pixels on the longer side by averaging
/// areas, the box in the middle.
///
/// # Errors
/// [`DataError::Blank`] when the image shows nothing.
pub fn fit_like_kmnist(image: &Gray) -> Result<Vec<u8>, DataError> {
    let small = Ink::of(image)?.scaled(SIDE);
    Ok(small.placed((SIDE - small.height) / 2, (SIDE - small.width) / 2))
}

/// As EMNIST (Cohen et al. 2017, section II-B): on a 128x128 field blurred by a Gaussian of standard
/// deviation 1, cropped to its region of interest, centred in a square of the same aspect with a
/// border that comes out as 2 pixels, and brought to 28x28 by bicubic interpolation. The result is
/// upright, as this crate's EMNIST is; only the published files are transposed.
///
/// # Errors
/// [`DataError::Blank`] when the image shows nothing.
pub fn fit_like_emnist(image: &Gray) -> Result<Vec<u8>, DataError> {
    /// The field of NIST's scans, and the longer side of a character on it.
    const FIELD: usize = 128;
    const CHARACTER: usize = 64;

    let ink = Ink::of(image)?.scaled(CHARACTER);
    let field = ink.on_field(FIELD, (FIELD - ink.height) / 2, (FIELD - ink.width) / 2);
    let region = field.blurred().cropped();
    // 24 of the 28 pixels show the region, 2 on each side the border.
    let longer = region.height.max(region.width);
    let square = (longer * SIDE).div_ceil(24);
    let framed = region.on_field(
        square,
        (square - region.height) / 2,
        (square - region.width) / 2,
    );
    Ok(framed.bicubic(SIDE).placed(0, 0))
}

/// Ink alone: 0 is paper, 1 the darkest ink, cropped to where there is any.
struct Ink {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl Ink {
    /// Tells ink from paper: the border's median is paper, and ink is what differs most from it,
    /// be it darker or lighter. Variation as large as the border's own is taken for noise.
    fn of(image: &Gray) -> Result<Self, DataError> {
        let border = border(image);
        let paper = median(border.clone());
        let noise = 4.0 * median(border.iter().map(|&value| (value - paper).abs()).collect());
        let values = || image.pixels().iter().map(|&byte| f32::from(byte));
        let darker = values().fold(0.0, |most: f32, value| most.max(paper - value));
        let lighter = values().fold(0.0, |most: f32, value| most.max(value - paper));
        let contrast = darker.max(lighter);
        let floor = noise.min(contrast / 2.0);
        if contrast - floor < LEAST_CONTRAST {
            return Err(DataError::Blank);
        }
        let sign = if darker >= lighter { -1.0 } else { 1.0 };
        let ink = |value: f32| ((sign * (value - paper) - floor) / (contrast - floor)).max(0.0);
        Ok(Self {
            height: image.height(),
            width: image.width(),
            values: values().map(ink).collect(),
        }
        .cropped())
    }

    /// Cut to the rows and columns that hold more than faint ink (there is some, as the darkest
    /// pixel is 1 before blurring and keeps most of that after), and one more on each side if it
    /// holds any at all: the soft edge of a stroke.
    fn cropped(self) -> Self {
        let row = |y: usize, least: f32| {
            self.values[y * self.width..][..self.width]
                .iter()
                .any(|&v| v > least)
        };
        let column = |x: usize, least: f32| {
            (0..self.height).any(|y| self.values[y * self.width + x] > least)
        };
        let (top, bottom) = extent(self.height, row);
        let (left, right) = extent(self.width, column);
        let values = (top..bottom)
            .flat_map(|y| &self.values[y * self.width + left..y * self.width + right])
            .copied()
            .collect();
        Self {
            height: bottom - top,
            width: right - left,
            values,
        }
    }

    /// Scaled so that the longer side is `longer`, each new pixel the average of the area it covers.
    fn scaled(&self, longer: usize) -> Self {
        let scale = longer as f64 / self.height.max(self.width) as f64;
        let side = |old: usize| ((old as f64 * scale).round() as usize).clamp(1, longer);
        let (height, width) = (side(self.height), side(self.width));
        let columns = averages(self.width, width);
        let rows = averages(self.height, height);
        let narrow: Vec<f32> = self
            .values
            .chunks_exact(self.width)
            .flat_map(|row| {
                columns
                    .iter()
                    .map(|cover| cover.iter().map(|&(x, w)| row[x] * w).sum())
            })
            .collect();
        let values = rows
            .iter()
            .flat_map(|cover| {
                let narrow = &narrow;
                (0..width).map(move |x| cover.iter().map(|&(y, w)| narrow[y * width + x] * w).sum())
            })
            .collect();
        Self {
            height,
            width,
            values,
        }
    }

    /// (row, column) of the centre of mass, pixel centres at whole numbers.
    fn centre_of_mass(&self) -> (f64, f64) {
        let (mut mass, mut row, mut column) = (0.0, 0.0, 0.0);
        for (index, &value) in self.values.iter().enumerate() {
            let value = f64::from(value);
            mass += value;
            row += value * (index / self.width) as f64;
            column += value * (index % self.width) as f64;
        }
        (row / mass, column / mass)
    }

    /// On the 28x28 field, its corner at (`top`, `left`), the darkest ink at 255.
    fn placed(&self, top: usize, left: usize) -> Vec<u8> {
        let darkest = self
            .values
            .iter()
            .fold(0.0, |most: f32, &value| most.max(value));
        let mut out = vec![0; SIDE * SIDE];
        for (y, row) in self.values.chunks_exact(self.width).enumerate() {
            for (x, &value) in row.iter().enumerate() {
                out[(top + y) * SIDE + left + x] = (value / darkest * 255.0).round() as u8;
            }
        }
        out
    }

    /// On a square field of paper, its corner at (`top`, `left`).
    fn on_field(&self, side: usize, top: usize, left: usize) -> Self {
        let mut values = vec![0.0; side * side];
        for (y, row) in self.values.chunks_exact(self.width).enumerate() {
            values[(top + y) * side + left..][..self.width].copy_from_slice(row);
        }
        Self {
            height: side,
            width: side,
            values,
        }
    }

    /// Blurred by a Gaussian of standard deviation 1, paper all around.
    fn blurred(&self) -> Self {
        const RADIUS: isize = 4;
        let bell = |d: isize| (-0.5 * (d * d) as f32).exp();
        let sum: f32 = (-RADIUS..=RADIUS).map(bell).sum();
        let kernel: Vec<(isize, f32)> = (-RADIUS..=RADIUS).map(|d| (d, bell(d) / sum)).collect();
        let pass =
            |values: &[f32], stride: usize, position: fn(usize, usize) -> usize, side: usize| {
                let value = |i: usize, d: isize| {
                    let inside = position(i, self.width).checked_add_signed(d)? < side;
                    inside.then(|| values[(i as isize + d * stride as isize) as usize])
                };
                let at = |i| {
                    kernel
                        .iter()
                        .filter_map(|&(d, w)| Some(value(i, d)? * w))
                        .sum()
                };
                (0..values.len()).map(at).collect::<Vec<f32>>()
            };
        let across = pass(&self.values, 1, |i, width| i % width, self.width);
        Self {
            values: pass(&across, self.width, |i, width| i / width, self.height),
            ..*self
        }
    }

    /// A square brought to `side` by bicubic interpolation, ringing below paper cut off.
    fn bicubic(self, side: usize) -> Self {
        let buffer =
            ImageBuffer::<Luma<f32>, _>::from_fn(self.width as u32, self.height as u32, |x, y| {
                Luma([self.values[y as usize * self.width + x as usize]])
            });
        let small = imageops::resize(&buffer, side as u32, side as u32, FilterType::CatmullRom);
        Self {
            height: side,
            width: side,
            values: small
                .into_raw()
                .into_iter()
                .map(|value| value.max(0.0))
                .collect(),
        }
    }
}

/// The outermost ring of pixels.
fn border(image: &Gray) -> Vec<f32> {
    let (height, width) = (image.height(), image.width());
    let row = |y: usize| (0..width).map(move |x| (y, x));
    let sides = (1..height.saturating_sub(1)).flat_map(|y| [(y, 0), (y, width - 1)]);
    row(0)
        .chain(row(height - 1))
        .chain(sides)
        .map(|(y, x)| f32::from(image.pixels()[y * width + x]))
        .collect()
}

fn median(mut values: Vec<f32>) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The half-open range of the lines among `0..count` that hold ink by `holds(line, least)`: from the
/// first to the last with more than faint ink, widened by a line that has any. Everything when there
/// is no ink.
fn extent(count: usize, holds: impl Fn(usize, f32) -> bool) -> (usize, usize) {
    let first = (0..count).find(|&i| holds(i, FAINT)).unwrap_or(0);
    let last = (0..count).rfind(|&i| holds(i, FAINT)).unwrap_or(count - 1);
    let widen_first = first > 0 && holds(first - 1, 0.0);
    let widen_last = last + 1 < count && holds(last + 1, 0.0);
    (
        first - usize::from(widen_first),
        last + 1 + usize::from(widen_last),
    )
}

/// For each of `new` pixels the old ones it covers, with weights that add up to 1.
fn averages(old: usize, new: usize) -> Vec<Vec<(usize, f32)>> {
    let step = old as f64 / new as f64;
    (0..new)
        .map(|i| {
            let (start, end) = (i as f64 * step, (i + 1) as f64 * step);
            let last = (end.ceil() as usize).min(old);
            (start.floor() as usize..last)
                .map(|x| (x, (end.min(x as f64 + 1.0) - start.max(x as f64)) / step))
                .filter(|&(_, weight)| weight > 1e-9)
                .map(|(x, weight)| (x, weight as f32))
                .collect()
        })
        .collect()
}

/// Where a strip of `size` pixels with its mass at `centre` begins, so that the mass comes to lie in
/// [13.5, 14.5), as in every MNIST image, and all of the strip inside the field.
fn offset_to_middle(centre: f64, size: usize) -> usize {
    // The centre of symmetric ink may be half a pixel exactly; rounding errors must not decide.
    let offset = (13.5 - centre - 1e-6).ceil().max(0.0) as usize;
    offset.min(SIDE - size)
}
