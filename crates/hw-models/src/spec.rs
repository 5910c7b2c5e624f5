//! A network as data: the list of its layers. Everything else (shapes, parameters, MACs, the
//! runnable network, the diagrams in a report) is derived from this one declaration.

use crate::init::Initializer;
use crate::layers::Settings;
use hw_kernels::{Activation, Padding};
use serde::{Deserialize, Serialize};

/// A complete description of a network; serialises to JSON and travels inside checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The catalogue name, such as `bn-cnn`.
    pub name: String,
    /// Channels, height and width of one input image.
    pub input: [usize; 3],
    /// Number of classes, hence of logits.
    pub classes: usize,
    /// How weights start; biases start at zero unless the initialiser says otherwise.
    pub init: Initializer,
    /// The layers, from input to logits.
    pub layers: Vec<Layer>,
}

/// One layer. Kernels, strides and pads are given as height, width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Layer {
    /// Zero padding around each map.
    Pad {
        /// Rows and columns added on each side.
        padding: Padding,
    },
    /// Convolution (cross-correlation, as all frameworks have it): `[c,h,w] -> [out,h',w']`.
    Conv {
        /// Number of filters.
        out: usize,
        /// Filter height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Border treatment.
        padding: Border,
        /// Whether each filter adds a bias.
        bias: bool,
        /// For each filter, the input maps that it reads (LeCun et al. 1998, Table I); all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connections: Option<Vec<Vec<usize>>>,
    },
    /// Maximum over windows.
    MaxPool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Border treatment; padding never wins.
        padding: Border,
    },
    /// Mean over windows; cells outside the map are not counted, as in Keras.
    AvgPool {
        /// Window height and width.
        kernel: [usize; 2],
        /// Step between windows.
        stride: [usize; 2],
        /// Border treatment.
        padding: Border,
    },
    /// Mean of each map: `[c,h,w] -> [c]`.
    GlobalAvgPool,
    /// Trainable subsampling (LeCun et al. 1998): mean over k x k windows, times a coefficient,
    /// plus a bias, one of each a map.
    Subsample {
        /// Window size and step.
        kernel: usize,
    },
    /// Any shape to a vector.
    Flatten,
    /// A vector to maps.
    Reshape {
        /// Channels, height, width.
        to: [usize; 3],
    },
    /// Affine layer: `[d] -> [units]`.
    Dense {
        /// Number of outputs.
        units: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Batch normalisation (Ioffe & Szegedy 2015) over the batch and the map's cells.
    BatchNorm {
        /// Added to the variance.
        eps: f32,
        /// Weight of the new batch in the moving statistics (PyTorch's convention: Keras's .99 is .01
        /// here). The moving variance is the biased one.
        momentum: f32,
    },
    /// Group normalization (Wu & He 2018) over one image's cells in groups of neighboring channels, with a scale
    /// and a shift a channel.
    GroupNorm {
        /// How many groups; the channels are a multiple.
        groups: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// A nonlinearity.
    Activation {
        /// Which one.
        function: Activation,
    },
    /// Inverted dropout, in training only.
    Dropout {
        /// Fraction of cells set to zero.
        rate: f32,
    },
    /// Radial basis functions (LeCun et al. 1998, eq. 7) as logits: `-|x - c_k|² / 2`, with fixed
    /// centres; the softmax over them is the posterior of unit Gaussians.
    Rbf {
        /// One centre a class, each as long as the input vector.
        centres: Vec<Vec<f32>>,
    },
    /// Transposed convolution with bias: `[c,h,w] -> [out, (h-1) stride + kernel - 2 padding, ...]`. Its
    /// weight is that of the equal convolution over the map with `stride - 1` zeros between its
    /// cells, `[out, c, kernel, kernel]`: PyTorch's with the first two axes exchanged and the last
    /// two reversed.
    ConvTranspose {
        /// Number of output maps.
        out: usize,
        /// Filter height and width.
        kernel: usize,
        /// Growth of the map.
        stride: usize,
        /// Rows and columns cut off each side; at most `kernel - stride`.
        padding: usize,
    },
    /// One level of the Haar wavelet transform: of each 2x2 window (a b; c d) the low band
    /// `(a+b+c+d)/2` and the details `(a+b-c-d)/2`, `(a-b+c-d)/2`, `(a-b-c+d)/2`. `[c,h,w] ->
    /// [4c, ⌈h/2⌉, ⌈w/2⌉]`: the low bands of all maps, then the three details of each. Odd maps are
    /// padded with zeros below and to the right.
    Haar {
        /// Only the low bands: `[c, ⌈h/2⌉, ⌈w/2⌉]`.
        low_only: bool,
    },
    /// The maps of `first(x)`, then those of `second(x)`; an empty branch is the identity.
    Concat {
        /// The branch whose maps come first.
        first: Vec<Layer>,
        /// The branch whose maps come second.
        second: Vec<Layer>,
    },
    /// `body(x) + shortcut(x)`; an empty shortcut is the identity.
    Residual {
        /// The transforming branch.
        body: Vec<Layer>,
        /// The branch that only matches shapes.
        shortcut: Vec<Layer>,
    },
    /// One that another crate has [registered](crate::layers::register).
    Custom {
        /// The name that it was registered by.
        name: String,
        /// Whatever it wants to be told.
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        settings: Settings,
    },
}

impl ModelSpec {
    /// Refuses images `[c, h, w]` of another shape than the network's.
    pub(crate) fn check_input(&self, given: [usize; 3]) -> crate::Result<()> {
        if given == self.input {
            return Ok(());
        }
        Err(crate::ModelError::Layer {
            model: self.name.clone(),
            layer: "input".into(),
            problem: format!("expects images of {:?}, gets {given:?}", self.input),
        })
    }
}

/// What happens at the border of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// No padding.
    Valid,
    /// Output size is input size over stride, rounded up; surplus goes below and right (Keras).
    Same,
    /// The given rows and columns.
    Explicit(Padding),
}

