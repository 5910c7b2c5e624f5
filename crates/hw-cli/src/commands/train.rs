//! `hw train`: a run from its configuration to its weights, in one go or several.

use super::{INTERRUPTED, SYNTHETIC, data_dirs, experiment, load};
use crate::args::{Common, TrainArgs};
use crate::failure::Usage;
use crate::lower::train_config;
use crate::output::{answer, counted, score};
use crate::progress::{self, TrainProgress};
use crate::test_looks::{self, Scored, TestLooks};
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_data::{DataDirs, Split};
use hw_eval::looks::Purpose;
use hw_models::DeviceChoice;
use hw_train::checkpoint::{BEST, LAST};
use hw_train::{
    DataStamp, EpochRecord, Experiment, Outcome, Plateau, RunOptions, TrainConfig, read_config,
};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn run(args: &TrainArgs, common: &Common) -> Result<ExitCode> {
    let (folder, config) = match (&args.resume, &args.out) {
        (Some(folder), _) => (folder, read_config(folder)?),
        (None, Some(folder)) => (folder, train_config(&args.run, args.emnist.emnist)?),
        (None, None) => return Err(Usage("--out or --resume is needed".into()).into()),
    };
    let cancel = CancelToken::new();
    progress::stop_on_interrupt(&cancel).context("cannot listen for Ctrl-C")?;
    let dirs = data_dirs(common)?;
    if args.resume.is_some() {
        check_device(&config, args)?;
    }
    let experiment = experiment(config, &args.device, &dirs, common)?;

    let mut progress = TrainProgress::new(common.verbose);
    let mut observe = |event: &_| progress.observe(event);
    let options = RunOptions {
        cancel,
        checkpoint_every: Duration::from_secs(args.checkpoint_every),
        teachers: args.run.teacher.clone(),
        ..RunOptions::new(&mut observe)
    };
    let outcome = match args.resume {
        Some(_) => experiment.resume(folder, options),
        None => experiment.start(folder, options),
    };
    progress.clear();
    let outcome = outcome?;
    let finished = outcome.finished;
    let register = args.looks.or_of(&folder.join(BEST));
    let test_looks = probed(&experiment, &outcome, register, &dirs, common)?;
    let told = Answer::new(&experiment, folder, outcome, test_looks, common);
    answer(common.json, &told)?;
    Ok(if finished {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INTERRUPTED)
    })
}

/// A run stays on its kind of device: another kind gives other bits, so it would be another run.
fn check_device(config: &TrainConfig, args: &TrainArgs) -> Result<()> {
    let (own, asked) = (config.device, args.device.device);
    match asked.filter(|asked| asked.kind() != own) {
        None => Ok(()),
        Some(asked) => Err(Usage(format!(
            "the run was started on {own} and cannot go on on {asked}, which gives other bits; leave --device \
             out, or start another run with --config and --device {asked}"
        ))
        .into()),
    }
}

/// Counts the look that a probe is, with the test images' last score; `None` without a probe. A run that
/// was stopped was looked at, too.
fn probed(
    experiment: &Experiment,
    outcome: &Outcome,
    register: PathBuf,
    dirs: &DataDirs,
    common: &Common,
) -> Result<Option<TestLooks>> {
    let Some(probe) = outcome.history.last().and_then(|epoch| epoch.test_probe) else {
        return Ok(None);
    };
    let config = experiment.config();
    let dirs = dirs.clone().with_edition(config.edition);
    let test = load(&config.dataset, Split::Test, &dirs, common)?;
    let scored = Scored {
        test: &DataStamp::of(&test),
        images: probe.images as u64,
        accuracy: probe.accuracy,
        purpose: Purpose::Probe,
    };
    Ok(test_looks::count(experiment.stamp(), scored, register))
}

/// What became of a run.
#[derive(Debug, Serialize)]
struct Answer {
    run: String,
    folder: PathBuf,
    finished: bool,
    model: String,
    parameters: usize,
    dataset: String,
    edition: String,
    synthetic: bool,
    train_images: usize,
    validation_images: usize,
    seed: u64,
    /// The epoch whose weights are kept; 0 before the first is over.
    best_epoch: usize,
    /// Whether it went on for as long as its score got better; null while it is not complete.
    plateau: Option<Plateau>,
    /// Spent on training steps; too small if `partly_timed`.
    seconds: f64,
    partly_timed: bool,
    history: Vec<EpochRecord>,
    /// The weights to use, once there are any.
    checkpoint: Option<PathBuf>,
    /// Where test images were scored after each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_looks: Option<TestLooks>,
    /// The command that goes on with a stopped run.
    resume: Option<String>,
    /// A command that measures the weights.
    #[serde(skip)]
    next: String,
}

