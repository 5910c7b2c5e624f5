//! A run before it runs: its configuration checked against its data, and its id.

use crate::checkpoint::Stamp;
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::provenance::{Computation, DataStamp, Versions};
use crate::schedule::{self, Length, Plateau};
use candle_core::Device;
use hw_data::{DataDirs, Dataset, Loader, LoaderConfig, Split, SplitIndices, split};
use hw_kernels::LossTerms;
use hw_models::{DeviceChoice, ModelSpec};
use std::path::Path;
use std::sync::Arc;

/// File that names a run and holds its configuration.
pub const CONFIG: &str = "config.json";
/// Images a batch where only scores are computed.
const EVALUATION_BATCH: usize = 250;
/// Threads that prepare training images at most.
const MOST_WORKERS: usize = 4;

/// A checked configuration with the data it names.
#[derive(Debug)]
pub struct Experiment {
    pub(crate) config: TrainConfig,
    pub(crate) spec: ModelSpec,
    pub(crate) stamp: Stamp,
    pub(crate) loss: LossTerms,
    pub(crate) train: Loader,
    pub(crate) validation: Option<Loader>,
    pub(crate) probes: Option<[Loader; 2]>,
    pub(crate) device: Device,
}

impl Experiment {
    /// Loads the data that `config` names and checks everything.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Device`], [`TrainError::Data`] or [`TrainError::Model`], naming what is
    /// wrong.
    pub fn load(config: TrainConfig, dirs: &DataDirs) -> Result<Self> {
        config.check()?;
        let dirs = dirs.clone().with_edition(config.edition);
        let train = Arc::new(hw_data::load(&config.dataset, Split::Train, &dirs)?);
        let test = match config.probe {
            Some(_) => Some(Arc::new(hw_data::load(
                &config.dataset,
                Split::Test,
                &dirs,
            )?)),
            None => None,
        };
        Self::new(config, train, test)
    }

    /// An experiment on data that is already loaded; `test` is needed only for `config.probe`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn new(
        config: TrainConfig,
        train: Arc<Dataset>,
        test: Option<Arc<Dataset>>,
    ) -> Result<Self> {
        config.check()?;
        let device = config.device.open()?;
        let input = config.preprocess.output_shape(train.images.shape())?;
        let spec = config.model_spec(input, train.classes.len())?;
        if let Some(statistics) = config.batch_norm_statistics {
            statistics.check_model(&spec.lower()?)?;
        }
        let split = parts(&config, &train)?;
        let loader = |data: &Arc<Dataset>, indices: Vec<u32>, batch, shuffle| {
            let config = LoaderConfig {
                batch,
                shuffle_seed: shuffle,
                sampling: config.sampling,
                preprocess: config.preprocess.clone(),
                augment_seed: config.seed,
                ..LoaderConfig::default()
            };
            Loader::new(Arc::clone(data), indices.into(), config)
        };
        let probes = match (config.probe, &test) {
            (Some(count), Some(test)) => {
                let first = |indices: &[u32]| indices[..count.min(indices.len())].to_vec();
                let of_test = (0..test.len().min(count) as u32).collect();
                Some([
                    loader(&train, first(&split.train), EVALUATION_BATCH, None)?,
                    loader(test, of_test, EVALUATION_BATCH, None)?,
                ])
            }
            _ => None,
        };
        let validation = match split.validation.is_empty() {
            true => None,
            false => Some(loader(&train, split.validation, EVALUATION_BATCH, None)?),
        };
        let data = DataStamp::of(&train);
        let computation = Computation::of(&config);
        let stamp = Stamp {
            run: run_id(&config, &spec, &data, &computation),
            config: config.clone(),
            data,
            classes: train.classes.to_vec(),
            versions: Versions::current(),
            computation,
        };
        let labels = split
            .train
            .iter()
            .map(|&index| train.labels[index as usize]);
        let labels = labels.map(usize::from);
        let loss = config.loss.terms(labels, train.classes.len())?;
        let train = training_loader(&config, train, split.train)?;
        Ok(Self {
            loss,
            config,
            spec,
            stamp,
            train,
            validation,
            probes,
            device,
        })
    }

    /// The same experiment with its tensors on `device`; the kind of device is a part of the run's id.
    pub fn on(mut self, device: Device) -> Self {
        self.config.device = DeviceChoice::of(&device).kind();
        let stamp = &mut self.stamp;
        stamp.config = self.config.clone();
        stamp.computation = Computation::of(&self.config);
        stamp.run = run_id(&self.config, &self.spec, &stamp.data, &stamp.computation);
        self.device = device;
        self
    }

    /// The run's id: a hash of its full configuration, its model, its data and what computes it.
    pub fn id(&self) -> &str {
        &self.stamp.run
    }

    /// Where its tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The model's declaration.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// What checkpoints say about this run.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Images trained on, and images held out that are scored.
    pub fn sizes(&self) -> (usize, usize) {
        (
            self.train.len(),
            self.validation.as_ref().map_or(0, Loader::len),
        )
    }

    /// Steps of the whole run, if it is not stopped early.
    pub fn steps(&self) -> u64 {
        (self.train.batches_per_epoch() * self.config.epochs) as u64
    }

    /// The learning rate of step number `step`, counted from 0.
    pub fn learning_rate(&self, step: u64, plateau: &Plateau) -> f32 {
        let config = &self.config;
        let length = Length {
            steps_per_epoch: self.train.batches_per_epoch(),
            epochs: config.epochs,
        };
        let rate = config
            .schedule
            .rate(config.learning_rate, step, length, plateau);
        match config.warmup > 0.0 {
            true => rate * schedule::warmup(config.warmup, step, length),
            false => rate,
        }
    }
}

