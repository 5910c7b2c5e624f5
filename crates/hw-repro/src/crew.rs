//! Stub: to be replaced by the crew of workers.

use super::data::DataCache;
use super::error::ReproError;
use super::estimate::Estimator;
pub(crate) use super::execute::Workers;
use super::progress::Progress;
use anyhow::{Result, anyhow};
use hw_core::CancelToken;
use hw_data::Split;
use hw_train::{Event, Experiment, RunOptions, TrainConfig};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) struct Task<T> {
    pub(crate) what: T,
    pub(crate) name: String,
    pub(crate) config: TrainConfig,
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    pub(crate) key: String,
}

pub(crate) trait Agenda: Sync {
    type What: Send;
    type Done: Send;
    fn note(&self, task: &Task<Self::What>, outcome: Result<Self::Done>) -> Vec<Task<Self::What>>;
    fn finish(
        &self,
        task: &Task<Self::What>,
        folder: &Path,
        outcome: hw_train::Outcome,
    ) -> Result<Self::Done>;
}

pub(crate) struct Crew<'a> {
    pub(crate) out: &'a Path,
    pub(crate) data: &'a DataCache,
    pub(crate) cancel: CancelToken,
    pub(crate) estimator: Mutex<Estimator>,
    pub(crate) progress: Mutex<Progress>,
    pub(crate) workers: Workers,
    pub(crate) deadline: Option<Instant>,
}

impl Crew<'_> {
    pub(crate) fn run<A: Agenda>(&self, agenda: &A, mut tasks: Vec<Task<A::What>>) -> Result<()> {
        lock(&self.progress).expect(tasks.iter().map(|task| task.seconds).sum());
        while let Some(task) = tasks.pop() {
            let outcome = self.train(agenda, &task);
            if outcome
                .as_ref()
                .is_err_and(|e| matches!(e.downcast_ref(), Some(ReproError::Stopped)))
            {
                return outcome.map(|_| ());
            }
            lock(&self.progress).add(&task.key, task.seconds);
            let more = agenda.note(&task, outcome);
            lock(&self.progress).expect(more.iter().map(|task| task.seconds).sum());
            tasks.extend(more);
        }
        lock(&self.progress).finish();
        Ok(())
    }

    fn train<A: Agenda>(&self, agenda: &A, task: &Task<A::What>) -> Result<A::Done> {
        let train = self.data.get(&task.config.dataset, Split::Train)?;
        let experiment = Experiment::new(task.config.clone(), train, None)?;
        let folder = self.out.join("runs").join(experiment.id());
        let mut observer = |_: &Event| {
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                self.cancel.cancel();
            }
            lock(&self.progress).say(&task.key, 0.0, &task.name);
        };
        let mut options = RunOptions::new(&mut observer);
        options.cancel = self.cancel.clone();
        let outcome = experiment.complete(&folder, options)?;
        if !outcome.finished {
            return Err(anyhow!(ReproError::Stopped));
        }
        lock(&self.estimator).learn(&task.config, &outcome);
        agenda.finish(task, &folder, outcome)
    }
}

pub(crate) fn key(config: &TrainConfig) -> String {
    serde_json::to_string(config).unwrap_or_default()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
