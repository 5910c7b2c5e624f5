//! The residual network of emnist-ablation ("Our Model (Residual)").

use super::settings::{Count, recipe};
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// A convolutional stem, `units` residual units of doubling width, two affine layers.
    pub struct Residual {
        /// Residual units, each of twice the filters of the one before: 64, 128, 256, 512 ...
        pub units: Count<16> = Count(3),
        /// The nonlinearity everywhere.
        pub activation: Activation = Activation::Relu,
        /// Dropout after the stem and after each unit.
        pub dropout: f32 = 0.3,
        /// Dropout before the last layer.
        pub head_dropout: f32 = 0.6,
    }

    /// conv 32@3 same, BN, act, dropout, avg-pool 2; N times {block(f), dropout, avg-pool 2 same};
    /// affine 512, BN, act, dropout, affine `classes`. At 28x28x1, 62 classes and N = 3: 1,766,270
    /// trainable parameters and 3,776 moving statistics.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let act = || Layer::activation(self.activation);
        let mut layers = vec![
            Layer::conv(32, 3, Border::Same),
            batch_norm(),
            act(),
            Layer::Dropout { rate: self.dropout },
            Layer::avg_pool(2),
        ];
        let mut channels = 32;
        for unit in 0..self.units.0 {
            let filters = 64usize << unit;
            layers.push(block(channels, filters, self.activation));
            layers.push(act());
            layers.push(Layer::Dropout { rate: self.dropout });
            layers.push(Layer::AvgPool {
                kernel: [2; 2],
                stride: [2; 2],
                padding: Border::Same,
            });
            channels = filters;
        }
        layers.extend([
            Layer::Flatten,
            Layer::dense(512),
            batch_norm(),
            act(),
            Layer::Dropout { rate: self.head_dropout },
            Layer::dense(classes),
        ]);
        ModelSpec {
            name: "residual".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers,
        }
    }
}

/// conv-BN-act-conv-BN plus the input, through a 1x1 convolution and BN where the channels change.
fn block(channels: usize, filters: usize, activation: Activation) -> Layer {
    let conv = || Layer::conv(filters, 3, Border::Same);
    let shortcut = if channels == filters {
        vec![]
    } else {
        vec![Layer::conv(filters, 1, Border::Valid), batch_norm()]
    };
    Layer::Residual {
        body: vec![
            conv(),
            batch_norm(),
            Layer::activation(activation),
            conv(),
            batch_norm(),
        ],
        shortcut,
    }
}

/// With Keras's defaults: momentum .99, eps 1e-3.
fn batch_norm() -> Layer {
    Layer::BatchNorm {
        eps: 1e-3,
        momentum: 0.01,
    }
}
