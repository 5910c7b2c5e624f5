//! A graph as a plan runs it: kernels chosen, tensors placed in flat memory, channels last.

use super::image::ImageKernel;
use crate::graph::{Graph, Node, Op as GraphOp, Value as GraphValue};
use hw_kernels::nhwc::Conv;
use hw_kernels::{Activation, Windows};
use std::sync::Arc;

/// Index of a value in [`Ops::values`].
pub(super) type Value = usize;

/// The lengths and operations of a network, in the order of the forward pass.
#[derive(Debug, Default)]
pub(super) struct Ops {
    /// Floats of each value, for one image.
    pub(super) values: Vec<usize>,
    pub(super) ops: Vec<Op>,
    pub(super) slots: Vec<Slot>,
    /// Tensors that are not trained: name and length.
    pub(super) buffers: Vec<(String, usize)>,
    /// Floats of trainable memory, slots back to back.
    pub(super) weights: usize,
    pub(super) output: Value,
}

/// A trainable tensor and its place in flat memory.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    /// Its number in the graph.
    pub(super) parameter: usize,
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) layout: Layout,
}

/// How a tensor of the file format lies in flat memory.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// As it is.
    Plain,
    /// `[outputs, channels, kh, kw]` as panels of `[(kh, kw, channel), output]`.
    Conv {
        conv: Box<Conv>,
        /// For each number of the file format, whether it takes part; all do if absent.
        mask: Option<Vec<bool>>,
    },
    /// `[outputs, (channel, pixel)]` as panels of `[(pixel, channel), output]`.
    Dense {
        conv: Box<Conv>,
        /// Pixels of the maps that were flattened; 1 if none were.
        pixels: usize,
    },
}

/// A convolution or dense layer.
#[derive(Debug)]
pub(super) struct ConvOp {
    pub(super) x: Value,
    pub(super) y: Value,
    /// Added to the result, in networks that are only run.
    pub(super) side: Option<Value>,
    pub(super) conv: Conv,
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
    /// ReLU at once, in networks that are only run.
    pub(super) relu: bool,
}

/// `y = bn(x) (+ side)`, with ReLU or without.
#[derive(Debug)]
pub(super) struct NormOp {
    pub(super) x: Value,
    pub(super) y: Value,
    pub(super) side: Option<Value>,
    pub(super) relu: bool,
    pub(super) scale: usize,
    pub(super) shift: usize,
    /// Index of the moving mean in the buffers; the variance follows.
    pub(super) moving: usize,
    pub(super) eps: f32,
    pub(super) momentum: f32,
}

/// Whatever treats each image alone and has no kernel of its own.
#[derive(Debug)]
pub(super) struct ImageStep {
    pub(super) inputs: Vec<Value>,
    pub(super) y: Value,
    pub(super) kernel: ImageKernel,
    pub(super) slots: Vec<usize>,
    pub(super) buffers: Vec<usize>,
}

/// One operation; every value is written by exactly one.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Conv(Arc<ConvOp>),
    Norm(Arc<NormOp>),
    Image(Arc<ImageStep>),
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
    },
    MeanPool {
        x: Value,
        y: Value,
        channels: usize,
        windows: Windows,
    },
    Add {
        a: Value,
        b: Value,
        y: Value,
    },
    Dropout {
        x: Value,
        y: Value,
        rate: f32,
        name: String,
    },
    /// `y = scale x + shift (+ side)` by channel, with ReLU or without: in networks that are only run.
    Affine {
        x: Value,
        y: Value,
        side: Option<Value>,
        relu: bool,
        scale: usize,
        shift: usize,
    },
}

impl Op {
    pub(super) fn output(&self) -> Value {
        match self {
            Self::Conv(op) => op.y,
            Self::Norm(op) => op.y,
            Self::Image(op) => op.y,
            Self::Act { y, .. }
            | Self::MaxPool { y, .. }
            | Self::MeanPool { y, .. }
            | Self::Add { y, .. }
            | Self::Dropout { y, .. }
            | Self::Affine { y, .. } => *y,
        }
    }

    pub(super) fn inputs(&self) -> Vec<Value> {
        let with = |x: Value, side: Option<Value>| [Some(x), side].into_iter().flatten().collect();
        match self {
            Self::Act { x, .. }
            | Self::MaxPool { x, .. }
            | Self::MeanPool { x, .. }
            | Self::Dropout { x, .. } => vec![*x],
            Self::Conv(op) => with(op.x, op.side),
            Self::Norm(op) => with(op.x, op.side),
            Self::Affine { x, side, .. } => with(*x, *side),
            Self::Add { a, b, .. } => vec![*a, *b],
            Self::Image(op) => op.inputs.clone(),
        }
    }
}

