//! Making runs: the longest first, as many at a time as there is memory for, beside any number of other
//! processes on the same folder. What is to be run, and what is read off a run, is an [`Agenda`]'s affair.

use super::data::DataCache;
use super::error::ReproError;
use super::estimate::Estimator;
use super::progress::Progress;
use anyhow::{Context, Result, anyhow};
use hw_core::CancelToken;
use hw_core::shared::{Attempt, Store, Turn, Watch};
use hw_data::Split;
use hw_train::checkpoint::{BEST, LAST};
use hw_train::run::EVENTS;
use hw_train::{Event, Experiment, Outcome, RunOptions, TrainConfig, TrainError};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often waiting workers look at the clock.
const LOOK: Duration = Duration::from_millis(500);
/// What another process works on is asked for again after so long.
const AGAIN: Duration = Duration::from_secs(2);
/// Files of a run that an attempt takes over from one that was killed.
const CARRY: [&str; 3] = [LAST, BEST, EVENTS];
/// File of a run that cannot be trained, with the reason: it would fail the same way everywhere.
pub(crate) const FAILED: &str = "failed.txt";

/// The runs of an output folder: finished ones in `OUT/runs`, those in the making in `OUT/work`.
///
/// # Errors
/// When the folders cannot be made.
pub(crate) fn store(out: &Path) -> Result<Store> {
    let store = Store::open(out.join("runs"), out.join("work"), Watch::default());
    store.with_context(|| format!("--out {}", out.display()))
}

/// How runs share the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workers {
    /// Runs at a time.
    pub(crate) count: usize,
    /// Threads each.
    pub(crate) threads: usize,
    /// Bytes for all runs together.
    pub(crate) memory: u64,
}

/// A run to be made. `W` says what it is for.
pub(crate) struct Task<W> {
    pub(crate) what: W,
    /// For people.
    pub(crate) name: String,
    pub(crate) config: TrainConfig,
    /// Expected seconds.
    pub(crate) seconds: f64,
    /// Epochs that it is likely to take.
    pub(crate) usual_epochs: usize,
    /// Expected bytes.
    pub(crate) bytes: u64,
    /// [`key`] of the configuration. Equal runs have equal keys and are never run at the same time.
    pub(crate) key: String,
    /// The keys of the runs that must be over before.
    pub(crate) teachers: Vec<String>,
    /// Whether it is there already, so that only its results are to be read.
    pub(crate) finished: bool,
    /// When to ask for it again, where another process works on it.
    pub(crate) again: Option<Instant>,
}

/// Says what a run is for.
pub(crate) trait Agenda: Sync {
    /// What a task is for.
    type What: Send + Sync;
    /// What is read off a finished run.
    type Done: Send;

    /// Reads off a finished run what it was made for; the run may be tested here.
    ///
    /// # Errors
    /// [`Busy`] when another process is doing it now; else what keeps it from being read.
    fn finish(
        &self,
        task: &Task<Self::What>,
        run: &Made<'_>,
        outcome: Outcome,
    ) -> Result<Self::Done>;

    /// Files an outcome; the tasks that follow from it.
    fn note(&self, task: &Task<Self::What>, outcome: Result<Self::Done>) -> Vec<Task<Self::What>>;
}

/// A finished run: still this process's own, or there for all.
pub(crate) struct Made<'a> {
    /// The run's id.
    pub(crate) run: &'a str,
    /// Its folder.
    pub(crate) folder: &'a Path,
    /// Whether nobody else can be writing there.
    pub(crate) own: bool,
    pub(crate) store: &'a Store,
}

/// Another process is at it.
#[derive(Debug, thiserror::Error)]
#[error("another process is working on it")]
pub(crate) struct Busy;

/// Makes the runs of agendas.
pub(crate) struct Crew<'a> {
    pub(crate) store: &'a Store,
    pub(crate) data: &'a DataCache,
    pub(crate) cancel: CancelToken,
    pub(crate) estimator: Mutex<Estimator>,
    pub(crate) progress: Mutex<Progress>,
    pub(crate) workers: Workers,
    /// When to stop and report what there is.
    pub(crate) deadline: Option<Instant>,
    /// Whether only runs that are there are read, and none is made.
    pub(crate) only_read: bool,
}

