//! A resolved model with its tensors: what runs.

use crate::error::{ModelError, Result};
use crate::resolve::{Parameter, ResolvedLayer, ResolvedModel, Start};
use crate::spec::{Layer, ModelSpec};
use candle_core::{DType, Device, Tensor, Var};
use hw_core::Rng;
use hw_kernels::{Conv2dConfig, Padding, Pool2dConfig};
use std::collections::HashMap;

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

/// A network: its declaration, its trainable variables and its buffers, in a fixed order.
#[derive(Debug)]
pub struct Network {
    model: ResolvedModel,
    parameters: Vec<(String, Var)>,
    buffers: Vec<(String, Var)>,
    by_name: HashMap<String, Var>,
    /// 0/1 masks of partly connected convolutions, by the weight's name.
    masks: HashMap<String, Tensor>,
    device: Device,
}

type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor);

impl Network {
    /// A network with fresh weights drawn from `seed`; each tensor has its own random stream, so
    /// that changing one layer leaves the start of all others alone.
    ///
    /// # Errors
    /// As [`ModelSpec::resolve`].
    pub fn new(spec: &ModelSpec, seed: u64, device: &Device) -> Result<Self> {
        let rule = spec.init;
        Self::build(spec, device, |p| {
            let mut rng = Rng::stream(seed, &format!("init/{}", p.name), 0);
            let size = p.shape.iter().product();
            let values = match &p.start {
                Start::Weight { fan_in, fan_out } => {
                    rule.weights(&mut rng, size, *fan_in, *fan_out)
                }
                Start::Bias { fan_in } => rule.biases(&mut rng, size, *fan_in),
                Start::Constant(value) => vec![*value; size],
                Start::Values(values) => values.clone(),
            };
            Ok(Tensor::from_vec(values, p.shape.as_slice(), device)?)
        })
    }

    /// A network whose tensors come from `source`, asked once for each parameter and buffer.
    pub(crate) fn build(
        spec: &ModelSpec,
        device: &Device,
        mut source: impl FnMut(&Parameter) -> Result<Tensor>,
    ) -> Result<Self> {
        let model = spec.resolve()?;
        let mut make = |list: &dyn Fn(&ResolvedLayer) -> Vec<Parameter>| -> Result<Vec<_>> {
            let wanted: Vec<Parameter> = model.flat().into_iter().flat_map(list).collect();
            wanted
                .iter()
                .map(|p| Ok((p.name.clone(), Var::from_tensor(&source(p)?)?)))
                .collect()
        };
        let parameters = make(&|layer| layer.parameters.clone())?;
        let buffers = make(&|layer| layer.buffers.clone())?;
        let by_name = parameters.iter().chain(&buffers).cloned().collect();
        let masks = connection_masks(&model, device)?;
        Ok(Self {
            model,
            parameters,
            buffers,
            by_name,
            masks,
            device: device.clone(),
        })
    }

    /// The declaration.
    pub fn spec(&self) -> &ModelSpec {
        &self.model.spec
    }

    /// The declaration with names, shapes and counts.
    pub fn resolved(&self) -> &ResolvedModel {
        &self.model
    }

    /// Where the tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The trainable variables, in the order of the layers.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Moving statistics and fixed centres, in the order of the layers.
    pub fn buffers(&self) -> &[(String, Var)] {
        &self.buffers
    }

