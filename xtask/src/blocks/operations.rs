//! The recorded operations, each as a graph of its own that the plan and the reference run.

use super::golden::{Case, Kernels, largest};
use super::{Deviation, Row};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use hw_kernels::{Activation, Conv2dConfig, Padding, Pool2dConfig, Windows};
use hw_models::graph::{BufferId, Op, Parameter, ParameterId, Start, ValueId};
use hw_models::plan::{InferencePlan, TrainPlan};
use hw_models::{Executor, Graph, LossFunction, Mode, Network, Tensors};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const GOLDEN: &str = "PyTorch, double precision (fixtures/kernels)";
const TEST: &str = "xtask/src/blocks/operations.rs::\
                    every_recorded_operation_is_pytorchs_by_plan_and_by_the_reference";

/// Adds to a graph the operation that a case records; the value is its input.
type Build = fn(&mut Single<'_>, ValueId) -> Result<()>;

/// What the fixture calls an operation, what the page does, and how graphs say it.
const LAYERS: [(&str, &str, Build); 10] = [
    ("conv2d", "convolution", |single, x| {
        let config = serde_json::from_value(single.case.settings.clone())?;
        single.convolution(x, config).map(drop)
    }),
    (
        "conv2d_relu_max_pool2d",
        "convolution, ReLU, max-pooling",
        |single, x| {
            let y = single.convolution(x, single.case.setting("conv")?)?;
            let y = single.add(Op::Activation(Activation::Relu), y)?;
            let pool = serde_json::from_value(single.case.settings["pool"].clone())?;
            let windows = single.windows(y, &pool)?;
            single.add(Op::MaxPool(windows), y).map(drop)
        },
    ),
    ("max_pool2d", "max-pooling", |single, x| {
        let windows = single.windows(x, &pool(&single.case)?)?;
        single.add(Op::MaxPool(windows), x).map(drop)
    }),
    ("avg_pool2d", "average pooling", |single, mut x| {
        let mut pool = pool(&single.case)?;
        // Operations leave padding out of the mean; where it counts it comes before.
        if single.case.setting("count_include_pad")? && pool.padding != Padding::default() {
            let padding = std::mem::take(&mut pool.padding);
            x = single.add(Op::Pad { padding }, x)?;
        }
        let windows = single.windows(x, &pool)?;
        single.add(Op::MeanPool(windows), x).map(drop)
    }),
    ("global_avg_pool", "global average pooling", |single, x| {
        let [_, height, width] = single.graph.values[x].as_maps();
        let pool = Pool2dConfig {
            kernel: [height, width],
            stride: [height, width],
            padding: Padding::default(),
        };
        let windows = single.windows(x, &pool)?;
        single.add(Op::MeanPool(windows), x).map(drop)
    }),
    ("linear", "affine layer", |single, x| {
        let x = single.vector(x)?;
        let op = Op::Dense {
            weight: single.parameter("w")?,
            bias: single.optional("bias")?,
            relu: false,
        };
        single.add(op, x).map(drop)
    }),
    (
        "channel_scale_shift",
        "scale and shift by channel",
        |single, x| {
            let op = Op::Affine {
                scale: single.parameter("scale")?,
                shift: single.parameter("shift")?,
                relu: false,
            };
            single.add(op, x).map(drop)
        },
    ),
    ("rbf", "radial basis functions", |single, x| {
        let x = single.vector(x)?;
        let centers = single.buffer("centres", None)?;
        // The fixture holds squared distances.
        single.share = -0.5;
        single.add(Op::Rbf { centers }, x).map(drop)
    }),
    (
        "batch_norm_train",
        "batch normalization, training",
        |single, x| {
            // Moving statistics as long as the shift; training reads none.
            let mean = single.buffer("beta", Some(0.0))?;
            single.buffer("beta", Some(1.0))?;
            single.usage = Usage::Training;
            single.norm(x, mean).map(drop)
        },
    ),
    (
        "batch_norm_eval",
        "batch normalization, use",
        |single, x| {
            let mean = single.buffer("mean", None)?;
            single.buffer("variance", None)?;
            single.usage = Usage::Inference;
            single.norm(x, mean).map(drop)
        },
    ),
];

fn pool(case: &Case<'_>) -> Result<Pool2dConfig> {
    Ok(Pool2dConfig {
        kernel: case.setting("kernel")?,
        stride: case.setting("stride")?,
        padding: case.setting("padding")?,
    })
}

/// What is recorded of an operation: batch normalization is one thing in training and another in use.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Usage {
    Both,
    Training,
    Inference,
}

