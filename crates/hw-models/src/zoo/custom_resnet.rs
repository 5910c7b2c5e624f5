//! The shortened ResNet of emnist-classifier (Fig. 5).

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::{Activation, Padding};

recipe! {
    /// Five residual blocks of 64 filters. The figure gives the layers; what it leaves open is a
    /// setting.
    pub struct CustomResnet {
        /// Stride of the first convolution, not stated; 2 as in ResNet, whose zero-pad 3 is kept.
        pub stem_stride: usize = 2,
        /// Whether a batch normalisation follows each convolution, not stated; ResNet has it.
        pub batch_norm: bool = true,
        /// Whether every stage's first block projects its shortcut, as Keras's ResNet does, or only a block that changes the maps' shape.
        pub project_always: bool = false,
    }

    /// zero-pad 3, conv 32@5, zero-pad 1, three blocks of 64 filters, two blocks of 64 filters of
    /// which the first has stride 2, global average pool, affine `classes`.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let pad = |size| Layer::Pad {
            padding: Padding::symmetric(size),
        };
        let mut layers = vec![pad(3)];
        layers.extend(self.conv(32, 5, self.stem_stride));
        layers.extend([Layer::activation(Activation::Relu), pad(1)]);
        let mut channels = 32;
        for (stage, blocks) in [3, 2].into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let reshapes = channels != 64 || stride != 1;
                let project = reshapes || (self.project_always && block == 0);
                layers.push(self.block(stride, project));
                layers.push(Layer::activation(Activation::Relu));
                channels = 64;
            }
        }
        layers.extend([Layer::GlobalAvgPool, Layer::dense(classes)]);
        ModelSpec {
            name: "custom-resnet".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers,
        }
    }
}

impl CustomResnet {
    /// A convolution with its batch normalisation. The 5x5 one has its padding before it.
    fn conv(&self, filters: usize, kernel: usize, stride: usize) -> Vec<Layer> {
        let around = match kernel {
            3 => Padding::symmetric(1),
            _ => Padding::zero(),
        };
        let mut layers = vec![Layer::Conv {
            out: filters,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Border::Explicit(around),
            bias: true,
            connections: None,
        }];
        if self.batch_norm {
            // Keras's ResNet: eps 1.001e-5, momentum .99.
            layers.push(Layer::BatchNorm {
                eps: 1.001e-5,
                momentum: 0.01,
            });
        }
        layers
    }

    fn block(&self, stride: usize, project: bool) -> Layer {
        let mut body = self.conv(64, 3, stride);
        body.push(Layer::activation(Activation::Relu));
        body.extend(self.conv(64, 3, 1));
        let shortcut = match project {
            true => self.conv(64, 1, stride),
            false => vec![],
        };
        Layer::Residual { body, shortcut }
    }
}