    /// Logits `[n, classes]` of images `[n, c, h, w]`. In training mode the moving statistics of
    /// batch normalisation are updated, in [`Mode::Statistics`] replaced.
    ///
    /// # Errors
    /// [`ModelError::Kernel`] or [`ModelError::Tensor`] when the images do not have the model's
    /// input shape.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        self.run(images, mode, false, &mut |_, _| {})
    }

    /// Like [`Self::forward`], showing each layer's name and output to `observer` and leaving the
    /// moving statistics alone.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn observe(&self, images: &Tensor, mode: Mode, observer: Observer<'_>) -> Result<Tensor> {
        self.run(images, mode, true, observer)
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
        watched: bool,
        observer: Observer<'_>,
    ) -> Result<Tensor> {
        let (_, c, h, w) = images.dims4()?;
        if [c, h, w] != self.model.spec.input {
            return Err(ModelError::Layer {
                model: self.model.spec.name.clone(),
                layer: "input".into(),
                problem: format!(
                    "expects images of {:?}, gets {:?}",
                    self.spec().input,
                    [c, h, w]
                ),
            });
        }
        let pass = Pass {
            network: self,
            mode,
            watched,
        };
        pass.chain(&self.model.layers, images.clone(), observer)
    }

    fn tensor(&self, layer: &ResolvedLayer, what: &str) -> Result<&Var> {
        let name = format!("{}.{what}", layer.name);
        self.by_name.get(&name).ok_or_else(|| ModelError::Layer {
            model: self.model.spec.name.clone(),
            layer: layer.name.clone(),
            problem: format!("has no tensor '{name}'"),
        })
    }
}

/// One forward pass.
struct Pass<'a> {
    network: &'a Network,
    mode: Mode,
    /// Whether someone looks at every layer's output; the moving statistics then stand still.
    watched: bool,
}

