//! What the runs of a sweep gave, and what earlier calls have left of them.

use super::decide::{Over, Purpose, Scores};
use crate::archive::{CameOfIt, Record};
use crate::results::RunResult;
use anyhow::{Context, Result};
use hw_train::survey::{State, Surveyed, survey};
use hw_train::{Computation, EpochRecord, Outcome, TrainConfig};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A run that was trained and validated.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    /// The run's id.
    pub(crate) run: String,
    /// Of the weights that it keeps.
    pub(crate) scores: Scores,
    pub(crate) history: Vec<EpochRecord>,
    /// Seconds of training.
    pub(crate) seconds: f64,
    pub(crate) synthetic: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// It searched.
    Searched(Searched),
    /// It is the winner's, scored on the test set.
    Tested(Box<RunResult>),
    /// Why it has no score.
    Failed(String),
}

/// The runs that are over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results(BTreeMap<Purpose, Ended>);

impl Results {
    pub(crate) fn add(&mut self, purpose: Purpose, ended: Ended) {
        self.0.insert(purpose, ended);
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Purpose, &Ended)> {
        self.0.iter()
    }

    pub(crate) fn get(&self, purpose: Purpose) -> Option<&Ended> {
        self.0.get(&purpose)
    }

    /// What a decision rests on.
    pub(crate) fn over(&self) -> Over {
        let scores = |ended: &Ended| match ended {
            Ended::Searched(searched) => Some(searched.scores),
            Ended::Tested(_) | Ended::Failed(_) => None,
        };
        let all = self.0.iter();
        all.map(|(purpose, ended)| (*purpose, scores(ended)))
            .collect()
    }

    /// A search run, if it has a score.
    pub(crate) fn searched(&self, rung: usize, trial: usize, seed: u64) -> Option<&Searched> {
        match self.get(Purpose::Search { rung, trial, seed })? {
            Ended::Searched(searched) => Some(searched),
            _ => None,
        }
    }

    /// The winner's runs on the test set, in the order of their seeds.
    pub(crate) fn tested(&self) -> Vec<&RunResult> {
        let tested = self.0.values().filter_map(|ended| match ended {
            Ended::Tested(result) => Some(&**result),
            _ => None,
        });
        tested.collect()
    }

    /// Runs that have a score, and runs that failed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let failed = |ended: &&Ended| matches!(ended, Ended::Failed(_));
        let failed = self.0.values().filter(failed).count();
        (self.0.len() - failed, failed)
    }

    /// The failures, with what they were for.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Purpose, &str)> {
        self.0.iter().filter_map(|(purpose, ended)| match ended {
            Ended::Failed(problem) => Some((*purpose, problem.as_str())),
            _ => None,
        })
    }
}

impl Searched {
    /// What a run says that has just ended, or was read.
    ///
    /// # Errors
    /// A run without validation scores.
    pub(crate) fn of(run: &str, outcome: Outcome, synthetic: bool) -> Result<Self> {
        let kept = outcome.history.iter();
        let kept = kept.clone().find(|epoch| epoch.epoch == outcome.best_epoch);
        let score = kept
            .and_then(|epoch| epoch.validation)
            .context("the run has no validation score")?;
        Ok(Self {
            run: run.into(),
            scores: Scores {
                accuracy: score.accuracy,
                loss: score.loss,
            },
            seconds: outcome.seconds(),
            history: outcome.history,
            synthetic,
        })
    }
}

/// Runs that earlier calls, or other workers, have left in a folder.
#[derive(Debug, Default)]
pub(crate) struct Kept(HashMap<String, Source>);

/// Where it is known from.
#[derive(Debug)]
enum Source {
    Folder(Box<Surveyed>),
    Archive(Box<Record>),
}

impl Kept {
    /// The runs under `out` that this program would compute the same.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub(crate) fn read(out: &Path) -> Result<Self> {
        let runs = survey(&[out.into()])?.runs.into_iter();
        let now = |run: &Surveyed| Computation::of(&run.config);
        let same = runs.filter(|run| run.computation == now(run));
        Ok(Self(
            same.map(|run| (crate::crew::key(&run.config), Source::Folder(Box::new(run))))
                .collect(),
        ))
    }

    /// The runs of an archive.
    pub(crate) fn from_records(records: impl Iterator<Item = Record>) -> Self {
        let key = |record: &Record| crate::crew::key(&record.config);
        Self(
            records
                .map(|record| (key(&record), Source::Archive(Box::new(record))))
                .collect(),
        )
    }

    /// What is known of a run without training it: its scores, its test results, or that it diverged.
    pub(crate) fn ended(&self, purpose: Purpose, config: &TrainConfig) -> Option<Ended> {
        match self.0.get(&crate::crew::key(config))? {
            Source::Folder(run) => of_folder(run, purpose),
            Source::Archive(record) => of_record(record, purpose),
        }
    }
}

/// What a record says.
fn of_record(record: &Record, purpose: Purpose) -> Option<Ended> {
    let searches = matches!(purpose, Purpose::Search { .. });
    Some(match &record.came_of_it {
        CameOfIt::Failed { problem } => Ended::Failed(problem.clone()),
        CameOfIt::Tested(tested) if !searches => Ended::Tested(Box::new(tested.result.clone())),
        // A run of the winner may have searched as well.
        CameOfIt::Tested(_) | CameOfIt::Searched { .. } => {
            let history = record.history();
            let best = history.iter().rev().find(|epoch| epoch.best);
            let outcome = Outcome {
                finished: true,
                history: history.to_vec(),
                best_epoch: best.map_or(0, |epoch| epoch.epoch),
                plateau: None,
            };
            let searched = Searched::of(&record.run, outcome, record.data.synthetic);
            Ended::Searched(searched.ok()?)
        }
    })
}

/// What a run's folder says.
fn of_folder(run: &Surveyed, purpose: Purpose) -> Option<Ended> {
    match (run.state, purpose) {
        (State::Diverged, _) => {
            let problem = std::fs::read_to_string(run.folder.join(crate::crew::FAILED));
            let problem = problem.unwrap_or_else(|_| "training diverged".into());
            Some(Ended::Failed(problem))
        }
        (State::Finished, Purpose::Search { .. }) => {
            let outcome = Outcome {
                finished: true,
                history: run.history.clone(),
                best_epoch: run.best_epoch,
                plateau: None,
            };
            let searched = Searched::of(&run.run, outcome, run.synthetic).ok()?;
            Some(Ended::Searched(searched))
        }
        (State::Finished, Purpose::Final { .. }) => {
            let text =
                std::fs::read_to_string(run.folder.join(crate::measure::TEST_RESULT)).ok()?;
            let result: RunResult = serde_json::from_str(&text).ok()?;
            Some(Ended::Tested(Box::new(result)))
        }
        _ => None,
    }
}
