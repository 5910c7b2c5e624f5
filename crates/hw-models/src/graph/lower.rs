//! From a list of layers to operations: names, shapes, parameters and work, checked once.

use super::shape::{maps, vector};
use super::{Graph, Op, Parameter, Start, ValueId, group_norm};
use crate::error::{ModelError, Result};
use crate::layers::{self, Settings};
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::{Padding, Windows};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;

/// One declared layer with everything that follows from its place in the network.
#[derive(Clone, Debug)]
pub struct LoweredLayer {
    /// Unique name: kind and number, `conv1`, `res2.body.bn1`.
    pub name: String,
    /// The declaration.
    pub layer: Layer,
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// Shape of one output, without the batch.
    pub output: Vec<usize>,
    /// Trainable tensors of its own.
    pub parameters: Vec<Parameter>,
    /// Tensors of its own that are kept but not trained: moving statistics, fixed centers.
    pub buffers: Vec<Parameter>,
    /// Multiply-accumulate operations for one image: convolutions, affine and RBF layers only.
    pub macs: u64,
    /// The two branches of a residual or concatenating layer.
    pub branches: Option<[Vec<LoweredLayer>; 2]>,
}

/// The largest number that a layer may ask for (filters, windows, borders, units): what one asks for by
/// mistake is far above it, and sums and products of two stay countable.
const MAX_SIZE: usize = 1 << 20;
/// The most weights in a tensor, and the most numbers in one image's maps.
const MAX_NUMBERS: usize = 1 << 31;
/// The most rows or columns of a maximum's window: its winner is remembered in a byte.
const MAX_WINDOW: usize = 255;

impl ModelSpec {
    /// Checks every layer against the one before it and makes the graph.
    ///
    /// # Errors
    /// [`ModelError::Layer`] naming the first layer that does not fit, [`ModelError::Output`] when
    /// the network does not end in one logit a class.
    pub fn lower(&self) -> Result<Graph> {
        let mut lowering = Lowering {
            graph: Graph::of(self.clone()),
            counts: HashMap::new(),
            layer: String::new(),
            part: String::new(),
            macs: 0,
        };
        if product(&self.input) > MAX_NUMBERS {
            let problem = format!("{:?} is too large for an image", self.input);
            return Err(lowering.graph.refuse("input", problem));
        }
        let (layers, output) = lowering.chain("", &self.layers, 0)?;
        let shape = &lowering.graph.values[output].shape;
        if *shape != [self.classes] || self.classes < 2 {
            return Err(ModelError::Output {
                model: self.name.clone(),
                shape: shape.clone(),
                classes: self.classes,
            });
        }
        lowering.layer = layers.last().map_or("output".into(), |l| l.name.clone());
        let output = lowering.ordered(output)?;
        let mut graph = lowering.graph;
        graph.layers = layers;
        graph.output = output;
        Ok(graph)
    }
}

/// Saturates, so that a size beyond all memory is still a size.
fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |all, &size| all.saturating_mul(size))
}

/// A graph being made, at one of its layers: what a layer of another crate is given to add its tensors and
/// operations ([`crate::CustomLayer`]).
pub struct Lowering {
    graph: Graph,
    counts: HashMap<String, usize>,
    layer: String,
    /// What comes between the layer's name and a tensor's: "fc1." in [a part](Lowering::part) of that name.
    part: String,
    macs: u64,
}

