//! What happens to an image between the data set's bytes and the network's floats.
//!
//! A [`Preprocess`] is configuration: it can be written down, read back and be wrong. Checking it
//! against an image shape makes a [`Pipeline`], which cannot be wrong and does the work. Random steps
//! draw from a stream that belongs to (seed, step, epoch, image), so neither the order of images nor
//! the number of threads matters.
//!
//! ```
//! use hw_data::preprocess::{Draw, Preprocess, Step};
//!
//! let centre_only = Preprocess { steps: vec![Step::CenterCrop { size: 2 }], ..Preprocess::default() };
//! let pipeline = centre_only.check([1, 4, 4])?;
//! let image: Vec<u8> = (0..16).map(|i| i * 17).collect();
//! let pixels = pipeline.apply(&image, Draw::default());
//! assert_eq!(pipeline.output_shape(), [1, 2, 2]);
//! assert_eq!(pixels, [5, 6, 9, 10].map(|i| i as f32 / 15.0));
//! # Ok::<(), hw_data::DataError>(())
//! ```

use crate::DataError;
use crate::augment::Augmenter;
use crate::normal::normal;
use crate::resample::{Filter, Resampler};
use hw_core::Rng;
use serde::{Deserialize, Serialize};

/// How a byte becomes the number the network sees, after all steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PixelScale {
    /// 0..=255 becomes 0..=1 (x / 255, correctly rounded, as PyTorch's `ToTensor`).
    #[default]
    Unit,
    /// 0..=255 stays 0..=255.
    Raw,
    /// (x / 255 - mean) / std.
    Standard {
        /// Subtracted; on the 0..=1 scale.
        mean: f32,
        /// Divided by; on the 0..=1 scale, above 0.
        std: f32,
    },
}

impl PixelScale {
    /// The scaled value of `unit`, a pixel on the 0..=1 scale.
    fn of_unit(self, unit: f32) -> f32 {
        match self {
            Self::Unit => unit,
            Self::Raw => unit * 255.0,
            Self::Standard { mean, std } => (unit - mean) / std,
        }
    }
}

/// One transform of a single image whose pixels are on the 0..=1 scale, ink bright.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Keeps the middle `size` x `size` pixels (Kim & Kang 2020 train on the centre only); an odd
    /// margin is cut larger at the bottom and right.
    CenterCrop {
        /// Side of the result in pixels, at most the image's smaller side.
        size: usize,
    },
    /// Adds `border` pixels on all four sides (LeNet-5 sees 28x28 digits on a 32x32 field).
    Pad {
        /// Width of the border in pixels.
        border: usize,
        /// Value of the border, 0..=1.
        value: f32,
    },
    /// Brings images to `size` x `size` pixels, as a network made for larger ones sees them.
    Resize {
        /// Side of the result in pixels, 1..=1024.
        size: usize,
        /// How values between pixels are found.
        #[serde(default)]
        filter: Filter,
    },
    /// Repeats the one channel of grey images, as networks made for colour need it.
    Repeat {
        /// Channels of the result, 1..=16.
        channels: usize,
    },
    /// Adds normal noise to every pixel and clips to 0..=1.
    GaussianNoise {
        /// Standard deviation on the 0..=1 scale.
        std: f32,
    },
    /// Replaces pixels by 0 or 1, each with half of the probability.
    SaltPepper {
        /// Probability that a pixel is replaced, 0..=1.
        fraction: f32,
    },
}

/// Steps, then scaling: the whole way from a byte image to a network's input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocess {
    /// Applied last.
    pub scale: PixelScale,
    /// Applied in order.
    pub steps: Vec<Step>,
}

