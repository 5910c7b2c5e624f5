//! The CNN with batch normalisation of Ji, Chun & Kim 2018, from the ten-layer table of
//! simple-cnn-bn (Table 3): conv, BN, max-pool, conv, BN, max-pool, fc 625, BN, max-pool, fc.

use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

/// Ten layers. Not stated, and chosen here: 3x3 filters, 32 and 64 of them, same padding, ReLU after
/// each normalisation. The last max-pooling follows a vector of 625 in the table; it is read as
/// pooling the vector's 25x25 arrangement.
pub fn spec(input: [usize; 3], classes: usize) -> ModelSpec {
    let norm = || Layer::BatchNorm {
        eps: 1e-3,
        momentum: 0.1,
    };
    let act = || Layer::activation(Activation::Relu);
    ModelSpec {
        name: "ji-cnn".into(),
        input,
        classes,
        init: Initializer::HeNormal,
        layers: vec![
            Layer::conv(32, 3, Border::Same),
            norm(),
            act(),
            Layer::max_pool(2),
            Layer::conv(64, 3, Border::Same),
            norm(),
            act(),
            Layer::max_pool(2),
            Layer::Flatten,
            Layer::dense(625),
            norm(),
            act(),
            Layer::Reshape { to: [1, 25, 25] },
            Layer::max_pool(2),
            Layer::Flatten,
            Layer::dense(classes),
        ],
    }
}
