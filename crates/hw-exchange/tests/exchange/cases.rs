//! The networks that are held against other frameworks, with weights that are the same everywhere.

use hw_core::Rng;
use hw_kernels::{Activation, Padding};
use hw_models::weights::{Contents, StoredTensor};
use hw_models::{Border, Initializer, Layer, ModelSpec, zoo};
use std::collections::BTreeMap;

/// Images a network is shown.
pub(crate) const IMAGES: usize = 3;

/// Each network with its name in the golden file.
pub(crate) fn cases() -> Vec<(&'static str, ModelSpec)> {
    let catalogue = |name, input, classes| zoo::spec(name, input, classes).unwrap();
    let torchvision = BTreeMap::from([("style".to_string(), "torchvision".to_string())]);
    vec![
        ("lenet5", catalogue("lenet5", [1, 28, 28], 47)),
        ("bn-cnn", catalogue("bn-cnn", [1, 28, 28], 10)),
        ("residual", catalogue("residual", [1, 28, 28], 62)),
        (
            "resnet50",
            zoo::spec_with("resnet50", [3, 32, 32], 10, &torchvision).unwrap(),
        ),
        ("lenet5-1998", catalogue("lenet5-1998", [1, 32, 32], 10)),
        ("wavemix-lite", catalogue("wavemix-lite", [1, 28, 28], 62)),
        ("everything", everything()),
    ]
}

/// A small network with whatever the others lack: every activation, odd sizes, lopsided padding.
pub(crate) fn everything() -> ModelSpec {
    let mut layers = vec![
        Layer::Pad {
            padding: Padding {
                top: 0,
                bottom: 1,
                left: 2,
                right: 0,
            },
        },
        Layer::conv(4, 2, Border::Same),
        Layer::BatchNorm {
            eps: 1e-3,
            momentum: 0.1,
        },
    ];
    for (index, function) in Activation::ALL.into_iter().enumerate() {
        layers.push(Layer::conv(4, 1 + index % 3, Border::Same));
        layers.push(Layer::activation(function));
    }
    let pool = |kernel, stride| (kernel, stride, Border::Same);
    let (kernel, stride, padding) = pool([2; 2], [2; 2]);
    layers.push(Layer::AvgPool {
        kernel,
        stride,
        padding,
    });
    let (kernel, stride, padding) = pool([3, 2], [2, 1]);
    layers.push(Layer::MaxPool {
        kernel,
        stride,
        padding,
    });
    layers.push(Layer::Residual {
        body: vec![
            Layer::conv(4, 3, Border::Same),
            Layer::Dropout { rate: 0.5 },
        ],
        shortcut: vec![],
    });
    // Of an odd map, both ways, and back to twice the size.
    layers.push(Layer::Concat {
        first: vec![Layer::Haar { low_only: false }],
        second: vec![
            Layer::Haar { low_only: true },
            Layer::conv(3, 1, Border::Valid),
        ],
    });
    layers.push(Layer::ConvTranspose {
        out: 5,
        kernel: 5,
        stride: 2,
        padding: 1,
    });
    layers.extend([
        Layer::Flatten,
        Layer::Dense {
            units: 12,
            bias: false,
        },
        Layer::Reshape { to: [3, 2, 2] },
        Layer::GlobalAvgPool,
        Layer::dense(5),
    ]);
    ModelSpec {
        name: "everything".into(),
        input: [2, 9, 7],
        classes: 5,
        init: Initializer::GlorotUniform,
        layers,
    }
}

/// Weights and statistics made of exact arithmetic only.
pub(crate) fn contents(spec: &ModelSpec) -> Contents {
    let mut contents = Contents::default();
    let stamp = serde_json::json!({ "classes": (0..spec.classes).map(|c| c.to_string()).collect::<Vec<_>>() });
    contents.metadata.insert("stamp".into(), stamp);
    for layer in spec.lower().unwrap().flat() {
        for tensor in layer.parameters.iter().chain(&layer.buffers) {
            let mut rng = Rng::stream(11, &tensor.name, 0);
            let size: usize = tensor.shape.iter().product();
            let inputs: usize = tensor.shape.iter().skip(1).product();
            let what = tensor.name.rsplit('.').next().unwrap();
            let normed = matches!(layer.layer, Layer::BatchNorm { .. });
            let (low, high) = match (what, normed) {
                ("running_var", _) | ("coefficient", _) => (0.5, 1.5),
                ("weight", true) => (0.2, 0.8),
                ("weight", false) => {
                    let most = (3.0 / inputs as f32).sqrt();
                    (-most, most)
                }
                ("centres", _) => (-1.0, 1.0),
                _ => (-0.1, 0.1),
            };
            let values = (0..size).map(|_| rng.range(low, high)).collect();
            let shape = tensor.shape.clone();
            contents
                .tensors
                .insert(tensor.name.clone(), StoredTensor { shape, values });
        }
    }
    contents
        .metadata
        .insert("model".into(), serde_json::to_value(spec).unwrap());
    contents
}

/// Pixels on the 0..=1 scale, the same in the Python script.
pub(crate) fn images(spec: &ModelSpec) -> Vec<f32> {
    let size = IMAGES * spec.input.iter().product::<usize>();
    (0..size).map(|i| (i * 7919 % 256) as f32 / 255.0).collect()
}
