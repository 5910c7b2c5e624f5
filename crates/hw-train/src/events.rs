//! What happens during a run, as a stream that the progress bar, the log and the report all read.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Mean loss and accuracy over some images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Share of correct answers, 0 to 1.
    pub accuracy: f64,
    /// Number of images.
    pub images: usize,
}

/// One epoch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// Over the epoch's batches as they were trained on (dropout and batch statistics included).
    pub train: Score,
    /// On the validation set, if there is one.
    pub validation: Option<Score>,
    /// On the first images of the training set, if asked for.
    pub train_probe: Option<Score>,
    /// On the first images of the test set, if asked for; nothing is chosen by it.
    pub test_probe: Option<Score>,
    /// The learning rate in force.
    pub learning_rate: f32,
    /// Whether these are the best weights so far.
    pub best: bool,
    /// Seconds spent on training steps, evaluation excluded.
    pub seconds: f64,
    /// Training images a second over those seconds.
    pub images_per_second: f64,
    /// Whether the run was resumed inside this epoch, so that `seconds` covers its last part only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The share of this machine's processor time, 0 to 1, that other processes took meanwhile (see
    /// [`crate::load`]); absent where the system does not say, and in logs of before it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// The epoch's last losses, one a step, oldest first (at most 20).
    pub last_losses: Vec<f32>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins or goes on.
    Started {
        /// The run's id.
        run: String,
        /// The model's name.
        model: String,
        /// Trainable parameters.
        parameters: usize,
        /// The data set.
        dataset: String,
        /// Whether that data is generated, not collected.
        synthetic: bool,
        /// Images trained on.
        train_images: usize,
        /// Images held out.
        validation_images: usize,
        /// Steps an epoch.
        steps_per_epoch: usize,
        /// Epochs at most.
        epochs: usize,
        /// Steps already taken, when a stopped run goes on.
        resumed_at: Option<u64>,
    },
    /// A training step.
    Step {
        /// The epoch, counted from 1.
        epoch: usize,
        /// Steps since the start of the run.
        step: u64,
        /// The batch's mean loss.
        loss: f32,
        /// Training images a second since the last such event.
        images_per_second: f64,
    },
    /// An epoch is over.
    Epoch(EpochRecord),
    /// The monitored score no longer improves.
    EarlyStop {
        /// The last epoch.
        epoch: usize,
        /// The epoch whose weights are kept.
        best_epoch: usize,
    },
    /// The run was asked to stop and can be resumed.
    Interrupted {
        /// The epoch it was in.
        epoch: usize,
        /// Steps since the start of the run.
        step: u64,
    },
    /// The run's numbers overflowed; the same configuration will always do so.
    Diverged {
        /// The epoch it was in.
        epoch: usize,
        /// The step that broke it, counted from 1.
        step: u64,
        /// What happened, in a line.
        problem: String,
    },
    /// The run is complete.
    Finished {
        /// Epochs trained.
        epochs: usize,
        /// The epoch whose weights are kept.
        best_epoch: usize,
        /// Seconds spent on training steps in all.
        seconds: f64,
    },
}

/// The JSON-lines log of a run, one event a line.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Opens the log at `path` for appending, after dropping everything later than the first
    /// `epochs` epochs and `steps` steps: a resumed run tells it again.
    ///
    /// # Errors
    /// [`hw_core::FileError`] when the log cannot be read or written.
    pub fn open(path: &Path, epochs: usize, steps: u64) -> Result<Self, hw_core::FileError> {
        let keep: Vec<Event> = read(path)
            .into_iter()
            .filter(|event| match event {
                Event::Started { .. } => steps > 0,
                Event::Epoch(record) => record.epoch <= epochs,
                Event::Step { step, .. } => *step <= steps,
                _ => false,
            })
            .collect();
        let mut text = Vec::new();
        for event in &keep {
            text.extend(line(event));
        }
        hw_core::files::write_whole(path, &text)?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(hw_core::FileError::at("open", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    /// Appends an event.
    ///
    /// # Errors
    /// [`hw_core::FileError`] when the disk is full, say.
    pub fn append(&mut self, event: &Event) -> Result<(), hw_core::FileError> {
        let mut write = || {
            self.file.write_all(&line(event))?;
            match event {
                // What is written next counts on it, even if the machine stops.
                Event::Epoch(_) | Event::Finished { .. } => self.file.sync_data(),
                _ => Ok(()),
            }
        };
        write().map_err(hw_core::FileError::at("append to", &self.path))
    }
}

fn line(event: &Event) -> Vec<u8> {
    // An event holds only numbers and strings; its JSON cannot fail.
    let mut text = serde_json::to_vec(event).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The events of a log, up to the first line that is not whole; none if there is no log.
pub fn read(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map_while(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The epochs among some events, in order.
pub fn epochs(events: &[Event]) -> Vec<EpochRecord> {
    let record = |event: &Event| match event {
        Event::Epoch(record) => Some(record.clone()),
        _ => None,
    };
    events.iter().filter_map(record).collect()
}
