//! The training loop.

use crate::batch_norm::{BatchNormStatistics, reestimate};
use crate::calibrate;
use crate::checkpoint::{self, BEST, Last, Progress};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::evaluate::{Evaluation, evaluate, score};
use crate::events::{self, EpochRecord, Event, EventLog, Score};
use crate::experiment::{CONFIG, Experiment};
use crate::learner::{Learner, Scored};
use crate::load::LoadMeter;
use crate::provenance::{Computation, Machine};
use crate::stopping::Plateau;
use crate::teacher::Teaching;
use hw_core::shared::{Lease, Watch};
use hw_core::{CancelToken, FileError, Rng};
use hw_data::Batch;
use hw_models::{LossFunction, StepResult};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// File of a run's event log.
pub const EVENTS: &str = "events.jsonl";
/// File that says on what machine a run was made.
pub const RUN: &str = "run.json";
/// File that the process at work on a run holds locked; empty, and of no meaning when it is not locked.
pub const LOCK: &str = "lock";
/// Folder in which a run's owner says that it is at work; gone when nobody is.
pub const LEASE: &str = "lease";
/// How many of an epoch's last losses its record keeps.
const LAST_LOSSES: usize = 20;
/// Every so many steps, a step is logged and shown.
const STEPS_BETWEEN_EVENTS: u64 = 20;

/// How a run is run; nothing here changes its bits.
pub struct RunOptions<'a> {
    /// Asks the run to stop at the next step; it can then be resumed.
    pub cancel: CancelToken,
    /// Sees every event as it happens.
    pub observer: &'a mut dyn FnMut(&Event),
    /// Within a long epoch, a safe point is written this often.
    pub checkpoint_every: Duration,
    /// Whether the caller sees to it that nobody else writes into the run's folder; else the run does, by a
    /// file lock and a [lease](hw_core::shared).
    pub exclusive: bool,
    /// The teachers' weights, each a checkpoint or a run's folder, where the configuration names
    /// [teachers](crate::teacher) and the run's folder does not hold them yet.
    pub teachers: Vec<PathBuf>,
}

impl<'a> RunOptions<'a> {
    /// The usual options with this observer.
    pub fn new(observer: &'a mut dyn FnMut(&Event)) -> Self {
        Self {
            cancel: CancelToken::new(),
            observer,
            checkpoint_every: Duration::from_secs(60),
            exclusive: false,
            teachers: Vec::new(),
        }
    }
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether it is complete; else it can be resumed.
    pub finished: bool,
    /// All its epochs.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights are kept, counted from 1.
    pub best_epoch: usize,
    /// Whether it went on for as long as its score got better; `None` while it is not complete.
    pub plateau: Option<Plateau>,
}

impl Outcome {
    fn finished(config: &TrainConfig, history: Vec<EpochRecord>, best_epoch: usize) -> Self {
        Self {
            finished: true,
            plateau: Plateau::of(config, &history),
            history,
            best_epoch,
        }
    }

    /// Seconds spent on training steps.
    pub fn seconds(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum()
    }

    /// Whether any epoch's time was measured only in part, so that [`Self::seconds`] is too small.
    pub fn partly_timed(&self) -> bool {
        self.history.iter().any(|epoch| epoch.partial)
    }
}

/// What `run.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// The run's id.
    pub run: String,
    /// The machine that last worked on it.
    pub machine: Machine,
    /// What computed it.
    #[serde(default = "Computation::first")]
    pub computation: Computation,
}

impl Experiment {
    /// Runs in an empty folder.
    ///
    /// # Errors
    /// [`TrainError::Occupied`] when the folder already holds a run; [`TrainError::Busy`] when another
    /// process is at work in it; [`TrainError::NotFinite`] when training diverges; else whatever stopped it, with its last safe point on disk.
    pub fn start(&self, folder: &Path, options: RunOptions<'_>) -> Result<Outcome> {
        if folder.join(CONFIG).exists() {
            let found = read_run(folder).map_or_else(|| "of unknown id".into(), |file| file.run);
            return Err(TrainError::Occupied {
                path: folder.into(),
                found,
            });
        }
        self.proceed(folder, options)
    }

