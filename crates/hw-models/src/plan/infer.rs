//! Networks that are only run: frozen, folded, planned.
//!
//! Batch normalisation becomes part of the convolution or dense layer before it, ReLU and the sum of
//! two branches part of the same pass; dropout is gone. All memory of a chunk of images is laid out
//! once, and values that live at different times share it.

use super::Interleave;
use super::image::ImageKernel;
use super::memory::{Block, place};
use super::ops::{ConvOp, Op, Ops, Slot, Value};
use super::run::PIECE;
use super::team::Team;
use crate::graph::Graph;
use crate::graph::fold::{Folded, Tensors, fold};
use hw_kernels::Activation;
use hw_kernels::Windows;
use hw_kernels::cpu::activation;
use hw_kernels::nhwc::{Conv, Finish, norm, pool};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Floats that a chunk of images may touch: they should stay in the second-level cache.
const CHUNK_FLOATS: usize = 128 << 10;
/// Most images of a chunk.
const CHUNK_IMAGES: usize = 32;
/// Multiplications of a network for one image that are worth waking other threads for.
const WAKING_WORK: usize = 600_000;
/// Multiplications of one layer that are worth sharing with threads that wait for work.
const SHARED_WORK: usize = 1 << 16;
/// Shares of a layer for each thread: threads are not equally fast.
const SHARES: usize = 2;
/// Images in a call from which on Winograd's algorithm is used also where a layer has too few pixels for
/// one image to be worth it. Were it chunk by chunk, the bits would depend on how threads share the images.
const MANY: usize = 8;
/// Floats of weights from which on a dense layer should see many images at once.
const HEAVY: usize = 1 << 16;

/// A network to be run on the CPU: logits of images, by any number of threads at once.
///
/// The same images in one call give the same bits on any number of threads. An image alone and among
/// eight and more may differ in the last place, since Winograd's algorithm pays for many only.
pub struct InferencePlan {
    /// Floats of each value of one image.
    values: Vec<usize>,
    steps: Vec<Step>,
    /// Steps up to the first heavy dense layer: they see few images at a time, so that maps stay
    /// in the cache; the others see many, so that weights are read less often.
    body: Part,
    head: Part,
    scratch: usize,
    /// Most images of a chunk.
    chunk: usize,
    /// Multiplications of an image.
    work: usize,
    input: Interleave,
    output: Value,
    weights: Vec<Vec<f32>>,
    spare: Mutex<Vec<Vec<f32>>>,
}

/// Steps that see the same images at a time.
#[derive(Debug, Default)]
struct Part {
    steps: Range<usize>,
    input: Value,
    output: Value,
    /// Where each value's memory starts, in floats an image.
    starts: Vec<usize>,
    floats: usize,
    /// Images at a time.
    images: usize,
}

/// One pass over a chunk of images.
#[derive(Debug)]
enum Step {
    Conv {
        x: Value,
        y: Value,
        conv: Box<Conv>,
        weight: usize,
        /// The weights once more, as Winograd's algorithm takes them: for several images.
        prepared: Option<usize>,
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
    Image {
        inputs: Vec<Value>,
        y: Value,
        kernel: ImageKernel,
        tensors: Vec<usize>,
    },
}

impl Step {
    /// What it writes.
    fn target(&self) -> Value {
        match *self {
            Self::Conv { y, .. }
            | Self::Affine { y, .. }
            | Self::Act { y, .. }
            | Self::Pool { y, .. }
            | Self::Image { y, .. }
            | Self::Sum { y, .. } => y,
        }
    }

    fn values(&self) -> Vec<Value> {
        match *self {
            Self::Conv { x, y, .. } | Self::Act { x, y, .. } | Self::Pool { x, y, .. } => {
                vec![x, y]
            }
            Self::Affine { x, y, side, .. } => {
                [Some(x), Some(y), side].into_iter().flatten().collect()
            }
            Self::Sum { a, b, y } => vec![a, b, y],
            Self::Image { ref inputs, y, .. } => [&inputs[..], &[y]].concat(),
        }
    }
}

/// Turns a folded graph into steps.
struct Maker<'a> {
    ops: &'a Ops,
    flat: Vec<f32>,
    buffers: &'a [Vec<f32>],
    /// Which value stands for each of the graph's.
    alias: Vec<Value>,
    steps: Vec<Step>,
    weights: Vec<Vec<f32>>,
}

