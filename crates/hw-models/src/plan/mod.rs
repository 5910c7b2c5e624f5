//! Planned training and inference: all memory laid out and all work ordered before the first step.
//!
//! [`TrainPlan`] runs the same network as [`crate::Network`], with the same gradients up to rounding,
//! on channels-last maps in memory that is allocated once. Batch normalisation, ReLU and the sum of
//! two branches are one pass; convolution, pooling and activation of a few images at a time stay in
//! the cache; a maximum is taken before a rising activation function, which is then applied to fewer
//! numbers. All sums run in an order that depends on the batch size alone, so any number of threads
//! gives the same bits.

mod graph;
mod infer;
mod memory;
mod program;
mod run;
mod team;
#[cfg(test)]
mod tests;

use crate::error::{ModelError, Result};
use crate::network::Network;
use crate::resolve::ResolvedModel;
use candle_core::Tensor;
use graph::Graph;
pub use infer::InferencePlan;
use program::Compiler;
use rayon::prelude::*;
use run::Engine;
pub use run::{LossFunction, StepResult};

/// A network with the memory and the order of work for training steps on the CPU.
pub struct TrainPlan {
    engine: Engine,
    input: Interleave,
    /// The images with their channels last, where they have several.
    images: Vec<f32>,
    weights: Vec<f32>,
    gradients: Vec<f32>,
    moving: Vec<Vec<f32>>,
}

impl TrainPlan {
    /// Plans training of `model` with batches of up to `batch` images; `None` if it has a layer that
    /// plans do not know (see [`TrainPlan::unknown_layer`]).
    pub fn new(model: &ResolvedModel, batch: usize) -> Option<Self> {
        if batch == 0 {
            return None;
        }
        let mut graph = Graph::new(model).ok()?;
        let program = Compiler::new(&mut graph, batch).compile();
        let zeros = |len: usize| vec![0.0; len];
        Some(Self {
            weights: zeros(graph.weights),
            gradients: zeros(graph.weights),
            moving: graph.buffers.iter().map(|(_, len)| zeros(*len)).collect(),
            input: Interleave::of(model),
            images: Vec::new(),
            engine: Engine::new(graph, program, batch),
        })
    }

    /// The first layer of `model` that plans do not know.
    pub fn unknown_layer(model: &ResolvedModel) -> Option<String> {
        Graph::new(model).err()
    }

    /// Floats of flat memory: all trainable tensors, in an order and layout of the plan's own.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether nothing is trainable.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Bytes of working memory, besides weights and gradients.
    pub fn bytes(&self) -> usize {
        self.engine.bytes()
    }

