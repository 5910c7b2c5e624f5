//! Measures training steps of two networks on random data, and their operations one by one:
//! `cargo run --release -p hw-kernels --example step_time [THREADS] [NAME]`; with NAME only
//! what contains it.

use candle_core::{Device, Tensor, Var};
use hw_kernels::{Activation, Conv2dConfig, Pool2dConfig, Result};
use std::time::Instant;

/// As the binaries have it: the system's allocator gives the large tensors of each step back to the
/// kernel, and the page faults on taking them anew cost more than the arithmetic.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 100;

fn main() -> Result<()> {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    let Ok(pool) = pool.build() else {
        return Ok(());
    };
    println!("{} threads, batch {BATCH}", pool.current_num_threads());
    pool.install(|| {
        operations()?;
        let step = BnCnn::new(true)?;
        report_step("bn-cnn, fused", || step.step())?;
        let step = BnCnn::new(false)?;
        report_step("bn-cnn, one operation per layer", || step.step())?;
        let step = LeNet::new()?;
        report_step("lenet5", || step.step())
    })
}

/// Milliseconds of one piece of work: the least that passed, and the mean this thread computed,
/// which other programs do not disturb (but which knows nothing of other threads).
struct Cost {
    least: f64,
    computed: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:7.3} ms ({:7.3} computing)", self.least, self.computed)
    }
}

/// Nanoseconds this thread has been running, where the system tells.
fn running() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next();
    first.and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

fn cost(mut work: impl FnMut() -> Result<()>) -> Result<Cost> {
    for _ in 0..3 {
        work()?;
    }
    let (mut least, mut count) = (f64::INFINITY, 0.0);
    let (begin, before) = (Instant::now(), running());
    while begin.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        work()?;
        least = least.min(start.elapsed().as_secs_f64() * 1e3);
        count += 1.0;
    }
    let computed = (running() - before) / count / 1e6;
    Ok(Cost { least, computed })
}

/// Whether `name` was asked for.
fn wanted(name: &str) -> bool {
    std::env::args()
        .nth(2)
        .is_none_or(|part| name.contains(&part))
}

fn report_step(name: &str, work: impl FnMut() -> Result<()>) -> Result<()> {
    if !wanted(name) {
        return Ok(());
    }
    let time = cost(work)?;
    println!(
        "{name}: {time} a step, {:.0} images/s",
        BATCH as f64 / time.least * 1e3
    );
    Ok(())
}

/// Forward, and forward with backward, of one operation.
fn report(name: &str, work: impl Fn() -> Result<Tensor>) -> Result<()> {
    if !wanted(name) {
        return Ok(());
    }
    let forward = cost(|| work().map(drop))?;
    // The gradient of the sum over all outputs.
    let both = cost(|| Ok(work()?.backward().map(drop)?))?;
    println!("  {name:44} {forward} forward, {both} with backward");
    Ok(())
}

fn random(shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::randn(0f32, 1.0, shape, &Device::Cpu)?)
}

fn weight(shape: &[usize]) -> Result<Var> {
    Ok(Var::from_tensor(&(random(shape)? * 0.05)?)?)
}

fn operations() -> Result<()> {
    let valid = Conv2dConfig::default();
    let same = Conv2dConfig {
        padding: hw_kernels::Padding::symmetric(2),
        ..valid
    };
    let halve = Pool2dConfig::square(2);
    let images = random(&[BATCH, 1, 28, 28])?;
    let convolutions = [
        (
            "conv 1 -> 30 @5x5 of 28x28",
            random(&[BATCH, 1, 28, 28])?,
            weight(&[30, 1, 5, 5])?,
            valid,
        ),
        (
            "conv 1 -> 6 @5x5 of 28x28, padded",
            random(&[BATCH, 1, 28, 28])?,
            weight(&[6, 1, 5, 5])?,
            same,
        ),
        (
            "conv 6 -> 16 @5x5 of 14x14 (with dx)",
            weight(&[BATCH, 6, 14, 14])?.as_tensor().clone(),
            weight(&[16, 6, 5, 5])?,
            valid,
        ),
        (
            "conv 32 -> 64 @3x3 of 14x14 (with dx)",
            weight(&[BATCH, 32, 14, 14])?.as_tensor().clone(),
            weight(&[64, 32, 3, 3])?,
            valid,
        ),
    ];
    for (name, x, w, config) in &convolutions {
        let bias = weight(&[w.dim(0)?])?;
        report(name, || hw_kernels::conv2d(x, w, Some(&bias), config))?;
    }
    let (w, bias) = (weight(&[30, 1, 5, 5])?, weight(&[30])?);
    report("conv 1 -> 30 @5x5 + ReLU + max-pool 2", || {
        hw_kernels::conv2d_relu_max_pool2d(&images, &w, Some(&bias), &valid, &halve)
    })?;
    let maps = weight(&[BATCH, 30, 24, 24])?;
    report("max-pool 2 of 30 maps 24x24", || {
        hw_kernels::max_pool2d(&maps, &halve)
    })?;
    report("average-pool 2 of 30 maps 24x24", || {
        hw_kernels::avg_pool2d(&maps, &halve, true)
    })?;
    for activation in Activation::ALL {
        report(&format!("{activation} of 30 maps 24x24"), || {
            hw_kernels::activate(&maps, &activation)
        })?;
    }
    let (gamma, beta) = (weight(&[30])?, weight(&[30])?);
    report("batch norm of 30 maps 24x24", || {
        Ok(hw_kernels::batch_norm_train(&maps, &gamma, &beta, 1e-5)?.0)
    })?;
    report("dropout of 30 maps 24x24", || {
        hw_kernels::dropout(&maps, 0.5, 1)
    })?;
    let (x, w, bias) = (
        weight(&[BATCH, 4320])?,
        weight(&[100, 4320])?,
        weight(&[100])?,
    );
    report("dense 4320 -> 100", || {
        hw_kernels::linear(&x, &w, Some(&bias))
    })?;
    let (x, w, bias) = (
        weight(&[BATCH, 400])?,
        weight(&[120, 400])?,
        weight(&[120])?,
    );
    report("dense 400 -> 120", || {
        hw_kernels::linear(&x, &w, Some(&bias))
    })?;
    let (x, gamma, beta) = (weight(&[BATCH, 100])?, weight(&[100])?, weight(&[100])?);
    report("batch norm of 100", || {
        Ok(hw_kernels::batch_norm_train(&x, &gamma, &beta, 1e-5)?.0)
    })?;
    let (x, w, bias) = (weight(&[BATCH, 100])?, weight(&[10, 100])?, weight(&[10])?);
    report("dense 100 -> 10", || {
        hw_kernels::linear(&x, &w, Some(&bias))
    })?;
    let logits = weight(&[BATCH, 10])?;
    let labels = labels()?;
    report("softmax cross-entropy of 10", || {
        hw_kernels::softmax_cross_entropy(&logits, &labels)
    })
}

