//! A network as a list of operations on values, channels last: what a plan is made from.

use crate::resolve::{Parameter, ResolvedLayer, ResolvedModel};
use crate::spec::{Border, Layer};
use hw_kernels::nhwc::Conv;
use hw_kernels::{Activation, Padding, Windows};

/// Index of a value in [`Graph::values`].
pub(super) type Value = usize;

/// The lengths and operations of a network, in the order of the forward pass.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Floats of each value, for one image.
    pub(super) values: Vec<usize>,
    pub(super) ops: Vec<Op>,
    pub(super) slots: Vec<Slot>,
    /// Moving statistics: name and length; a mean and the variance after it.
    pub(super) buffers: Vec<(String, usize)>,
    /// Floats of trainable memory, slots back to back.
    pub(super) weights: usize,
    pub(super) output: Value,
    /// Operations before this one are used by another branch as they are: nothing is fused onto them.
    fence: usize,
}

/// A trainable tensor and its place in flat memory.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: String,
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
    Conv { conv: Box<Conv> },
    /// `[outputs, (channel, pixel)]` as panels of `[(pixel, channel), output]`.
    Dense {
        conv: Box<Conv>,
        /// Pixels of the maps that were flattened; 1 if none were.
        pixels: usize,
    },
}

/// One operation; every value is written by exactly one.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Conv {
        x: Value,
        y: Value,
        conv: Conv,
        weight: usize,
        bias: Option<usize>,
        /// ReLU at once: in networks that are only run.
        relu: bool,
    },
    /// `y = bn(x) (+ side)`, with ReLU or without.
    Norm {
        x: Value,
        y: Value,
        side: Option<Value>,
        relu: bool,
        scale: usize,
        shift: usize,
        /// Index of the moving mean in the buffers; the variance follows.
        moving: usize,
        eps: f32,
        momentum: f32,
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
}

impl Op {
    pub(super) fn output(&self) -> Value {
        match *self {
            Self::Conv { y, .. }
            | Self::Norm { y, .. }
            | Self::Act { y, .. }
            | Self::MaxPool { y, .. }
            | Self::MeanPool { y, .. }
            | Self::Add { y, .. }
            | Self::Dropout { y, .. } => y,
        }
    }

    pub(super) fn inputs(&self) -> Vec<Value> {
        match *self {
            Self::Conv { x, .. }
            | Self::Act { x, .. }
            | Self::MaxPool { x, .. }
            | Self::MeanPool { x, .. }
            | Self::Dropout { x, .. } => vec![x],
            Self::Norm { x, side, .. } => [Some(x), side].into_iter().flatten().collect(),
            Self::Add { a, b, .. } => vec![a, b],
        }
    }
}

/// Whether a function never falls, so that the largest input gives the largest output.
fn monotone(function: Activation) -> bool {
    use Activation as A;
    match function {
        A::Relu | A::Elu { .. } | A::Selu | A::Sigmoid | A::Tanh => true,
        A::ScaledTanh | A::Softsign | A::Identity => true,
        A::LeakyRelu { slope } => slope >= 0.0,
        _ => false,
    }
}

/// What is known of a value while layers are lowered.
#[derive(Clone, Debug)]
struct Maps {
    value: Value,
    /// Channels, height, width; after flattening all is channels.
    shape: [usize; 3],
    /// Pixels of the maps that were flattened.
    pixels: usize,
    /// Zeros around the maps that only the next convolution sees.
    pad: Padding,
}

impl Graph {
    /// The operations of `model`, or the name of the first layer that plans do not know.
    pub(super) fn new(model: &ResolvedModel) -> Result<Self, String> {
        let [c, h, w] = model.spec.input;
        let mut graph = Self::default();
        let value = graph.value(c * h * w);
        let mut maps = Maps {
            value,
            shape: [c, h, w],
            pixels: 1,
            pad: Padding::default(),
        };
        graph.chain(&model.layers, &mut maps)?;
        graph.output = maps.value;
        Ok(graph)
    }

    pub(super) fn value(&mut self, len: usize) -> Value {
        self.values.push(len);
        self.values.len() - 1
    }

