//! Every operation and its gradients against PyTorch: `fixtures/kernels/golden.safetensors`, made
//! by `make_kernels.py` beside it.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{DType, Device, Tensor, Var};
use hw_kernels::{Activation, Conv2dConfig, Padding, Pool2dConfig};
use safetensors::SafeTensors;
use serde_json::Value;

struct Golden {
    bytes: Vec<u8>,
    cases: Vec<Value>,
}

impl Golden {
    fn open() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/kernels/golden.safetensors"
        );
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()["cases"];
        let cases = serde_json::from_str(text).unwrap();
        Self { bytes, cases }
    }

    /// All cases of one operation; at least one, or the test would show nothing.
    fn of(&self, op: &str) -> Vec<Case<'_>> {
        let cases: Vec<Case> = self
            .cases
            .iter()
            .filter(|case| case["op"] == op)
            .map(|case| Case {
                name: case["name"].as_str().unwrap(),
                settings: &case["settings"],
                tensors: SafeTensors::deserialize(&self.bytes).unwrap(),
            })
            .collect();
        assert!(!cases.is_empty(), "no case for {op}");
        cases
    }
}

struct Case<'a> {
    name: &'a str,
    settings: &'a Value,
    tensors: SafeTensors<'a>,
}

impl Case<'_> {
    fn get(&self, key: &str) -> Option<Tensor> {
        let view = self.tensors.tensor(&format!("{}/{key}", self.name)).ok()?;
        let words = view
            .data()
            .chunks_exact(4)
            .map(|word| word.try_into().unwrap());
        Some(match view.dtype() {
            safetensors::Dtype::I32 => {
                let values: Vec<u32> = words.map(u32::from_le_bytes).collect();
                Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap()
            }
            _ => {
                let values: Vec<f32> = words.map(f32::from_le_bytes).collect();
                Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap()
            }
        })
    }

    fn tensor(&self, key: &str) -> Tensor {
        self.get(key)
            .unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    fn floats(&self, key: &str) -> Vec<f32> {
        self.tensor(key).flatten_all().unwrap().to_vec1().unwrap()
    }

    fn number(&self, key: &str) -> f32 {
        self.settings[key].as_f64().unwrap() as f32
    }

    fn setting<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_value(self.settings[key].clone()).unwrap()
    }

    fn conv(&self, settings: &Value) -> Conv2dConfig {
        serde_json::from_value(settings.clone()).unwrap()
    }

    fn pool(&self) -> Pool2dConfig {
        Pool2dConfig {
            kernel: self.setting("kernel"),
            stride: self.setting("stride"),
            padding: self.setting("padding"),
        }
    }

    /// Runs `op` on the arguments in both precisions and holds result and gradients against the
    /// recorded ones.
    fn check(&self, arguments: &[&str], op: impl Fn(&[Tensor]) -> Tensor) {
        for dtype in [DType::F32, DType::F64] {
            let variables: Vec<(&str, Var)> = arguments
                .iter()
                .filter_map(|&key| {
                    let value = self.get(key)?.to_dtype(dtype).unwrap();
                    Some((key, Var::from_tensor(&value).unwrap()))
                })
                .collect();
            let tensors: Vec<Tensor> = variables
                .iter()
                .map(|(_, v)| v.as_tensor().clone())
                .collect();
            let y = op(&tensors);
            self.compare("y", &y);
            let dy = self.tensor("dy").to_dtype(dtype).unwrap();
            // Its gradient is dy.
            let loss = (y * dy).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            for (key, variable) in &variables {
                self.compare(&format!("d{key}"), gradients.get(variable).unwrap());
            }
        }
    }

    fn compare(&self, key: &str, ours: &Tensor) {
        let truth = self.tensor(key);
        assert_eq!(ours.dims(), truth.dims(), "{}/{key}", self.name);
        let ours = ours.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        self.close(key, &ours.to_vec1().unwrap());
    }

    fn close(&self, key: &str, ours: &[f32]) {
        let truth = self.floats(key);
        assert_eq!(ours.len(), truth.len(), "{}/{key}", self.name);
        let finite = truth.iter().filter(|x| x.is_finite());
        let scale = finite
            .fold(0.0f32, |scale, x| scale.max(x.abs()))
            .min(100.0);
        for (i, (ours, truth)) in ours.iter().zip(&truth).enumerate() {
            let near = (ours - truth).abs() <= 2e-6 * (truth.abs() + scale + 0.1);
            let same = ours == truth || (ours.is_nan() && truth.is_nan());
            assert!(near || same, "{}/{key}[{i}]: {ours} for {truth}", self.name);
        }
    }
}

