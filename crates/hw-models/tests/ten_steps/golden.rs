//! Ten training steps of every network: what PyTorch makes of them (`fixtures/models/make_ten_steps.py`), what our
//! executors make of them, and how far the two are apart.

use candle_core::{DType, Device, Tensor};
use hw_models::plan::TrainPlan;
use hw_models::{Executor, Mode, ModelSpec, Network, Tensors, cross_entropy, zoo};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Steps of gradient descent with momentum on one batch, of several networks.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) steps: usize,
    momentum: f32,
    pub(crate) networks: Vec<Case>,
}

/// One network, and what became of it in f32 and in f64.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    settings: zoo::Settings,
    pub(crate) input: [usize; 3],
    pub(crate) classes: usize,
    pub(crate) batch: usize,
    rate: f32,
    gain: f32,
    pub(crate) f32: Outcome,
    pub(crate) f64: Outcome,
}

/// The losses before each step, and the tensors after the last, moving statistics included.
#[derive(Deserialize)]
pub(crate) struct Outcome {
    pub(crate) losses: Vec<f64>,
    pub(crate) tensors: BTreeMap<String, Kept>,
}

/// What is kept of a tensor.
#[derive(Deserialize)]
pub(crate) struct Kept {
    /// Its norm.
    norm: f64,
    /// The norm of what the steps added to it.
    change: f64,
    /// Sums of what the steps added to it, with random signs. Added noise changes a sum by a random number whose
    /// deviation is the noise's norm, wherever in the tensor it is.
    sums: Vec<f64>,
    /// Some of its numbers, evenly spaced.
    values: Vec<f64>,
}

/// The largest distance of two outcomes' tensors, and where it is.
#[derive(Debug, Default)]
pub(crate) struct Deviation {
    /// Of the losses.
    pub(crate) losses: f64,
    /// Of a tensor, over its norm.
    pub(crate) weights: (f64, String),
    /// Of what was added to a tensor, over that. Unlike the weights', it says that something was learned at all.
    pub(crate) learned: (f64, String),
}

/// A tensor that moved by less than this share of its norm is measured by that share: a bias before batch
/// normalization has no gradient, and what is added to it is rounding.
pub(crate) const LEAST_CHANGE_F32: f64 = 1e-3;
/// The same in f64.
pub(crate) const LEAST_CHANGE_F64: f64 = 1e-6;

/// How far f32 may be from PyTorch's f32: a tensor, over its norm.
pub(crate) const WEIGHTS: f64 = 1e-4;

/// And what was added to it, over that: the sharper one, since most of a tensor is still what it was. PyTorch's
/// own f32 is up to 1.4e-3 from its f64, in a bias before batch normalization, whose gradient is all rounding.
pub(crate) const LEARNED: f64 = 5e-3;

/// And the losses: PyTorch's own f32 is up to 3e-4 from its f64, in ResNet-50, which normalizes over few cells 53
/// times in a row and so makes rounding large.
pub(crate) const LOSSES: f64 = 1e-3;

/// How far f64 may be from PyTorch's f64, in weights and losses: nothing is left but the order of sums.
pub(crate) const TOLERANCE_F64: f64 = 1e-9;

/// And in what was added to a tensor, over that: in a bias before batch normalization it is rounding alone.
pub(crate) const LEARNED_F64: f64 = 1e-7;

impl Golden {
    /// Reads `fixtures/models/ten_steps.json`; `package` is the folder of any package of the workspace but its root.
    pub(crate) fn read(package: &str) -> Result<Self> {
        let folders = ["../../fixtures", "../fixtures"].map(|up| Path::new(package).join(up));
        let found = folders.iter().find(|folder| folder.is_dir());
        let path = found.ok_or("no fixtures")?.join("models/ten_steps.json");
        Ok(serde_json::from_str(&hw_core::files::read_text(&path)?)?)
    }

