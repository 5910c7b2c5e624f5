//! Planned training and inference: all memory laid out and all work ordered before the first step.
//!
//! [`TrainPlan`] runs the same graph as [`crate::Network`], with the same gradients up to rounding,
//! on channels-last maps in memory that is allocated once. Batch normalisation, ReLU and the sum of
//! two branches are one pass; convolution, pooling and activation of a few images at a time stay in
//! the cache; a maximum is taken before a rising activation function, which is then applied to fewer
//! numbers. All sums run in an order that depends on the batch size alone, so any number of threads
//! gives the same bits.

mod image;
mod infer;
mod memory;
mod ops;
mod program;
mod run;
mod team;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::executor::Executor;
use crate::frozen::Frozen;
use crate::graph::{Graph, Tensors};
use crate::loss::{LossFunction, StepResult};
use crate::reference::{initial_parameter, initial_values};
pub use infer::InferencePlan;
use ops::Ops;
use program::{Compiler, Purpose};
use rayon::prelude::*;
use run::Engine;

/// A network with the memory and the order of work for training steps on the CPU.
pub struct TrainPlan {
    graph: Graph,
    engine: Engine,
    input: Interleave,
    /// The images with their channels last, where they have several.
    images: Vec<f32>,
    weights: Vec<f32>,
    gradients: Vec<f32>,
    buffers: Vec<Vec<f32>>,
    /// Measures statistics, once it is asked for.
    statistics: Option<Box<Engine>>,
    batch: usize,
}

impl TrainPlan {
    /// Plans training of `graph` with batches of up to `batch` images, at least one; its weights are 0.
    pub fn new(graph: &Graph, batch: usize) -> Self {
        Self::planned(graph, batch, Purpose::Training)
    }

    /// A plan whose steps also give the gradient of the images ([`Self::image_gradient`]).
    pub fn with_image_gradient(graph: &Graph, batch: usize) -> Self {
        Self::planned(graph, batch, Purpose::InputGradients)
    }

    /// A plan with fresh weights drawn from `seed`, one tensor at a time: all of them beside the plan's own
    /// would be memory that training does not need.
    pub fn initial(graph: &Graph, seed: u64, batch: usize) -> Self {
        let mut plan = Self::new(graph, batch);
        for slot in &plan.engine.graph.slots {
            slot.pack(
                &initial_parameter(graph, seed, slot.parameter),
                &mut plan.weights,
            );
        }
        let buffers = graph.buffers.iter();
        plan.buffers = buffers
            .map(|b| initial_values(&graph.spec, seed, b))
            .collect();
        plan
    }

    /// A plan with these weights and buffers.
    pub fn with_tensors(graph: &Graph, tensors: &Tensors, batch: usize) -> Self {
        let mut plan = Self::new(graph, batch);
        plan.set(tensors);
        plan
    }

    fn planned(graph: &Graph, batch: usize, purpose: Purpose) -> Self {
        let engine = engine(graph, batch, purpose);
        let zeros = |len: usize| vec![0.0; len];
        let ops = &engine.graph;
        Self {
            weights: zeros(ops.weights),
            gradients: zeros(ops.weights),
            buffers: ops.buffers.iter().map(|(_, len)| zeros(*len)).collect(),
            input: Interleave::of(graph),
            images: Vec::new(),
            statistics: None,
            graph: graph.clone(),
            engine,
            batch,
        }
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

    /// Takes weights and buffers in the file format's layout.
    pub fn set(&mut self, tensors: &Tensors) {
        self.weights = self.pack_by(&|index| Some(&tensors.parameters[index]));
        self.buffers.clone_from(&tensors.buffers);
    }

    /// The gradients of the last step, in the order of [`Graph::parameters`] and the file format's layout.
    pub fn gradients(&self) -> Vec<Vec<f32>> {
        self.unpack(&self.gradients)
    }

    /// The gradient of the images of the last step, `[n, c, h, w]` in a row, where the plan is for it.
    pub fn image_gradient(&self, n: usize) -> Option<Vec<f32>> {
        let gradient = self.engine.image_gradient(n)?;
        Some(self.input.back(gradient))
    }

    /// For each slot of the plan, its parameter of the graph.
    fn parameters(&self) -> impl Iterator<Item = (usize, &ops::Slot)> {
        self.engine
            .graph
            .slots
            .iter()
            .map(|slot| (slot.parameter, slot))
    }

    fn pack_by<'a>(&self, values: &dyn Fn(usize) -> Option<&'a Vec<f32>>) -> Vec<f32> {
        let mut flat = vec![0.0; self.len()];
        for (index, slot) in self.parameters() {
            if let Some(values) = values(index) {
                slot.pack(values, &mut flat);
            }
        }
        flat
    }
}

