//! Runs as they lie in folders: what each is, how far it came and how good its weights are. Everything is
//! read, nothing is computed or changed.
//!
//! ```
//! use hw_train::survey::{State, survey};
//! # use hw_train::{Experiment, RunOptions, TrainConfig};
//! # let config = TrainConfig {
//! #     model: "ann".into(),
//! #     dataset: "glyphs:digits".parse()?,
//! #     limit: Some(100),
//! #     epochs: 2,
//! #     ..TrainConfig::default()
//! # };
//! # let experiment = Experiment::load(config, &hw_data::DataDirs::resolve(None))?;
//! let runs = tempfile::tempdir()?;
//! experiment.start(&runs.path().join("first"), RunOptions::new(&mut |_| {}))?;
//! let found = survey(&[runs.path().into()])?;
//! assert_eq!(found.runs[0].state, State::Finished);
//! assert_eq!(found.runs[0].run, experiment.id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::config::TrainConfig;
use crate::events::{self, EpochRecord, Event, Score};
use crate::experiment::{CONFIG, read_config};
use crate::provenance::{Computation, Machine};
use crate::recipe::recipe_id;
use crate::run::{EVENTS, LOCK, RUN, read_run};
use hw_core::FileError;
use hw_core::shared::is_being_made;
use serde::Serialize;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// What was found in some folders.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The runs, in the order of their folders; of copies of one run only the one that came furthest.
    pub runs: Vec<Surveyed>,
    /// Folders that look like a run's and cannot be read, and why.
    pub damaged: Vec<(PathBuf, String)>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Surveyed {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its id.
    pub run: String,
    /// The id of its [recipe](crate::recipe).
    pub recipe: String,
    /// What it is made of.
    pub config: TrainConfig,
    /// How far it came.
    pub state: State,
    /// Its epochs so far.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights are kept, counted from 1; 0 before the first is over.
    pub best_epoch: usize,
    /// Images trained on; `None` before it began.
    pub train_images: Option<usize>,
    /// Whether its data is generated.
    pub synthetic: bool,
    /// The machine that last worked on it.
    pub machine: Machine,
    /// What computed it.
    pub computation: Computation,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is complete.
    Finished,
    /// A process works on it.
    Running,
    /// It was stopped, or its process is gone; it can be resumed.
    Interrupted,
    /// Its numbers overflowed; the same configuration will do so again.
    Diverged,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Diverged => "diverged",
        }
    }
}

impl Surveyed {
    /// The epoch whose weights are kept.
    pub fn kept(&self) -> Option<&EpochRecord> {
        let kept = |record: &&EpochRecord| record.epoch == self.best_epoch;
        self.history.iter().find(kept)
    }

    /// The validation score of the weights that are kept, if images were held out.
    pub fn validation(&self) -> Option<Score> {
        self.kept()?.validation
    }

    /// Seconds spent on training steps, as far as they were measured.
    pub fn seconds(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum()
    }

    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// What is missing or cannot be understood, in a line.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let config = read_config(folder).map_err(|error| hw_core::one_line(&error))?;
        let file = read_run(folder).ok_or_else(|| format!("{RUN} cannot be read"))?;
        let events = events::read(&folder.join(EVENTS));
        let history = events::epochs(&events);
        let begun = events.iter().find_map(|event| match event {
            Event::Started {
                train_images,
                synthetic,
                ..
            } => Some((*train_images, *synthetic)),
            _ => None,
        });
        let best = history.iter().rfind(|epoch| epoch.best);
        let best_epoch = match events.last() {
            Some(Event::Finished { best_epoch, .. }) => *best_epoch,
            _ => best.map_or(0, |epoch| epoch.epoch),
        };
        Ok(Self {
            folder: folder.into(),
            run: file.run,
            recipe: recipe_id(&config),
            state: state(folder, events.last()),
            history,
            best_epoch,
            train_images: begun.map(|(images, _)| images),
            synthetic: begun.is_some_and(|(_, synthetic)| synthetic),
            machine: file.machine,
            computation: file.computation,
            config,
        })
    }
}

fn state(folder: &Path, last: Option<&Event>) -> State {
    match last {
        Some(Event::Finished { .. }) => State::Finished,
        Some(Event::Diverged { .. }) => State::Diverged,
        Some(Event::Interrupted { .. }) => State::Interrupted,
        _ if is_locked(folder) || is_being_made(folder) => State::Running,
        _ => State::Interrupted,
    }
}

/// Whether a process holds the run in `folder`.
fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The runs in these folders and all folders below them.
///
/// # Errors
/// [`FileError`] when one of the folders itself cannot be listed; what cannot be read below is in
/// [`Survey::damaged`].
pub fn survey(roots: &[PathBuf]) -> Result<Survey, FileError> {
    let mut found = Survey::default();
    for root in roots {
        std::fs::read_dir(root).map_err(FileError::at("list folder", root))?;
        look(root, &mut found);
    }
    found.runs = furthest(found.runs);
    Ok(found)
}

