//! The reference executor: a graph on candle's tensors, operation by operation, with gradients by its
//! tape. It says what is right, on any device and in f32 or f64; plans say it fast.

use crate::error::Result;
use crate::executor::Executor;
use crate::frozen::Frozen;
use crate::graph::{Graph, Node, Op, Parameter, ParameterId, Start, Tensors};
use crate::loss::{self, LossFunction, StepResult};
use crate::spec::ModelSpec;
use candle_core::{DType, Device, Tensor, Var};
use hw_core::Rng;
use hw_kernels::{Conv2dConfig, Pool2dConfig, Windows};

/// Whether a forward pass is part of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Moving batch-norm statistics, no dropout.
    Eval,
    /// The batch's own statistics, and dropout whose masks follow from this seed.
    Train {
        /// One number for every training step.
        dropout_seed: u64,
    },
    /// The batch's own statistics, which also replace the moving ones, and no dropout: from the
    /// statistics of several batches follow those of the weights as they are.
    Statistics,
}

/// A network: its graph, its trainable variables and its buffers, in the graph's order.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    parameters: Vec<(String, Var)>,
    buffers: Vec<(String, Var)>,
    /// For each node, the 0/1 mask of a partly connected convolution.
    masks: Vec<Option<Tensor>>,
    device: Device,
    dtype: DType,
}

type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor);

/// The first numbers of a tensor, drawn from `seed`; each tensor has its own random stream, so that
/// changing one layer leaves the start of all others alone.
pub fn initial_values(spec: &ModelSpec, seed: u64, tensor: &Parameter) -> Vec<f32> {
    let mut rng = Rng::stream(seed, &format!("init/{}", tensor.name), 0);
    let size = tensor.len();
    match &tensor.start {
        Start::Weight { fan_in, fan_out } => spec.init.weights(&mut rng, size, *fan_in, *fan_out),
        Start::Bias { fan_in } => spec.init.biases(&mut rng, size, *fan_in),
        Start::Constant(value) => vec![*value; size],
        Start::Values(values) => values.clone(),
    }
}

/// [`initial_values`] of a graph's parameter; those that take no part are 0.
pub(crate) fn initial_parameter(graph: &Graph, seed: u64, index: ParameterId) -> Vec<f32> {
    let mut values = initial_values(&graph.spec, seed, &graph.parameters[index]);
    graph.drop_unconnected(index, &mut values);
    values
}

impl Tensors {
    /// Fresh tensors drawn from `seed`.
    pub fn initial(graph: &Graph, seed: u64) -> Self {
        let parameters = 0..graph.parameters.len();
        let buffers = graph.buffers.iter();
        Self {
            parameters: parameters
                .map(|i| initial_parameter(graph, seed, i))
                .collect(),
            buffers: buffers
                .map(|b| initial_values(&graph.spec, seed, b))
                .collect(),
        }
    }
}

impl Network {
    /// A network with fresh weights drawn from `seed`, in f32.
    ///
    /// # Errors
    /// As [`ModelSpec::lower`].
    pub fn new(spec: &ModelSpec, seed: u64, device: &Device) -> Result<Self> {
        Self::with_dtype(spec, seed, device, DType::F32)
    }

    /// [`Self::new`] with tensors of another type of floats; the draws are the same.
    ///
    /// # Errors
    /// As [`ModelSpec::lower`].
    pub fn with_dtype(spec: &ModelSpec, seed: u64, device: &Device, dtype: DType) -> Result<Self> {
        let graph = spec.lower()?;
        let tensors = Tensors::initial(&graph, seed);
        Self::with_tensors(graph, &tensors, device, dtype)
    }

    /// A network with these tensors.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor has not as many numbers as the graph says.
    pub fn from_tensors(graph: Graph, tensors: &Tensors, device: &Device) -> Result<Self> {
        Self::with_tensors(graph, tensors, device, DType::F32)
    }

