//! The shortened VGG of emnist-classifier (Fig. 7).

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// Three pairs of 3x3 convolutions, then 1024 and 512 units. Padding is "same", as in VGG; no
    /// batch normalisation is mentioned, so there is none.
    pub struct CustomVgg {
        /// The nonlinearity, which the paper does not state; VGG's is ReLU.
        pub activation: Activation = Activation::Relu,
        /// The dropout rate after the first affine layer, which the paper does not state; VGG's is .5.
        pub dropout: f32 = 0.5,
    }

    /// conv3-64 twice, max-pool 2, conv3-128 twice, max-pool, conv3-256 twice, max-pool, affine 1024,
    /// dropout, affine 512, affine `classes`: 4,053,487 parameters at 28x28x1 and 47 classes.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let act = || Layer::activation(self.activation);
        let mut layers = vec![];
        for filters in [64, 128, 256] {
            for _ in 0..2 {
                layers.extend([Layer::conv(filters, 3, Border::Same), act()]);
            }
            layers.push(Layer::max_pool(2));
        }
        layers.extend([
            Layer::Flatten,
            Layer::dense(1024),
            act(),
            Layer::Dropout { rate: self.dropout },
            Layer::dense(512),
            act(),
            Layer::dense(classes),
        ]);
        ModelSpec {
            name: "custom-vgg".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers,
        }
    }
}
