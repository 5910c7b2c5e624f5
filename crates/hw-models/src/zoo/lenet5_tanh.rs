//! LeNet-5 as emnist-ablation builds it: tanh, average pooling, a third convolution, 128 units.

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// What can be changed; the defaults are the paper's.
    pub struct Lenet5Tanh {
        /// The nonlinearity after each convolution; the affine layer's is ReLU.
        pub activation: Activation = Activation::Tanh,
    }

    /// conv 6@5 same -> avg-pool 2 -> conv 16@5 -> avg-pool 2 -> conv 120@5 -> affine 128 -> ReLU ->
    /// `classes`: 74,178 parameters at 28x28x1 and 62 classes.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let act = || Layer::activation(self.activation);
        ModelSpec {
            name: "lenet5-tanh".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers: vec![
                Layer::conv(6, 5, Border::Same),
                act(),
                Layer::avg_pool(2),
                Layer::conv(16, 5, Border::Valid),
                act(),
                Layer::avg_pool(2),
                Layer::conv(120, 5, Border::Valid),
                act(),
                Layer::Flatten,
                Layer::dense(128),
                Layer::activation(Activation::Relu),
                Layer::dense(classes),
            ],
        }
    }
}
