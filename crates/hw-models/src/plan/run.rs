//! One training step over a batch.

use super::memory::{Block, place};
use super::ops::{ConvOp, ImageStep, NormOp, Op, Ops, Slot, Value};
use super::program::{Back, Phase, Program, Step, Task, lanes};
use crate::graph::Gradients;
use crate::loss::{self, LossFunction, StepResult};
use hw_core::Rng;
use hw_kernels::Activation;
use hw_kernels::cpu::{activation, dropout};
use hw_kernels::nhwc::{Finish, norm, pool};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Floats that a chunk of images may touch in one phase: they should stay in the second-level cache.
const CHUNK_FLOATS: usize = 192 << 10;
/// Rows of a product that make reading its weights worth while.
const ROWS: usize = 112;
/// Weights of fewer floats are read again without harm.
const SMALL_WEIGHTS: usize = 8 << 10;
/// Tasks into which a weight gradient is cut.
const TASKS: usize = 16;
/// Floats that a kernel may read beyond the last value.
const SLACK: usize = 64;
/// Elements of an elementwise step at a time.
pub(super) const PIECE: usize = 4096;

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the input given by the caller.
    Input,
    /// For all images of the batch.
    Batch(usize),
    /// For the images of a chunk, in the worker's own memory, this many floats an image from its
    /// start.
    Local(usize),
    /// Nowhere: no step touches it.
    Nowhere,
}

/// How one phase's chunks are made.
#[derive(Clone, Copy, Debug, Default)]
struct Chunking {
    /// Most images of a chunk.
    images: usize,
    /// Floats an image of values that only this phase knows.
    local: usize,
}

/// State of one batch normalisation during a step.
#[derive(Debug)]
struct Norm {
    /// Moments by lane, and sums of gradients and of their products by lane; each lane is one
    /// thread's.
    moments: Vec<Mutex<norm::Moments>>,
    sums: Vec<Mutex<[Vec<f32>; 2]>>,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    factors: [Vec<f32>; 3],
    count: usize,
}

/// Memory and instructions for training steps of one network with batches of up to a fixed size.
pub(super) struct Engine {
    pub(super) graph: Ops,
    pub(super) program: Program,
    batch: usize,
    places: Vec<Place>,
    chunks: Vec<Chunking>,
    /// Floats of a worker's memory: local values, then a kernel's scratch.
    scratch: usize,
    arena: Vec<f32>,
    winners: Vec<Vec<u8>>,
    norms: Vec<Norm>,
    transposed: Vec<f32>,
    lane_sums: Vec<f32>,
    workers: Vec<Mutex<Vec<f32>>>,
}

/// A pointer that threads share; each writes its own part.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);
// SAFETY: who dereferences it says why no two threads touch the same element.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// A part of it.
    ///
    /// # Safety
    /// It exists, and no other thread uses it at the same time.
    unsafe fn range<'a>(self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the part exists and is this thread's, as the caller promised.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

impl Engine {
    pub(super) fn new(graph: Ops, program: Program, batch: usize) -> Self {
        let (places, chunks, arena) = lay_out(&graph, &program, batch);
        let local = chunks.iter().map(|c| c.images * c.local).max().unwrap_or(0);
        let kernel = kernel_scratch(&graph, &program);
        let norm = |&channels: &usize| {
            let zeros = || vec![0.0; channels];
            Norm {
                moments: (0..lanes(batch))
                    .map(|_| Mutex::new(norm::Moments::new(channels)))
                    .collect(),
                sums: (0..lanes(batch))
                    .map(|_| Mutex::new([zeros(), zeros()]))
                    .collect(),
                mean: zeros(),
                inverse: zeros(),
                scale: zeros(),
                shift: zeros(),
                factors: [zeros(), zeros(), zeros()],
                count: 0,
            }
        };
        Self {
            places,
            chunks,
            scratch: local + SLACK + kernel,
            arena: vec![0.0; arena + SLACK],
            winners: program
                .winners
                .iter()
                .map(|len| vec![0; len * batch])
                .collect(),
            norms: program.norms.iter().map(norm).collect(),
            transposed: vec![0.0; program.transposed],
            lane_sums: vec![0.0; lanes(batch) * program.lane_len],
            workers: Vec::new(),
            graph,
            program,
            batch,
        }
    }

    /// Bytes of memory the plan holds, weights not included.
    pub(super) fn bytes(&self) -> usize {
        let floats = self.arena.len() + self.transposed.len() + self.lane_sums.len();
        let workers = self.workers.len() * self.scratch;
        4 * (floats + workers) + self.winners.iter().map(Vec::len).sum::<usize>()
    }

