//! Exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017): often
//! better than the last weights, and what is scored and kept when it is on.

use crate::checkpoint::Numbers;
use crate::choice::Choice;
use crate::learner::{Scored, Taking};
use hw_kernels::optim;
use hw_models::Executor;

/// What the names of averages begin with in a checkpoint.
pub(crate) const PREFIX: &str = "average.";

/// The ways to average; the value is the decay that suits most runs.
pub const AVERAGES: [Choice<f32>; 1] = [Choice {
    name: "ema",
    about: "an exponential moving average of the weights is scored and kept in place of the last",
    source: "Polyak & Juditsky 1992; Tarvainen & Valpola 2017",
    value: 0.999,
}];

/// The averages of all tensors of a network, its moving statistics included, in its executor's memory.
#[derive(Debug, PartialEq)]
pub(crate) struct Averages {
    decay: f32,
    weights: Vec<f32>,
    buffers: Vec<Vec<f32>>,
}

impl Averages {
    /// Averages that start at the network's weights.
    pub(crate) fn new(decay: f32, executor: &dyn Executor) -> Self {
        Self {
            decay,
            weights: executor.weights().to_vec(),
            buffers: executor.buffers().to_vec(),
        }
    }

    /// Moves the averages towards the weights after step number `step`, counted from 1, by
    /// [`share`] of the way.
    pub(crate) fn update(&mut self, executor: &dyn Executor, step: u64) {
        let share = share(self.decay, step);
        optim::average(&mut self.weights, executor.weights(), share);
        for (average, now) in self.buffers.iter_mut().zip(executor.buffers()) {
            optim::average(average, now, share);
        }
    }

    /// The averages as weights and buffers.
    pub(crate) fn scored(&self) -> Scored {
        Scored {
            weights: self.weights.clone(),
            buffers: self.buffers.clone(),
        }
    }

    /// The averages under the names of their tensors, after [`PREFIX`].
    pub(crate) fn by_name(&self, executor: &dyn Executor) -> Numbers {
        let graph = executor.graph();
        let tensors = executor.tensors(&self.weights, &self.buffers);
        let all = graph.parameters.iter().zip(tensors.parameters);
        let all = all.chain(graph.buffers.iter().zip(tensors.buffers));
        all.map(|(tensor, values)| (format!("{PREFIX}{}", tensor.name), values))
            .collect()
    }

    /// The averages that [`Self::by_name`] gave, taken out of `stored`.
    ///
    /// # Errors
    /// A sentence naming the tensor that is missing, has another length or is unknown.
    pub(crate) fn restored(
        decay: f32,
        executor: &dyn Executor,
        stored: &mut Numbers,
    ) -> Result<Self, String> {
        let taking = Taking::new(executor.graph(), stored);
        let take = |name: &str| taking.take(&format!("{PREFIX}{name}"), name, "the average");
        let weights = executor.pack(&take);
        let buffers = executor.graph().buffers.iter();
        let buffers = buffers.map(|b| take(&b.name).unwrap_or_default()).collect();
        taking.problem()?;
        match stored.keys().find(|name| name.starts_with(PREFIX)) {
            Some(name) => Err(format!("the average '{name}' belongs to no tensor")),
            None => Ok(Self {
                decay,
                weights,
                buffers,
            }),
        }
    }
}

/// How far an average with this decay moves towards the weights after step number `step`, counted
/// from 1: early on by at least `1 - (1+t)/(10+t)`, as in TensorFlow, so that it forgets its start.
pub fn share(decay: f32, step: u64) -> f32 {
    let warm = (1 + step) as f32 / (10 + step) as f32;
    1.0 - decay.min(warm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_models::plan::TrainPlan;
    use hw_models::{Layer, ModelSpec, Tensors};
    use serde::Deserialize;

    /// What `fixtures/train/make_average.py` writes.
    #[derive(Deserialize)]
    struct Golden {
        weights: Vec<Vec<f32>>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        decay: f32,
        averages: Vec<Vec<f32>>,
    }

    /// A network of one affine layer with the given bias.
    fn network(bias: &[f32]) -> TrainPlan {
        let spec = ModelSpec {
            name: "small".into(),
            input: [1, 1, 1],
            classes: bias.len(),
            init: hw_models::Initializer::Torch,
            layers: vec![Layer::Flatten, Layer::dense(bias.len())],
        };
        let graph = spec.lower().unwrap();
        let tensors = Tensors {
            parameters: vec![vec![0.0; bias.len()], bias.to_vec()],
            buffers: vec![],
        };
        TrainPlan::with_tensors(&graph, &tensors, 1)
    }

    #[test]
    fn twenty_steps_of_the_average_are_those_of_tensorflow() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../../fixtures/train/average.json")).unwrap();
        for case in &golden.cases {
            let mut averages = Averages::new(case.decay, &network(&golden.weights[0]));
            for (step, expected) in case.averages.iter().enumerate() {
                let now = network(&golden.weights[step + 1]);
                averages.update(&now, step as u64 + 1);
                let named = averages.by_name(&now);
                for (a, b) in named["average.fc1.bias"].iter().zip(expected) {
                    assert!((a - b).abs() < 1e-6, "decay {}: {a} {b}", case.decay);
                }
            }
            let executor = network(&golden.weights[0]);
            let mut named = averages.by_name(&executor);
            let restored = Averages::restored(case.decay, &executor, &mut named).unwrap();
            assert_eq!((restored, named.len()), (averages, 0));
        }
    }

    #[test]
    fn averages_of_another_network_are_refused_by_name() {
        let executor = network(&[1.0, 2.0, 3.0]);
        let whole = Averages::new(0.9, &executor).by_name(&executor);
        let refusal = |change: &dyn Fn(&mut Numbers)| {
            let mut stored = whole.clone();
            change(&mut stored);
            Averages::restored(0.9, &executor, &mut stored).unwrap_err()
        };
        let missing = refusal(&|stored| drop(stored.remove("average.fc1.bias")));
        assert!(missing.contains("fc1.bias' is missing"), "{missing}");
        let short = refusal(&|stored| {
            stored.insert("average.fc1.bias".into(), vec![0.0]);
        });
        assert!(short.contains("1 numbers, not 3"), "{short}");
        let unknown = refusal(&|stored| {
            stored.insert("average.fc9.bias".into(), vec![0.0]);
        });
        assert!(unknown.contains("fc9.bias'"), "{unknown}");
    }
}