impl Lowering {
    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.values[value].shape
    }

    /// Adds one of our layers as a part of this one, without branches of its own; its result. Its tensors are
    /// `part.weight` and so on, each part under a name of its own.
    ///
    /// # Errors
    /// [`ModelError::Layer`] when it does not fit `x`.
    pub fn part(&mut self, part: &str, layer: &Layer, x: ValueId) -> Result<ValueId> {
        let outer = self.part.len();
        self.part += &format!("{part}.");
        let y = self.lower(layer, x);
        self.part.truncate(outer);
        y
    }

    /// The settings of a layer as a type of its own, which derives serde's `Deserialize`.
    ///
    /// # Errors
    /// [`ModelError::Layer`] when they are not of that type.
    pub fn settings<T: DeserializeOwned>(&self, settings: &Settings) -> Result<T> {
        let read = T::deserialize(settings);
        read.map_err(|error| self.refuse(format!("its settings: {error}")))
    }

    /// Adds an operation of this layer; its result.
    ///
    /// # Errors
    /// [`ModelError::Layer`] when it cannot take the inputs, or its result is too large.
    pub fn add(&mut self, op: Op, mut inputs: Vec<ValueId>) -> Result<ValueId> {
        let maps = |value: &ValueId| &self.graph.values[*value].maps;
        let ordered = match op {
            // It knows numbers in the order of their shape only.
            Op::Custom { .. } => true,
            Op::Add => inputs.iter().any(|value| maps(value) != maps(&inputs[0])),
            _ => false,
        };
        if ordered {
            for value in &mut inputs {
                *value = self.ordered(*value)?;
            }
        }
        let output = self.graph.add(&self.layer, op, inputs)?;
        let shape = &self.graph.values[output].shape;
        if product(shape) > MAX_NUMBERS {
            return Err(self.refuse(format!("maps of {shape:?} would be too large to hold")));
        }
        Ok(output)
    }

    /// Adds a trainable tensor of this layer, `weight` say.
    ///
    /// # Errors
    /// [`ModelError::Layer`] when it would be too large, or the layer has one of that name.
    pub fn parameter(&mut self, what: &str, shape: Vec<usize>, start: Start) -> Result<usize> {
        let tensor = self.tensor(what, shape, start)?;
        Ok(self.graph.add_parameter(tensor))
    }

    /// Adds a tensor of this layer that is not trained.
    ///
    /// # Errors
    /// As [`Self::parameter`].
    pub fn buffer(&mut self, what: &str, shape: Vec<usize>, start: Start) -> Result<usize> {
        let tensor = self.tensor(what, shape, start)?;
        Ok(self.graph.add_buffer(tensor))
    }

    /// Counts multiply-accumulate operations of this layer for one image.
    pub fn count_macs(&mut self, factors: &[usize]) {
        self.macs = self.macs.saturating_add(product(factors) as u64);
    }

    /// The value with its numbers in the order of its shape, in every executor.
    ///
    /// # Errors
    /// None in practice: it fits every value.
    pub fn ordered(&mut self, x: ValueId) -> Result<ValueId> {
        match self.graph.values[x].maps {
            Some(_) => self.add(Op::ChannelsFirst, vec![x]),
            None => Ok(x),
        }
    }

    /// The error that this layer cannot be, for this reason.
    pub fn refuse(&self, problem: String) -> ModelError {
        self.graph.refuse(&self.layer, problem)
    }

    fn tensor(&self, what: &str, shape: Vec<usize>, start: Start) -> Result<Parameter> {
        let count = product(&shape);
        if count > MAX_NUMBERS {
            return Err(self.refuse(format!("a tensor of {shape:?} would be too large to hold")));
        }
        let name = format!("{}.{}{what}", self.layer, self.part);
        let mut all = self.graph.parameters.iter().chain(&self.graph.buffers);
        if all.any(|tensor| tensor.name == name) {
            return Err(self.refuse(format!("it has a tensor {name} already")));
        }
        Ok(Parameter {
            name,
            shape,
            start,
            count,
        })
    }

    fn chain(
        &mut self,
        prefix: &str,
        layers: &[Layer],
        mut x: ValueId,
    ) -> Result<(Vec<LoweredLayer>, ValueId)> {
        let mut lowered = Vec::with_capacity(layers.len());
        for layer in layers {
            let (done, y) = self.one(prefix, layer, x)?;
            lowered.push(done);
            x = y;
        }
        Ok((lowered, x))
    }

    fn one(&mut self, prefix: &str, layer: &Layer, x: ValueId) -> Result<(LoweredLayer, ValueId)> {
        let stem = format!("{prefix}{}", layer.kind());
        let number = self.counts.entry(stem.clone()).or_insert(0);
        *number += 1;
        let name = format!("{stem}{number}");
        let branches = match layer.branches() {
            Some([first, second]) => Some(self.branches(&name, layer, first, second, x)?),
            None => None,
        };
        self.layer = name.clone();
        let (parameters, buffers) = (self.graph.parameters.len(), self.graph.buffers.len());
        self.macs = 0;
        let (branches, y) = match branches {
            Some((trees, [first, second])) => {
                let op = match layer {
                    Layer::Residual { .. } => Op::Add,
                    _ => Op::Concat,
                };
                (Some(trees), self.add(op, vec![first, second])?)
            }
            None => (None, self.lower(layer, x)?),
        };
        let output = self.shape(y).to_vec();
        if output.contains(&0) {
            let input = self.shape(x);
            return Err(self.refuse(format!("nothing is left of an input {input:?}")));
        }
        let lowered = LoweredLayer {
            layer: layer.clone(),
            input: self.shape(x).to_vec(),
            output,
            parameters: self.graph.parameters[parameters..].to_vec(),
            buffers: self.graph.buffers[buffers..].to_vec(),
            macs: self.macs,
            branches,
            name,
        };
        Ok((lowered, y))
    }

    /// Both branches of a layer; the one that goes into the sum second is run first, so that the sum can be
    /// one pass with what ends the other.
    #[allow(clippy::type_complexity)]
    fn branches(
        &mut self,
        name: &str,
        layer: &Layer,
        first: &[Layer],
        second: &[Layer],
        x: ValueId,
    ) -> Result<([Vec<LoweredLayer>; 2], [ValueId; 2])> {
        let [one, two] = match layer {
            Layer::Residual { .. } => ["body", "shortcut"],
            _ => ["first", "second"],
        };
        let (two, b) = self.chain(&format!("{name}.{two}."), second, x)?;
        let (one, a) = self.chain(&format!("{name}.{one}."), first, x)?;
        Ok(([one, two], [a, b]))
    }

    fn maps(&self, x: ValueId) -> Result<[usize; 3]> {
        maps(&self.graph.values[x]).map_err(|problem| self.refuse(problem))
    }

    fn vector(&self, x: ValueId) -> Result<usize> {
        vector(&self.graph.values[x]).map_err(|problem| self.refuse(problem))
    }

    fn windows(
        &self,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        border: Border,
    ) -> Result<Windows> {
        if kernel.contains(&0) || stride.contains(&0) {
            return Err(self.refuse("kernel and stride must be at least 1".into()));
        }
        let padding = border.resolve(input, kernel, stride);
        let padded = [
            input[0] + padding.top + padding.bottom,
            input[1] + padding.left + padding.right,
        ];
        if padded[0] < kernel[0] || padded[1] < kernel[1] {
            let problem = format!("a window of {kernel:?} does not fit a padded map of {padded:?}");
            return Err(self.refuse(problem));
        }
        let output = [0, 1].map(|axis| (padded[axis] - kernel[axis]) / stride[axis] + 1);
        Ok(Windows {
            input,
            kernel,
            stride,
            padding,
            output,
        })
    }

    /// The operations of a layer without branches.
    fn lower(&mut self, layer: &Layer, x: ValueId) -> Result<ValueId> {
        if let Some(asked) = layer.sizes().into_iter().find(|&size| size > MAX_SIZE) {
            return Err(self.refuse(format!("{asked} is too large; at most {MAX_SIZE}")));
        }
        match layer {
            Layer::Pad { padding } => self.add(Op::Pad { padding: *padding }, vec![x]),
            Layer::Conv {
                out,
                kernel,
                stride,
                padding,
                bias,
                connections,
            } => {
                let [_, height, width] = self.maps(x)?;
                let windows = self.windows([height, width], *kernel, *stride, *padding)?;
                self.convolution(x, *out, windows, *bias, connections.as_ref())
            }
            Layer::MaxPool {
                kernel,
                stride,
                padding,
            }
            | Layer::AvgPool {
                kernel,
                stride,
                padding,
            } => {
                let [_, height, width] = self.maps(x)?;
                let windows = self.windows([height, width], *kernel, *stride, *padding)?;
                match layer {
                    Layer::MaxPool { .. } => self.max_pool(x, windows),
                    _ => self.add(Op::MeanPool(windows), vec![x]),
                }
            }
            Layer::GlobalAvgPool => {
                let [channels, height, width] = self.maps(x)?;
                let all = [height, width];
                let windows = self.windows(all, all, [1, 1], Border::Valid)?;
                let means = self.add(Op::MeanPool(windows), vec![x])?;
                self.add(Op::Reshape { to: vec![channels] }, vec![means])
            }
            Layer::Subsample { kernel } => {
                let [channels, height, width] = self.maps(x)?;
                let size = [*kernel; 2];
                let windows = self.windows([height, width], size, size, Border::Valid)?;
                let means = self.add(Op::MeanPool(windows), vec![x])?;
                let [scale, shift] = [("coefficient", 1.0), ("bias", 0.0)].map(|(what, start)| {
                    self.parameter(what, vec![channels], Start::Constant(start))
                });
                let (scale, shift) = (scale?, shift?);
                let relu = false;
                self.add(Op::Affine { scale, shift, relu }, vec![means])
            }
            Layer::Flatten => {
                let to = vec![product(self.shape(x))];
                self.add(Op::Reshape { to }, vec![x])
            }
            Layer::Reshape { to } => self.reshape(x, to),
            Layer::Dense { units, bias } => self.dense(x, *units, *bias),
            Layer::BatchNorm { eps, momentum } => self.batch_norm(x, *eps, *momentum),
            Layer::GroupNorm { groups, eps } => group_norm::lower(self, *groups, *eps, x),
            Layer::Activation { function } => self.add(Op::Activation(*function), vec![x]),
            Layer::Dropout { rate } => {
                if !(0.0..1.0).contains(rate) {
                    return Err(self.refuse(format!("dropout rate {rate} is not in [0, 1)")));
                }
                self.add(Op::Dropout { rate: *rate }, vec![x])
            }
            Layer::Rbf { centres } => self.rbf(x, centres),
            Layer::ConvTranspose {
                out,
                kernel,
                stride,
                padding,
            } => self.transposed(x, [*out, *kernel, *stride, *padding]),
            Layer::Haar { low_only } => {
                let low_only = *low_only;
                self.add(Op::Haar { low_only }, vec![x])
            }
            Layer::Custom { name, settings } => {
                let layer = layers::find(name).map_err(|problem| self.refuse(problem))?;
                layer.lower(settings, self, x)
            }
            Layer::Concat { .. } | Layer::Residual { .. } => {
                Err(self.refuse("a part of a layer has no branches".into()))
            }
        }
    }

    /// The first of the largest cells; a window of more cells than a byte counts is two windows of rows and
    /// of columns, which have the same first largest cell.
    fn max_pool(&mut self, x: ValueId, windows: Windows) -> Result<ValueId> {
        let [rows, columns] = windows.kernel;
        if rows * columns <= MAX_WINDOW {
            return self.add(Op::MaxPool(windows), vec![x]);
        }
        if rows > MAX_WINDOW || columns > MAX_WINDOW {
            let problem = format!("a maximum's window has at most {MAX_WINDOW} rows and columns");
            return Err(self.refuse(problem));
        }
        let (p, height) = (windows.padding, windows.input[0]);
        let along = Windows {
            kernel: [1, columns],
            stride: [1, windows.stride[1]],
            padding: Padding {
                top: 0,
                bottom: 0,
                ..p
            },
            output: [height, windows.output[1]],
            ..windows
        };
        let down = Windows {
            input: along.output,
            kernel: [rows, 1],
            stride: [windows.stride[0], 1],
            padding: Padding {
                left: 0,
                right: 0,
                ..p
            },
            output: windows.output,
        };
        let best = self.add(Op::MaxPool(along), vec![x])?;
        self.add(Op::MaxPool(down), vec![best])
    }

    fn reshape(&mut self, x: ValueId, to: &[usize; 3]) -> Result<ValueId> {
        if product(to) != product(self.shape(x)) {
            let problem = format!("cannot turn {:?} into {to:?}", self.shape(x));
            return Err(self.refuse(problem));
        }
        let flat = vec![product(to)];
        let vector = self.add(Op::Reshape { to: flat }, vec![x])?;
        let vector = self.ordered(vector)?;
        self.add(Op::Reshape { to: to.to_vec() }, vec![vector])
    }

    fn dense(&mut self, x: ValueId, units: usize, bias: bool) -> Result<ValueId> {
        let fan_in = self.vector(x)?;
        let start = Start::Weight {
            fan_in,
            fan_out: units,
        };
        let weight = self.parameter("weight", vec![units, fan_in], start)?;
        let bias = match bias {
            true => Some(self.parameter("bias", vec![units], Start::Bias { fan_in })?),
            false => None,
        };
        self.count_macs(&[fan_in, units]);
        let relu = false;
        self.add(Op::Dense { weight, bias, relu }, vec![x])
    }

    fn batch_norm(&mut self, x: ValueId, eps: f32, momentum: f32) -> Result<ValueId> {
        if !(eps > 0.0 && momentum > 0.0 && momentum <= 1.0) {
            let problem = format!("eps {eps} must be above 0, momentum {momentum} in (0, 1]");
            return Err(self.refuse(problem));
        }
        let x = self.ordered(x)?;
        let channels = vec![self.shape(x)[0]];
        let constant = Start::Constant;
        let scale = self.parameter("weight", channels.clone(), constant(1.0))?;
        let shift = self.parameter("bias", channels.clone(), constant(0.0))?;
        let mean = self.buffer("running_mean", channels.clone(), constant(0.0))?;
        self.buffer("running_var", channels, constant(1.0))?;
        let op = Op::Norm {
            scale,
            shift,
            mean,
            eps,
            momentum,
            relu: false,
        };
        self.add(op, vec![x])
    }

    fn rbf(&mut self, x: ValueId, centers: &[Vec<f32>]) -> Result<ValueId> {
        let inputs = self.vector(x)?;
        if centers.iter().any(|center| center.len() != inputs) {
            return Err(self.refuse(format!("every center must have {inputs} coordinates")));
        }
        let x = self.ordered(x)?;
        let start = Start::Values(centers.concat());
        self.count_macs(&[centers.len(), inputs]);
        let centers = self.buffer("centres", vec![centers.len(), inputs], start)?;
        self.add(Op::Rbf { centers }, vec![x])
    }

    /// Zeros spread between the cells, then a convolution.
    fn transposed(
        &mut self,
        x: ValueId,
        [out, kernel, stride, padding]: [usize; 4],
    ) -> Result<ValueId> {
        let [channels, height, width] = self.maps(x)?;
        if kernel == 0 || stride == 0 || padding + stride > kernel {
            let problem = format!(
                "kernel {kernel} and stride {stride} must be at least 1, padding {padding} at most \
                 their difference"
            );
            return Err(self.refuse(problem));
        }
        let area = kernel * kernel;
        // As PyTorch counts the fans of its weight, [c, out, kernel, kernel].
        let (fan_in, fan_out) = (out * area, channels * area);
        let shape = vec![out, channels, kernel, kernel];
        let weight = self.parameter("weight", shape, Start::Weight { fan_in, fan_out })?;
        let bias = Some(self.parameter("bias", vec![out], Start::Bias { fan_in })?);
        self.count_macs(&[out, channels, area, height, width]);
        let spread = self.add(Op::Spread { stride }, vec![x])?;
        let before = kernel - 1 - padding;
        // The last row and column are already followed by zeros.
        let after = before + 1 - stride;
        let padding = Padding {
            top: before,
            bottom: after,
            left: before,
            right: after,
        };
        let [_, height, width] = self.maps(spread)?;
        let border = Border::Explicit(padding);
        let windows = self.windows([height, width], [kernel; 2], [1; 2], border)?;
        let op = Op::Conv {
            windows,
            weight,
            bias,
            connections: None,
            relu: false,
        };
        self.add(op, vec![spread])
    }

    fn convolution(
        &mut self,
        x: ValueId,
        out: usize,
        windows: Windows,
        bias: bool,
        connections: Option<&Vec<Vec<usize>>>,
    ) -> Result<ValueId> {
        let [channels, ..] = self.maps(x)?;
        let [rows, columns] = windows.kernel;
        let links = match connections {
            None => product(&[out, channels]),
            Some(table) => {
                let fits = table.len() == out && table.iter().flatten().all(|&map| map < channels);
                if !fits || table.iter().any(Vec::is_empty) {
                    let problem = format!(
                        "the connection table needs {out} rows of input maps below {channels}"
                    );
                    return Err(self.refuse(problem));
                }
                table.iter().map(Vec::len).sum()
            }
        };
        // Partly connected filters have differing fans; the mean is what a rule can use.
        let weights = product(&[links, rows * columns]);
        let fan_in = weights.div_ceil(out.max(1));
        let fan_out = weights.div_ceil(channels.max(1));
        let shape = vec![out, channels, rows, columns];
        let weight = self.parameter("weight", shape, Start::Weight { fan_in, fan_out })?;
        self.graph.parameters[weight].count = weights;
        let bias = match bias {
            true => Some(self.parameter("bias", vec![out], Start::Bias { fan_in })?),
            false => None,
        };
        self.count_macs(&[weights, windows.output[0], windows.output[1]]);
        let op = Op::Conv {
            windows,
            weight,
            bias,
            connections: connections.map(|table| Arc::new(table.clone())),
            relu: false,
        };
        self.add(op, vec![x])
    }
}