    /// Goes on where the run in `folder` stopped; a complete run is only read.
    ///
    /// # Errors
    /// [`TrainError::NoRun`] when there is none, [`TrainError::OtherRun`] when it is another,
    /// [`TrainError::OtherComputation`] when this program would compute it in another way; else as
    /// [`Self::start`].
    pub fn resume(&self, folder: &Path, options: RunOptions<'_>) -> Result<Outcome> {
        if !folder.join(CONFIG).exists() {
            return Err(TrainError::NoRun {
                path: folder.into(),
                missing: CONFIG,
            });
        }
        self.proceed(folder, options)
    }

    /// Starts, resumes or only reads the run in `folder`, whichever it needs to be complete.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn complete(&self, folder: &Path, options: RunOptions<'_>) -> Result<Outcome> {
        self.proceed(folder, options)
    }

    fn proceed(&self, folder: &Path, options: RunOptions<'_>) -> Result<Outcome> {
        if let Some(file) = read_run(folder) {
            self.stamp.check_run(folder, file.run, file.computation)?;
        }
        let restore = || Last::read(folder, &self.stamp);
        let complete = |last: &Last| self.completed(folder, last);
        if let Some(complete) = restore()?.as_ref().and_then(complete) {
            return Ok(complete);
        }
        let hold = match options.exclusive {
            true => None,
            false => Some(Hold::take(folder, &options.cancel)?),
        };
        // Another process may have gone on until a moment ago.
        let restored = restore()?;
        if let Some(complete) = restored.as_ref().and_then(complete) {
            return Ok(complete);
        }
        hw_core::files::remove_partial(folder)?;
        // Refused before the folder is a run's.
        let teaching = Teaching::find(&self.stamp, folder, &options.teachers, &self.device)?;
        write_json(&folder.join(CONFIG), &self.config)?;
        let file = RunFile {
            run: self.id().into(),
            machine: Machine::current(),
            computation: self.stamp.computation.clone(),
        };
        write_json(&folder.join(RUN), &file)?;
        let trainer = Trainer::new(self, folder, options, restored, teaching, hold.as_ref())?;
        let outcome = trainer.train();
        if let Some(hold) = hold {
            hold.lease.close();
        }
        outcome
    }

    /// What became of the run in `folder`, if it is this one and complete. Nothing is written, and the last
    /// checkpoint is not needed: only configuration, log and weights to use.
    pub fn finished(&self, folder: &Path) -> Option<Outcome> {
        read_run(folder).filter(|file| file.run == self.id())?;
        let events = events::read(&folder.join(EVENTS));
        match events.last() {
            Some(Event::Finished { best_epoch, .. }) if folder.join(BEST).exists() => Some(
                Outcome::finished(&self.config, events::epochs(&events), *best_epoch),
            ),
            _ => None,
        }
    }

    /// What became of a run that is complete.
    fn completed(&self, folder: &Path, last: &Last) -> Option<Outcome> {
        let read = || events::epochs(&events::read(&folder.join(EVENTS)));
        let best_epoch = last.progress.best.epoch;
        let finished = last.progress.finished;
        finished.then(|| Outcome::finished(&self.config, read(), best_epoch))
    }
}

/// A run's folder, taken for this process.
struct Hold {
    /// Held until the file is closed.
    _lock: File,
    /// For file systems that know no locks, or none that other machines see.
    lease: Lease,
}

impl Hold {
    fn take(folder: &Path, cancel: &CancelToken) -> Result<Self> {
        hw_core::files::create_folder(folder)?;
        let busy = || TrainError::Busy {
            path: folder.into(),
        };
        let path = folder.join(LOCK);
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(FileError::at("open", &path))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(busy());
        }
        let lease = Lease::take_patiently(&folder.join(LEASE), &Watch::default(), cancel)?;
        Ok(Self {
            _lock: lock,
            lease: lease.map_err(|_| busy())?,
        })
    }
}