    /// Runs one step: `gradients` is overwritten, the moving statistics in `buffers` move on.
    ///
    /// # Panics
    /// When the images are more than the plan was made for, or their floats are too few.
    pub(super) fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
        weights: &[f32],
        buffers: &mut [Vec<f32>],
        gradients: &mut [f32],
    ) -> StepResult {
        let n = labels.len();
        assert!(n > 0 && n <= self.batch && images.len() >= n * self.graph.values[0]);
        let threads = rayon::current_num_threads();
        while self.workers.len() < threads + 1 {
            self.workers.push(Mutex::new(vec![0.0; self.scratch]));
        }
        let results = Mutex::new(vec![(0.0f64, 0u64); lanes(n)]);
        for norm in &mut self.norms {
            norm.count = 0;
        }
        for index in 0..self.program.phases.len() {
            match &self.program.phases[index] {
                Phase::NormStatistics { op, norm } => {
                    let (op, norm) = (Arc::clone(op), *norm);
                    self.norm_statistics(&op, norm, n, weights, buffers);
                    continue;
                }
                Phase::NormFactors { op, norm } => {
                    let (op, norm) = (Arc::clone(op), *norm);
                    self.norm_factors(&op, norm, n, weights, gradients);
                    continue;
                }
                Phase::Lanes(_) | Phase::Tasks(_) | Phase::Transpose => {}
            }
            let run = Run {
                graph: &self.graph,
                program: &self.program,
                places: &self.places,
                chunking: self.chunks[index],
                n,
                images,
                labels,
                dropout_seed,
                loss,
                weights,
                buffers,
                gradients: Shared(gradients.as_mut_ptr()),
                arena: Shared(self.arena.as_mut_ptr()),
                winners: self
                    .winners
                    .iter_mut()
                    .map(|w| Shared(w.as_mut_ptr()))
                    .collect(),
                norms: &self.norms,
                transposed: Shared(self.transposed.as_mut_ptr()),
                transposed_len: self.transposed.len(),
                lane_sums: Shared(self.lane_sums.as_mut_ptr()),
                workers: &self.workers,
                results: &results,
            };
            match &self.program.phases[index] {
                Phase::Lanes(steps) => run.lanes(steps),
                Phase::Tasks(task) => run.tasks(task),
                Phase::Transpose => run.transpose(),
                Phase::NormStatistics { .. } | Phase::NormFactors { .. } => {
                    unreachable!("one thread has done them above")
                }
            }
        }
        self.add_lanes(n, gradients);
        for slot in &self.graph.slots {
            slot.mask(gradients);
        }
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let total: f64 = results.iter().map(|(loss, _)| loss).sum();
        StepResult {
            loss: (total / n as f64) as f32,
            correct: results.iter().map(|(_, correct)| correct).sum(),
        }
    }

    /// The gradient of the last step's images, channels last, where the program is for it.
    pub(super) fn image_gradient(&self, n: usize) -> Option<&[f32]> {
        match self.places[self.program.image_gradient?] {
            Place::Batch(start) => Some(&self.arena[start..][..n * self.graph.values[0]]),
            _ => None,
        }
    }

    fn norm_statistics(
        &mut self,
        op: &NormOp,
        norm: usize,
        n: usize,
        weights: &[f32],
        buffers: &mut [Vec<f32>],
    ) {
        let (gamma, beta) = (
            part(weights, &self.graph.slots[op.scale]),
            part(weights, &self.graph.slots[op.shift]),
        );
        let state = &mut self.norms[norm];
        let mut moments = norm::Moments::new(state.mean.len());
        for lane in &mut state.moments[..lanes(n)] {
            moments.add(lane.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
        state.count = moments.count;
        for c in 0..moments.mean.len() {
            let (mean, variance) = (moments.mean[c], moments.spread[c] / moments.count as f32);
            let inverse = 1.0 / (variance + op.eps).sqrt();
            state.mean[c] = mean;
            state.inverse[c] = inverse;
            state.scale[c] = gamma[c] * inverse;
            state.shift[c] = beta[c] - mean * state.scale[c];
            for (buffer, new) in buffers[op.moving..].iter_mut().zip([mean, variance]) {
                buffer[c] += op.momentum * (new - buffer[c]);
            }
        }
    }

    fn norm_factors(
        &mut self,
        op: &NormOp,
        norm: usize,
        n: usize,
        weights: &[f32],
        gradients: &mut [f32],
    ) {
        let (gamma, beta) = (op.scale, op.shift);
        let slots = &self.graph.slots;
        let state = &mut self.norms[norm];
        let zeros = || vec![0.0; state.mean.len()];
        let (mut gradient, mut product) = (zeros(), zeros());
        for lane in &mut state.sums[..lanes(n)] {
            let [g, p] = lane.get_mut().unwrap_or_else(PoisonError::into_inner);
            norm::add(g, &mut gradient);
            norm::add(p, &mut product);
        }
        let share = 1.0 / state.count as f32;
        for c in 0..gradient.len() {
            let inverse = state.inverse[c];
            gradients[slots[beta].start + c] = gradient[c];
            gradients[slots[gamma].start + c] = product[c] * inverse;
            let a = weights[slots[gamma].start + c] * inverse;
            state.factors[0][c] = a;
            state.factors[1][c] = -a * inverse * inverse * product[c] * share;
            state.factors[2][c] = -a * gradient[c] * share;
        }
    }

    /// Adds up what the lanes summed, lane after lane.
    fn add_lanes(&self, n: usize, gradients: &mut [f32]) {
        let len = self.program.lane_len;
        let pieces: Vec<(usize, usize, Range<usize>)> = (0..self.graph.slots.len())
            .filter_map(|slot| Some((slot, self.program.lane_slots[slot]?)))
            .flat_map(|(slot, from)| {
                let slot = &self.graph.slots[slot];
                let starts = (0..slot.len).step_by(PIECE);
                starts.map(move |at| (slot.start, from, at..(at + PIECE).min(slot.len)))
            })
            .collect();
        let target = Shared(gradients.as_mut_ptr());
        let work = |(start, from, range): &(usize, usize, Range<usize>)| {
            // SAFETY: the pieces of all slots are disjoint parts of the gradients.
            let to = unsafe { target.range(start + range.start, range.len()) };
            for lane in 0..lanes(n) {
                let from = &self.lane_sums[lane * len + from..][range.clone()];
                if lane == 0 {
                    to.copy_from_slice(from);
                } else {
                    norm::add(from, to);
                }
            }
        };
        if pieces.len() < 8 {
            pieces.iter().for_each(work);
        } else {
            pieces.par_iter().for_each(work);
        }
    }
}

fn part<'a>(weights: &'a [f32], slot: &Slot) -> &'a [f32] {
    &weights[slot.start..slot.start + slot.len]
}

