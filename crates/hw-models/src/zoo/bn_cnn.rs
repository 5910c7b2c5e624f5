//! The six-layer network of simple-cnn-bn (Lee & Rhee 2024, Fig. 2 and code 2): convolution,
//! max-pooling, affine, batch normalization, affine, softmax.

use super::settings::recipe;
use crate::init::Initializer;
use crate::spec::{Border, Layer, ModelSpec};
use hw_kernels::Activation;

recipe! {
    /// The paper's network by default; the settings take away or add what the paper says batch
    /// normalization is good for, so that it can be measured.
    pub struct BnCnn {
        /// Whether the first affine layer is batch-normalized, as in the paper.
        pub batch_norm: bool = true,
        /// Dropout before the last layer; the paper has none, since batch normalization is to regularize in its place.
        pub dropout: f32 = 0.0,
    }

    /// conv 30@5x5 -> ReLU -> max-pool 2 -> affine 100 -> BN -> ReLU -> affine `classes`; weights
    /// Gaussian with standard deviation .01, biases zero. 434,090 trainable parameters at 28x28x1 and
    /// 10 classes, 200 fewer without batch normalization.
    ///
    /// The batch normalization is that of the book the authors build on (Saitoh 2017): moving
    /// statistics with momentum .9, eps 10e-7.
    fn spec(&self, input: [usize; 3], classes: usize) -> ModelSpec {
        let mut layers = vec![
            Layer::conv(30, 5, Border::Valid),
            Layer::activation(Activation::Relu),
            Layer::max_pool(2),
            Layer::Flatten,
            Layer::dense(100),
        ];
        if self.batch_norm {
            layers.push(Layer::BatchNorm {
                eps: 1e-6,
                momentum: 0.1,
            });
        }
        layers.push(Layer::activation(Activation::Relu));
        if self.dropout != 0.0 {
            layers.push(Layer::Dropout { rate: self.dropout });
        }
        layers.push(Layer::dense(classes));
        ModelSpec {
            name: "bn-cnn".into(),
            input,
            classes,
            init: Initializer::Normal { std: 0.01 },
            layers,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::spec::{Layer, ModelSpec};
    use crate::zoo;

    fn network(settings: &[(&str, &str)]) -> ModelSpec {
        let settings = settings.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        zoo::spec_with("bn-cnn", [1, 28, 28], 10, &settings.collect()).unwrap()
    }

    fn kinds(spec: &ModelSpec) -> Vec<&str> {
        spec.layers.iter().map(Layer::kind).collect()
    }

    #[test]
    fn by_default_it_has_the_layers_of_the_paper() {
        let paper = network(&[]);
        let expected = ["conv", "act", "pool", "flatten", "fc", "bn", "act", "fc"];
        assert_eq!(kinds(&paper), expected);
        assert_eq!(paper.lower().unwrap().parameter_count(), 434_090);
        let spelled_out = network(&[("batch_norm", "true"), ("dropout", "0")]);
        assert_eq!(paper, spelled_out);
    }

    #[test]
    fn without_batch_normalization_only_its_scale_and_shift_are_missing() {
        let without = network(&[("batch_norm", "false")]);
        let expected = ["conv", "act", "pool", "flatten", "fc", "act", "fc"];
        assert_eq!(kinds(&without), expected);
        // A scale and a shift for each of 100 units.
        assert_eq!(without.lower().unwrap().parameter_count(), 434_090 - 200);
        assert_eq!(without.init, network(&[]).init);
    }

    #[test]
    fn dropout_stands_before_the_last_layer() {
        let dropped = network(&[("dropout", "0.5")]);
        let [.., before, last] = dropped.layers.as_slice() else {
            panic!("{dropped:?}")
        };
        assert_eq!(before, &Layer::Dropout { rate: 0.5 });
        assert_eq!(last, &Layer::dense(10));
    }
}
