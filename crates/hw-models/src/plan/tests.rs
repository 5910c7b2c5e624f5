//! The plan against the same network on candle tensors.

use super::{InferencePlan, TrainPlan};
use crate::graph::{Gradients, ImageOp, Lowering, Op, Start, ValueId};
use crate::layers::{self, CustomLayer, Settings};
use crate::{Border, Executor, Initializer, Layer, Mode, ModelSpec, Network, cross_entropy, zoo};
use candle_core::{DType, Device, Tensor, Var};
use hw_core::{Named, Rng};
use hw_kernels::{Activation, Padding};
use proptest::prelude::*;
use std::sync::{Arc, Once};

/// Largest difference of all gradients after one step, relative to the largest gradient of each
/// tensor; and of the moving statistics.
fn compare(spec: &ModelSpec, n: usize) -> (f32, String) {
    let network = Network::new(spec, 7, &Device::Cpu).unwrap();
    let mut rng = Rng::stream(3, "test", 0);
    for ((_, var), tensor) in network.parameters().iter().zip(&network.graph().parameters) {
        if let Start::Constant(_) = tensor.start {
            // Scales of 1 hide mistakes, and shifts of 0 put padding on the edge of ReLU, where rounding decides.
            let off = (0..tensor.len()).map(|_| rng.range(-0.1, 0.1)).collect();
            let off = Tensor::from_vec(off, var.shape(), &Device::Cpu).unwrap();
            var.set(&(var.as_tensor() + off).unwrap()).unwrap();
        }
    }
    let [c, h, w] = spec.input;
    let images: Vec<f32> = (0..n * c * h * w).map(|_| rng.uniform()).collect();
    let labels: Vec<u32> = (0..n).map(|_| rng.below(spec.classes) as u32).collect();
    let tensors = network.tensors().unwrap();
    let mut plan = TrainPlan::with_tensors(network.graph(), &tensors, n + 3);
    // In f64, where rounding does not decide which side of ReLU's kink a number is on.
    let graph = network.graph().clone();
    let network = Network::with_tensors(graph, &tensors, &Device::Cpu, DType::F64).unwrap();

    let x = Tensor::from_slice(&images, (n, c, h, w), &Device::Cpu).unwrap();
    let y = Tensor::from_slice(&labels, n, &Device::Cpu).unwrap();
    let logits = network
        .forward(&x, Mode::Train { dropout_seed: 5 })
        .unwrap();
    let loss = hw_kernels::softmax_cross_entropy(&logits, &y).unwrap();
    let gradients = loss.backward().unwrap();

    let result = plan.step(&images, &labels, 5, &cross_entropy).unwrap();
    let loss = loss.to_scalar::<f64>().unwrap() as f32;
    assert!(
        (result.loss - loss).abs() < 1e-5 * loss.max(1.0),
        "{} {loss}",
        result.loss
    );
    let ours = plan.gradients();
    let mut worst = (0.0f32, String::new());
    let mut note = |a: &[f32], b: &[f32], name: &str, scale: f32| {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            let off = (a - b).abs() / scale;
            assert!(off.is_finite(), "{name}");
            if off > worst.0 {
                worst = (off, name.to_string());
            }
        }
    };
    // A bias before batch normalisation has a gradient of 0 but for rounding.
    let all = gradients_scale(&network, &gradients);
    assert_eq!(ours.len(), network.parameters().len());
    for ((name, var), ours) in network.parameters().iter().zip(&ours) {
        let theirs = gradients
            .get(var)
            .unwrap()
            .to_dtype(DType::F32)
            .and_then(|gradient| gradient.flatten_all()?.to_vec1::<f32>())
            .unwrap();
        let scale = theirs.iter().fold(1e-2 * all, |m, v| m.max(v.abs()));
        note(ours, &theirs, name, scale);
    }
    for ((name, var), ours) in network.buffers().iter().zip(plan.buffers()) {
        let theirs = var.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        note(ours, &theirs.to_vec1::<f32>().unwrap(), name, 1.0);
    }
    logits_agree(&network, &x, &images);
    worst
}