impl Maker<'_> {
    fn keep(&mut self, weights: Vec<f32>) -> usize {
        self.weights.push(weights);
        self.weights.len() - 1
    }

    fn keep_slot(&mut self, slot: usize) -> usize {
        let slot: &Slot = &self.ops.slots[slot];
        self.keep(self.flat[slot.start..slot.start + slot.len].to_vec())
    }

    fn take(&mut self, index: usize) {
        match &self.ops.ops[index] {
            Op::Conv(op) => self.conv(index, op),
            &Op::Affine {
                x,
                y,
                side,
                relu,
                scale,
                shift,
            } => {
                let (scale, shift) = (self.keep_slot(scale), self.keep_slot(shift));
                let (x, side) = (self.alias[x], side.map(|side| self.alias[side]));
                self.steps.push(Step::Affine {
                    x,
                    y,
                    side,
                    relu,
                    scale,
                    shift,
                });
            }
            &Op::Act { x, y, function } => {
                let x = self.alias[x];
                self.steps.push(Step::Act { x, y, function });
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
                let max = matches!(self.ops.ops[index], Op::MaxPool { .. });
                self.steps.push(Step::Pool {
                    x: self.alias[*x],
                    y: *y,
                    channels: *channels,
                    windows: *windows,
                    max,
                });
            }
            &Op::Add { a, b, y } => {
                let (a, b) = (self.alias[a], self.alias[b]);
                self.steps.push(Step::Sum { a, b, y });
            }
            Op::Image(op) => {
                let slots = op.slots.iter().map(|&slot| self.keep_slot(slot));
                let mut tensors: Vec<usize> = slots.collect();
                for &buffer in &op.buffers {
                    tensors.push(self.keep(self.buffers[buffer].clone()));
                }
                self.steps.push(Step::Image {
                    inputs: op.inputs.iter().map(|&x| self.alias[x]).collect(),
                    y: op.y,
                    kernel: op.kernel.clone(),
                    tensors,
                });
            }
            Op::Norm(_) | Op::Dropout { .. } => unreachable!("folding leaves neither"),
        }
    }

    fn conv(&mut self, index: usize, op: &ConvOp) {
        let (x, conv, mut relu) = (self.alias[op.x], &op.conv, op.relu);
        let mut after = None;
        if let Some(side) = op.side {
            let source = self.alias[side];
            // The sum may grow where the other branch lies if no one reads that later.
            let read_later = self.ops.ops[index + 1..].iter().any(|later| {
                let mut inputs = later.inputs().into_iter();
                inputs.any(|v| self.alias[v] == source && v != op.y)
            });
            if read_later || source == 0 || self.alias[self.ops.output] == source {
                after = Some((source, relu));
                relu = false;
            } else {
                self.alias[op.y] = source;
            }
        }
        let accumulate = op.side.is_some() && after.is_none();
        let y = self.alias[op.y];
        let weight = self.keep_slot(op.weight);
        let prepared = conv.has_winograd().then(|| {
            let mut prepared = vec![0.0; conv.prepared_len()];
            for unit in 0..conv.prepare_units() {
                // SAFETY: one thread, and room for all weights.
                unsafe { conv.prepare_unit(unit, &self.weights[weight], prepared.as_mut_ptr()) };
            }
            self.keep(prepared)
        });
        let bias = op.bias.map(|bias| self.keep_slot(bias));
        self.steps.push(Step::Conv {
            x,
            y,
            conv: Box::new(conv.clone()),
            weight,
            prepared,
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
    }
}

impl InferencePlan {
    /// A plan of `graph` with these weights and buffers.
    pub fn new(graph: &Graph, tensors: Tensors) -> Self {
        let input = Interleave::of(graph);
        let Folded { graph, tensors } = fold(graph, tensors);
        let ops = Ops::of(&graph);
        let mut flat = vec![0.0; ops.weights];
        for slot in &ops.slots {
            slot.pack(&tensors.parameters[slot.parameter], &mut flat);
        }
        let mut maker = Maker {
            flat,
            buffers: &tensors.buffers,
            alias: (0..ops.values.len()).collect(),
            steps: Vec::new(),
            weights: Vec::new(),
            ops: &ops,
        };
        (0..ops.ops.len()).for_each(|index| maker.take(index));
        let Maker {
            alias,
            steps,
            weights,
            ..
        } = maker;
        let output = alias[ops.output];
        Self::laid_out(&ops, input, output, steps, weights)
    }

    fn laid_out(
        graph: &Ops,
        input: Interleave,
        output: Value,
        steps: Vec<Step>,
        weights: Vec<Vec<f32>>,
    ) -> Self {
        let scratch = steps.iter().map(|step| match step {
            Step::Conv { conv, .. } => conv.forward_scratch().max(conv.prepared_scratch()),
            _ => PIECE,
        });
        let scratch = scratch.max().unwrap_or(0) + 64;
        let work = steps.iter().map(|step| match step {
            Step::Conv { conv, .. } => conv.taps() * conv.output_len(),
            _ => 0,
        });
        let work = work.sum();
        let (cut, bridge) = head(&steps).unwrap_or((steps.len(), output));
        let body = Part::new(graph, &steps, 0..cut, 0, bridge);
        let head = Part::new(graph, &steps, cut..steps.len(), bridge, output);
        Self {
            chunk: if head.steps.is_empty() {
                body.images
            } else {
                head.images
            },
            values: graph.values.clone(),
            steps,
            body,
            head,
            scratch,
            work,
            input,
            output,
            weights,
            spare: Mutex::new(Vec::new()),
        }
    }

    /// Number of logits of an image.
    pub fn classes(&self) -> usize {
        self.values[self.output]
    }

    /// Logits `[n, classes]` of `images` (`[n, c, h, w]`, in a row), on the current rayon pool.
    ///
    /// # Panics
    /// When `images` is not a whole number of images.
    pub fn logits(&self, images: &[f32]) -> Vec<f32> {
        let (len, classes) = (self.values[self.body.input], self.classes());
        assert!(
            images.len().is_multiple_of(len),
            "not a whole number of images"
        );
        let mut interleaved = Vec::new();
        let images = self.input.run(images, &mut interleaved);
        let n = images.len() / len;
        let mut logits = vec![0.0; n * classes];
        let threads = rayon::current_num_threads();
        if n == 1 && threads > 1 && self.work >= WAKING_WORK {
            self.together(images, &mut logits, threads);
            return logits;
        }
        // Enough chunks for all threads; which of them takes an image changes no bit.
        let chunk = self.chunk.min(n.div_ceil(threads)).max(1);
        let pieces = images.par_chunks(chunk * len).with_max_len(1);
        let pieces = pieces.zip(logits.par_chunks_mut(chunk * classes));
        if n <= chunk {
            // Not worth asking another thread.
            self.chunk(images, &mut logits, n >= MANY);
        } else {
            pieces.for_each(|(images, logits)| self.chunk(images, logits, n >= MANY));
        }
        logits
    }

    /// Runs `work` with memory of at least `size` floats that no one else uses meanwhile.
    fn with_memory(&self, size: usize, work: impl FnOnce(&mut [f32])) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = spare.pop().unwrap_or_default();
        drop(spare);
        if memory.len() < size {
            memory.resize(size, 0.0);
        }
        work(&mut memory[..size]);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(memory);
    }

    /// Logits of one chunk, on the calling thread; `many` says whether the whole call has [`MANY`].
    fn chunk(&self, images: &[f32], logits: &mut [f32], many: bool) {
        let n = images.len() / self.values[self.body.input];
        let few = self.body.images.min(n);
        let bridge = if self.head.steps.is_empty() {
            0
        } else {
            n * self.values[self.head.input]
        };
        let sizes = [few * self.body.floats, bridge, n * self.head.floats];
        self.with_memory(sizes.iter().sum::<usize>() + self.scratch, |memory| {
            let (body, memory) = memory.split_at_mut(sizes[0]);
            let (between, memory) = memory.split_at_mut(bridge);
            let (head, scratch) = memory.split_at_mut(sizes[2]);
            let target = if bridge == 0 {
                &mut *logits
            } else {
                &mut *between
            };
            let len = self.values[self.body.input] * few;
            let out = self.values[self.body.output] * few;
            for (images, target) in images.chunks(len).zip(target.chunks_mut(out)) {
                self.part(&self.body, images, body, target, scratch, many);
            }
            if bridge > 0 {
                self.part(&self.head, between, head, logits, scratch, many);
            }
        });
    }

    /// Runs a part on the calling thread and copies its output.
    fn part(
        &self,
        part: &Part,
        images: &[f32],
        values: &mut [f32],
        output: &mut [f32],
        scratch: &mut [f32],
        many: bool,
    ) {
        let run = Chunk {
            plan: self,
            part,
            images,
            n: images.len() / self.values[part.input],
            many,
            values: values.as_mut_ptr(),
        };
        for step in &self.steps[part.steps.clone()] {
            // SAFETY: values that live at the same time lie apart in `values`.
            unsafe { run.step(step, scratch) };
        }
        // SAFETY: as above; the last step is done.
        output.copy_from_slice(unsafe { run.read(part.output) });
    }

    /// One image by all threads, layer by layer.
    fn together(&self, image: &[f32], logits: &mut [f32], threads: usize) {
        let sizes = [self.body.floats, self.head.floats];
        let helpers = threads - 1;
        let size = sizes[0] + sizes[1] + threads * self.scratch;
        self.with_memory(size, |memory| {
            let (body, memory) = memory.split_at_mut(sizes[0]);
            let (head, scratch) = memory.split_at_mut(sizes[1]);
            let mut scratch = scratch.chunks_exact_mut(self.scratch);
            let own = scratch.next().expect("there is scratch for each thread");
            let body = Shared::new(self, &self.body, image, body);
            let bridge = self.values[self.body.output];
            let bridge = std::ptr::slice_from_raw_parts(body.at(self.body.output), bridge);
            let head = Shared::new(self, &self.head, bridge, head);
            let part = |step: usize| {
                if self.body.steps.contains(&step) {
                    &body
                } else {
                    &head
                }
            };
            let team = Team::new();
            rayon::in_place_scope(|scope| {
                for scratch in scratch.take(helpers) {
                    let (team, part) = (&team, &part);
                    scope.spawn(move |_| {
                        // SAFETY: the leader opens a step when those before it are done, and its
                        // shares write apart.
                        let mut work = |step, share| unsafe {
                            part(step).share(step, share, threads, scratch)
                        };
                        team.help(&mut work);
                    });
                }
                let over = Dismissal(&team);
                for (index, step) in self.steps.iter().enumerate() {
                    let run = part(index).chunk();
                    match shares(step, threads) {
                        1 => {
                            // SAFETY: as in `part`; no helper has work.
                            unsafe { run.step(step, own) };
                        }
                        shares => team.share(index, shares, &mut |share| {
                            // SAFETY: as the helpers'.
                            unsafe { part(index).share(index, share, threads, own) };
                        }),
                    }
                }
                drop(over);
            });
            let last = if self.head.steps.is_empty() {
                &body
            } else {
                &head
            };
            let done = last.chunk();
            // SAFETY: all steps are done.
            logits.copy_from_slice(unsafe { done.read(self.output) });
        });
    }
}