fn labels() -> Result<Tensor> {
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 10).collect();
    Ok(Tensor::from_vec(labels, BATCH, &Device::Cpu)?)
}

/// Gradients of the loss in `variables`, each then moved by momentum on plain slices.
fn update(loss: &Tensor, variables: &[&Var]) -> Result<()> {
    let gradients = loss.backward()?;
    for variable in variables {
        let Some(gradient) = gradients.get(variable.as_tensor()) else {
            continue;
        };
        let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
        std::hint::black_box(gradient);
    }
    Ok(())
}

struct BnCnn {
    fused: bool,
    images: Tensor,
    labels: Tensor,
    conv: (Var, Var),
    hidden: (Var, Var),
    norm: (Var, Var),
    last: (Var, Var),
}

impl BnCnn {
    fn new(fused: bool) -> Result<Self> {
        Ok(Self {
            fused,
            images: random(&[BATCH, 1, 28, 28])?,
            labels: labels()?,
            conv: (weight(&[30, 1, 5, 5])?, weight(&[30])?),
            hidden: (weight(&[100, 4320])?, weight(&[100])?),
            norm: (weight(&[100])?, weight(&[100])?),
            last: (weight(&[10, 100])?, weight(&[10])?),
        })
    }

    fn step(&self) -> Result<()> {
        let (conv, pool) = (Conv2dConfig::default(), Pool2dConfig::square(2));
        let (w, b) = &self.conv;
        let maps = if self.fused {
            hw_kernels::conv2d_relu_max_pool2d(&self.images, w, Some(b), &conv, &pool)?
        } else {
            let maps = hw_kernels::conv2d(&self.images, w, Some(b), &conv)?;
            hw_kernels::max_pool2d(&hw_kernels::activate(&maps, &Activation::Relu)?, &pool)?
        };
        let x = hw_kernels::linear(&maps.flatten_from(1)?, &self.hidden.0, Some(&self.hidden.1))?;
        let (x, _) = hw_kernels::batch_norm_train(&x, &self.norm.0, &self.norm.1, 1e-5)?;
        let x = hw_kernels::activate(&x, &Activation::Relu)?;
        let x = hw_kernels::linear(&x, &self.last.0, Some(&self.last.1))?;
        let loss = hw_kernels::softmax_cross_entropy(&x, &self.labels)?;
        let [a, b, c, d] = [&self.conv, &self.hidden, &self.norm, &self.last];
        update(&loss, &[&a.0, &a.1, &b.0, &b.1, &c.0, &c.1, &d.0, &d.1])
    }
}

struct LeNet {
    images: Tensor,
    labels: Tensor,
    layers: Vec<(Var, Var)>,
}

impl LeNet {
    fn new() -> Result<Self> {
        let shapes: [&[usize]; 5] = [
            &[6, 1, 5, 5],
            &[16, 6, 5, 5],
            &[120, 400],
            &[84, 120],
            &[10, 84],
        ];
        let layer = |shape: &&[usize]| Ok((weight(shape)?, weight(&shape[..1])?));
        Ok(Self {
            images: random(&[BATCH, 1, 28, 28])?,
            labels: labels()?,
            layers: shapes.iter().map(layer).collect::<Result<_>>()?,
        })
    }

    fn step(&self) -> Result<()> {
        let valid = Conv2dConfig::default();
        let same = Conv2dConfig {
            padding: hw_kernels::Padding::symmetric(2),
            ..valid
        };
        let halve = Pool2dConfig::square(2);
        let mut x = self.images.clone();
        for ((w, b), config) in self.layers.iter().zip([same, valid]) {
            x = hw_kernels::conv2d_relu_max_pool2d(&x, w, Some(b), &config, &halve)?;
        }
        x = x.flatten_from(1)?;
        for (i, (w, b)) in self.layers.iter().enumerate().skip(2) {
            x = hw_kernels::linear(&x, w, Some(b))?;
            if i < 4 {
                x = hw_kernels::activate(&x, &Activation::Relu)?;
            }
        }
        let loss = hw_kernels::softmax_cross_entropy(&x, &self.labels)?;
        let variables: Vec<&Var> = self.layers.iter().flat_map(|(w, b)| [w, b]).collect();
        update(&loss, &variables)
    }
}
