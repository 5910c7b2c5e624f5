//! The networks, declared once for all frameworks: those of `peers.py`.

use anyhow::{Result, bail};

/// One layer. Convolutions and pooling are square.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution with `out` filters.
    Conv {
        /// Filters.
        out: usize,
        /// Their side.
        kernel: usize,
        /// Distance from window to window.
        stride: usize,
        /// Zeros around the image.
        pad: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Batch normalisation of the channels.
    Norm {
        /// Added to the variance.
        eps: f64,
        /// Share of a batch in the moving statistics.
        momentum: f64,
    },
    /// max(0, x).
    Relu,
    /// x / (1 + exp(-x)).
    Silu,
    /// The largest value of a window.
    MaxPool {
        /// The window's side.
        kernel: usize,
        /// Distance from window to window.
        stride: usize,
        /// Ignored places around the image.
        pad: usize,
    },
    /// The mean of 2 x 2 windows; the last ones of an odd side hold what is left.
    AvgPool,
    /// The mean of each map.
    GlobalAvgPool,
    /// In training, zeros with this probability.
    Dropout(f64),
    /// The sum of two branches.
    Residual {
        /// One branch.
        body: Vec<Layer>,
        /// The other; the input itself when empty.
        shortcut: Vec<Layer>,
    },
    /// From maps to a row.
    Flatten,
    /// An affine layer with this many units.
    Dense(usize),
}

/// How weights are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Adam, rate .001.
    Adam,
    /// Adam with Nesterov momentum, rate .001.
    Nadam,
    /// Gradient descent with momentum .9, rate .1.
    Momentum,
}

/// A network with the batch and the optimizer it is trained with.
#[derive(Clone, Debug)]
pub struct Net {
    /// Side of its square images of one channel.
    pub side: usize,
    /// Its classes.
    pub classes: usize,
    /// Images a training step.
    pub batch: usize,
    /// Its optimizer.
    pub rule: Rule,
    /// Its layers, in order.
    pub layers: Vec<Layer>,
}

/// The network called `name`.
///
/// # Errors
/// When there is none.
pub fn net(name: &str) -> Result<Net> {
    let (side, classes, batch, rule) = match name {
        "lenet5" => (28, 47, 256, Rule::Adam),
        "bn-cnn" => (28, 10, 100, Rule::Momentum),
        "residual" => (28, 62, 500, Rule::Nadam),
        "resnet50" => (32, 62, 64, Rule::Adam),
        "custom-vgg" => (28, 47, 128, Rule::Adam),
        _ => bail!("unknown network '{name}'"),
    };
    let mut layers = match name {
        "lenet5" => lenet5(),
        "bn-cnn" => bn_cnn(),
        "residual" => residual(),
        "resnet50" => resnet50(),
        _ => custom_vgg(),
    };
    layers.push(Layer::Dense(classes));
    Ok(Net {
        side,
        classes,
        batch,
        rule,
        layers,
    })
}

/// A convolution with bias, one pixel at a time.
fn conv(out: usize, kernel: usize, pad: usize) -> Layer {
    Layer::Conv {
        out,
        kernel,
        stride: 1,
        pad,
        bias: true,
    }
}

fn halve() -> Layer {
    Layer::MaxPool {
        kernel: 2,
        stride: 2,
        pad: 0,
    }
}

fn lenet5() -> Vec<Layer> {
    let (first, second) = (conv(6, 5, 2), conv(16, 5, 0));
    let mut layers = vec![first, Layer::Relu, halve(), second, Layer::Relu, halve()];
    layers.extend([Layer::Flatten, Layer::Dense(120), Layer::Relu]);
    layers.extend([Layer::Dense(84), Layer::Relu]);
    layers
}

fn bn_cnn() -> Vec<Layer> {
    let norm = Layer::Norm {
        eps: 1e-6,
        momentum: 0.1,
    };
    let mut layers = vec![conv(30, 5, 0), Layer::Relu, halve(), Layer::Flatten];
    layers.extend([Layer::Dense(100), norm, Layer::Relu]);
    layers
}

fn custom_vgg() -> Vec<Layer> {
    let mut layers = vec![];
    for filters in [64, 128, 256] {
        for _ in 0..2 {
            layers.extend([conv(filters, 3, 1), Layer::Relu]);
        }
        layers.push(halve());
    }
    layers.extend([Layer::Flatten, Layer::Dense(1024), Layer::Relu]);
    layers.extend([Layer::Dropout(0.5), Layer::Dense(512), Layer::Relu]);
    layers
}

