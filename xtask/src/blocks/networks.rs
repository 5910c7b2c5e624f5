//! Whole networks against other frameworks: layers that only make sense together, and what
//! `hw export` writes.

// The networks and weights that the exported files of fixtures/exchange were made of.
#[path = "../../../crates/hw-exchange/tests/exchange/cases.rs"]
#[allow(clippy::unwrap_used, dead_code)]
mod cases;

use super::golden::{json, largest};
use super::{Deviation, Row};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use hw_models::graph::Op;
use hw_models::plan::{InferencePlan, TrainPlan};
use hw_models::weights::{Contents, StoredTensor};
use hw_models::{Executor, Mode, ModelSpec, Network, cross_entropy, zoo};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A network with its weights, what comes out for two images, and every gradient.
#[derive(Deserialize)]
struct Recorded {
    images: Vec<f32>,
    labels: Vec<u32>,
    logits: Vec<Vec<f32>>,
    tensors: BTreeMap<String, Numbers>,
    gradients: BTreeMap<String, Numbers>,
}

#[derive(Deserialize)]
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// How far a network's logits and gradients are from those that a file of fixtures/models records.
fn deviation(file: &str, spec: &ModelSpec) -> Result<Deviation> {
    let golden: Recorded = json(&format!("models/{file}"))?;
    let mut contents = Contents::default();
    let model = serde_json::to_value(spec)?;
    contents.metadata.insert("model".into(), model);
    for (name, Numbers { shape, values }) in &golden.tensors {
        let stored = StoredTensor {
            shape: shape.clone(),
            values: values.clone(),
        };
        contents.tensors.insert(name.clone(), stored);
    }
    let network = Network::from_contents(file.as_ref(), &contents, &Device::Cpu)?;
    let [c, h, w] = spec.input;
    let shape = (golden.labels.len(), c, h, w);
    let images = Tensor::from_slice(&golden.images, shape, &Device::Cpu)?;
    let logits = network.forward(&images, Mode::Eval)?;
    let mut worst = largest(&logits.flatten_all()?.to_vec1()?, &golden.logits.concat());
    let plan = by_plan(&network, &golden)?;
    let labels = Tensor::new(golden.labels.as_slice(), &Device::Cpu)?;
    let gradients = hw_kernels::softmax_cross_entropy(&logits, &labels)?.backward()?;
    for (name, parameter) in network.parameters() {
        let ours = gradients.get(parameter).context("no gradient")?;
        let theirs = golden.gradients.get(name).context("no such gradient")?;
        worst = worst.max(largest(&ours.flatten_all()?.to_vec1()?, &theirs.values));
    }
    Ok(Deviation::ByExecutor {
        plan,
        reference: worst,
    })
}

/// The same of plans. What PyTorch records is a network in use: with batch normalization, which plans freeze
/// then, there are only logits to compare.
fn by_plan(network: &Network, golden: &Recorded) -> Result<f64> {
    let (graph, tensors) = (network.graph(), network.tensors()?);
    let mut plan = TrainPlan::with_tensors(graph, &tensors, golden.labels.len());
    let logits = InferencePlan::new(graph, tensors).logits(&golden.images);
    let mut worst = largest(&logits, &golden.logits.concat());
    if graph
        .nodes
        .iter()
        .any(|node| matches!(node.op, Op::Norm { .. }))
    {
        return Ok(worst);
    }
    plan.step(&golden.images, &golden.labels, 0, &cross_entropy)?;
    for (tensor, ours) in graph.parameters.iter().zip(plan.gradients()) {
        let theirs = golden.gradients.get(&tensor.name);
        let theirs = theirs.context("no such gradient")?;
        worst = worst.max(largest(&ours, &theirs.values));
    }
    Ok(worst)
}

fn layers(name: &str, source: &str, deviation: Deviation, test: &str) -> Row {
    Row {
        family: "Layers",
        name: name.into(),
        source: source.into(),
        reference: "PyTorch, double precision (fixtures/models)".into(),
        deviation,
        test: format!("crates/hw-models/tests/models.rs::{test}"),
    }
}

/// The layers of wavemix-lite, in a small one of two levels.
pub(super) fn wavelets() -> Result<Row> {
    let small = [
        ("channels", "8"),
        ("blocks", "1"),
        ("levels", "2"),
        ("dropout", "0"),
    ];
    let small = small.map(|(k, v)| (k.into(), v.into())).into();
    let spec = zoo::spec_with("wavemix-lite", [1, 8, 8], 3, &small)?;
    Ok(layers(
        "Haar wavelet transform, transposed convolution, concatenation, residual sum",
        "Jeevan & Sethi 2022",
        deviation("wavemix.json", &spec)?,
        "wavelets_transposed_convolutions_and_branches_are_those_of_pytorch",
    ))
}

/// The layers of lenet5-1998 that no other network has.
pub(super) fn pad_and_subsample() -> Result<Row> {
    let fixture: serde_json::Value = json("models/subsample.json")?;
    let spec = serde_json::from_value(fixture["model"].clone())?;
    Ok(layers(
        "padding, trainable subsampling",
        "LeCun et al. 1998",
        deviation("subsample.json", &spec)?,
        "padding_and_trainable_subsampling_are_those_of_pytorch",
    ))
}

/// Dropout draws at random.
pub(super) fn dropout() -> Row {
    Row {
        family: "Layers",
        name: "dropout".into(),
        source: "Srivastava et al. 2014".into(),
        reference: "its definition".into(),
        deviation: Deviation::Properties,
        test: "crates/hw-kernels/src/cpu/dropout.rs::\
               the_share_of_dropped_elements_is_the_rate_and_the_rest_is_scaled_up"
            .into(),
    }
}

#[derive(Deserialize)]
struct Logits {
    logits: Vec<f32>,
}

/// Every network that was exported and run elsewhere, by format.
pub(super) fn exported() -> Result<Vec<Row>> {
    let golden: BTreeMap<String, BTreeMap<String, Logits>> = json("exchange/golden.json")?;
    let mut rows = Vec::new();
    for (name, spec) in cases::cases() {
        let contents = cases::contents(&spec);
        let network = Network::from_contents(name.as_ref(), &contents, &Device::Cpu)?;
        let [c, h, w] = spec.input;
        let shape = (cases::IMAGES, c, h, w);
        let images = cases::images(&spec);
        let plan = InferencePlan::new(network.graph(), network.tensors()?).logits(&images);
        let images = Tensor::from_vec(images, shape, &Device::Cpu)?;
        let ours: Vec<f32> = network
            .forward(&images, Mode::Eval)?
            .flatten_all()?
            .to_vec1()?;
        for (format, theirs) in golden.get(name).with_context(|| format!("no {name}"))? {
            let program = match format.as_str() {
                "onnx" => "ONNX Runtime",
                "torchvision" => "torchvision",
                _ => "PyTorch",
            };
            let [h, w, classes] = [h, w, spec.classes];
            rows.push(Row {
                family: "Networks in other frameworks",
                name: format!("{name}, {format}"),
                source: format!("`hw export --to {format}`"),
                reference: format!(
                    "logits of {program} at {h}x{w}x{c}, {classes} classes (fixtures/exchange)"
                ),
                deviation: Deviation::ByExecutor {
                    plan: largest(&plan, &theirs.logits),
                    reference: largest(&ours, &theirs.logits),
                },
                test: "crates/hw-exchange/tests/exchange/main.rs::\
                       other_frameworks_give_the_same_logits_for_these_very_files"
                    .into(),
            });
        }
    }
    Ok(rows)
}