/// A graph of a recorded operation, with its numbers.
struct Single<'a> {
    case: Case<'a>,
    graph: Graph,
    tensors: Tensors,
    /// What the fixture calls the trainable tensors.
    keys: Vec<&'static str>,
    /// The operation's result is this share of what is recorded.
    share: f32,
    usage: Usage,
}

impl<'a> Single<'a> {
    /// The operation alone, where it reads the images themselves, or behind one that changes nothing, where it
    /// reads and writes a plan's own memory.
    fn new(case: Case<'a>, build: Build, behind: bool) -> Result<Self> {
        let (channels, height, width) = match *case.tensor("x")?.dims() {
            [_, channels] => (channels, 1, 1),
            [_, channels, height, width] => (channels, height, width),
            ref other => anyhow::bail!("{other:?} are no images"),
        };
        let mut single = Self {
            graph: Graph::new("single", [channels, height, width]),
            case,
            tensors: Tensors::default(),
            keys: Vec::new(),
            share: 1.0,
            usage: Usage::Both,
        };
        // The identity is dropped before plans are made; this is one all the same.
        let slope = 1.0;
        let x = match behind {
            true => single.add(Op::Activation(Activation::LeakyRelu { slope }), 0)?,
            false => 0,
        };
        build(&mut single, x)?;
        Ok(single)
    }

    fn add(&mut self, op: Op, x: ValueId) -> Result<ValueId> {
        Ok(self.graph.add("single", op, vec![x])?)
    }

    fn vector(&mut self, x: ValueId) -> Result<ValueId> {
        let to = vec![self.graph.values[x].len()];
        self.add(Op::Reshape { to }, x)
    }

    fn convolution(&mut self, x: ValueId, config: Conv2dConfig) -> Result<ValueId> {
        let weight = self.parameter("w")?;
        let [_, height, width] = self.graph.values[x].as_maps();
        let kernel = &self.graph.parameters[weight].shape[2..];
        let op = Op::Conv {
            windows: Windows::of_conv([height, width], [kernel[0], kernel[1]], &config)?,
            weight,
            bias: self.optional("bias")?,
            connections: None,
            relu: false,
        };
        self.add(op, x)
    }

    fn windows(&self, x: ValueId, pool: &Pool2dConfig) -> Result<Windows> {
        let [_, height, width] = self.graph.values[x].as_maps();
        Ok(Windows::of_pool("pool", [height, width], pool)?)
    }

    fn norm(&mut self, x: ValueId, mean: BufferId) -> Result<ValueId> {
        let op = Op::Norm {
            scale: self.parameter("gamma")?,
            shift: self.parameter("beta")?,
            mean,
            eps: self.case.setting("eps")?,
            momentum: 0.1,
            relu: false,
        };
        self.add(op, x)
    }

    fn parameter(&mut self, key: &'static str) -> Result<ParameterId> {
        let (tensor, values) = self.tensor(key)?;
        self.keys.push(key);
        self.tensors.parameters.push(values);
        Ok(self.graph.add_parameter(tensor))
    }

    fn optional(&mut self, key: &'static str) -> Result<Option<ParameterId>> {
        let known = self.case.tensor(key).is_ok();
        known.then(|| self.parameter(key)).transpose()
    }

    /// A buffer of the case, or one of that length whose numbers are all the same.
    fn buffer(&mut self, key: &'static str, all: Option<f32>) -> Result<BufferId> {
        let (tensor, mut values) = self.tensor(key)?;
        if let Some(all) = all {
            values.fill(all);
        }
        self.tensors.buffers.push(values);
        Ok(self.graph.add_buffer(tensor))
    }

    fn tensor(&self, key: &'static str) -> Result<(Parameter, Vec<f32>)> {
        let shape = self.case.tensor(key)?.dims().to_vec();
        let values = self.case.numbers(key)?;
        let tensor = Parameter {
            name: key.into(),
            start: Start::Constant(0.0),
            count: values.len(),
            shape,
        };
        Ok((tensor, values))
    }

    /// Images of the case.
    fn count(&self) -> Result<usize> {
        Ok(self.case.tensor("x")?.dim(0)?)
    }

