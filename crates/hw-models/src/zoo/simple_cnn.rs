//! The simple network of three-datasets: "two convolution layers and two dense layers", and no more
//! is said.

use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

/// conv 32@3x3 -> ReLU -> max-pool 2 -> conv 64@3x3 -> ReLU -> max-pool 2 -> affine 128 -> ReLU ->
/// affine `classes`. Widths, pooling and activation are our reading, the commonest one.
pub fn spec(input: [usize; 3], classes: usize) -> ModelSpec {
    let act = || Layer::activation(Activation::Relu);
    ModelSpec {
        name: "simple-cnn".into(),
        input,
        classes,
        init: Initializer::GlorotUniform,
        layers: vec![
            Layer::conv(32, 3, Border::Valid),
            act(),
            Layer::max_pool(2),
            Layer::conv(64, 3, Border::Valid),
            act(),
            Layer::max_pool(2),
            Layer::Flatten,
            Layer::dense(128),
            act(),
            Layer::dense(classes),
        ],
    }
}