    /// The weights in flat memory.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The weights, to be changed, and the last step's gradients, both flat. Numbers that belong to
    /// no weight are 0 in both.
    pub fn update(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.weights, &self.gradients)
    }

    /// One tensor for each trainable one, in the file format's order and shape, as flat memory.
    /// Tensors that `values` does not know are left at 0.
    pub fn pack<'a>(&self, values: impl Fn(&str) -> Option<&'a [f32]>) -> Vec<f32> {
        let mut flat = vec![0.0; self.len()];
        for slot in &self.engine.graph.slots {
            if let Some(values) = values(&slot.name) {
                slot.pack(values, &mut flat);
            }
        }
        flat
    }

    /// The tensors in flat memory, by name, in the file format's layout.
    pub fn unpack(&self, flat: &[f32]) -> Vec<(String, Vec<f32>)> {
        let slots = self.engine.graph.slots.iter();
        slots
            .map(|slot| (slot.name.clone(), slot.unpack(flat)))
            .collect()
    }

    /// The moving statistics, by name.
    pub fn moving(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let names = self.engine.graph.buffers.iter();
        let names = names.map(|(name, _)| name.as_str());
        names.zip(self.moving.iter().map(Vec::as_slice))
    }

    /// Takes weights and moving statistics from `network`, which has the planned model.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when a tensor cannot be read.
    pub fn load(&mut self, network: &Network) -> Result<()> {
        self.weights.fill(0.0);
        let slots = self.engine.graph.slots.iter();
        let known = network.parameters().iter();
        let known: std::collections::HashMap<_, _> = known.map(|(name, var)| (name, var)).collect();
        // One tensor at a time: a copy of all would be as large as the network.
        for slot in slots {
            if let Some(var) = known.get(&slot.name) {
                let values = var.flatten_all()?.to_vec1::<f32>()?;
                slot.pack(&values, &mut self.weights);
            }
        }
        for (name, var) in network.buffers() {
            let at = self
                .engine
                .graph
                .buffers
                .iter()
                .position(|(n, _)| n == name);
            if let Some(at) = at {
                self.moving[at] = var.flatten_all()?.to_vec1::<f32>()?;
            }
        }
        Ok(())
    }

    /// Gives weights and moving statistics to `network`, which has the planned model.
    ///
    /// # Errors
    /// [`ModelError::Layer`] when it has not.
    pub fn store(&self, network: &Network) -> Result<()> {
        let buffers = self.engine.graph.buffers.iter().zip(&self.moving);
        let buffers = buffers.map(|((name, _), values)| (name.clone(), values.clone()));
        for (name, values) in self.unpack(&self.weights).into_iter().chain(buffers) {
            let mut all = network.parameters().iter().chain(network.buffers());
            let Some((_, var)) = all.find(|(known, _)| *known == name) else {
                return Err(ModelError::Layer {
                    model: network.spec().name.clone(),
                    layer: name,
                    problem: "is not the planned model's".into(),
                });
            };
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        }
        Ok(())
    }

    /// One forward and backward pass over `images` (`[n, c, h, w]`, in a row):
    /// fills the gradients of the batch's mean loss and moves the moving statistics.
    ///
    /// # Panics
    /// When there are no labels, more than the planned batch, or too few floats of images.
    pub fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
    ) -> StepResult {
        let images = self.input.run(images, &mut self.images);
        self.engine.step(
            images,
            labels,
            dropout_seed,
            loss,
            &self.weights,
            &mut self.moving,
            &mut self.gradients,
        )
    }
}

/// Images of several channels as plans read them: channels last.
#[derive(Clone, Copy, Debug)]
struct Interleave {
    channels: usize,
    pixels: usize,
}

impl Interleave {
    fn of(model: &ResolvedModel) -> Self {
        let [channels, height, width] = model.spec.input;
        Self {
            channels,
            pixels: height * width,
        }
    }

    /// `images` (`[n, c, h, w]`) with their channels last, in `space` if that is another order.
    fn run<'a>(&self, images: &'a [f32], space: &'a mut Vec<f32>) -> &'a [f32] {
        let Self { channels, pixels } = *self;
        if channels == 1 || pixels == 1 {
            return images;
        }
        space.resize(images.len(), 0.0);
        let len = channels * pixels;
        let pairs = space.par_chunks_mut(len).zip(images.par_chunks(len));
        pairs.for_each(|(to, from)| {
            for (channel, map) in from.chunks_exact(pixels).enumerate() {
                let to = to[channel..].iter_mut().step_by(channels);
                to.zip(map).for_each(|(to, value)| *to = *value);
            }
        });
        space
    }
}

/// Softmax cross-entropy: `-log p[label]`, with gradient `p - onehot(label)`.
pub fn cross_entropy(logits: &[f32], label: u32, gradient: &mut [f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f32;
    for (g, x) in gradient.iter_mut().zip(logits) {
        *g = (x - highest).exp();
        sum += *g;
    }
    let share = 1.0 / sum;
    gradient.iter_mut().for_each(|g| *g *= share);
    let label = label as usize;
    gradient[label] -= 1.0;
    sum.ln() - (logits[label] - highest)
}