/// Dismisses the helpers however the leader ends.
struct Dismissal<'a>(&'a Team);

impl Drop for Dismissal<'_> {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

/// Into how many shares a step of one image is cut.
fn shares(step: &Step, threads: usize) -> usize {
    match step {
        Step::Conv { conv, .. } if conv.taps() * conv.output_len() >= SHARED_WORK => {
            let shares = match conv.prepared_suits_one_image() {
                true => conv.prepared_shares(),
                false => conv.shares(),
            };
            shares.min(SHARES * threads)
        }
        _ => 1,
    }
}

/// The first heavy dense layer and its input, if nothing else crosses the cut before it.
fn head(steps: &[Step]) -> Option<(usize, Value)> {
    let heavy = |step: &Step| match step {
        Step::Conv { x, conv, .. }
            if conv.windows.output_size() == 1 && conv.panels().len() >= HEAVY =>
        {
            Some(*x)
        }
        _ => None,
    };
    let (cut, bridge) = steps
        .iter()
        .enumerate()
        .find_map(|(i, s)| Some((i, heavy(s)?)))?;
    let written: Vec<Value> = steps[cut..].iter().map(Step::target).collect();
    let own = |value: Value| value == bridge || written.contains(&value);
    let alone = steps[cut..].iter().flat_map(Step::values).all(own);
    // In-place steps would change the bridge itself.
    (alone && cut > 0 && !written.contains(&bridge)).then_some((cut, bridge))
}