/// Places all values and cuts all phases into chunks.
fn lay_out(graph: &Ops, program: &Program, batch: usize) -> (Vec<Place>, Vec<Chunking>, usize) {
    // First and last phase of each value, and whether all of them are one phase of lanes.
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
    let touch = |lives: &mut Vec<Option<(usize, usize)>>, value: Value, phase| {
        let (first, _) = lives[value].unwrap_or((phase, phase));
        lives[value] = Some((first, phase));
    };
    let mut in_tasks = vec![false; graph.values.len()];
    for (index, phase) in program.phases.iter().enumerate() {
        match phase {
            Phase::Lanes(steps) => {
                for value in steps.iter().flat_map(|step| step.values()) {
                    touch(&mut lives, value, index);
                }
            }
            Phase::Tasks(task) => {
                for value in task.values() {
                    touch(&mut lives, value, index);
                    in_tasks[value] = true;
                }
            }
            Phase::Transpose | Phase::NormStatistics { .. } | Phase::NormFactors { .. } => {}
        }
    }
    if let Some(value) = program.image_gradient {
        // It is read when all phases are over.
        touch(&mut lives, value, program.phases.len());
    }
    let mut places = vec![Place::Nowhere; graph.values.len()];
    let (mut blocks, mut owners) = (Vec::new(), Vec::new());
    for (value, life) in lives.iter().enumerate().skip(1) {
        if let Some((first, last)) = *life
            && (first != last || in_tasks[value])
        {
            let len = (graph.values[value] * batch).next_multiple_of(16);
            blocks.push(Block { first, last, len });
            owners.push(value);
        }
    }
    let (starts, arena) = place(&blocks);
    for (value, start) in owners.into_iter().zip(starts) {
        places[value] = Place::Batch(start);
    }
    places[0] = Place::Input;
    let phases = program.phases.iter();
    let chunks = phases
        .map(|phase| match phase {
            Phase::Lanes(steps) => chunk(graph, steps, &mut places, batch),
            _ => Chunking::default(),
        })
        .collect();
    (places, chunks, arena)
}

/// Places what only this phase knows, and says how many images go through it at a time.
fn chunk(graph: &Ops, steps: &[Step], places: &mut [Place], batch: usize) -> Chunking {
    let mut spans: Vec<(Value, usize, usize)> = Vec::new();
    let mut touched = 0;
    for (at, step) in steps.iter().enumerate() {
        for value in step.values() {
            match spans.iter_mut().find(|(known, ..)| *known == value) {
                Some((_, _, last)) => *last = at,
                None => {
                    spans.push((value, at, at));
                    touched += graph.values[value];
                }
            }
        }
    }
    spans.retain(|(value, ..)| matches!(places[*value], Place::Nowhere));
    let block = |&(value, first, last): &(Value, usize, usize)| Block {
        first,
        last,
        len: graph.values[value].next_multiple_of(16),
    };
    let blocks: Vec<Block> = spans.iter().map(block).collect();
    let (starts, local) = place(&blocks);
    for ((value, ..), start) in spans.iter().zip(starts) {
        places[*value] = Place::Local(start);
    }
    let rows = steps.iter().filter_map(|step| {
        let Step::Task(Task::Conv { op, .. }) = step else {
            return None;
        };
        let conv = &op.conv;
        let large = conv.panels().len() > SMALL_WEIGHTS;
        let rows = ROWS.div_ceil(conv.windows.output_size());
        large.then(|| rows.max(conv.prepared_images()))
    });
    let wanted = rows.max().unwrap_or(1);
    let fits = CHUNK_FLOATS / touched.max(1);
    let most = batch.div_ceil(lanes(batch));
    Chunking {
        images: fits.max(wanted).clamp(1, most),
        local,
    }
}

fn kernel_scratch(graph: &Ops, program: &Program) -> usize {
    let convs = graph.ops.iter().map(|op| match op {
        Op::Conv(op) => {
            let forward = op.conv.forward_scratch().max(op.conv.prepared_scratch());
            forward.max(op.conv.weight_scratch())
        }
        _ => 0,
    });
    let backs = program.backs.iter().map(|back| back.gradient.scratch());
    convs.chain(backs).chain([PIECE]).max().unwrap_or(0)
}

