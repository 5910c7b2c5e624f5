//! Whether the files of a data set are, byte for byte, the published ones.

use crate::catalogue::DatasetId;
use crate::locate::{DataDirs, SplitFiles, locate};
use crate::published::{Checksum, PUBLISHED, PublishedFile};
use crate::{DataError, gzip};
use hw_core::FileError;
use hw_core::files::hex;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is known of a file after its checksums were computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The gzip file is the published one.
    Published,
    /// The content is the published one, packed anew or unpacked.
    Content,
    /// A checksum is known and this is not it: another file or a damaged one.
    Different,
    /// No checksum is known for this file of this edition.
    Unlisted,
}

/// One file and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file.
    pub path: PathBuf,
    /// Its edition by its number of images.
    pub edition: &'static str,
    /// What its checksums say.
    pub verdict: Verdict,
}

/// Reads every file of a set (both parts, as far as they are there) and compares checksums.
/// Glyphs and folders have no files to check.
///
/// # Errors
/// As [`locate`], and [`DataError::File`] when a file cannot be read or uncompressed.
pub fn verify(id: &DatasetId, dirs: &DataDirs) -> Result<Vec<FileCheck>, DataError> {
    let located = locate(id, dirs)?;
    let set = id.to_string();
    let mut checks = Vec::new();
    for files in [&located.train, &located.test].into_iter().flatten() {
        for path in [&files.images, &files.labels] {
            checks.push(FileCheck {
                path: path.clone(),
                edition: files.edition,
                verdict: judge(path, published(&set, path, files))?,
            });
        }
    }
    Ok(checks)
}

/// The catalogue's line for a file, by set, edition and name in any spelling.
fn published(set: &str, path: &Path, files: &SplitFiles) -> Option<&'static PublishedFile> {
    let name = path.file_name()?.to_str()?;
    let name = name
        .strip_suffix(".gz")
        .unwrap_or(name)
        .replace(".idx", "-idx");
    PUBLISHED
        .iter()
        .find(|file| file.set == set && file.edition == files.edition && file.name == name)
}

fn judge(path: &Path, known: Option<&PublishedFile>) -> Result<Verdict, DataError> {
    let Some(known) = known else {
        return Ok(Verdict::Unlisted);
    };
    if let Some(gzip) = known.gzip
        && matches(gzip, || open_plain(path), path)?
    {
        return Ok(Verdict::Published);
    }
    let content = || Ok::<_, DataError>(gzip::open(path)?.reader);
    Ok(match known.content {
        Some(sum) if matches(sum, content, path)? => Verdict::Content,
        _ => Verdict::Different,
    })
}

fn open_plain(path: &Path) -> Result<std::fs::File, DataError> {
    Ok(std::fs::File::open(path).map_err(FileError::at("read", path))?)
}

fn matches<R: Read>(
    sum: Checksum,
    open: impl FnOnce() -> Result<R, DataError>,
    path: &Path,
) -> Result<bool, DataError> {
    let reader = open()?;
    Ok(match sum {
        Checksum::Md5(known) => digest::<Md5>(reader, path)? == known,
        Checksum::Sha256(known) => digest::<Sha256>(reader, path)? == known,
    })
}

/// Whether a file's own bytes have that checksum.
#[cfg(feature = "fetch")]
pub(crate) fn file_matches(path: &Path, sum: Checksum) -> Result<bool, DataError> {
    matches(sum, || open_plain(path), path)
}

/// Whether a file's uncompressed content has that checksum; not if it cannot be uncompressed.
#[cfg(feature = "fetch")]
pub(crate) fn holds_content(path: &Path, sum: Checksum) -> Result<bool, DataError> {
    let content = || Ok::<_, DataError>(gzip::open(path)?.reader);
    Ok(matches(sum, content, path).unwrap_or(false))
}

/// Whether what a reader gives has that checksum; `path` is for messages.
#[cfg(feature = "fetch")]
pub(crate) fn reader_matches(
    reader: impl Read,
    sum: Checksum,
    path: &Path,
) -> Result<bool, DataError> {
    matches(sum, || Ok(reader), path)
}

/// SHA-256 of a file's uncompressed content, as hexadecimal digits.
pub(crate) fn content_sha256(path: &Path) -> Result<String, DataError> {
    digest::<Sha256>(gzip::open(path)?.reader, path)
}

fn digest<D: Digest>(mut reader: impl Read, path: &Path) -> Result<String, DataError> {
    let mut hasher = D::new();
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::at("read", path)(error).into()),
        }
    }
}
