//! Everything that can go wrong between a model's name and its logits.

use std::path::PathBuf;

/// An error of `hw-models`; each says what was wrong, where, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No model of that name is in the catalogue.
    #[error("unknown model '{name}'; known models: {known}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// A setting that the model does not have, or a value that it does not take.
    #[error("model '{model}': {problem}")]
    Setting {
        /// The model's name.
        model: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A layer cannot take what comes before it.
    #[error("layer {layer} of model '{model}': {problem}")]
    Layer {
        /// The model's name.
        model: String,
        /// The layer's name, "conv2" say.
        layer: String,
        /// What does not fit.
        problem: String,
    },
    /// The network ends in something else than one logit a class.
    #[error(
        "model '{model}' ends in shape {shape:?}, expected one logit for each of {classes} classes"
    )]
    Output {
        /// The model's name.
        model: String,
        /// The shape it ends in, without the batch.
        shape: Vec<usize>,
        /// The declared number of classes.
        classes: usize,
    },
    /// A weights file lacks a tensor that the model has, or holds one that it does not have.
    #[error("{path}: {problem}")]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] hw_core::FileError),
    /// A kernel refused its input.
    #[error(transparent)]
    Kernel(#[from] hw_kernels::KernelError),
    /// The tensor library refused an operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// `Result` with a [`ModelError`].
pub type Result<T> = std::result::Result<T, ModelError>;
