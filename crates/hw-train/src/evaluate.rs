//! Mean loss and accuracy of a network over part of a data set.

use crate::calibrate::cross_entropy;
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
    let frozen = Frozen::new(network)?;
    let classes = network.spec().classes;
    let (mut loss, mut correct, mut images) = (0.0, 0, 0);
    for batch in loader.epoch(0, 0) {
        let logits = frozen.logits(&batch.images, batch.shape)?;
        for (logits, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
            loss += cross_entropy(logits, label, 1.0);
            correct += u64::from(largest(logits) == label as usize);
        }
        images += batch.labels.len();
    }
    let count = images.max(1) as f64;
    Ok(Score {
        loss: loss / count,
        accuracy: correct as f64 / count,
        images,
    })
}
