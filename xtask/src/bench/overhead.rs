//! `cargo xtask bench --overhead`: what `hw train` loses to loading and logging.
//!
//! Runs of one epoch on MNIST take turns with as many bare steps of the same plan on one batch that
//! stays in memory. A run is compared with the bare steps just before and just after it.

use super::nets::Net;
use super::{BenchArgs, median, spread};
use anyhow::{Context, Result};
use hw_data::{DataDirs, DatasetId, Loader, LoaderConfig, Split};
use hw_models::plan::TrainPlan;
use hw_models::{Executor, Tensors, cross_entropy};
use hw_train::{Event, Experiment, OptimizerState, RunOptions, TrainConfig};
use serde::Serialize;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// The networks whose steps are short enough for anything around them to matter.
const SHORT: [&str; 2] = ["lenet5", "bn-cnn"];

/// What one network loses.
#[derive(Debug, Serialize)]
struct Loss {
    net: &'static str,
    images: usize,
    batch: usize,
    /// Images a second of bare steps.
    bare: f64,
    /// Share lost to loading and logging: median, smallest, largest.
    loop_loss: [f64; 3],
    /// Share lost in all, from the call to its end: also to the start, the checkpoints and their files.
    whole_loss: [f64; 3],
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let train = hw_data::load(&DatasetId::Mnist, Split::Train, &DataDirs::resolve(None))?;
    let train = Arc::new(train);
    let mut losses = Vec::new();
    for net in super::wanted(args, Some(&SHORT)) {
        let loss = measure(net, &train, args.rounds)?;
        if !args.json {
            println!("{}", line(&loss));
        }
        losses.push(loss);
    }
    if args.json {
        println!("{}", serde_json::to_string(&losses)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn line(loss: &Loss) -> String {
    let percent = |[middle, low, high]: [f64; 3]| {
        let [middle, low, high] = [middle, low, high].map(|share| 100.0 * share);
        format!("{middle:.1} % ({low:.1} to {high:.1})")
    };
    format!(
        "{:10} {:.0} images/s in bare steps of {}; an epoch of {} images loses {} to loading and logging, {} in all",
        loss.net,
        loss.bare,
        loss.batch,
        loss.images,
        percent(loss.loop_loss),
        percent(loss.whole_loss),
    )
}

fn measure(net: &Net, train: &Arc<hw_data::Dataset>, rounds: usize) -> Result<Loss> {
    let config = TrainConfig {
        model: net.name.into(),
        dataset: DatasetId::Mnist,
        optimizer: net.optimizer(),
        batch: net.batch,
        epochs: 1,
        val_fraction: 0.0,
        ..TrainConfig::default()
    };
    let experiment = Experiment::new(config, Arc::clone(train), None)?;
    let mut bare = Bare::new(&experiment, train)?;
    bare.seconds()?;
    let (mut bares, mut loops, mut wholes) = (vec![bare.seconds()?], vec![], vec![]);
    for round in 0..rounds {
        eprintln!("{} round {}/{rounds}", net.name, round + 1);
        let (in_loop, whole) = one_run(&experiment)?;
        let before = bares[round];
        bares.push(bare.seconds()?);
        let steps = (before + bares[round + 1]) / 2.0;
        loops.push(1.0 - steps / in_loop);
        wholes.push(1.0 - steps / whole);
    }
    let images = experiment.sizes().0;
    let some = "at least one round is measured";
    Ok(Loss {
        net: net.name,
        images,
        batch: net.batch,
        bare: images as f64 / median(&bares).context(some)?,
        loop_loss: spread(&loops).context(some)?,
        whole_loss: spread(&wholes).context(some)?,
    })
}

/// Seconds of a run's loop, from its start to the end of its epoch's steps, and of the whole run.
fn one_run(experiment: &Experiment) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let (mut started, mut in_loop) = (None, None);
    let mut observe = |event: &Event| match event {
        Event::Started { .. } => started = Some(Instant::now()),
        Event::Epoch(_) => in_loop = started.map(|at| at.elapsed().as_secs_f64()),
        _ => {}
    };
    let start = Instant::now();
    experiment.start(folder.path(), RunOptions::new(&mut observe))?;
    let whole = start.elapsed().as_secs_f64();
    Ok((in_loop.context("the run told of no epoch")?, whole))
}

/// The steps of an epoch without anything around them.
struct Bare {
    plan: TrainPlan,
    optimizer: OptimizerState,
    start: Tensors,
    experiment: TrainConfig,
    images: Vec<f32>,
    labels: Vec<u32>,
    count: usize,
}

impl Bare {
    fn new(experiment: &Experiment, train: &Arc<hw_data::Dataset>) -> Result<Self> {
        let config = experiment.config().clone();
        let graph = experiment.spec().lower()?;
        let start = Tensors::initial(&graph, config.seed);
        let plan = TrainPlan::new(&graph, config.batch);
        let loading = LoaderConfig {
            batch: config.batch,
            preprocess: config.preprocess.clone(),
            ..LoaderConfig::default()
        };
        let all = (0..train.len() as u32).collect();
        let mut batches = Loader::new(Arc::clone(train), all, loading)?.epoch(0, 0);
        let batch = batches.next().context("there are no images")?;
        Ok(Self {
            optimizer: OptimizerState::flat(config.optimizer.clone(), plan.len()),
            plan,
            start,
            experiment: config,
            images: batch.images,
            labels: batch.labels,
            count: experiment.sizes().0,
        })
    }

    /// Seconds of the steps of one epoch, from the same weights every time.
    fn seconds(&mut self) -> Result<f64> {
        let config = &self.experiment;
        self.plan.set(&self.start);
        self.optimizer = OptimizerState::flat(config.optimizer.clone(), self.plan.len());
        let pixels = self.images.len() / self.labels.len();
        let start = Instant::now();
        let mut left = self.count;
        while left > 0 {
            let n = left.min(self.labels.len());
            let images = &self.images[..n * pixels];
            let labels = &self.labels[..n];
            let step = self.plan.step(images, labels, left as u64, &cross_entropy);
            black_box(step?);
            self.optimizer.begin_step();
            let (weights, gradients) = self.plan.update();
            self.optimizer
                .update(0, weights, gradients, config.learning_rate);
            left -= n;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}
