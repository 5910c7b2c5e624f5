//! The intermediate representation: a network as operations on values with shapes.
//!
//! [`crate::ModelSpec::lower`] makes it; counts, summaries, exports and both executors read it. Passes
//! turn one graph into another: [`Graph::fused`] for plans that train, [`fold::fold`] for networks that are only
//! run.
//!
//! ```
//! use hw_models::graph::Op;
//! use hw_models::zoo;
//!
//! let graph = zoo::spec("lenet5", [1, 28, 28], 10)?.lower()?;
//! assert!(matches!(graph.nodes[0].op, Op::Conv { .. }));
//! assert_eq!(graph.values[graph.output].shape, [10]);
//! # Ok::<(), hw_models::ModelError>(())
//! ```

pub mod fold;
mod fuse;
mod group_norm;
pub mod image_op;
mod lower;
mod shape;

pub use fold::{Folded, Tensors};
pub use image_op::{Gradients, ImageOp};
pub use lower::{LoweredLayer, Lowering};

use crate::error::Result;
use crate::spec::ModelSpec;
use hw_kernels::{Activation, Padding, Windows};
use std::sync::Arc;

/// Index of a value in [`Graph::values`].
pub type ValueId = usize;
/// Index of a trainable tensor in [`Graph::parameters`].
pub type ParameterId = usize;
/// Index of a tensor that is kept but not trained in [`Graph::buffers`].
pub type BufferId = usize;

/// A network: its operations in an order in which they can run, and the tensors they use.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The declaration that it was lowered from.
    pub spec: ModelSpec,
    /// The declared layers with their names, shapes and counts.
    pub layers: Vec<LoweredLayer>,
    /// What operations read and write; number 0 is the input image.
    pub values: Vec<Value>,
    /// The operations; each value is written by exactly one, before any reads it.
    pub nodes: Vec<Node>,
    /// The trainable tensors.
    pub parameters: Vec<Parameter>,
    /// Moving statistics and fixed centers.
    pub buffers: Vec<Parameter>,
    /// The logits.
    pub output: ValueId,
}

/// Something that flows between operations, for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// `[channels, height, width]` or `[length]`.
    pub shape: Vec<usize>,
    /// The maps `[channels, height, width]` that a vector was flattened from, where executors with
    /// channels last hold its numbers in the order `[height, width, channels]`.
    pub maps: Option<[usize; 3]>,
}

impl Value {
    /// A value of this shape, in its own order.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self {
            shape: shape.into(),
            maps: None,
        }
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width; a vector is all channels.
    pub fn as_maps(&self) -> [usize; 3] {
        match self.shape[..] {
            [channels, height, width] => [channels, height, width],
            _ => [self.len(), 1, 1],
        }
    }
}

/// One operation at its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name of the layer that it belongs to; the last node of a layer writes the layer's output.
    pub layer: String,
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it writes.
    pub output: ValueId,
}

