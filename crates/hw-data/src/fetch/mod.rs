//! Getting the published files: from their official addresses and from copies on the Hugging Face
//! hub, resumed where a connection broke, accepted by checksum only, whole or not at all.
//!
//! The published checksum decides, not the source: each file is tried at every address until one gives
//! it. Copies on the hub come first for EMNIST, because they are single files; its official archive
//! (540 MB) is fetched when they fail, and only the wanted members are unpacked.
//!
//! With the feature `hub`, copies on the hub are had through hf-hub, with the user's token and from
//! whatever storage the hub uses; without it, by their plain addresses.

mod download;
#[cfg(feature = "hub")]
mod hub;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod unzip;
mod web;

use crate::catalogue::{DatasetId, Entry};
use crate::locate::{DataDirs, file_names};
use crate::published::{Checksum, PUBLISHED, PublishedFile};
use crate::verify::{file_matches, holds_content};
use crate::{DataError, Split};
use download::{Address, Attempts, Trouble};
use hw_core::FileError;
use hw_core::files::create_folder;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use web::Web;

/// EMNIST's archive and its published checksum; its members lie under `gzip/`.
const ARCHIVE: (&str, Checksum) = (
    "gzip.zip",
    Checksum::Md5("58c8d27c78d21e728a6bc7b3cc06412e"),
);

/// How files are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// A folder address that holds the files (or EMNIST's `gzip.zip`) and is used instead of the
    /// published ones.
    pub mirror: Option<String>,
    /// Tries at one address before the next is taken; one that brings anything does not count.
    pub tries: u32,
    /// Wait after a failed try; doubled each time.
    pub backoff: Duration,
    /// A connection that brings nothing for this long is given up.
    pub patience: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            mirror: None,
            tries: 4,
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(20),
        }
    }
}

/// How far a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchProgress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes here, those of an earlier try included.
    pub done: u64,
    /// Bytes it will have, if the server says.
    pub total: Option<u64>,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// The address it came from; none if it was there already.
    pub from: Option<String>,
}

/// The folder that files of `id` are fetched into: the first of the data folders, and in it the
/// set's own.
///
/// # Errors
/// [`DataError::Invalid`] for glyphs and folders, which are not published, or without a data folder.
pub fn target(id: &DatasetId, dirs: &DataDirs) -> Result<PathBuf, DataError> {
    let root = dirs.roots.first().ok_or_else(|| {
        DataError::invalid("data folder", "there is none; name one by --data-dir")
    })?;
    Ok(root.join(published(id)?.folders[0]))
}

fn published(id: &DatasetId) -> Result<&'static Entry, DataError> {
    id.entry().ok_or_else(|| {
        DataError::invalid(
            id.to_string(),
            "is not published; there is nothing to fetch",
        )
    })
}

/// Fetches the four files of a set into `folder`, leaving alone those that are there.
///
/// # Errors
/// [`DataError::Fetch`] when no address gives a file with the published checksum, with what to place
/// where by hand; [`DataError::Different`] when another file stands in its place;
/// [`DataError::File`] when the folder cannot be written.
pub fn fetch(
    id: &DatasetId,
    folder: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<Vec<Fetched>, DataError> {
    let entry = published(id)?;
    create_folder(folder)?;
    let names = [Split::Train, Split::Test].map(|split| file_names(entry, split));
    let mut fetched = Vec::new();
    for name in names.iter().flatten() {
        let sum = published_sum(entry, name)?;
        let path = folder.join(format!("{name}.gz"));
        let from = match is_there(entry, name, &path, sum)? {
            true => None,
            false => Some(one(entry, &path, sum, options, progress)?),
        };
        fetched.push(Fetched { path, from });
    }
    Ok(fetched)
}

/// What is published of a file of the set's first edition, which is the one to fetch.
fn listed(entry: &Entry, name: &str) -> Option<&'static PublishedFile> {
    let edition = entry.editions.first()?.name;
    PUBLISHED
        .iter()
        .find(|file| (file.set, file.name, file.edition) == (entry.name, name, edition))
}

/// The checksum of the gzip file.
fn published_sum(entry: &Entry, name: &str) -> Result<Checksum, DataError> {
    listed(entry, name)
        .and_then(|file| file.gzip)
        .ok_or_else(|| {
            DataError::invalid(
                name,
                "has no published checksum, so nothing could be believed",
            )
        })
}

/// Whether the published file, or its content packed anew, is at `path`.
fn is_there(entry: &Entry, name: &str, path: &Path, sum: Checksum) -> Result<bool, DataError> {
    if !path.exists() {
        return Ok(false);
    }
    let content = listed(entry, name).and_then(|file| file.content);
    if file_matches(path, sum)? {
        return Ok(true);
    }
    match content {
        Some(content) if holds_content(path, content)? => Ok(true),
        _ => Err(DataError::Different { path: path.into() }),
    }
}

