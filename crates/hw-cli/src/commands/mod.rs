//! One file a command: from its arguments to its answer.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod cross;
pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod exchange;
pub(crate) mod fetch;
pub(crate) mod list;
pub(crate) mod looks;
pub(crate) mod lr_range;
pub(crate) mod models;
pub(crate) mod predict;
pub(crate) mod read;
pub(crate) mod reproduce;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod sweep;
pub(crate) mod train;

use crate::args::{Common, DeviceArg};
use crate::progress;
use anyhow::{Result, bail};
use hw_data::{DataDirs, Dataset, DatasetId, Split};
use hw_models::DeviceChoice;
use hw_train::{Experiment, TrainConfig};

/// Exit status of a run that was stopped and can be resumed: 128 + SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// What is said above every result on generated data.
pub(crate) const SYNTHETIC: &str = "SYNTHETIC data: drawn by a program, not by people";

/// The folders to look for data in.
fn data_dirs(common: &Common) -> Result<DataDirs> {
    if let Some(folder) = common.data_dir.as_deref().filter(|folder| !folder.is_dir()) {
        bail!("--data-dir {} is not a folder", folder.display());
    }
    Ok(DataDirs::resolve(common.data_dir.as_deref()))
}

fn load(id: &DatasetId, split: Split, dirs: &DataDirs, common: &Common) -> Result<Dataset> {
    let what = format!("loading {id}, {split} images");
    Ok(progress::during(&what, common.verbose, || {
        hw_data::load(id, split, dirs)
    })?)
}

/// The experiment, its data loaded, on the device that was asked for, else on the kind that the configuration names.
fn experiment(
    config: TrainConfig,
    device: &DeviceArg,
    dirs: &DataDirs,
    common: &Common,
) -> Result<Experiment> {
    // Before anything is loaded: what cannot be had is said at once.
    let device = device.device.unwrap_or(config.device).open()?;
    let config = TrainConfig {
        device: DeviceChoice::Cpu,
        ..config
    };
    let what = format!("loading {}", config.dataset);
    let loaded = progress::during(&what, common.verbose, || Experiment::load(config, dirs))?;
    Ok(loaded.on(device))
}
