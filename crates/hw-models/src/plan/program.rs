//! From a graph to the steps of one training step: forward pass, loss and backward pass as
//! instructions, grouped into phases that threads run side by side.
//!
//! A phase is either a chain of instructions that every *lane* (a fixed run of the batch's images)
//! goes through alone, image chunk by image chunk, so that a chunk's maps stay in the cache from one
//! instruction to the next; or one instruction cut into tasks; or a few numbers combined by one
//! thread. The number of lanes depends on the batch alone, and so do all sums' orders.

use super::ops::{ConvOp, ImageStep, NormOp, Op, Ops, Value};
use hw_kernels::nhwc::{Conv, InputGradient};
use hw_kernels::{Activation, Windows};
use std::sync::Arc;

/// Most lanes of a batch.
pub(super) const LANES: usize = 8;
/// Fewest images of a lane, where there are enough.
const IMAGES_A_LANE: usize = 8;
/// Weights of more floats have their gradient computed in tasks, one sum over the whole batch;
/// smaller ones lane by lane, with the lanes' sums added up.
const LANE_WEIGHTS: usize = 80 << 10;
/// Floats of weights that lanes read through again and again without much harm: they stay in the
/// second-level cache.
const CACHED_WEIGHTS: usize = 192 << 10;

/// How many lanes a batch of `n` images has.
pub(super) fn lanes(n: usize) -> usize {
    (n / IMAGES_A_LANE).clamp(1, LANES)
}

/// Heavy work, for a lane's chunk or, cut into tasks, for the whole batch.
#[derive(Debug)]
pub(super) enum Task {
    Conv {
        op: Arc<ConvOp>,
        /// Where its prepared weights start, if it wants some.
        prepared: Option<usize>,
    },
    /// The gradient of a convolution's weights, summed by lane or over the batch.
    WeightGradient { op: Arc<ConvOp>, dy: Value },
    InputGradient {
        back: usize,
        dy: Value,
        dx: Value,
        accumulate: bool,
    },
}

/// One thing to do for the images of a chunk.
#[derive(Debug)]
pub(super) enum Step {
    Task(Task),
    /// Moments of a normalisation's input.
    NormMoments {
        norm: usize,
        x: Value,
    },
    NormApply {
        op: Arc<NormOp>,
        norm: usize,
    },
    Act {
        x: Value,
        y: Value,
        function: Activation,
    },
    MaxPool {
        x: Value,
        y: Value,
        channels: usize,
        windows: Windows,
        winners: usize,
    },
    MeanPool {
        x: Value,
        y: Value,
        channels: usize,
        windows: Windows,
    },
    Sum {
        a: Value,
        b: Value,
        y: Value,
    },
    Dropout {
        x: Value,
        y: Value,
        rate: f32,
        stream: String,
    },
    Loss {
        logits: Value,
        gradient: Value,
    },
    /// An operation that treats each image alone.
    Image {
        op: Arc<ImageStep>,
    },
    /// Overwrites `dx`, one for each input, and adds to the lane's sums of the parameters.
    ImageGradient {
        op: Arc<ImageStep>,
        dy: Value,
        dx: Vec<Value>,
    },
    BiasGradient {
        slot: usize,
        dy: Value,
    },
    /// Masks the gradient if there was a ReLU, and sums what batch normalisation needs.
    NormSums {
        op: Arc<NormOp>,
        norm: usize,
        g: Value,
    },
    NormGradient {
        op: Arc<NormOp>,
        norm: usize,
        g: Value,
        dx: Value,
        accumulate: bool,
    },
    ActGradient {
        x: Value,
        y: Value,
        function: Activation,
        dy: Value,
        dx: Value,
    },
    MaxPoolGradient {
        channels: usize,
        windows: Windows,
        winners: usize,
        dy: Value,
        dx: Value,
    },
    MeanPoolGradient {
        channels: usize,
        windows: Windows,
        dy: Value,
        dx: Value,
    },
    DropoutGradient {
        rate: f32,
        stream: String,
        dy: Value,
        dx: Value,
    },
    /// `to = from`.
    Copy {
        from: Value,
        to: Value,
    },
    /// `to += from`.
    AddTo {
        from: Value,
        to: Value,
    },
}