    /// What the plan makes of the network; `None` where it has a layer that plans do not know.
    pub(crate) fn by_plan(&self, case: &Case) -> Result<Outcome> {
        let network = case.network(DType::F32)?;
        let graph = network.graph();
        let mut plan = TrainPlan::with_tensors(graph, &network.tensors()?, case.batch);
        let (images, labels) = (case.images(), case.labels());
        let mut velocity = vec![0.0; plan.len()];
        let mut losses = Vec::new();
        for _ in 0..self.steps {
            let result = plan.step(&images, &labels, 0, &cross_entropy)?;
            losses.push(f64::from(result.loss));
            let (weights, gradients) = plan.update();
            for ((w, v), g) in weights.iter_mut().zip(&mut velocity).zip(gradients) {
                *v = self.momentum * *v + g;
                *w -= case.rate * *v;
            }
        }
        let tensors = plan.tensors(plan.weights(), plan.buffers());
        let named = graph.parameters.iter().zip(tensors.parameters);
        let named = named.chain(graph.buffers.iter().zip(tensors.buffers));
        let numbers = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        let named = named.map(|(tensor, values)| (tensor.name.clone(), numbers(values)));
        Ok(case.outcome(losses, named))
    }

    /// What the reference makes of the network.
    pub(crate) fn by_reference(&self, case: &Case, precision: DType) -> Result<Outcome> {
        let network = case.network(precision)?;
        let [c, h, w] = case.input;
        let images = Tensor::from_vec(case.images(), (case.batch, c, h, w), &Device::Cpu)?;
        let images = images.to_dtype(precision)?;
        let labels = Tensor::new(case.labels(), &Device::Cpu)?;
        let mut velocity: BTreeMap<&str, Tensor> = BTreeMap::new();
        let mut losses = Vec::new();
        for _ in 0..self.steps {
            let logits = network.forward(&images, Mode::Train { dropout_seed: 0 })?;
            let loss = hw_kernels::softmax_cross_entropy(&logits, &labels)?;
            let gradients = loss.backward()?;
            losses.push(loss.to_dtype(DType::F64)?.to_scalar()?);
            for (name, weight) in network.parameters() {
                let gradient = gradients.get(weight).ok_or("a weight has no gradient")?;
                let step = match velocity.get(name.as_str()) {
                    Some(before) => (gradient + before * f64::from(self.momentum))?,
                    None => gradient.clone(),
                };
                weight.set(&(weight.as_tensor() - &step * f64::from(case.rate))?)?;
                velocity.insert(name, step);
            }
        }
        let mut tensors = Vec::new();
        for (name, var) in network.parameters().iter().chain(network.buffers()) {
            let numbers = var.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
            tensors.push((name.clone(), numbers));
        }
        Ok(case.outcome(losses, tensors))
    }
}

impl Case {
    pub(crate) fn spec(&self) -> Result<ModelSpec> {
        Ok(zoo::spec_with(
            &self.name,
            self.input,
            self.classes,
            &self.settings,
        )?)
    }

    /// The network as it starts.
    fn network(&self, precision: DType) -> Result<Network> {
        let graph = self.spec()?.lower()?;
        let mut tensors = Tensors::initial(&graph, 0);
        let all = graph.parameters.iter().zip(&mut tensors.parameters);
        let all = all.chain(graph.buffers.iter().zip(&mut tensors.buffers));
        for (tensor, values) in all.filter(|(tensor, _)| !is_fixed(&tensor.name)) {
            *values = start(&tensor.name, &tensor.shape, self.gain);
        }
        for (index, values) in tensors.parameters.iter_mut().enumerate() {
            graph.drop_unconnected(index, values);
        }
        Ok(Network::with_tensors(
            graph,
            &tensors,
            &Device::Cpu,
            precision,
        )?)
    }

    /// Half of the pixels are blank, the rest anything up to 1.
    fn images(&self) -> Vec<f32> {
        let draws = (0..self.batch * self.input.iter().product::<usize>()).map(uniform("images"));
        draws.map(|u| (u * 2.0 - 1.0).max(0.0)).collect()
    }

    fn labels(&self) -> Vec<u32> {
        (0..self.batch)
            .map(|i| ((3 * i + 1) % self.classes) as u32)
            .collect()
    }

    /// What is kept of `tensors`.
    fn outcome(
        &self,
        losses: Vec<f64>,
        tensors: impl IntoIterator<Item = (String, Vec<f64>)>,
    ) -> Outcome {
        let network = self.network(DType::F32).expect("it was built before");
        let tensors_before = network.tensors().expect("they are on the CPU");
        let graph = network.graph();
        let before = graph.parameters.iter().zip(tensors_before.parameters);
        let before = before.chain(graph.buffers.iter().zip(tensors_before.buffers));
        let before: BTreeMap<&str, Vec<f32>> = before
            .map(|(tensor, values)| (tensor.name.as_str(), values))
            .collect();
        let trained = tensors.into_iter().filter(|(name, _)| !is_fixed(name));
        let kept = trained.map(|(name, values)| {
            let kept = Kept::of(&name, &values, &before[name.as_str()]);
            (name, kept)
        });
        Outcome {
            losses,
            tensors: kept.collect(),
        }
    }
}

