//! Networks that are only run: frozen, folded, planned.
//!
//! Batch normalisation becomes part of the convolution or dense layer before it, ReLU and the sum of
//! two branches part of the same pass; dropout is gone. All memory of a chunk of images is laid out
//! once, and values that live at different times share it.

use super::graph::{Graph, Op, Slot, Value};
use super::memory::{Block, place};
use super::run::PIECE;
use crate::error::Result;
use crate::network::Network;
use hw_kernels::Activation;
use hw_kernels::Windows;
use hw_kernels::cpu::activation;
use hw_kernels::nhwc::{Conv, Finish, norm, pool};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Floats that a chunk of images may touch: they should stay in the second-level cache.
const CHUNK_FLOATS: usize = 128 << 10;
/// Most images of a chunk.
const CHUNK_IMAGES: usize = 32;
/// Multiplications of one layer for one image that are worth sharing between threads.
const SHARED_WORK: usize = 1 << 20;

/// A network to be run on the CPU: logits of images, by any number of threads at once.
pub struct InferencePlan {
    values: Vec<usize>,
    steps: Vec<Step>,
    /// Where each value's memory starts, in floats an image.
    starts: Vec<usize>,
    floats: usize,
    scratch: usize,
    chunk: usize,
    input: Value,
    output: Value,
    weights: Vec<Vec<f32>>,
    spare: Mutex<Vec<Vec<f32>>>,
}

/// One pass over a chunk of images.
#[derive(Debug)]
enum Step {
    Conv {
        x: Value,
        y: Value,
        conv: Box<Conv>,
        weight: usize,
        bias: Option<usize>,
        /// Whether `y` already holds something to add to.
        accumulate: bool,
        relu: bool,
    },
    Affine {
        x: Value,
        y: Value,
        side: Option<Value>,
        relu: bool,
        scale: usize,
        shift: usize,
    },
    Act {
        x: Value,
        y: Value,
        function: Activation,
    },
    Pool {
        x: Value,
        y: Value,
        channels: usize,
        windows: Windows,
        max: bool,
    },
    Sum {
        a: Value,
        b: Value,
        y: Value,
    },
}

impl Step {
    fn values(&self) -> Vec<Value> {
        match *self {
            Self::Conv { x, y, .. } | Self::Act { x, y, .. } | Self::Pool { x, y, .. } => {
                vec![x, y]
            }
            Self::Affine { x, y, side, .. } => {
                [Some(x), Some(y), side].into_iter().flatten().collect()
            }
            Self::Sum { a, b, y } => vec![a, b, y],
        }
    }
}

/// Turns a training graph into steps.
struct Folder<'a> {
    graph: &'a Graph,
    flat: Vec<f32>,
    moving: Vec<Vec<f32>>,
    /// Which value stands for each of the graph's.
    alias: Vec<Value>,
    uses: Vec<usize>,
    steps: Vec<Step>,
    weights: Vec<Vec<f32>>,
}

