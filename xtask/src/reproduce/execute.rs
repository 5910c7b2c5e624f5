//! Running the jobs: train, test, keep; skip what is already there.

use super::estimate::Estimator;
use super::jobs::Job;
use super::paper::Paper;
use super::results::{Failure, JobResult, Mistake, RunResult, VariantResult};
use crate::progress::Progress;
use anyhow::{Context, Result, anyhow};
use hw_core::CancelToken;
use hw_data::{DataDirs, Dataset, DatasetId, Loader, LoaderConfig, Preprocess, Split};
use hw_train::{DataStamp, Event, Experiment, Machine, RunOptions, TrainConfig};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Images a batch when testing.
const TEST_BATCH: usize = 250;
/// Mistakes kept for the report.
const MISTAKES: usize = 24;
/// File of a run's test results.
const TEST_RESULT: &str = "test.json";

/// Data sets, each loaded once.
pub(crate) struct DataCache {
    dirs: DataDirs,
    loaded: HashMap<(String, Split), Arc<Dataset>>,
}

impl DataCache {
    /// An empty cache over these folders.
    pub(crate) fn new(dirs: DataDirs) -> Self {
        Self {
            dirs,
            loaded: HashMap::new(),
        }
    }

    /// The data set, loaded at most once.
    pub(crate) fn get(&mut self, id: &DatasetId, split: Split) -> Result<Arc<Dataset>> {
        let key = (id.to_string(), split);
        if let Some(data) = self.loaded.get(&key) {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(hw_data::load(id, split, &self.dirs)?);
        self.loaded.insert(key, Arc::clone(&data));
        Ok(data)
    }
}

/// Runs everything and keeps it under `out/runs`.
pub(crate) struct Executor<'a> {
    pub(crate) papers: &'a [Paper],
    pub(crate) out: &'a Path,
    pub(crate) data: DataCache,
    pub(crate) cancel: CancelToken,
    pub(crate) estimator: Estimator,
    pub(crate) progress: Progress,
}

/// A job was stopped by the user.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(crate) struct Stopped;

