//! A trained network as [`hw_ink::Net`]: batch normalisation folded into the layer before it, maps
//! channel-last. What a page or a telephone runs, where there is no candle.

use crate::error::{ModelError, Result};
use crate::resolve::{ResolvedLayer, ResolvedModel};
use crate::spec::{Layer, ModelSpec};
use crate::weights::{Contents, StoredTensor};
use hw_ink::net::{self, Net};
use hw_kernels::Activation;

/// The network in `contents`, for use only: dropout is gone and batch normalisation is part of the
/// weights, so that logits agree with [`crate::Network::forward`] in evaluation mode up to rounding.
///
/// # Errors
/// [`ModelError::Layer`] naming the first layer that [`Net`] does not have (anything but
/// stride-1 convolutions with equal zero padding on all sides, 2x2 max-pooling, affine layers, ReLU,
/// and batch normalisation right after a convolution or an affine layer), or a tensor that is
/// missing.
pub fn fold(spec: &ModelSpec, contents: &Contents) -> Result<Net> {
    let model = spec.resolve()?;
    let refuse = |layer: &str, problem: String| ModelError::Layer {
        model: spec.name.clone(),
        layer: layer.into(),
        problem,
    };
    let mut folder = Folder {
        model: &model,
        contents,
        layers: Vec::new(),
        flattened: None,
    };
    if spec.input != [1, net::SIDE, net::SIDE] {
        let problem = format!("takes images of {:?}, not of one 28x28 map", spec.input);
        return Err(refuse("input", problem));
    }
    for layer in &model.layers {
        folder
            .take(layer)
            .map_err(|problem| refuse(&layer.name, problem))?;
    }
    Net::new(folder.layers, spec.classes).map_err(|error| refuse("output", error.to_string()))
}

struct Folder<'a> {
    model: &'a ResolvedModel,
    contents: &'a Contents,
    layers: Vec<net::Layer>,
    /// The maps (channels, height, width) that a vector was flattened from.
    flattened: Option<[usize; 3]>,
}

type Step = std::result::Result<(), String>;

impl Folder<'_> {
    fn take(&mut self, layer: &ResolvedLayer) -> Step {
        match &layer.layer {
            Layer::Conv { .. } => self.convolution(layer)?,
            Layer::Dense { .. } => self.dense(layer)?,
            Layer::BatchNorm { eps, .. } => self.batch_norm(layer, *eps)?,
            Layer::Activation {
                function: Activation::Relu,
            } => self.layers.push(net::Layer::Relu),
            Layer::MaxPool { kernel, stride, .. } => {
                let halves = layer.output[1..] == [layer.input[1] / 2, layer.input[2] / 2];
                if [*kernel, *stride] != [[2, 2]; 2] || !halves {
                    return Err("only 2x2 max-pooling without padding is known".into());
                }
                self.layers.push(net::Layer::MaxPool);
            }
            Layer::Flatten => {
                self.flattened = <[usize; 3]>::try_from(layer.input.as_slice()).ok();
            }
            Layer::Dropout { .. } => {}
            other => return Err(format!("{} has no small counterpart", other.describe())),
        }
        Ok(())
    }

    fn tensor(&self, layer: &ResolvedLayer, what: &str) -> std::result::Result<&[f32], String> {
        let name = format!("{}.{what}", layer.name);
        let stored: Option<&StoredTensor> = self.contents.tensors.get(&name);
        let shape = layer.parameters.iter().chain(&layer.buffers);
        let shape = shape.filter(|p| p.name == name).map(|p| &p.shape).next();
        match stored {
            Some(stored) if Some(&stored.shape) == shape => Ok(&stored.values),
            Some(stored) => Err(format!("tensor '{name}' has shape {:?}", stored.shape)),
            None => Err(format!("tensor '{name}' is missing")),
        }
    }

    fn bias(&self, layer: &ResolvedLayer, there: bool) -> std::result::Result<Vec<f32>, String> {
        match there {
            true => Ok(self.tensor(layer, "bias")?.to_vec()),
            false => Ok(vec![0.0; layer.output[0]]),
        }
    }

    fn convolution(&mut self, layer: &ResolvedLayer) -> Step {
        let Layer::Conv {
            out,
            kernel: [kernel, width],
            stride,
            padding,
            bias,
            connections,
        } = &layer.layer
        else {
            return Err("is no convolution".into());
        };
        let border = padding.resolve([layer.input[1], layer.input[2]], [*kernel, *width], *stride);
        let pads = [border.top, border.bottom, border.left, border.right];
        let plain = kernel == width && *stride == [1, 1] && connections.is_none();
        if !plain || pads.iter().any(|&pad| pad != pads[0]) {
            return Err("only full, square convolutions of stride 1 are known".into());
        }
        let (out, kernel, channels) = (*out, *kernel, layer.input[0]);
        let theirs = self.tensor(layer, "weight")?;
        let mut weight = Vec::with_capacity(theirs.len());
        for cell in 0..kernel * kernel {
            for channel in 0..channels {
                let at = |filter| (filter * channels + channel) * kernel * kernel + cell;
                weight.extend((0..out).map(|filter| theirs[at(filter)]));
            }
        }
        let bias = self.bias(layer, *bias)?;
        self.layers.push(net::Layer::Conv {
            out,
            kernel,
            pad: pads[0],
            weight,
            bias,
        });
        Ok(())
    }

    fn dense(&mut self, layer: &ResolvedLayer) -> Step {
        let Layer::Dense { units, bias } = layer.layer else {
            return Err("is no affine layer".into());
        };
        let inputs = layer.input[0];
        let [channels, height, width] = self.flattened.take().unwrap_or([inputs, 1, 1]);
        let theirs = self.tensor(layer, "weight")?;
        let mut weight = Vec::with_capacity(theirs.len());
        for cell in 0..height * width {
            for channel in 0..channels {
                let input = channel * height * width + cell;
                weight.extend((0..units).map(|unit| theirs[unit * inputs + input]));
            }
        }
        let bias = self.bias(layer, bias)?;
        self.layers.push(net::Layer::Dense { weight, bias });
        Ok(())
    }

    /// `gamma (x - mean) / sqrt(var + eps) + beta` after `w x + b` is `(s w) x + s (b - mean) + beta`
    /// with `s = gamma / sqrt(var + eps)`.
    fn batch_norm(&mut self, layer: &ResolvedLayer, eps: f32) -> Step {
        let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|what| self.tensor(layer, what).map(<[f32]>::to_vec));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        let Some(net::Layer::Conv { weight, bias, .. } | net::Layer::Dense { weight, bias }) =
            self.layers.last_mut()
        else {
            let model = &self.model.spec.name;
            return Err(format!("of {model} does not follow a layer with weights"));
        };
        let scale = gamma
            .iter()
            .zip(&variance)
            .map(|(g, v)| g / (v + eps).sqrt());
        let scale: Vec<f32> = scale.collect();
        for row in weight.chunks_exact_mut(scale.len()) {
            row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        }
        for (index, bias) in bias.iter_mut().enumerate() {
            *bias = (*bias - mean[index]) * scale[index] + beta[index];
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::{Mode, Network};
    use crate::spec::Border;
    use crate::zoo;
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
            let net = fold(&spec, &network.contents().unwrap()).unwrap();
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
        let error = fold(&spec, &network.contents().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("act1") && error.contains("sigmoid"),
            "{error}"
        );
    }
}
