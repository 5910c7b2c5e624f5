//! Training on pairs of images made into one, labels with them: what the network learns between two
//! examples is then a mixture of what it learns of both.

use crate::choice::{self, Choice};
use crate::error::{Result, TrainError};
use hw_core::Rng;
use hw_data::Batch;
use hw_models::LossFunction;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How each image `x` of a batch is mixed with another one, `x'`, drawn at random. The loss is
/// `λ L(y) + (1-λ) L(y')` with the labels `y` and `y'` of both; `λ` is drawn for each step from
/// Beta(α, α).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Mix {
    /// `λ x + (1-λ) x'`.
    Mixup {
        /// α: towards 0 one of the two prevails, at 1 all mixtures are as likely.
        alpha: f32,
    },
    /// A rectangle of `x'`, `1-λ` of the image before it is cut off at the border, in the place of the
    /// same rectangle of `x`; `λ` is then what is left of `x`.
    CutMix {
        /// α, as above.
        alpha: f32,
    },
}

/// All ways to mix.
pub const MIXES: [Choice<Mix>; 2] = [
    Choice {
        name: "mixup",
        about: "two images laid over each other, labels in proportion",
        source: "Zhang, Cisse, Dauphin & Lopez-Paz 2018",
        value: Mix::Mixup { alpha: 0.2 },
    },
    Choice {
        name: "cutmix",
        about: "a rectangle of another image pasted in, labels in proportion",
        source: "Yun, Han, Oh, Chun, Choe & Yoo 2019",
        value: Mix::CutMix { alpha: 1.0 },
    },
];

/// Largest α: beyond it, mixtures hardly differ from halves.
const MOST: f32 = 4.0;

/// Reads `mixup` or `cutmix:alpha=0.5`.
impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mix: Self = choice::parse("way to mix", &MIXES, text)?;
        mix.check().map_err(|error| error.to_string())?;
        Ok(mix)
    }
}

/// As it is read.
impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Mixup { .. } => "mixup",
            Self::CutMix { .. } => "cutmix",
        };
        write!(f, "{name}:alpha={}", self.alpha())
    }
}

impl Mix {
    const fn alpha(self) -> f32 {
        match self {
            Self::Mixup { alpha } | Self::CutMix { alpha } => alpha,
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        let alpha = self.alpha();
        if alpha > 0.0 && alpha <= MOST {
            return Ok(());
        }
        Err(TrainError::Config {
            field: "the mix's alpha".into(),
            value: alpha.to_string(),
            expected: format!("above 0 and at most {MOST}"),
        })
    }

    /// Mixes a batch's images in place; what became of their labels.
    pub fn apply(self, batch: &mut Batch, rng: &mut Rng) -> Mixed {
        let [n, channels, height, width] = batch.shape;
        let len = channels * height * width;
        let mut share = beta(self.alpha(), rng);
        let partners = rng.permutation(n);
        let others = batch.images.clone();
        let pairs = batch.images.chunks_exact_mut(len).zip(&partners);
        let pairs =
            pairs.map(|(image, &partner)| (image, &others[partner as usize * len..][..len]));
        match self {
            Self::Mixup { .. } => {
                for (image, other) in pairs {
                    for (x, other) in image.iter_mut().zip(other) {
                        *x = share * *x + (1.0 - share) * other;
                    }
                }
            }
            Self::CutMix { .. } => {
                let [rows, columns] = [height, width].map(|side| span(side, share, rng));
                let area = rows.len() * columns.len();
                share = 1.0 - area as f32 / (height * width) as f32;
                for (image, other) in pairs {
                    for row in (0..channels * height).filter(|row| rows.contains(&(row % height))) {
                        let place = row * width + columns.start..row * width + columns.end;
                        image[place.clone()].copy_from_slice(&other[place]);
                    }
                }
            }
        }
        let label = |&partner: &u32| batch.labels[partner as usize];
        Mixed {
            share,
            partners: partners.iter().map(label).collect(),
        }
    }
}

/// A side's part of a rectangle that covers `1 - share` of a square, around a random pixel, cut off at
/// the border.
fn span(side: usize, share: f32, rng: &mut Rng) -> std::ops::Range<usize> {
    let length = (side as f32 * (1.0 - share).sqrt()) as usize;
    let start = rng.below(side) as isize - (length / 2) as isize;
    let end = (start + length as isize).min(side as isize);
    start.max(0) as usize..end.max(0) as usize
}

/// A draw from Beta(α, α) (Jöhnk 1964).
fn beta(alpha: f32, rng: &mut Rng) -> f32 {
    let power = 1.0 / f64::from(alpha);
    loop {
        let [x, y] = [(); 2].map(|()| rng.uniform_f64().powf(power));
        let sum = x + y;
        if sum > 0.0 && sum <= 1.0 {
            return (x / sum) as f32;
        }
    }
}

/// What became of a batch's labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// λ, how much an image's own label counts.
    pub share: f32,
    /// The other label of each image.
    pub partners: Vec<u32>,
}

impl Mixed {
    /// `loss` of both labels, in proportion.
    pub(crate) fn pairs<'a>(&'a self, loss: &'a dyn LossFunction) -> Pairs<'a> {
        Pairs { mixed: self, loss }
    }
}

/// The loss of images with two labels.
pub(crate) struct Pairs<'a> {
    mixed: &'a Mixed,
    loss: &'a dyn LossFunction,
}