impl Folder<'_> {
    fn keep(&mut self, weights: Vec<f32>) -> usize {
        self.weights.push(weights);
        self.weights.len() - 1
    }

    fn part(&self, slot: usize) -> &[f32] {
        let slot: &Slot = &self.graph.slots[slot];
        &self.flat[slot.start..slot.start + slot.len]
    }

    fn fold(&mut self) {
        let ops = &self.graph.ops;
        let mut index = 0;
        while index < ops.len() {
            index += self.fold_at(index);
        }
    }

    /// Lowers the operation at `index`, and those after it that it swallows; says how many.
    fn fold_at(&mut self, index: usize) -> usize {
        match self.graph.ops[index].clone() {
            Op::Conv {
                x,
                y,
                conv,
                weight,
                bias,
                ..
            } => self.conv(index, x, y, conv, weight, bias),
            Op::Norm {
                x,
                y,
                side,
                relu,
                scale,
                shift,
                moving,
                eps,
                ..
            } => {
                let (factor, offset) = self.factors(scale, shift, moving, eps);
                let (scale, shift) = (self.keep(factor), self.keep(offset));
                let (x, side) = (self.alias[x], side.map(|side| self.alias[side]));
                self.steps.push(Step::Affine {
                    x,
                    y,
                    side,
                    relu,
                    scale,
                    shift,
                });
                1
            }
            Op::Act { x, y, function } => {
                let x = self.alias[x];
                self.steps.push(Step::Act { x, y, function });
                1
            }
            Op::MaxPool {
                x,
                y,
                channels,
                windows,
            }
            | Op::MeanPool {
                x,
                y,
                channels,
                windows,
            } => {
                let max = matches!(self.graph.ops[index], Op::MaxPool { .. });
                let x = self.alias[x];
                self.steps.push(Step::Pool {
                    x,
                    y,
                    channels,
                    windows,
                    max,
                });
                1
            }
            Op::Add { a, b, y } => {
                let (a, b) = (self.alias[a], self.alias[b]);
                self.steps.push(Step::Sum { a, b, y });
                1
            }
            Op::Dropout { x, y, .. } => {
                self.alias[y] = self.alias[x];
                1
            }
        }
    }

    /// A normalisation as `x * factor + offset`.
    fn factors(&self, scale: usize, shift: usize, moving: usize, eps: f32) -> (Vec<f32>, Vec<f32>) {
        let (mean, variance) = (&self.moving[moving], &self.moving[moving + 1]);
        let gamma = self.part(scale).iter().zip(variance);
        let factor: Vec<f32> = gamma.map(|(g, v)| g / (v + eps).sqrt()).collect();
        let beta = self.part(shift).iter().zip(mean).zip(&factor);
        let offset = beta.map(|((b, m), f)| b - m * f).collect();
        (factor, offset)
    }

    fn conv(
        &mut self,
        index: usize,
        x: Value,
        y: Value,
        conv: Conv,
        weight: usize,
        bias: Option<usize>,
    ) -> usize {
        let mut weights = self.part(weight).to_vec();
        let mut offsets = bias.map(|bias| self.part(bias).to_vec());
        let (mut y, mut relu, mut swallowed) = (y, false, 1);
        let mut added = None;
        let alone = |folder: &Self, value: Value| folder.uses[value] == 1;
        if let Some(&Op::Norm {
            x: from,
            y: to,
            side,
            relu: clipped,
            scale,
            shift,
            moving,
            eps,
            ..
        }) = self.graph.ops.get(index + swallowed)
            && from == y
            && alone(self, y)
        {
            let (factor, offset) = self.factors(scale, shift, moving, eps);
            let panels = conv.panels();
            for row in 0..conv.taps() {
                for (o, factor) in factor.iter().enumerate() {
                    weights[panels.at(row, o)] *= factor;
                }
            }
            let old = offsets.unwrap_or_else(|| vec![0.0; offset.len()]);
            let folded = old.iter().zip(&factor).zip(&offset);
            offsets = Some(folded.map(|((b, f), o)| b * f + o).collect());
            (y, relu, added) = (to, clipped, side);
            swallowed += 1;
        }
        if let Some(&Op::Act {
            x: from,
            y: to,
            function: Activation::Relu,
        }) = self.graph.ops.get(index + swallowed)
            && from == y
            && alone(self, y)
            && added.is_none()
        {
            (y, relu) = (to, true);
            swallowed += 1;
        }
        let mut after = None;
        if let Some(side) = added {
            let source = self.alias[side];
            // The sum may grow where the other branch lies if no one reads that later.
            let read_later = self.graph.ops[index + swallowed..].iter().any(|op| {
                op.inputs()
                    .iter()
                    .any(|&v| self.alias[v] == source && v != y)
            });
            if read_later || source == 0 {
                after = Some((source, relu));
                relu = false;
            } else {
                self.alias[y] = source;
            }
        }
        let accumulate = added.is_some() && after.is_none();
        let (x, y) = (self.alias[x], self.alias[y]);
        let (weight, bias) = (self.keep(weights), offsets.map(|b| self.keep(b)));
        self.steps.push(Step::Conv {
            x,
            y,
            conv: Box::new(conv),
            weight,
            bias,
            accumulate,
            relu,
        });
        if let Some((source, relu)) = after {
            self.steps.push(Step::Sum { a: y, b: source, y });
            if relu {
                let function = Activation::Relu;
                self.steps.push(Step::Act { x: y, y, function });
            }
        }
        swallowed
    }
}