/// The frozen network's logits, one image at a time and all together.
fn logits_agree(network: &Network, x: &Tensor, images: &[f32]) {
    let plan = InferencePlan::new(network.graph(), network.tensors().unwrap());
    let logits = network.forward(x, Mode::Eval).unwrap();
    let logits = logits.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    let logits = logits.to_vec1::<f32>().unwrap();
    let one = images.len() / x.dim(0).unwrap();
    let single: Vec<f32> = images
        .chunks(one)
        .flat_map(|image| plan.logits(image))
        .collect();
    let scale = logits.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for ours in [plan.logits(images), single] {
        assert_eq!(ours.len(), logits.len());
        for (a, b) in ours.iter().zip(&logits) {
            assert!(
                (a - b).abs() < 1e-4 * scale,
                "{}: {a} {b}",
                network.spec().name
            );
        }
    }
}

fn gradients_scale(network: &Network, gradients: &candle_core::backprop::GradStore) -> f32 {
    let largest = |(_, var): &(String, candle_core::Var)| {
        let values = gradients.get(var).unwrap().to_dtype(DType::F32).unwrap();
        values
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .fold(0.0f32, |m, v| m.max(v.abs()))
    };
    network.parameters().iter().map(largest).fold(0.0, f32::max)
}

fn small(name: &str, layers: Vec<Layer>) -> ModelSpec {
    ModelSpec {
        name: name.into(),
        input: [1, 14, 11],
        classes: 5,
        init: Initializer::HeNormal,
        layers,
    }
}

fn norm() -> Layer {
    Layer::BatchNorm {
        eps: 1e-3,
        momentum: 0.1,
    }
}

fn groups(groups: usize) -> Layer {
    Layer::GroupNorm { groups, eps: 1e-3 }
}

fn strided(out: usize, kernel: usize, stride: usize, border: Border) -> Layer {
    Layer::Conv {
        out,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: border,
        bias: false,
        connections: None,
    }
}

#[test]
fn a_plans_gradients_are_the_networks() {
    for name in [
        "bn-cnn",
        "lenet5",
        "lenet5-1998",
        "simple-cnn",
        "ann-bn",
        "ji-cnn",
    ] {
        let spec = zoo::spec(name, [1, 28, 28], 10).unwrap();
        let (off, place) = compare(&spec, 21);
        assert!(off < 2e-4, "{name}: {off} in {place}");
    }
}

#[test]
fn a_plans_gradients_are_the_networks_through_branches() {
    let relu = || Layer::activation(Activation::Relu);
    let swish = || Layer::activation(Activation::Swish);
    let post = Layer::Residual {
        body: vec![
            strided(12, 3, 2, Border::Same),
            norm(),
            relu(),
            strided(20, 1, 1, Border::Valid),
            norm(),
        ],
        shortcut: vec![strided(20, 1, 2, Border::Same), norm()],
    };
    let identity = Layer::Residual {
        body: vec![strided(20, 3, 1, Border::Same), norm()],
        shortcut: vec![],
    };
    let pre = Layer::Residual {
        body: vec![norm(), swish(), strided(20, 3, 1, Border::Same), swish()],
        shortcut: vec![],
    };
    let sum_only = Layer::Residual {
        body: vec![relu()],
        shortcut: vec![],
    };
    let layers = vec![
        strided(9, 5, 1, Border::Same),
        norm(),
        sum_only,
        post,
        relu(),
        identity.clone(),
        pre,
        identity,
        Layer::Dropout { rate: 0.0 },
        Layer::AvgPool {
            kernel: [3, 2],
            stride: [2, 2],
            padding: Border::Same,
        },
        Layer::MaxPool {
            kernel: [3, 3],
            stride: [1, 1],
            padding: Border::Same,
        },
        Layer::GlobalAvgPool,
        Layer::dense(5),
    ];
    for n in [2, 9, 40] {
        let (off, place) = compare(&small("branches", layers.clone()), n);
        assert!(off < 5e-4, "{n} images: {off} in {place}");
    }
}