    /// [`Self::from_tensors`] in another type of floats.
    ///
    /// # Errors
    /// As there.
    pub fn with_tensors(
        graph: Graph,
        tensors: &Tensors,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let make = |list: &[Parameter], values: &[Vec<f32>]| -> Result<Vec<(String, Var)>> {
            let pairs = list.iter().zip(values);
            pairs
                .map(|(tensor, values)| {
                    let values = Tensor::from_slice(values, tensor.shape.as_slice(), device)?;
                    Ok((
                        tensor.name.clone(),
                        Var::from_tensor(&values.to_dtype(dtype)?)?,
                    ))
                })
                .collect()
        };
        let masks = graph
            .nodes
            .iter()
            .map(|node| mask(&graph, node, device, dtype));
        Ok(Self {
            parameters: make(&graph.parameters, &tensors.parameters)?,
            buffers: make(&graph.buffers, &tensors.buffers)?,
            masks: masks.collect::<Result<_>>()?,
            device: device.clone(),
            dtype,
            graph,
        })
    }

    /// A copy that shares no memory with it.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be read.
    pub fn copy(&self) -> Result<Self> {
        Self::with_tensors(
            self.graph.clone(),
            &self.tensors()?,
            &self.device,
            self.dtype,
        )
    }

    /// The declaration.
    pub fn spec(&self) -> &ModelSpec {
        &self.graph.spec
    }

    /// What it runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where the tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The trainable variables, in the order of [`Graph::parameters`].
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Moving statistics and fixed centers, in the order of [`Graph::buffers`].
    pub fn buffers(&self) -> &[(String, Var)] {
        &self.buffers
    }

    /// The numbers of all tensors, as f32.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be copied from its device.
    pub fn tensors(&self) -> Result<Tensors> {
        let all = |list: &[(String, Var)]| -> Result<Vec<Vec<f32>>> {
            list.iter().map(|(_, var)| numbers(var)).collect()
        };
        Ok(Tensors {
            parameters: all(&self.parameters)?,
            buffers: all(&self.buffers)?,
        })
    }

