//! Statistics of batch normalization that belong to the weights they are used with.
//!
//! A network is scored with the moving statistics that training leaves, and those lag behind: with a
//! momentum of 0.99, two thirds of where they began are left after 40 steps, and a deep network is
//! then at chance however well it has learned. Fresh statistics of the weights as they are have no
//! such memory.

use crate::choice::{self, Choice};
use crate::error::{Result, TrainError};
use hw_data::Batch;
use hw_models::graph::{Node, Op};
use hw_models::{Executor, Graph};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where the statistics of the network that is scored and kept come from. Training goes on with its
/// own moving statistics in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum BatchNormStatistics {
    /// Before each scoring, from passes of its weights over an epoch's first images; see
    /// [`reestimate`].
    Reestimate {
        /// How many images, at least 2; all of the epoch's if it has fewer.
        images: usize,
    },
}

/// All such ways; the value is what suits most runs.
pub const STATISTICS: [Choice<BatchNormStatistics>; 1] = [Choice {
    name: "reestimate",
    about: "before each scoring, from passes over the epoch's first images (precise batch norm)",
    source: "Wu & Johnson 2021",
    value: BatchNormStatistics::Reestimate { images: 4096 },
}];

/// Reads `reestimate` or `reestimate:images=1000`.
impl FromStr for BatchNormStatistics {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let family = "source of batch-norm statistics";
        let statistics: Self = choice::parse(family, &STATISTICS, text)?;
        statistics.check().map_err(|error| error.to_string())?;
        Ok(statistics)
    }
}

/// As it is read.
impl fmt::Display for BatchNormStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Reestimate { images } = self;
        write!(f, "reestimate:images={images}")
    }
}

impl BatchNormStatistics {
    pub(crate) fn check(self) -> Result<()> {
        let Self::Reestimate { images } = self;
        if images >= 2 {
            return Ok(());
        }
        Err(TrainError::Config {
            field: "batch-norm-statistics' images".into(),
            value: images.to_string(),
            expected: "at least 2: one image has no variance".into(),
        })
    }

    /// Refuses a network that has no use for it.
    pub(crate) fn check_model(self, model: &Graph) -> Result<()> {
        let norm = |node: &Node| matches!(node.op, Op::Norm { .. });
        if model.nodes.iter().any(norm) {
            return Ok(());
        }
        Err(TrainError::Config {
            field: "batch-norm-statistics".into(),
            value: self.to_string(),
            expected: format!(
                "nothing for model '{}', which has no batch normalization",
                model.spec.name
            ),
        })
    }
}

/// The buffers of `executor`, with the statistics of `weights` over the first `images` of `batches` (all of
/// them if there are fewer, at least one) in the place of the moving ones, the last batch cut to what is
/// missing; without any image they stay.
///
/// Each batch passes through the network as in training, normalized by its own statistics, but
/// without dropout. From the mean `m_b` and the biased variance `v_b` of batch `b`, which has the share
/// `w_b` of the images, follow those of all (Wu & Johnson 2021, section 3):
/// `m = sum w_b m_b` and `v = sum w_b (v_b + m_b^2) - m^2`.
///
/// # Errors
/// [`crate::TrainError::Model`] when a device refuses an operation.
pub fn reestimate(
    executor: &mut dyn Executor,
    weights: &[f32],
    mut buffers: Vec<Vec<f32>>,
    batches: impl IntoIterator<Item = Batch>,
    images: usize,
) -> Result<Vec<Vec<f32>>> {
    // Each layer's mean; its variance is the next buffer.
    let layers: Vec<usize> = executor
        .graph()
        .nodes
        .iter()
        .filter_map(|node| match node.op {
            Op::Norm { mean, .. } => Some(mean),
            _ => None,
        })
        .collect();
    let mut populations = vec![Population::default(); layers.len()];
    let mut missing = images;
    for batch in batches {
        let batch = first(batch, missing);
        let count = batch.labels.len();
        let measured = executor.statistics(&batch.images, weights)?;
        for (&mean, population) in layers.iter().zip(&mut populations) {
            population.add(count, &measured[mean], &measured[mean + 1]);
        }
        missing -= count;
        if missing == 0 {
            break;
        }
    }
    if missing < images {
        for (&mean, population) in layers.iter().zip(&populations) {
            (buffers[mean], buffers[mean + 1]) = (population.mean(), population.variance());
        }
    }
    Ok(buffers)
}

