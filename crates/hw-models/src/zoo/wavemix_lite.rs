//! WaveMix-Lite (Jeevan & Sethi 2022, "WaveMix: Resource-efficient Token Mixing for Images").

use super::settings::{Count, recipe};
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::{Activation, Padding};

recipe! {
    /// Blocks that mix over space by a wavelet transform instead of attention. WaveMix-Lite-C/N has
    /// `channels` C and `blocks` N.
    pub struct WavemixLite {
        /// Channels of every block, a multiple of 4.
        pub channels: usize = 128,
        /// Blocks.
        pub blocks: Count<256> = Count(7),
        /// Levels of the wavelet transform; each halves the maps once more, and they must stay even.
        pub levels: Count<10> = Count(1),
        /// Hidden channels of a block's pointwise layers, as a multiple of its channels.
        pub mult: usize = 2,
        /// Dropout between them.
        pub dropout: f32 = 0.5,
        /// Stride of both stem convolutions; the published code has 1 for small images.
        pub stride: usize = 1,
    }

    /// Two 3x3 convolutions, the blocks, global average pool, affine `classes`. 128/7 has 2,410,526
    /// parameters at 28x28x1 and 62 classes: 9.6 *megabytes* of f32, which is what emnist-ablation's
    /// 9.6 M must be.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let stem = |filters| Layer::Conv {
            out: filters,
            kernel: [3; 2],
            stride: [self.stride; 2],
            padding: Border::Explicit(Padding::symmetric(1)),
            bias: true,
            connections: None,
        };
        let mut layers = vec![stem(self.channels / 2), stem(self.channels)];
        for _ in 0..self.blocks.0 {
            layers.push(self.block());
        }
        layers.extend([Layer::GlobalAvgPool, Layer::dense(classes)]);
        ModelSpec {
            name: "wavemix-lite".into(),
            input,
            classes,
            init: Initializer::Torch,
            layers,
        }
    }
}

impl WavemixLite {
    /// x + mixing(wavelets(reduction(x))).
    fn block(&self) -> Layer {
        let mut body = vec![Layer::conv(self.channels / 4, 1, Border::Valid)];
        body.extend(self.level(1));
        Layer::Residual {
            body,
            shortcut: vec![],
        }
    }

    /// The wavelet transform of this level and what the next levels make of its low band, mixed and
    /// brought back to this level's size. All levels but the first end in half the channels.
    fn level(&self, level: usize) -> Vec<Layer> {
        let mut layers = vec![Layer::Haar { low_only: false }];
        if level < self.levels.0 {
            let mut deeper = vec![Layer::Haar { low_only: true }];
            deeper.extend(self.level(level + 1));
            layers = vec![Layer::Concat {
                first: layers,
                second: deeper,
            }];
        }
        let out = if level == 1 {
            self.channels
        } else {
            self.channels / 2
        };
        let rate = self.dropout;
        layers.extend([
            Layer::conv(self.channels.saturating_mul(self.mult), 1, Border::Valid),
            Layer::activation(Activation::Gelu),
            Layer::Dropout { rate },
            Layer::conv(self.channels, 1, Border::Valid),
            Layer::ConvTranspose {
                out,
                kernel: 4,
                stride: 2,
                padding: 1,
            },
            Layer::BatchNorm {
                eps: 1e-5,
                momentum: 0.1,
            },
        ]);
        layers
    }
}
