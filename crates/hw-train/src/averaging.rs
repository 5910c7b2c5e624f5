//! Exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017): often
//! better than the last weights, and what is scored and kept when it is on.

use crate::error::Result;
use candle_core::Var;
use hw_kernels::optim;
use hw_models::Network;
use std::collections::BTreeMap;

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

    /// Moves the averages towards the weights after step number `step`, counted from 1. Early on
    /// they move faster, by at least `1 - (1+t)/(10+t)`, so that they forget where they started.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn update(&mut self, network: &Network, step: u64) -> Result<()> {
        let warm = (1 + step) as f32 / (10 + step) as f32;
        let share = 1.0 - self.decay.min(warm);
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

fn numbers(var: &Var) -> Result<Vec<f32>> {
    Ok(var.flatten_all()?.to_vec1()?)
}