/// The first `count` images of a batch.
fn first(mut batch: Batch, count: usize) -> Batch {
    let [n, c, h, w] = batch.shape;
    let count = count.min(n);
    batch.images.truncate(count * c * h * w);
    batch.labels.truncate(count);
    batch.indices.truncate(count);
    batch.shape[0] = count;
    batch
}

/// Mean and variance of each channel of one layer over all batches so far, in double precision.
#[derive(Clone, Default)]
struct Population {
    images: f64,
    means: Vec<f64>,
    /// Mean squared distances from the mean, times images.
    squares: Vec<f64>,
}

impl Population {
    /// Takes in a batch of `images` with these statistics. Means and squares are brought together as
    /// Chan, Golub & LeVeque 1979 do, which loses no digits where means are large.
    fn add(&mut self, images: usize, mean: &[f32], variance: &[f32]) {
        self.means.resize(mean.len(), 0.0);
        self.squares.resize(mean.len(), 0.0);
        let (before, new) = (self.images, images as f64);
        self.images += new;
        let channels = self.means.iter_mut().zip(&mut self.squares);
        for ((own, squares), (&mean, &variance)) in channels.zip(mean.iter().zip(variance)) {
            let distance = f64::from(mean) - *own;
            *own += distance * new / self.images;
            *squares += f64::from(variance) * new + distance.powi(2) * before * new / self.images;
        }
    }

    fn mean(&self) -> Vec<f32> {
        self.means.iter().map(|&mean| mean as f32).collect()
    }