/// The centres of radial basis functions are the declaration's and stay.
fn is_fixed(name: &str) -> bool {
    name.ends_with(".centres")
}

const SIGNS: usize = 8;
const VALUES: usize = 8;

impl Kept {
    fn of(name: &str, values: &[f64], start: &[f32]) -> Self {
        let bits = mixed(&format!("{name}/signs"));
        let (mut norm, mut change, mut sums) = (0.0, 0.0, vec![0.0; SIGNS]);
        for (index, (value, start)) in values.iter().zip(start).enumerate() {
            let added = value - f64::from(*start);
            norm += value * value;
            change += added * added;
            let bits = bits(index);
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if bits >> bit & 1 == 1 { added } else { -added };
            }
        }
        let places = (0..VALUES).map(|k| values[k * values.len() / VALUES]);
        Self {
            norm: norm.sqrt(),
            change: change.sqrt(),
            sums,
            values: places.collect(),
        }
    }
}

impl Outcome {
    /// How far this is from what another library makes of the same network; infinitely where tensors are missing.
    pub(crate) fn deviation(&self, theirs: &Self, least_change: f64) -> Deviation {
        let mut worst = Deviation::default();
        for (ours, theirs) in self.losses.iter().zip(&theirs.losses) {
            worst.losses = worst.losses.max((ours - theirs).abs() / theirs.abs());
        }
        let same = self.tensors.keys().eq(theirs.tensors.keys());
        if !same || self.losses.len() != theirs.losses.len() {
            worst.weights = (f64::INFINITY, "other tensors or steps".into());
        }
        for (name, theirs) in &theirs.tensors {
            let Some(ours) = self.tensors.get(name) else {
                continue;
            };
            let off = spread(&ours.sums, &theirs.sums);
            let values =
                spread(&ours.values, &theirs.values) / spread(&theirs.values, &[0.0; VALUES]);
            note(&mut worst.weights, (off / theirs.norm).max(values), name);
            let change = theirs.change.max(least_change * theirs.norm);
            note(&mut worst.learned, off / change, name);
        }
        worst
    }
}

/// Keeps the larger one; what is no number is larger than any.
fn note(worst: &mut (f64, String), off: f64, name: &str) {
    if off > worst.0 || off.is_nan() {
        *worst = (if off.is_nan() { f64::INFINITY } else { off }, name.into());
    }
}

/// Root of the mean squared difference.
fn spread(ours: &[f64], theirs: &[f64]) -> f64 {
    let squares = ours.iter().zip(theirs).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / theirs.len() as f64).sqrt()
}

/// 32 random bits for each index: FNV-1a of the name, then the finalizer of MurmurHash3.
fn mixed(name: &str) -> impl Fn(usize) -> u32 + use<> {
    let step = |salt: u32, byte: u8| (salt ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let salt = name.bytes().fold(0x811c_9dc5, step);
    move |index| {
        let h = (index as u32).wrapping_mul(0x9e37_79b1).wrapping_add(salt);
        let h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        let h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16)
    }
}

/// Multiples of 2^-24 in `[0, 1)`.
fn uniform(name: &str) -> impl Fn(usize) -> f32 + use<> {
    let bits = mixed(name);
    move |index| (bits(index) >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

/// How a tensor starts: weights within `sqrt(gain / fan-in)`, scales and variances around 1, all else around 0.
fn start(name: &str, shape: &[usize], gain: f32) -> Vec<f32> {
    let around_one = [".weight", ".coefficient", ".running_var"];
    let (scale, middle) = match shape {
        [_] if around_one.iter().any(|end| name.ends_with(end)) => (0.125, 1.0),
        [_] => (0.125, 0.0),
        _ => (
            (gain / shape[1..].iter().product::<usize>() as f32).sqrt(),
            0.0,
        ),
    };
    let draws = (0..shape.iter().product::<usize>()).map(uniform(name));
    draws.map(|u| (u * 2.0 - 1.0) * scale + middle).collect()
}
