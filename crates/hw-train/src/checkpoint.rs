//! Runs on disk: weights for others to use, and everything needed to go on to the same bits.
//!
//! `best.safetensors` holds the weights to use: those of the best epoch by the validation score, or
//! of the last epoch where nothing is held out. `last.safetensors` holds the weights of the last
//! safe point and, under `state.`, the optimizer's numbers; its metadata says where in which epoch
//! that was. Neither holds a time, so the same run gives the same bytes.

use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::learner::Learner;
use crate::provenance::{Computation, DataStamp, Versions};
use crate::schedule::Plateau;
use crate::stopping::BestSoFar;
use candle_core::{Device, Tensor};
use hw_models::weights::{self, Contents, STATE_PREFIX, StoredTensor};
use hw_models::{Executor, Graph, Network, Tensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File of the weights to use.
pub const BEST: &str = "best.safetensors";
/// Where the metadata of the weights to use has their temperature.
const TEMPERATURE: &str = "temperature";
/// File of the last safe point.
pub const LAST: &str = "last.safetensors";

/// What a checkpoint says about itself beside the model's declaration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// The run's id.
    pub run: String,
    /// Its full configuration.
    pub config: TrainConfig,
    /// The training data.
    pub data: DataStamp,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// What it was made with.
    pub versions: Versions,
    /// What computed it.
    #[serde(default = "Computation::first")]
    pub computation: Computation,
}

impl Stamp {
    /// Whether the run found in `folder` is the one described here.
    ///
    /// # Errors
    /// [`TrainError::OtherComputation`] or [`TrainError::OtherRun`] when it is not.
    pub(crate) fn check_run(
        &self,
        folder: &Path,
        found: String,
        computation: Computation,
    ) -> Result<()> {
        if found == self.run {
            return Ok(());
        }
        let path = folder.into();
        // Then the id is another one in any case, and the data and the configuration may be the same.
        Err(match computation == self.computation {
            false => TrainError::OtherComputation {
                path,
                run: found,
                found: computation.into(),
                now: self.computation.clone().into(),
            },
            true => TrainError::OtherRun {
                path,
                found,
                expected: self.run.clone(),
            },
        })
    }
}

/// Where a run stands: enough to go on as if it had never stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Complete epochs.
    pub epoch: usize,
    /// Batches of the current epoch already trained on.
    pub next_batch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// Loss summed over the current epoch's images so far.
    pub loss_sum: f64,
    /// Correct answers in the current epoch so far.
    pub correct: u64,
    /// Images of the current epoch so far.
    pub seen: u64,
    /// The current epoch's last losses.
    pub last_losses: Vec<f32>,
    /// The best score so far.
    pub best: BestSoFar,
    /// What a schedule that watches the scores remembers.
    #[serde(default)]
    pub plateau: Plateau,
    /// Whether the run is complete.
    pub finished: bool,
}

/// State of the random generators. All streams are keyed by seed, purpose and position, so a
/// position is a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Generators {
    seed: u64,
    /// Stream "shuffle" and "augment": the epoch, and the batch within it.
    shuffle: (u64, usize),
    /// Stream "dropout": the next step.
    dropout: u64,
}

/// Writes the weights to use, and the temperature that calibrates their probabilities where one was
/// found (see [`crate::calibrate`]).
///
/// # Errors
/// [`TrainError::Model`] when the file cannot be written.
pub fn save_best(
    folder: &Path,
    mut contents: Contents,
    stamp: &Stamp,
    epoch: usize,
    temperature: Option<f32>,
) -> Result<()> {
    contents.metadata.insert("stamp".into(), to_json(stamp));
    contents.metadata.insert("epoch".into(), epoch.into());
    if let Some(temperature) = temperature {
        let key = TEMPERATURE.into();
        contents.metadata.insert(key, temperature.into());
    }
    Ok(weights::write(&folder.join(BEST), &contents)?)
}

/// Numbers by name.
pub(crate) type Numbers = BTreeMap<String, Vec<f32>>;

/// Writes the last checkpoint: the network's contents and the state of what trains it.
///
/// # Errors
/// [`TrainError::Model`] when the file cannot be written.
pub(crate) fn save_last(
    folder: &Path,
    mut contents: Contents,
    state: Numbers,
    stamp: &Stamp,
    progress: &Progress,
) -> Result<()> {
    let state = state.into_iter().map(|(name, values)| {
        let shape = vec![values.len()];
        (
            format!("{STATE_PREFIX}{name}"),
            StoredTensor { shape, values },
        )
    });
    contents.tensors.extend(state);
    let generators = Generators {
        seed: stamp.config.seed,
        shuffle: (progress.epoch as u64, progress.next_batch),
        dropout: progress.step,
    };
    let parts = [
        ("stamp", to_json(stamp)),
        ("progress", to_json(progress)),
        ("generators", to_json(&generators)),
    ];
    let parts = parts.map(|(key, value)| (key.to_string(), value));
    contents.metadata.extend(parts);
    Ok(weights::write(&folder.join(LAST), &contents)?)
}