impl LossFunction for Pairs<'_> {
    fn evaluate(&self, image: usize, logits: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
        let share = self.mixed.share;
        let mut of_other = vec![0.0; gradient.len()];
        let other = self.mixed.partners[image];
        let other = self.loss.evaluate(image, logits, other, &mut of_other);
        let own = self.loss.evaluate(image, logits, label, gradient);
        for (g, other) in gradient.iter_mut().zip(&of_other) {
            *g = share * *g + (1.0 - share) * other;
        }
        share * own + (1.0 - share) * other
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Choice, LossFunction, MIXES, Mix, Mixed, Rng, beta};
    use crate::loss::loss_function;
    use hw_kernels::LossTerms;
    use proptest::prelude::*;

    fn batch(n: usize, [channels, height, width]: [usize; 3]) -> Batch {
        let mut rng = Rng::stream(7, "mixing", 0);
        let images = (0..n * channels * height * width).map(|_| rng.uniform());
        Batch {
            images: images.collect(),
            shape: [n, channels, height, width],
            labels: (0..n as u32).collect(),
            indices: (0..n as u32).collect(),
        }
    }

    /// The image that has this label: labels count images here.
    fn image(batch: &Batch, label: u32) -> &[f32] {
        let len = batch.shape[1..].iter().product::<usize>();
        &batch.images[label as usize * len..][..len]
    }

    proptest! {
        #[test]
        fn mixup_is_the_weighted_mean_of_two_images(seed: u64, n in 1usize..9, alpha in 0.05f32..4.0) {
            let before = batch(n, [2, 5, 7]);
            let mut after = before.clone();
            let mixed = Mix::Mixup { alpha }.apply(&mut after, &mut Rng::stream(seed, "mix", 0));
            prop_assert!((0.0..=1.0).contains(&mixed.share));
            let mut partners = mixed.partners.clone();
            partners.sort_unstable();
            prop_assert_eq!(&partners, &before.labels);
            for (own, &other) in mixed.partners.iter().enumerate() {
                let pixels = image(&before, own as u32).iter().zip(image(&before, other));
                for ((x, other), found) in pixels.zip(image(&after, own as u32)) {
                    let wanted = mixed.share * x + (1.0 - mixed.share) * other;
                    prop_assert!((found - wanted).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn cutmix_is_one_rectangle_of_the_other_image(seed: u64, n in 1usize..9, alpha in 0.05f32..4.0) {
            let [channels, height, width] = [2, 9, 6];
            let before = batch(n, [channels, height, width]);
            let mut after = before.clone();
            let mixed = Mix::CutMix { alpha }.apply(&mut after, &mut Rng::stream(seed, "mix", 0));
            for (own, &other) in mixed.partners.iter().enumerate() {
                let [x, other, found] = [
                    image(&before, own as u32),
                    image(&before, other),
                    image(&after, own as u32),
                ];
                for i in 0..found.len() {
                    prop_assert!(found[i] == x[i] || found[i] == other[i]);
                }
                if x == other {
                    continue;
                }
                // What was pasted is one rectangle, the same in both channels, of the area that λ says.
                let plane = height * width;
                let pasted: Vec<usize> = (0..plane).filter(|&i| found[i] != x[i]).collect();
                let second = (0..plane).filter(|&i| found[plane + i] != x[plane + i]);
                prop_assert_eq!(&pasted, &second.collect::<Vec<_>>());
                let area = pasted.len() as f32 / plane as f32;
                prop_assert!((1.0 - mixed.share - area).abs() < 1e-6);
                let extent = |values: Vec<usize>| match (values.iter().min(), values.iter().max()) {
                    (Some(low), Some(high)) => high - low + 1,
                    _ => 0,
                };
                let rows = extent(pasted.iter().map(|i| i / width).collect());
                let columns = extent(pasted.iter().map(|i| i % width).collect());
                prop_assert_eq!(rows * columns, pasted.len());
            }
        }
    }

    #[test]
    fn shares_have_the_mean_and_variance_of_the_beta_distribution() {
        for alpha in [0.2f32, 1.0, 3.0] {
            let mut rng = Rng::stream(1, "beta", 0);
            let draws: Vec<f64> = (0..40_000)
                .map(|_| f64::from(beta(alpha, &mut rng)))
                .collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance =
                draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let wanted = 1.0 / (4.0 * (2.0 * f64::from(alpha) + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!(
                (variance / wanted - 1.0).abs() < 0.03,
                "{alpha}: {variance}, not {wanted}"
            );
        }
    }

    #[test]
    fn the_loss_of_two_labels_is_that_of_the_soft_target() {
        let (logits, share) = ([1.0f32, -0.5, 2.0, 0.25], 0.3f32);
        let mixed = Mixed {
            share,
            partners: vec![3, 2],
        };
        let terms = LossTerms::default();
        let plain = loss_function(&terms);
        let mut gradient = [0.0; 4];
        let loss = mixed.pairs(&*plain).evaluate(1, &logits, 0, &mut gradient);
        let exps = logits.map(|x| f64::from(x).exp());
        let p = exps.map(|e| e / exps.iter().sum::<f64>());
        let target = [f64::from(share), 0.0, 1.0 - f64::from(share), 0.0];
        let wanted: f64 = p.iter().zip(target).map(|(p, t)| -t * p.ln()).sum();
        assert!((f64::from(loss) - wanted).abs() < 1e-6);
        for j in 0..4 {
            assert!((f64::from(gradient[j]) - (p[j] - target[j])).abs() < 1e-6);
        }
    }

    #[test]
    fn ways_to_mix_are_read_by_name_and_their_numbers_checked() {
        assert_eq!("mixup".parse(), Ok(Mix::Mixup { alpha: 0.2 }));
        assert_eq!("cutmix:alpha=0.5".parse(), Ok(Mix::CutMix { alpha: 0.5 }));
        for Choice { value, .. } in MIXES {
            assert_eq!(value.to_string().parse(), Ok(value));
        }
        for wrong in ["mixin", "mixup:alpha=0", "mixup:alpha=9", "cutmix:beta=1"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