impl Preprocess {
    /// The shape `[channels, height, width]` that images of shape `input` come out with.
    ///
    /// # Errors
    /// As [`Preprocess::check`].
    pub fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3], DataError> {
        self.check_scale()?;
        self.steps
            .iter()
            .try_fold(input, |shape, step| step.output_shape(shape))
    }

    /// Whether any step draws random numbers.
    pub fn is_random(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::GaussianNoise { .. } | Step::SaltPepper { .. }))
    }

    /// Checks every number against images of shape `input` (`[channels, height, width]`).
    ///
    /// # Errors
    /// [`DataError::Invalid`] naming the step and the number.
    pub fn check(&self, input: [usize; 3]) -> Result<Pipeline, DataError> {
        let output = self.output_shape(input)?;
        let mut table = [0.0; 256];
        for (byte, entry) in table.iter_mut().enumerate() {
            *entry = match self.scale {
                PixelScale::Raw => byte as f32,
                scale => scale.of_unit(byte as f32 / 255.0),
            };
        }
        let mut shape = input;
        let mut steps = Vec::with_capacity(self.steps.len());
        for (position, &step) in self.steps.iter().enumerate() {
            steps.push(CheckedStep {
                step,
                resampler: match step {
                    Step::Resize { size, filter } => Some(Resampler::new(filter, shape, size)),
                    _ => None,
                },
                input: shape,
                purpose: format!("augment/{position}"),
            });
            shape = step.output_shape(shape)?;
        }
        Ok(Pipeline {
            scale: self.scale,
            table,
            steps,
            input,
            output,
        })
    }

    fn check_scale(&self) -> Result<(), DataError> {
        match self.scale {
            PixelScale::Standard { mean, std }
                if !(mean.is_finite() && std.is_finite() && std > 0.0) =>
            {
                let problem = format!("mean must be finite and std above 0, not {mean} and {std}");
                Err(DataError::invalid("scale standard", problem))
            }
            _ => Ok(()),
        }
    }
}

impl Step {
    /// The shape images of shape `[channels, height, width]` come out with.
    fn output_shape(self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3], DataError> {
        let unit = |what: &str, value: f32| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(DataError::invalid(
                what,
                format!("must be in 0..=1, not {value}"),
            )),
        };
        match self {
            Self::CenterCrop { size } if size == 0 || size > height.min(width) => {
                let problem = format!(
                    "must be in 1..={} for {height}x{width} images, not {size}",
                    height.min(width)
                );
                Err(DataError::invalid("center-crop size", problem))
            }
            Self::CenterCrop { size } => Ok([channels, size, size]),
            Self::Pad { border, .. } if border > 1024 => Err(DataError::invalid(
                "pad border",
                format!("must be at most 1024, not {border}"),
            )),
            Self::Pad { border, value } => unit("pad value", value)
                .map(|()| [channels, height + 2 * border, width + 2 * border]),
            Self::Resize { size, .. } if !(1..=1024).contains(&size) => Err(DataError::invalid(
                "resize size",
                format!("must be in 1..=1024, not {size}"),
            )),
            Self::Resize { size, .. } => Ok([channels, size, size]),
            Self::Repeat { channels: wanted } if channels != 1 || !(1..=16).contains(&wanted) => {
                let problem = format!(
                    "must be in 1..=16 for images of 1 channel, not {wanted} for {channels}"
                );
                Err(DataError::invalid("repeat channels", problem))
            }
            Self::Repeat { channels } => Ok([channels, height, width]),
            Self::GaussianNoise { std } if !(std.is_finite() && std >= 0.0) => {
                Err(DataError::invalid(
                    "gaussian-noise std",
                    format!("must be finite and at least 0, not {std}"),
                ))
            }
            Self::GaussianNoise { .. } => Ok([channels, height, width]),
            Self::SaltPepper { fraction } => {
                unit("salt-pepper fraction", fraction).map(|()| [channels, height, width])
            }
        }
    }
}

/// Names the random draw of one image: the same draw always gives the same pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The seed of all random steps.
    pub seed: u64,
    /// The epoch: an image gets new noise each time it is seen.
    pub epoch: u64,
    /// The image's index in its data set.
    pub index: u32,
}

/// A step with the shape it is applied to and the name of its random stream.
#[derive(Clone, Debug)]
struct CheckedStep {
    step: Step,
    /// Of [`Step::Resize`].
    resampler: Option<Resampler>,
    input: [usize; 3],
    purpose: String,
}

/// A checked [`Preprocess`] for images of one shape.
#[derive(Clone, Debug)]
pub struct Pipeline {
    scale: PixelScale,
    table: [f32; 256],
    steps: Vec<CheckedStep>,
    input: [usize; 3],
    output: [usize; 3],
}

impl Pipeline {
    /// `[channels, height, width]` of the result.
    pub fn output_shape(&self) -> [usize; 3] {
        self.output
    }

