//! VGG-16 (Simonyan & Zisserman 2014, Table 1, column D).

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

/// Filters of each stage, and its convolutions.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];

recipe! {
    /// Thirteen 3x3 convolutions in five stages, three affine layers. Odd maps are rounded up when
    /// halved, so that a 28x28 image survives five poolings; at 224x224 none is odd.
    pub struct Vgg16 {
        /// Units of the two hidden affine layers.
        pub hidden: usize = 4096,
        /// Dropout after each of them.
        pub dropout: f32 = 0.5,
    }

    /// With 224x224x3 input and 1000 classes 138,357,544 parameters, as torchvision and Keras count.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let relu = || Layer::activation(Activation::Relu);
        let mut layers = vec![];
        for (filters, convolutions) in STAGES {
            for _ in 0..convolutions {
                layers.extend([Layer::conv(filters, 3, Border::Same), relu()]);
            }
            layers.push(Layer::MaxPool {
                kernel: [2; 2],
                stride: [2; 2],
                padding: Border::Same,
            });
        }
        layers.push(Layer::Flatten);
        for _ in 0..2 {
            let rate = self.dropout;
            layers.extend([Layer::dense(self.hidden), relu(), Layer::Dropout { rate }]);
        }
        layers.push(Layer::dense(classes));
        ModelSpec {
            name: "vgg16".into(),
            input,
            classes,
            init: Initializer::GlorotUniform,
            layers,
        }
    }
}