/// One phase of one step, as all threads see it.
struct Run<'a> {
    graph: &'a Ops,
    program: &'a Program,
    places: &'a [Place],
    chunking: Chunking,
    n: usize,
    images: &'a [f32],
    labels: &'a [u32],
    dropout_seed: u64,
    loss: &'a dyn LossFunction,
    weights: &'a [f32],
    buffers: &'a [Vec<f32>],
    gradients: Shared<f32>,
    arena: Shared<f32>,
    winners: Vec<Shared<u8>>,
    norms: &'a [Norm],
    transposed: Shared<f32>,
    transposed_len: usize,
    lane_sums: Shared<f32>,
    workers: &'a [Mutex<Vec<f32>>],
    results: &'a Mutex<Vec<(f64, u64)>>,
}

/// The images a step works on, and memory of the thread that does.
struct Chunk<'a> {
    lane: usize,
    images: Range<usize>,
    /// Whether these are the lane's first images.
    first: bool,
    local: *mut f32,
    scratch: &'a mut [f32],
}

impl Run<'_> {
    /// This thread's memory, for `work`.
    fn with_worker<T>(&self, work: impl FnOnce(*mut f32, &mut [f32]) -> T) -> T {
        let index = rayon::current_thread_index().map_or(0, |i| i + 1);
        let mut memory = self.workers[index % self.workers.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let local = self.chunking.images * self.chunking.local + SLACK;
        let (local, scratch) = memory.split_at_mut(local);
        work(local.as_mut_ptr(), scratch)
    }

    fn each(&self, count: usize, work: impl Fn(usize) + Sync + Send) {
        if count == 1 || rayon::current_num_threads() == 1 {
            (0..count).for_each(work);
        } else {
            (0..count).into_par_iter().with_max_len(1).for_each(work);
        }
    }

    fn lanes(&self, steps: &[Step]) {
        let count = lanes(self.n);
        self.each(count, |lane| {
            let images = self.n * lane / count..self.n * (lane + 1) / count;
            self.with_worker(|local, scratch| {
                for first in images.clone().step_by(self.chunking.images) {
                    let mut chunk = Chunk {
                        lane,
                        images: first..(first + self.chunking.images).min(images.end),
                        first: first == images.start,
                        local,
                        scratch,
                    };
                    for step in steps {
                        // SAFETY: this thread alone works on these images and on this lane's sums.
                        unsafe { self.step(step, &mut chunk) };
                    }
                }
            });
        });
    }

    /// All images, cut into tasks.
    fn tasks(&self, task: &Task) {
        // SAFETY: each task writes its own outputs, panels or blocks.
        unsafe {
            match *task {
                Task::Conv { ref op, prepared } => {
                    let units = match prepared {
                        Some(_) => 1,
                        None => op.conv.units(),
                    };
                    self.grid(units, op.conv.windows.output_size(), |chunk, units| {
                        self.conv(op, prepared, chunk, units);
                    });
                }
                Task::WeightGradient { ref op, dy } => {
                    let blocks = op.conv.weight_blocks();
                    let tasks = TASKS.min(blocks);
                    self.each(tasks, |task| {
                        let range = blocks * task / tasks..blocks * (task + 1) / tasks;
                        self.with_worker(|_, scratch| {
                            self.weight_gradient(op, dy, &mut self.whole(scratch), Some(range));
                        });
                    });
                }
                Task::InputGradient {
                    back,
                    dy,
                    dx,
                    accumulate,
                } => {
                    let gradient = &self.program.backs[back].gradient;
                    self.grid(gradient.units(), gradient.pixels(), |chunk, units| {
                        self.input_gradient(back, dy, dx, accumulate, chunk, units);
                    });
                }
            }
        }
    }

    /// Runs `work` for parts of the batch times parts of `units`: few enough parts of the batch that
    /// each reads the weights for a good number of rows, and few enough parts of the units that what
    /// is gathered for each is small beside the products.
    fn grid(
        &self,
        units: usize,
        pixels: usize,
        work: impl Fn(&mut Chunk<'_>, Range<usize>) + Sync + Send,
    ) {
        let parts = (self.n * pixels / 28).clamp(1, 4).min(self.n);
        let columns = units.min(4);
        self.each(parts * columns, |index| {
            let (part, column) = (index % parts, index / parts);
            let units = units * column / columns..units * (column + 1) / columns;
            self.with_worker(|_, scratch| {
                let mut chunk = self.whole(scratch);
                chunk.images = self.n * part / parts..self.n * (part + 1) / parts;
                work(&mut chunk, units);
            });
        });
    }

    /// The whole batch as one chunk.
    fn whole<'s>(&self, scratch: &'s mut [f32]) -> Chunk<'s> {
        Chunk {
            lane: 0,
            images: 0..self.n,
            first: true,
            local: std::ptr::null_mut(),
            scratch,
        }
    }

    fn transpose(&self) {
        let backs = self.program.backs.iter().flat_map(|back| {
            let units = back.gradient.transpose_units();
            (0..units).map(move |unit| (&back.op, unit, Some(back), back.start))
        });
        let fronts = self.program.prepared.iter().flat_map(|(op, start)| {
            let units = op.conv.prepare_units();
            (0..units).map(move |unit| (op, unit, None, *start))
        });
        let run = |&(op, unit, back, start): &(&Arc<ConvOp>, usize, Option<&Back>, usize)| {
            let from = part(self.weights, &self.graph.slots[op.weight]);
            // SAFETY: every unit of every convolution writes its own part.
            unsafe {
                let to = self.transposed.range(start, 0).as_mut_ptr();
                match back {
                    Some(back) => back.gradient.transpose_unit(unit, from, to),
                    None => op.conv.prepare_unit(unit, from, to),
                }
            }
        };
        let units: Vec<_> = backs.chain(fronts).collect();
        units.par_iter().with_min_len(4).for_each(run);
    }

    /// Where the chunk's images of a value start.
    ///
    /// # Safety
    /// The images are of this batch, no more than a chunk of this phase has, and the chunk's local memory is what
    /// [`Self::with_worker`] gave.
    unsafe fn at(&self, value: Value, chunk: &Chunk<'_>) -> *mut f32 {
        let len = self.graph.values[value];
        // SAFETY: the layout has room for the whole batch, or for a chunk, and the images are of either.
        unsafe {
            match self.places[value] {
                Place::Input => self
                    .images
                    .as_ptr()
                    .add(chunk.images.start * len)
                    .cast_mut(),
                Place::Batch(start) => self.arena.0.add(start + chunk.images.start * len),
                Place::Local(start) => chunk.local.add(start * self.chunking.images),
                Place::Nowhere => unreachable!("a value that no step touches"),
            }
        }
    }

    /// # Safety
    /// As [`Self::at`], and nobody writes these images of the value while the slice lives.
    unsafe fn read(&self, value: Value, chunk: &Chunk<'_>) -> &[f32] {
        let len = self.graph.values[value] * chunk.images.len();
        // SAFETY: as `at`; no one writes it while it is read.
        unsafe { std::slice::from_raw_parts(self.at(value, chunk), len) }
    }

    /// # Safety
    /// As [`Self::at`], and nobody else touches these images of the value while the slice lives.
    #[allow(clippy::mut_from_ref)] // the caller vouches that it is the only one
    unsafe fn write(&self, value: Value, chunk: &Chunk<'_>) -> &mut [f32] {
        let len = self.graph.values[value] * chunk.images.len();
        // SAFETY: as `at`; the caller alone has these images of the value.
        unsafe { std::slice::from_raw_parts_mut(self.at(value, chunk), len) }
    }

    /// # Safety
    /// As [`Self::write`].
    #[allow(clippy::mut_from_ref)] // as above
    unsafe fn winners(&self, index: usize, chunk: &Chunk<'_>) -> &mut [u8] {
        let len = self.program.winners[index];
        // SAFETY: there is room for the batch, and the caller alone has these images of the winners.
        unsafe {
            let start = self.winners[index].0.add(chunk.images.start * len);
            std::slice::from_raw_parts_mut(start, chunk.images.len() * len)
        }
    }

    /// A lane's own sum of a slot's gradients.
    ///
    /// # Safety
    /// The lane is one of this step's, and nobody else works on it.
    #[allow(clippy::mut_from_ref)] // as above
    unsafe fn lane_sum(&self, slot: usize, lane: usize) -> &mut [f32] {
        let from =
            self.program.lane_slots[slot].expect("the compiler gave it a place in the lanes");
        let len = self.graph.slots[slot].len;
        // SAFETY: every lane has its own sums, each slot's apart, and the lane is the caller's.
        unsafe {
            let start = self.lane_sums.0.add(lane * self.program.lane_len + from);
            std::slice::from_raw_parts_mut(start, len)
        }
    }

    /// Transposed or prepared weights from `start` on.
    ///
    /// # Safety
    /// The phase that runs [`Self::transpose`] is over.
    unsafe fn turned(&self, start: usize) -> &[f32] {
        // SAFETY: `start` is a place within them, and nobody writes them after that phase.
        unsafe {
            std::slice::from_raw_parts(self.transposed.0.add(start), self.transposed_len - start)
        }
    }

    /// # Safety
    /// As [`Self::step`], but that other threads may work on other units of the same images.
    unsafe fn conv(
        &self,
        op: &ConvOp,
        prepared: Option<usize>,
        chunk: &mut Chunk<'_>,
        units: Range<usize>,
    ) {
        let (slots, conv) = (&self.graph.slots, &op.conv);
        let finish = Finish {
            bias: op.bias.map(|bias| part(self.weights, &slots[bias])),
            relu: op.relu,
            accumulate: false,
        };
        let w = part(self.weights, &slots[op.weight]);
        let images = chunk.images.len();
        // SAFETY: `x` was written by an earlier step and lies apart from `y`, whose units are this thread's; the
        // weights were prepared in an earlier phase.
        unsafe {
            let (x, y) = (self.read(op.x, chunk), self.at(op.y, chunk));
            match prepared {
                Some(start) => {
                    let prepared = self.turned(start);
                    conv.forward_prepared(x, prepared, finish, y, images, chunk.scratch);
                }
                None => conv.forward_units(x, w, finish, y, images, chunk.scratch, units),
            }
        }
    }

    /// # Safety
    /// As [`Self::step`]; with `blocks`, only they must be this thread's.
    unsafe fn weight_gradient(
        &self,
        op: &ConvOp,
        dy: Value,
        chunk: &mut Chunk<'_>,
        blocks: Option<Range<usize>>,
    ) {
        let conv = &op.conv;
        let images = chunk.images.len();
        // SAFETY: earlier steps wrote `x` and `dy`; what is written is the lane's own sum, or this thread's blocks of
        // the slot in the gradients.
        unsafe {
            let (x, dy) = (self.read(op.x, chunk), self.read(dy, chunk));
            let (to, add, blocks) = match blocks {
                Some(blocks) => {
                    let start = self.graph.slots[op.weight].start;
                    (self.gradients.0.add(start), false, blocks)
                }
                None => {
                    let sums = self.lane_sum(op.weight, chunk.lane);
                    (sums.as_mut_ptr(), !chunk.first, 0..conv.weight_blocks())
                }
            };
            conv.weight_gradient(x, dy, to, add, images, chunk.scratch, blocks);
        }
    }

    /// # Safety
    /// As [`Self::conv`].
    unsafe fn input_gradient(
        &self,
        back: usize,
        dy: Value,
        dx: Value,
        accumulate: bool,
        chunk: &mut Chunk<'_>,
        units: Range<usize>,
    ) {
        let back = &self.program.backs[back];
        let images = chunk.images.len();
        // SAFETY: `dy` was written by an earlier step and lies apart from `dx`, whose units are this thread's; the
        // weights were transposed in an earlier phase.
        unsafe {
            let turned = self.turned(back.start);
            let dy = self.read(dy, chunk);
            let dx = self.at(dx, chunk);
            back.gradient
                .run_units(dy, turned, accumulate, dx, images, chunk.scratch, units);
        }
    }

    /// One step for one chunk.
    ///
    /// # Safety
    /// No other thread works on the chunk's images or on its lane, the steps before it are done for them, and the
    /// chunk is one of this phase ([`Self::at`]).
    unsafe fn step(&self, step: &Step, chunk: &mut Chunk<'_>) {
        // SAFETY: images and lane are this thread's alone, so nobody else touches what is read or written here; a
        // step's inputs and outputs lie apart unless it is written for one that is both.
        unsafe {
            match *step {
                Step::Task(ref task) => self.task_of_lane(task, chunk),
                Step::NormMoments { norm, x } => {
                    let lane = &self.norms[norm].moments[chunk.lane];
                    let mut moments = lane.lock().unwrap_or_else(PoisonError::into_inner);
                    if chunk.first {
                        moments.clear();
                    }
                    moments.add_rows(self.read(x, chunk));
                }
                Step::NormApply { ref op, norm } => self.norm_apply(op, norm, chunk),
                Step::Act { x, y, function } => {
                    let (x, y) = (self.read(x, chunk), self.write(y, chunk));
                    for (x, y) in x.chunks(PIECE).zip(y.chunks_mut(PIECE)) {
                        activation::forward(function, x, y);
                    }
                }
                Step::MaxPool {
                    x,
                    y,
                    channels,
                    ref windows,
                    winners,
                } => {
                    let (from, to) = (self.graph.values[x], self.graph.values[y]);
                    let (x, y) = (self.read(x, chunk), self.write(y, chunk));
                    let winners = self.winners(winners, chunk).chunks_exact_mut(to);
                    let images = x.chunks_exact(from).zip(y.chunks_exact_mut(to));
                    for ((x, y), winners) in images.zip(winners) {
                        pool::max_forward(windows, channels, x, y, winners);
                    }
                }
                Step::MeanPool {
                    x,
                    y,
                    channels,
                    ref windows,
                } => {
                    let (from, to) = (self.graph.values[x], self.graph.values[y]);
                    let (x, y) = (self.read(x, chunk), self.write(y, chunk));
                    for (x, y) in x.chunks_exact(from).zip(y.chunks_exact_mut(to)) {
                        pool::mean_forward(windows, channels, x, y);
                    }
                }
                Step::Sum { a, b, y } => {
                    norm::sum(
                        self.read(a, chunk),
                        self.read(b, chunk),
                        self.write(y, chunk),
                    );
                }
                Step::Dropout {
                    x,
                    y,
                    rate,
                    ref stream,
                } => {
                    let first = (chunk.images.start * self.graph.values[x]) as u64;
                    let seed = self.stream(stream);
                    let (x, y) = (self.read(x, chunk), self.write(y, chunk));
                    dropout::scale(x, y, first, seed, rate);
                }
                Step::Loss { logits, gradient } => self.loss(logits, gradient, chunk),
                Step::Image { ref op } => self.image(op, chunk),
                Step::ImageGradient { ref op, dy, ref dx } => {
                    self.image_gradient(op, dy, dx, chunk)
                }
                Step::BiasGradient { slot, dy } => {
                    let sums = self.lane_sum(slot, chunk.lane);
                    if chunk.first {
                        sums.fill(0.0);
                    }
                    norm::add_rows(self.read(dy, chunk), sums);
                }
                Step::NormSums { ref op, norm, g } => self.norm_sums(op, norm, g, chunk),
                Step::NormGradient {
                    ref op,
                    norm,
                    g,
                    dx,
                    accumulate,
                } => {
                    let state = &self.norms[norm];
                    let [gradient, distance, shift] = &state.factors;
                    let factors = norm::Factors {
                        mean: &state.mean,
                        gradient,
                        distance,
                        shift,
                    };
                    let x = self.read(op.x, chunk);
                    if g == dx {
                        norm::backward_in_place(x, self.write(g, chunk), &factors);
                    } else {
                        let (g, dx) = (self.read(g, chunk), self.write(dx, chunk));
                        norm::backward(x, g, &factors, accumulate, dx);
                    }
                }
                Step::ActGradient {
                    x,
                    y,
                    function,
                    dy,
                    dx,
                } => self.act_gradient(function, [x, y, dy, dx], chunk),
                Step::MaxPoolGradient {
                    channels,
                    ref windows,
                    winners,
                    dy,
                    dx,
                } => {
                    let (from, to) = (self.graph.values[dy], self.graph.values[dx]);
                    let (dy, dx) = (self.read(dy, chunk), self.write(dx, chunk));
                    let winners = self.winners(winners, chunk).chunks_exact(from);
                    let images = dy.chunks_exact(from).zip(dx.chunks_exact_mut(to));
                    for ((dy, dx), winners) in images.zip(winners) {
                        pool::max_backward(windows, channels, winners, dy, dx);
                    }
                }
                Step::MeanPoolGradient {
                    channels,
                    ref windows,
                    dy,
                    dx,
                } => {
                    let (from, to) = (self.graph.values[dy], self.graph.values[dx]);
                    let (dy, dx) = (self.read(dy, chunk), self.write(dx, chunk));
                    for (dy, dx) in dy.chunks_exact(from).zip(dx.chunks_exact_mut(to)) {
                        pool::mean_backward(windows, channels, dy, dx);
                    }
                }
                Step::DropoutGradient {
                    rate,
                    ref stream,
                    dy,
                    dx,
                } => {
                    let first = (chunk.images.start * self.graph.values[dx]) as u64;
                    let seed = self.stream(stream);
                    let from = self.at(dy, chunk).cast_const();
                    let dx = self.write(dx, chunk);
                    for (i, dx) in dx.chunks_mut(PIECE).enumerate() {
                        let piece = &mut chunk.scratch[..dx.len()];
                        // The two may be one: read before anything is written.
                        from.add(i * PIECE).copy_to(piece.as_mut_ptr(), dx.len());
                        dropout::scale(piece, dx, first + (i * PIECE) as u64, seed, rate);
                    }
                }
                Step::Copy { from, to } => {
                    self.write(to, chunk)
                        .copy_from_slice(self.read(from, chunk));
                }
                Step::AddTo { from, to } => {
                    norm::add(self.read(from, chunk), self.write(to, chunk));
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn task_of_lane(&self, task: &Task, chunk: &mut Chunk<'_>) {
        // SAFETY: images and lane are this thread's alone, so all units and blocks of them are.
        unsafe {
            match *task {
                Task::Conv { ref op, prepared } => {
                    self.conv(op, prepared, chunk, 0..op.conv.units());
                }
                Task::WeightGradient { ref op, dy } => self.weight_gradient(op, dy, chunk, None),
                Task::InputGradient {
                    back,
                    dy,
                    dx,
                    accumulate,
                } => {
                    let units = self.program.backs[back].gradient.units();
                    self.input_gradient(back, dy, dx, accumulate, chunk, 0..units);
                }
            }
        }
    }

    /// The parameters and buffers of an operation for one image.
    fn tensors(&self, op: &ImageStep) -> Vec<&[f32]> {
        let slots = op
            .slots
            .iter()
            .map(|&slot| part(self.weights, &self.graph.slots[slot]));
        let buffers = op
            .buffers
            .iter()
            .map(|&buffer| self.buffers[buffer].as_slice());
        slots.chain(buffers).collect()
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn image(&self, op: &ImageStep, chunk: &mut Chunk<'_>) {
        let tensors = self.tensors(op);
        // SAFETY: these images are this thread's alone, and a result has memory of its own.
        let (inputs, y) = unsafe {
            let inputs: Vec<&[f32]> = op.inputs.iter().map(|&x| self.read(x, chunk)).collect();
            (inputs, self.write(op.y, chunk))
        };
        let len = self.graph.values[op.y];
        for (image, y) in y.chunks_exact_mut(len).enumerate() {
            let inputs: Vec<&[f32]> = self.of_image(&op.inputs, &inputs, image);
            op.kernel.forward(&inputs, &tensors, y);
        }
    }

    /// One image's part of each value.
    fn of_image<'s>(&self, values: &[Value], all: &[&'s [f32]], image: usize) -> Vec<&'s [f32]> {
        let lens = values.iter().map(|&value| self.graph.values[value]);
        let parts = all.iter().zip(lens);
        parts.map(|(all, len)| &all[image * len..][..len]).collect()
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn image_gradient(
        &self,
        op: &ImageStep,
        dy: Value,
        dx: &[Value],
        chunk: &mut Chunk<'_>,
    ) {
        let tensors = self.tensors(op);
        // SAFETY: images and lane are this thread's alone; the gradients of all inputs and of the result lie apart.
        let (inputs, y, dy, mut dx_all, mut sums) = unsafe {
            let inputs: Vec<&[f32]> = op.inputs.iter().map(|&x| self.read(x, chunk)).collect();
            let dx: Vec<&mut [f32]> = dx.iter().map(|&dx| self.write(dx, chunk)).collect();
            let sums = op.slots.iter().map(|&slot| self.lane_sum(slot, chunk.lane));
            let sums: Vec<&mut [f32]> = sums.collect();
            (
                inputs,
                self.read(op.y, chunk),
                self.read(dy, chunk),
                dx,
                sums,
            )
        };
        if chunk.first {
            sums.iter_mut().for_each(|sum| sum.fill(0.0));
        }
        let len = self.graph.values[op.y];
        for image in 0..chunk.images.len() {
            let given = self.of_image(&op.inputs, &inputs, image);
            let parts = dx_all.iter_mut().zip(&op.inputs);
            let mut dx: Vec<&mut [f32]> = parts
                .map(|(all, &x)| &mut all[image * self.graph.values[x]..][..self.graph.values[x]])
                .collect();
            let mut sums: Vec<&mut [f32]> = sums.iter_mut().map(|sum| &mut **sum).collect();
            let own = image * len..(image + 1) * len;
            let to = Gradients {
                inputs: &mut dx,
                parameters: &mut sums,
            };
            op.kernel
                .backward(&given, &tensors, &y[own.clone()], &dy[own], to);
        }
    }

    fn stream(&self, name: &str) -> u64 {
        Rng::stream(self.dropout_seed, name, 0).next_u64()
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn norm_apply(&self, op: &NormOp, norm: usize, chunk: &mut Chunk<'_>) {
        // SAFETY: these images are this thread's alone, and input, side and output lie apart.
        unsafe {
            let state = &self.norms[norm];
            let (x, y) = (self.read(op.x, chunk), self.write(op.y, chunk));
            let side = op.side.map_or(&[][..], |side| self.read(side, chunk));
            if op.relu {
                norm::affine_relu(x, &state.scale, &state.shift, side, y);
            } else {
                norm::affine(x, &state.scale, &state.shift, y);
                norm::add(side, y);
            }
        }
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn norm_sums(&self, op: &NormOp, norm: usize, g: Value, chunk: &mut Chunk<'_>) {
        let len = self.graph.values[op.x];
        // SAFETY: these images are this thread's alone; `x` and `y` lie apart from `g`, and `y` has as many floats.
        unsafe {
            let state = &self.norms[norm];
            let mean = &state.mean;
            let mut sums = state.sums[chunk.lane]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let channels = mean.len();
            if chunk.first {
                sums.iter_mut().for_each(|sum| sum.fill(0.0));
            }
            let (x, y) = (self.read(op.x, chunk), self.at(op.y, chunk).cast_const());
            let g = self.write(g, chunk);
            // Image by image, so that no sum grows long before it is added to another.
            let (gradient, rest) = chunk.scratch.split_at_mut(channels);
            let product = &mut rest[..channels];
            for (i, (x, g)) in x.chunks_exact(len).zip(g.chunks_exact_mut(len)).enumerate() {
                gradient.fill(0.0);
                product.fill(0.0);
                if op.relu {
                    let y = std::slice::from_raw_parts(y.add(i * len), len);
                    norm::relu_backward_sums(x, y, g, mean, gradient, product);
                } else {
                    norm::backward_sums(x, g, mean, gradient, product);
                }
                norm::add(gradient, &mut sums[0]);
                norm::add(product, &mut sums[1]);
            }
        }
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn act_gradient(
        &self,
        function: Activation,
        [x, y, dy, dx]: [Value; 4],
        chunk: &mut Chunk<'_>,
    ) {
        // SAFETY: these images are this thread's alone; `dx` lies apart from `x` and `y`, and `dy`, which may be `dx`,
        // has as many floats and is read through a pointer only.
        unsafe {
            let (x, y) = (self.read(x, chunk), self.read(y, chunk));
            let from = self.at(dy, chunk).cast_const();
            let dx = self.write(dx, chunk);
            let pieces = x.chunks(PIECE).zip(y.chunks(PIECE));
            for (i, ((x, y), dx)) in pieces.zip(dx.chunks_mut(PIECE)).enumerate() {
                let piece = &mut chunk.scratch[..dx.len()];
                // The two gradients may be one: read before anything is written.
                from.add(i * PIECE).copy_to(piece.as_mut_ptr(), dx.len());
                activation::backward(function, x, y, piece, dx);
            }
        }
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn loss(&self, logits: Value, gradient: Value, chunk: &mut Chunk<'_>) {
        // SAFETY: these images are this thread's alone, and logits and their gradient lie apart.
        let (logits, gradient) = unsafe { (self.read(logits, chunk), self.write(gradient, chunk)) };
        let labels = &self.labels[chunk.images.clone()];
        let place = [chunk.images.start, self.n];
        let (total, correct) = loss::evaluate(self.loss, logits, labels, gradient, place);
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = &mut results[chunk.lane];
        *lane = (lane.0 + total, lane.1 + correct);
    }
}
