//! How long a run should take, from what earlier runs on this machine took.

use hw_train::{Outcome, TrainConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Multiply-accumulates a second of training (three for each of the forward pass) that a first
/// guess assumes, a core.
const FIRST_GUESS: f64 = 1.2e10;
/// Seconds every run costs beside its steps: set-up, checkpoints, testing.
const OVERHEAD: f64 = 1.0;

/// Measured training rates by model, kept in `OUT/rates.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Estimator {
    /// Images a second, by model and batch.
    rates: BTreeMap<String, f64>,
    #[serde(skip)]
    path: PathBuf,
}

impl Estimator {
    /// What is known under `out`.
    pub(crate) fn open(out: &Path) -> Self {
        let path = out.join("rates.json");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self {
            path,
            ..serde_json::from_str(&text).unwrap_or_default()
        }
    }

    fn key(config: &TrainConfig) -> String {
        format!(
            "{}/{}/{}",
            config.model,
            config.batch,
            config.preprocess.steps.len()
        )
    }

    /// Expected seconds of a whole run.
    pub(crate) fn seconds(&self, config: &TrainConfig) -> f64 {
        let images = config.limit.unwrap_or(60_000) * config.epochs;
        let rate = self
            .rates
            .get(&Self::key(config))
            .copied()
            .unwrap_or_else(|| {
                let macs = config
                    .model_spec([1, 28, 28], 10)
                    .and_then(|spec| Ok(spec.resolve()?.macs()))
                    .unwrap_or(1_000_000);
                FIRST_GUESS * rayon::current_num_threads() as f64 / (3 * macs + 1_000_000) as f64
            });
        OVERHEAD + images as f64 / rate
    }

    /// Takes note of a finished run.
    pub(crate) fn learn(&mut self, config: &TrainConfig, outcome: &Outcome) {
        let seconds = outcome.seconds();
        let images: usize = outcome.history.iter().map(|epoch| epoch.train.images).sum();
        if seconds > 0.0 && images > 0 {
            self.rates
                .insert(Self::key(config), images as f64 / seconds);
            let text = serde_json::to_string_pretty(self).unwrap_or_default();
            // An estimate that cannot be kept is only a worse estimate next time.
            let _ = hw_core::files::write_whole(&self.path, text.as_bytes());
        }
    }
}
