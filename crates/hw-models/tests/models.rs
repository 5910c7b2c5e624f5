//! The catalogue against the papers: parameter counts, shapes, layers that do not fit.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use candle_core::{Device, Tensor};
use hw_core::Rng;
use hw_kernels::{Activation, Padding};
use hw_models::{Border, Initializer, Layer, Mode, ModelError, ModelSpec, Network, zoo};

fn count(name: &str, classes: usize) -> usize {
    zoo::spec(name, [1, 28, 28], classes)
        .unwrap()
        .lower()
        .unwrap()
        .parameter_count()
}

/// The parameters of a network with these settings.
fn count_with(name: &str, input: [usize; 3], classes: usize, settings: &[(&str, &str)]) -> usize {
    let settings = settings.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    zoo::spec_with(name, input, classes, &settings.collect())
        .unwrap()
        .lower()
        .unwrap()
        .parameter_count()
}

fn images(n: usize, shape: [usize; 3], seed: u64) -> Tensor {
    let [c, h, w] = shape;
    let mut rng = Rng::stream(seed, "test/images", 0);
    let values: Vec<f32> = (0..n * c * h * w).map(|_| rng.uniform()).collect();
    Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).unwrap()
}

#[test]
fn parameter_counts_are_those_of_the_papers() {
    // Printed: emnist-classifier, Table 9.
    assert_eq!(count("lenet5", 47), 64_851);
    // LeCun et al. 1998, section II-B: 60,000 trainable parameters.
    assert_eq!(count("lenet5-1998", 10), 60_000);
    // 30·(25+1) + 4320·100+100 + 2·100 + 100·10+10, from the layer table of simple-cnn-bn.
    assert_eq!(count("bn-cnn", 10), 780 + 432_100 + 200 + 1_010);
    // 784·100+100, four times 100·100+100, 100·10+10.
    assert_eq!(count("ann", 10), 78_500 + 4 * 10_100 + 1_010);
    assert_eq!(count("ann-bn", 10), count("ann", 10) + 5 * 200);
    assert_eq!(
        count("simple-cnn", 10),
        320 + 18_496 + (1600 * 128 + 128) + 1_290
    );
    let ji = (9 * 32 + 32) + 64 + (32 * 9 * 64 + 64) + 128 + (3136 * 625 + 625) + 1250 + 1450;
    assert_eq!(count("ji-cnn", 10), ji);
}

#[test]
fn the_residual_network_has_the_counts_of_emnist_ablation() {
    let resolved = zoo::spec("residual", [1, 28, 28], 62)
        .unwrap()
        .lower()
        .unwrap();
    assert_eq!(resolved.parameter_count(), 1_766_270);
    // With the moving statistics of batch normalisation, as printed.
    assert_eq!(
        resolved.parameter_count() + resolved.buffer_count(),
        1_770_046
    );
    for (units, millions) in [
        ("1", "1.699"),
        ("2", "1.373"),
        ("3", "1.770"),
        ("4", "5.186"),
    ] {
        let settings = [("units", units)].map(|(k, v)| (k.into(), v.into()));
        let spec = zoo::spec_with("residual", [1, 28, 28], 62, &settings.into()).unwrap();
        let resolved = spec.lower().unwrap();
        let all = (resolved.parameter_count() + resolved.buffer_count()) as f64;
        assert_eq!(format!("{:.3}", all / 1e6), millions, "{units} units");
    }
}

#[test]
fn resnet50_has_the_counts_of_the_papers_and_of_its_libraries() {
    // Printed: emnist-classifier, Table 9.
    assert_eq!(count_with("resnet50", [3, 28, 28], 47, &[]), 23_630_895);
    // 25.74 M with the moving statistics: emnist-ablation.
    let hidden = [("hidden".to_string(), "1024".to_string())];
    let spec = zoo::spec_with("resnet50", [1, 32, 32], 62, &hidden.into()).unwrap();
    let resolved = spec.lower().unwrap();
    assert_eq!(
        resolved.parameter_count() + resolved.buffer_count(),
        25_743_166
    );
    // torchvision.models.resnet50(): 25,557,032 at 1000 classes.
    let torchvision = [("style", "torchvision")];
    assert_eq!(
        count_with("resnet50", [3, 224, 224], 1000, &torchvision),
        25_557_032
    );
    // Every window that leaves one cell of the 7x7 map is the same network in size.
    for window in ["4", "5", "6", "7"] {
        let pooled = count_with("resnet50", [3, 224, 224], 47, &[("pool", window)]);
        assert_eq!(pooled, 23_630_895);
    }
}

