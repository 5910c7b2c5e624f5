//! Mean loss and accuracy of a network over part of a data set.

use crate::calibrate::{cross_entropy, temperature};
use crate::error::Result;
use crate::events::Score;
use hw_data::Loader;
use hw_models::Frozen;

/// The score of `network` in evaluation mode over all images of `loader`, as epoch 0 has them.
///
/// # Errors
/// [`crate::TrainError`] when the images do not fit the network.
pub fn score(network: &Frozen, loader: &Loader) -> Result<Score> {
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
pub(crate) fn evaluate(network: &Frozen, loader: &Loader, keep: usize) -> Result<Evaluation> {
    let classes = network.classes();
    let (mut loss, mut correct, mut images) = (0.0, 0, 0);
    let (mut kept, mut labels) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0, 0) {
        let logits = network.logits(&batch.images, batch.shape)?;
        for (logits, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
            loss += cross_entropy(logits, label, 1.0);
            correct += u64::from(hw_core::argmax(logits) == label as usize);
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
    use hw_models::{Network, zoo};
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
            let once = evaluate(&frozen, &loader, keep).unwrap();
            let (mut logits, mut labels) = (Vec::new(), Vec::new());
            for batch in loader.epoch(0, 0).take(batches) {
                logits.extend(frozen.logits(&batch.images, batch.shape).unwrap());
                labels.extend(batch.labels);
            }
            assert_eq!(once.temperature(), temperature(&logits, 10, &labels));
            assert_eq!((once.logits, once.labels), (logits, labels));
            assert_eq!(once.score, score(&frozen, &loader).unwrap());
            assert_eq!(once.score.images, 90);
        }
    }
}
