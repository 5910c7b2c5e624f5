//! What a run is made of: everything that decides its bits, and nothing else.

use crate::batch_norm::BatchNormStatistics;
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::mixing::Mix;
use crate::optimizer::Optimizer;
use crate::schedule::Schedule;
use crate::teacher::Teacher;
use hw_data::{Augment, DatasetId, EmnistEdition, Preprocess, Sampling};
use hw_models::{DeviceChoice, Initializer, ModelSpec, zoo};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The full configuration of a training run; its JSON form is a config file. Fields left out of a
/// file have the defaults of [`TrainConfig::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// A model's catalogue name.
    pub model: String,
    /// Values of the model's settings that are not its defaults.
    #[serde(skip_serializing_if = "zoo::Settings::is_empty")]
    pub model_options: zoo::Settings,
    /// A whole model declaration in place of the catalogue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<ModelSpec>,
    /// Replaces the model's own initialiser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Initializer>,
    /// What to train on.
    pub dataset: DatasetId,
    /// Which EMNIST to take; the first complete one found if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<EmnistEdition>,
    /// Random changes to the training images; those held out and those tested on stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// After so many epochs an image is changed as it was before, so that a teacher need not be asked
    /// about it again; anew in each epoch if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment_cycle: Option<usize>,
    /// Pairs of training images made into one, after everything else was done to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// From bytes to the network's input.
    pub preprocess: Preprocess,
    /// The update rule and its constants.
    pub optimizer: Optimizer,
    /// Step size; a schedule's highest.
    pub learning_rate: f32,
    /// How the step size moves.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// Epochs over which the step size rises linearly from 0 to what the schedule says.
    #[serde(skip_serializing_if = "is_default")]
    pub warmup: f64,
    /// What is minimised.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: Loss,
    /// Another network whose answers are learned from, besides the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// Decay of a moving average of the weights; it is then the average that is scored and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f32>,
    /// Where batch normalization's statistics come from when the network is scored and kept; the
    /// moving ones that training leaves if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_norm_statistics: Option<BatchNormStatistics>,
    /// Images a step.
    pub batch: usize,
    /// Whether an epoch shows each image once, or draws every batch from all images.
    #[serde(skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// Passes over the training set.
    pub epochs: usize,
    /// The kind of device that computes: each has bits of its own. Which one of several equal devices it is does
    /// not matter, and is no part of this.
    #[serde(skip_serializing_if = "is_default")]
    pub device: DeviceChoice,
    /// The root of every random draw.
    pub seed: u64,
    /// Share of the training set held out to select weights and stop early; 0 for none.
    pub val_fraction: f64,
    /// Whether each class gives its share to the validation set.
    pub stratified: bool,
    /// Train on the first so many images of the seeded shuffle only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Score the first so many images of the seeded shuffle of those held out only; the others are
    /// neither scored nor trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_limit: Option<usize>,
    /// Which validation score decides about the best weights and early stopping.
    pub monitor: Monitor,
    /// Stop when the monitored score no longer improves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// After each epoch, score the first so many training and test images, for learning curves
    /// only: nothing is ever chosen by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<usize>,
}

/// A validation score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Monitor {
    /// Mean cross-entropy; lower is better.
    ValLoss,
    /// Share of correct answers; higher is better.
    ValAccuracy,
}

/// When to give up waiting for a better score (Prechelt 1998): when all of the following say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement that are tolerated.
    pub patience: usize,
    /// Smaller improvements do not count.
    #[serde(default)]
    pub min_delta: f64,
    /// Steps without improvement that are tolerated: where epochs are short, a few of them are no
    /// time to wait for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub patience_steps: u64,
    /// Steps since the start of the run before which it never stops. Epochs without improvement count
    /// as waiting meanwhile.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_steps: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: "bn-cnn".into(),
            model_options: zoo::Settings::new(),
            spec: None,
            init: None,
            dataset: DatasetId::Mnist,
            edition: None,
            augment: None,
            augment_cycle: None,
            mix: None,
            preprocess: Preprocess::default(),
            optimizer: Optimizer::default(),
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            warmup: 0.0,
            loss: Loss::default(),
            teacher: None,
            ema: None,
            batch_norm_statistics: None,
            batch: 128,
            sampling: Sampling::Epoch,
            epochs: 10,
            device: DeviceChoice::Cpu,
            seed: 1,
            val_fraction: 0.1,
            stratified: true,
            limit: None,
            val_limit: None,
            monitor: Monitor::ValLoss,
            early_stopping: None,
            probe: None,
        }
    }
}

