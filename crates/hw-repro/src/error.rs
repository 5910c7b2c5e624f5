//! What can keep a reproduction from being made.

use super::archive::ArchiveError;
use std::path::PathBuf;

/// Why a reproduction could not be made. A run that fails is none of it: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum ReproError {
    /// A paper file that says something impossible.
    #[error("{file}: {problem}")]
    Paper {
        /// The file, or "the paper" where it has no name.
        file: String,
        /// What is wrong, where.
        problem: String,
    },
    /// A sweep file that says something impossible.
    #[error("{file}: {problem}")]
    Sweep {
        /// The file.
        file: String,
        /// What is wrong, where.
        problem: String,
    },
    /// Something was asked for that does not exist.
    #[error("{0}")]
    Usage(String),
    /// Data that was asked for is not there.
    #[error("--data real, but {set} cannot be had: {problem}")]
    Data {
        /// The data set.
        set: String,
        /// Why.
        problem: String,
    },
    /// A file or folder that cannot be read or written.
    #[error("{path}: {problem}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The engine that should start workers is not there, or refuses.
    #[error("--engine slurm: {0}")]
    Engine(String),
    /// An archive of runs that cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The user stopped it; the same call goes on.
    #[error("stopped; run the same command again to go on")]
    Stopped,
    /// The user stopped a proof, which begins anew when it is asked for again.
    #[error("stopped; what was proved until then is above")]
    StoppedProof,
    /// Anything else, in one line.
    #[error("{0}")]
    Other(String),
}

impl ReproError {
    /// The exit status of a program that ends with it: 2 for wrong usage, 130 when stopped, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Stopped | Self::StoppedProof => 130,
            _ => 1,
        }
    }
}

impl From<anyhow::Error> for ReproError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(other) => Self::Other(hw_core::one_line(other.as_ref())),
        }
    }
}