fn residual() -> Vec<Layer> {
    let norm = || Layer::Norm {
        eps: 1e-3,
        momentum: 0.01,
    };
    let mut layers = vec![conv(32, 3, 1), norm(), Layer::Silu];
    layers.extend([Layer::Dropout(0.3), Layer::AvgPool]);
    for filters in [64, 128, 256] {
        let body = vec![
            conv(filters, 3, 1),
            norm(),
            Layer::Silu,
            conv(filters, 3, 1),
            norm(),
        ];
        let shortcut = vec![conv(filters, 1, 0), norm()];
        layers.extend([Layer::Residual { body, shortcut }, Layer::Silu]);
        layers.extend([Layer::Dropout(0.3), Layer::AvgPool]);
    }
    layers.extend([Layer::Flatten, Layer::Dense(512), norm(), Layer::Silu]);
    layers.push(Layer::Dropout(0.6));
    layers
}

/// As torchvision builds it, on images of one channel.
fn resnet50() -> Vec<Layer> {
    let norm = || Layer::Norm {
        eps: 1e-5,
        momentum: 0.1,
    };
    let conv = |out, kernel, stride| Layer::Conv {
        out,
        kernel,
        stride,
        pad: kernel / 2,
        bias: false,
    };
    let pool = Layer::MaxPool {
        kernel: 3,
        stride: 2,
        pad: 1,
    };
    let mut layers = vec![conv(64, 7, 2), norm(), Layer::Relu, pool];
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let filters = 64 << stage;
            let mut body = vec![conv(filters, 1, 1), norm(), Layer::Relu];
            body.extend([conv(filters, 3, stride), norm(), Layer::Relu]);
            body.extend([conv(4 * filters, 1, 1), norm()]);
            let shortcut = match block {
                0 => vec![conv(4 * filters, 1, stride), norm()],
                _ => vec![],
            };
            layers.extend([Layer::Residual { body, shortcut }, Layer::Relu]);
        }
    }
    layers.push(Layer::GlobalAvgPool);
    layers
}

/// The shape of an image on its way through a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Maps, or units after [`Layer::Flatten`].
    pub channels: usize,
    /// Side of a map; 1 after [`Layer::Flatten`].
    pub side: usize,
}

impl Shape {
    /// The shape after `layer`.
    pub fn after(self, layer: &Layer) -> Self {
        let Self { channels, side } = self;
        let window = |kernel, stride, pad| (side + 2 * pad - kernel) / stride + 1;
        let (channels, side) = match layer {
            Layer::Conv {
                out,
                kernel,
                stride,
                pad,
                ..
            } => (*out, window(*kernel, *stride, *pad)),
            Layer::MaxPool {
                kernel,
                stride,
                pad,
            } => (channels, window(*kernel, *stride, *pad)),
            Layer::AvgPool => (channels, side.div_ceil(2)),
            Layer::GlobalAvgPool => (channels, 1),
            Layer::Flatten => (channels * side * side, 1),
            Layer::Dense(units) => (*units, 1),
            Layer::Residual { body, .. } => {
                let end = body.iter().fold(self, |shape, layer| shape.after(layer));
                (end.channels, end.side)
            }
            Layer::Norm { .. } | Layer::Relu | Layer::Silu | Layer::Dropout(_) => (channels, side),
        };
        Self { channels, side }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trainable numbers of some layers on images of this shape.
    fn parameters(layers: &[Layer], mut shape: Shape) -> usize {
        let mut count = 0;
        for layer in layers {
            let next = shape.after(layer);
            count += match layer {
                Layer::Conv { kernel, bias, .. } => {
                    let each = shape.channels * kernel * kernel + usize::from(*bias);
                    next.channels * each
                }
                Layer::Dense(units) => units * (shape.channels + 1),
                Layer::Norm { .. } => 2 * shape.channels,
                Layer::Residual { body, shortcut } => {
                    parameters(body, shape) + parameters(shortcut, shape)
                }
                _ => 0,
            };
            shape = next;
        }
        count
    }

    #[test]
    fn every_network_has_the_size_its_paper_or_torchvision_says() {
        let count = |name: &str| {
            let net = net(name).ok()?;
            let input = Shape {
                channels: 1,
                side: net.side,
            };
            Some(parameters(&net.layers, input))
        };
        assert_eq!(count("lenet5"), Some(64_851));
        assert_eq!(count("residual"), Some(1_766_270));
        assert_eq!(count("custom-vgg"), Some(4_053_487));
        assert_eq!(count("bn-cnn"), Some(434_090));
        // torchvision's 25,557,032 less two channels of the stem and 938 of 1,000 classes.
        let torchvision = 25_557_032 - 2 * 64 * 49 - 938 * 2049;
        assert_eq!(count("resnet50"), Some(torchvision));
    }
}
