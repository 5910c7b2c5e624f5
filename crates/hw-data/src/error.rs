//! Everything that can be wrong with data, one variant per thing the user has to do about it.

use hw_core::FileError;
use std::path::PathBuf;

/// Why data could not be found, read, believed or transformed. Each message is one line that names
/// the file (and byte offset, index or field) and what was expected there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused a file operation.
    #[error(transparent)]
    File(#[from] FileError),

    /// A file is not what its format says it must be.
    #[error("{path}: at byte {offset}: expected {expected}, found {found}")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where in the file; for a gzip file, where in its uncompressed content.
        offset: u64,
        /// What the format or the catalogue asks for at that place.
        expected: String,
        /// What is there.
        found: String,
    },

    /// An image file that the decoder refused.
    #[error("{path}: not a readable image: {reason}")]
    NotAnImage {
        /// The image file.
        path: PathBuf,
        /// The decoder's own words.
        reason: String,
    },

    /// An image without anything on it.
    #[error("the image is blank: nothing on it stands out from its border")]
    Blank,

    /// No folder holds the asked-for data set.
    #[error("data set {set} not found: {looked}; {advice}")]
    NotFound {
        /// The data set asked for.
        set: String,
        /// Every folder looked in and what it lacked.
        looked: String,
        /// What to place where.
        advice: String,
    },

    /// A file that no address gave.
    #[error(
        "cannot fetch {file}{}: {tried}; {advice}",
        if *.offline { ", this machine seems to be offline" } else { "" }
    )]
    Fetch {
        /// The file.
        file: String,
        /// Whether no server answered at all.
        offline: bool,
        /// Every address and what was wrong with it.
        tried: String,
        /// What to place where.
        advice: String,
    },

    /// Another file stands where the published one belongs.
    #[error(
        "{path} is there but is not the published file; move it away or name another folder by --data-dir"
    )]
    Different {
        /// The file.
        path: PathBuf,
    },

    /// A name that no data set has.
    #[error("unknown data set \"{name}\"{}; valid names: {valid}", did_you_mean(.suggestion))]
    UnknownDataset {
        /// The name as given.
        name: String,
        /// The nearest valid name, if one is near.
        suggestion: Option<String>,
        /// All valid names.
        valid: String,
    },

    /// A file's images and labels differ in number.
    #[error("{images} holds {image_count} images but {labels} holds {label_count} labels")]
    CountMismatch {
        /// The images file.
        images: PathBuf,
        /// How many images it holds.
        image_count: usize,
        /// The labels file.
        labels: PathBuf,
        /// How many labels it holds.
        label_count: usize,
    },

    /// A value that a configuration must not have, found when it was checked.
    #[error("{what}: {problem}")]
    Invalid {
        /// The field or argument.
        what: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|name| format!(", did you mean \"{name}\"?"))
        .unwrap_or_default()
}

impl DataError {
    /// Shorthand for [`DataError::Invalid`].
    pub(crate) fn invalid(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            problem: problem.into(),
        }
    }
}