#[test]
fn a_plans_gradients_are_the_networks_for_images_of_several_channels() {
    for name in ["lenet5", "custom-resnet", "ann-bn"] {
        let spec = zoo::spec(name, [3, 28, 28], 10).unwrap();
        let (off, place) = compare(&spec, 9);
        assert!(off < 2e-4, "{name}: {off} in {place}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let mut rng = Rng::stream(4, "test", 0);
    let images: Vec<f32> = (0..50 * 784).map(|_| rng.uniform()).collect();
    let labels: Vec<u32> = (0..50).map(|i| i % 10).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let tensors = network.tensors().unwrap();
            let mut plan = TrainPlan::with_tensors(network.graph(), &tensors, 50);
            let result = plan.step(&images, &labels, 1, &cross_entropy).unwrap();
            let bits: Vec<u32> = plan.gradients.iter().map(|g| g.to_bits()).collect();
            (result.loss.to_bits(), bits)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}

#[test]
fn threads_that_share_one_image_change_no_bit_of_its_logits() {
    // Convolutions shared by rows and by panels, a pooled body, and heavy dense layers at the end.
    for (name, side) in [
        ("bn-cnn", 28),
        ("residual", 28),
        ("custom-vgg", 28),
        ("resnet50", 32),
    ] {
        let spec = zoo::spec(name, [1, side, side], 10).unwrap();
        let network = Network::new(&spec, 3, &Device::Cpu).unwrap();
        let plan = InferencePlan::new(network.graph(), network.tensors().unwrap());
        let mut rng = Rng::stream(5, "test", 0);
        let images: Vec<f32> = (0..11 * side * side).map(|_| rng.uniform()).collect();
        let alone = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let each = |image| plan.logits(image);
            let pool = pool.build().unwrap();
            let logits = pool.install(|| images.chunks(side * side).flat_map(each).collect());
            let logits: Vec<f32> = logits;
            logits.iter().map(|l| l.to_bits()).collect::<Vec<_>>()
        };
        let one = alone(1);
        assert!(one.iter().any(|bits| f32::from_bits(*bits).abs() > 1e-3));
        assert!(one == alone(2) && one == alone(5), "{name}");
        // Several images may be read by Winograd's algorithm, which rounds otherwise.
        let pool = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| plan.logits(&images))
        };
        let together = pool(1);
        assert!(together == pool(2) && together == pool(5), "{name}");
        let few: Vec<u32> = plan
            .logits(&images[..3 * side * side])
            .iter()
            .map(|l| l.to_bits())
            .collect();
        assert!(few == one[..few.len()], "{name}");
        for (together, alone) in together.iter().zip(one) {
            let off = (together - f32::from_bits(alone)).abs();
            assert!(off < 1e-4 * (1.0 + together.abs()), "{name}: {off}");
        }
    }
}

#[test]
fn a_plans_gradients_are_the_networks_through_wavelets() {
    let settings = [
        ("channels", "16"),
        ("blocks", "2"),
        ("levels", "2"),
        ("dropout", "0.3"),
    ];
    let settings = settings.map(|(name, value)| (name.to_string(), value.to_string()));
    let spec = zoo::spec_with(
        "wavemix-lite",
        [1, 12, 12],
        5,
        &settings.into_iter().collect(),
    );
    let (off, place) = compare(&spec.unwrap(), 9);
    assert!(off < 2e-3, "{off} in {place}");
}

#[test]
fn normalized_groups_are_the_same_in_both_executors_and_have_the_slopes_of_the_loss() {
    let layers = vec![
        strided(12, 3, 1, Border::Same),
        groups(3),
        Layer::activation(Activation::Swish),
        strided(6, 3, 2, Border::Same),
        groups(6),
        Layer::Flatten,
        groups(2),
        Layer::dense(5),
    ];
    let spec = small("groups", layers);
    let (off, place) = compare(&spec, 7);
    assert!(off < 1e-4, "{off} in {place}");
    let (off, place) = slopes(&spec, 3);
    assert!(off < 1e-3, "{off} in {place}");
    for (wrong, part) in [(5, "12 channels are no 5 groups"), (0, "no 0 groups")] {
        let layers = vec![strided(12, 3, 1, Border::Same), groups(wrong)];
        let problem = small("wrong", layers).lower().unwrap_err().to_string();
        assert!(
            problem.contains("gn1") && problem.contains(part),
            "{problem}"
        );
    }
}