impl Executor<'_> {
    /// All results, in the order of the jobs; a failed run is in its result and stops nothing.
    ///
    /// # Errors
    /// [`Stopped`] when the user asked for it.
    pub(crate) fn run(&mut self, jobs: &[Job]) -> Result<Vec<JobResult>> {
        let mut results = Vec::new();
        for job in jobs {
            results.push(self.job(job)?);
        }
        self.progress.finish();
        Ok(results)
    }

    fn job(&mut self, job: &Job) -> Result<JobResult> {
        let mut result = JobResult::new(job);
        let learning_rate = match self.search(job) {
            Ok(found) => found,
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => {
                result.failures.push(self.failure(job, None, &error));
                return Ok(result);
            }
        };
        if let Some(search) = learning_rate {
            result.search = search;
        }
        for config in &job.configs {
            let mut config = config.clone();
            if let Some(best) = result.chosen_rate() {
                config.learning_rate = best;
            }
            let expected = self.estimator.seconds(&config);
            match self.seed(job, &config) {
                Ok(seed) => result.seeds.push(seed),
                Err(error) if error.is::<Stopped>() => return Err(error),
                Err(error) => {
                    let failure = self.failure(job, Some(config.seed), &error);
                    result.failures.push(failure);
                }
            }
            self.progress.add(expected);
        }
        Ok(result)
    }

    fn failure(&self, job: &Job, seed: Option<u64>, error: &anyhow::Error) -> Failure {
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        let problem = chain.join(": ");
        let seed_text = seed.map(|seed| format!(" seed {seed}")).unwrap_or_default();
        self.progress
            .note(&format!("failed: {}{seed_text}: {problem}", job.decl.id));
        Failure { seed, problem }
    }

    /// Validation accuracy of every learning rate to choose from; the best one wins, the smaller of
    /// equals.
    fn search(&mut self, job: &Job) -> Result<Option<Vec<(f32, f64)>>> {
        if job.search.is_empty() {
            return Ok(None);
        }
        let mut tried = Vec::new();
        for config in &job.search {
            let expected = self.estimator.seconds(config);
            let what = format!("{}, trying rate {}", job.decl.id, config.learning_rate);
            let (_, outcome) = match self.train(config, &what) {
                Ok(done) => done,
                Err(error) if error.is::<Stopped>() => return Err(error),
                // A rate that diverges is a rate that loses.
                Err(error) => {
                    self.progress.note(&format!("{what}: {error}"));
                    tried.push((config.learning_rate, 0.0));
                    self.progress.add(expected);
                    continue;
                }
            };
            let scores = outcome
                .history
                .iter()
                .filter_map(|e| Some(e.validation?.accuracy));
            tried.push((config.learning_rate, scores.fold(0.0, f64::max)));
            self.progress.add(expected);
        }
        Ok(Some(tried))
    }

    fn train(&mut self, config: &TrainConfig, what: &str) -> Result<(PathBuf, hw_train::Outcome)> {
        let train = self.data.get(&config.dataset, Split::Train)?;
        let test = match config.probe {
            Some(_) => Some(self.data.get(&config.dataset, Split::Test)?),
            None => None,
        };
        let experiment = Experiment::new(config.clone(), train, test)?;
        let folder = self.out.join("runs").join(experiment.id());
        let expected = self.estimator.seconds(config);
        let steps = experiment.steps().max(1) as f64;
        let progress = &mut self.progress;
        let mut observer = |event: &Event| {
            let (epoch, step, detail) = match event {
                Event::Started { .. } => (1, 0, String::new()),
                Event::Step {
                    epoch,
                    step,
                    images_per_second,
                    ..
                } => (*epoch, *step, format!(", {images_per_second:.0} images/s")),
                Event::Epoch(record) => (
                    record.epoch,
                    record.step,
                    format!(", loss {:.4}", record.train.loss),
                ),
                _ => return,
            };
            let share = step as f64 / steps;
            let epochs = config.epochs;
            let message = format!("{what}, epoch {epoch}/{epochs}{detail}");
            progress.say(share * expected, &message);
        };
        let mut options = RunOptions::new(&mut observer);
        options.cancel = self.cancel.clone();
        let outcome = experiment.complete(&folder, options)?;
        if !outcome.finished {
            return Err(anyhow!(Stopped));
        }
        if !outcome.partly_timed() {
            self.estimator.learn(config, &outcome);
        }
        Ok((folder, outcome))
    }

    fn seed(&mut self, job: &Job, config: &TrainConfig) -> Result<RunResult> {
        let what = format!("{}, seed {}", job.decl.id, config.seed);
        let (folder, outcome) = self.train(config, &what)?;
        let test = self.data.get(&config.dataset, Split::Test)?;
        let variants = self.papers[job.paper].variants_of(&job.decl.id);
        let path = folder.join(TEST_RESULT);
        let known = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| serde_json::from_str::<RunResult>(&text).ok())
            .filter(|known| known.test.sha256 == test.checksum);
        let mut result = match known {
            Some(known) => known,
            None => {
                self.progress.say(0.0, &format!("{what}, testing"));
                self.measure(&folder, config, &test, outcome)?
            }
        };
        let mut changed = false;
        for variant in variants {
            if result
                .variants
                .iter()
                .any(|known| known.id == variant.id && known.steps == variant.steps)
            {
                continue;
            }
            let preprocess = Preprocess {
                steps: variant.steps.clone(),
                ..config.preprocess.clone()
            };
            let trained = hw_train::checkpoint::open(&folder, &candle_core::Device::Cpu)?;
            let loader = test_loader(&test, preprocess, config.seed)?;
            let metrics = hw_eval::evaluate(&hw_eval::network::predict(&trained.network, &loader)?);
            result.variants.retain(|known| known.id != variant.id);
            result.variants.push(VariantResult {
                id: variant.id.clone(),
                steps: variant.steps.clone(),
                metrics,
            });
            changed = true;
        }
        if changed || !path.exists() {
            let text = serde_json::to_string_pretty(&result).context("test results as JSON")?;
            hw_core::files::write_whole(&path, text.as_bytes())?;
        }
        Ok(result)
    }

    fn measure(
        &self,
        folder: &Path,
        config: &TrainConfig,
        test: &Arc<Dataset>,
        outcome: hw_train::Outcome,
    ) -> Result<RunResult> {
        let trained = hw_train::checkpoint::open(folder, &candle_core::Device::Cpu)?;
        let loader = test_loader(test, config.preprocess.clone(), config.seed)?;
        let predictions = hw_eval::network::predict(&trained.network, &loader)?;
        let resolved = trained.network.resolved();
        Ok(RunResult {
            run: trained.stamp.run.clone(),
            config: config.clone(),
            train_images: outcome.history.last().map_or(0, |epoch| epoch.train.images),
            data: trained.stamp.data.clone(),
            test: DataStamp::of(test),
            classes: trained.stamp.classes.clone(),
            metrics: hw_eval::evaluate(&predictions),
            mistakes: mistakes(&predictions),
            variants: Vec::new(),
            train_seconds: (!outcome.partly_timed()).then(|| outcome.seconds()),
            history: outcome.history,
            latency: hw_eval::network::time(&trained.network, &loader, 1, 100)?,
            throughput: hw_eval::network::time(&trained.network, &loader, 256, 12)?,
            parameters: resolved.parameter_count() as u64,
            macs: resolved.macs(),
            layers: super::layers::paper_layers(resolved).len() as u64,
            input: resolved.spec.input,
            machine: Machine::current(),
        })
    }
}

fn test_loader(test: &Arc<Dataset>, preprocess: Preprocess, seed: u64) -> Result<Loader> {
    let config = LoaderConfig {
        batch: TEST_BATCH,
        preprocess,
        augment_seed: seed,
        ..LoaderConfig::default()
    };
    Ok(Loader::new(
        Arc::clone(test),
        (0..test.len() as u32).collect(),
        config,
    )?)
}

/// The wrong answers, most confident first.
fn mistakes(predictions: &hw_eval::Predictions) -> Vec<Mistake> {
    let predicted = predictions.predicted();
    let confidence = predictions.confidence();
    let mut wrong: Vec<Mistake> = predictions
        .labels()
        .iter()
        .enumerate()
        .filter(|(index, label)| predicted[*index] != **label)
        .map(|(index, label)| Mistake {
            index,
            label: *label,
            predicted: predicted[index],
            confidence: confidence[index],
        })
        .collect();
    wrong.sort_by(|a, b| {
        b.confidence
            .total_cmp(&a.confidence)
            .then(a.index.cmp(&b.index))
    });
    wrong.truncate(MISTAKES);
    wrong
}