/// What is to be done, and what is being done.
struct Board<W> {
    waiting: Vec<Task<W>>,
    running: Vec<(String, u64)>,
    /// What is not there, where runs are only read.
    missing: Vec<Task<W>>,
    stopped: bool,
    /// What is wrong with the folder: no run can be made there.
    broken: Option<anyhow::Error>,
}

impl Crew<'_> {
    /// Brings an agenda's tasks, and those that follow from them, to their ends; those that are left when the
    /// time is up, or where runs are only read.
    ///
    /// # Errors
    /// [`ReproError::Stopped`] when the user asked for it.
    pub(crate) fn run<A: Agenda>(
        &self,
        agenda: &A,
        tasks: Vec<Task<A::What>>,
    ) -> Result<Vec<Task<A::What>>> {
        self.expect(seconds(&tasks));
        let board = Mutex::new(Board {
            waiting: tasks,
            running: Vec::new(),
            missing: Vec::new(),
            stopped: false,
            broken: None,
        });
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.count {
                scope.spawn(|| self.work(agenda, &board, &changed));
            }
        });
        lock(&self.progress).finish();
        let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
        if board.waiting.is_empty() && !self.only_read {
            self.store.tidy()?;
        }
        if let Some(error) = board.broken {
            return Err(error.context("no run can be made"));
        }
        if board.stopped && !self.time_is_up() {
            return Err(anyhow!(ReproError::Stopped));
        }
        let left = board.waiting.into_iter().chain(board.missing);
        Ok(left.collect())
    }

    /// So many more seconds of work are to come than the tasks of which this crew knows.
    pub(crate) fn expect(&self, seconds: f64) {
        lock(&self.progress).expect(seconds);
    }

    /// What one worker does until nothing is left.
    fn work<A: Agenda>(&self, agenda: &A, board: &Mutex<Board<A::What>>, changed: &Condvar) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.workers.threads);
        let Ok(pool) = pool.build() else {
            self.note("a worker's threads cannot be started; going on with fewer workers");
            return;
        };
        while let Some(mut task) = self.next(board, changed) {
            let outcome = pool.install(|| self.perform(agenda, &task));
            let left = match outcome {
                Err(error) if error.is::<Busy>() => {
                    task.again = Some(Instant::now() + AGAIN);
                    Err(task)
                }
                Err(error) if is_stop(&error) => {
                    lock(board).stopped = true;
                    Err(task)
                }
                Err(error) if self.is_about_the_folder(&error) => {
                    let mut board = lock(board);
                    board.stopped = true;
                    board.broken = Some(error);
                    Err(task)
                }
                outcome => {
                    let more = agenda.note(&task, outcome);
                    self.expect(seconds(&more));
                    lock(&self.progress).add(&task.key, task.seconds);
                    Ok((task.key, more))
                }
            };
            let mut board = lock(board);
            let key = match &left {
                Ok((key, _)) => key,
                Err(task) => &task.key,
            };
            board.running.retain(|(running, _)| running != key);
            match left {
                Ok((_, more)) => board.waiting.extend(more),
                Err(task) if self.only_read => board.missing.push(task),
                Err(task) => board.waiting.push(task),
            }
            drop(board);
            changed.notify_all();
        }
        changed.notify_all();
    }

    /// The task to start now: what is finished, so that a call that is soon stopped reports it, else
    /// the longest; waits for one; `None` when all is done or stopped.
    fn next<W>(&self, board: &Mutex<Board<W>>, changed: &Condvar) -> Option<Task<W>> {
        let mut board = lock(board);
        loop {
            if self.time_is_up() {
                self.cancel.cancel();
            }
            if board.stopped || self.cancel.is_cancelled() {
                board.stopped = true;
                return None;
            }
            if board.waiting.is_empty() && board.running.is_empty() {
                return None;
            }
            if let Some(index) = self.longest(&board) {
                let task = board.waiting.swap_remove(index);
                board.running.push((task.key.clone(), task.bytes));
                return Some(task);
            }
            if board.running.is_empty() {
                let count = board.waiting.len();
                let plural = if count == 1 { "" } else { "s" };
                let message = format!("waiting for {count} run{plural} that others are making");
                lock(&self.progress).wait(&message);
            }
            let waited = changed.wait_timeout(board, LOOK);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn longest<W>(&self, board: &Board<W>) -> Option<usize> {
        let now = Instant::now();
        let used: u64 = board.running.iter().map(|(_, bytes)| bytes).sum();
        let fits = |task: &Task<W>| {
            board.running.is_empty() || used.saturating_add(task.bytes) <= self.workers.memory
        };
        let free = |task: &Task<W>| {
            task.again.is_none_or(|again| again <= now)
                && board.running.iter().all(|(key, _)| *key != task.key)
        };
        let ready = board.waiting.iter().enumerate();
        let teachers_are_over = |task: &Task<W>| {
            let waiting = board.waiting.iter().map(|other| &other.key);
            let mut open = waiting.chain(board.running.iter().map(|(key, _)| key));
            !open.any(|key| task.teachers.contains(key))
        };
        let ready = ready.filter(|(_, task)| fits(task) && free(task) && teachers_are_over(task));
        let longest = ready.max_by(|(_, a), (_, b)| {
            let order = a.finished.cmp(&b.finished);
            order.then(a.seconds.total_cmp(&b.seconds))
        });
        longest.map(|(index, _)| index)
    }

    pub(crate) fn time_is_up(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(crate) fn note(&self, message: &str) {
        lock(&self.progress).note(message);
    }

    /// Says that a finished run is being tested.
    pub(crate) fn say_testing<W>(&self, task: &Task<W>) {
        let message = format!("{}, testing", task.name);
        lock(&self.progress).say(&task.key, task.seconds, &message);
    }

    /// Makes a run, unless it is there, and reads it off.
    fn perform<A: Agenda>(&self, agenda: &A, task: &Task<A::What>) -> Result<A::Done> {
        let experiment = self.experiment(&task.config)?;
        let made = |folder, own| Made {
            run: experiment.id(),
            folder,
            own,
            store: self.store,
        };
        if self.only_read && !self.store.is_done(experiment.id()) {
            return Err(anyhow!(Busy));
        }
        match self.store.take(experiment.id(), &CARRY)? {
            Turn::Busy(_) => Err(anyhow!(Busy)),
            Turn::Done(folder) => {
                lock(&self.progress).resumed(&task.key, task.seconds);
                let outcome = finished(&experiment, &folder)?;
                agenda.finish(task, &made(&folder, false), outcome)
            }
            Turn::Mine(attempt) => {
                let outcome = match self.train(&experiment, task, &attempt) {
                    Err(error) if lasting(&error) => {
                        let problem = hw_core::one_line(error.as_ref());
                        let path = attempt.folder().join(FAILED);
                        hw_core::files::write_whole(&path, problem.as_bytes())?;
                        attempt.publish()?;
                        return Err(error);
                    }
                    outcome => outcome?,
                };
                let done = agenda.finish(task, &made(attempt.folder(), true), outcome)?;
                // Of a finished run nobody needs to go on.
                let last = attempt.folder().join(LAST);
                std::fs::remove_file(&last).map_err(hw_core::FileError::at("remove", &last))?;
                match attempt.publish()? {
                    Some(_) => Ok(done),
                    None => Err(anyhow!(Busy)),
                }
            }
        }
    }

    /// Whether an error would meet every other run as well.
    fn is_about_the_folder(&self, error: &anyhow::Error) -> bool {
        no_room(error) || self.store.check().is_err()
    }

    fn experiment(&self, config: &TrainConfig) -> Result<Experiment> {
        let train = self.data.get(&config.dataset, Split::Train)?;
        let test = match config.probe {
            Some(_) => Some(self.data.get(&config.dataset, Split::Test)?),
            None => None,
        };
        Ok(Experiment::new(config.clone(), train, test)?)
    }

    fn train<W>(
        &self,
        experiment: &Experiment,
        task: &Task<W>,
        attempt: &Attempt,
    ) -> Result<Outcome> {
        let cancel = self.cancel.child();
        // Most runs stop on their plateau, long before their last epoch.
        let likely = task.usual_epochs as f64 / task.config.epochs.max(1) as f64;
        let steps = experiment.steps().max(1) as f64 * likely;
        let mut observer = |event: &Event| {
            if self.time_is_up() {
                self.cancel.cancel();
            }
            if attempt.lost().is_cancelled() {
                cancel.cancel();
            }
            self.show(task, event, steps);
        };
        let mut options = RunOptions::new(&mut observer);
        options.cancel = cancel.clone();
        options.exclusive = true;
        let teachers = task.config.teacher.iter().flat_map(|teacher| &teacher.runs);
        options.teachers = teachers.map(|run| self.store.folder(run)).collect();
        let folder = attempt.folder();
        // Without the folder's name, which is another for each attempt: the report says why a run failed.
        let outcome = experiment.complete(folder, options)?;
        if !outcome.finished {
            return Err(match attempt.lost().is_cancelled() {
                true => anyhow!(Busy),
                false => anyhow!(ReproError::Stopped),
            });
        }
        if !outcome.partly_timed() {
            lock(&self.estimator).learn(&task.config, &outcome);
        }
        Ok(outcome)
    }

    /// Tells how far a run is, of so many steps.
    fn show<W>(&self, task: &Task<W>, event: &Event, steps: f64) {
        let mut progress = lock(&self.progress);
        let (epoch, step, detail) = match event {
            Event::Started {
                resumed_at: Some(step),
                steps_per_epoch,
                ..
            } => {
                let share = (*step as f64 / steps).min(1.0);
                progress.resumed(&task.key, share * task.seconds);
                let epoch = *step as usize / (*steps_per_epoch).max(1) + 1;
                (epoch, *step, String::new())
            }
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
        let share = (step as f64 / steps).min(1.0);
        let (name, epochs) = (&task.name, task.config.epochs);
        let message = format!("{name}, epoch {epoch}/{epochs}{detail}");
        progress.say(&task.key, share * task.seconds, &message);
    }
}

/// What became of a run that is there for all.
fn finished(experiment: &Experiment, folder: &Path) -> Result<Outcome> {
    if let Ok(problem) = std::fs::read_to_string(folder.join(FAILED)) {
        return Err(anyhow!(problem));
    }
    let outcome = experiment.finished(folder);
    outcome.with_context(|| {
        let folder = folder.display();
        format!("{folder} is damaged; remove it, and the run is made again")
    })
}

/// Whether a run would fail the same way wherever it is run.
fn lasting(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| matches!(cause.downcast_ref(), Some(TrainError::NotFinite { .. })))
}

/// Whether nothing can be written where it was tried.
fn no_room(error: &anyhow::Error) -> bool {
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StaleNetworkFileHandle,
    ];
    let errors = error.chain().filter_map(|cause| cause.downcast_ref());
    let mut errors = errors.map(std::io::Error::kind);
    errors.any(|kind| kinds.contains(&kind))
}

fn is_stop(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ReproError::Stopped))
}