impl Part {
    fn new(graph: &Ops, steps: &[Step], range: Range<usize>, input: Value, output: Value) -> Self {
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
        for at in range.clone() {
            for value in steps[at].values() {
                let (first, _) = spans[value].unwrap_or((at, at));
                spans[value] = Some((first, at));
            }
        }
        if let Some((_, last)) = &mut spans[output] {
            *last = range.end;
        }
        let (mut blocks, mut owners) = (Vec::new(), Vec::new());
        for (value, span) in spans.iter().enumerate() {
            if let Some((first, last)) = *span
                && value != input
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
        let rows = steps[range.clone()].iter().filter_map(|step| match step {
            Step::Conv { conv, .. } if conv.panels().len() > 1 << 13 => {
                let rows = 28usize.div_ceil(conv.windows.output_size());
                Some(rows.max(conv.prepared_images()))
            }
            _ => None,
        });
        let wanted = rows.max().unwrap_or(1).min(CHUNK_IMAGES);
        Self {
            images: (CHUNK_FLOATS / floats.max(1)).clamp(wanted, CHUNK_IMAGES),
            steps: range,
            input,
            output,
            starts,
            floats,
        }
    }
}

/// A part of a plan at work on one image, for several threads.
struct Shared<'a> {
    plan: &'a InferencePlan,
    part: &'a Part,
    /// Another part's output is a part's input, and written meanwhile: no slice before it is read.
    image: *const [f32],
    values: *mut f32,
}