/// What threads do until they wait for each other.
#[derive(Debug)]
pub(super) enum Phase {
    /// Every lane alone, all steps for one chunk of images after the other.
    Lanes(Vec<Step>),
    /// One thing for all images, cut into tasks.
    Tasks(Task),
    /// Weights transposed for the backward pass, and prepared for the forward pass.
    Transpose,
    /// A normalisation's statistics from its lanes' moments.
    NormStatistics { op: Arc<NormOp>, norm: usize },
    /// A normalisation's factors from its lanes' sums.
    NormFactors { op: Arc<NormOp>, norm: usize },
}

/// The gradient of one convolution's input.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) op: Arc<ConvOp>,
    pub(super) gradient: InputGradient,
    /// Where its transposed weights start.
    pub(super) start: usize,
}

/// All phases of one training step.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) phases: Vec<Phase>,
    pub(super) backs: Vec<Back>,
    /// The convolutions that want prepared weights, and where those start.
    pub(super) prepared: Vec<(Arc<ConvOp>, usize)>,
    /// Floats of all transposed and prepared weights.
    pub(super) transposed: usize,
    /// Channels of each normalisation.
    pub(super) norms: Vec<usize>,
    /// Bytes of winners of each maximum pooling, for one image.
    pub(super) winners: Vec<usize>,
    /// For each slot, where its sums start in a lane's memory, if it is summed by lane.
    pub(super) lane_slots: Vec<Option<usize>>,
    /// Floats of a lane's sums.
    pub(super) lane_len: usize,
    /// The gradient of the images, where it is asked for.
    pub(super) image_gradient: Option<Value>,
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Gradients of the weights.
    Training,
    /// Those of the images too.
    InputGradients,
    /// The forward pass of training alone, for the statistics of batch normalization.
    Statistics,
}