impl Pass<'_> {
    fn chain(&self, layers: &[ResolvedLayer], x: Tensor, observer: Observer<'_>) -> Result<Tensor> {
        let mut x = x;
        for layer in layers {
            x = self.layer(layer, &x, observer)?;
            observer(&layer.name, &x);
        }
        Ok(x)
    }

    fn layer(&self, layer: &ResolvedLayer, x: &Tensor, observer: Observer<'_>) -> Result<Tensor> {
        let tensor = |what| self.network.tensor(layer, what);
        let batch = x.dim(0)?;
        Ok(match &layer.layer {
            Layer::Pad { padding: p } => x
                .pad_with_zeros(2, p.top, p.bottom)?
                .pad_with_zeros(3, p.left, p.right)?,
            Layer::Conv {
                kernel,
                stride,
                padding,
                bias,
                ..
            } => {
                let padding = padding.resolve(map_size(layer), *kernel, *stride);
                let weight = tensor("weight")?;
                let masked = match self.network.masks.get(&format!("{}.weight", layer.name)) {
                    Some(mask) => &weight.mul(mask)?,
                    None => weight.as_tensor(),
                };
                let bias = if *bias {
                    Some(tensor("bias")?.as_tensor())
                } else {
                    None
                };
                let config = Conv2dConfig {
                    stride: *stride,
                    padding,
                };
                hw_kernels::conv2d(x, masked, bias, &config)?
            }
            Layer::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                let padding = padding.resolve(map_size(layer), *kernel, *stride);
                let config = Pool2dConfig {
                    kernel: *kernel,
                    stride: *stride,
                    padding,
                };
                hw_kernels::max_pool2d(x, &config)?
            }
            Layer::AvgPool {
                kernel,
                stride,
                padding,
            } => {
                let padding = padding.resolve(map_size(layer), *kernel, *stride);
                let config = Pool2dConfig {
                    kernel: *kernel,
                    stride: *stride,
                    padding,
                };
                hw_kernels::avg_pool2d(x, &config, false)?
            }
            Layer::GlobalAvgPool => hw_kernels::global_avg_pool(x)?,
            Layer::Subsample { kernel } => {
                let window = [*kernel; 2];
                let padding = Default::default();
                let config = Pool2dConfig {
                    kernel: window,
                    stride: window,
                    padding,
                };
                let means = hw_kernels::avg_pool2d(x, &config, false)?;
                let (coefficient, bias) = (tensor("coefficient")?, tensor("bias")?);
                hw_kernels::channel_scale_shift(&means, coefficient, bias)?
            }
            Layer::Flatten => x.flatten_from(1)?,
            Layer::Reshape { to: [c, h, w] } => x.reshape((batch, *c, *h, *w))?,
            Layer::Dense { bias, .. } => {
                let bias = if *bias {
                    Some(tensor("bias")?.as_tensor())
                } else {
                    None
                };
                hw_kernels::linear(x, tensor("weight")?, bias)?
            }
            Layer::BatchNorm { eps, momentum } => self.batch_norm(layer, x, *eps, *momentum)?,
            Layer::Activation { function } => hw_kernels::activate(x, function)?,
            Layer::Dropout { rate } => match self.mode {
                Mode::Eval | Mode::Statistics => x.clone(),
                Mode::Train { dropout_seed } => {
                    let mut stream = Rng::stream(dropout_seed, &layer.name, 0);
                    hw_kernels::dropout(x, *rate, stream.next_u64())?
                }
            },
            Layer::Rbf { .. } => (hw_kernels::rbf(x, tensor("centres")?)? * -0.5)?,
            Layer::ConvTranspose {
                kernel,
                stride,
                padding,
                ..
            } => {
                let before = kernel - 1 - padding;
                // The last row and column are already followed by zeros.
                let after = before + 1 - stride;
                let config = Conv2dConfig {
                    stride: [1; 2],
                    padding: Padding {
                        top: before,
                        bottom: after,
                        left: before,
                        right: after,
                    },
                };
                let bias = Some(tensor("bias")?.as_tensor());
                hw_kernels::conv2d(&spread(x, *stride)?, tensor("weight")?, bias, &config)?
            }
            Layer::Haar { low_only } => haar(x, *low_only)?,
            Layer::Concat { .. } => {
                let Some([first, second]) = &layer.branches else {
                    return Ok(x.clone());
                };
                let first = self.chain(first, x.clone(), observer)?;
                let second = self.chain(second, x.clone(), observer)?;
                Tensor::cat(&[first, second], 1)?
            }
            Layer::Residual { .. } => {
                let Some([body, shortcut]) = &layer.branches else {
                    return Ok(x.clone());
                };
                let side = self.chain(shortcut, x.clone(), observer)?;
                (self.chain(body, x.clone(), observer)? + side)?
            }
        })
    }

    fn batch_norm(
        &self,
        layer: &ResolvedLayer,
        x: &Tensor,
        eps: f32,
        momentum: f32,
    ) -> Result<Tensor> {
        let tensor = |what| self.network.tensor(layer, what);
        let (gamma, beta) = (tensor("weight")?, tensor("bias")?);
        let (mean, variance) = (tensor("running_mean")?, tensor("running_var")?);
        if self.mode == Mode::Eval {
            return Ok(hw_kernels::batch_norm_eval(
                x, gamma, beta, mean, variance, eps,
            )?);
        }
        let (y, stats) = hw_kernels::batch_norm_train(x, gamma, beta, eps)?;
        if !self.watched {
            for (moving, batch) in [(mean, stats.mean), (variance, stats.variance)] {
                let new = match self.mode {
                    Mode::Statistics => batch,
                    _ => {
                        let old = moving.as_tensor();
                        (old + ((batch - old)? * f64::from(momentum))?)?
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

fn map_size(layer: &ResolvedLayer) -> [usize; 2] {
    match layer.input.as_slice() {
        [_, h, w] => [*h, *w],
        _ => [0, 0],
    }
}

fn all_finite(tensor: &Tensor) -> Result<bool> {
    let values = tensor
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1::<f32>()?;
    Ok(values.iter().all(|value| value.is_finite()))
}

fn connection_masks(model: &ResolvedModel, device: &Device) -> Result<HashMap<String, Tensor>> {
    let mut masks = HashMap::new();
    for layer in model.flat() {
        let Layer::Conv {
            connections: Some(table),
            ..
        } = &layer.layer
        else {
            continue;
        };
        let weight = &layer.parameters[0];
        let [out, channels, kh, kw] = weight.shape[..] else {
            continue;
        };
        let mut mask = vec![0f32; out * channels * kh * kw];
        for (filter, maps) in table.iter().enumerate() {
            for map in maps {
                let start = (filter * channels + map) * kh * kw;
                mask[start..start + kh * kw].fill(1.0);
            }
        }
        let mask = Tensor::from_vec(mask, weight.shape.as_slice(), device)?;
        masks.insert(weight.name.clone(), mask);
    }
    Ok(masks)
}
