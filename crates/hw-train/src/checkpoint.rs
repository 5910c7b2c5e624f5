//! Runs on disk: weights for others to use, and everything needed to go on to the same bits.
//!
//! `best.safetensors` holds the weights to use: those of the best epoch by the validation score, or
//! of the last epoch where nothing is held out. `last.safetensors` holds the weights of the last
//! safe point and, under `state.`, the optimizer's numbers; its metadata says where in which epoch
//! that was. Neither holds a time, so the same run gives the same bytes.

use crate::averaging::Averages;
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::optimizer::OptimizerState;
use crate::provenance::{Computation, DataStamp, Versions};
use crate::schedule::Plateau;
use crate::stopping::BestSoFar;
use candle_core::{Device, Tensor};
use hw_models::Network;
use hw_models::weights::{self, Contents, STATE_PREFIX, StoredTensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File of the weights to use.
pub const BEST: &str = "best.safetensors";
/// Where the metadata of the weights to use has their temperature.
const TEMPERATURE: &str = "temperature";
/// What the names of averaged tensors begin with, among the optimizer's numbers.
const AVERAGE: &str = "average.";
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
    network: &Network,
    stamp: &Stamp,
    epoch: usize,
    temperature: Option<f32>,
) -> Result<()> {
    let mut contents = network.contents()?;
    contents.metadata.insert("stamp".into(), to_json(stamp));
    contents.metadata.insert("epoch".into(), epoch.into());
    if let Some(temperature) = temperature {
        let key = TEMPERATURE.into();
        contents.metadata.insert(key, temperature.into());
    }
    Ok(weights::write(&folder.join(BEST), &contents)?)
}

/// Writes the last safe point.
///
/// # Errors
/// [`TrainError::Model`] when the file cannot be written.
pub fn save_last(
    folder: &Path,
    network: &Network,
    optimizer: &OptimizerState,
    averages: Option<&Averages>,
    stamp: &Stamp,
    progress: &Progress,
) -> Result<()> {
    let mut contents = network.contents()?;
    let averages = averages.map_or_else(BTreeMap::new, |averages| averages.export(network));
    let averages = averages
        .into_iter()
        .map(|(name, values)| (format!("{AVERAGE}{name}"), values));
    for (name, values) in optimizer
        .export(network.parameters())
        .into_iter()
        .chain(averages)
    {
        let stored = StoredTensor {
            shape: vec![values.len()],
            values,
        };
        contents
            .tensors
            .insert(format!("{STATE_PREFIX}{name}"), stored);
    }
    let generators = Generators {
        seed: stamp.config.seed,
        shuffle: (progress.epoch as u64, progress.next_batch),
        dropout: progress.step,
    };
    contents.metadata.insert("stamp".into(), to_json(stamp));
    contents
        .metadata
        .insert("progress".into(), to_json(progress));
    contents
        .metadata
        .insert("generators".into(), to_json(&generators));
    Ok(weights::write(&folder.join(LAST), &contents)?)
}

/// A run brought back to its last safe point.
#[derive(Debug)]
pub struct Restored {
    /// The network with its weights.
    pub network: Network,
    /// The optimizer with its moments.
    pub optimizer: OptimizerState,
    /// The averages of the weights, where the run keeps them.
    pub averages: Option<Averages>,
    /// Where the run stands.
    pub progress: Progress,
}

/// Reads the last safe point of the run that `stamp` describes; `None` if it has none yet.
///
/// # Errors
/// [`TrainError::Model`] or [`TrainError::Damaged`] when the file is damaged,
/// [`TrainError::OtherRun`] when it belongs to another run.
pub fn load_last(folder: &Path, stamp: &Stamp, device: &Device) -> Result<Option<Restored>> {
    let path = folder.join(LAST);
    if !path.exists() {
        return Ok(None);
    }
    let contents = weights::read(&path)?;
    let found: Stamp = field(&path, &contents, "stamp")?;
    if found.run != stamp.run {
        return Err(TrainError::OtherRun {
            path: folder.into(),
            found: found.run,
            expected: stamp.run.clone(),
        });
    }
    let progress: Progress = field(&path, &contents, "progress")?;
    let network = Network::from_contents(&path, &contents, device)?;
    let state: BTreeMap<String, Vec<f32>> = contents
        .tensors
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix(STATE_PREFIX)?.to_string(), t.values)))
        .collect();
    let damaged = |problem| TrainError::Damaged {
        path: path.clone(),
        problem,
    };
    let (averaged, state) = split_off_averages(state);
    let averages = match stamp.config.ema {
        Some(decay) => Some(Averages::import(decay, &network, averaged).map_err(damaged)?),
        None => None,
    };
    let rule = stamp.config.optimizer.clone();
    let optimizer = OptimizerState::import(rule, network.parameters(), progress.step, state)
        .map_err(damaged)?;
    Ok(Some(Restored {
        network,
        optimizer,
        averages,
        progress,
    }))
}

type Numbers = BTreeMap<String, Vec<f32>>;

/// The averages of the weights by their tensors' names, and the optimizer's numbers.
fn split_off_averages(state: Numbers) -> (Numbers, Numbers) {
    let (averages, rest): (Numbers, Numbers) = state
        .into_iter()
        .partition(|(name, _)| name.starts_with(AVERAGE));
    let averages = averages
        .into_iter()
        .map(|(name, values)| (name[AVERAGE.len()..].to_string(), values));
    (averages.collect(), rest)
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
    // Plain structs of numbers and strings: their JSON cannot fail.
    serde_json::to_value(value).unwrap_or_default()
}