impl Border {
    /// The rows and columns added for a map of `size` (height, width).
    pub fn resolve(self, size: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Padding {
        let total = |axis: usize| {
            let outputs = size[axis].div_ceil(stride[axis].max(1));
            ((outputs.saturating_sub(1)) * stride[axis] + kernel[axis]).saturating_sub(size[axis])
        };
        match self {
            Border::Valid => Padding::default(),
            Border::Explicit(padding) => padding,
            Border::Same => {
                let (rows, columns) = (total(0), total(1));
                Padding {
                    top: rows / 2,
                    bottom: rows - rows / 2,
                    left: columns / 2,
                    right: columns - columns / 2,
                }
            }
        }
    }
}

/// Short constructors, so that a network's file reads like the paper's table.
impl Layer {
    /// Square convolution with bias and stride 1.
    pub fn conv(out: usize, kernel: usize, padding: Border) -> Self {
        Self::Conv {
            out,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding,
            bias: true,
            connections: None,
        }
    }

    /// Max-pooling over k x k windows that do not overlap.
    pub fn max_pool(kernel: usize) -> Self {
        Self::MaxPool {
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: Border::Valid,
        }
    }

    /// Average pooling over k x k windows that do not overlap.
    pub fn avg_pool(kernel: usize) -> Self {
        Self::AvgPool {
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: Border::Valid,
        }
    }

    /// Affine layer with bias.
    pub fn dense(units: usize) -> Self {
        Self::Dense { units, bias: true }
    }

    /// A nonlinearity.
    pub fn activation(function: Activation) -> Self {
        Self::Activation { function }
    }

    /// The word a reader expects for this layer, and the stem of its name.
    pub fn kind(&self) -> &str {
        match self {
            Self::Pad { .. } => "pad",
            Self::Conv { .. } => "conv",
            Self::MaxPool { .. } | Self::AvgPool { .. } | Self::GlobalAvgPool => "pool",
            Self::Subsample { .. } => "subsample",
            Self::Flatten => "flatten",
            Self::Reshape { .. } => "reshape",
            Self::Dense { .. } => "fc",
            Self::BatchNorm { .. } => "bn",
            Self::GroupNorm { .. } => "gn",
            Self::Activation { .. } => "act",
            Self::Dropout { .. } => "dropout",
            Self::Rbf { .. } => "rbf",
            Self::ConvTranspose { .. } => "deconv",
            Self::Haar { .. } => "haar",
            Self::Concat { .. } => "concat",
            Self::Residual { .. } => "res",
            Self::Custom { name, .. } => name,
        }
    }

    /// The branches of a layer that has some: body and shortcut, or the two that are concatenated.
    pub fn branches(&self) -> Option<[&[Layer]; 2]> {
        match self {
            Self::Concat { first, second } => Some([first, second]),
            Self::Residual { body, shortcut } => Some([body, shortcut]),
            _ => None,
        }
    }

