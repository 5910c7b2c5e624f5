//! ResNet-50 (He, Zhang, Ren & Sun 2015, Table 1) as Keras or as torchvision builds it.

use super::settings::{choices, recipe};
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::{Activation, Padding};

choices! {
    /// Whose ResNet-50.
    pub enum Style {
        /// `keras.applications`: biased convolutions, the stride in a block's first 1x1
        /// convolution (as published), BN eps 1.001e-5 and momentum .99, Glorot-uniform weights.
        Keras = "keras",
        /// `torchvision`: no biases, the stride in a block's 3x3 convolution ("v1.5"), BN eps 1e-5
        /// and momentum .9 (.1 in PyTorch's words), He-normal weights.
        Torchvision = "torchvision",
    }
}

recipe! {
    /// 16 bottleneck blocks in four stages; any input from about 28x28.
    pub struct Resnet50 {
        /// Whose details: keras or torchvision.
        pub style: Style = Style::Keras,
        /// Average pooling before the classifier: 0 for the whole map, else the window, at stride 4 (three-datasets: 4 to 7 at 224x224 input).
        pub pool: usize = 0,
        /// Units of a ReLU layer before the classifier, 0 for none (emnist-ablation: 1024).
        pub hidden: usize = 0,
    }

    /// conv 64@7 stride 2, max-pool 3 stride 2, blocks 3-4-6-3 of 64 to 512 filters, average pool,
    /// affine `classes`. With 3 channels and 47 classes 23,630,895 trainable parameters, as
    /// emnist-classifier prints.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let around = |pixels| Border::Explicit(Padding::symmetric(pixels));
        let mut layers = vec![
            self.conv(64, 7, 2, around(3)),
            self.batch_norm(),
            Layer::activation(Activation::Relu),
            Layer::MaxPool {
                kernel: [3; 2],
                stride: [2; 2],
                padding: around(1),
            },
        ];
        for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                layers.push(self.bottleneck(64 << stage, stride, block == 0));
                layers.push(Layer::activation(Activation::Relu));
            }
        }
        match self.pool {
            0 => layers.push(Layer::GlobalAvgPool),
            window => layers.extend([
                Layer::AvgPool {
                    kernel: [window; 2],
                    stride: [4; 2],
                    padding: Border::Valid,
                },
                Layer::Flatten,
            ]),
        }
        if self.hidden > 0 {
            layers.extend([Layer::dense(self.hidden), Layer::activation(Activation::Relu)]);
        }
        layers.push(Layer::dense(classes));
        ModelSpec {
            name: "resnet50".into(),
            input,
            classes,
            init: match self.style {
                Style::Keras => Initializer::GlorotUniform,
                Style::Torchvision => Initializer::HeNormal,
            },
            layers,
        }
    }
}

impl Resnet50 {
    fn conv(&self, out: usize, kernel: usize, stride: usize, padding: Border) -> Layer {
        Layer::Conv {
            out,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding,
            bias: self.style == Style::Keras,
            connections: None,
        }
    }

    fn batch_norm(&self) -> Layer {
        let (eps, momentum) = match self.style {
            Style::Keras => (1.001e-5, 0.01),
            Style::Torchvision => (1e-5, 0.1),
        };
        Layer::BatchNorm { eps, momentum }
    }

    /// 1x1, 3x3, 1x1 convolutions with `filters`, `filters` and four times as many maps; the first
    /// block of a stage projects its input.
    fn bottleneck(&self, filters: usize, stride: usize, project: bool) -> Layer {
        let (first, second) = match self.style {
            Style::Keras => (stride, 1),
            Style::Torchvision => (1, stride),
        };
        let relu = || Layer::activation(Activation::Relu);
        let around = Border::Explicit(Padding::symmetric(1));
        let body = vec![
            self.conv(filters, 1, first, Border::Valid),
            self.batch_norm(),
            relu(),
            self.conv(filters, 3, second, around),
            self.batch_norm(),
            relu(),
            self.conv(4 * filters, 1, 1, Border::Valid),
            self.batch_norm(),
        ];
        let shortcut = match project {
            false => vec![],
            true => vec![
                self.conv(4 * filters, 1, stride, Border::Valid),
                self.batch_norm(),
            ],
        };
        Layer::Residual { body, shortcut }
    }
}