    /// Outputs `[n, c, h, w]` and the gradients of what is trained, the images' first, by the reference.
    fn by_reference(&self) -> Result<Found> {
        let device = Device::Cpu;
        let network = Network::from_tensors(self.graph.clone(), &self.tensors, &device)?;
        let [c, h, w] = self.graph.spec.input;
        let x = Var::from_tensor(&self.case.tensor("x")?.reshape((self.count()?, c, h, w))?)?;
        let mode = match self.usage {
            Usage::Inference => Mode::Eval,
            Usage::Both | Usage::Training => Mode::Train { dropout_seed: 0 },
        };
        let y = network.forward(&x, mode)?;
        let numbers = |t: &Tensor| -> Result<Vec<f32>> {
            Ok(t.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
        };
        let outputs = numbers(&y)?;
        // Its gradient is dy.
        let dy = self.case.tensor("dy")?.reshape(y.shape())?;
        let gradients = (y * dy)?.sum_all()?.backward()?;
        let parameters = network.parameters().iter().map(|(_, var)| var);
        let found = [&x].into_iter().chain(parameters).map(|var| {
            let gradient = gradients.get(var).context("a tensor has no gradient")?;
            numbers(gradient)
        });
        let gradients = found.map(|g| g.map(Some)).collect::<Result<_>>()?;
        Ok(Found { outputs, gradients })
    }

    /// The same by a plan; the gradient of images only where it is asked for, since what trains has none.
    fn by_plan(&self, of_images: bool) -> Result<Found> {
        let n = self.count()?;
        let mut plan = match of_images {
            true => TrainPlan::with_image_gradient(&self.graph, n),
            false => TrainPlan::new(&self.graph, n),
        };
        plan.set(&self.tensors);
        let recorder = Recorder {
            upstream: self.channels_last(&self.case.numbers("dy")?),
            outputs: Mutex::new(vec![Vec::new(); n]),
        };
        plan.step(&self.case.numbers("x")?, &vec![0; n], 0, &recorder)?;
        let outputs = recorder.outputs.into_inner();
        let outputs = outputs.unwrap_or_else(PoisonError::into_inner).concat();
        let mut gradients = vec![plan.image_gradient(n)];
        anyhow::ensure!(gradients[0].is_some() == of_images, "another plan");
        gradients.extend(plan.gradients().into_iter().map(Some));
        Ok(Found {
            outputs: self.channels_first(&outputs),
            gradients,
        })
    }

    /// Outputs of a network that is only run, of all images at once and of one after the other.
    fn by_inference(&self) -> Result<[Found; 2]> {
        let plan = InferencePlan::new(&self.graph, self.tensors.clone());
        let images = self.case.numbers("x")?;
        let single = images.chunks(images.len() / self.count()?);
        let single = single.flat_map(|image| plan.logits(image)).collect();
        Ok(
            [plan.logits(&images), single].map(|outputs: Vec<f32>| Found {
                outputs: self.channels_first(&outputs),
                gradients: Vec::new(),
            }),
        )
    }

    /// Outputs `[n, c, h, w]` with their channels last.
    fn channels_last(&self, outputs: &[f32]) -> Vec<f32> {
        let [channels, height, width] = self.output();
        transposed(outputs, channels, height * width)
    }

    /// And back.
    fn channels_first(&self, outputs: &[f32]) -> Vec<f32> {
        let [channels, height, width] = self.output();
        transposed(outputs, height * width, channels)
    }

    fn output(&self) -> [usize; 3] {
        self.graph.values[self.graph.output].as_maps()
    }

    /// How far from what is recorded.
    fn deviation(&self, found: &Found) -> Result<f64> {
        let mut y = self.case.numbers("y")?;
        y.iter_mut().for_each(|y| *y *= self.share);
        let mut worst = largest(&found.outputs, &y);
        for (key, ours) in ["x"].iter().chain(&self.keys).zip(&found.gradients) {
            if let Some(ours) = ours {
                let mut theirs = self.case.numbers(&format!("d{key}"))?;
                theirs.iter_mut().for_each(|g| *g *= self.share);
                worst = worst.max(largest(ours, &theirs));
            }
        }
        Ok(worst)
    }
}

/// Matrices `[rows, columns]` with rows and columns exchanged.
fn transposed(all: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(all.len());
    for matrix in all.chunks_exact(rows * columns) {
        for column in 0..columns {
            turned.extend(matrix[column..].iter().step_by(columns));
        }
    }
    turned
}

/// What an executor makes of a case.
struct Found {
    outputs: Vec<f32>,
    /// Of the images, then of the trainable tensors.
    gradients: Vec<Option<Vec<f32>>>,
}

/// A loss with given gradients, that keeps what it is given.
struct Recorder {
    upstream: Vec<f32>,
    outputs: Mutex<Vec<Vec<f32>>>,
}

impl LossFunction for Recorder {
    fn evaluate(&self, image: usize, logits: &[f32], _: u32, gradient: &mut [f32]) -> f32 {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs[image] = logits.to_vec();
        // The batch's loss is the mean of its images'.
        let n = outputs.len() as f32;
        let upstream = &self.upstream[image * logits.len()..];
        for (to, from) in gradient.iter_mut().zip(upstream) {
            *to = from * n;
        }
        0.0
    }
}

/// How far plan and reference are from what a case records.
fn deviations(case: Case<'_>, build: Build) -> Result<[f64; 2]> {
    let (mut plan, mut reference) = (0f64, 0f64);
    for behind in [false, true] {
        let single = Single::new(case, build, behind)?;
        reference = reference.max(single.deviation(&single.by_reference()?)?);
        let mut planned = Vec::new();
        if single.usage != Usage::Training {
            planned.extend(single.by_inference()?);
        }
        if single.usage != Usage::Inference {
            planned.extend([single.by_plan(true)?, single.by_plan(false)?]);
        }
        for found in &planned {
            plan = plan.max(single.deviation(found)?);
        }
    }
    Ok([plan, reference])
}

fn larger(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}

fn row(family: &'static str, name: &str, source: &str, [plan, reference]: [f64; 2]) -> Row {
    Row {
        family,
        name: name.into(),
        source: source.into(),
        reference: GOLDEN.into(),
        deviation: Deviation::ByExecutor { plan, reference },
        test: TEST.into(),
    }
}

pub(super) fn layers(kernels: &Kernels) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (op, name, build) in LAYERS {
        let mut worst = [0.0; 2];
        for case in kernels.of(op)? {
            worst = larger(worst, deviations(case, build)?);
        }
        rows.push(row("Layers", name, "-", worst));
    }
    Ok(rows)
}

