//! The six-layer network of simple-cnn-bn (Lee & Rhee 2024, Fig. 2 and code 2): convolution,
//! max-pooling, affine, batch normalisation, affine, softmax.

use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

/// conv 30@5x5 -> ReLU -> max-pool 2 -> affine 100 -> BN -> ReLU -> affine `classes`; weights
/// Gaussian with standard deviation .01, biases zero.
///
/// The batch normalisation is that of the book the authors build on (Saitoh 2017): moving
/// statistics with momentum .9, eps 10e-7.
pub fn spec(input: [usize; 3], classes: usize) -> ModelSpec {
    ModelSpec {
        name: "bn-cnn".into(),
        input,
        classes,
        init: Initializer::Normal { std: 0.01 },
        layers: vec![
            Layer::conv(30, 5, Border::Valid),
            Layer::activation(Activation::Relu),
            Layer::max_pool(2),
            Layer::Flatten,
            Layer::dense(100),
            Layer::BatchNorm {
                eps: 1e-6,
                momentum: 0.1,
            },
            Layer::activation(Activation::Relu),
            Layer::dense(classes),
        ],
    }
}