impl InferencePlan {
    /// A plan of `network` as it is now; `None` where there can be none: on other devices than the
    /// CPU, for images of several channels, and for networks with layers that plans do not know.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be read.
    pub fn new(network: &Network) -> Result<Option<Self>> {
        let model = network.resolved();
        let plain = model.spec.input[0] == 1 || model.spec.input[1..] == [1, 1];
        if !network.device().is_cpu() || !plain {
            return Ok(None);
        }
        let Ok(graph) = Graph::new(model) else {
            return Ok(None);
        };
        let mut tensors = HashMap::new();
        for (name, var) in network.parameters().iter().chain(network.buffers()) {
            tensors.insert(name.as_str(), var.flatten_all()?.to_vec1::<f32>()?);
        }
        let mut flat = vec![0.0; graph.weights];
        for slot in &graph.slots {
            if let Some(values) = tensors.get(slot.name.as_str()) {
                slot.pack(values, &mut flat);
            }
        }
        let moving = graph.buffers.iter();
        let moving = moving.map(|(name, _)| tensors.remove(name.as_str()).unwrap_or_default());
        let mut uses = vec![0; graph.values.len()];
        uses[graph.output] += 1;
        for value in graph.ops.iter().flat_map(Op::inputs) {
            uses[value] += 1;
        }
        let mut folder = Folder {
            flat,
            moving: moving.collect(),
            alias: (0..graph.values.len()).collect(),
            uses,
            steps: Vec::new(),
            weights: Vec::new(),
            graph: &graph,
        };
        folder.fold();
        let Folder {
            alias,
            steps,
            weights,
            ..
        } = folder;
        Ok(Some(Self::laid_out(
            &graph,
            alias[graph.output],
            steps,
            weights,
        )))
    }

    fn laid_out(graph: &Graph, output: Value, steps: Vec<Step>, weights: Vec<Vec<f32>>) -> Self {
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
        for (at, step) in steps.iter().enumerate() {
            for value in step.values() {
                let (first, _) = spans[value].unwrap_or((at, at));
                spans[value] = Some((first, at));
            }
        }
        if let Some((_, last)) = &mut spans[output] {
            *last = steps.len();
        }
        let (mut blocks, mut owners) = (Vec::new(), Vec::new());
        for (value, span) in spans.iter().enumerate() {
            if let Some((first, last)) = *span
                && value != 0
            {
                let len = graph.values[value].next_multiple_of(16);
                blocks.push(Block { first, last, len });
                owners.push(value);
            }
        }
        let (places, floats) = place(&blocks);
        let mut starts = vec![0; graph.values.len()];
        for (value, start) in owners.into_iter().zip(places) {
            starts[value] = start;
        }
        let scratch = steps.iter().map(|step| match step {
            Step::Conv { conv, .. } => conv.forward_scratch(),
            _ => PIECE,
        });
        let scratch = scratch.max().unwrap_or(0) + 64;
        let rows = steps.iter().filter_map(|step| match step {
            Step::Conv { conv, .. } if conv.panels().len() > 1 << 13 => {
                Some(28usize.div_ceil(conv.windows.output_size()))
            }
            _ => None,
        });
        let wanted = rows.max().unwrap_or(1).min(CHUNK_IMAGES);
        Self {
            chunk: (CHUNK_FLOATS / floats.max(1)).clamp(wanted, CHUNK_IMAGES),
            values: graph.values.clone(),
            steps,
            starts,
            floats,
            scratch,
            input: 0,
            output,
            weights,
            spare: Mutex::new(Vec::new()),
        }
    }

    /// Number of logits of an image.
    pub fn classes(&self) -> usize {
        self.values[self.output]
    }

    /// Logits `[n, classes]` of `images` (`[n, 1, h, w]`, in a row), on the current rayon pool.
    ///
    /// # Panics
    /// When `images` is not a whole number of images.
    pub fn logits(&self, images: &[f32]) -> Vec<f32> {
        let (len, classes) = (self.values[self.input], self.classes());
        assert!(
            images.len().is_multiple_of(len),
            "not a whole number of images"
        );
        let n = images.len() / len;
        let mut logits = vec![0.0; n * classes];
        if n == 1 {
            self.chunk(images, &mut logits, true);
            return logits;
        }
        // Enough chunks for all threads; which of them takes an image changes no bit.
        let chunk = self.chunk.min(n.div_ceil(rayon::current_num_threads()));
        let pieces = images.par_chunks(chunk * len).with_max_len(1);
        pieces
            .zip(logits.par_chunks_mut(chunk * classes))
            .for_each(|(images, logits)| self.chunk(images, logits, false));
        logits
    }

    /// Logits of one chunk; `shared` says that other threads have nothing to do.
    fn chunk(&self, images: &[f32], logits: &mut [f32], shared: bool) {
        let n = images.len() / self.values[self.input];
        let size = n * self.floats + self.scratch * if shared { 2 } else { 1 };
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = spare.pop().unwrap_or_default();
        drop(spare);
        if memory.len() < size {
            memory.resize(size, 0.0);
        }
        let (values, scratch) = memory.split_at_mut(n * self.floats);
        let run = Chunk {
            plan: self,
            images,
            n,
            values: values.as_mut_ptr(),
        };
        for step in &self.steps {
            // SAFETY: values that live at the same time lie apart in `values`.
            unsafe { run.step(step, scratch, shared) };
        }
        // SAFETY: as above; the last step is done.
        logits.copy_from_slice(unsafe { run.read(self.output) });
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(memory);
    }
}