#[test]
fn custom_vgg_has_the_count_derived_from_its_figure() {
    assert_eq!(count("custom-vgg", 47), 4_053_487);
}

#[test]
fn the_other_networks_of_emnist_ablation_have_its_counts() {
    assert_eq!(count("lenet5-tanh", 62), 74_178);
    assert_eq!(count("plain-cnn", 62), 96_702);
}

#[test]
fn vgg16_has_the_count_of_its_libraries_and_takes_images_from_28_to_224() {
    assert_eq!(count_with("vgg16", [3, 224, 224], 1000, &[]), 138_357_544);
    // 13 convolutions, then 512·4096 + 4096 as nothing but one cell is left of the maps.
    let convolutions = 14_714_688 - 2 * 64 * 9;
    let affine = 513 * 4096 + 4097 * 4096 + 4097 * 47;
    assert_eq!(count("vgg16", 47), convolutions + affine);
}

#[test]
fn custom_resnet_has_the_count_of_its_figure() {
    let convolutions = (25 * 32 + 32) + (9 * 32 * 64 + 64) + 9 * (9 * 64 * 64 + 64);
    let shortcuts = (32 * 64 + 64) + (64 * 64 + 64);
    let plain = convolutions + shortcuts + (64 * 47 + 47);
    let without = [("batch_norm", "false")];
    assert_eq!(
        count_with("custom-resnet", [1, 28, 28], 47, &without),
        plain
    );
    assert_eq!(count("custom-resnet", 47), plain + 2 * (32 + 12 * 64));
}

/// emnist-ablation prints 9.6 M parameters for WaveMix-Lite-128/7. The published network has a
/// quarter of them; stored as f32, those are the 9.6 million bytes.
#[test]
fn wavemix_lite_128_7_has_a_quarter_of_the_printed_count_and_its_bytes() {
    let parameters = count("wavemix-lite", 62);
    assert_eq!(parameters, 2_410_526);
    assert_eq!(format!("{:.1}", 4.0 * parameters as f64 / 1e6), "9.6");
    // Its blocks with four levels, as in the larger WaveMix, would not have 9.6 M either.
    let four = [("levels", "4")];
    assert_eq!(
        count_with("wavemix-lite", [1, 32, 32], 62, &four),
        6_895_454
    );
}

#[test]
fn settings_that_do_not_exist_or_do_not_parse_are_refused_with_what_does() {
    let refusal = |model: &str, name: &str, value: &str| {
        let settings = [(name.to_string(), value.to_string())].into();
        zoo::spec_with(model, [1, 28, 28], 10, &settings)
            .unwrap_err()
            .to_string()
    };
    let unknown = refusal("residual", "blocks", "3");
    assert!(unknown.contains("units"), "{unknown}");
    let choice = refusal("resnet50", "style", "caffe");
    assert!(choice.contains("keras, torchvision"), "{choice}");
    let number = refusal("residual", "units", "three");
    assert!(number.contains("units=three"), "{number}");
    let none = refusal("ann", "units", "3");
    assert!(none.contains("it has none"), "{none}");
}

#[test]
fn every_setting_takes_its_own_default() {
    for entry in zoo::CATALOGUE {
        let defaults = entry.settings().into_iter();
        let defaults = defaults.map(|s| (s.name.to_string(), s.default)).collect();
        let spec = entry.spec_with([1, 28, 28], 10, &defaults).unwrap();
        assert_eq!(spec, entry.spec([1, 28, 28], 10), "{}", entry.name);
    }
}

