//! Our own network for the best accuracy that a plain CPU can train in minutes.

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// A cheap 5x5 stem, then two pairs of batch-normalised 3x3 convolutions of doubling width.
    pub struct CompactVgg {
        /// Filters of the stem; the pairs have two and four times as many.
        pub width: usize = 24,
        /// The nonlinearity everywhere.
        pub activation: Activation = Activation::Relu,
        /// Dropout before the last layer.
        pub dropout: f32 = 0.3,
    }

    /// conv w@5 same, BN, act, max-pool 2; twice {conv@3 same, BN, act} at 2w, max-pool 2; twice at
    /// 4w, max-pool 2; dropout; affine `classes`. The stem sees the full 28x28 and costs little since
    /// its input has one channel; everything else works on at most 14x14. 165,706 trainable
    /// parameters at 28x28x1, 10 classes and the default width.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        // A spec need not be valid yet; resolving it refuses what is too wide.
        let wide = |times: usize| self.width.saturating_mul(times);
        let mut layers = block(wide(1), 5, self.activation);
        layers.push(Layer::max_pool(2));
        for filters in [wide(2), wide(4)] {
            layers.extend(block(filters, 3, self.activation));
            layers.extend(block(filters, 3, self.activation));
            layers.push(Layer::max_pool(2));
        }
        layers.extend([
            Layer::Flatten,
            Layer::Dropout { rate: self.dropout },
            Layer::dense(classes),
        ]);
        ModelSpec {
            name: "compact-vgg".into(),
            input,
            classes,
            init: Initializer::HeNormal,
            layers,
        }
    }
}

fn block(filters: usize, kernel: usize, activation: Activation) -> Vec<Layer> {
    vec![
        Layer::conv(filters, kernel, Border::Same),
        Layer::BatchNorm {
            eps: 1e-5,
            momentum: 0.1,
        },
        Layer::activation(activation),
    ]
}