/// The loader of the images to learn from: shuffled, changed at random if asked for, and made by
/// several threads where that takes work.
fn training_loader(config: &TrainConfig, train: Arc<Dataset>, indices: Vec<u32>) -> Result<Loader> {
    let easy = config.augment.is_none() && config.preprocess.steps.is_empty();
    let loading = LoaderConfig {
        batch: config.batch,
        shuffle_seed: Some(config.seed),
        augment: config.augment,
        sampling: config.sampling,
        preprocess: config.preprocess.clone(),
        augment_seed: config.seed,
        augment_cycle: config.augment_cycle.map(|epochs| epochs as u64),
        workers: match easy {
            true => 1,
            false => rayon::current_num_threads().clamp(1, MOST_WORKERS),
        },
        ..LoaderConfig::default()
    };
    Ok(Loader::new(train, indices.into(), loading)?)
}

/// The configuration of the run in `folder`.
///
/// # Errors
/// [`TrainError::NoRun`] when there is none, [`TrainError::Damaged`] when it cannot be understood.
pub fn read_config(folder: &Path) -> Result<TrainConfig> {
    let path = folder.join(CONFIG);
    if !path.exists() {
        return Err(TrainError::NoRun {
            path: folder.into(),
            missing: CONFIG,
        });
    }
    TrainConfig::read(&path)
}

/// The images to train on and those to score. Held-out images beyond a limit are in neither.
fn parts(config: &TrainConfig, train: &Dataset) -> Result<SplitIndices> {
    let all: Vec<u32> = (0..train.len() as u32).collect();
    let (fraction, seed) = (config.val_fraction, config.seed);
    let mut parts = if config.stratified {
        SplitIndices::stratified(&all, &train.labels, fraction, seed)?
    } else {
        SplitIndices::random(&all, fraction, seed)?
    };
    if let Some(limit) = config.val_limit.filter(|&n| n < parts.validation.len()) {
        parts.validation = split::limit(&parts.validation, limit, seed);
    }
    Ok(match config.limit {
        Some(limit) => parts.limit(limit, seed),
        None => parts,
    })
}