/// Memory and instructions for a purpose.
fn engine(graph: &Graph, batch: usize, purpose: Purpose) -> Engine {
    let mut ops = Ops::of(&graph.fused());
    let program = Compiler::new(&mut ops, batch.max(1), purpose).compile();
    Engine::new(ops, program, batch.max(1))
}

impl Executor for TrainPlan {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    /// # Panics
    /// When there are no labels, more than the planned batch, or too few floats of images.
    fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
    ) -> Result<StepResult> {
        let images = self.input.run(images, &mut self.images);
        Ok(self.engine.step(
            images,
            labels,
            dropout_seed,
            loss,
            &self.weights,
            &mut self.buffers,
            &mut self.gradients,
        ))
    }

    fn weights(&self) -> &[f32] {
        &self.weights
    }

    fn update(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.weights, &self.gradients)
    }

    fn pack(&self, values: &dyn Fn(&str) -> Option<Vec<f32>>) -> Vec<f32> {
        let mut flat = vec![0.0; self.len()];
        for slot in &self.engine.graph.slots {
            if let Some(values) = values(&slot.name) {
                slot.pack(&values, &mut flat);
            }
        }
        flat
    }

    fn unpack(&self, flat: &[f32]) -> Vec<Vec<f32>> {
        let mut tensors = vec![Vec::new(); self.graph.parameters.len()];
        for (index, slot) in self.parameters() {
            tensors[index] = slot.unpack(flat);
        }
        tensors
    }

    fn buffers(&self) -> &[Vec<f32>] {
        &self.buffers
    }

    fn load(&mut self, weights: Vec<f32>, buffers: Vec<Vec<f32>>) {
        assert_eq!(weights.len(), self.weights.len(), "weights of another plan");
        (self.weights, self.buffers) = (weights, buffers);
    }

    fn statistics(&mut self, images: &[f32], weights: &[f32]) -> Result<Vec<Vec<f32>>> {
        let (graph, batch) = (&self.graph, self.batch);
        let measure = self.statistics.get_or_insert_with(|| {
            Box::new(engine(&graph.for_statistics(), batch, Purpose::Statistics))
        });
        // A moving average of one batch that starts at 0 is that batch's.
        let mut buffers = self.buffers.clone();
        for node in &self.graph.nodes {
            if let crate::graph::Op::Norm { mean, .. } = node.op {
                buffers[mean..mean + 2].iter_mut().for_each(|b| b.fill(0.0));
            }
        }
        let images = self.input.run(images, &mut self.images);
        let n = images.len() / self.input.len();
        let no_loss = |_: &[f32], _: u32, _: &mut [f32]| 0.0;
        let labels = vec![0; n];
        measure.step(images, &labels, 0, &no_loss, weights, &mut buffers, &mut []);
        Ok(buffers)
    }

    fn freeze(&self, weights: &[f32], buffers: &[Vec<f32>]) -> Result<Frozen> {
        Ok(Frozen::planned(&self.graph, self.tensors(weights, buffers)))
    }
}

/// Images of several channels as plans read them: channels last.
#[derive(Clone, Copy, Debug)]
struct Interleave {
    channels: usize,
    pixels: usize,
}

impl Interleave {
    fn of(graph: &Graph) -> Self {
        let [channels, height, width] = graph.spec.input;
        Self {
            channels,
            pixels: height * width,
        }
    }

    /// Floats of one image.
    fn len(&self) -> usize {
        self.channels * self.pixels
    }

    /// `images` with their channels last as `[n, c, h, w]`.
    fn back(&self, images: &[f32]) -> Vec<f32> {
        let mut first = Vec::with_capacity(images.len());
        for image in images.chunks_exact(self.len()) {
            for channel in 0..self.channels {
                first.extend(image[channel..].iter().step_by(self.channels));
            }
        }
        first
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