    fn variance(&self) -> Vec<f32> {
        let variance = |&squares: &f64| (squares / self.images) as f32;
        self.squares.iter().map(variance).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use hw_models::plan::TrainPlan;
    use hw_models::{ModelSpec, Network, ReferenceTrainer, Tensors};
    use std::collections::BTreeMap;

    /// What `fixtures/train/make_batch_norm.py` writes.
    #[derive(Deserialize)]
    struct Golden {
        taken: usize,
        batch: usize,
        weights: BTreeMap<String, Vec<f32>>,
        images: Vec<Vec<f32>>,
        statistics: Vec<Statistics>,
        logits: Vec<Vec<f32>>,
    }

    #[derive(Deserialize)]
    struct Statistics {
        mean: Vec<f32>,
        variance: Vec<f32>,
    }

    fn golden() -> Golden {
        let text = include_str!("../../../fixtures/train/batch_norm.json");
        serde_json::from_str(text).unwrap()
    }

    /// The golden network in both executors.
    fn executors(golden: &Golden) -> [Box<dyn Executor>; 2] {
        let spec: ModelSpec = serde_json::from_value(serde_json::json!({
            "name": "small",
            "input": [1, 6, 6],
            "classes": 3,
            "init": "he_normal",
            "layers": [
                { "type": "conv", "out": 3, "kernel": [3, 3], "stride": [1, 1], "padding": "valid", "bias": true },
                { "type": "batch_norm", "eps": 1e-3, "momentum": 0.01 },
                { "type": "activation", "function": "relu" },
                { "type": "dropout", "rate": 0.5 },
                { "type": "flatten" },
                { "type": "dense", "units": 4, "bias": true },
                { "type": "batch_norm", "eps": 1e-3, "momentum": 0.01 },
                { "type": "activation", "function": "relu" },
                { "type": "dense", "units": 3, "bias": true }
            ]
        }))
        .unwrap();
        let graph = spec.lower().unwrap();
        let mut tensors = Tensors::initial(&graph, 1);
        for (tensor, values) in graph.parameters.iter().zip(&mut tensors.parameters) {
            values.clone_from(&golden.weights[&tensor.name]);
        }
        let plan = TrainPlan::with_tensors(&graph, &tensors, golden.batch);
        let network = Network::from_tensors(graph, &tensors, &Device::Cpu).unwrap();
        [
            Box::new(plan),
            Box::new(ReferenceTrainer::new(network).unwrap()),
        ]
    }

    /// The buffers after a re-estimation over so many images, from those that the executor has.
    fn estimated(executor: &mut dyn Executor, golden: &Golden, images: usize) -> Vec<Vec<f32>> {
        let (weights, buffers) = (executor.weights().to_vec(), executor.buffers().to_vec());
        reestimate(executor, &weights, buffers, batches(golden), images).unwrap()
    }

    fn batches(golden: &Golden) -> impl Iterator<Item = Batch> {
        golden.images.chunks(golden.batch).map(|images| Batch {
            images: images.concat(),
            shape: [images.len(), 1, 6, 6],
            labels: vec![0; images.len()],
            indices: vec![0; images.len()],
        })
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn statistics_are_those_of_all_that_flows_into_a_layer() {
        let golden = golden();
        for mut executor in executors(&golden) {
            let buffers = estimated(&mut *executor, &golden, golden.taken);
            for (found, expected) in buffers.chunks_exact(2).zip(&golden.statistics) {
                near(&found[0], &expected.mean);
                near(&found[1], &expected.variance);
            }
            let frozen = executor.freeze(executor.weights(), &buffers).unwrap();
            let images = golden.images.concat();
            let shape = [golden.images.len(), 1, 6, 6];
            near(
                &frozen.logits(&images, shape).unwrap(),
                &golden.logits.concat(),
            );
        }
    }

    #[test]
    fn statistics_of_before_have_no_part_in_it_and_no_images_change_nothing() {
        let golden = golden();
        for mut executor in executors(&golden) {
            let before = executor.buffers().to_vec();
            let mut bits = |images| {
                let once = estimated(&mut *executor, &golden, images);
                let weights = executor.weights().to_vec();
                executor.load(weights, once.clone());
                assert_eq!(estimated(&mut *executor, &golden, images), once);
                once
            };
            assert_ne!(bits(20), bits(25));
            // All there are, if there are fewer.
            assert_eq!(bits(25), bits(1000));
            let weights = executor.weights().to_vec();
            let untouched = reestimate(&mut *executor, &weights, before.clone(), [], 20);
            assert_eq!(untouched.unwrap(), before);
        }
    }

    #[test]
    fn large_means_cost_no_digits() {
        let mut population = Population::default();
        for mean in [10_000.0, 10_001.0, 10_002.0] {
            population.add(2, &[mean], &[0.25]);
        }
        assert_eq!(population.mean(), [10_001.0]);
        near(&population.variance(), &[0.25 + 2.0 / 3.0]);
    }

    #[test]
    fn its_text_is_read_as_it_is_written() {
        let default: BatchNormStatistics = "reestimate".parse().unwrap();
        assert_eq!(default, BatchNormStatistics::Reestimate { images: 4096 });
        let few = BatchNormStatistics::Reestimate { images: 2 };
        assert_eq!(few.to_string().parse(), Ok(few));
        let json = serde_json::json!({ "name": "reestimate", "images": 2 });
        assert_eq!(serde_json::to_value(few).unwrap(), json);
        for (text, part) in [
            ("reestimate:images=1", "images is 1, expected at least 2"),
            ("reestimate:images=1.5", "1.5"),
            ("reestimate:steps=2", "its constants: images"),
            ("moving", "known: reestimate"),
        ] {
            let message = text.parse::<BatchNormStatistics>().unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