impl Answer {
    fn new(
        experiment: &Experiment,
        folder: &Path,
        outcome: Outcome,
        test_looks: Option<TestLooks>,
        common: &Common,
    ) -> Self {
        let stamp = experiment.stamp();
        let device = DeviceChoice::of(experiment.device());
        let (train_images, validation_images) = experiment.sizes();
        let found = [BEST, LAST]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|p| p.exists());
        Self {
            run: stamp.run.clone(),
            folder: folder.to_path_buf(),
            finished: outcome.finished,
            model: experiment.spec().name.clone(),
            // The same declaration was resolved when the experiment was made.
            parameters: experiment
                .spec()
                .lower()
                .map_or(0, |model| model.parameter_count()),
            dataset: stamp.data.dataset.clone(),
            edition: stamp.data.edition.clone(),
            synthetic: stamp.data.synthetic,
            train_images,
            validation_images,
            seed: stamp.config.seed,
            best_epoch: outcome.best_epoch,
            plateau: outcome.plateau,
            seconds: outcome.seconds(),
            partly_timed: outcome.partly_timed(),
            history: outcome.history,
            checkpoint: found,
            test_looks,
            resume: (!outcome.finished)
                .then(|| format!("hw train --resume {}{}", quoted(folder), on(device)))
                .map(|line| command(line, common)),
            next: command(
                format!(
                    "hw eval --checkpoint {} --dataset {}{}",
                    quoted(folder),
                    stamp.data.dataset,
                    on(device),
                ),
                common,
            ),
        }
    }
}

/// The option that leads to the same device; the processor needs none.
fn on(device: DeviceChoice) -> String {
    match device {
        DeviceChoice::Cpu => String::new(),
        device => format!(" --device {device}"),
    }
}

/// A command line that finds the same data.
fn command(line: String, common: &Common) -> String {
    match &common.data_dir {
        Some(data) => format!("{line} --data-dir {}", quoted(data)),
        None => line,
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "{SYNTHETIC}")?;
        }
        let (run, epochs) = (&self.run, self.history.len());
        if let Some(command) = &self.resume {
            let epochs = counted(epochs, "whole epoch");
            writeln!(f, "run {run} stopped after {epochs}; everything is saved")?;
            if let Some(looks) = &self.test_looks {
                writeln!(f, "{looks}")?;
            }
            return writeln!(f, "go on with: {command}");
        }
        writeln!(
            f,
            "run {run}: {} on {} of {} ({}), {}, seed {}, {}{:.1} s of training",
            self.model,
            counted(self.train_images, "image"),
            self.dataset,
            self.edition,
            counted(epochs, "epoch"),
            self.seed,
            if self.partly_timed { "more than " } else { "" },
            self.seconds,
        )?;
        self.kept(f)?;
        if let Some(plateau) = self.plateau {
            writeln!(f, "{}", told(plateau))?;
        }
        if let Some(looks) = &self.test_looks {
            writeln!(f, "{looks}")?;
        }
        writeln!(f, "weights in {}", self.folder.join(BEST).display())?;
        writeln!(f, "next: {}", self.next)
    }
}

/// What a plateau, or none, means for the weights.
fn told(plateau: Plateau) -> &'static str {
    match plateau {
        Plateau::Stopped => "the validation score reached its plateau: patience was used up",
        Plateau::Complete => "all epochs were run; early stopping was not asked for",
        Plateau::Cut => {
            "the epochs were over before patience was used up: with more --epochs the validation \
             score may get better"
        }
    }
}

impl Answer {
    /// Says which epoch's weights are kept, and why.
    fn kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_kept = |record: &&EpochRecord| record.epoch == self.best_epoch;
        let Some(record) = self.history.iter().find(is_kept) else {
            return Ok(());
        };
        let epoch = record.epoch;
        match &record.validation {
            Some(held_out) => writeln!(
                f,
                "kept epoch {epoch}: {} on {} held out",
                score(held_out),
                counted(held_out.images, "image"),
            ),
            None => writeln!(
                f,
                "kept the last epoch, {epoch}: {} in training, nothing held out",
                score(&record.train),
            ),
        }
    }
}
