//! The fully connected network on which batch normalisation was first shown (Ioffe & Szegedy 2015,
//! section 4.1): five hidden sigmoid layers of 100 units, with or without it.

use crate::init::Initializer;
use crate::spec::{Layer, ModelSpec};
use hw_kernels::Activation;

/// Hidden layers.
const DEPTH: usize = 5;
/// Units a layer.
const WIDTH: usize = 100;

/// affine 100 (-> BN) -> sigmoid, five times, then affine `classes`. "W initialised to small random
/// Gaussian values" is read as Glorot's: at .01 five sigmoid layers do not start to learn without
/// BN within the paper's number of epochs.
pub fn spec(input: [usize; 3], classes: usize, batch_norm: bool) -> ModelSpec {
    let mut layers = vec![Layer::Flatten];
    for _ in 0..DEPTH {
        layers.push(Layer::dense(WIDTH));
        if batch_norm {
            layers.push(Layer::BatchNorm {
                eps: 1e-6,
                momentum: 0.1,
            });
        }
        layers.push(Layer::activation(Activation::Sigmoid));
    }
    layers.push(Layer::dense(classes));
    ModelSpec {
        name: if batch_norm { "ann-bn" } else { "ann" }.into(),
        input,
        classes,
        init: Initializer::GlorotNormal,
        layers,
    }
}