/// Layers that fit each other, of every kind, for images `[2, 9, 7]` or what is left of them.
fn chains() -> impl Strategy<Value = Vec<Layer>> {
    let any_border = || {
        let asymmetric = Padding {
            top: 1,
            bottom: 0,
            left: 2,
            right: 1,
        };
        prop::sample::select(vec![
            Border::Valid,
            Border::Same,
            Border::Explicit(asymmetric),
        ])
    };
    let window = || (1usize..4, 1usize..4, 1usize..3, any_border());
    let function = || prop::sample::select(Activation::ALL.to_vec());
    let maps = prop_oneof![
        (1usize..6, window(), any::<bool>()).prop_map(
            |(out, (rows, columns, step, padding), bias)| {
                Layer::Conv {
                    out,
                    kernel: [rows, columns],
                    stride: [step, 1],
                    padding,
                    bias,
                    connections: None,
                }
            }
        ),
        window().prop_map(|(rows, columns, step, padding)| Layer::MaxPool {
            kernel: [rows, columns],
            stride: [step, step],
            padding,
        }),
        window().prop_map(|(rows, columns, step, padding)| Layer::AvgPool {
            kernel: [rows, columns],
            stride: [step, step],
            padding,
        }),
        Just(norm()),
        Just(groups(1)),
        function().prop_map(Layer::activation),
        Just(Layer::Dropout { rate: 0.4 }),
        Just(Layer::Subsample { kernel: 2 }),
        any::<bool>().prop_map(|low_only| Layer::Haar { low_only }),
        (1usize..4, 0usize..2).prop_map(|(out, padding)| Layer::ConvTranspose {
            out,
            kernel: 3,
            stride: 2,
            padding,
        }),
        any_border().prop_map(|border| Layer::Pad {
            padding: border.resolve([9, 7], [3, 3], [1, 1]),
        }),
    ];
    let branch = prop::collection::vec(maps, 0..4);
    let joined = (branch.clone(), any::<bool>()).prop_map(|(body, concat)| {
        // A copy of the same branch ends in the same shape.
        let second = body.clone();
        match concat {
            true => vec![Layer::Concat {
                first: body,
                second,
            }],
            false => vec![Layer::Residual {
                body,
                shortcut: second,
            }],
        }
    });
    let identity = Just(vec![Layer::Residual {
        body: vec![norm(), Layer::activation(Activation::Relu)],
        shortcut: vec![],
    }]);
    let part = prop_oneof![branch, joined, identity];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

/// What may come between maps and logits.
fn ends() -> impl Strategy<Value = Vec<Layer>> {
    let grouped = vec![
        Layer::Flatten,
        groups(1),
        Layer::activation(Activation::Tanh),
    ];
    let order = vec![Layer::Flatten, norm(), Layer::activation(Activation::Tanh)];
    let sum = |body| {
        let shortcut = vec![];
        vec![Layer::Flatten, Layer::Residual { body, shortcut }]
    };
    let choices = vec![
        vec![Layer::GlobalAvgPool],
        vec![Layer::Flatten],
        vec![Layer::Flatten, Layer::Dropout { rate: 0.2 }],
        order,
        grouped,
        sum(vec![norm()]),
        sum(vec![]),
    ];
    prop::sample::select(choices)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn both_executors_agree_on_any_network(
        maps in chains(), end in ends(), channels in 1usize..3, n in 2usize..6,
    ) {
        let layers = [maps, end, vec![Layer::dense(5)]].concat();
        let spec = ModelSpec {
            input: [channels, 9, 7],
            ..small("random", layers)
        };
        // Some do not fit: padding wider than a window, or nothing left of the map.
        if let Ok(graph) = spec.lower() {
            let pools = graph.nodes.iter().any(|node| match &node.op {
                Op::MaxPool(w) | Op::MeanPool(w) => {
                    let p = w.padding;
                    p.top.max(p.bottom) >= w.kernel[0] || p.left.max(p.right) >= w.kernel[1]
                }
                _ => false,
            });
            if !pools {
                let (off, place) = compare(&spec, n);
                prop_assert!(off < 2e-3, "{} in {}", off, place);
            }
        }
    }
}

#[test]
fn the_gradient_of_the_images_is_the_networks() {
    let spec = zoo::spec("lenet5", [3, 28, 28], 10).unwrap();
    let network = Network::new(&spec, 7, &Device::Cpu).unwrap();
    let tensors = network.tensors().unwrap();
    let mut plan = TrainPlan::with_image_gradient(network.graph(), 4);
    plan.set(&tensors);
    let mut rng = Rng::stream(9, "test", 0);
    let images: Vec<f32> = (0..3 * 3 * 784).map(|_| rng.uniform()).collect();
    plan.step(&images, &[1, 2, 3], 5, &cross_entropy).unwrap();
    let ours = plan.image_gradient(3).unwrap();
    let x = Var::from_slice(&images, (3, 3, 28, 28), &Device::Cpu).unwrap();
    let logits = network
        .forward(&x, Mode::Train { dropout_seed: 5 })
        .unwrap();
    let y = Tensor::new(&[1u32, 2, 3], &Device::Cpu).unwrap();
    let loss = hw_kernels::softmax_cross_entropy(&logits, &y).unwrap();
    let gradients = loss.backward().unwrap();
    let theirs = gradients.get(&x).unwrap().flatten_all().unwrap();
    let theirs = theirs.to_vec1::<f32>().unwrap();
    let scale = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() < 1e-5 * scale, "{a} {b}");
    }
}

