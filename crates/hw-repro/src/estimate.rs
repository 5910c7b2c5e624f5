//! How long a run should take and how much memory it needs: a first guess from its arithmetic, then
//! from what earlier runs on this machine took.

use super::jobs::Job;
use hw_models::{DeviceChoice, ModelSpec};
use hw_train::{Machine, Outcome, TrainConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Floating-point operations a second in training on one core of the reference machine.
const CORE: f64 = 1.7e11;
/// Seconds an image costs beside its arithmetic: loading, activations, normalization.
const IMAGE: f64 = 1.2e-5;
/// Seconds each step costs for each weight: the optimizer reads and writes it several times.
const WEIGHT: f64 = 2.5e-9;
/// A pass forward costs so much of a training step.
const FORWARD: f64 = 1.0 / 3.0;
/// Seconds every run costs beside its steps: set-up, checkpoints.
const OVERHEAD: f64 = 0.3;
/// Training images of a set whose size is not known.
const USUAL: usize = 60_000;

/// What a run takes beside its training images.
struct Work<'a> {
    network: Option<&'a ModelSpec>,
    /// Epochs that it is likely to take.
    epochs: usize,
    /// Images tested on.
    tested: usize,
    /// Seconds to ask the teachers about an image.
    teacher_seconds: f64,
}

/// Images a second, by network, batch and input.
type Rates = BTreeMap<String, f64>;

/// Training rates measured on this kind of processor.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    rates: Rates,
    processor: String,
    path: PathBuf,
    /// Training images by data set.
    images: BTreeMap<String, usize>,
}

/// What `OUT/rates.json` holds: rates by processor, since machines of several kinds may share the folder.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    processors: BTreeMap<String, Rates>,
}

impl File {
    fn read(path: &Path) -> Self {
        // An estimate that cannot be read is only a worse estimate.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl Estimator {
    /// What is known under `out`.
    pub(crate) fn open(out: &Path, images: BTreeMap<String, usize>) -> Self {
        let path = out.join("rates.json");
        let processor = Machine::current().processor;
        let known = File::read(&path).processors.remove(&processor);
        Self {
            rates: known.unwrap_or_default(),
            processor,
            path,
            images,
        }
    }

    fn key(config: &TrainConfig) -> String {
        let alone = Self::key_alone(config);
        match (&config.teacher, config.augment_cycle) {
            (None, _) => alone,
            (Some(_), None) => format!("{alone}/distilled"),
            (Some(_), Some(cycle)) => format!("{alone}/distilled:{cycle}"),
        }
    }

    /// The key of the same training without teachers.
    fn key_alone(config: &TrainConfig) -> String {
        let spec = config.spec.as_ref().map(|spec| {
            let text = serde_json::to_string(spec).unwrap_or_default();
            hw_core::files::sha256_hex(text.as_bytes())[..8].to_string()
        });
        let device = match config.device {
            DeviceChoice::Cpu => String::new(),
            other => format!("/{other}"),
        };
        format!(
            "{}/{}/{}/{}{device}",
            config.model,
            spec.unwrap_or_default(),
            config.batch,
            config.preprocess.steps.len()
        )
    }

    /// Expected seconds of a whole run of `job`.
    pub(crate) fn seconds(&self, config: &TrainConfig, job: &Job) -> f64 {
        let work = Work {
            network: job.used.as_ref(),
            epochs: job.usual_epochs(config),
            tested: job.tested,
            teacher_seconds: job.teacher_seconds,
        };
        self.seconds_of(config, &work)
    }

    /// Expected seconds of a run that nobody teaches, through all its epochs.
    pub(crate) fn seconds_alone(
        &self,
        config: &TrainConfig,
        network: Option<&ModelSpec>,
        tested: usize,
    ) -> f64 {
        let work = Work {
            network,
            epochs: config.epochs,
            tested,
            teacher_seconds: 0.0,
        };
        self.seconds_of(config, &work)
    }

    fn seconds_of(&self, config: &TrainConfig, work: &Work<'_>) -> f64 {
        let all = self.images.get(&config.dataset.to_string()).copied();
        let all = all.unwrap_or(USUAL) as f64 * (1.0 - config.val_fraction);
        let each = config.limit.map_or(all, |limit| all.min(limit as f64));
        let an_image = match self.rates.get(&Self::key(config)) {
            Some(rate) => 1.0 / rate,
            None => {
                let alone = self.rates.get(&Self::key_alone(config));
                let alone = alone
                    .map(|rate| 1.0 / rate)
                    .or_else(|| seconds_an_image(work.network?, config.batch));
                alone.unwrap_or(1e-4) + work.teacher_seconds
            }
        };
        let held_out = all / (1.0 - config.val_fraction) * config.val_fraction;
        let scored = config
            .val_limit
            .map_or(held_out, |limit| held_out.min(limit as f64));
        let an_epoch = each + FORWARD * scored;
        OVERHEAD + (an_epoch * work.epochs as f64 + FORWARD * work.tested as f64) * an_image
    }

    /// Takes note of a finished run.
    pub(crate) fn learn(&mut self, config: &TrainConfig, outcome: &Outcome) {
        let seconds = outcome.seconds();
        let images: usize = outcome.history.iter().map(|epoch| epoch.train.images).sum();
        if seconds > 0.0 && images > 0 {
            self.rates
                .insert(Self::key(config), images as f64 / seconds);
            // Others may have written meanwhile.
            let mut file = File::read(&self.path);
            let known = file.processors.entry(self.processor.clone()).or_default();
            known.extend(self.rates.clone());
            let text = serde_json::to_string_pretty(&file).expect("names and numbers are JSON");
            // An estimate that cannot be kept is only a worse estimate next time.
            let _ = hw_core::files::write_whole(&self.path, text.as_bytes());
        }
    }
}

/// Seconds of training an image on one core of the reference machine.
pub(crate) fn seconds_an_image(spec: &ModelSpec, batch: usize) -> Option<f64> {
    let model = spec.lower().ok()?;
    // Two operations a multiply-accumulate, and a pass backwards costs two forwards.
    let arithmetic = 6.0 * model.macs() as f64 / CORE;
    let values: usize = model
        .flat()
        .iter()
        .map(|l| l.output.iter().product::<usize>())
        .sum();
    let weights = model.parameter_count() as f64 * WEIGHT / batch as f64;
    Some(IMAGE + arithmetic + values as f64 * 3e-10 + weights)
}

/// Bytes that training a network takes at most, data sets not counted: three copies of every
/// layer's output for the batch (or for testing), and five of every weight.
pub(crate) fn bytes(network: &ModelSpec, batch: usize) -> u64 {
    let Ok(model) = network.lower() else {
        return 0;
    };
    let outputs = model
        .flat()
        .iter()
        .map(|l| l.output.iter().product::<usize>())
        .sum::<usize>();
    4 * (3 * outputs * batch.max(256) + 5 * model.parameter_count()) as u64
}