struct Chunk<'a> {
    plan: &'a InferencePlan,
    images: &'a [f32],
    n: usize,
    values: *mut f32,
}

/// A pointer that two threads write disjoint columns of.
#[derive(Clone, Copy)]
struct Both(*mut f32);
// SAFETY: used for outputs of different panels only.
unsafe impl Send for Both {}
// SAFETY: as above.
unsafe impl Sync for Both {}

impl Both {
    fn get(self) -> *mut f32 {
        self.0
    }
}

impl Chunk<'_> {
    fn at(&self, value: Value) -> *mut f32 {
        // SAFETY: the layout has room for every value.
        unsafe { self.values.add(self.plan.starts[value] * self.n) }
    }

    unsafe fn read(&self, value: Value) -> &[f32] {
        if value == self.plan.input {
            return self.images;
        }
        // SAFETY: as `at`; no one writes it while it is read.
        unsafe { std::slice::from_raw_parts(self.at(value), self.plan.values[value] * self.n) }
    }

    #[allow(clippy::mut_from_ref)] // one thread, and values that lie apart
    unsafe fn write(&self, value: Value) -> &mut [f32] {
        // SAFETY: as `at`.
        unsafe { std::slice::from_raw_parts_mut(self.at(value), self.plan.values[value] * self.n) }
    }

    /// # Safety
    /// What the step reads and writes lies apart, but for steps that may work in place.
    unsafe fn step(&self, step: &Step, scratch: &mut [f32], shared: bool) {
        let weights = &self.plan.weights;
        // SAFETY: the caller's contract.
        unsafe {
            match *step {
                Step::Conv {
                    x,
                    y,
                    ref conv,
                    weight,
                    bias,
                    accumulate,
                    relu,
                } => {
                    let finish = Finish {
                        bias: bias.map(|bias| weights[bias].as_slice()),
                        accumulate,
                        relu,
                    };
                    let (x, y) = (self.read(x), self.at(y));
                    self.conv(conv, x, &weights[weight], finish, y, scratch, shared);
                }
                Step::Affine {
                    x,
                    y,
                    side,
                    relu,
                    scale,
                    shift,
                } => {
                    let side = side.map_or(&[][..], |side| self.read(side));
                    let (x, y) = (self.read(x), self.write(y));
                    if relu {
                        norm::affine_relu(x, &weights[scale], &weights[shift], side, y);
                    } else {
                        norm::affine(x, &weights[scale], &weights[shift], y);
                        norm::add(side, y);
                    }
                }
                Step::Act { x, y, function } => {
                    let from = self.read(x).as_ptr();
                    for (i, y) in self.write(y).chunks_mut(PIECE).enumerate() {
                        let piece = &mut scratch[..y.len()];
                        // The two may be one: read before anything is written.
                        from.add(i * PIECE).copy_to(piece.as_mut_ptr(), y.len());
                        activation::forward(function, piece, y);
                    }
                }
                Step::Pool {
                    x,
                    y,
                    channels,
                    ref windows,
                    max,
                } => {
                    let (from, to) = (self.plan.values[x], self.plan.values[y]);
                    let images = self.read(x).chunks_exact(from);
                    for (x, y) in images.zip(self.write(y).chunks_exact_mut(to)) {
                        if max {
                            pool::max_only(windows, channels, x, y);
                        } else {
                            pool::mean_forward(windows, channels, x, y);
                        }
                    }
                }
                Step::Sum { a, b, y } => {
                    if a == y {
                        norm::add(self.read(b), self.write(y));
                    } else {
                        norm::sum(self.read(a), self.read(b), self.write(y));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Chunk::step`].
    unsafe fn conv(
        &self,
        conv: &Conv,
        x: &[f32],
        w: &[f32],
        finish: Finish<'_>,
        y: *mut f32,
        scratch: &mut [f32],
        shared: bool,
    ) {
        let units = conv.units();
        let work = conv.taps() * conv.output_len();
        if !shared || units < 2 || work < SHARED_WORK || rayon::current_num_threads() < 2 {
            // SAFETY: the caller's contract.
            return unsafe { conv.forward_units(x, w, finish, y, self.n, scratch, 0..units) };
        }
        let (first, second) = scratch.split_at_mut(self.plan.scratch);
        let (y, n, half) = (Both(y), self.n, units / 2);
        // SAFETY: the caller's contract; the two write different panels.
        let run = |scratch: &mut [f32], units| unsafe {
            conv.forward_units(x, w, finish, y.get(), n, scratch, units);
        };
        rayon::join(|| run(first, 0..half), || run(second, half..units));
    }
}