/// `y = w x² + s x` with one `w` a channel, and one `s` a channel of a second input if there is one.
#[derive(Debug)]
struct Curve;

impl ImageOp for Curve {
    fn output(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[&[f32]], tensors: &[&[f32]], y: &mut [f32]) {
        let channels = tensors[0].len();
        for (at, (y, x)) in y.iter_mut().zip(inputs[0]).enumerate() {
            let slope = inputs.get(1).map_or(1.0, |s| s[at % channels]);
            *y = (tensors[0][at % channels] * x + slope) * x;
        }
    }

    fn backward(&self, inputs: &[&[f32]], tensors: &[&[f32]], dy: &[f32], to: Gradients<'_, '_>) {
        let (x, w) = (inputs[0], tensors[0]);
        if let Some(ds) = to.inputs.get_mut(1) {
            ds.fill(0.0);
        }
        for (at, (x, dy)) in x.iter().zip(dy).enumerate() {
            let channel = at % w.len();
            let slope = inputs.get(1).map_or(1.0, |s| s[channel]);
            to.inputs[0][at] = (2.0 * w[channel] * x + slope) * dy;
            to.parameters[0][channel] += x * x * dy;
            if let Some(ds) = to.inputs.get_mut(1) {
                ds[channel] += x * dy;
            }
        }
    }

    fn reference(&self, inputs: &[Tensor], tensors: &[Tensor]) -> candle_core::Result<Tensor> {
        let x = &inputs[0];
        let of_maps = |t: &Tensor| t.reshape([t.dims(), &vec![1; x.rank() - 2][..]].concat());
        let slope = match inputs.get(1) {
            Some(slope) => of_maps(slope)?,
            None => x.ones_like()?,
        };
        let bent = x.broadcast_mul(&of_maps(&tensors[0].unsqueeze(0)?)?)?;
        bent.broadcast_add(&slope)? * x
    }
}

impl Named for Curve {
    fn name(&self) -> &'static str {
        "curve"
    }

    fn about(&self) -> &'static str {
        "a parabola for each channel, as steep as the map's mean says"
    }

    fn source(&self) -> &'static str {
        "-"
    }
}

impl CustomLayer for Curve {
    fn lower(
        &self,
        settings: &Settings,
        lowering: &mut Lowering,
        x: ValueId,
    ) -> crate::Result<ValueId> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Read {
            #[serde(default)]
            gated: bool,
        }
        let Read { gated } = lowering.settings(settings)?;
        let channels = lowering.shape(x)[0];
        let mut inputs = vec![x];
        if gated {
            let means = lowering.part("mean", &Layer::GlobalAvgPool, x)?;
            inputs.push(lowering.part("fc", &Layer::dense(channels), means)?);
        }
        let weight = lowering.parameter("weight", vec![channels], Start::Constant(0.3))?;
        let (op, parameters) = (Arc::new(Curve), vec![weight]);
        lowering.add(Op::Custom { op, parameters }, inputs)
    }
}