    fn slot(&mut self, parameter: &Parameter, len: usize, layout: Layout) -> usize {
        self.slots.push(Slot {
            name: parameter.name.clone(),
            start: self.weights,
            len,
            layout,
        });
        // Every slot starts on a cache line.
        self.weights += len.next_multiple_of(16);
        self.slots.len() - 1
    }

    fn plain(&mut self, parameter: &Parameter) -> usize {
        let len = parameter.shape.iter().product();
        self.slot(parameter, len, Layout::Plain)
    }

    fn chain(&mut self, layers: &[ResolvedLayer], maps: &mut Maps) -> Result<(), String> {
        let mut rest = layers;
        while let [layer, after @ ..] = rest {
            rest = after;
            // max(f(x)) = f(max(x)) for a function that never falls, and there are fewer maxima.
            if let (Layer::Activation { function }, Some(next)) = (&layer.layer, rest.first())
                && matches!(next.layer, Layer::MaxPool { .. })
                && monotone(*function)
            {
                self.layer(next, maps)?;
                rest = &rest[1..];
            }
            self.layer(layer, maps)?;
        }
        match (maps.pad == Padding::default(), layers.last()) {
            (false, Some(last)) => Err(last.name.clone()),
            _ => Ok(()),
        }
    }

    fn layer(&mut self, layer: &ResolvedLayer, maps: &mut Maps) -> Result<(), String> {
        let x = maps.value;
        let [c, h, w] = maps.shape;
        let pad = std::mem::take(&mut maps.pad);
        let takes_pad = match &layer.branches {
            // Both branches begin with a convolution, or refuse it themselves.
            Some([_, shortcut]) => !shortcut.is_empty(),
            None => matches!(layer.layer, Layer::Conv { .. } | Layer::Pad { .. }),
        };
        if pad != Padding::default() && !takes_pad {
            return Err(layer.name.clone());
        }
        match &layer.layer {
            Layer::Pad { padding } => {
                maps.pad = around(pad, *padding);
            }
            Layer::Conv {
                kernel,
                stride,
                padding,
                connections: None,
                ..
            } => {
                let padded = [h + pad.top + pad.bottom, w + pad.left + pad.right];
                let mut windows = windows(*kernel, *stride, *padding, padded, layer);
                windows.input = [h, w];
                windows.padding = around(pad, windows.padding);
                let conv = Conv::new(c, layer.output[0], windows).with_winograd();
                let layout = Layout::Conv {
                    conv: Box::new(conv.clone()),
                };
                self.conv(layer, conv, layout, maps);
            }
            Layer::Dense { .. } => {
                let conv = Conv::dense(c * h * w, layer.output[0]);
                let layout = Layout::Dense {
                    conv: Box::new(conv.clone()),
                    pixels: maps.pixels,
                };
                maps.pixels = 1;
                self.conv(layer, conv, layout, maps);
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
                let windows = windows(*kernel, *stride, *padding, [h, w], layer);
                let max = matches!(layer.layer, Layer::MaxPool { .. });
                if max && windows.kernel_size() > 255 {
                    return Err(layer.name.clone());
                }
                self.pool(max, windows, maps);
            }
            Layer::GlobalAvgPool => {
                let windows = Windows {
                    input: [h, w],
                    kernel: [h, w],
                    stride: [1, 1],
                    padding: Default::default(),
                    output: [1, 1],
                };
                self.pool(false, windows, maps);
            }
            Layer::Flatten => {
                maps.pixels = h * w;
                maps.shape = [c * h * w, 1, 1];
            }
            // One map's cells have the same order in both layouts.
            Layer::Reshape { to } if maps.pixels == 1 && to[0] == 1 && [h, w] == [1, 1] => {
                maps.shape = *to;
            }
            Layer::BatchNorm { eps, momentum } if maps.pixels == 1 => {
                let y = self.value(c * h * w);
                let [scale, shift] = [0, 1].map(|i| self.plain(&layer.parameters[i]));
                let moving = self.buffers.len();
                for buffer in &layer.buffers {
                    self.buffers.push((buffer.name.clone(), c));
                }
                self.ops.push(Op::Norm {
                    x,
                    y,
                    side: None,
                    relu: false,
                    scale,
                    shift,
                    moving,
                    eps: *eps,
                    momentum: *momentum,
                });
                maps.value = y;
            }
            Layer::Activation { function } => self.activation(*function, layer, maps)?,
            Layer::Dropout { rate } => {
                let y = self.value(c * h * w);
                self.ops.push(Op::Dropout {
                    x,
                    y,
                    rate: *rate,
                    name: layer.name.clone(),
                });
                maps.value = y;
            }
            Layer::Residual { .. } => {
                let Some([body, shortcut]) = &layer.branches else {
                    return Err(layer.name.clone());
                };
                self.fence = self.ops.len();
                maps.pad = pad;
                let mut side = maps.clone();
                self.chain(shortcut, &mut side)?;
                self.fence = self.ops.len();
                self.chain(body, maps)?;
                self.join(side.value, maps);
            }
            _ => return Err(layer.name.clone()),
        }
        Ok(())
    }