/// Writes a program; holds what gradients are known so far.
pub(super) struct Compiler<'a> {
    graph: &'a mut Ops,
    program: Program,
    batch: usize,
    /// For each value of the forward pass, the value that holds its gradient.
    gradients: Vec<Option<Value>>,
    /// For each value, how many forward values' gradients it holds that are still to be read.
    holders: Vec<usize>,
    norm_of: Vec<usize>,
    winners_of: Vec<usize>,
    purpose: Purpose,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(graph: &'a mut Ops, batch: usize, purpose: Purpose) -> Self {
        let values = graph.values.len();
        let program = Program {
            lane_slots: vec![None; graph.slots.len()],
            ..Program::default()
        };
        let ops = graph.ops.len();
        Self {
            graph,
            program,
            batch,
            gradients: vec![None; values],
            holders: vec![0; values],
            norm_of: vec![0; ops],
            winners_of: vec![0; ops],
            purpose,
        }
    }

    pub(super) fn compile(mut self) -> Program {
        for op in 0..self.graph.ops.len() {
            self.forward(op);
        }
        if self.purpose == Purpose::Statistics {
            return self.finish();
        }
        let gradient = self.new_gradient(self.graph.output);
        let logits = self.graph.output;
        self.lane(Step::Loss { logits, gradient });
        for op in (0..self.graph.ops.len()).rev() {
            self.backward(op);
        }
        if self.purpose == Purpose::InputGradients {
            self.program.image_gradient = self.gradients[0];
        }
        self.finish()
    }

    fn finish(mut self) -> Program {
        if self.program.transposed > 0 {
            self.program.phases.insert(0, Phase::Transpose);
        }
        self.program
    }

    /// Appends a step to the phase that every lane runs alone.
    fn lane(&mut self, step: Step) {
        match self.program.phases.last_mut() {
            Some(Phase::Lanes(steps)) => steps.push(step),
            _ => self.program.phases.push(Phase::Lanes(vec![step])),
        }
    }

    /// Appends a task for each lane alone, or for all threads together.
    fn task(&mut self, task: Task, together: bool) {
        match together {
            true => self.program.phases.push(Phase::Tasks(task)),
            false => self.lane(Step::Task(task)),
        }
    }

    fn forward(&mut self, index: usize) {
        match self.graph.ops[index].clone() {
            Op::Conv(op) => {
                let conv = &op.conv;
                let prepared = conv.has_winograd().then(|| {
                    let start = self.program.transposed;
                    self.program.prepared.push((Arc::clone(&op), start));
                    self.program.transposed += conv.prepared_len().next_multiple_of(16);
                    start
                });
                let shared = self.is_shared(conv, conv.panels().len());
                let task = Task::Conv { op, prepared };
                self.task(task, shared);
            }
            Op::Norm(op) => {
                let norm = self.program.norms.len();
                self.norm_of[index] = norm;
                self.program.norms.push(self.graph.slots[op.scale].len);
                self.lane(Step::NormMoments { norm, x: op.x });
                let statistics = Phase::NormStatistics {
                    op: Arc::clone(&op),
                    norm,
                };
                self.program.phases.push(statistics);
                self.lane(Step::NormApply { op, norm });
            }
            Op::Act { x, y, function } => self.lane(Step::Act { x, y, function }),
            Op::MaxPool {
                x,
                y,
                channels,
                windows,
            } => {
                let winners = self.program.winners.len();
                self.winners_of[index] = winners;
                self.program.winners.push(self.graph.values[y]);
                self.lane(Step::MaxPool {
                    x,
                    y,
                    channels,
                    windows,
                    winners,
                });
            }
            Op::MeanPool {
                x,
                y,
                channels,
                windows,
            } => self.lane(Step::MeanPool {
                x,
                y,
                channels,
                windows,
            }),
            Op::Add { a, b, y } => self.lane(Step::Sum { a, b, y }),
            Op::Dropout { x, y, rate, name } => self.lane(Step::Dropout {
                x,
                y,
                rate,
                stream: name,
            }),
            Op::Image(op) => self.lane(Step::Image { op }),
            Op::Affine { .. } => {
                unreachable!("only folded graphs have them, and those are not trained")
            }
        }
    }

    /// Whether all threads work on one layer together: its weights are so large, and a lane's pixels
    /// so few, that each lane would spend its time reading weights.
    fn is_shared(&self, conv: &Conv, weights: usize) -> bool {
        let rows = self.batch / lanes(self.batch) * conv.windows.output_size();
        match weights {
            0..CACHED_WEIGHTS => false,
            _ => rows < 128,
        }
    }

    fn new_gradient(&mut self, of: Value) -> Value {
        let value = self.graph.value(self.graph.values[of]);
        self.holders.push(1);
        self.gradients[of] = Some(value);
        value
    }

    /// Lets `holder` hold the gradient of `of` too.
    fn share(&mut self, holder: Value, of: Value) {
        self.holders[holder] += 1;
        self.gradients[of] = Some(holder);
    }

    /// Where a step that overwrites may put the gradient of `x`: the gradient of its output if no one
    /// else needs that, else new memory; added to what is known of it by a step after it.
    fn target(&mut self, x: Value, dy: Value) -> Value {
        let alone = self.holders[dy] == 1 && self.graph.values[x] == self.graph.values[dy];
        match (self.gradients[x], alone) {
            (None, true) => {
                self.share(dy, x);
                dy
            }
            (None, false) => self.new_gradient(x),
            (Some(_), true) => dy,
            (Some(_), false) => {
                let value = self.graph.value(self.graph.values[x]);
                self.holders.push(0);
                value
            }
        }
    }

    /// After a step wrote the gradient of `x` to `dx`: adds it to what was known before.
    fn settle(&mut self, x: Value, dx: Value) {
        if let Some(to) = self.gradients[x]
            && to != dx
        {
            self.lane(Step::AddTo { from: dx, to });
        }
    }

    fn backward(&mut self, index: usize) {
        let op = self.graph.ops[index].clone();
        // A value nobody used has no gradient.
        let Some(dy) = self.gradients[op.output()] else {
            return;
        };
        match op {
            Op::Conv(op) => self.conv_backward(&op, dy),
            Op::Norm(op) => {
                // ReLU masks its gradient where it lies; others may need it as it was.
                let own = match op.relu && self.holders[dy] > 1 {
                    true => self.copied(op.y, dy),
                    false => dy,
                };
                self.norm_backward(&op, self.norm_of[index], own);
                self.holders[own] -= 1;
                return;
            }
            Op::Act { x, y, function } => {
                let dx = self.target(x, dy);
                self.lane(Step::ActGradient {
                    x,
                    y,
                    function,
                    dy,
                    dx,
                });
                self.settle(x, dx);
            }
            Op::MaxPool {
                x,
                channels,
                windows,
                ..
            } => {
                let winners = self.winners_of[index];
                let dx = self.target(x, dy);
                // Overlapping or not, a window's gradient cannot be written over itself.
                let dx = if dx == dy { self.apart(x, dy) } else { dx };
                self.lane(Step::MaxPoolGradient {
                    channels,
                    windows,
                    winners,
                    dy,
                    dx,
                });
                self.settle(x, dx);
            }
            Op::MeanPool {
                x,
                channels,
                windows,
                ..
            } => {
                let dx = self.target(x, dy);
                let dx = if dx == dy { self.apart(x, dy) } else { dx };
                self.lane(Step::MeanPoolGradient {
                    channels,
                    windows,
                    dy,
                    dx,
                });
                self.settle(x, dx);
            }
            Op::Add { a, b, .. } => {
                for x in [a, b] {
                    match self.gradients[x] {
                        None => self.share(dy, x),
                        Some(to) => self.lane(Step::AddTo { from: dy, to }),
                    }
                }
            }
            Op::Dropout { x, rate, name, .. } => {
                let dx = self.target(x, dy);
                self.lane(Step::DropoutGradient {
                    rate,
                    stream: name,
                    dy,
                    dx,
                });
                self.settle(x, dx);
            }
            Op::Image(op) => {
                op.slots.iter().for_each(|&slot| self.lane_sum(slot));
                let dx: Vec<Value> = op.inputs.iter().map(|&x| self.apart_from_all(x)).collect();
                let inputs = op.inputs.clone();
                self.lane(Step::ImageGradient {
                    op,
                    dy,
                    dx: dx.clone(),
                });
                for (x, dx) in inputs.into_iter().zip(dx) {
                    self.settle(x, dx);
                }
            }
            Op::Affine { .. } => unreachable!("it has no step forwards"),
        }
        self.holders[dy] -= 1;
    }

    /// A copy of the gradient `dy` of `y`, which then holds it in place of `dy`.
    fn copied(&mut self, y: Value, dy: Value) -> Value {
        self.holders[dy] -= 1;
        let own = self.new_gradient(y);
        self.lane(Step::Copy { from: dy, to: own });
        own
    }

    /// Memory of its own for the gradient of `x`: the place where it stays if none is known yet.
    fn apart_from_all(&mut self, x: Value) -> Value {
        match self.gradients[x] {
            None => self.new_gradient(x),
            Some(_) => {
                let value = self.graph.value(self.graph.values[x]);
                self.holders.push(0);
                value
            }
        }
    }

    /// New memory for the gradient of `x`, instead of that of `dy`.
    fn apart(&mut self, x: Value, dy: Value) -> Value {
        if self.gradients[x] == Some(dy) {
            self.holders[dy] -= 1;
            return self.new_gradient(x);
        }
        let value = self.graph.value(self.graph.values[x]);
        self.holders.push(0);
        value
    }

    fn conv_backward(&mut self, op: &Arc<ConvOp>, dy: Value) {
        let (x, conv) = (op.x, &op.conv);
        if let Some(slot) = op.bias {
            self.lane_sum(slot);
            self.lane(Step::BiasGradient { slot, dy });
        }
        let len = conv.panels().len();
        let task = Task::WeightGradient {
            op: Arc::clone(op),
            dy,
        };
        // What Winograd's algorithm sums is transformed once, after the whole batch.
        if len <= LANE_WEIGHTS && !self.is_shared(conv, len) && !conv.has_winograd() {
            self.lane_sum(op.weight);
            self.task(task, false);
        } else {
            self.task(task, true);
        }
        if x == 0 && self.purpose != Purpose::InputGradients {
            return;
        }
        let gradient = InputGradient::new(conv);
        let back = self.program.backs.len();
        let start = self.program.transposed;
        self.program.transposed += gradient.turned_len().next_multiple_of(16);
        self.program.backs.push(Back {
            op: Arc::clone(op),
            gradient,
            start,
        });
        let accumulate = self.gradients[x].is_some();
        let dx = self.gradients[x].unwrap_or_else(|| self.new_gradient(x));
        let task = Task::InputGradient {
            back,
            dy,
            dx,
            accumulate,
        };
        self.task(task, self.is_shared(conv, len));
    }

    fn norm_backward(&mut self, op: &Arc<NormOp>, norm: usize, g: Value) {
        let (x, shared) = (op.x, || Arc::clone(op));
        self.lane(Step::NormSums {
            op: shared(),
            norm,
            g,
        });
        self.program
            .phases
            .push(Phase::NormFactors { op: shared(), norm });
        if let Some(side) = op.side {
            match self.gradients[side] {
                None => self.share(g, side),
                Some(to) => self.lane(Step::AddTo { from: g, to }),
            }
        }
        let accumulate = self.gradients[x].is_some();
        let dx = match self.gradients[x] {
            // It also went past the normalization, and what is written in place is not added.
            Some(dx) if dx == g => self.copied(x, g),
            Some(dx) => dx,
            None => self.target(x, g),
        };
        self.lane(Step::NormGradient {
            op: shared(),
            norm,
            g,
            dx,
            accumulate,
        });
    }

    /// Gives a slot its place in the lanes' sums.
    fn lane_sum(&mut self, slot: usize) {
        let len = self.graph.slots[slot].len.next_multiple_of(16);
        self.program.lane_slots[slot] = Some(self.program.lane_len);
        self.program.lane_len += len;
    }
}