    /// Logits `[n, classes]` of images `[n, c, h, w]`. In training mode the moving statistics of
    /// batch normalization are updated, in [`Mode::Statistics`] replaced.
    ///
    /// # Errors
    /// [`crate::ModelError::Layer`] when the images do not have the model's input shape.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        self.run(images, mode, None)
    }

    /// Like [`Self::forward`], showing each layer's name and output to `observer` and leaving the
    /// moving statistics alone.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn observe(&self, images: &Tensor, mode: Mode, observer: Observer<'_>) -> Result<Tensor> {
        self.run(images, mode, Some(observer))
    }

    /// The first parameter, buffer or layer output that is not finite on these images, if any.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn first_non_finite(&self, images: &Tensor, mode: Mode) -> Result<Option<String>> {
        for (name, var) in self.parameters.iter().chain(&self.buffers) {
            if !all_finite(var)? {
                return Ok(Some(name.clone()));
            }
        }
        let mut found = None;
        let mut failure = None;
        self.observe(images, mode, &mut |name, output| match all_finite(output) {
            Ok(true) => {}
            Ok(false) => {
                found.get_or_insert_with(|| name.to_string());
            }
            Err(error) => failure = Some(error),
        })?;
        failure.map_or(Ok(found), Err)
    }

    fn run(
        &self,
        images: &Tensor,
        mode: Mode,
        mut observer: Option<Observer<'_>>,
    ) -> Result<Tensor> {
        let (_, c, h, w) = images.dims4()?;
        self.spec().check_input([c, h, w])?;
        let mut left = self.graph.uses();
        let mut values: Vec<Option<Tensor>> = vec![None; self.graph.values.len()];
        values[0] = Some(images.to_dtype(self.dtype)?);
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let inputs = node.inputs.iter().map(|&input| {
                left[input] -= 1;
                // Its memory is free as soon as no one else reads it.
                let value = match left[input] {
                    0 => values[input].take(),
                    _ => values[input].clone(),
                };
                value.expect("values are written before they are read")
            });
            let inputs: Vec<Tensor> = inputs.collect();
            let output = self.node(index, node, &inputs, mode, observer.is_some())?;
            let last = self.graph.nodes.get(index + 1);
            if let Some(observer) = &mut observer
                && last.is_none_or(|next| next.layer != node.layer)
            {
                observer(&node.layer, &output);
            }
            values[node.output] = Some(output);
        }
        let logits = values[self.graph.output].take();
        Ok(logits.expect("the output is an operation's, or the image"))
    }

    fn parameter(&self, index: usize) -> &Tensor {
        self.parameters[index].1.as_tensor()
    }

    fn node(
        &self,
        index: usize,
        node: &Node,
        inputs: &[Tensor],
        mode: Mode,
        watched: bool,
    ) -> Result<Tensor> {
        let x = &inputs[0];
        let y = match &node.op {
            Op::Pad { padding: p } => x
                .pad_with_zeros(2, p.top, p.bottom)?
                .pad_with_zeros(3, p.left, p.right)?,
            Op::Conv {
                windows,
                weight,
                bias,
                ..
            } => {
                let weight = self.parameter(*weight);
                let masked = match &self.masks[index] {
                    Some(mask) => &weight.mul(mask)?,
                    None => weight,
                };
                let config = Conv2dConfig {
                    stride: windows.stride,
                    padding: windows.padding,
                };
                let bias = bias.map(|bias| self.parameter(bias));
                hw_kernels::conv2d(x, masked, bias, &config)?
            }
            Op::Dense { weight, bias, .. } => {
                let bias = bias.map(|bias| self.parameter(bias));
                hw_kernels::linear(x, self.parameter(*weight), bias)?
            }
            Op::Norm { .. } => self.batch_norm(&node.op, x, mode, watched)?,
            Op::Affine { scale, shift, .. } => {
                let (scale, shift) = (self.parameter(*scale), self.parameter(*shift));
                hw_kernels::channel_scale_shift(x, scale, shift)?
            }
            Op::Activation(function) => hw_kernels::activate(x, function)?,
            Op::MaxPool(windows) => hw_kernels::max_pool2d(x, &pool(windows))?,
            Op::MeanPool(windows) => hw_kernels::avg_pool2d(x, &pool(windows), false)?,
            Op::Dropout { rate } => self.dropout(node, x, *rate, mode)?,
            Op::Reshape { to } => x.reshape([&[x.dim(0)?], &to[..]].concat())?,
            Op::ChannelsFirst => x.clone(),
            Op::Spread { stride } => spread(x, *stride)?,
            Op::Haar { low_only } => haar(x, *low_only)?,
            Op::Rbf { centers } => {
                (hw_kernels::rbf(x, self.buffers[*centers].1.as_tensor())? * -0.5)?
            }
            Op::Add => (x + &inputs[1])?,
            Op::Concat => Tensor::cat(inputs, 1)?,
            Op::Custom { op, parameters } => {
                let tensors = parameters
                    .iter()
                    .map(|&index| self.parameter(index).clone());
                op.reference(inputs, &tensors.collect::<Vec<_>>())?
            }
        };
        Ok(y)
    }

    /// Masks are drawn for each number at its place channels last, as plans have it.
    fn dropout(&self, node: &Node, x: &Tensor, rate: f32, mode: Mode) -> Result<Tensor> {
        let Mode::Train { dropout_seed } = mode else {
            return Ok(x.clone());
        };
        let seed = Rng::stream(dropout_seed, &node.layer, 0).next_u64();
        let value = &self.graph.values[node.inputs[0]];
        let [c, h, w] = value.maps.unwrap_or(value.as_maps());
        let n = x.dim(0)?;
        let count = (n * c * h * w) as u64;
        let factors = (0..count).map(|index| hw_kernels::cpu::dropout::factor(seed, index, rate));
        let mask = Tensor::from_vec(factors.collect::<Vec<f32>>(), (n, h, w, c), &self.device)?;
        let mask = mask.permute((0, 3, 1, 2))?.reshape(x.shape())?;
        Ok((x * mask.to_dtype(self.dtype)?)?)
    }

    fn batch_norm(&self, norm: &Op, x: &Tensor, mode: Mode, watched: bool) -> Result<Tensor> {
        let Op::Norm {
            scale,
            shift,
            mean,
            eps,
            momentum,
            ..
        } = *norm
        else {
            unreachable!("asked for normalizations only")
        };
        let (gamma, beta) = (self.parameter(scale), self.parameter(shift));
        let [mean, variance] = [mean, mean + 1].map(|index| &self.buffers[index].1);
        if mode == Mode::Eval {
            return Ok(hw_kernels::batch_norm_eval(
                x, gamma, beta, mean, variance, eps,
            )?);
        }
        let (y, stats) = hw_kernels::batch_norm_train(x, gamma, beta, eps)?;
        if !watched {
            for (moving, batch) in [(mean, stats.mean), (variance, stats.variance)] {
                let new = match mode {
                    Mode::Statistics => batch,
                    _ => {
                        let old = moving.as_tensor();
                        let step = ((batch - old)? * f64::from(momentum))?;
                        (old + step)?.detach()
                    }
                };
                moving.set(&new)?;
            }
        }
        Ok(y)
    }
}

