//! The plain network of emnist-ablation ("Our Model (CNN)").

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// Three convolutions, two affine layers; no batch normalisation, no dropout.
    pub struct PlainCnn {
        /// The nonlinearity after each convolution and the first affine layer.
        pub activation: Activation = Activation::Relu,
    }

    /// conv 32@3 -> max-pool 2 -> conv 64@3 -> max-pool 2 -> conv 64@3 -> affine 64 -> `classes`:
    /// 96,702 parameters at 28x28x1 and 62 classes.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let act = || Layer::activation(self.activation);
        let conv = |filters| Layer::conv(filters, 3, Border::Valid);
        ModelSpec {
            name: "plain-cnn".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers: vec![
                conv(32),
                act(),
                Layer::max_pool(2),
                conv(64),
                act(),
                Layer::max_pool(2),
                conv(64),
                act(),
                Layer::Flatten,
                Layer::dense(64),
                act(),
                Layer::dense(classes),
            ],
        }
    }
}