#[test]
fn lenet5_1998_has_the_parameters_of_each_published_layer() {
    let model = zoo::spec("lenet5-1998", [1, 28, 28], 10)
        .unwrap()
        .lower()
        .unwrap();
    let per_layer: Vec<usize> = model
        .layers
        .iter()
        .map(|l| l.parameters.iter().map(|p| p.count).sum())
        .filter(|&n| n > 0)
        .collect();
    assert_eq!(per_layer, [156, 12, 1516, 32, 48_120, 10_164]);
}

#[test]
fn multiply_accumulates_follow_from_the_shapes() {
    let model = zoo::spec("bn-cnn", [1, 28, 28], 10)
        .unwrap()
        .lower()
        .unwrap();
    assert_eq!(model.macs(), 30 * 24 * 24 * 25 + 4320 * 100 + 1000);
}

#[test]
fn every_model_gives_finite_logits_for_digits_letters_and_all_characters() {
    for entry in zoo::CATALOGUE {
        // The number of classes touches the last layer only; the large networks show it once.
        let large = entry.spec([1, 28, 28], 62).lower().unwrap().macs() > 100_000_000;
        for classes in if large { &[62][..] } else { &[10, 26, 62] } {
            let classes = *classes;
            let spec = zoo::spec(entry.name, [1, 28, 28], classes).unwrap();
            let network = Network::new(&spec, 3, &Device::Cpu).unwrap();
            let x = images(4, [1, 28, 28], 1);
            for mode in [Mode::Eval, Mode::Train { dropout_seed: 1 }] {
                let logits = network.forward(&x, mode).unwrap();
                assert_eq!(logits.dims(), [4, classes], "{}", entry.name);
                let logits = logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(logits.iter().all(|x| x.is_finite()), "{}", entry.name);
            }
        }
    }
}

#[test]
fn every_parameter_of_every_model_gets_a_gradient() {
    for entry in zoo::CATALOGUE {
        let spec = zoo::spec(entry.name, [1, 28, 28], 10).unwrap();
        let network = Network::new(&spec, 3, &Device::Cpu).unwrap();
        let x = images(4, [1, 28, 28], 1);
        let labels = Tensor::new(&[1u32, 7, 3, 3], &Device::Cpu).unwrap();
        let logits = network
            .forward(&x, Mode::Train { dropout_seed: 1 })
            .unwrap();
        let loss = hw_kernels::softmax_cross_entropy(&logits, &labels).unwrap();
        let gradients = loss.backward().unwrap();
        for (name, var) in network.parameters() {
            let gradient = gradients
                .get(var)
                .unwrap_or_else(|| panic!("{}: {name}", entry.name));
            assert_eq!(gradient.dims(), var.dims(), "{}: {name}", entry.name);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let weights = |seed| {
        Network::new(&spec, seed, &Device::Cpu)
            .unwrap()
            .contents()
            .unwrap()
    };
    assert_eq!(weights(5), weights(5));
    assert_ne!(weights(5), weights(6));
}

#[test]
fn batch_norm_statistics_move_in_training_and_stand_still_in_evaluation() {
    let spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let moving = || network.buffers()[0].1.to_vec1::<f32>().unwrap();
    let before = moving();
    network
        .forward(&images(8, [1, 28, 28], 1), Mode::Eval)
        .unwrap();
    network
        .observe(
            &images(8, [1, 28, 28], 1),
            Mode::Train { dropout_seed: 0 },
            &mut |_, _| {},
        )
        .unwrap();
    assert_eq!(moving(), before);
    network
        .forward(&images(8, [1, 28, 28], 1), Mode::Train { dropout_seed: 0 })
        .unwrap();
    assert_ne!(moving(), before);
}

#[test]
fn a_pass_for_statistics_replaces_the_moving_ones_and_drops_nothing() {
    let mut spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let last = spec.layers.len() - 1;
    spec.layers.insert(last, Layer::Dropout { rate: 0.5 });
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let x = images(8, [1, 28, 28], 1);
    let logits = |mode| {
        let logits = network.forward(&x, mode).unwrap();
        logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let fresh = logits(Mode::Eval);
    let first = logits(Mode::Statistics);
    assert_ne!(first, fresh);
    // The batch's own statistics, now the moving ones too; with dropout they would differ.
    for (a, b) in first.iter().zip(logits(Mode::Eval)) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} {b}");
    }
    assert_ne!(first, logits(Mode::Train { dropout_seed: 1 }));
}

#[test]
fn layers_run_together_give_what_they_give_one_by_one() {
    for name in ["bn-cnn", "lenet5", "simple-cnn"] {
        let spec = zoo::spec(name, [1, 28, 28], 10).unwrap();
        let network = Network::new(&spec, 3, &Device::Cpu).unwrap();
        let x = images(3, [1, 28, 28], 8);
        let together = network
            .forward(&x, Mode::Eval)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let mut watched = 0;
        let one_by_one = network
            .observe(&x, Mode::Eval, &mut |_, _| watched += 1)
            .unwrap();
        assert_eq!(watched, spec.layers.len(), "{name}");
        let one_by_one = one_by_one.to_vec2::<f32>().unwrap();
        for (a, b) in together.concat().iter().zip(one_by_one.concat()) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{name}: {a} {b}");
        }
    }
}