/// Every cell of the maps followed by `stride - 1` zeros in both directions.
fn spread(x: &Tensor, stride: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let cells = x.reshape((n, c, h, 1, w, 1))?;
    let cells = cells
        .pad_with_zeros(3, 0, stride - 1)?
        .pad_with_zeros(5, 0, stride - 1)?;
    Ok(cells.reshape((n, c, h * stride, w * stride))?)
}

/// See [`Layer::Haar`].
fn haar(x: &Tensor, low_only: bool) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let x = x.pad_with_zeros(2, 0, h % 2)?.pad_with_zeros(3, 0, w % 2)?;
    let (h, w) = (h.div_ceil(2), w.div_ceil(2));
    let cells = x.reshape((n, c, h, 2, w, 2))?;
    let corner = |row, column| -> Result<Tensor> {
        let cells = cells.narrow(3, row, 1)?.narrow(5, column, 1)?;
        Ok(cells.contiguous()?.reshape((n, c, h, w))?)
    };
    let (upper_left, upper_right) = (corner(0, 0)?, corner(0, 1)?);
    let (lower_left, lower_right) = (corner(1, 0)?, corner(1, 1)?);
    let (upper, lower) = ((&upper_left + &upper_right)?, (&lower_left + &lower_right)?);
    let low = ((&upper + &lower)? * 0.5)?;
    if low_only {
        return Ok(low);
    }
    let (above, below) = ((upper_left - upper_right)?, (lower_left - lower_right)?);
    let details = [
        ((upper - lower)? * 0.5)?,
        ((&above + &below)? * 0.5)?,
        ((above - below)? * 0.5)?,
    ];
    let details = Tensor::stack(&details, 2)?.reshape((n, 3 * c, h, w))?;
    Ok(Tensor::cat(&[low, details], 1)?)
}