/// What tasks should take, one after the other.
pub(crate) fn seconds<W>(tasks: &[Task<W>]) -> f64 {
    tasks.iter().map(|task| task.seconds).sum()
}

/// What makes two runs equal.
pub(crate) fn key(config: &TrainConfig) -> String {
    serde_json::to_string(config).expect("a configuration is JSON")
}

/// The keys of the runs in `folder` that are over. Whether a run really is of this data is found out when it
/// is opened.
pub(crate) fn finished_runs(folder: &Path) -> HashSet<String> {
    let runs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = runs
        .map(|run| run.path())
        .filter(|run: &PathBuf| run.is_dir());
    runs.filter_map(|run| Some(key(&hw_train::read_config(&run).ok()?)))
        .collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_core::FileError;

    #[test]
    fn a_full_disk_stops_everything_and_a_missing_file_costs_one_run() {
        let wrapped = |kind: ErrorKind| {
            let error = FileError::at("write", Path::new("x"))(kind.into());
            anyhow!(TrainError::from(error)).context("training in x")
        };
        assert!(no_room(&wrapped(ErrorKind::StorageFull)));
        assert!(no_room(&wrapped(ErrorKind::ReadOnlyFilesystem)));
        assert!(!no_room(&wrapped(ErrorKind::NotFound)));
        assert!(!lasting(&wrapped(ErrorKind::StorageFull)));
    }
}
