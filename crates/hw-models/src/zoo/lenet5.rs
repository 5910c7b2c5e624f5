//! LeNet-5 as it is usually rebuilt, with the variants that papers leave open.

use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

/// What emnist-classifier does not state, with the defaults used here.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenet5 {
    /// The nonlinearity after each convolution and affine layer.
    pub activation: Activation,
    /// Max-pooling, else average pooling.
    pub max_pool: bool,
    /// How weights start.
    pub init: Initializer,
}

impl Default for Lenet5 {
    fn default() -> Self {
        Self {
            activation: Activation::Relu,
            max_pool: true,
            init: Initializer::GlorotUniform,
        }
    }
}

impl Lenet5 {
    /// conv 6@5x5 same -> pool 2 -> conv 16@5x5 -> pool 2 -> affine 120 -> 84 -> `classes`:
    /// 64,851 parameters at 28x28x1 and 47 classes, as emnist-classifier prints.
    pub fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let pool = || {
            if self.max_pool {
                Layer::max_pool(2)
            } else {
                Layer::avg_pool(2)
            }
        };
        let act = || Layer::activation(self.activation);
        ModelSpec {
            name: "lenet5".into(),
            input,
            classes,
            init: self.init,
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
