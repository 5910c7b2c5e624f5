//! Mean loss and accuracy of a network over part of a data set.

use crate::calibrate::{cross_entropy, temperature};
use crate::error::Result;
use crate::events::Score;
use candle_core::Tensor;
use hw_data::{Batch, Loader};
use hw_models::{Frozen, Network};

/// A batch as tensors on the network's device: images `[n, c, h, w]` and labels `[n]`.
pub(crate) fn tensors(batch: Batch, network: &Network) -> Result<(Tensor, Tensor)> {
    let count = batch.labels.len();
    let [n, c, h, w] = batch.shape;
    let images = Tensor::from_vec(batch.images, (n, c, h, w), network.device())?;
    let labels = Tensor::from_vec(batch.labels, count, network.device())?;
    Ok((images, labels))
}

/// The first of the largest.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (class, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = class;
        }
    }
    best
}

/// How many rows of `logits` are largest at their label; the first of equals wins.
pub(crate) fn correct_answers(logits: &Tensor, labels: &[u32]) -> Result<u64> {
    let rows = logits.to_vec2::<f32>()?;
    let hit = |(row, &label): (&Vec<f32>, &u32)| u64::from(largest(row) == label as usize);
    Ok(rows.iter().zip(labels).map(hit).sum())
}

/// The score of `network` in evaluation mode over all images of `loader`, as epoch 0 has them.
///
/// # Errors
/// [`crate::TrainError`] when the images do not fit the network.
pub fn score(network: &Network, loader: &Loader) -> Result<Score> {
    Ok(evaluate(network, loader, 0)?.score)
}

/// A score, and the logits it came from as far as they were kept.
pub(crate) struct Evaluation {
    pub(crate) score: Score,
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
}

impl Evaluation {
    /// The temperature that fits the kept logits.
    pub(crate) fn temperature(&self) -> f32 {
        temperature(&self.logits, self.classes, &self.labels)
    }
}

/// [`score`], and the logits of the first batches that hold `keep` images, all in one pass.
pub(crate) fn evaluate(network: &Network, loader: &Loader, keep: usize) -> Result<Evaluation> {
    let frozen = Frozen::new(network)?;
    let classes = network.spec().classes;
    let (mut loss, mut correct, mut images) = (0.0, 0, 0);
    let (mut kept, mut labels) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0, 0) {
        let logits = frozen.logits(&batch.images, batch.shape)?;
        for (logits, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
            loss += cross_entropy(logits, label, 1.0);
            correct += u64::from(largest(logits) == label as usize);
        }
        images += batch.labels.len();
        if labels.len() < keep {
            kept.extend(logits);
            labels.extend(batch.labels);
        }
    }
    let count = images.max(1) as f64;
    let score = Score {
        loss: loss / count,
        accuracy: correct as f64 / count,
        images,
    };
    Ok(Evaluation {
        score,
        classes,
        logits: kept,
        labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use hw_data::glyphs::{GlyphConfig, generate};
    use hw_data::{GlyphSet, LoaderConfig, Split};
    use hw_models::zoo;
    use std::sync::Arc;

    #[test]
    fn one_pass_gives_the_score_of_all_and_the_temperature_of_the_first() {
        let digits = generate(GlyphSet::Digits, Split::Train, 90, &GlyphConfig::default());
        let settings = LoaderConfig {
            batch: 20,
            ..LoaderConfig::default()
        };
        let loader = Loader::new(Arc::new(digits.unwrap()), (0..90).collect(), settings).unwrap();
        let spec = zoo::spec("ann-bn", [1, 28, 28], 10).unwrap();
        let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
        let frozen = Frozen::new(&network).unwrap();
        for (keep, batches) in [(40, 2), (41, 3), (1000, 5)] {
            let once = evaluate(&network, &loader, keep).unwrap();
            let (mut logits, mut labels) = (Vec::new(), Vec::new());
            for batch in loader.epoch(0, 0).take(batches) {
                logits.extend(frozen.logits(&batch.images, batch.shape).unwrap());
                labels.extend(batch.labels);
            }
            assert_eq!(once.temperature(), temperature(&logits, 10, &labels));
            assert_eq!((once.logits, once.labels), (logits, labels));
            assert_eq!(once.score, score(&network, &loader).unwrap());
            assert_eq!(once.score.images, 90);
        }
    }
}