impl Ops {
    /// A new value of so many floats an image.
    pub(super) fn value(&mut self, len: usize) -> Value {
        self.values.push(len);
        self.values.len() - 1
    }

    /// What a plan runs for `graph`, fused or folded.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut ops = Self {
            values: graph.values.iter().map(GraphValue::len).collect(),
            buffers: graph
                .buffers
                .iter()
                .map(|b| (b.name.clone(), b.len()))
                .collect(),
            output: graph.output,
            ..Self::default()
        };
        let mut maker = Maker {
            graph,
            alias: (0..graph.values.len()).collect(),
            ops: &mut ops,
        };
        for node in &graph.nodes {
            maker.node(node);
        }
        let output = maker.alias[graph.output];
        ops.output = output;
        ops
    }
}

struct Maker<'a> {
    graph: &'a Graph,
    /// Which value holds the numbers of each of the graph's.
    alias: Vec<Value>,
    ops: &'a mut Ops,
}

impl Maker<'_> {
    fn slot(&mut self, parameter: usize, len: usize, layout: Layout) -> usize {
        self.ops.slots.push(Slot {
            name: self.graph.parameters[parameter].name.clone(),
            parameter,
            start: self.ops.weights,
            len,
            layout,
        });
        // Every slot starts on a cache line.
        self.ops.weights += len.next_multiple_of(16);
        self.ops.slots.len() - 1
    }

    fn plain(&mut self, parameter: usize) -> usize {
        let len = self.graph.parameters[parameter].len();
        self.slot(parameter, len, Layout::Plain)
    }

    fn node(&mut self, node: &Node) {
        let graph = self.graph;
        let inputs: Vec<Value> = node.inputs.iter().map(|&input| self.alias[input]).collect();
        let (x, side, y) = (inputs[0], inputs.get(1).copied(), node.output);
        let given = &graph.values[node.inputs[0]];
        let channels = given.as_maps()[0];
        let op = match &node.op {
            GraphOp::Conv {
                windows,
                weight,
                bias,
                connections,
                relu,
            } => {
                let outputs = graph.parameters[*weight].shape[0];
                let conv = Conv::new(channels, outputs, *windows).with_winograd();
                let mask = connections.as_ref().map(|table| mask(table, &conv));
                let layout = Layout::Conv {
                    conv: Box::new(conv.clone()),
                    mask,
                };
                self.conv([x, y], side, conv, layout, [Some(*weight), *bias], *relu)
            }
            GraphOp::Dense { weight, bias, relu } => {
                let outputs = graph.parameters[*weight].shape[0];
                let conv = Conv::dense(given.len(), outputs);
                let layout = Layout::Dense {
                    conv: Box::new(conv.clone()),
                    pixels: given.maps.map_or(1, |[_, height, width]| height * width),
                };
                self.conv([x, y], side, conv, layout, [Some(*weight), *bias], *relu)
            }
            GraphOp::Norm {
                scale,
                shift,
                mean,
                eps,
                momentum,
                relu,
            } => Op::Norm(Arc::new(NormOp {
                x,
                y,
                side,
                relu: *relu,
                scale: self.plain(*scale),
                shift: self.plain(*shift),
                moving: *mean,
                eps: *eps,
                momentum: *momentum,
            })),
            // Without what only folding adds it is trained.
            GraphOp::Affine { scale, shift, relu } if side.is_some() || *relu => Op::Affine {
                x,
                y,
                side,
                relu: *relu,
                scale: self.plain(*scale),
                shift: self.plain(*shift),
            },
            GraphOp::Activation(function) if *function != Activation::Softmax => Op::Act {
                x,
                y,
                function: *function,
            },
            GraphOp::MaxPool(windows) => Op::MaxPool {
                x,
                y,
                channels,
                windows: *windows,
            },
            GraphOp::MeanPool(windows) => Op::MeanPool {
                x,
                y,
                channels,
                windows: *windows,
            },
            GraphOp::Add => Op::Add {
                a: x,
                b: inputs[1],
                y,
            },
            GraphOp::Dropout { rate } => Op::Dropout {
                x,
                y,
                rate: *rate,
                name: node.layer.clone(),
            },
            other => match ImageKernel::of(graph, node) {
                Some(kernel) => {
                    let (parameters, buffers) = tensors(other);
                    Op::Image(Arc::new(ImageStep {
                        inputs,
                        y,
                        kernel,
                        slots: parameters.into_iter().map(|p| self.plain(p)).collect(),
                        buffers,
                    }))
                }
                // The same numbers in the same order.
                None => {
                    self.alias[y] = x;
                    return;
                }
            },
        };
        self.ops.ops.push(op);
    }

    fn conv(
        &mut self,
        [x, y]: [Value; 2],
        side: Option<Value>,
        conv: Conv,
        layout: Layout,
        [weight, bias]: [Option<usize>; 2],
        relu: bool,
    ) -> Op {
        let weight = weight.expect("every convolution has weights");
        Op::Conv(Arc::new(ConvOp {
            x,
            y,
            side,
            weight: self.slot(weight, conv.panels().len(), layout),
            bias: bias.map(|bias| self.plain(bias)),
            conv,
            relu,
        }))
    }
}