    /// Preprocesses one image (bytes of the checked shape).
    ///
    /// # Panics
    /// When `image` has not the checked shape's number of bytes.
    pub fn apply(&self, image: &[u8], draw: Draw) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.output.iter().product());
        self.append(image, draw, &mut out);
        out
    }

    /// Like [`Pipeline::apply`], adding the result to the end of `out`.
    ///
    /// # Panics
    /// When `image` has not the checked shape's number of bytes.
    pub fn append(&self, image: &[u8], draw: Draw, out: &mut Vec<f32>) {
        assert_eq!(
            image.len(),
            self.input.iter().product::<usize>(),
            "image size"
        );
        if self.steps.is_empty() {
            out.extend(image.iter().map(|&byte| self.table[usize::from(byte)]));
            return;
        }
        let pixels = image.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        self.finish(pixels, draw, out);
    }

    /// Like [`Pipeline::append`], with the image changed by `augmenter` first.
    ///
    /// # Panics
    /// When `image` has not the shape that both were checked for.
    pub fn append_augmented(
        &self,
        augmenter: &Augmenter,
        image: &[u8],
        draw: Draw,
        out: &mut Vec<f32>,
    ) {
        if self.steps.is_empty() {
            let start = out.len();
            out.resize(start + image.len(), 0.0);
            augmenter.apply(image, draw, &mut out[start..]);
            for pixel in &mut out[start..] {
                *pixel = self.scale.of_unit(*pixel);
            }
            return;
        }
        let mut pixels = vec![0.0; image.len()];
        augmenter.apply(image, draw, &mut pixels);
        self.finish(pixels, draw, out);
    }

    /// All steps and the scaling, from pixels on the 0..=1 scale.
    fn finish(&self, mut pixels: Vec<f32>, draw: Draw, out: &mut Vec<f32>) {
        for checked in &self.steps {
            let (input, place) = (checked.input, (draw.epoch << 32) ^ u64::from(draw.index));
            let rng = || Rng::stream(draw.seed, &checked.purpose, place);
            pixels = match checked.step {
                Step::CenterCrop { size } => center_crop(&pixels, input, size),
                Step::Pad { border, value } => pad(&pixels, input, border, value),
                Step::Resize { .. } => match &checked.resampler {
                    Some(resampler) => resampler.apply(&pixels),
                    None => pixels,
                },
                Step::Repeat { channels } => pixels.repeat(channels),
                Step::GaussianNoise { std } => gaussian_noise(pixels, std, &mut rng()),
                Step::SaltPepper { fraction } => salt_pepper(pixels, fraction, &mut rng()),
            };
        }
        out.extend(pixels.iter().map(|&unit| self.scale.of_unit(unit)));
    }
}

fn center_crop(pixels: &[f32], [channels, height, width]: [usize; 3], size: usize) -> Vec<f32> {
    let (top, left) = ((height - size) / 2, (width - size) / 2);
    let mut out = Vec::with_capacity(channels * size * size);
    for row in (0..channels).flat_map(|c| (top..top + size).map(move |y| c * height + y)) {
        out.extend_from_slice(&pixels[row * width + left..][..size]);
    }
    out
}

fn pad(
    pixels: &[f32],
    [channels, height, width]: [usize; 3],
    border: usize,
    value: f32,
) -> Vec<f32> {
    let (tall, wide) = (height + 2 * border, width + 2 * border);
    let mut out = vec![value; channels * tall * wide];
    for channel in 0..channels {
        for y in 0..height {
            let start = (channel * tall + y + border) * wide + border;
            out[start..start + width]
                .copy_from_slice(&pixels[(channel * height + y) * width..][..width]);
        }
    }
    out
}

fn gaussian_noise(mut pixels: Vec<f32>, std: f32, rng: &mut Rng) -> Vec<f32> {
    for pixel in &mut pixels {
        *pixel = (*pixel + std * normal(rng)).clamp(0.0, 1.0);
    }
    pixels
}

fn salt_pepper(mut pixels: Vec<f32>, fraction: f32, rng: &mut Rng) -> Vec<f32> {
    for pixel in &mut pixels {
        let draw = rng.uniform();
        if draw < fraction {
            *pixel = if draw < fraction / 2.0 { 0.0 } else { 1.0 };
        }
    }
    pixels
}