fn look(folder: &Path, found: &mut Survey) {
    let is_run = folder.join(CONFIG).is_file()
        && [RUN, EVENTS].iter().any(|name| folder.join(name).exists());
    if is_run {
        match Surveyed::open(folder) {
            Ok(run) => found.runs.push(run),
            Err(problem) => found.damaged.push((folder.into(), problem)),
        }
        return;
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let problem = hw_core::one_line(&error);
            found.damaged.push((folder.into(), problem));
            return;
        }
    };
    let entries = entries.flatten();
    // Links are not followed: they may lead in a circle.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        look(&folder, found);
    }
}

/// One of the copies of each run: a finished one, else the one with the most epochs.
fn furthest(runs: Vec<Surveyed>) -> Vec<Surveyed> {
    let mut kept: Vec<Surveyed> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for run in runs {
        let Some(&place) = places.get(&run.run) else {
            places.insert(run.run.clone(), kept.len());
            kept.push(run);
            continue;
        };
        let far = |run: &Surveyed| (run.state == State::Finished, run.history.len());
        if far(&run) > far(&kept[place]) {
            kept[place] = run;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Experiment, RunOptions};
    use hw_core::CancelToken;

    fn experiment(rate: f32) -> Experiment {
        let config = TrainConfig {
            model: "lenet5".into(),
            dataset: "glyphs:digits".parse().unwrap(),
            limit: Some(60),
            batch: 20,
            epochs: 3,
            learning_rate: rate,
            optimizer: "sgd".parse().unwrap(),
            ..TrainConfig::default()
        };
        Experiment::load(config, &hw_data::DataDirs::default()).unwrap()
    }

    /// Trains in `folder`, asked to stop after so many steps.
    fn train(folder: &Path, rate: f32, steps: Option<u64>) {
        let cancel = CancelToken::new();
        let (token, mut seen) = (cancel.clone(), 0);
        let mut stop = |event: &Event| {
            seen += u64::from(matches!(event, Event::Epoch(_)));
            if steps.is_some_and(|steps| seen >= steps) {
                token.cancel();
            }
        };
        let options = RunOptions {
            cancel,
            ..RunOptions::new(&mut stop)
        };
        // A run that diverges is what one of the tests wants.
        let _ = experiment(rate).start(folder, options);
    }

    #[test]
    fn a_tree_of_runs_is_read_and_says_how_far_each_came() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        train(&path("a/finished"), 0.1, None);
        train(&path("b/stopped"), 0.2, Some(1));
        train(&path("c"), 1e30, None);
        std::fs::create_dir_all(path("d/run")).unwrap();
        std::fs::write(path("d/run/config.json"), "{").unwrap();
        std::fs::write(path("d/run/run.json"), "{").unwrap();
        std::fs::write(path("config.json"), "{}").unwrap();
        let found = survey(&[root.path().into()]).unwrap();
        let states: Vec<State> = found.runs.iter().map(|run| run.state).collect();
        assert_eq!(
            states,
            [State::Finished, State::Interrupted, State::Diverged]
        );
        let epochs: Vec<usize> = found.runs.iter().map(|run| run.history.len()).collect();
        assert_eq!(epochs, [3, 1, 0]);
        let first = &found.runs[0];
        assert_eq!(
            (first.run.as_str(), first.train_images),
            (experiment(0.1).id(), Some(60))
        );
        assert_eq!(first.validation(), first.kept().unwrap().validation);
        assert!(first.synthetic && first.best_epoch > 0);
        assert_eq!(found.damaged.len(), 1);
        assert!(found.damaged[0].0.ends_with("d/run"), "{:?}", found.damaged);
        // A run that another process holds is running.
        let held = path("b/stopped");
        let log = std::fs::read_to_string(held.join(EVENTS)).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        std::fs::write(held.join(EVENTS), lines[..lines.len() - 1].join("\n")).unwrap();
        let state = || Surveyed::open(&held).unwrap().state;
        assert_eq!(state(), State::Interrupted);
        let lock = File::open(held.join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert_eq!(state(), State::Running);
    }

    #[test]
    fn of_copies_of_a_run_the_furthest_counts() {
        let root = tempfile::tempdir().unwrap();
        train(&root.path().join("a"), 0.1, Some(1));
        train(&root.path().join("b"), 0.1, None);
        let found = survey(&[root.path().into()]).unwrap();
        assert_eq!(found.runs.len(), 1);
        assert!(found.runs[0].folder.ends_with("b"));
        assert!(survey(&[root.path().join("none")]).is_err());
    }
}