#[test]
fn partly_connected_filters_ignore_the_maps_they_are_not_linked_to() {
    let spec = zoo::spec("lenet5-1998", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let labels = Tensor::new(&[1u32, 2], &Device::Cpu).unwrap();
    let logits = network
        .forward(&images(2, [1, 28, 28], 2), Mode::Eval)
        .unwrap();
    let loss = hw_kernels::softmax_cross_entropy(&logits, &labels).unwrap();
    let gradients = loss.backward().unwrap();
    let (_, weight) = network
        .parameters()
        .iter()
        .find(|(n, _)| n == "conv2.weight")
        .unwrap();
    let gradient = gradients
        .get(weight)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    // Filter 0 reads maps 0, 1 and 2 only.
    assert!(gradient[..3 * 25].iter().any(|g| *g != 0.0));
    assert!(gradient[3 * 25..6 * 25].iter().all(|g| *g == 0.0));
}

#[test]
fn a_saved_network_loads_with_the_same_bits_and_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let spec = zoo::spec("ji-cnn", [1, 28, 28], 26).unwrap();
    let network = Network::new(&spec, 9, &Device::Cpu).unwrap();
    network.save(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    let loaded = Network::load(&path, &Device::Cpu).unwrap();
    assert_eq!(loaded.spec(), &spec);
    let x = images(3, [1, 28, 28], 4);
    let logits = |n: &Network| n.forward(&x, Mode::Eval).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(logits(&loaded), logits(&network));
    loaded.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

#[test]
fn a_damaged_weights_file_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let spec = zoo::spec("ann", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 9, &Device::Cpu).unwrap();
    network.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for keep in [0, 4, 8, 200, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let message = Network::load(&path, &Device::Cpu).unwrap_err().to_string();
        assert!(
            message.contains("w.safetensors") && message.contains("damaged"),
            "{message}"
        );
    }
    let mut oversized = whole.clone();
    oversized[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, &oversized).unwrap();
    assert!(Network::load(&path, &Device::Cpu).is_err());
}

#[test]
fn missing_unknown_and_misshapen_tensors_are_refused_by_name() {
    let spec = zoo::spec("ann", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 9, &Device::Cpu).unwrap();
    let path = std::path::Path::new("some.safetensors");
    let refusal = |change: &dyn Fn(&mut hw_models::weights::Contents)| {
        let mut contents = network.contents().unwrap();
        change(&mut contents);
        Network::from_contents(path, &contents, &Device::Cpu)
            .unwrap_err()
            .to_string()
    };
    let missing = refusal(&|c| drop(c.tensors.remove("fc2.bias")));
    assert!(missing.contains("'fc2.bias' is missing"), "{missing}");
    let unknown = refusal(&|c| {
        let tensor = c.tensors["fc2.bias"].clone();
        c.tensors.insert("fc9.bias".into(), tensor);
    });
    assert!(
        unknown.contains("'fc9.bias' is not part of model 'ann'"),
        "{unknown}"
    );
    let misshapen = refusal(&|c| {
        if let Some(t) = c.tensors.get_mut("fc2.bias") {
            t.shape = vec![50, 2];
        }
    });
    assert!(
        misshapen.contains("has shape [50, 2], expected [100]"),
        "{misshapen}"
    );
}

#[test]
fn layers_that_do_not_fit_are_refused_with_their_name() {
    let refuse = |layers: Vec<Layer>| {
        let init = Initializer::HeNormal;
        let spec = ModelSpec {
            name: "odd".into(),
            input: [1, 8, 8],
            classes: 4,
            init,
            layers,
        };
        spec.lower().unwrap_err()
    };
    let dense = refuse(vec![Layer::dense(4)]).to_string();
    assert!(
        dense.contains("fc1") && dense.contains("flatten"),
        "{dense}"
    );
    let window = refuse(vec![Layer::conv(4, 9, Border::Valid)]).to_string();
    assert!(
        window.contains("conv1") && window.contains("does not fit"),
        "{window}"
    );
    let end = refuse(vec![Layer::Flatten, Layer::dense(5)]);
    assert!(matches!(end, ModelError::Output { .. }), "{end}");
    let rate = refuse(vec![
        Layer::Flatten,
        Layer::Dropout { rate: 1.0 },
        Layer::dense(4),
    ]);
    assert!(rate.to_string().contains("dropout1"), "{rate}");
    let branches = refuse(vec![Layer::Residual {
        body: vec![Layer::conv(3, 3, Border::Same)],
        shortcut: vec![],
    }]);
    assert!(branches.to_string().contains("res1"), "{branches}");
    let halves = refuse(vec![Layer::Concat {
        first: vec![Layer::Haar { low_only: true }],
        second: vec![],
    }]);
    assert!(halves.to_string().contains("concat1"), "{halves}");
    let grown = refuse(vec![Layer::ConvTranspose {
        out: 1,
        kernel: 2,
        stride: 2,
        padding: 1,
    }]);
    assert!(grown.to_string().contains("deconv1"), "{grown}");
}

#[test]
fn sizes_beyond_all_memory_are_refused_by_name_and_not_counted_wrongly() {
    let refuse = |model: &str, setting: &str, value: &str| {
        let settings = [(setting.to_string(), value.to_string())].into();
        let spec = zoo::spec_with(model, [1, 28, 28], 10, &settings);
        spec.unwrap_err().to_string()
    };
    for value in ["99999999999", "18446744073709551615"] {
        let message = refuse("compact-vgg", "width", value);
        assert!(
            message.contains("conv1") && message.contains("too large"),
            "{message}"
        );
    }
    let message = refuse("vgg16", "hidden", "1000000");
    assert!(
        message.contains("fc2") && message.contains("[1000000, 1000000]"),
        "{message}"
    );
    // Layers that would fill all memory before they could be counted.
    for (model, setting, value, most) in [
        ("residual", "units", "99999999", "0 to 16"),
        ("wavemix-lite", "blocks", "99999999", "0 to 256"),
        ("wavemix-lite", "levels", "99", "0 to 10"),
    ] {
        let message = refuse(model, setting, value);
        assert!(
            message.contains(setting) && message.contains(most),
            "{message}"
        );
    }
    let message = refuse("wavemix-lite", "mult", "18446744073709551615");
    assert!(message.contains("too large"), "{message}");
    let pad = Padding {
        left: usize::MAX,
        ..Padding::default()
    };
    let spec = ModelSpec {
        name: "odd".into(),
        input: [1, 8, 8],
        classes: 4,
        init: Initializer::HeNormal,
        layers: vec![Layer::Pad { padding: pad }],
    };
    let message = spec.lower().unwrap_err().to_string();
    assert!(message.contains("pad1"), "{message}");
}

#[test]
fn a_residual_layer_adds_its_branches() {
    let layers = vec![
        Layer::Residual {
            body: vec![Layer::activation(Activation::Relu)],
            shortcut: vec![],
        },
        Layer::Flatten,
        Layer::dense(2),
    ];
    let init = Initializer::HeNormal;
    let spec = ModelSpec {
        name: "sum".into(),
        input: [1, 2, 2],
        classes: 2,
        init,
        layers,
    };
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let x = (images(1, [1, 2, 2], 1) - 0.5).unwrap();
    let mut sum = None;
    network
        .observe(&x, Mode::Eval, &mut |name, y| {
            if name == "res1" {
                sum = Some(y.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            }
        })
        .unwrap();
    let x = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let expected: Vec<f32> = x.iter().map(|v| v + v.max(0.0)).collect();
    assert_eq!(sum.unwrap(), expected);
}

#[test]
fn the_first_layer_that_is_not_finite_is_named() {
    let spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let x = images(2, [1, 28, 28], 1);
    assert_eq!(network.first_non_finite(&x, Mode::Eval).unwrap(), None);
    let huge = (&x * 1e38).unwrap();
    let found = network
        .first_non_finite(&(&huge * 1e5).unwrap(), Mode::Eval)
        .unwrap();
    assert_eq!(found.as_deref(), Some("conv1"));
    let (_, bias) = &network.parameters()[1];
    bias.set(&Tensor::full(f32::NAN, 30, &Device::Cpu).unwrap())
        .unwrap();
    let found = network.first_non_finite(&x, Mode::Eval).unwrap();
    assert_eq!(found.as_deref(), Some("conv1.bias"));
}

#[test]
fn a_spec_survives_json() {
    for entry in zoo::CATALOGUE {
        let spec = entry.spec([1, 28, 28], 47);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(
            serde_json::from_str::<ModelSpec>(&json).unwrap(),
            spec,
            "{}",
            entry.name
        );
    }
}

#[test]
fn an_unknown_model_is_answered_with_the_known_names() {
    let message = zoo::spec("lenet", [1, 28, 28], 10).unwrap_err().to_string();
    assert!(
        message.contains("lenet5") && message.contains("bn-cnn"),
        "{message}"
    );
}

#[test]
fn images_of_another_size_are_refused() {
    let spec = zoo::spec("ann", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let message = network
        .forward(&images(1, [1, 14, 14], 1), Mode::Eval)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("[1, 28, 28]") && message.contains("[1, 14, 14]"),
        "{message}"
    );
}

#[derive(serde::Deserialize)]
struct GoldenTensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// What `fixtures/models/make_models.py` writes.
#[derive(serde::Deserialize)]
struct Golden {
    images: Vec<f32>,
    labels: Vec<u32>,
    logits: Vec<Vec<f32>>,
    tensors: std::collections::BTreeMap<String, GoldenTensor>,
    gradients: std::collections::BTreeMap<String, GoldenTensor>,
}

/// Holds the logits of `spec` and all its gradients against those that PyTorch had.
fn assert_agreement(spec: &ModelSpec, golden: &str) {
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let network = Network::new(spec, 1, &Device::Cpu).unwrap();
    let all = || network.parameters().iter().chain(network.buffers());
    assert_eq!(all().count(), golden.tensors.len());
    for (name, var) in all() {
        let tensor = &golden.tensors[name];
        let tensor = Tensor::from_slice(&tensor.values, &tensor.shape[..], &Device::Cpu).unwrap();
        var.set(&tensor).unwrap();
    }
    let [c, h, w] = spec.input;
    let images = Tensor::from_slice(&golden.images, (2, c, h, w), &Device::Cpu).unwrap();
    let logits = network.forward(&images, Mode::Eval).unwrap();
    for (a, b) in logits
        .to_vec2::<f32>()
        .unwrap()
        .concat()
        .iter()
        .zip(golden.logits.concat())
    {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let labels = Tensor::new(golden.labels, &Device::Cpu).unwrap();
    let loss = hw_kernels::softmax_cross_entropy(&logits, &labels).unwrap();
    let gradients = loss.backward().unwrap();
    for (name, var) in network.parameters() {
        let ours = gradients.get(var).unwrap().flatten_all().unwrap();
        let theirs = &golden.gradients[name];
        assert_eq!(var.dims(), theirs.shape, "{name}");
        for (a, b) in ours.to_vec1::<f32>().unwrap().iter().zip(&theirs.values) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{name}: {a} {b}");
        }
    }
}

#[test]
fn wavelets_transposed_convolutions_and_branches_are_those_of_pytorch() {
    let settings = [
        ("channels", "8"),
        ("blocks", "1"),
        ("levels", "2"),
        ("dropout", "0"),
    ];
    let settings = settings.map(|(k, v)| (k.into(), v.into())).into();
    let spec = zoo::spec_with("wavemix-lite", [1, 8, 8], 3, &settings).unwrap();
    let golden = include_str!("../../../fixtures/models/wavemix.json");
    assert_agreement(&spec, golden);
}

#[test]
fn padding_and_trainable_subsampling_are_those_of_pytorch() {
    let golden = include_str!("../../../fixtures/models/subsample.json");
    let fixture: serde_json::Value = serde_json::from_str(golden).unwrap();
    let spec = serde_json::from_value(fixture["model"].clone()).unwrap();
    assert_agreement(&spec, golden);
}

#[test]
fn group_normalization_is_that_of_pytorch() {
    let golden = include_str!("../../../fixtures/models/group_norm.json");
    let fixture: serde_json::Value = serde_json::from_str(golden).unwrap();
    let spec = serde_json::from_value(fixture["model"].clone()).unwrap();
    assert_agreement(&spec, golden);
}

#[test]
fn the_wavelet_transform_keeps_the_energy_and_pads_odd_maps_with_zeros() {
    let spec = |side| ModelSpec {
        name: "haar".into(),
        input: [2, side, side],
        classes: 2,
        init: Initializer::HeNormal,
        layers: vec![
            Layer::Haar { low_only: false },
            Layer::GlobalAvgPool,
            Layer::dense(2),
        ],
    };
    for side in [6, 7] {
        let network = Network::new(&spec(side), 1, &Device::Cpu).unwrap();
        let x = images(1, [2, side, side], 3);
        let mut bands = None;
        network
            .observe(&x, Mode::Eval, &mut |name, y| {
                if name == "haar1" {
                    bands = Some(y.clone());
                }
            })
            .unwrap();
        let bands = bands.unwrap();
        assert_eq!(bands.dims(), [1, 8, side.div_ceil(2), side.div_ceil(2)]);
        let energy = |t: &Tensor| {
            t.sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!((energy(&bands) / energy(&x) - 1.0).abs() < 1e-5);
    }
}

/// A line of `fixtures/models/counts.json`.
#[derive(serde::Deserialize)]
struct Published {
    model: String,
    #[serde(default)]
    settings: zoo::Settings,
    input: [usize; 3],
    classes: usize,
    parameters: usize,
    buffers: Option<usize>,
    source: String,
}

#[test]
fn every_model_has_a_published_or_derived_count_and_meets_it() {
    let counts: Vec<Published> =
        serde_json::from_str(include_str!("../../../fixtures/models/counts.json")).unwrap();
    for count in &counts {
        let spec = zoo::spec_with(&count.model, count.input, count.classes, &count.settings);
        let resolved = spec.unwrap().lower().unwrap();
        let what = format!("{}: {}", count.model, count.source);
        assert_eq!(resolved.parameter_count(), count.parameters, "{what}");
        if let Some(buffers) = count.buffers {
            assert_eq!(resolved.buffer_count(), buffers, "{what}");
        }
    }
    for entry in zoo::CATALOGUE {
        let counted = counts.iter().any(|count| count.model == entry.name);
        assert!(counted, "{} has no count to meet", entry.name);
    }
}