fn run_id(
    config: &TrainConfig,
    spec: &ModelSpec,
    data: &DataStamp,
    computation: &Computation,
) -> String {
    // Structs serialise in declaration order, so equal inputs give equal text.
    let inputs = serde_json::json!({
        "config": config,
        "model": spec,
        "data": data,
        "computation": computation,
    });
    let text = inputs.to_string();
    hw_core::files::sha256_hex(text.as_bytes())[..16].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_data::glyphs::{GlyphConfig, generate};
    use hw_data::{Augment, GlyphSet, Images};

    #[test]
    fn only_images_to_learn_from_are_changed_at_random_and_anew_each_epoch() {
        let glyphs = generate(GlyphSet::Digits, Split::Train, 60, &GlyphConfig::default()).unwrap();
        let glyphs = Arc::new(glyphs);
        let with = |augment| {
            let config = TrainConfig {
                augment,
                val_fraction: 0.2,
                probe: Some(10),
                ..TrainConfig::default()
            };
            let test = Some(glyphs.clone());
            Experiment::new(config, glyphs.clone(), test).unwrap()
        };
        let (plain, changed) = (with(None), with(Some(Augment::standard())));
        let images = |loader: &Loader, epoch| loader.epoch(epoch, 0).next().unwrap().images;
        let held_out = |experiment: &Experiment| images(experiment.validation.as_ref().unwrap(), 0);
        assert_eq!(held_out(&plain), held_out(&changed));
        let probes = |e: &Experiment| e.probes.as_ref().unwrap().each_ref().map(|p| images(p, 0));
        assert_eq!(probes(&plain), probes(&changed));
        assert_ne!(images(&plain.train, 0), images(&changed.train, 0));
        assert_eq!(images(&changed.train, 1), images(&changed.train, 1));
        assert_ne!(images(&changed.train, 1), images(&changed.train, 2));
        assert_ne!(plain.id(), changed.id());
    }

    #[test]
    fn a_run_keeps_its_id_when_options_come_that_it_does_not_use() {
        let pixels = (0..20 * 28 * 28).map(|at| (at * 31 % 251) as u8).collect();
        let images = Images::new(pixels, 20, 1, 28, 28).unwrap();
        let labels = (0..20).map(|index| index % 10).collect();
        let classes = (0..10).map(|digit: u8| digit.to_string()).collect();
        let data = Dataset::new("ramps", Split::Train, images, labels, classes).unwrap();
        let data = Arc::new(data);
        let id = |config: &str| {
            let config = serde_json::from_str(config).unwrap();
            let experiment = Experiment::new(config, data.clone(), None).unwrap();
            experiment.id().to_string()
        };
        // As version 2 of the computation has them.
        assert_eq!(id("{}"), "1dc42f56c415df39");
        let stopping = r#"{"early_stopping":{"patience":3},"limit":10,"ema":0.9}"#;
        assert_eq!(id(stopping), "6198292e59079e98");
    }

    #[test]
    fn a_device_that_the_program_was_not_built_for_is_refused_before_anything_starts() {
        if candle_core::utils::metal_is_available() {
            return;
        }
        let glyphs = generate(GlyphSet::Digits, Split::Train, 20, &GlyphConfig::default()).unwrap();
        let of = |device| {
            let config = TrainConfig {
                device,
                ..TrainConfig::default()
            };
            Experiment::new(config, Arc::new(glyphs.clone()), None)
        };
        let problem = of(DeviceChoice::Metal).unwrap_err().to_string();
        assert!(problem.contains("--features metal"), "{problem}");
        let problem = of(DeviceChoice::Cuda(1)).unwrap_err().to_string();
        assert!(problem.starts_with("config: device is cuda:1"), "{problem}");
        let own = of(DeviceChoice::Cpu).unwrap();
        let id = own.id().to_string();
        assert_eq!(own.on(Device::Cpu).id(), id);
    }

    #[test]
    fn what_computes_a_run_is_a_part_of_its_id() {
        let config = TrainConfig::default();
        let spec = config.model_spec([1, 28, 28], 10).unwrap();
        let data = DataStamp {
            dataset: "ramps".into(),
            edition: "generated".into(),
            synthetic: true,
            images: 20,
            sha256: "0".into(),
        };
        let now = Computation::of(&config);
        let id = |computation: &Computation| run_id(&config, &spec, &data, computation);
        for other in [
            Computation {
                version: now.version + 1,
                ..now.clone()
            },
            Computation {
                precision: "bf16".into(),
                ..now.clone()
            },
            Computation {
                device: "cuda".into(),
                ..now.clone()
            },
        ] {
            assert_ne!(id(&now), id(&other), "{other}");
        }
    }
}