// SAFETY: threads write disjoint shares of a step, and read what earlier steps wrote.
unsafe impl Sync for Shared<'_> {}
// SAFETY: as above.
unsafe impl Send for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(
        plan: &'a InferencePlan,
        part: &'a Part,
        image: *const [f32],
        values: &'a mut [f32],
    ) -> Self {
        let values = values.as_mut_ptr();
        Self {
            plan,
            part,
            image,
            values,
        }
    }

    fn chunk(&self) -> Chunk<'a> {
        Chunk {
            plan: self.plan,
            part: self.part,
            images: self.image,
            n: 1,
            many: false,
            values: self.values,
        }
    }

    /// Where a value of the one image lies.
    fn at(&self, value: Value) -> *mut f32 {
        self.chunk().at(value)
    }

    /// One of a step's [`shares`].
    ///
    /// # Safety
    /// The steps before it are done, and no one else does this share.
    unsafe fn share(&self, step: usize, share: usize, threads: usize, scratch: &mut [f32]) {
        let step = &self.plan.steps[step];
        let Step::Conv {
            x,
            y,
            conv,
            weight,
            prepared,
            bias,
            accumulate,
            relu,
        } = step
        else {
            unreachable!("only convolutions have several shares")
        };
        let prepared = prepared.filter(|_| conv.prepared_suits_one_image());
        let all = match prepared {
            Some(_) => conv.prepared_shares(),
            None => conv.shares(),
        };
        let parts = shares(step, threads);
        let range = all * share / parts..all * (share + 1) / parts;
        let weights = &self.plan.weights;
        let finish = Finish {
            bias: bias.map(|bias| weights[bias].as_slice()),
            accumulate: *accumulate,
            relu: *relu,
        };
        let run = self.chunk();
        // SAFETY: `x` is an earlier step's and lies apart from `y`, of which this share is the caller's alone.
        unsafe {
            let (x, y) = (run.read(*x), run.at(*y));
            match prepared {
                Some(w) => conv.forward_prepared_share(x, &weights[w], finish, y, scratch, range),
                None => conv.forward_share(x, &weights[*weight], finish, y, scratch, range),
            }
        }
    }
}

