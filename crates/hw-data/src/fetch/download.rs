//! One file from one address: resumed, retried, checked, and only then given its name.

use super::{FetchOptions, FetchProgress};
use crate::DataError;
use crate::published::Checksum;
use crate::verify::file_matches;
use hw_core::FileError;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode};

/// Bytes read at a time.
const PIECE: usize = 1 << 16;
/// No wait between tries is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where a file is had.
pub(super) enum Source {
    /// The file itself.
    File(String),
    /// An archive with it inside.
    Archive(String),
}

impl Source {
    pub(super) fn url(&self) -> &str {
        match self {
            Self::File(url) | Self::Archive(url) => url,
        }
    }
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

/// Downloads `url` to `path`. What an earlier try left beside it is gone on with.
pub(super) fn download(
    url: &str,
    path: &Path,
    sum: Checksum,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<(), Attempts> {
    let part = partial(path);
    let agent = agent(options);
    let mut left = options.tries.max(1);
    let mut wait = options.backoff;
    loop {
        let before = length(&part)?;
        let trouble = match piece(&agent, url, path, &part, options, progress)? {
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
        tracing::info!("{url}: {trouble}; trying again in {wait:?}");
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

fn agent(options: &FetchOptions) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(options.patience))
        .timeout_recv_response(Some(options.patience))
        .http_status_as_error(false)
        .user_agent(concat!("handwriting-workbench/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn worth_another_try(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
        || status == StatusCode::RANGE_NOT_SATISFIABLE
}

/// One try: asks for what is missing and appends it. `Ok(Ok(()))` when the server says that is all.
fn piece(
    agent: &ureq::Agent,
    url: &str,
    path: &Path,
    part: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<Result<(), Trouble>, Attempts> {
    let here = length(part)?;
    let mut request = agent.get(url);
    if here > 0 {
        request = request.header("Range", format!("bytes={here}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Err(Trouble::NoAnswer(error.to_string()))),
    };
    let status = response.status();
    let start = match status {
        StatusCode::PARTIAL_CONTENT if starts_at(response.headers(), here) => here,
        StatusCode::OK => 0,
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // All is here already, or more than all: the checksum tells.
            let whole = length_of_range(response.headers()) == Some(here);
            if whole {
                return Ok(Ok(()));
            }
            remove(part)?;
            return Ok(Err(Trouble::Status(status)));
        }
        _ => return Ok(Err(Trouble::Status(status))),
    };
    let rest = number(response.headers(), "content-length");
    let total = rest.map(|rest| start + rest);
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(start == 0)
        .append(start > 0)
        .open(part)
        .map_err(FileError::at("write", part))?;
    let pieces = read_aside(response.into_body().into_reader());
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
            Ok(Err(error)) => return Ok(Err(Trouble::Broken(error.to_string()))),
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

/// Reads in a thread of its own, because a read that stalls cannot be given up from outside. An
/// empty piece is the end.
fn read_aside(mut body: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, pieces) = sync_channel(4);
    std::thread::spawn(move || {
        loop {
            let mut bytes = vec![0; PIECE];
            let piece = body.read(&mut bytes).map(|count| {
                bytes.truncate(count);
                bytes
            });
            let last = !piece.as_ref().is_ok_and(|bytes| !bytes.is_empty());
            if sender.send(piece).is_err() || last {
                return;
            }
        }
    });
    pieces
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether a partial answer begins where it was asked to.
fn starts_at(headers: &HeaderMap, start: u64) -> bool {
    let range = headers
        .get("content-range")
        .and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// The whole length, as a refused range says: `bytes */LENGTH`.
fn length_of_range(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes */")?.parse().ok()
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
