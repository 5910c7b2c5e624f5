//! Everything that can go wrong in training.

use crate::experiment::CONFIG;
use crate::provenance::Computation;
use std::path::PathBuf;

/// An error of `hw-train`; each says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A field of the configuration makes no sense.
    #[error("config: {field} is {value}, expected {expected}")]
    Config {
        /// The field's name.
        field: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A config or run file cannot be understood.
    #[error("{path}: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder already belongs to a run.
    #[error(
        "{path} already holds run {found}; choose another folder, or continue it with --resume"
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The run that lives there.
        found: String,
    },
    /// Another process works on the run.
    #[error("{path} is being worked on by another process; wait for it, or stop it")]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// The folder holds another run than the one to be continued.
    #[error(
        "{path} holds run {found}, but its config and data now give run {expected}; \
         the data or the config changed since it was started"
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// The run that lives there.
        found: String,
        /// The run that was to be continued.
        expected: String,
    },
    /// The folder holds a run that this program would compute in another way, to other bits.
    #[error(
        "{path} holds run {run}, computed in {found}; this program computes such a run in {now}, to other \
         bits, so it does not go on with it; use its weights as they are (`hw eval --checkpoint {path}`), \
         finish it with the program that began it, or start it anew: `hw train --config \
         {path}/{CONFIG} --out FOLDER`",
        path = path.display()
    )]
    OtherComputation {
        /// The run's folder.
        path: PathBuf,
        /// The run that lives there.
        run: String,
        /// What computed it.
        found: Box<Computation>,
        /// What would go on with it.
        now: Box<Computation>,
    },
    /// The folder holds no run.
    #[error("{path} holds no run: {missing} is missing; start one with `hw train --out`")]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that every run has.
        missing: &'static str,
    },
    /// The loss or a weight is no number any more.
    #[error(
        "training diverged at epoch {epoch}, step {step}, where the loss was {loss}; the first value \
         that is not finite is in {place}; lower the learning rate (now {learning_rate:?}) or check \
         the data's scale"
    )]
    NotFinite {
        /// The step's loss; NaN or infinite unless it was the step itself that broke a weight.
        loss: f32,
        /// Counted from 1.
        epoch: usize,
        /// Steps since the start of the run, counted from 1.
        step: u64,
        /// A layer's or tensor's name.
        place: String,
        /// The learning rate in force.
        learning_rate: f32,
    },
    /// A data set could not be had.
    #[error(transparent)]
    Data(#[from] hw_data::DataError),
    /// A model could not be built or stored.
    #[error(transparent)]
    Model(#[from] hw_models::ModelError),
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] hw_models::DeviceError),
    /// A kernel refused its input.
    #[error(transparent)]
    Kernel(#[from] hw_kernels::KernelError),
    /// The tensor library refused an operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] hw_core::FileError),
}

/// `Result` with a [`TrainError`].
pub type Result<T> = std::result::Result<T, TrainError>;