impl TrainConfig {
    /// Reads a config file (JSON).
    ///
    /// # Errors
    /// [`TrainError::File`] when it cannot be read, [`TrainError::Damaged`] with line and column
    /// when it is no valid config.
    pub fn read(path: &Path) -> Result<Self> {
        let text = hw_core::files::read_text(path)?;
        serde_json::from_str(&text).map_err(|error| TrainError::Damaged {
            path: path.to_path_buf(),
            problem: format!("is no valid config: {error}"),
        })
    }

    /// The model's declaration for images of `input` (channels, height, width).
    ///
    /// # Errors
    /// [`TrainError::Model`] for an unknown model, a setting it does not have, or images that do not
    /// fit it.
    pub fn model_spec(&self, input: [usize; 3], classes: usize) -> Result<ModelSpec> {
        let mut spec = match &self.spec {
            Some(spec) => spec.clone(),
            None => zoo::find(&self.model)?.spec_with(input, classes, &self.model_options)?,
        };
        if let Some(init) = self.init {
            spec.init = init;
        }
        spec.lower()?;
        Ok(spec)
    }

    /// How many epochs bring images that were not there before; after them the same images come back,
    /// in another order.
    pub fn different_epochs(&self) -> usize {
        let cycle = match (&self.mix, &self.augment) {
            // What two images are mixed from differs from step to step.
            (Some(_), _) => None,
            (None, None) if !self.preprocess.is_random() => Some(1),
            (None, _) => self.augment_cycle,
        };
        cycle.map_or(self.epochs, |cycle| cycle.min(self.epochs))
    }

    /// Checks every number that has a range.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first field that is out of its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |field: &str, value: String, expected: &str| {
            Err(TrainError::Config {
                field: field.into(),
                value,
                expected: expected.into(),
            })
        };
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let value = self.learning_rate.to_string();
            return refuse("learning rate", value, "a finite number above 0");
        }
        for (field, value) in [("batch", self.batch), ("epochs", self.epochs)] {
            if value == 0 {
                return refuse(field, "0".into(), "at least 1");
            }
        }
        if self.device != self.device.kind() {
            let expected = "a kind, cuda: which GPU computes is said by --device";
            return refuse("device", self.device.to_string(), expected);
        }
        if !(0.0..1.0).contains(&self.val_fraction) {
            return refuse("val-fraction", self.val_fraction.to_string(), "in [0, 1)");
        }
        for (field, value) in [
            ("limit", self.limit),
            ("val-limit", self.val_limit),
            ("probe", self.probe),
            ("augment-cycle", self.augment_cycle),
        ] {
            if value == Some(0) {
                return refuse(field, "0".into(), "at least 1, or left out");
            }
        }
        if let Some(stopping) = self.early_stopping {
            if self.val_fraction == 0.0 {
                let expected = "absent when val-fraction is 0: there is nothing to monitor";
                return refuse("early stopping", "set".into(), expected);
            }
            if !(stopping.min_delta.is_finite() && stopping.min_delta >= 0.0) {
                let value = stopping.min_delta.to_string();
                return refuse(
                    "early stopping's min-delta",
                    value,
                    "a finite number, at least 0",
                );
            }
        }
        if !(self.warmup.is_finite() && self.warmup >= 0.0) {
            let expected = "a finite number of epochs, at least 0";
            return refuse("warmup", self.warmup.to_string(), expected);
        }
        if let Some(decay) = self.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
            return refuse("ema", decay.to_string(), "in [0, 1), or left out");
        }
        if self.spec.is_some() && !self.model_options.is_empty() {
            let expected = "absent where the whole model is declared under spec";
            return refuse("model_options", "set".into(), expected);
        }
        if let Some(statistics) = self.batch_norm_statistics {
            statistics.check()?;
        }
        self.loss.check()?;
        if let Some(mix) = self.mix {
            mix.check()?;
        }
        if let Some(teacher) = &self.teacher {
            teacher.check()?;
        }
        self.schedule.check(self.val_fraction > 0.0)?;
        if let Some(augment) = &self.augment {
            augment.check()?;
        }
        self.optimizer.check()
    }
}