    fn conv(&mut self, layer: &ResolvedLayer, conv: Conv, layout: Layout, maps: &mut Maps) {
        let weight = self.slot(&layer.parameters[0], conv.panels().len(), layout);
        let bias = layer.parameters.get(1).map(|bias| self.plain(bias));
        let y = self.value(conv.output_len());
        let [oh, ow] = conv.windows.output;
        maps.shape = [conv.outputs, oh, ow];
        self.ops.push(Op::Conv {
            x: maps.value,
            y,
            conv,
            weight,
            bias,
            relu: false,
        });
        maps.value = y;
    }

    fn pool(&mut self, max: bool, windows: Windows, maps: &mut Maps) {
        let channels = maps.shape[0];
        let (x, y) = (maps.value, self.value(channels * windows.output_size()));
        maps.shape = [channels, windows.output[0], windows.output[1]];
        maps.value = y;
        self.ops.push(if max {
            Op::MaxPool {
                x,
                y,
                channels,
                windows,
            }
        } else {
            Op::MeanPool {
                x,
                y,
                channels,
                windows,
            }
        });
    }

    fn activation(
        &mut self,
        function: Activation,
        layer: &ResolvedLayer,
        maps: &mut Maps,
    ) -> Result<(), String> {
        if function == Activation::Identity {
            return Ok(());
        }
        if function == Activation::Softmax {
            return Err(layer.name.clone());
        }
        // ReLU after batch normalisation costs nothing in the same pass.
        let last = self.ops[self.fence..].last_mut();
        if let (Activation::Relu, Some(Op::Norm { y, relu, .. })) = (function, last)
            && *y == maps.value
        {
            *relu = true;
            return Ok(());
        }
        let x = maps.value;
        let y = self.value(self.values[x]);
        self.ops.push(Op::Act { x, y, function });
        maps.value = y;
        Ok(())
    }

    /// `maps + side`, in the pass of the body's last batch normalisation if that is what it ends in.
    fn join(&mut self, other: Value, maps: &mut Maps) {
        let last = self.ops[self.fence..].last_mut();
        if let Some(Op::Norm { y, side, relu, .. }) = last
            && *y == maps.value
            && side.is_none()
            && !*relu
        {
            *side = Some(other);
            return;
        }
        let y = self.value(self.values[other]);
        self.ops.push(Op::Add {
            a: maps.value,
            b: other,
            y,
        });
        maps.value = y;
    }
}

/// Both paddings together.
fn around(a: Padding, b: Padding) -> Padding {
    Padding {
        top: a.top + b.top,
        bottom: a.bottom + b.bottom,
        left: a.left + b.left,
        right: a.right + b.right,
    }
}

fn windows(
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Border,
    input: [usize; 2],
    layer: &ResolvedLayer,
) -> Windows {
    Windows {
        input,
        kernel,
        stride,
        padding: padding.resolve(input, kernel, stride),
        output: [layer.output[1], layer.output[2]],
    }
}

impl Slot {
    /// Flat memory from the file format's values.
    pub(super) fn pack(&self, values: &[f32], flat: &mut [f32]) {
        let flat = &mut flat[self.start..self.start + self.len];
        match &self.layout {
            Layout::Plain => flat.copy_from_slice(values),
            Layout::Conv { conv } => {
                let taps = conv.taps();
                conv.panels()
                    .fill(flat, |row, o| values[o * taps + channels_first(conv, row)]);
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
            Layout::Conv { conv } => (conv, Box::new(|row| channels_first(conv, row))),
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