/// An operation on the values of one image, or of a batch where it says so.
#[derive(Clone, Debug)]
pub enum Op {
    /// Zeros around each map.
    Pad {
        /// Rows and columns added on each side.
        padding: Padding,
    },
    /// Cross-correlation, plus a bias; in folded graphs also plus a second input and ReLU.
    Conv {
        /// Where the windows lie.
        windows: Windows,
        /// `[outputs, channels, height, width]`.
        weight: ParameterId,
        /// `[outputs]`.
        bias: Option<ParameterId>,
        /// For each output, the channels that it reads; all if absent.
        connections: Option<Arc<Vec<Vec<usize>>>>,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// `y = w x + b`; in folded graphs also with ReLU.
    Dense {
        /// `[outputs, inputs]`.
        weight: ParameterId,
        /// `[outputs]`.
        bias: Option<ParameterId>,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// Batch normalization over the batch and the cells of a map; in fused graphs also plus a second
    /// input and ReLU.
    Norm {
        /// `[channels]`.
        scale: ParameterId,
        /// `[channels]`.
        shift: ParameterId,
        /// Moving mean, `[channels]`; the next buffer is the moving variance (biased).
        mean: BufferId,
        /// Added to the variance.
        eps: f32,
        /// Weight of the new batch in the moving statistics.
        momentum: f32,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// `y = scale x + shift` for each channel; in folded graphs also plus a second input and ReLU.
    Affine {
        /// `[channels]`.
        scale: ParameterId,
        /// `[channels]`.
        shift: ParameterId,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// A function of each number, or of each pixel's channels.
    Activation(Activation),
    /// Maximum over windows; padding never wins.
    MaxPool(Windows),
    /// Mean over windows; padding is not counted.
    MeanPool(Windows),
    /// Inverted dropout while training; its stream has the layer's name.
    Dropout {
        /// Fraction of numbers set to 0.
        rate: f32,
    },
    /// The same numbers in another shape, channel by channel; what becomes maps is in the order of its
    /// shape before ([`Op::ChannelsFirst`]).
    Reshape {
        /// The new shape.
        to: Vec<usize>,
    },
    /// The same numbers; executors with channels last put them in the order of the shape.
    ChannelsFirst,
    /// Each cell followed by `stride - 1` zeros in both directions.
    Spread {
        /// Growth of the map.
        stride: usize,
    },
    /// One level of the Haar wavelet transform; see [`crate::Layer::Haar`].
    Haar {
        /// Only the low bands.
        low_only: bool,
    },
    /// `y[k] = -|x - center[k]|² / 2`.
    Rbf {
        /// `[outputs, inputs]`.
        centers: BufferId,
    },
    /// The sum of two values.
    Add,
    /// The channels of the first input, then those of the second.
    Concat,
    /// An operation that is no built-in one, with its trainable tensors.
    Custom {
        /// What it does.
        op: Arc<dyn ImageOp>,
        /// The tensors that it is given, in this order.
        parameters: Vec<ParameterId>,
    },
}

/// A tensor of a network, before it has values.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Full name, `conv1.weight`; PyTorch's words.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it starts.
    pub start: Start,
    /// How many of its numbers take part (fewer than its size for a partly connected convolution).
    pub count: usize,
}

impl Parameter {
    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a tensor starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// By the model's initializer.
    Weight {
        /// Inputs of one unit.
        fan_in: usize,
        /// Outputs that one input reaches.
        fan_out: usize,
    },
    /// By the model's initializer's rule for biases.
    Bias {
        /// Inputs of one unit.
        fan_in: usize,
    },
    /// All the same number.
    Constant(f32),
    /// These numbers.
    Values(Vec<f32>),
}

impl Graph {
    /// A graph without operations on images `[channels, height, width]`, to be built by hand.
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        let spec = ModelSpec {
            name: name.into(),
            input,
            classes: 0,
            init: crate::Initializer::Torch,
            layers: Vec::new(),
        };
        Self::of(spec)
    }

    fn of(spec: ModelSpec) -> Self {
        Self {
            values: vec![Value::new(spec.input)],
            layers: Vec::new(),
            nodes: Vec::new(),
            parameters: Vec::new(),
            buffers: Vec::new(),
            output: 0,
            spec,
        }
    }

    /// Adds a trainable tensor.
    pub fn add_parameter(&mut self, parameter: Parameter) -> ParameterId {
        self.parameters.push(parameter);
        self.parameters.len() - 1
    }

    /// Adds a tensor that is not trained.
    pub fn add_buffer(&mut self, buffer: Parameter) -> BufferId {
        self.buffers.push(buffer);
        self.buffers.len() - 1
    }

    /// Adds an operation of `layer` that reads `inputs`; its output is the graph's until another is added.
    ///
    /// # Errors
    /// [`crate::ModelError::Layer`] when the operation cannot take those inputs.
    pub fn add(&mut self, layer: &str, op: Op, inputs: Vec<ValueId>) -> Result<ValueId> {
        let value = self.output_of(&op, &inputs);
        let value = value.map_err(|problem| self.refuse(layer, problem))?;
        self.values.push(value);
        let output = self.values.len() - 1;
        self.nodes.push(Node {
            layer: layer.into(),
            op,
            inputs,
            output,
        });
        self.output = output;
        Ok(output)
    }

    pub(crate) fn refuse(&self, layer: &str, problem: String) -> crate::ModelError {
        crate::ModelError::Layer {
            model: self.spec.name.clone(),
            layer: layer.into(),
            problem,
        }
    }

    /// How many operations read each value; the output is read once more.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        uses[self.output] += 1;
        for &value in self.nodes.iter().flat_map(|node| &node.inputs) {
            uses[value] += 1;
        }
        uses
    }

    /// The same network whose batch normalizations keep only what they see in the last batch, without
    /// dropout: what [statistics](crate::plan::Statistics) are measured by.
    pub fn for_statistics(&self) -> Self {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            match &mut node.op {
                Op::Norm { momentum, .. } => *momentum = 1.0,
                Op::Dropout { rate } => *rate = 0.0,
                _ => {}
            }
        }
        graph
    }

    /// Sets to 0 those `values` of a parameter that take no part: weights of a partly connected convolution
    /// between channels that it does not connect.
    pub fn drop_unconnected(&self, parameter: ParameterId, values: &mut [f32]) {
        let mut tables = self.nodes.iter().filter_map(|node| match &node.op {
            Op::Conv {
                weight,
                connections: Some(table),
                ..
            } if *weight == parameter => Some(table),
            _ => None,
        });
        if let Some(table) = tables.next() {
            let shape = &self.parameters[parameter].shape;
            let (channels, area) = (shape[1], shape[2] * shape[3]);
            for (index, field) in values.chunks_exact_mut(area).enumerate() {
                if !table[index / channels].contains(&(index % channels)) {
                    field.fill(0.0);
                }
            }
        }
    }

    /// Every layer in order, branches after the layer that has them.
    pub fn flat(&self) -> Vec<&LoweredLayer> {
        fn walk<'a>(layers: &'a [LoweredLayer], all: &mut Vec<&'a LoweredLayer>) {
            for layer in layers {
                all.push(layer);
                layer.branches.iter().flatten().for_each(|b| walk(b, all));
            }
        }
        let mut all = Vec::new();
        walk(&self.layers, &mut all);
        all
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.count).sum()
    }

    /// Number of kept but untrained numbers, such as batch-norm statistics.
    pub fn buffer_count(&self) -> usize {
        self.buffers.iter().map(|p| p.count).sum()
    }

    /// Multiply-accumulate operations of one image's forward pass.
    pub fn macs(&self) -> u64 {
        self.flat().iter().map(|l| l.macs).sum()
    }
}
