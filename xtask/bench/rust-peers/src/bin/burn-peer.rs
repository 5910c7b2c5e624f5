//! burn: its modules, gradients and optimizers on Flex, the backend its documentation recommends for
//! processors. It has no Nadam: where the others take Nadam steps it takes Adam's, which are less work.

use anyhow::{Result, bail};
use burn::module::Module;
use burn::nn::activation::SiLU;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d,
    MaxPool2dConfig,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d, Relu,
};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rust_peers::nets::{self, Layer, Rule, Shape};
use rust_peers::{Framework, INFERENCE_BATCH, Mode, noise, repeat, serve};
use std::hint::black_box;

fn main() -> Result<()> {
    serve(Burn)
}

struct Burn;

impl Framework for Burn {
    fn version(&self) -> (&'static str, &'static str) {
        ("burn", "0.22.1")
    }

    fn measure(&mut self, name: &str, mode: Mode, seconds: f64) -> Result<(usize, f64)> {
        let net = nets::net(name)?;
        if mode == Mode::Train {
            return Ok((net.batch, train(&net, seconds)?));
        }
        let device = Device::flex();
        let model = Network::new(&net, &device)?;
        let count = match mode {
            Mode::Latency => 1,
            _ => INFERENCE_BATCH,
        };
        let x = images(count, net.side, &device);
        let time = repeat(seconds, || {
            black_box(model.forward(x.clone()).into_data());
            Ok(())
        })?;
        Ok((count, time))
    }
}

fn images(count: usize, side: usize, device: &Device) -> Tensor<4> {
    let pixels = TensorData::new(noise(count * side * side), [count, 1, side, side]);
    Tensor::from_data(pixels, device)
}