/// What `run.json` in `folder` says, if it can be read.
pub fn read_run(folder: &Path) -> Option<RunFile> {
    serde_json::from_str(&std::fs::read_to_string(folder.join(RUN)).ok()?).ok()
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("plain structs are JSON") + "\n";
    Ok(hw_core::files::write_whole(path, text.as_bytes())?)
}

/// A run in progress.
struct Trainer<'a, 'o> {
    experiment: &'a Experiment,
    folder: &'a Path,
    options: RunOptions<'o>,
    hold: Option<&'a Hold>,
    learner: Learner,
    /// Whose answers it learns from, besides the labels.
    teaching: Option<Teaching>,
    progress: Progress,
    history: Vec<EpochRecord>,
    log: EventLog,
    clock: Clock,
}

/// What is scored at the end of an epoch, and what it makes of the images held out and of the probes'
/// training and test images.
#[derive(Default)]
struct Evaluations {
    scored: Option<Scored>,
    held_out: Option<Evaluation>,
    probes: Option<[Score; 2]>,
}

/// Time and work of the current epoch, in this process.
struct Clock {
    training: Duration,
    images: usize,
    partial: bool,
    /// Time and work since the last step event.
    recent: (Duration, usize),
    load: LoadMeter,
    saved: Instant,
}

impl Clock {
    fn new(partial: bool) -> Self {
        let recent = (Duration::ZERO, 0);
        Self {
            training: Duration::ZERO,
            images: 0,
            partial,
            recent,
            load: LoadMeter::new(),
            saved: Instant::now(),
        }
    }

    fn add(&mut self, elapsed: Duration, images: usize) {
        self.training += elapsed;
        self.images += images;
        self.recent.0 += elapsed;
        self.recent.1 += images;
    }
}

fn rate(elapsed: Duration, images: usize) -> f64 {
    if elapsed.is_zero() {
        0.0
    } else {
        images as f64 / elapsed.as_secs_f64()
    }
}

