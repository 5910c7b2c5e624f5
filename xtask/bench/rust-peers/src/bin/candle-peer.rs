//! candle as it ships: its own operations, gradients and optimizers on the processor.
//!
//! Three things it does not have are made of its operations, as a user would: momentum, Nadam, and
//! average pooling of odd sides. It has no gradient for windows that overlap, so that resnet50's
//! first pooling takes 2 x 2 windows (the maps that follow have the same size).

use anyhow::{Context, Result};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Module, ModuleT, Tensor, Var};
use candle_nn::{
    AdamW, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Dropout, Linear, Optimizer,
    ParamsAdamW, VarBuilder, VarMap,
};
use rust_peers::nets::{self, Layer, Net, Rule, Shape};
use rust_peers::{Framework, INFERENCE_BATCH, Mode, noise, repeat, serve};
use std::hint::black_box;

const RATE: f64 = 1e-3;

fn main() -> Result<()> {
    serve(Candle)
}

struct Candle;

impl Framework for Candle {
    fn version(&self) -> (&'static str, &'static str) {
        ("candle", "0.11.1")
    }

    fn measure(&mut self, name: &str, mode: Mode, seconds: f64) -> Result<(usize, f64)> {
        let net = nets::net(name)?;
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let made = build(&net, &builder)?;
        if mode == Mode::Train {
            return Ok((net.batch, train(&net, &made, &variables, seconds)?));
        }
        // As weights from a file: not to be trained, so that nothing is kept for gradients.
        let variables = variables.data().lock().ok().context("a poisoned lock")?;
        let weights = variables.iter();
        let weights = weights.map(|(name, var)| (name.clone(), var.as_detached_tensor()));
        let builder = VarBuilder::from_tensors(weights.collect(), DType::F32, &Device::Cpu);
        let made = build(&net, &builder)?;
        let count = match mode {
            Mode::Latency => 1,
            _ => INFERENCE_BATCH,
        };
        let x = images(count, net.side)?;
        let time = repeat(seconds, || {
            let logits = made
                .iter()
                .try_fold(x.clone(), |x, layer| layer.run(&x, false))?;
            black_box(logits.flatten_all()?.to_vec1::<f32>()?);
            Ok(())
        })?;
        Ok((count, time))
    }
}

fn images(count: usize, side: usize) -> Result<Tensor> {
    let pixels = noise(count * side * side);
    Ok(Tensor::from_vec(
        pixels,
        (count, 1, side, side),
        &Device::Cpu,
    )?)
}

/// Seconds of a training step.
fn train(net: &Net, made: &[Made], variables: &VarMap, seconds: f64) -> Result<f64> {
    let x = images(net.batch, net.side)?;
    let labels = (0..net.batch as u32).map(|i| i % net.classes as u32);
    let y = Tensor::from_vec(labels.collect::<Vec<_>>(), net.batch, &Device::Cpu)?;
    let mut rule = Update::new(net.rule, variables.all_vars())?;
    repeat(seconds, || {
        let logits = made
            .iter()
            .try_fold(x.clone(), |x, layer| layer.run(&x, true))?;
        let loss = candle_nn::loss::cross_entropy(&logits, &y)?;
        rule.step(&loss.backward()?)
    })
}

/// A layer with its weights.
enum Made {
    Conv(Conv2d),
    Norm(BatchNorm),
    Relu,
    Silu,
    MaxPool(usize),
    AvgPool(Option<Tensor>),
    GlobalAvgPool,
    Dropout(Dropout),
    Residual(Vec<Made>, Vec<Made>),
    Flatten,
    Dense(Linear),
}

fn build(net: &Net, builder: &VarBuilder) -> Result<Vec<Made>> {
    let input = Shape {
        channels: 1,
        side: net.side,
    };
    chain(&net.layers, input, builder)
}

fn chain(layers: &[Layer], mut shape: Shape, builder: &VarBuilder) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        made.push(make(layer, shape, &builder.pp(index))?);
        shape = shape.after(layer);
    }
    Ok(made)
}

fn make(layer: &Layer, shape: Shape, builder: &VarBuilder) -> Result<Made> {
    Ok(match layer {
        Layer::Conv {
            out,
            kernel,
            stride,
            pad,
            bias,
        } => {
            let config = Conv2dConfig {
                padding: *pad,
                stride: *stride,
                ..Conv2dConfig::default()
            };
            let make = match bias {
                true => candle_nn::conv2d,
                false => candle_nn::conv2d_no_bias,
            };
            Made::Conv(make(
                shape.channels,
                *out,
                *kernel,
                config,
                builder.clone(),
            )?)
        }
        Layer::Norm { eps, momentum } => {
            let config = BatchNormConfig {
                eps: *eps,
                momentum: *momentum,
                ..BatchNormConfig::default()
            };
            Made::Norm(candle_nn::batch_norm(
                shape.channels,
                config,
                builder.clone(),
            )?)
        }
        Layer::Relu => Made::Relu,
        Layer::Silu => Made::Silu,
        Layer::MaxPool { stride, .. } => Made::MaxPool(*stride),
        Layer::AvgPool => Made::AvgPool(match shape.side % 2 {
            0 => None,
            _ => Some(fuller(shape.side)?),
        }),
        Layer::GlobalAvgPool => Made::GlobalAvgPool,
        Layer::Dropout(rate) => Made::Dropout(Dropout::new(*rate as f32)),
        Layer::Residual { body, shortcut } => Made::Residual(
            chain(body, shape, &builder.pp("body"))?,
            chain(shortcut, shape, &builder.pp("shortcut"))?,
        ),
        Layer::Flatten => Made::Flatten,
        Layer::Dense(units) => {
            Made::Dense(candle_nn::linear(shape.channels, *units, builder.clone())?)
        }
    })
}