/// The parameters and buffers that an operation for one image is given.
fn tensors(op: &GraphOp) -> (Vec<usize>, Vec<usize>) {
    match op {
        GraphOp::Affine { scale, shift, .. } => (vec![*scale, *shift], vec![]),
        GraphOp::Rbf { centers } => (vec![], vec![*centers]),
        GraphOp::Custom { parameters, .. } => (parameters.clone(), vec![]),
        _ => (vec![], vec![]),
    }
}

/// For each weight `[outputs, channels, kh, kw]`, whether its output reads its channel.
fn mask(table: &[Vec<usize>], conv: &Conv) -> Vec<bool> {
    let area = conv.windows.kernel_size();
    let pairs = table
        .iter()
        .flat_map(|maps| (0..conv.channels).map(|map| maps.contains(&map)));
    pairs
        .flat_map(|reads| std::iter::repeat_n(reads, area))
        .collect()
}

impl Slot {
    /// Flat memory from the file format's values.
    pub(super) fn pack(&self, values: &[f32], flat: &mut [f32]) {
        let flat = &mut flat[self.start..self.start + self.len];
        match &self.layout {
            Layout::Plain => flat.copy_from_slice(values),
            Layout::Conv { conv, mask } => {
                let taps = conv.taps();
                let value = |at: usize| match mask {
                    Some(mask) if !mask[at] => 0.0,
                    _ => values[at],
                };
                conv.panels()
                    .fill(flat, |row, o| value(o * taps + channels_first(conv, row)));
            }
            Layout::Dense { conv, pixels } => {
                let inputs = conv.channels;
                let first = |row| pixels_last(inputs, *pixels, row);
                conv.panels()
                    .fill(flat, |row, o| values[o * inputs + first(row)]);
            }
        }
    }

    /// The file format's values from flat memory.
    pub(super) fn unpack(&self, flat: &[f32]) -> Vec<f32> {
        let flat = &flat[self.start..self.start + self.len];
        let (conv, place): (_, Box<dyn Fn(usize) -> usize>) = match &self.layout {
            Layout::Plain => return flat.to_vec(),
            Layout::Conv { conv, .. } => (conv, Box::new(|row| channels_first(conv, row))),
            Layout::Dense { conv, pixels } => {
                let inputs = conv.channels;
                (conv, Box::new(move |row| pixels_last(inputs, *pixels, row)))
            }
        };
        let (taps, panels) = (conv.taps(), conv.panels());
        let mut values = vec![0.0; taps * conv.outputs];
        for row in 0..taps {
            let place = place(row);
            for o in 0..conv.outputs {
                values[o * taps + place] = flat[panels.at(row, o)];
            }
        }
        values
    }

    /// Sets to 0 what belongs to no connection: the gradients of weights that take no part.
    pub(super) fn mask(&self, flat: &mut [f32]) {
        let Layout::Conv {
            conv,
            mask: Some(mask),
        } = &self.layout
        else {
            return;
        };
        let flat = &mut flat[self.start..self.start + self.len];
        let (taps, panels) = (conv.taps(), conv.panels());
        for row in 0..taps {
            let place = channels_first(conv, row);
            for o in (0..conv.outputs).filter(|o| !mask[o * taps + place]) {
                flat[panels.at(row, o)] = 0.0;
            }
        }
    }
}

/// Row `(kh, kw, channel)` as an index into `[channel, kh, kw]`.
fn channels_first(conv: &Conv, row: usize) -> usize {
    row % conv.channels * conv.windows.kernel_size() + row / conv.channels
}

/// Row `(pixel, channel)` as an index into `[channel, pixel]`.
fn pixels_last(inputs: usize, pixels: usize, row: usize) -> usize {
    let channels = inputs / pixels;
    row % channels * pixels + row / channels
}
