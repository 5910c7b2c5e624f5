//! Reruns an archived run from scratch, its teachers first.

use super::draw::Candidate;
use crate::archive::record::Record;
use crate::archive::report::Replayed;
use crate::archive::weights;
use crate::crew;
use crate::data::DataCache;
use crate::error::ReproError;
use crate::measure::Measurer;
use crate::options::Common;
use crate::progress::Progress;
use crate::results::RunResult;
use anyhow::{Context, Result, bail};
use hw_core::CancelToken;
use hw_core::shared::{Store, Watch};
use hw_data::{DataDirs, Split};
use hw_eval::looks::REGISTER;
use hw_report::format::duration;
use hw_train::checkpoint::BEST;
use hw_train::{Event, Experiment, Outcome, RunOptions, TrainConfig};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What came out here.
pub(crate) struct Here {
    pub(crate) result: RunResult,
    /// SHA-256 over its tensors.
    pub(crate) weights: String,
}

/// Reruns runs of an archive in fresh folders.
pub(crate) struct Rerunner<'a> {
    replayed: &'a Replayed,
    runs: PathBuf,
    /// Here for the turns of the register of looks.
    store: Store,
    data: DataCache,
    cancel: &'a CancelToken,
    deadline: Instant,
    /// Folders of what was trained, by the archived runs' ids.
    made: HashMap<String, Made>,
}

#[derive(Clone)]
struct Made {
    config: TrainConfig,
    id: String,
    folder: PathBuf,
    outcome: Outcome,
}

impl<'a> Rerunner<'a> {
    /// In `out/runs`, which is emptied.
    pub(crate) fn new(
        replayed: &'a Replayed,
        out: &Path,
        common: &Common,
        cancel: &'a CancelToken,
        deadline: Instant,
    ) -> Result<Self> {
        let runs = out.join("runs");
        // What an earlier proof made is no proof of this one.
        match std::fs::remove_dir_all(&runs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot empty {}", runs.display()));
            }
            _ => hw_core::files::create_folder(&runs)?,
        }
        let of = &replayed.archive.manifest.of;
        let dirs = DataDirs::resolve(common.data_dir.as_deref()).with_edition(of.emnist);
        Ok(Self {
            replayed,
            store: Store::open(&runs, runs.join("work"), Watch::default())?,
            runs,
            data: DataCache::new(dirs, of.synthetic),
            cancel,
            deadline,
            made: HashMap::new(),
        })
    }

    /// Whether it was stopped because it took too long.
    pub(crate) fn time_is_up(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Trains and tests the run; `None` when it was stopped. It should take `seconds`, of `left` that there
    /// are for all.
    ///
    /// # Errors
    /// Why it cannot be rerun.
    pub(crate) fn rerun(
        &mut self,
        candidate: &Candidate,
        seconds: f64,
        left: f64,
    ) -> Result<Option<Here>> {
        let mut progress = Progress::new();
        progress.expect(seconds);
        let mut piece = Piece {
            progress,
            name: &candidate.name,
            seconds,
            left,
            started: Instant::now(),
        };
        let here = self.perform(candidate, &mut piece);
        piece.progress.finish();
        match here {
            Err(error) if matches!(error.downcast_ref(), Some(ReproError::Stopped)) => Ok(None),
            here => here.map(Some),
        }
    }

    fn perform(&mut self, candidate: &Candidate, piece: &mut Piece<'_>) -> Result<Here> {
        let replayed = self.replayed;
        for run in candidate.teachers.iter().map(|(run, _)| run) {
            self.train(&replayed.archive.records[run], piece)?;
        }
        let made = self.train(&replayed.archive.records[&candidate.run], piece)?;
        piece.say("testing");
        let run = crew::Made {
            run: &made.id,
            folder: &made.folder,
            own: true,
            store: &self.store,
        };
        let job = &replayed.jobs[candidate.job];
        let measurer = Measurer {
            data: &self.data,
            recipe: crate::measure::recipe(&made.config, &job.decl),
            test_images: job.test_images,
            config: &made.config,
            made: &run,
            looks: &self.runs.join(REGISTER),
            beside: 0,
        };
        Ok(Here {
            result: measurer.complete(made.outcome, &[])?,
            weights: weights::hash(&made.folder.join(BEST)).map_err(ReproError::from)?,
        })
    }

    fn train(&mut self, record: &Record, piece: &mut Piece<'_>) -> Result<Made> {
        if let Some(made) = self.made.get(&record.run) {
            return Ok(made.clone());
        }
        let mut config = record.config.clone();
        let mut teachers = Vec::new();
        for run in config
            .teacher
            .iter_mut()
            .flat_map(|teacher| &mut teacher.runs)
        {
            let made = self.made.get(run).context("its teacher was not made")?;
            // Another computation gives its runs other ids.
            run.clone_from(&made.id);
            teachers.push(made.folder.clone());
        }
        let train = self.data.get(&config.dataset, Split::Train)?;
        let test = match config.probe {
            Some(_) => Some(self.data.get(&config.dataset, Split::Test)?),
            None => None,
        };
        if train.checksum != record.data.sha256 {
            let data = &record.data;
            bail!(
                "{} ({}) is here other data than in the archive (SHA-256 {:.12}, archived {:.12})",
                data.dataset,
                data.edition,
                train.checksum,
                data.sha256
            );
        }
        let experiment = Experiment::new(config.clone(), train, test)?;
        let folder = self.runs.join(experiment.id());
        let (deadline, cancel) = (self.deadline, self.cancel);
        let epochs = config.epochs;
        let mut observer = |event: &Event| {
            if Instant::now() >= deadline {
                cancel.cancel();
            }
            match event {
                Event::Step { epoch, .. } => piece.say(&format!("epoch {epoch}/{epochs}")),
                Event::Epoch(record) => piece.say(&format!("epoch {}/{epochs}", record.epoch)),
                _ => {}
            }
        };
        let mut options = RunOptions::new(&mut observer);
        options.cancel = cancel.clone();
        options.teachers = teachers;
        let outcome = experiment.complete(&folder, options)?;
        if !outcome.finished {
            return Err(ReproError::Stopped.into());
        }
        let made = Made {
            config,
            id: experiment.id().into(),
            folder,
            outcome,
        };
        self.made.insert(record.run.clone(), made.clone());
        Ok(made)
    }
}

/// A run under way, for those who wait.
struct Piece<'a> {
    progress: Progress,
    name: &'a str,
    /// Expected seconds.
    seconds: f64,
    /// Seconds of the budget that were left when it began.
    left: f64,
    started: Instant,
}

impl Piece<'_> {
    fn say(&mut self, what: &str) {
        let gone = self.started.elapsed().as_secs_f64();
        let left = duration((self.left - gone).max(0.0));
        let message = format!("{}, {what}; {left} of the budget left", self.name);
        let within = gone.min(self.seconds);
        self.progress.say(self.name, within, &message);
    }
}