/// A run as its last checkpoint has it.
#[derive(Debug)]
pub(crate) struct Last {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where the run stands.
    pub(crate) progress: Progress,
    contents: Contents,
}

impl Last {
    /// The last checkpoint of the run that `stamp` describes; `None` if it has none yet.
    ///
    /// # Errors
    /// [`TrainError::Model`] or [`TrainError::Damaged`] when the file is damaged,
    /// as [`Stamp::check_run`] when it belongs to another run.
    pub(crate) fn read(folder: &Path, stamp: &Stamp) -> Result<Option<Self>> {
        let path = folder.join(LAST);
        if !path.exists() {
            return Ok(None);
        }
        let contents = weights::read(&path)?;
        let found: Stamp = field(&path, &contents, "stamp")?;
        stamp.check_run(folder, found.run, found.computation)?;
        let progress = field(&path, &contents, "progress")?;
        Ok(Some(Self {
            path,
            progress,
            contents,
        }))
    }

    /// What goes on learning from there, by the executor that is made of the network.
    ///
    /// # Errors
    /// [`TrainError::Model`] or [`TrainError::Damaged`] when a tensor is missing, unknown or of another
    /// shape.
    pub(crate) fn learner(
        self,
        config: &TrainConfig,
        executor: impl FnOnce(Graph, &Tensors) -> Result<Box<dyn Executor>>,
    ) -> Result<Learner> {
        let (graph, tensors) = self.contents.graph(&self.path)?;
        let executor = executor(graph, &tensors)?;
        let state = self.contents.tensors.into_iter();
        let state = state.filter_map(|(name, tensor)| {
            Some((name.strip_prefix(STATE_PREFIX)?.to_string(), tensor.values))
        });
        let steps = self.progress.step;
        let learner = Learner::restored(config, executor, steps, state.collect());
        learner.map_err(|problem| TrainError::Damaged {
            path: self.path,
            problem,
        })
    }
}

/// A trained network, ready to use.
#[derive(Debug)]
pub struct Trained {
    /// The network.
    pub network: Network,
    /// What it was trained on and how.
    pub stamp: Stamp,
    /// By what its logits are divided so that their softmax is calibrated; `None` where nothing was
    /// held out to find it.
    pub temperature: Option<f32>,
    /// The file it came from.
    pub path: PathBuf,
}

impl Trained {
    /// Probabilities `[n, classes]` of logits `[n, classes]`, calibrated where a temperature is known.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] when `logits` is no such tensor.
    pub fn probabilities(&self, logits: &Tensor) -> Result<Tensor> {
        let temperature = f64::from(self.temperature.unwrap_or(1.0));
        Ok(hw_kernels::softmax(&(logits / temperature)?)?)
    }
}

/// Opens the weights to use: `path` is a run's folder (its best weights, or the last if the run is
/// not complete) or a checkpoint file.
///
/// # Errors
/// [`TrainError::NoRun`] when the folder holds no checkpoint; as [`weights::read`] otherwise.
pub fn open(path: &Path, device: &Device) -> Result<Trained> {
    let path = if path.is_dir() {
        let found = [BEST, LAST]
            .map(|name| path.join(name))
            .into_iter()
            .find(|p| p.exists());
        found.ok_or_else(|| TrainError::NoRun {
            path: path.into(),
            missing: BEST,
        })?
    } else {
        path.to_path_buf()
    };
    let contents = weights::read(&path)?;
    let stamp = field(&path, &contents, "stamp")?;
    let network = Network::from_contents(&path, &contents, device)?;
    let temperature = match contents.metadata.contains_key(TEMPERATURE) {
        true => Some(field::<f32>(&path, &contents, TEMPERATURE)?),
        false => None,
    };
    if let Some(t) = temperature.filter(|t| !(t.is_finite() && *t > 0.0)) {
        return Err(TrainError::Damaged {
            path,
            problem: format!("'{TEMPERATURE}' in its metadata: {t} is not above 0"),
        });
    }
    Ok(Trained {
        network,
        stamp,
        temperature,
        path,
    })
}

/// The value under `key` in a checkpoint's metadata.
fn field<T: DeserializeOwned>(path: &Path, contents: &Contents, key: &str) -> Result<T> {
    let refuse = |problem| TrainError::Damaged {
        path: path.into(),
        problem,
    };
    let value = contents.metadata.get(key).ok_or_else(|| {
        refuse(format!(
            "its metadata has no '{key}'; it is no checkpoint of a run"
        ))
    })?;
    serde_json::from_value(value.clone())
        .map_err(|error| refuse(format!("'{key}' in its metadata: {error}")))
}

fn to_json<T: Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("plain structs of numbers and strings are JSON")
}