/// What the mean of a padded 2 x 2 window is multiplied by to be the mean of what is in the image.
fn fuller(side: usize) -> Result<Tensor> {
    let half = side.div_ceil(2);
    let missing = |at: usize| if at + 1 == half { 2.0f32 } else { 1.0 };
    let factors = (0..half * half).map(|at| missing(at / half) * missing(at % half));
    let factors = factors.collect();
    Ok(Tensor::from_vec(factors, (1, 1, half, half), &Device::Cpu)?)
}

impl Made {
    fn run(&self, x: &Tensor, training: bool) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Norm(norm) => norm.forward_t(x, training),
            Self::Relu => x.relu(),
            Self::Silu => candle_nn::ops::silu(x),
            Self::MaxPool(side) => x.max_pool2d(*side),
            Self::AvgPool(None) => x.avg_pool2d(2),
            Self::AvgPool(Some(fuller)) => {
                let padded = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                padded.avg_pool2d(2)?.broadcast_mul(fuller)
            }
            Self::GlobalAvgPool => x.mean((2, 3)),
            Self::Dropout(dropout) => dropout.forward(x, training),
            Self::Residual(body, shortcut) => {
                let branch = |layers: &[Self]| {
                    let run = |x: Tensor, layer: &Self| layer.run(&x, training);
                    layers.iter().try_fold(x.clone(), run)
                };
                branch(body)? + branch(shortcut)?
            }
            Self::Flatten => x.flatten_from(1),
            Self::Dense(linear) => linear.forward(x),
        }
    }
}

/// An optimizer with its state.
enum Update {
    /// candle's own; without weight decay it is Adam.
    Adam(AdamW),
    Momentum(Vec<(Var, Var)>),
    Nadam(Vec<[Var; 3]>, i32),
}

impl Update {
    fn new(rule: Rule, variables: Vec<Var>) -> Result<Self> {
        let zeros = |var: &Var| Var::from_tensor(&var.zeros_like()?);
        Ok(match rule {
            Rule::Adam => Self::Adam(AdamW::new(
                variables,
                ParamsAdamW {
                    lr: RATE,
                    weight_decay: 0.0,
                    ..ParamsAdamW::default()
                },
            )?),
            Rule::Momentum => {
                let states = variables.into_iter().map(|var| {
                    let velocity = zeros(&var)?;
                    Ok((var, velocity))
                });
                Self::Momentum(states.collect::<Result<_>>()?)
            }
            Rule::Nadam => {
                let states = variables.into_iter().map(|var| {
                    let (first, second) = (zeros(&var)?, zeros(&var)?);
                    Ok([var, first, second])
                });
                Self::Nadam(states.collect::<Result<_>>()?, 0)
            }
        })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        match self {
            Self::Adam(adam) => adam.step(gradients)?,
            Self::Momentum(states) => {
                for (var, velocity) in states {
                    let Some(gradient) = gradients.get(var) else {
                        continue;
                    };
                    velocity.set(&((velocity.as_tensor() * 0.9)? - (gradient * 0.1)?)?)?;
                    var.set(&(var.as_tensor() + velocity.as_tensor())?)?;
                }
            }
            Self::Nadam(states, steps) => {
                *steps += 1;
                for [var, first, second] in states {
                    let Some(gradient) = gradients.get(var) else {
                        continue;
                    };
                    nadam(var, first, second, gradient, *steps)?;
                }
            }
        }
        Ok(())
    }
}

/// One step of Adam with Nesterov momentum (Dozat 2016) with a constant momentum of .9.
fn nadam(
    var: &Var,
    first: &Var,
    second: &Var,
    gradient: &Tensor,
    steps: i32,
) -> candle_core::Result<()> {
    let (beta1, beta2) = (0.9f64, 0.999f64);
    first.set(&((first.as_tensor() * beta1)? + (gradient * (1.0 - beta1))?)?)?;
    second.set(&((second.as_tensor() * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?)?;
    let ahead = beta1 / (1.0 - beta1.powi(steps + 1));
    let now = (1.0 - beta1) / (1.0 - beta1.powi(steps));
    let direction = ((first.as_tensor() * ahead)? + (gradient * now)?)?;
    let scale = ((second.as_tensor() / (1.0 - beta2.powi(steps)))?.sqrt()? + 1e-8)?;
    var.set(&(var.as_tensor() - ((direction / scale)? * RATE)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of training and an answer for every class.
    fn works(name: &str) -> Result<()> {
        let net = Net {
            batch: 2,
            ..nets::net(name)?
        };
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let made = build(&net, &builder)?;
        train(&net, &made, &variables, 0.0)?;
        let run = |x: Tensor, layer: &Made| layer.run(&x, false);
        let logits = made.iter().try_fold(images(1, net.side)?, run)?;
        assert_eq!(logits.dims(), [1, net.classes], "{name}");
        Ok(())
    }

    rust_peers::test_every_network!(works);
}