#[test]
fn convolution_agrees_with_pytorch() {
    for case in Golden::open().of("conv2d") {
        let config = case.conv(case.settings);
        case.check(&["x", "w", "bias"], |t| {
            hw_kernels::conv2d(&t[0], &t[1], t.get(2), &config).unwrap()
        });
    }
}

#[test]
fn convolution_with_relu_and_pooling_agrees_with_pytorch() {
    for case in Golden::open().of("conv2d_relu_max_pool2d") {
        let conv = case.conv(&case.settings["conv"]);
        let pool = case.setting("pool");
        case.check(&["x", "w", "bias"], |t| {
            let maps = hw_kernels::conv2d(&t[0], &t[1], t.get(2), &conv).unwrap();
            let maps = hw_kernels::activate(&maps, &Activation::Relu).unwrap();
            hw_kernels::max_pool2d(&maps, &pool).unwrap()
        });
    }
}

#[test]
fn maximum_pooling_agrees_with_pytorch_also_on_ties_and_nan() {
    for case in Golden::open().of("max_pool2d") {
        let pool = case.pool();
        case.check(&["x"], |t| hw_kernels::max_pool2d(&t[0], &pool).unwrap());
    }
}

#[test]
fn average_pooling_agrees_with_pytorch() {
    for case in Golden::open().of("avg_pool2d") {
        let (pool, with_pad) = (case.pool(), case.setting("count_include_pad"));
        case.check(&["x"], |t| {
            hw_kernels::avg_pool2d(&t[0], &pool, with_pad).unwrap()
        });
    }
    for case in Golden::open().of("global_avg_pool") {
        case.check(&["x"], |t| hw_kernels::global_avg_pool(&t[0]).unwrap());
    }
}

#[test]
fn dense_layers_agree_with_pytorch() {
    for case in Golden::open().of("linear") {
        case.check(&["x", "w", "bias"], |t| {
            hw_kernels::linear(&t[0], &t[1], t.get(2)).unwrap()
        });
    }
    for case in Golden::open().of("rbf") {
        case.check(&["x", "centres"], |t| {
            hw_kernels::rbf(&t[0], &t[1]).unwrap()
        });
    }
    for case in Golden::open().of("channel_scale_shift") {
        case.check(&["x", "scale", "shift"], |t| {
            hw_kernels::channel_scale_shift(&t[0], &t[1], &t[2]).unwrap()
        });
    }
}

#[test]
fn batch_normalisation_agrees_with_pytorch() {
    for case in Golden::open().of("batch_norm_train") {
        let eps = case.number("eps");
        case.check(&["x", "gamma", "beta"], |t| {
            hw_kernels::batch_norm_train(&t[0], &t[1], &t[2], eps)
                .unwrap()
                .0
        });
    }
    for case in Golden::open().of("batch_norm_eval") {
        let (mean, variance) = (case.tensor("mean"), case.tensor("variance"));
        case.check(&["x", "gamma", "beta"], |t| {
            let [mean, variance] = [&mean, &variance].map(|m| m.to_dtype(t[0].dtype()).unwrap());
            hw_kernels::batch_norm_eval(&t[0], &t[1], &t[2], &mean, &variance, 1e-5).unwrap()
        });
    }
}

#[test]
fn activations_agree_with_pytorch_also_at_zero_and_far_out() {
    let golden = Golden::open();
    let cases = golden.of("activate");
    for case in &cases {
        let name: String = case.setting("activation");
        let activation: Activation = name.parse().unwrap();
        case.check(&["x"], |t| {
            hw_kernels::activate(&t[0], &activation).unwrap()
        });
    }
    for activation in Activation::ALL {
        let is_covered = |case: &Case| {
            case.setting::<String>("activation")
                .starts_with(activation.name())
        };
        assert!(cases.iter().any(is_covered), "{activation}");
    }
}

#[test]
fn losses_agree_with_pytorch_also_for_extreme_logits() {
    for case in Golden::open().of("softmax_cross_entropy") {
        let labels = case.tensor("labels");
        case.check(&["x"], |t| {
            hw_kernels::softmax_cross_entropy(&t[0], &labels).unwrap()
        });
    }
    for case in Golden::open().of("log_softmax") {
        case.check(&["x"], |t| hw_kernels::log_softmax(&t[0]).unwrap());
    }
}

#[test]
fn same_padding_keeps_the_size() {
    for kernel in 1..6 {
        let padding = Padding::same_for([kernel, 6 - kernel]);
        let config = Conv2dConfig {
            stride: [1, 1],
            padding,
        };
        let windows = hw_kernels::Windows::of_conv([9, 10], [kernel, 6 - kernel], &config);
        assert_eq!(windows.unwrap().output, [9, 10]);
    }
}
