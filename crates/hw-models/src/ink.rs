//! A trained network as [`hw_ink::Net`]: folded, channels last. What a page or a telephone runs, where
//! there is no candle.

use crate::error::Result;
use crate::graph::{Graph, Node, Op, ParameterId, Tensors, fold::fold};
use hw_ink::net::{self, Net};
use hw_kernels::{Activation, Padding};

/// The network for use only: dropout is gone and batch normalization is part of the weights, so that
/// logits agree with [`crate::Network::forward`] in evaluation mode up to rounding.
///
/// # Errors
/// [`crate::ModelError::Layer`] naming the first layer that [`Net`] does not have (anything but
/// stride-1 convolutions with equal zero padding on all sides, 2x2 max-pooling, affine layers, ReLU,
/// and batch normalization right after a convolution or an affine layer).
pub fn net(graph: &Graph, tensors: Tensors) -> Result<Net> {
    let spec = &graph.spec;
    if spec.input != [1, net::SIDE, net::SIDE] {
        let problem = format!("takes images of {:?}, not of one 28x28 map", spec.input);
        return Err(graph.refuse("input", problem));
    }
    let folded = fold(graph, tensors);
    let small = Small {
        graph: &folded.graph,
        tensors: &folded.tensors,
    };
    let mut layers = Vec::new();
    for node in &folded.graph.nodes {
        let made = small.layers(node);
        layers.extend(made.map_err(|problem| graph.refuse(&node.layer, problem))?);
    }
    Net::new(layers, spec.classes).map_err(|error| graph.refuse("output", error.to_string()))
}

struct Small<'a> {
    graph: &'a Graph,
    tensors: &'a Tensors,
}

impl Small<'_> {
    fn layers(&self, node: &Node) -> std::result::Result<Vec<net::Layer>, String> {
        let given = &self.graph.values[node.inputs[0]];
        let [channels, height, width] = given.maps.unwrap_or(given.as_maps());
        let plain = node.inputs.len() == 1;
        let (layer, relu) = match &node.op {
            Op::Conv {
                windows,
                weight,
                bias,
                connections: None,
                relu,
            } if plain => {
                let [kernel, across] = windows.kernel;
                let pad = windows.padding.top;
                if kernel != across
                    || windows.stride != [1, 1]
                    || windows.padding != Padding::symmetric(pad)
                {
                    return Err("only full, square convolutions of stride 1 are known".into());
                }
                let area = kernel * kernel;
                let (weight, bias, out) = self.last(*weight, *bias, channels, area);
                let layer = net::Layer::Conv {
                    out,
                    kernel,
                    pad,
                    weight,
                    bias,
                };
                (layer, *relu)
            }
            Op::Dense { weight, bias, relu } => {
                let (weight, bias, _) = self.last(*weight, *bias, channels, height * width);
                (net::Layer::Dense { weight, bias }, *relu)
            }
            Op::Activation(Activation::Relu) => (net::Layer::Relu, false),
            Op::MaxPool(windows) => {
                let halves = windows.output == [windows.input[0] / 2, windows.input[1] / 2];
                if [windows.kernel, windows.stride] != [[2, 2]; 2] || !halves {
                    return Err("only 2x2 max-pooling without padding is known".into());
                }
                (net::Layer::MaxPool, false)
            }
            Op::Reshape { to } if to.len() == 1 => return Ok(Vec::new()),
            Op::ChannelsFirst if height * width == 1 => return Ok(Vec::new()),
            Op::Activation(function) => return Err(format!("{function} has no small counterpart")),
            Op::Affine { .. } => {
                return Err("batch normalization does not follow a layer with weights".into());
            }
            _ => return Err("has no small counterpart".into()),
        };
        Ok([Some(layer), relu.then_some(net::Layer::Relu)]
            .into_iter()
            .flatten()
            .collect())
    }

    /// Weights `[outputs, (channel, cell)]` as `[(cell, channel), outputs]`, with a bias, and the outputs.
    fn last(
        &self,
        weight: ParameterId,
        bias: Option<ParameterId>,
        channels: usize,
        cells: usize,
    ) -> (Vec<f32>, Vec<f32>, usize) {
        let theirs = &self.tensors.parameters[weight];
        let inputs = channels * cells;
        let outputs = theirs.len() / inputs;
        let mut weights = Vec::with_capacity(theirs.len());
        for cell in 0..cells {
            for channel in 0..channels {
                let at = |output: usize| output * inputs + channel * cells + cell;
                weights.extend((0..outputs).map(|output| theirs[at(output)]));
            }
        }
        let bias = bias.map_or_else(
            || vec![0.0; outputs],
            |b| self.tensors.parameters[b].clone(),
        );
        (weights, bias, outputs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::spec::{Border, Layer, ModelSpec};
    use crate::zoo;
    use crate::{Mode, Network};
    use candle_core::{Device, Tensor};

    /// A convolution with batch normalisation, and every other kind of layer that can be folded.
    fn normed() -> ModelSpec {
        let norm = || Layer::BatchNorm {
            eps: 1e-3,
            momentum: 0.5,
        };
        ModelSpec {
            name: "normed".into(),
            input: [1, 28, 28],
            classes: 7,
            init: crate::Initializer::HeNormal,
            layers: vec![
                Layer::conv(6, 3, Border::Same),
                norm(),
                Layer::activation(Activation::Relu),
                Layer::max_pool(2),
                Layer::conv(5, 5, Border::Valid),
                Layer::activation(Activation::Relu),
                Layer::max_pool(2),
                Layer::Flatten,
                Layer::Dropout { rate: 0.5 },
                Layer::dense(20),
                norm(),
                Layer::activation(Activation::Relu),
                Layer::dense(7),
            ],
        }
    }

    #[test]
    fn a_folded_network_answers_as_the_network_does() {
        let zoo = ["lenet5", "simple-cnn", "bn-cnn"];
        let specs = zoo.map(|name| zoo::spec(name, [1, 28, 28], 10).unwrap());
        for spec in specs.into_iter().chain([normed()]) {
            let network = Network::new(&spec, 3, &Device::Cpu).unwrap();
            let byte = |i: usize| ((i * i / 7) % 256) as u8;
            let images: Vec<u8> = (0..8 * 784).map(byte).collect();
            let pixels: Vec<f32> = images.iter().map(|&b| f32::from(b) / 255.0).collect();
            let x = Tensor::from_vec(pixels, (8, 1, 28, 28), &Device::Cpu).unwrap();
            // A step of training moves the statistics that are folded.
            network
                .forward(&x, Mode::Train { dropout_seed: 1 })
                .unwrap();
            let expected: Vec<Vec<f32>> =
                network.forward(&x, Mode::Eval).unwrap().to_vec2().unwrap();
            let net = net(network.graph(), network.tensors().unwrap()).unwrap();
            for (image, expected) in images.chunks_exact(784).zip(expected) {
                let found = net.logits(image).unwrap();
                let most = expected.iter().fold(1f32, |most, x| most.max(x.abs()));
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * most;
                assert!(
                    found.iter().zip(&expected).all(near),
                    "{}: {found:?} {expected:?}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn a_layer_without_a_small_counterpart_is_named() {
        let spec = zoo::spec("ann", [1, 28, 28], 10).unwrap();
        let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
        let error = net(network.graph(), network.tensors().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("act1") && error.contains("sigmoid"),
            "{error}"
        );
    }
}