/// Fetches one file from the first address that gives it; returns that address.
fn one(
    entry: &Entry,
    path: &Path,
    sum: Checksum,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<String, DataError> {
    let mut troubles = Vec::new();
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let mut sources = sources(entry, name, options);
    if path.with_file_name(ARCHIVE.0).exists() {
        // What another set left needs no network; the rest keeps its order.
        sources.sort_by_key(|source| matches!(source, Source::File(_)));
    }
    for source in sources {
        let result = match &source {
            Source::File(file) => download::download(&**file, path, sum, options, progress),
            Source::Archive(url) => from_archive(url, path, name, sum, options, progress),
        };
        match result {
            Ok(()) => return Ok(source.name()),
            Err(Attempts::Here(error)) => return Err(error),
            Err(Attempts::There(trouble)) => troubles.push((source.name(), trouble)),
        }
    }
    Err(not_fetched(entry, path, name, &troubles))
}

/// Where a file is had.
enum Source {
    /// The file itself.
    File(Box<dyn Address>),
    /// The address of an archive with it inside.
    Archive(String),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::File(file) => file.name(),
            Self::Archive(url) => url.clone(),
        }
    }
}

/// Every address of a file, the best first.
fn sources(entry: &Entry, name: &str, options: &FetchOptions) -> Vec<Source> {
    let below = |folder: &str, name: &str| format!("{}/{name}", folder.trim_end_matches('/'));
    let plain = |url: &str| Source::File(Box::new(Web::new(url, options.patience)));
    let archived = entry.sources.iter().any(|url| url.ends_with(".zip"));
    if let Some(mirror) = &options.mirror {
        let mut sources = vec![plain(&below(mirror, name))];
        if archived {
            sources.push(Source::Archive(below(mirror, ARCHIVE.0)));
        }
        return sources;
    }
    let hub = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into());
    let copies = entry
        .hub
        .iter()
        .map(|repository| Source::File(copy(&hub, repository, name, options.patience)));
    let official = entry.sources.iter().map(|url| match url.ends_with(".zip") {
        true => Source::Archive(url.to_string()),
        false => plain(&below(url, name)),
    });
    copies.chain(official).collect()
}

/// A copy of a file in a data set on the hub.
#[cfg(feature = "hub")]
fn copy(hub: &str, repository: &str, name: &str, patience: Duration) -> Box<dyn Address> {
    Box::new(hub::HubFile::new(hub, repository, name, patience))
}

/// A copy of a file in a data set on the hub, by the address that the hub gives it.
#[cfg(not(feature = "hub"))]
fn copy(hub: &str, repository: &str, name: &str, patience: Duration) -> Box<dyn Address> {
    let hub = hub.trim_end_matches('/');
    let url = format!("{hub}/datasets/{repository}/resolve/main/{name}");
    Box::new(Web::new(&url, patience))
}

/// Fetches the archive once, beside the files, and unpacks one member of it.
fn from_archive(
    url: &str,
    path: &Path,
    name: &str,
    sum: Checksum,
    options: &FetchOptions,
    progress: &mut dyn FnMut(&FetchProgress<'_>),
) -> Result<(), Attempts> {
    let archive = path.with_file_name(ARCHIVE.0);
    if !archive.exists() {
        let whole = Web::new(url, options.patience);
        download::download(&whole, &archive, ARCHIVE.1, options, progress)?;
    }
    Ok(unzip::unpack(&archive, &format!("gzip/{name}"), path, sum)?)
}

/// Removes EMNIST's archive from `folder`, if it is there: of no use once every wanted set was fetched,
/// and until then kept, so that it is downloaded once for all of them.
///
/// # Errors
/// [`DataError::File`] when it cannot be removed.
pub fn remove_archive(folder: &Path) -> Result<(), DataError> {
    let archive = folder.join(ARCHIVE.0);
    match archive.exists() {
        true => Ok(std::fs::remove_file(&archive).map_err(FileError::at("remove", &archive))?),
        false => Ok(()),
    }
}

fn not_fetched(
    entry: &Entry,
    path: &Path,
    name: &str,
    troubles: &[(String, Trouble)],
) -> DataError {
    let offline = troubles
        .iter()
        .all(|(_, trouble)| matches!(trouble, Trouble::NoAnswer(_)));
    let tried: Vec<String> = troubles
        .iter()
        .map(|(url, t)| format!("{url} {t}"))
        .collect();
    DataError::Fetch {
        file: name.to_string(),
        offline,
        tried: tried.join(", "),
        advice: format!(
            "place it as {} (published at {})",
            path.display(),
            entry.sources[0]
        ),
    }
}
