//! Exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017): often
//! better than the last weights, and what is scored and kept when it is on.

use crate::choice::Choice;
use crate::error::Result;
use candle_core::Var;
use hw_kernels::optim;
use hw_models::Network;
use std::collections::BTreeMap;

/// The ways to average; the value is the decay that suits most runs.
pub const AVERAGES: [Choice<f32>; 1] = [Choice {
    name: "ema",
    about: "an exponential moving average of the weights is scored and kept in place of the last",
    source: "Polyak & Juditsky 1992; Tarvainen & Valpola 2017",
    value: 0.999,
}];

/// The averages of all tensors of a network, its moving statistics included.
#[derive(Debug)]
pub struct Averages {
    decay: f32,
    values: Vec<Vec<f32>>,
}

fn tensors(network: &Network) -> impl Iterator<Item = &(String, Var)> {
    network.parameters().iter().chain(network.buffers())
}

impl Averages {
    /// Averages that start at the network's weights.
    ///
    /// # Errors
    /// [`crate::TrainError::Tensor`] when a tensor cannot be read.
    pub fn new(decay: f32, network: &Network) -> Result<Self> {
        let values: Result<_> = tensors(network).map(|(_, var)| numbers(var)).collect();
        let values = values?;
        Ok(Self { decay, values })
    }

    /// How much of itself an average keeps in a step, once it has forgotten its start.
    pub fn decay(&self) -> f32 {
        self.decay
    }

    /// Moves the averages towards the weights after step number `step`, counted from 1, by
    /// [`share`] of the way.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn update(&mut self, network: &Network, step: u64) -> Result<()> {
        let share = share(self.decay, step);
        for ((_, var), average) in tensors(network).zip(&mut self.values) {
            optim::average(average, &numbers(var)?, share);
        }
        Ok(())
    }

    /// Gives the averages to `network`, which must have the shapes of the averaged one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn apply(&self, network: &Network) -> Result<()> {
        for ((_, var), average) in tensors(network).zip(&self.values) {
            let average = candle_core::Tensor::from_slice(average, var.shape(), var.device())?;
            var.set(&average)?;
        }
        Ok(())
    }

    /// The averages by the names of their tensors, flat.
    pub fn export(&self, network: &Network) -> BTreeMap<String, Vec<f32>> {
        let names = tensors(network).map(|(name, _)| name.clone());
        names.zip(self.values.iter().cloned()).collect()
    }

    /// The averages that [`Self::export`] gave.
    ///
    /// # Errors
    /// A sentence naming the tensor that is missing or has another length.
    pub fn import(
        decay: f32,
        network: &Network,
        mut stored: BTreeMap<String, Vec<f32>>,
    ) -> std::result::Result<Self, String> {
        let mut values = Vec::new();
        for (name, var) in tensors(network) {
            let average = stored.remove(name);
            let average = average.ok_or_else(|| format!("the average of '{name}' is missing"))?;
            if average.len() != var.elem_count() {
                let (found, wanted) = (average.len(), var.elem_count());
                return Err(format!(
                    "the average of '{name}' has {found} numbers, not {wanted}"
                ));
            }
            values.push(average);
        }
        match stored.keys().next() {
            Some(name) => Err(format!("the average of '{name}' belongs to no tensor")),
            None => Ok(Self { decay, values }),
        }
    }
}

/// How far an average with this decay moves towards the weights after step number `step`, counted
/// from 1: early on by at least `1 - (1+t)/(10+t)`, as in TensorFlow, so that it forgets its start.
pub fn share(decay: f32, step: u64) -> f32 {
    let warm = (1 + step) as f32 / (10 + step) as f32;
    1.0 - decay.min(warm)
}

fn numbers(var: &Var) -> Result<Vec<f32>> {
    Ok(var.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use hw_models::zoo;
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

    #[test]
    fn twenty_steps_of_the_average_are_those_of_tensorflow() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../../fixtures/train/average.json")).unwrap();
        let spec = zoo::spec("ann", [1, 1, 1], 3).unwrap();
        let [network, averaged] = [1, 2].map(|s| Network::new(&spec, s, &Device::Cpu).unwrap());
        // The last layer's bias has three numbers.
        let last = |network: &Network| network.parameters().last().unwrap().1.clone();
        let set = |values: &[f32]| {
            let values = Tensor::new(values, &Device::Cpu).unwrap();
            last(&network).set(&values).unwrap();
        };
        for case in &golden.cases {
            set(&golden.weights[0]);
            let mut averages = Averages::new(case.decay, &network).unwrap();
            for (step, expected) in case.averages.iter().enumerate() {
                set(&golden.weights[step + 1]);
                averages.update(&network, step as u64 + 1).unwrap();
                averages.apply(&averaged).unwrap();
                for (a, b) in numbers(&last(&averaged)).unwrap().iter().zip(expected) {
                    assert!((a - b).abs() < 1e-6, "decay {}: {a} {b}", case.decay);
                }
            }
            let exported = averages.export(&network);
            let imported = Averages::import(case.decay, &network, exported).unwrap();
            assert_eq!(imported.values, averages.values);
        }
    }

    #[test]
    fn averages_of_another_network_are_refused_by_name() {
        let spec = zoo::spec("ann", [1, 1, 1], 3).unwrap();
        let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
        let whole = Averages::new(0.9, &network).unwrap().export(&network);
        type Stored = BTreeMap<String, Vec<f32>>;
        let refusal = |change: &dyn Fn(&mut Stored)| {
            let mut stored = whole.clone();
            change(&mut stored);
            Averages::import(0.9, &network, stored).unwrap_err()
        };
        let missing = refusal(&|stored| drop(stored.remove("fc1.bias")));
        assert!(missing.contains("'fc1.bias' is missing"), "{missing}");
        let short = refusal(&|stored| {
            stored.insert("fc1.bias".into(), vec![0.0]);
        });
        assert!(short.contains("1 numbers, not 100"), "{short}");
        let unknown = refusal(&|stored| {
            stored.insert("fc9.bias".into(), vec![0.0]);
        });
        assert!(unknown.contains("'fc9.bias'"), "{unknown}");
    }
}
