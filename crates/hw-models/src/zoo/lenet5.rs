//! LeNet-5 as it is usually rebuilt, with the variants that papers leave open.

use super::settings::{choices, recipe};
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

choices! {
    /// How maps are halved.
    pub enum Pooling {
        /// By the largest value.
        Max = "max",
        /// By the mean.
        Average = "average",
    }
}

recipe! {
    /// What emnist-classifier does not state, with the defaults used here.
    pub struct Lenet5 {
        /// The nonlinearity after each convolution and affine layer.
        pub activation: Activation = Activation::Relu,
        /// How maps are halved: max or average.
        pub pool: Pooling = Pooling::Max,
    }

    /// conv 6@5x5 same -> pool 2 -> conv 16@5x5 -> pool 2 -> affine 120 -> 84 -> `classes`:
    /// 64,851 parameters at 28x28x1 and 47 classes, as emnist-classifier prints.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let pool = || match self.pool {
            Pooling::Max => Layer::max_pool(2),
            Pooling::Average => Layer::avg_pool(2),
        };
        let act = || Layer::activation(self.activation);
        ModelSpec {
            name: "lenet5".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers: vec![
                Layer::conv(6, 5, Border::Same),
                act(),
                pool(),
                Layer::conv(16, 5, Border::Valid),
                act(),
                pool(),
                Layer::Flatten,
                Layer::dense(120),
                act(),
                Layer::dense(84),
                act(),
                Layer::dense(classes),
            ],
        }
    }
}
