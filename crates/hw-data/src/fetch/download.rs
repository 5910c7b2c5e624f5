//! One file from one address: resumed, retried, checked, and only then given its name.

use super::{FetchOptions, FetchProgress};
use crate::DataError;
use crate::published::Checksum;
use crate::verify::file_matches;
use hw_core::FileError;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use ureq::http::StatusCode;

/// No wait between tries is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// An address that may have a file.
pub(super) trait Address {
    /// How it is called in messages.
    fn name(&self) -> String;

    /// Asks for the bytes from `here` on.
    fn ask(&self, here: u64) -> Result<Answer, Trouble>;
}

/// What an address says.
pub(super) enum Answer {
    /// There are no further bytes.
    NothingMore,
    /// There are not even so many bytes.
    Fewer(Trouble),
    /// They come.
    Bytes {
        /// From where on: as asked, or from 0 where ranges are not known.
        start: u64,
        /// How many there will be in the end, if it says.
        total: Option<u64>,
        /// They themselves; an empty piece is the end.
        pieces: Receiver<Result<Vec<u8>, String>>,
    },
}

/// Why an address did not give the file.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No server, or none that answered.
    NoAnswer(String),
    /// The server refused.
    Status(StatusCode),
    /// The connection broke or stalled, again and again.
    Broken(String),
    /// The whole file came, and it is not the published one.
    OtherFile,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(reason) => write!(f, "does not answer ({reason})"),
            Self::Status(status) => write!(f, "answers {status}"),
            Self::Broken(reason) => write!(f, "breaks off ({reason})"),
            Self::OtherFile => f.write_str("gives a file with another checksum"),
        }
    }
}

/// Why there is no file: because of the address, or because of this machine.
pub(super) enum Attempts {
    There(Trouble),
    Here(DataError),
}

impl From<DataError> for Attempts {
    fn from(error: DataError) -> Self {
        Self::Here(error)
    }
}

impl From<FileError> for Attempts {
    fn from(error: FileError) -> Self {
        Self::Here(error.into())
    }
}

/// Downloads the file at `address` to `path`. What an earlier try left beside it is gone on with.
pub(super) fn download(
    address: &dyn Address,
    path: &Path,
    sum: Checksum,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<(), Attempts> {
    let part = partial(path);
    let mut left = options.tries.max(1);
    let mut wait = options.backoff;
    loop {
        let before = length(&part)?;
        let trouble = match piece(address, path, &part, options, progress)? {
            Ok(()) if file_matches(&part, sum)? => return finish(&part, path),
            Ok(()) => {
                remove(&part)?;
                // What was resumed may have come from elsewhere; then the whole file gets a chance.
                if before == 0 {
                    return Err(Attempts::There(Trouble::OtherFile));
                }
                Trouble::OtherFile
            }
            Err(trouble) => trouble,
        };
        if let Trouble::Status(status) = &trouble
            && !worth_another_try(*status)
        {
            return Err(Attempts::There(trouble));
        }
        if length(&part)? > before {
            (left, wait) = (options.tries.max(1), options.backoff);
        } else {
            // Where nobody answers at all, waiting longer seldom helps.
            let cost = if matches!(trouble, Trouble::NoAnswer(_)) {
                2
            } else {
                1
            };
            left = left.saturating_sub(cost);
        }
        if left == 0 {
            return Err(Attempts::There(trouble));
        }
        let name = address.name();
        tracing::info!("{name}: {trouble}; trying again in {wait:?}");
        std::thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Where a file grows until it is whole.
pub(super) fn partial(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file");
    path.with_file_name(format!(".{name}.part"))
}

fn worth_another_try(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
        || status == StatusCode::RANGE_NOT_SATISFIABLE
}

/// One try: asks for what is missing and appends it. `Ok(Ok(()))` when the server says that is all.
fn piece(
    address: &dyn Address,
    path: &Path,
    part: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<Result<(), Trouble>, Attempts> {
    let (start, total, pieces) = match address.ask(length(part)?) {
        Ok(Answer::Bytes {
            start,
            total,
            pieces,
        }) => (start, total, pieces),
        // The checksum tells whether that is so.
        Ok(Answer::NothingMore) => return Ok(Ok(())),
        Ok(Answer::Fewer(trouble)) => {
            remove(part)?;
            return Ok(Err(trouble));
        }
        Err(trouble) => return Ok(Err(trouble)),
    };
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(start == 0)
        .append(start > 0)
        .open(part)
        .map_err(FileError::at("write", part))?;
    let mut done = start;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    loop {
        progress(&FetchProgress {
            file: name,
            done,
            total,
        });
        match pieces.recv_timeout(options.patience) {
            Ok(Ok(bytes)) if bytes.is_empty() => break,
            Ok(Ok(bytes)) => {
                file.write_all(&bytes)
                    .map_err(FileError::at("write", part))?;
                done += bytes.len() as u64;
            }
            Ok(Err(reason)) => return Ok(Err(Trouble::Broken(reason))),
            Err(RecvTimeoutError::Timeout) => {
                let reason = format!("nothing came for {:?}", options.patience);
                return Ok(Err(Trouble::Broken(reason)));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Err(Trouble::Broken("the reader stopped".into())));
            }
        }
    }
    Ok(match total {
        Some(total) if done < total => {
            Err(Trouble::Broken(format!("{done} of {total} bytes came")))
        }
        _ => Ok(()),
    })
}

fn length(part: &Path) -> Result<u64, FileError> {
    match std::fs::metadata(part) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(FileError::at("look at", part)(error)),
    }
}

fn remove(part: &Path) -> Result<(), FileError> {
    std::fs::remove_file(part).map_err(FileError::at("remove", part))
}

/// Syncs the whole file and gives it its name.
fn finish(part: &Path, path: &Path) -> Result<(), Attempts> {
    let file = File::open(part).map_err(FileError::at("read", part))?;
    file.sync_all().map_err(FileError::at("write", part))?;
    std::fs::rename(part, path).map_err(FileError::at("write", path))?;
    Ok(())
}
