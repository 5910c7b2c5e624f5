//! Files appear whole or not at all: written beside their destination, synced, then renamed.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What the names of files begin with while they are being written.
const PARTIAL: &str = ".partial-";

/// A file operation that failed, with the file's name and what was being done.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}")]
pub struct FileError {
    /// What was being done, as a verb: "write", "read", "create folder".
    pub action: &'static str,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl FileError {
    /// Attaches the action and the path to an operating-system error; for `map_err`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// Writes `bytes` to `path` whole or not at all.
///
/// # Errors
/// [`FileError`] when the folder cannot be made or the file cannot be written (a full disk, say);
/// the destination is then as it was before and nothing is left beside it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], for content produced in pieces by `fill`.
///
/// # Errors
/// As [`write_whole`]; an error returned by `fill` counts as a failed write.
pub fn write_whole_with(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folder(folder)?;
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(folder)?;
        fill(file.as_file_mut())?;
        file.as_file().sync_all()?;
        // tempfile creates 0600; a result file should be as readable as any other file.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file()
                .set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(FileError::at("write", path))
}

/// Removes what a process that was killed while writing left in `folder`; nobody else may be
/// writing there. A folder that is not there has nothing to remove.
///
/// # Errors
/// [`FileError`] when the folder cannot be listed or a file not be removed.
pub fn remove_partial(folder: &Path) -> Result<(), FileError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(FileError::at("list folder", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(FileError::at("list folder", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PARTIAL)) {
            std::fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes `folder` and its parents if they are not there yet.
///
/// # Errors
/// [`FileError`] naming the folder.
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(folder).map_err(FileError::at("create folder", folder))
}

/// Reads a whole text file.
///
/// # Errors
/// [`FileError`] when the file is missing, unreadable or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::at("read", path))
}

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's content, streamed, as 64 lower-case hexadecimal digits.
///
/// # Errors
/// [`FileError`] when the file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, FileError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 16];
    let mut read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            hasher.update(&buffer[..count]);
        }
    };
    read().map_err(FileError::at("read", path))?;
    Ok(hex(&hasher.finalize()))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        write_whole(&path, b"old").unwrap();
        let failed = write_whole_with(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        let message = failed.unwrap_err().to_string();
        assert!(
            message.contains("result.json") && message.contains("disk full"),
            "{message}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".partial-x1", "partial-y", "last.safetensors"] {
            write_whole(&folder.path().join(name), b"content").unwrap();
        }
        remove_partial(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(!folder.path().join(".partial-x1").exists());
        remove_partial(&folder.path().join("absent")).unwrap();
    }

    #[test]
    fn a_whole_write_makes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        write_whole(&path, b"content").unwrap();
        assert_eq!(read_text(&path).unwrap(), "content");
    }

    #[test]
    fn sha256_matches_the_published_test_vector() {
        // FIPS 180-4, the one-block message "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        write_whole(&path, b"abc").unwrap();
        assert_eq!(sha256_of_file(&path).unwrap(), expected);
    }
}
