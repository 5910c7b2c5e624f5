//! What can be wrong with a file of another framework.

use std::path::PathBuf;

/// Why a network could not be written for another framework or read from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A name that no format has.
    #[error("unknown format \"{given}\"; known are {known}")]
    UnknownFormat {
        /// The name as given.
        given: String,
        /// All names.
        known: String,
    },
    /// The declaration is wrong.
    #[error(transparent)]
    Model(#[from] hw_models::ModelError),
    /// The format has no such network.
    #[error("{format} has no counterpart of model '{model}': {problem}")]
    NoCounterpart {
        /// The format.
        format: &'static str,
        /// The model's name.
        model: String,
        /// What it lacks or has too much, and what would do.
        problem: String,
    },
    /// A file is not of its format.
    #[error("{path}: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A tensor that the network needs is not there.
    #[error("{path} lacks the tensor '{tensor}'")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor that the network does not have.
    #[error("{path} holds the tensor '{tensor}', which is no part of model '{model}'")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The model's name.
        model: String,
    },
    /// A tensor of another shape.
    #[error("{path}: the tensor '{tensor}' has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
}
