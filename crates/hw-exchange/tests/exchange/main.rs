//! Files for other frameworks: the very ones that PyTorch and ONNX Runtime were given, and their logits.
#![allow(missing_docs, clippy::unwrap_used)]

mod cases;
mod mnist;

use candle_core::{Device, Tensor};
use cases::{IMAGES, cases, contents, everything, images};
use hw_core::{Named, files::sha256_hex};
use hw_exchange::{ExchangeError, Format, Tensors, declaration, export, import};
use hw_models::graph::{Lowering, ValueId};
use hw_models::layers::{self, CustomLayer, Settings};
use hw_models::{Layer, Mode, ModelSpec, Network, zoo};
use safetensors::tensor::TensorView;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the script recorded of one format of one network.
#[derive(Deserialize)]
struct Golden {
    /// SHA-256 of each file that was read.
    files: BTreeMap<String, String>,
    logits: Vec<f32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/exchange")
        .join(name)
}

fn logits(spec: &ModelSpec, tensors: &Tensors) -> Vec<f32> {
    let mut contents = contents(spec);
    contents.tensors.clone_from(tensors);
    let network = Network::from_contents("test".as_ref(), &contents, &Device::Cpu).unwrap();
    let [c, h, w] = spec.input;
    let images = Tensor::from_vec(images(spec), (IMAGES, c, h, w), &Device::Cpu).unwrap();
    let logits = network.forward(&images, Mode::Eval).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn other_frameworks_give_the_same_logits_for_these_very_files() {
    let text = std::fs::read_to_string(fixture("golden.json")).unwrap();
    let golden: BTreeMap<String, BTreeMap<String, Golden>> = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for (name, spec) in cases() {
        let contents = contents(&spec);
        let ours = logits(&spec, &contents.tensors);
        for (format, golden) in &golden[name] {
            for file in export(&contents, &spec, format.parse().unwrap()).unwrap() {
                let sum = sha256_hex(&file.bytes);
                let again = "run fixtures/exchange/make_exchange.py again";
                assert_eq!(sum, golden.files[file.name], "{name} {format}: {again}");
            }
            assert_eq!(ours.len(), golden.logits.len());
            let largest = golden
                .logits
                .iter()
                .fold(0.0f32, |most, v| most.max(v.abs()));
            for (ours, theirs) in ours.iter().zip(&golden.logits) {
                let difference = (ours - theirs).abs() / largest;
                assert!(difference < 1e-4, "{name} {format}: {ours} {theirs}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 15);
}

#[test]
fn a_state_dict_that_pytorch_saved_comes_back_bit_for_bit() {
    let spec = everything();
    let bytes = std::fs::read(fixture("everything.safetensors")).unwrap();
    let path = "everything".as_ref();
    let back = import(&spec, Format::Pytorch, &bytes, path).unwrap();
    assert_eq!(back, contents(&spec).tensors);
    // It was saved by the module that we wrote beside the weights, which keeps what they declared.
    let declared = declaration(Format::Pytorch, &bytes, path).unwrap().unwrap();
    assert_eq!(declared.spec, spec);
    assert_eq!(
        declared.stamp.as_ref(),
        contents(&spec).metadata.get("stamp")
    );
}

#[test]
fn every_file_says_which_network_it_holds_and_a_stranger_does_not() {
    for (name, spec) in cases() {
        for format in Format::ALL {
            let Ok(files) = export(&contents(&spec), &spec, format) else {
                continue;
            };
            let declared = declaration(format, &files[0].bytes, "file".as_ref()).unwrap();
            assert_eq!(declared.unwrap().spec, spec, "{name} {format}");
        }
    }
    let stranger = safetensors::serialize::<String, TensorView<'_>, _>([], None).unwrap();
    let declared = declaration(Format::Pytorch, &stranger, "file".as_ref()).unwrap();
    assert_eq!(declared, None);
    assert_eq!(
        declaration(Format::Onnx, &[], "file".as_ref()).unwrap(),
        None
    );
    for format in Format::ALL {
        let error = declaration(format, b"\xff\xff", "file".as_ref()).unwrap_err();
        assert!(matches!(error, ExchangeError::Damaged { .. }), "{error}");
    }
}

#[test]
fn every_format_is_read_back_bit_for_bit() {
    for (name, spec) in cases() {
        for format in Format::ALL {
            let contents = contents(&spec);
            let files = match export(&contents, &spec, format) {
                Err(ExchangeError::NoCounterpart { .. }) => {
                    assert!(format == Format::Torchvision && name != "resnet50");
                    continue;
                }
                files => files.unwrap(),
            };
            let back = import(&spec, format, &files[0].bytes, "file".as_ref()).unwrap();
            if name == "lenet5-1998" {
                // Weights that take no part are written as 0.
                let difference = |(a, b): (&f32, &f32)| (a - b).abs();
                let ours = logits(&spec, &contents.tensors);
                let theirs = logits(&spec, &back);
                assert!(ours.iter().zip(&theirs).map(difference).all(|d| d < 1e-5));
            } else {
                assert_eq!(back, contents.tensors, "{name} {format}");
            }
        }
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let spec = everything();
    for format in [Format::Pytorch, Format::Onnx] {
        let bytes = export(&contents(&spec), &spec, format)
            .unwrap()
            .remove(0)
            .bytes;
        for length in (0..bytes.len()).step_by(97) {
            let error = import(&spec, format, &bytes[..length], "cut".as_ref()).unwrap_err();
            assert!(error.to_string().starts_with("cut"), "{error}");
        }
    }
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let spec = zoo::spec("lenet5", [1, 28, 28], 10).unwrap();
    let other = zoo::spec("lenet5", [1, 28, 28], 26).unwrap();
    let bytes = export(&contents(&spec), &spec, Format::Pytorch)
        .unwrap()
        .remove(0)
        .bytes;
    let refused = |spec: &ModelSpec| {
        import(spec, Format::Pytorch, &bytes, "w".as_ref())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&other).contains("'fc3.bias' has shape [10], expected [26]"));
    let ann = zoo::spec("ann", [1, 28, 28], 10).unwrap();
    assert!(refused(&ann).contains("tensor 'fc"), "{}", refused(&ann));
    let error = import(&spec, Format::Torchvision, &bytes, "w".as_ref()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("torchvision has no counterpart of model 'lenet5'")
    );
}

#[test]
fn the_python_module_names_the_classes_and_holds_no_weights() {
    let spec = zoo::spec("lenet5", [1, 28, 28], 10).unwrap();
    let files = export(&contents(&spec), &spec, Format::Pytorch).unwrap();
    assert_eq!(files[1].name, "model.py");
    let source = String::from_utf8(files[1].bytes.clone()).unwrap();
    assert!(source.contains("CLASSES = [\"0\",\"1\""));
    assert!(
        source.contains(
            "(\"conv1\", Conv(1, 6, (5, 5), stride=(1, 1), bias=True, pad=(2, 2, 2, 2)))"
        )
    );
}

/// An affine layer under another name.
struct Affine;

impl Named for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn about(&self) -> &'static str {
        "an affine layer"
    }

    fn source(&self) -> &'static str {
        "-"
    }
}

impl CustomLayer for Affine {
    fn lower(&self, _: &Settings, to: &mut Lowering, x: ValueId) -> hw_models::Result<ValueId> {
        to.part("fc", &Layer::dense(10), x)
    }
}

#[test]
fn a_layer_of_another_crate_is_written_as_its_operations_or_not_at_all() {
    layers::register(&Affine).unwrap();
    let mut spec = zoo::spec("lenet5", [1, 28, 28], 10).unwrap();
    spec.layers.push(Layer::Custom {
        name: "affine".into(),
        settings: Settings::new(),
    });
    let contents = contents(&spec);
    let file = export(&contents, &spec, Format::Onnx).unwrap().remove(0);
    let back = import(&spec, Format::Onnx, &file.bytes, "w".as_ref()).unwrap();
    assert!(back == contents.tensors && back.contains_key("affine1.fc.weight"));
    for format in [Format::Pytorch, Format::Torchvision] {
        let error = export(&contents, &spec, format).unwrap_err().to_string();
        assert!(
            error.contains("layer affine1 is of another crate"),
            "{error}"
        );
    }
}