/// Seconds of a training step.
fn train(net: &nets::Net, seconds: f64) -> Result<f64> {
    let device = Device::flex().autodiff();
    let mut model = Some(Network::new(net, &device)?);
    let x = images(net.batch, net.side, &device);
    let labels: Vec<i32> = (0..net.batch).map(|i| (i % net.classes) as i32).collect();
    let y = Tensor::<1, Int>::from_data(TensorData::new(labels, [net.batch]), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let (mut rule, rate) = rule(net.rule);
    repeat(seconds, || {
        let Some(before) = model.take() else {
            bail!("the step before failed");
        };
        let loss = loss.forward(before.forward(x.clone()), y.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &before);
        model = Some(rule.step(rate, before, gradients));
        Ok(())
    })
}

fn rule(rule: Rule) -> (ModuleOptimizer, f64) {
    match rule {
        Rule::Adam | Rule::Nadam => (AdamConfig::new().with_epsilon(1e-8).init(), 1e-3),
        Rule::Momentum => {
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            let sgd = SgdConfig::new().with_momentum(Some(momentum));
            (sgd.init(), 0.1)
        }
    }
}

/// A layer on maps.
#[derive(Module, Debug)]
enum OnMaps {
    Conv(Conv2d),
    Norm(BatchNorm),
    MaxPool(MaxPool2d),
    AvgPool(AvgPool2d),
    Dropout(Dropout),
    Relu(Relu),
    Silu(SiLU),
    Mean(AdaptiveAvgPool2d),
}

/// The sum of two branches.
#[derive(Module, Debug)]
struct Sum {
    body: Vec<OnMaps>,
    shortcut: Vec<OnMaps>,
}

/// A layer or a sum of two branches of layers.
#[derive(Module, Debug)]
enum Stage {
    One(OnMaps),
    Sum(Sum),
}

/// A layer on rows.
#[derive(Module, Debug)]
enum OnRows {
    Dense(Linear),
    Norm(BatchNorm),
    Dropout(Dropout),
    Relu(Relu),
    Silu(SiLU),
}

#[derive(Module, Debug)]
struct Network {
    maps: Vec<Stage>,
    rows: Vec<OnRows>,
}

impl Network {
    fn new(net: &nets::Net, device: &Device) -> Result<Self> {
        let mut shape = Shape {
            channels: 1,
            side: net.side,
        };
        let (mut maps, mut rows, mut flat) = (vec![], vec![], false);
        for layer in &net.layers {
            match layer {
                Layer::Flatten => flat = true,
                Layer::GlobalAvgPool => {
                    let mean = AdaptiveAvgPool2dConfig::new([1; 2]).init();
                    maps.push(Stage::One(OnMaps::Mean(mean)));
                    flat = true;
                }
                layer if flat => rows.push(on_rows(layer, shape, device)?),
                Layer::Residual { body, shortcut } => maps.push(Stage::Sum(Sum {
                    body: branch(body, shape, device)?,
                    shortcut: branch(shortcut, shape, device)?,
                })),
                layer => maps.push(Stage::One(on_maps(layer, shape, device)?)),
            }
            shape = shape.after(layer);
        }
        Ok(Self { maps, rows })
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for stage in &self.maps {
            x = match stage {
                Stage::One(layer) => layer.forward(x),
                Stage::Sum(sum) => run(&sum.body, x.clone()) + run(&sum.shortcut, x),
            };
        }
        let rows = x.flatten(1, 3);
        self.rows.iter().fold(rows, |x, layer| layer.forward(x))
    }
}

fn run(layers: &[OnMaps], x: Tensor<4>) -> Tensor<4> {
    layers.iter().fold(x, |x, layer| layer.forward(x))
}

fn branch(layers: &[Layer], mut shape: Shape, device: &Device) -> Result<Vec<OnMaps>> {
    let mut made = vec![];
    for layer in layers {
        made.push(on_maps(layer, shape, device)?);
        shape = shape.after(layer);
    }
    Ok(made)
}

fn norm(eps: f64, momentum: f64, channels: usize, device: &Device) -> BatchNorm {
    let config = BatchNormConfig::new(channels);
    let config = config.with_epsilon(eps).with_momentum(momentum);
    config.init(device)
}

fn on_maps(layer: &Layer, shape: Shape, device: &Device) -> Result<OnMaps> {
    let around = |pad| PaddingConfig2d::Explicit(pad, pad, pad, pad);
    Ok(match *layer {
        Layer::Conv {
            out,
            kernel,
            stride,
            pad,
            bias,
        } => {
            let config = Conv2dConfig::new([shape.channels, out], [kernel; 2]);
            let config = config.with_stride([stride; 2]).with_padding(around(pad));
            OnMaps::Conv(config.with_bias(bias).init(device))
        }
        Layer::Norm { eps, momentum } => OnMaps::Norm(norm(eps, momentum, shape.channels, device)),
        Layer::MaxPool {
            kernel,
            stride,
            pad,
        } => {
            let config = MaxPool2dConfig::new([kernel; 2]).with_strides([stride; 2]);
            OnMaps::MaxPool(config.with_padding(around(pad)).init())
        }
        Layer::AvgPool => {
            let config = AvgPool2dConfig::new([2; 2]).with_ceil_mode(true);
            OnMaps::AvgPool(config.init())
        }
        Layer::Dropout(rate) => OnMaps::Dropout(DropoutConfig::new(rate).init()),
        Layer::Relu => OnMaps::Relu(Relu::new()),
        Layer::Silu => OnMaps::Silu(SiLU::new()),
        _ => bail!("{layer:?} is no layer on maps"),
    })
}

fn on_rows(layer: &Layer, shape: Shape, device: &Device) -> Result<OnRows> {
    Ok(match *layer {
        Layer::Dense(units) => OnRows::Dense(LinearConfig::new(shape.channels, units).init(device)),
        Layer::Norm { eps, momentum } => OnRows::Norm(norm(eps, momentum, shape.channels, device)),
        Layer::Dropout(rate) => OnRows::Dropout(DropoutConfig::new(rate).init()),
        Layer::Relu => OnRows::Relu(Relu::new()),
        Layer::Silu => OnRows::Silu(SiLU::new()),
        _ => bail!("{layer:?} is no layer on rows"),
    })
}

impl OnMaps {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Norm(norm) => norm.forward(x),
            Self::MaxPool(pool) => pool.forward(x),
            Self::AvgPool(pool) => pool.forward(x),
            Self::Dropout(dropout) => dropout.forward(x),
            Self::Relu(relu) => relu.forward(x),
            Self::Silu(silu) => silu.forward(x),
            Self::Mean(mean) => mean.forward(x),
        }
    }
}

impl OnRows {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense(linear) => linear.forward(x),
            Self::Norm(norm) => norm.forward(x),
            Self::Dropout(dropout) => dropout.forward(x),
            Self::Relu(relu) => relu.forward(x),
            Self::Silu(silu) => silu.forward(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of training and an answer for every class.
    fn works(name: &str) -> Result<()> {
        let net = nets::Net {
            batch: 2,
            ..nets::net(name)?
        };
        train(&net, 0.0)?;
        let device = Device::flex();
        let logits = Network::new(&net, &device)?.forward(images(1, net.side, &device));
        assert_eq!(logits.dims(), [1, net.classes], "{name}");
        Ok(())
    }

    rust_peers::test_every_network!(works);
}