    /// Every size that the layer asks for.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let window = |kernel: &[usize; 2], stride: &[usize; 2], border: &Border| {
            let mut sizes = [*kernel, *stride].concat();
            if let Border::Explicit(padding) = border {
                sizes.extend(padding.sizes());
            }
            sizes
        };
        match self {
            Self::Pad { padding } => padding.sizes().into(),
            Self::Conv {
                out,
                kernel,
                stride,
                padding,
                ..
            } => [vec![*out], window(kernel, stride, padding)].concat(),
            Self::MaxPool {
                kernel,
                stride,
                padding,
            }
            | Self::AvgPool {
                kernel,
                stride,
                padding,
            } => window(kernel, stride, padding),
            Self::Subsample { kernel } => vec![*kernel],
            Self::Reshape { to } => to.to_vec(),
            Self::Dense { units, .. } => vec![*units],
            Self::ConvTranspose {
                out,
                kernel,
                stride,
                padding,
            } => vec![*out, *kernel, *stride, *padding],
            Self::GlobalAvgPool
            | Self::Flatten
            | Self::BatchNorm { .. }
            | Self::GroupNorm { .. }
            | Self::Activation { .. }
            | Self::Dropout { .. }
            | Self::Rbf { .. }
            | Self::Haar { .. }
            | Self::Concat { .. }
            | Self::Residual { .. }
            | Self::Custom { .. } => Vec::new(),
        }
    }

    /// What the layer does, in a few words: "conv 30@5x5, stride 1".
    pub fn describe(&self) -> String {
        let window = |kernel: &[usize; 2], stride: &[usize; 2], padding: &Border| {
            let border = match padding {
                Border::Valid => String::new(),
                Border::Same => ", same".into(),
                Border::Explicit(p) if *p == Padding::default() => String::new(),
                Border::Explicit(p) => {
                    format!(", pad {},{},{},{}", p.top, p.bottom, p.left, p.right)
                }
            };
            let step = if stride[0] == stride[1] {
                format!("{}", stride[0])
            } else {
                format!("{}x{}", stride[0], stride[1])
            };
            format!("{}x{}, stride {step}{border}", kernel[0], kernel[1])
        };
        match self {
            Self::Pad { padding: p } => {
                format!("zero-pad {},{},{},{}", p.top, p.bottom, p.left, p.right)
            }
            Self::Conv {
                out,
                kernel,
                stride,
                padding,
                connections,
                bias,
            } => format!(
                "conv {out}@{}{}{}",
                window(kernel, stride, padding),
                if *bias { "" } else { ", no bias" },
                if connections.is_some() {
                    ", partly connected"
                } else {
                    ""
                },
            ),
            Self::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                format!("max-pool {}", window(kernel, stride, padding))
            }
            Self::AvgPool {
                kernel,
                stride,
                padding,
            } => {
                format!("avg-pool {}", window(kernel, stride, padding))
            }
            Self::GlobalAvgPool => "global average pool".into(),
            Self::Subsample { kernel } => format!("trainable subsampling {kernel}x{kernel}"),
            Self::Flatten => "flatten".into(),
            Self::Reshape { to: [c, h, w] } => format!("reshape to {c}x{h}x{w}"),
            Self::Dense { units, bias: true } => format!("affine {units}"),
            Self::Dense { units, bias: false } => format!("affine {units}, no bias"),
            Self::BatchNorm { .. } => "batch normalisation".into(),
            Self::GroupNorm { groups, .. } => format!("group normalization, {groups} groups"),
            Self::Activation { function } => function.to_string(),
            Self::Dropout { rate } => format!("dropout {rate}"),
            Self::Rbf { centres } => format!("RBF {}", centres.len()),
            Self::ConvTranspose {
                out,
                kernel,
                stride,
                ..
            } => format!("transposed conv {out}@{kernel}x{kernel}, stride {stride}"),
            Self::Haar { low_only: true } => "Haar wavelet, low band".into(),
            Self::Haar { low_only: false } => "Haar wavelet".into(),
            Self::Concat { .. } => "concatenation of two branches".into(),
            Self::Residual { shortcut, .. } if shortcut.is_empty() => {
                "residual, identity shortcut".into()
            }
            Self::Residual { .. } => "residual, projected shortcut".into(),
            Self::Custom { name, settings } => {
                let settings = settings
                    .iter()
                    .map(|(key, value)| format!(", {key} {value}"));
                name.clone() + &settings.collect::<String>()
            }
        }
    }
}