struct Chunk<'a> {
    plan: &'a InferencePlan,
    part: &'a Part,
    images: *const [f32],
    n: usize,
    many: bool,
    values: *mut f32,
}

impl Chunk<'_> {
    fn at(&self, value: Value) -> *mut f32 {
        // SAFETY: the layout has room for every value.
        unsafe { self.values.add(self.part.starts[value] * self.n) }
    }

    /// # Safety
    /// It was written, and nobody writes it while the slice lives.
    unsafe fn read(&self, value: Value) -> &[f32] {
        if value == self.part.input {
            // SAFETY: the images outlive the work on them, and are not written now.
            return unsafe { &*self.images };
        }
        // SAFETY: as `at`; no one writes it while it is read.
        unsafe { std::slice::from_raw_parts(self.at(value), self.plan.values[value] * self.n) }
    }

    /// # Safety
    /// Nobody else touches the value while the slice lives.
    #[allow(clippy::mut_from_ref)] // one thread, and values that lie apart
    unsafe fn write(&self, value: Value) -> &mut [f32] {
        // SAFETY: as `at`; the caller alone has it.
        unsafe { std::slice::from_raw_parts_mut(self.at(value), self.plan.values[value] * self.n) }
    }

    /// # Safety
    /// The steps before it are done, no other thread works on these values, and what the step reads and writes lies
    /// apart, but for steps that may work in place.
    unsafe fn step(&self, step: &Step, scratch: &mut [f32]) {
        let weights = &self.plan.weights;
        // SAFETY: inputs were written and lie apart from the output, or the step reads them by pointer before it
        // writes; no other thread has any of them.
        unsafe {
            match *step {
                Step::Conv {
                    x,
                    y,
                    ref conv,
                    weight,
                    prepared,
                    bias,
                    accumulate,
                    relu,
                } => {
                    let finish = Finish {
                        bias: bias.map(|bias| weights[bias].as_slice()),
                        accumulate,
                        relu,
                    };
                    let (x, y, n) = (self.read(x), self.at(y), self.n);
                    match prepared.filter(|_| self.many || conv.prepared_suits_one_image()) {
                        Some(prepared) => {
                            conv.forward_prepared(x, &weights[prepared], finish, y, n, scratch);
                        }
                        None => {
                            let all = 0..conv.units();
                            conv.forward_units(x, &weights[weight], finish, y, n, scratch, all);
                        }
                    }
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
                Step::Image {
                    ref inputs,
                    y,
                    ref kernel,
                    ref tensors,
                } => {
                    let tensors: Vec<&[f32]> =
                        tensors.iter().map(|&t| weights[t].as_slice()).collect();
                    let all: Vec<&[f32]> = inputs.iter().map(|&x| self.read(x)).collect();
                    let to = self.plan.values[y];
                    for (image, y) in self.write(y).chunks_exact_mut(to).enumerate() {
                        let parts = all.iter().map(|all| {
                            let len = all.len() / self.n;
                            &all[image * len..][..len]
                        });
                        kernel.forward(&parts.collect::<Vec<_>>(), &tensors, y);
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
}
