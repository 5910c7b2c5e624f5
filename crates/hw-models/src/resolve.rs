//! From a list of layers to names, shapes, parameters and work, checked once.

use crate::error::{ModelError, Result};
use crate::spec::{Layer, ModelSpec};
use std::collections::HashMap;

/// A model whose every layer fits the one before it.
#[derive(Clone, Debug)]
pub struct ResolvedModel {
    /// The declaration this came from.
    pub spec: ModelSpec,
    /// The layers in order.
    pub layers: Vec<ResolvedLayer>,
}

/// One layer with everything that follows from its place in the network.
#[derive(Clone, Debug)]
pub struct ResolvedLayer {
    /// Unique name: kind and number, `conv1`, `res2.body.bn1`.
    pub name: String,
    /// The declaration.
    pub layer: Layer,
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// Shape of one output, without the batch.
    pub output: Vec<usize>,
    /// Trainable tensors.
    pub parameters: Vec<Parameter>,
    /// Tensors that are kept but not trained: moving statistics, fixed centres.
    pub buffers: Vec<Parameter>,
    /// Multiply-accumulate operations for one image: convolutions, affine and RBF layers only.
    pub macs: u64,
    /// The two branches of a residual or concatenating layer.
    pub branches: Option<[Vec<ResolvedLayer>; 2]>,
}

/// A tensor of a layer, before it has values.
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

/// How a tensor starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// By the model's initialiser.
    Weight {
        /// Inputs of one unit.
        fan_in: usize,
        /// Outputs that one input reaches.
        fan_out: usize,
    },
    /// By the model's initialiser's rule for biases.
    Bias {
        /// Inputs of one unit.
        fan_in: usize,
    },
    /// All the same number.
    Constant(f32),
    /// These numbers.
    Values(Vec<f32>),
}

impl ModelSpec {
    /// Checks every layer against the one before it and works out shapes, parameters and MACs.
    ///
    /// # Errors
    /// [`ModelError::Layer`] naming the first layer that does not fit, [`ModelError::Output`] when
    /// the network does not end in one logit a class.
    pub fn resolve(&self) -> Result<ResolvedModel> {
        let mut resolver = Resolver {
            model: &self.name,
            counts: HashMap::new(),
        };
        if product(&self.input) > MOST_NUMBERS {
            let problem = format!("{:?} is too large for an image", self.input);
            return Err(resolver.refuse("input", problem));
        }
        let (layers, shape) = resolver.chain("", &self.layers, self.input.to_vec())?;
        if shape != [self.classes] || self.classes < 2 {
            return Err(ModelError::Output {
                model: self.name.clone(),
                shape,
                classes: self.classes,
            });
        }
        Ok(ResolvedModel {
            spec: self.clone(),
            layers,
        })
    }
}

impl ResolvedModel {
    /// Every layer in order, branches of residual layers included after their parent.
    pub fn flat(&self) -> Vec<&ResolvedLayer> {
        fn walk<'a>(layers: &'a [ResolvedLayer], all: &mut Vec<&'a ResolvedLayer>) {
            for layer in layers {
                all.push(layer);
                for branch in layer.branches.iter().flatten() {
                    walk(branch, all);
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.layers, &mut all);
        all
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        self.flat()
            .iter()
            .flat_map(|l| &l.parameters)
            .map(|p| p.count)
            .sum()
    }

    /// Number of kept but untrained numbers, such as batch-norm statistics.
    pub fn buffer_count(&self) -> usize {
        self.flat()
            .iter()
            .flat_map(|l| &l.buffers)
            .map(|p| p.count)
            .sum()
    }

    /// Multiply-accumulate operations of one image's forward pass.
    pub fn macs(&self) -> u64 {
        self.flat().iter().map(|l| l.macs).sum()
    }
}

/// The largest number that a layer may ask for (filters, windows, borders, units): what one asks for by
/// mistake is far above it, and sums and products of two stay countable.
const MOST: usize = 1 << 20;

/// The most weights in a tensor, and the most numbers in one image's maps.
const MOST_NUMBERS: usize = 1 << 31;

/// Saturates, so that a size beyond all memory is still a size.
fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |all, &size| all.saturating_mul(size))
}

