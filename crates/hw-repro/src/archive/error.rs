//! Why an archive cannot be used.

use std::path::PathBuf;

/// Why an archive of runs cannot be read, written or merged: one line that names the file or the run.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No such folder.
    #[error("{path}: there is no such folder; hw reproduce --archive {path} makes one")]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A folder without a manifest.
    #[error("{path} is no archive: it has no manifest.json of one")]
    NotAnArchive {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is cut short, changed or gone.
    #[error("{path} is damaged: {problem}; fetch the archive again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A format that this program does not know.
    #[error(
        "{path}: format version {found}, and this program reads version {known}; use a newer hw"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// A paper's file changed since.
    #[error(
        "{path}: made for another version of the paper {paper} (SHA-256 of its file {archived:.12}, here \
         {here:.12}); use the program that made it, or make it again with --archive"
    )]
    Paper {
        /// The archive.
        path: PathBuf,
        /// The paper.
        paper: String,
        /// The hash in the archive.
        archived: String,
        /// The hash here.
        here: String,
    },
    /// A paper that is not here.
    #[error(
        "{path}: it is about the paper {paper}, which is not here; name its file: hw reproduce {paper}.toml"
    )]
    NoPaper {
        /// The archive.
        path: PathBuf,
        /// The paper.
        paper: String,
    },
    /// Two reproductions that are not the same.
    #[error("{path}: an archive of another reproduction: {what} {found}, not {expected}")]
    OtherReproduction {
        /// The archive that does not fit.
        path: PathBuf,
        /// In what they differ.
        what: &'static str,
        /// What it has.
        found: String,
        /// What the first has.
        expected: String,
    },
    /// The same data set and edition with other contents.
    #[error(
        "{path}: run {run} is of other data: {set} has SHA-256 {found:.12}, and elsewhere {expected:.12}"
    )]
    OtherData {
        /// The archive.
        path: PathBuf,
        /// The run's id.
        run: String,
        /// The data set with its edition.
        set: String,
        /// Its checksum there.
        found: String,
        /// The checksum that others have.
        expected: String,
    },
    /// The same run with other results, though everything that decides them is the same.
    #[error(
        "{path}: run {run} has other results than the same run on the same kind of processor \
         ({processor}): {what}"
    )]
    Differs {
        /// The archive.
        path: PathBuf,
        /// The run's id.
        run: String,
        /// The processor of both.
        processor: String,
        /// In what they differ.
        what: String,
    },
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] hw_core::FileError),
}
