//! What the protocol asks of the machine it runs on: files, a clock, and whether a process is alive.

use super::owner::Owner;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A machine with a file system that others may share.
pub(super) trait System: Send + Sync {
    /// Makes a folder in one that exists; `false` if it is there already. Of many who try, one succeeds.
    fn claim(&self, folder: &Path) -> io::Result<bool>;
    /// Names in a folder; none if there is no folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// A file's content, if there is one.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Writes a file whole or not at all, into a folder that exists.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Copies a file as it is at one moment; `false` if there is none.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<bool>;
    /// Whether there is such a file or folder.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Renames a file, replacing another, or a folder, which fails if `to` is a folder with content.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it, if it is there.
    fn remove(&self, folder: &Path) -> io::Result<()>;
    /// A clock of this machine alone that only goes forward.
    fn now(&self) -> Duration;
    /// This process, for a new lease in `home`.
    fn owner(&self, home: &Path) -> Owner;
    /// Whether a process is known not to work in `home`.
    fn is_gone(&self, owner: &Owner, home: &Path) -> bool;
}

/// The machine this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Here;

impl System for Here {
    fn claim(&self, folder: &Path) -> io::Result<bool> {
        match fs::create_dir(folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries?,
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Err(error) if is_absent(&error) => Ok(None),
            read => read.map(Some),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Not `write_whole`: that makes the folder, and one that was removed must stay so.
        let partial = path.with_extension("partial");
        fs::write(&partial, bytes)?;
        fs::rename(&partial, path)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let partial = to.with_extension("partial");
        match fs::copy(from, &partial) {
            Err(error) if is_absent(&error) => Ok(false),
            copied => {
                copied?;
                fs::rename(&partial, to).map(|()| true)
            }
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if is_absent(&error) => Ok(()),
            removed => removed,
        }
    }

    fn now(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn owner(&self, home: &Path) -> Owner {
        Owner::current(home)
    }

    fn is_gone(&self, owner: &Owner, home: &Path) -> bool {
        owner.is_gone(home)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