struct Resolver<'a> {
    model: &'a str,
    counts: HashMap<String, usize>,
}

/// What a layer turns its input into.
#[derive(Default)]
struct Effect {
    output: Vec<usize>,
    parameters: Vec<Parameter>,
    buffers: Vec<Parameter>,
    macs: u64,
    branches: Option<[Vec<ResolvedLayer>; 2]>,
}

impl Resolver<'_> {
    fn chain(
        &mut self,
        prefix: &str,
        layers: &[Layer],
        mut shape: Vec<usize>,
    ) -> Result<(Vec<ResolvedLayer>, Vec<usize>)> {
        let mut resolved = Vec::with_capacity(layers.len());
        for layer in layers {
            let stem = format!("{prefix}{}", layer.kind());
            let number = self.counts.entry(stem.clone()).or_insert(0);
            *number += 1;
            let name = format!("{stem}{number}");
            if let Some(asked) = layer.sizes().into_iter().find(|&size| size > MOST) {
                return Err(self.refuse(&name, format!("{asked} is too large; at most {MOST}")));
            }
            let effect = self.effect(&name, layer, &shape)?;
            self.check_memory(&name, &effect)?;
            if effect.output.contains(&0) {
                return Err(self.refuse(&name, format!("nothing is left of an input {shape:?}")));
            }
            let input = std::mem::replace(&mut shape, effect.output.clone());
            resolved.push(ResolvedLayer {
                name,
                layer: layer.clone(),
                input,
                output: effect.output,
                parameters: effect.parameters,
                buffers: effect.buffers,
                macs: effect.macs,
                branches: effect.branches,
            });
        }
        Ok((resolved, shape))
    }

    fn check_memory(&self, name: &str, effect: &Effect) -> Result<()> {
        let tensors = effect.parameters.iter().chain(&effect.buffers);
        let shapes = tensors.map(|tensor| ("a tensor", &tensor.shape));
        for (what, shape) in shapes.chain([("maps", &effect.output)]) {
            if product(shape) > MOST_NUMBERS {
                let problem = format!("{what} of {shape:?} would be too large to hold");
                return Err(self.refuse(name, problem));
            }
        }
        Ok(())
    }

    fn refuse(&self, layer: &str, problem: String) -> ModelError {
        ModelError::Layer {
            model: self.model.into(),
            layer: layer.into(),
            problem,
        }
    }

    fn maps(&self, name: &str, shape: &[usize]) -> Result<[usize; 3]> {
        <[usize; 3]>::try_from(shape).map_err(|_| {
            self.refuse(
                name,
                format!("needs maps (channels, height, width), gets shape {shape:?}"),
            )
        })
    }

    fn vector(&self, name: &str, shape: &[usize]) -> Result<usize> {
        match shape {
            [length] => Ok(*length),
            _ => Err(self.refuse(
                name,
                format!("needs a vector, gets {shape:?}; flatten it first"),
            )),
        }
    }

    fn window(
        &self,
        name: &str,
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        border: crate::spec::Border,
    ) -> Result<[usize; 2]> {
        if kernel.contains(&0) || stride.contains(&0) {
            return Err(self.refuse(name, "kernel and stride must be at least 1".into()));
        }
        let pad = border.resolve(size, kernel, stride);
        let padded = [
            size[0] + pad.top + pad.bottom,
            size[1] + pad.left + pad.right,
        ];
        if padded[0] < kernel[0] || padded[1] < kernel[1] {
            let problem = format!("a window of {kernel:?} does not fit a padded map of {padded:?}");
            return Err(self.refuse(name, problem));
        }
        Ok([
            (padded[0] - kernel[0]) / stride[0] + 1,
            (padded[1] - kernel[1]) / stride[1] + 1,
        ])
    }

    fn effect(&mut self, name: &str, layer: &Layer, shape: &[usize]) -> Result<Effect> {
        let reshaped = |output: Vec<usize>| Effect {
            output,
            ..Effect::default()
        };
        match layer {
            Layer::Pad { padding } => {
                let [c, h, w] = self.maps(name, shape)?;
                let h = h + padding.top + padding.bottom;
                Ok(reshaped(vec![c, h, w + padding.left + padding.right]))
            }
            Layer::Conv { .. } => self.convolution(name, layer, shape),
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
                let [c, h, w] = self.maps(name, shape)?;
                let [h, w] = self.window(name, [h, w], *kernel, *stride, *padding)?;
                Ok(reshaped(vec![c, h, w]))
            }
            Layer::GlobalAvgPool => Ok(reshaped(vec![self.maps(name, shape)?[0]])),
            Layer::Subsample { kernel } => {
                let [c, h, w] = self.maps(name, shape)?;
                let size = [*kernel; 2];
                let [h, w] = self.window(name, [h, w], size, size, crate::spec::Border::Valid)?;
                let parameters = vec![
                    constant(name, "coefficient", vec![c], 1.0),
                    constant(name, "bias", vec![c], 0.0),
                ];
                Ok(Effect {
                    output: vec![c, h, w],
                    parameters,
                    ..Effect::default()
                })
            }
            Layer::Flatten => Ok(reshaped(vec![product(shape)])),
            Layer::Reshape { to } => {
                if product(to) != product(shape) {
                    return Err(self.refuse(name, format!("cannot turn {shape:?} into {to:?}")));
                }
                Ok(reshaped(to.to_vec()))
            }
            Layer::Dense { units, bias } => {
                let inputs = self.vector(name, shape)?;
                let start = Start::Weight {
                    fan_in: inputs,
                    fan_out: *units,
                };
                let mut parameters = vec![tensor(name, "weight", vec![*units, inputs], start)];
                if *bias {
                    let start = Start::Bias { fan_in: inputs };
                    parameters.push(tensor(name, "bias", vec![*units], start));
                }
                let macs = product(&[inputs, *units]) as u64;
                Ok(Effect {
                    output: vec![*units],
                    parameters,
                    macs,
                    ..Effect::default()
                })
            }
            Layer::BatchNorm { eps, momentum } => {
                if !(*eps > 0.0 && *momentum > 0.0 && *momentum <= 1.0) {
                    let problem =
                        format!("eps {eps} must be above 0, momentum {momentum} in (0, 1]");
                    return Err(self.refuse(name, problem));
                }
                let channels = shape.first().copied().unwrap_or(0);
                let with = |what, value| constant(name, what, vec![channels], value);
                Ok(Effect {
                    output: shape.to_vec(),
                    parameters: vec![with("weight", 1.0), with("bias", 0.0)],
                    buffers: vec![with("running_mean", 0.0), with("running_var", 1.0)],
                    ..Effect::default()
                })
            }
            Layer::Activation { .. } => Ok(reshaped(shape.to_vec())),
            Layer::Dropout { rate } => {
                if !(0.0..1.0).contains(rate) {
                    let problem = format!("dropout rate {rate} is not in [0, 1)");
                    return Err(self.refuse(name, problem));
                }
                Ok(reshaped(shape.to_vec()))
            }
            Layer::Rbf { centres } => {
                let inputs = self.vector(name, shape)?;
                if centres.iter().any(|centre| centre.len() != inputs) {
                    let problem = format!("every centre must have {inputs} coordinates");
                    return Err(self.refuse(name, problem));
                }
                let start = Start::Values(centres.concat());
                Ok(Effect {
                    output: vec![centres.len()],
                    buffers: vec![tensor(name, "centres", vec![centres.len(), inputs], start)],
                    macs: (centres.len() * inputs) as u64,
                    ..Effect::default()
                })
            }
            Layer::ConvTranspose {
                out,
                kernel,
                stride,
                padding,
            } => self.transposed(name, shape, [*out, *kernel, *stride, *padding]),
            Layer::Haar { low_only } => {
                let [c, h, w] = self.maps(name, shape)?;
                let bands = if *low_only { 1 } else { 4 };
                Ok(reshaped(vec![bands * c, h.div_ceil(2), w.div_ceil(2)]))
            }
            Layer::Concat { first, second } => {
                let (first, one) = self.chain(&format!("{name}.first."), first, shape.to_vec())?;
                let (second, two) =
                    self.chain(&format!("{name}.second."), second, shape.to_vec())?;
                let ([c, h, w], [more, high, wide]) =
                    (self.maps(name, &one)?, self.maps(name, &two)?);
                if [h, w] != [high, wide] {
                    let problem = format!("the branches end in {one:?} and {two:?}");
                    return Err(self.refuse(name, problem));
                }
                let branches = Some([first, second]);
                Ok(Effect {
                    output: vec![c + more, h, w],
                    branches,
                    ..Effect::default()
                })
            }
            Layer::Residual { body, shortcut } => {
                let (body, out) = self.chain(&format!("{name}.body."), body, shape.to_vec())?;
                let (shortcut, side) =
                    self.chain(&format!("{name}.shortcut."), shortcut, shape.to_vec())?;
                if out != side {
                    let problem = format!("the branches end in {out:?} and {side:?}");
                    return Err(self.refuse(name, problem));
                }
                let branches = Some([body, shortcut]);
                Ok(Effect {
                    output: out,
                    branches,
                    ..Effect::default()
                })
            }
        }
    }

    fn transposed(
        &self,
        name: &str,
        shape: &[usize],
        [out, kernel, stride, padding]: [usize; 4],
    ) -> Result<Effect> {
        let [channels, h, w] = self.maps(name, shape)?;
        if kernel == 0 || stride == 0 || padding + stride > kernel {
            let problem = format!(
                "kernel {kernel} and stride {stride} must be at least 1, padding {padding} at most \
                 their difference"
            );
            return Err(self.refuse(name, problem));
        }
        let area = kernel * kernel;
        // As PyTorch counts the fans of its weight, [c, out, kernel, kernel].
        let (fan_in, fan_out) = (out * area, channels * area);
        let weight = vec![out, channels, kernel, kernel];
        let grown = |size: usize| (size - 1) * stride + kernel - 2 * padding;
        Ok(Effect {
            output: vec![out, grown(h), grown(w)],
            parameters: vec![
                tensor(name, "weight", weight, Start::Weight { fan_in, fan_out }),
                tensor(name, "bias", vec![out], Start::Bias { fan_in }),
            ],
            macs: product(&[out, channels, area, h, w]) as u64,
            ..Effect::default()
        })
    }

    fn convolution(&self, name: &str, layer: &Layer, shape: &[usize]) -> Result<Effect> {
        let Layer::Conv {
            out,
            kernel,
            stride,
            padding,
            bias,
            connections,
        } = layer
        else {
            return Err(self.refuse(name, "is no convolution".into()));
        };
        let [channels, h, w] = self.maps(name, shape)?;
        let [oh, ow] = self.window(name, [h, w], *kernel, *stride, *padding)?;
        let area = kernel[0] * kernel[1];
        let links = match connections {
            None => product(&[*out, channels]),
            Some(table) => {
                let fits = table.len() == *out && table.iter().flatten().all(|&map| map < channels);
                if !fits || table.iter().any(Vec::is_empty) {
                    let problem = format!(
                        "the connection table needs {out} rows of input maps below {channels}"
                    );
                    return Err(self.refuse(name, problem));
                }
                table.iter().map(Vec::len).sum()
            }
        };
        // Partly connected filters have differing fans; the mean is what a rule can use.
        let weights = product(&[links, area]);
        let fan_in = weights.div_ceil((*out).max(1));
        let fan_out = weights.div_ceil(channels.max(1));
        let shape = vec![*out, channels, kernel[0], kernel[1]];
        let mut weight = tensor(name, "weight", shape, Start::Weight { fan_in, fan_out });
        weight.count = weights;
        let mut parameters = vec![weight];
        if *bias {
            parameters.push(tensor(name, "bias", vec![*out], Start::Bias { fan_in }));
        }
        let macs = product(&[weights, oh, ow]) as u64;
        Ok(Effect {
            output: vec![*out, oh, ow],
            parameters,
            macs,
            ..Effect::default()
        })
    }
}

fn tensor(layer: &str, what: &str, shape: Vec<usize>, start: Start) -> Parameter {
    let count = product(&shape);
    Parameter {
        name: format!("{layer}.{what}"),
        shape,
        start,
        count,
    }
}

fn constant(layer: &str, what: &str, shape: Vec<usize>, value: f32) -> Parameter {
    tensor(layer, what, shape, Start::Constant(value))
}
