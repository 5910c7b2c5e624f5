//! What trains a network: one interface to both executors.

use crate::error::Result;
use crate::frozen::Frozen;
use crate::graph::{Graph, Tensors};
use crate::loss::{LossFunction, StepResult};
use crate::plan::TrainPlan;
use crate::reference::{Network, ReferenceTrainer};
use candle_core::Device;

/// A network in training. Its weights lie in one flat slice, in an order and layout of the executor's own
/// ([`Self::pack`], [`Self::unpack`]); so optimizers and averages are written once, on slices.
pub trait Executor: Send {
    /// What it executes.
    fn graph(&self) -> &Graph;

    /// One forward and backward pass over `images` (`[n, c, h, w]`, in a row): fills the gradients of the
    /// batch's mean loss and moves the moving statistics.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a device refuses an operation.
    fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
    ) -> Result<StepResult>;

    /// The weights.
    fn weights(&self) -> &[f32];

    /// The weights, to be changed, and the last step's gradients. Numbers that belong to no weight are 0 in
    /// both.
    fn update(&mut self) -> (&mut [f32], &[f32]);

    /// One tensor for each trainable one, in the file format's order and shape, as flat memory.
    /// Tensors that `values` does not know are left at 0.
    fn pack(&self, values: &dyn Fn(&str) -> Option<Vec<f32>>) -> Vec<f32>;

    /// The tensors in flat memory, in the order of [`Graph::parameters`] and the file format's layout.
    fn unpack(&self, flat: &[f32]) -> Vec<Vec<f32>>;

    /// The tensors that are not trained, in the order of [`Graph::buffers`].
    fn buffers(&self) -> &[Vec<f32>];

    /// Replaces weights and buffers.
    fn load(&mut self, weights: Vec<f32>, buffers: Vec<Vec<f32>>);

    /// Mean and biased variance of everything that flows into each batch normalization for these images,
    /// in the place of the moving ones in [`Self::buffers`], with `weights` for weights and without dropout.
    ///
    /// # Errors
    /// As [`Self::step`].
    fn statistics(&mut self, images: &[f32], weights: &[f32]) -> Result<Vec<Vec<f32>>>;

    /// The network with these weights and buffers, to be run.
    ///
    /// # Errors
    /// As [`Self::step`].
    fn freeze(&self, weights: &[f32], buffers: &[Vec<f32>]) -> Result<Frozen>;

    /// Weights and buffers in the file format's layout.
    fn tensors(&self, weights: &[f32], buffers: &[Vec<f32>]) -> Tensors {
        Tensors {
            parameters: self.unpack(weights),
            buffers: buffers.to_vec(),
        }
    }
}

/// What an executor begins with.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Drawn from this seed.
    Fresh(u64),
    /// These.
    Given(&'a Tensors),
}

/// The executor for a device: a plan on the CPU, the reference elsewhere, for batches of up to `batch`
/// images.
///
/// # Errors
/// [`crate::ModelError::Tensor`] when a device refuses the tensors.
pub fn executor(
    graph: Graph,
    weights: Weights<'_>,
    batch: usize,
    device: &Device,
) -> Result<Box<dyn Executor>> {
    Ok(match (device, weights) {
        (Device::Cpu, Weights::Fresh(seed)) => Box::new(TrainPlan::initial(&graph, seed, batch)),
        (Device::Cpu, Weights::Given(tensors)) => {
            Box::new(TrainPlan::with_tensors(&graph, tensors, batch))
        }
        (other, weights) => {
            let tensors = match weights {
                Weights::Fresh(seed) => &Tensors::initial(&graph, seed),
                Weights::Given(tensors) => tensors,
            };
            let network = Network::from_tensors(graph, tensors, other)?;
            Box::new(ReferenceTrainer::new(network)?)
        }
    })
}

impl Tensors {
    /// The tensors of `graph`, from `values` by name; `None` where it does not know one.
    pub fn by_name(graph: &Graph, values: &dyn Fn(&str) -> Option<Vec<f32>>) -> Option<Self> {
        let all = |list: &[crate::graph::Parameter]| -> Option<Vec<Vec<f32>>> {
            list.iter().map(|tensor| values(&tensor.name)).collect()
        };
        Some(Self {
            parameters: all(&graph.parameters)?,
            buffers: all(&graph.buffers)?,
        })
    }
}