impl<'a, 'o> Trainer<'a, 'o> {
    fn new(
        experiment: &'a Experiment,
        folder: &'a Path,
        options: RunOptions<'o>,
        last: Option<Last>,
        teaching: Option<Teaching>,
        hold: Option<&'a Hold>,
    ) -> Result<Self> {
        let (progress, learner) = match last {
            Some(last) => {
                let executor = |graph, tensors: &_| experiment.executor(graph, tensors);
                let progress = last.progress.clone();
                (progress, last.learner(&experiment.config, executor)?)
            }
            None => (Progress::default(), experiment.learner()?),
        };
        let log = EventLog::open(&folder.join(EVENTS), progress.epoch, progress.step)?;
        let history = events::epochs(&events::read(&folder.join(EVENTS)));
        let clock = Clock::new(progress.next_batch > 0);
        Ok(Self {
            experiment,
            folder,
            options,
            hold,
            learner,
            teaching,
            progress,
            history,
            log,
            clock,
        })
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f32 {
        let progress = &self.progress;
        self.experiment
            .learning_rate(progress.step, &progress.plateau)
    }

    /// What is scored and kept at the end of `epoch`, counted from 0: the averaged weights, and statistics that
    /// belong to the weights, where the configuration asks for them.
    fn scored(&mut self, epoch: usize) -> Result<Scored> {
        let mut scored = self.learner.scored();
        let statistics = self.experiment.config.batch_norm_statistics;
        if let Some(BatchNormStatistics::Reestimate { images }) = statistics {
            // As the epoch showed them, but none mixed with another.
            let batches = self.experiment.train.epoch(epoch as u64, 0);
            let (executor, buffers) = (self.learner.executor(), scored.buffers);
            scored.buffers = reestimate(executor, &scored.weights, buffers, batches, images)?;
        }
        Ok(scored)
    }

    /// Asked before every write: who slept until another took the run over writes nothing more.
    fn check_hold(&self) -> Result<()> {
        match self.hold {
            Some(hold) if !hold.lease.is_held()? => Err(TrainError::Busy {
                path: self.folder.into(),
            }),
            _ => Ok(()),
        }
    }

    fn emit(&mut self, event: Event) -> Result<()> {
        self.check_hold()?;
        self.log.append(&event)?;
        (self.options.observer)(&event);
        Ok(())
    }

    fn train(mut self) -> Result<Outcome> {
        self.announce()?;
        match self.epochs() {
            Ok(true) => self.finish(),
            Ok(false) => self.interrupted(),
            Err(error) => {
                self.tell_divergence(&error)?;
                Err(error)
            }
        }
    }

    /// Trains the epochs that are left; false if it was interrupted.
    fn epochs(&mut self) -> Result<bool> {
        let stopping = self.experiment.config.early_stopping;
        while self.progress.epoch < self.experiment.config.epochs {
            // Asked before each epoch, not after: a run killed just after its last epoch was saved
            // must not train one more when it is resumed.
            let step = self.progress.step;
            if self.progress.best.should_stop(step, stopping) {
                let best_epoch = self.progress.best.epoch;
                self.emit(Event::EarlyStop {
                    epoch: self.progress.epoch,
                    best_epoch,
                })?;
                break;
            }
            if !self.epoch()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes down that the run diverged, if that is what the error says.
    fn tell_divergence(&mut self, error: &TrainError) -> Result<()> {
        let TrainError::NotFinite { epoch, step, .. } = error else {
            return Ok(());
        };
        self.emit(Event::Diverged {
            epoch: *epoch,
            step: *step,
            problem: hw_core::one_line(error),
        })
    }

    fn announce(&mut self) -> Result<()> {
        let experiment = self.experiment;
        let (train_images, validation_images) = experiment.sizes();
        self.emit(Event::Started {
            run: experiment.id().into(),
            model: experiment.spec.name.clone(),
            parameters: self.learner.graph().parameter_count(),
            dataset: experiment.stamp.data.dataset.clone(),
            synthetic: experiment.stamp.data.synthetic,
            train_images,
            validation_images,
            steps_per_epoch: experiment.train.batches_per_epoch(),
            epochs: experiment.config.epochs,
            resumed_at: Some(self.progress.step).filter(|step| *step > 0),
        })
    }

    /// Trains the rest of the current epoch; false if it was interrupted.
    fn epoch(&mut self) -> Result<bool> {
        let experiment = self.experiment;
        let mut started = Instant::now();
        for batch in experiment
            .train
            .epoch(self.progress.epoch as u64, self.progress.next_batch)
        {
            if self.options.cancel.is_cancelled() {
                return Ok(false);
            }
            let images = batch.labels.len();
            self.step(batch)?;
            self.clock.add(started.elapsed(), images);
            self.after_step()?;
            started = Instant::now();
        }
        self.end_of_epoch()?;
        Ok(true)
    }

    fn step(&mut self, mut batch: Batch) -> Result<()> {
        let seed = self.experiment.config.seed;
        let mixed = self.experiment.config.mix.map(|mix| {
            let mut rng = Rng::stream(seed, "mix", self.progress.step);
            mix.apply(&mut batch, &mut rng)
        });
        let dropout_seed = Rng::stream(seed, "dropout", self.progress.step).next_u64();
        let count = batch.labels.len();
        let rate = self.learning_rate();
        let loss = self.experiment.config.loss.of_image(&self.experiment.loss);
        let pairs = mixed.as_ref().map(|mixed| mixed.pairs(&*loss));
        let loss: &dyn LossFunction = match &pairs {
            Some(pairs) => pairs,
            None => &*loss,
        };
        let (images, labels) = (&batch.images, &batch.labels);
        let StepResult { loss, correct } = match &mut self.teaching {
            Some(teaching) => {
                let answers = teaching.answers(&batch, self.progress.epoch)?;
                let loss = teaching.teacher().distilled(loss, &answers);
                self.learner
                    .step(images, labels, dropout_seed, &loss, rate)?
            }
            None => self
                .learner
                .step(images, labels, dropout_seed, loss, rate)?,
        };
        if !loss.is_finite() {
            return Err(self.diverged(&batch, dropout_seed, loss)?);
        }
        let progress = &mut self.progress;
        progress.step += 1;
        progress.next_batch += 1;
        progress.loss_sum += f64::from(loss) * count as f64;
        progress.correct += correct;
        progress.seen += count as u64;
        if progress.last_losses.len() == LAST_LOSSES {
            progress.last_losses.remove(0);
        }
        progress.last_losses.push(loss);
        Ok(())
    }

    /// The error of a run whose loss overflowed on these images.
    fn diverged(&self, batch: &Batch, dropout_seed: u64, loss: f32) -> Result<TrainError> {
        let (images, shape) = (&batch.images, batch.shape);
        let found = self
            .learner
            .first_non_finite(self.experiment, images, shape, dropout_seed);
        let place = found?.unwrap_or_else(|| "the loss".into());
        Ok(self.not_finite(loss, self.progress.step + 1, place))
    }

    fn after_step(&mut self) -> Result<()> {
        if self.progress.step.is_multiple_of(STEPS_BETWEEN_EVENTS) {
            let (elapsed, images) = std::mem::take(&mut self.clock.recent);
            self.emit(Event::Step {
                epoch: self.progress.epoch + 1,
                step: self.progress.step,
                loss: self.progress.last_losses.last().copied().unwrap_or(0.0),
                images_per_second: rate(elapsed, images),
            })?;
        }
        if self.clock.saved.elapsed() >= self.options.checkpoint_every {
            self.save_last()?;
        }
        Ok(())
    }

    /// The error of a run whose numbers overflowed in `step`.
    fn not_finite(&self, loss: f32, step: u64, place: String) -> TrainError {
        let epoch = self.progress.epoch + 1;
        let learning_rate = self
            .experiment
            .learning_rate(step.saturating_sub(1), &self.progress.plateau);
        TrainError::NotFinite {
            loss,
            epoch,
            step,
            place,
            learning_rate,
        }
    }

    /// The last step of an epoch can break the weights after a loss that was still a number.
    fn check_weights(&self) -> Result<()> {
        match self.learner.broken_tensor() {
            None => Ok(()),
            Some(name) => {
                let loss = self.progress.last_losses.last().copied();
                Err(self.not_finite(loss.unwrap_or(f32::NAN), self.progress.step, name))
            }
        }
    }

    fn end_of_epoch(&mut self) -> Result<()> {
        let load = self.clock.load.read();
        let experiment = self.experiment;
        let config = &experiment.config;
        let epoch = self.progress.epoch + 1;
        self.check_weights()?;
        let Evaluations {
            scored,
            held_out,
            probes,
        } = self.evaluations()?;
        let validation = held_out.as_ref().map(|held_out| held_out.score);
        if let Some(score) = validation.filter(|score| !score.loss.is_finite()) {
            let (loss, step) = (score.loss as f32, self.progress.step);
            return Err(self.not_finite(loss, step, "the validation loss".into()));
        }
        let best = self.is_best(epoch, validation.as_ref());
        let progress = &self.progress;
        let seen = progress.seen.max(1) as f64;
        let record = EpochRecord {
            epoch,
            step: progress.step,
            train: Score {
                loss: progress.loss_sum / seen,
                accuracy: progress.correct as f64 / seen,
                images: progress.seen as usize,
            },
            validation,
            train_probe: probes.map(|[train, _]| train),
            test_probe: probes.map(|[_, test]| test),
            // That of the epoch's last step.
            learning_rate: experiment
                .learning_rate(progress.step.saturating_sub(1), &progress.plateau),
            best,
            seconds: self.clock.training.as_secs_f64(),
            images_per_second: rate(self.clock.training, self.clock.images),
            partial: self.clock.partial,
            load,
            last_losses: progress.last_losses.clone(),
        };
        self.history.push(record.clone());
        self.emit(Event::Epoch(record))?;
        if let (Some(held_out), Some(scored), true) = (held_out, scored, best) {
            let (contents, stamp) = (self.learner.contents(&scored), &experiment.stamp);
            let temperature = Some(held_out.temperature());
            checkpoint::save_best(self.folder, contents, stamp, epoch, temperature)?;
        }
        let (rate, monitor) = (config.learning_rate, config.monitor);
        let mut plateau = self.progress.plateau;
        config
            .schedule
            .after_epoch(rate, validation.as_ref(), monitor, &mut plateau);
        let (step, best) = (self.progress.step, self.progress.best);
        self.progress = Progress {
            epoch,
            step,
            best,
            plateau,
            ..Progress::default()
        };
        self.clock = Clock::new(false);
        self.save_last()
    }

    fn evaluations(&mut self) -> Result<Evaluations> {
        let experiment = self.experiment;
        if experiment.validation.is_none() && experiment.probes.is_none() {
            return Ok(Evaluations::default());
        }
        let scored = self.scored(self.progress.epoch)?;
        let frozen = self.learner.freeze(&scored)?;
        let held_out = experiment.validation.as_ref();
        let held_out = held_out.map(|loader| evaluate(&frozen, loader, calibrate::IMAGES));
        let probes = match &experiment.probes {
            Some([train, test]) => Some([score(&frozen, train)?, score(&frozen, test)?]),
            None => None,
        };
        Ok(Evaluations {
            scored: Some(scored),
            held_out: held_out.transpose()?,
            probes,
        })
    }

    /// Takes note of an epoch's validation score; whether its weights are the best so far. Without
    /// one, the last are.
    fn is_best(&mut self, epoch: usize, validation: Option<&Score>) -> bool {
        let (config, step) = (&self.experiment.config, self.progress.step);
        let (monitor, stopping) = (config.monitor, config.early_stopping);
        let best = &mut self.progress.best;
        match validation {
            Some(score) => best.update(epoch, step, score, monitor, stopping),
            None => {
                (best.epoch, best.step) = (epoch, step);
                true
            }
        }
    }

    fn save_last(&mut self) -> Result<()> {
        self.check_hold()?;
        let (contents, state) = (self.learner.trained(), self.learner.state());
        let stamp = &self.experiment.stamp;
        checkpoint::save_last(self.folder, contents, state, stamp, &self.progress)?;
        self.clock.saved = Instant::now();
        Ok(())
    }

    fn interrupted(mut self) -> Result<Outcome> {
        self.save_last()?;
        let (epoch, step) = (self.progress.epoch + 1, self.progress.step);
        self.emit(Event::Interrupted { epoch, step })?;
        let best_epoch = self.progress.best.epoch;
        Ok(Outcome {
            finished: false,
            history: self.history,
            best_epoch,
            plateau: None,
        })
    }

    fn finish(mut self) -> Result<Outcome> {
        let best_epoch = self.progress.best.epoch;
        if self.experiment.validation.is_none() {
            // That epoch is the last.
            let scored = self.scored(best_epoch.saturating_sub(1))?;
            let (contents, stamp) = (self.learner.contents(&scored), &self.experiment.stamp);
            checkpoint::save_best(self.folder, contents, stamp, best_epoch, None)?;
        }
        let history = std::mem::take(&mut self.history);
        let outcome = Outcome::finished(&self.experiment.config, history, best_epoch);
        let epochs = self.progress.epoch;
        self.emit(Event::Finished {
            epochs,
            best_epoch,
            seconds: outcome.seconds(),
        })?;
        self.progress.finished = true;
        self.save_last()?;
        Ok(outcome)
    }
}