pub(super) fn activations(kernels: &Kernels) -> Result<Vec<Row>> {
    let mut worst: HashMap<&str, [f64; 2]> = HashMap::new();
    for case in kernels.of("activate")? {
        let name = function(&case)?.name();
        let found = deviations(case, |single, x| {
            let op = Op::Activation(function(&single.case)?);
            single.add(op, x).map(drop)
        })?;
        let entry = worst.entry(name).or_default();
        *entry = larger(*entry, found);
    }
    let row = |function: Activation| {
        let name = function.name();
        let found = worst
            .get(name)
            .with_context(|| format!("no case of {name}"))?;
        Ok(row("Activations", name, function.source(), *found))
    };
    Activation::ALL.into_iter().map(row).collect()
}

fn function(case: &Case<'_>) -> Result<Activation> {
    let name: String = case.setting("activation")?;
    Ok(name.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f32 tells 6e-8 apart, and sums of up to a few hundred terms lose some thirty times that.
    const TOLERANCE: f64 = 5e-6;

    #[test]
    fn every_recorded_operation_is_pytorchs_by_plan_and_by_the_reference() {
        let kernels = Kernels::open().unwrap();
        let mut rows = layers(&kernels).unwrap();
        rows.extend(activations(&kernels).unwrap());
        for row in rows {
            let Deviation::ByExecutor { plan, reference } = row.deviation else {
                panic!("{} has other numbers", row.name);
            };
            let close = plan < TOLERANCE && reference < TOLERANCE;
            assert!(close, "{}: {plan:e} and {reference:e}", row.name);
        }
    }

    #[test]
    fn a_wrong_gradient_is_seen() {
        let kernels = Kernels::open().unwrap();
        let (op, _, build) = LAYERS[0];
        let case = kernels.of(op).unwrap()[0];
        let single = Single::new(case, build, false).unwrap();
        for at in 0..3 {
            let mut found = single.by_plan(true).unwrap();
            assert!(single.deviation(&found).unwrap() < TOLERANCE);
            found.gradients[at].as_mut().unwrap()[0] += 0.01;
            assert!(single.deviation(&found).unwrap() > 1e-3, "{at}");
        }
    }
}