fn pool(windows: &Windows) -> Pool2dConfig {
    Pool2dConfig {
        kernel: windows.kernel,
        stride: windows.stride,
        padding: windows.padding,
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

fn all_finite(tensor: &Tensor) -> Result<bool> {
    Ok(numbers(tensor)?.iter().all(|value| value.is_finite()))
}

/// 1 for each weight that takes part in a partly connected convolution.
fn mask(graph: &Graph, node: &Node, device: &Device, dtype: DType) -> Result<Option<Tensor>> {
    let Op::Conv {
        weight,
        connections: Some(table),
        ..
    } = &node.op
    else {
        return Ok(None);
    };
    let shape = &graph.parameters[*weight].shape;
    let (channels, area) = (shape[1], shape[2] * shape[3]);
    let mut mask = vec![0f32; shape.iter().product()];
    for (filter, maps) in table.iter().enumerate() {
        for map in maps {
            mask[(filter * channels + map) * area..][..area].fill(1.0);
        }
    }
    let mask = Tensor::from_vec(mask, shape.as_slice(), device)?;
    Ok(Some(mask.to_dtype(dtype)?))
}

/// Training by the reference, behind the interface that plans have: weights and gradients also on the
/// host, where optimizers work.
pub struct ReferenceTrainer {
    network: Network,
    weights: Vec<f32>,
    gradients: Vec<f32>,
    buffers: Vec<Vec<f32>>,
}

impl ReferenceTrainer {
    /// Trains `network`.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be read.
    pub fn new(network: Network) -> Result<Self> {
        let tensors = network.tensors()?;
        let weights = tensors.parameters.concat();
        Ok(Self {
            gradients: vec![0.0; weights.len()],
            weights,
            buffers: tensors.buffers,
            network,
        })
    }

    /// Gives the device what the host has.
    fn upload(&self, weights: &[f32], buffers: &[Vec<f32>]) -> Result<()> {
        let set = |var: &Var, values: &[f32]| -> Result<()> {
            let values = Tensor::from_slice(values, var.shape(), var.device())?;
            Ok(var.set(&values.to_dtype(var.dtype())?)?)
        };
        let mut start = 0;
        for (_, var) in &self.network.parameters {
            set(var, &weights[start..start + var.elem_count()])?;
            start += var.elem_count();
        }
        let pairs = self.network.buffers.iter().zip(buffers);
        pairs
            .into_iter()
            .try_for_each(|((_, var), values)| set(var, values))
    }

    fn images(&self, images: &[f32]) -> Result<Tensor> {
        let [c, h, w] = self.network.spec().input;
        let n = images.len() / (c * h * w);
        Ok(Tensor::from_slice(
            images,
            (n, c, h, w),
            self.network.device(),
        )?)
    }
}

impl Executor for ReferenceTrainer {
    fn graph(&self) -> &Graph {
        self.network.graph()
    }

    fn step(
        &mut self,
        images: &[f32],
        labels: &[u32],
        dropout_seed: u64,
        loss: &dyn LossFunction,
    ) -> Result<StepResult> {
        self.upload(&self.weights, &self.buffers)?;
        let images = self.images(images)?;
        let logits = self
            .network
            .forward(&images, Mode::Train { dropout_seed })?;
        let (values, n) = (numbers(&logits)?, labels.len());
        let mut gradient = vec![0.0; values.len()];
        let (total, correct) = loss::evaluate(loss, &values, labels, &mut gradient, [0, n]);
        // A sum whose gradient in the logits is the loss's.
        let gradient = Tensor::from_vec(gradient, logits.shape(), logits.device())?;
        let gradients = (&logits * gradient.to_dtype(logits.dtype())?)?
            .sum_all()?
            .backward()?;
        let mut start = 0;
        for (_, var) in &self.network.parameters {
            let to = &mut self.gradients[start..start + var.elem_count()];
            match gradients.get(var) {
                Some(gradient) => to.copy_from_slice(&numbers(gradient)?),
                None => to.fill(0.0),
            }
            start += to.len();
        }
        self.buffers = self.network.tensors()?.buffers;
        Ok(StepResult {
            loss: (total / n as f64) as f32,
            correct,
        })
    }

    fn weights(&self) -> &[f32] {
        &self.weights
    }

    fn update(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.weights, &self.gradients)
    }

    fn pack(&self, values: &dyn Fn(&str) -> Option<Vec<f32>>) -> Vec<f32> {
        let tensors = self.graph().parameters.iter();
        let known = tensors.map(|t| values(&t.name).unwrap_or_else(|| vec![0.0; t.len()]));
        known.collect::<Vec<_>>().concat()
    }

    fn unpack(&self, flat: &[f32]) -> Vec<Vec<f32>> {
        let mut rest = flat;
        let tensors = self.graph().parameters.iter();
        let parts = tensors.map(|tensor| {
            let (own, after) = rest.split_at(tensor.len());
            rest = after;
            own.to_vec()
        });
        parts.collect()
    }

    fn buffers(&self) -> &[Vec<f32>] {
        &self.buffers
    }

    fn load(&mut self, weights: Vec<f32>, buffers: Vec<Vec<f32>>) {
        assert_eq!(
            weights.len(),
            self.weights.len(),
            "weights of another network"
        );
        (self.weights, self.buffers) = (weights, buffers);
    }

    fn statistics(&mut self, images: &[f32], weights: &[f32]) -> Result<Vec<Vec<f32>>> {
        self.upload(weights, &self.buffers)?;
        self.network
            .forward(&self.images(images)?, Mode::Statistics)?;
        Ok(self.network.tensors()?.buffers)
    }

    fn freeze(&self, weights: &[f32], buffers: &[Vec<f32>]) -> Result<Frozen> {
        let tensors = self.tensors(weights, buffers);
        let device = self.network.device();
        Frozen::new(&Network::from_tensors(
            self.graph().clone(),
            &tensors,
            device,
        )?)
    }
}