impl Task {
    /// Every value it touches.
    pub(super) fn values(&self) -> Vec<Value> {
        match *self {
            Self::Conv { ref op, .. } => [Some(op.x), Some(op.y), op.side]
                .into_iter()
                .flatten()
                .collect(),
            Self::WeightGradient { ref op, dy } => vec![op.x, dy],
            Self::InputGradient { dy, dx, .. } => vec![dy, dx],
        }
    }
}

impl Step {
    /// Every value the step touches.
    pub(super) fn values(&self) -> Vec<Value> {
        let some = |side: Option<Value>| side.into_iter().collect::<Vec<_>>();
        match *self {
            Self::Task(ref task) => task.values(),
            Self::Image { ref op } => [&op.inputs[..], &[op.y]].concat(),
            Self::ImageGradient { ref op, dy, ref dx } => {
                [&op.inputs[..], &[op.y, dy], dx].concat()
            }
            Self::NormMoments { x, .. } => vec![x],
            Self::NormApply { ref op, .. } => [vec![op.x, op.y], some(op.side)].concat(),
            Self::Act { x, y, .. }
            | Self::MaxPool { x, y, .. }
            | Self::MeanPool { x, y, .. }
            | Self::Dropout { x, y, .. } => vec![x, y],
            Self::Sum { a, b, y } => vec![a, b, y],
            Self::Loss { logits, gradient } => vec![logits, gradient],
            Self::BiasGradient { dy, .. } => vec![dy],
            Self::MaxPoolGradient { dy, dx, .. }
            | Self::MeanPoolGradient { dy, dx, .. }
            | Self::DropoutGradient { dy, dx, .. } => vec![dy, dx],
            Self::NormSums { ref op, g, .. } => vec![op.x, op.y, g],
            Self::NormGradient { ref op, g, dx, .. } => vec![op.x, g, dx],
            Self::ActGradient { x, y, dy, dx, .. } => vec![x, y, dy, dx],
            Self::AddTo { from, to } | Self::Copy { from, to } => vec![from, to],
        }
    }
}