fn curve(gated: bool) -> Layer {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| layers::register(&Curve).unwrap());
    let json = serde_json::json!({"type": "custom", "name": "curve", "settings": {"gated": gated}});
    serde_json::from_value(json).unwrap()
}

/// Everywhere that fusing and folding could take it apart: at the images, after and before normalization,
/// in both branches of a sum, and where a vector was flattened from maps.
fn curves() -> ModelSpec {
    let layers = vec![
        curve(true),
        Layer::conv(4, 3, Border::Valid),
        norm(),
        curve(true),
        norm(),
        Layer::activation(Activation::Relu),
        Layer::Residual {
            body: vec![curve(false), norm()],
            shortcut: vec![curve(true)],
        },
        norm(),
        curve(false),
        Layer::max_pool(3),
        Layer::Flatten,
        curve(false),
        Layer::dense(5),
    ];
    ModelSpec {
        input: [2, 9, 11],
        ..small("curves", layers)
    }
}

#[test]
fn a_layer_of_another_crate_is_the_same_in_both_executors() {
    let spec = curves();
    let graph = spec.lower().unwrap();
    let names: Vec<&str> = graph.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names[..3],
        ["curve1.fc.weight", "curve1.fc.bias", "curve1.weight"]
    );
    assert_eq!(graph.layers[0].parameters.len(), 3);
    let (off, place) = compare(&spec, 7);
    assert!(off < 1e-4, "{off} in {place}");
}

#[test]
fn the_gradients_of_a_layer_of_another_crate_are_slopes_of_the_loss() {
    let (off, place) = slopes(&curves(), 3);
    assert!(off < 1e-3, "{off} in {place}");
}

/// The largest difference of a plan's gradients from central differences of the reference's loss in double
/// precision, relative to the largest gradient of all.
fn slopes(spec: &ModelSpec, n: usize) -> (f64, String) {
    let graph = spec.lower().unwrap();
    let network = Network::with_dtype(spec, 7, &Device::Cpu, DType::F64).unwrap();
    let mut plan = TrainPlan::with_tensors(&graph, &network.tensors().unwrap(), n);
    let mut rng = Rng::stream(11, "test", 0);
    let [c, h, w] = spec.input;
    let images: Vec<f32> = (0..n * c * h * w).map(|_| rng.uniform()).collect();
    let labels: Vec<u32> = (0..n).map(|_| rng.below(spec.classes) as u32).collect();
    plan.step(&images, &labels, 5, &cross_entropy).unwrap();
    let x = Tensor::from_slice(&images, (n, c, h, w), &Device::Cpu).unwrap();
    let loss = || -> f64 {
        let mode = Mode::Train { dropout_seed: 5 };
        let logits = network.forward(&x, mode).unwrap().to_vec2::<f64>().unwrap();
        let of_image = |(logits, &label): (&Vec<f64>, &u32)| {
            let own = logits[label as usize];
            logits.iter().map(|l| (l - own).exp()).sum::<f64>().ln()
        };
        logits.iter().zip(&labels).map(of_image).sum::<f64>() / n as f64
    };
    let (mut worst, mut largest) = ((0.0, String::new()), 0f64);
    for ((name, var), ours) in network.parameters().iter().zip(plan.gradients()) {
        let start = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        // A few of many.
        for at in (0..start.len()).step_by(1 + start.len() / 5) {
            let moved = |by: f64| {
                let mut values = start.clone();
                values[at] += by;
                var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                loss()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(slope.is_finite(), "{name}");
            largest = largest.max(slope.abs());
            let off = (slope - f64::from(ours[at])).abs();
            if off > worst.0 {
                worst = (off, format!("{name}[{at}]"));
            }
        }
        var.set(&Tensor::from_vec(start, var.shape(), &Device::Cpu).unwrap())
            .unwrap();
    }
    (worst.0 / largest, worst.1)
}
