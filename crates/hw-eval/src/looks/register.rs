//! Looks on disk: one JSON object a line, appended by any number of processes at once.
//!
//! A line is written whole by one call, under the file's exclusive lock, and synced. Reading takes no
//! lock and never waits. A last line without its end is what a crash left, or what another process is
//! writing just now: it is not read, and the next append takes its place.

use super::{Count, Look};
use crate::error::EvalError;
use hw_core::FileError;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Usual name of a register's file.
pub const REGISTER: &str = "test-looks.jsonl";

/// A file of looks. A file that is not there is an empty register; the first look makes it.
#[derive(Debug)]
pub struct Register {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What became of a look that was to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was written.
    New,
    /// The same result was there already (see [`Look::repeats`]); nothing was written.
    Repeated,
}

/// The whole lines read so far: only what was appended since is read again.
#[derive(Debug, Default)]
struct Known {
    looks: Vec<Look>,
    /// Bytes up to the end of the last whole line.
    end: u64,
    /// Whole lines.
    lines: usize,
    /// The last of them, by which the file is known again.
    last: Vec<u8>,
}

/// What stands after the last whole line.
enum Tail {
    Nothing,
    /// A look that lacks only the end of its line: an editor left it so.
    Look(Box<Look>),
    /// The beginning of a line.
    Torn,
}

impl Register {
    /// Opens the register at `path` and reads it.
    ///
    /// # Errors
    /// [`EvalError::File`] when it is there but cannot be read, [`EvalError::DamagedRegister`] when a
    /// whole line of it is no look.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, EvalError> {
        let register = Self {
            path: path.into(),
            known: Mutex::default(),
        };
        register.read().map(drop)?;
        Ok(register)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a look down, unless it repeats one that is there. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`EvalError::Look`] when a field of the look is wrong, [`EvalError::File`] when the file cannot
    /// be written, [`EvalError::DamagedRegister`] as for [`Self::open`]. The file is then as it was.
    pub fn record(&self, look: &Look) -> Result<Recorded, EvalError> {
        self.record_under(look, lock)
    }

    /// The count of `recipe` on the test set of that checksum, with what others recorded meanwhile.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn looks(&self, recipe: &str, test_sha256: &str) -> Result<Count, EvalError> {
        Ok(Count::of(&self.all()?, recipe, test_sha256))
    }

    /// All looks in the order in which they were recorded, also those that others recorded meanwhile.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn all(&self) -> Result<Vec<Look>, EvalError> {
        let (known, tail) = self.read()?;
        let mut looks = known.looks.clone();
        if let Tail::Look(look) = tail {
            looks.push(*look);
        }
        Ok(looks)
    }

    /// Records under what `lock` makes of the file: whether nobody else can be writing.
    fn record_under(
        &self,
        look: &Look,
        lock: impl FnOnce(&File) -> bool,
    ) -> Result<Recorded, EvalError> {
        look.check()?;
        // A repeated look needs no right to write.
        let (known, tail) = self.read()?;
        if holds(&known, &tail, look) {
            return Ok(Recorded::Repeated);
        }
        drop(known);
        let file = self.open_to_append()?;
        let alone = lock(&file);
        let (known, tail) = self.read_from(&file)?;
        if holds(&known, &tail, look) {
            return Ok(Recorded::Repeated);
        }
        let end = match (&tail, alone) {
            (Tail::Torn, false) => return Err(self.torn(known.lines + 1)),
            (Tail::Torn, true) => Some(known.end),
            _ => None,
        };
        let missing_end = matches!(tail, Tail::Look(_));
        append(&file, end, &line(look, missing_end), alone)
            .map_err(FileError::at("write", &self.path))?;
        Ok(Recorded::New)
    }

    fn open_to_append(&self) -> Result<File, FileError> {
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            hw_core::files::create_folder(folder)?;
        }
        let mut options = File::options();
        let file = options.create(true).append(true).read(true);
        file.open(&self.path)
            .map_err(FileError::at("write", &self.path))
    }

    /// Reads what is new, without any lock.
    fn read(&self) -> Result<(MutexGuard<'_, Known>, Tail), EvalError> {
        match File::open(&self.path) {
            Ok(file) => self.read_from(&file),
            Err(error) if is_absent(&error) => {
                let mut known = self.known();
                *known = Known::default();
                Ok((known, Tail::Nothing))
            }
            Err(error) => Err(FileError::at("read", &self.path)(error).into()),
        }
    }

    fn read_from(&self, file: &File) -> Result<(MutexGuard<'_, Known>, Tail), EvalError> {
        let mut known = self.known();
        let new = known
            .new_bytes(file)
            .map_err(FileError::at("read", &self.path))?;
        let tail = known
            .take(&new)
            .map_err(|(line, problem)| EvalError::DamagedRegister {
                path: self.path.clone(),
                line,
                problem: format!("is no look at a test set ({problem})"),
            })?;
        Ok((known, tail))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whole lines are taken in one by one, so what a panic left is right, too.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn torn(&self, line: usize) -> EvalError {
        EvalError::DamagedRegister {
            path: self.path.clone(),
            line,
            problem: "breaks off, and without file locks another process may be writing it".into(),
        }
    }
}

impl Known {
    /// The bytes after the last whole line; all of them if the file is not the one read before.
    fn new_bytes(&mut self, mut file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.end - self.last.len() as u64))?;
        file.read_to_end(&mut bytes)?;
        if bytes.starts_with(&self.last) {
            return Ok(bytes.split_off(self.last.len()));
        }
        *self = Self::default();
        bytes.clear();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes whole lines in; a line that is no look is told by its number, with what is wrong.
    fn take(&mut self, bytes: &[u8]) -> Result<Tail, (usize, String)> {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let look = (!line.trim_ascii().is_empty()).then(|| parse(line));
            if line.last() != Some(&b'\n') {
                return Ok(match look {
                    Some(Ok(look)) => Tail::Look(Box::new(look)),
                    _ => Tail::Torn,
                });
            }
            match look.transpose() {
                Ok(look) => self.looks.extend(look),
                Err(problem) => return Err((self.lines + 1, problem)),
            }
            self.lines += 1;
            self.end += line.len() as u64;
            self.last = line.into();
        }
        Ok(Tail::Nothing)
    }
}

fn holds(known: &Known, tail: &Tail, look: &Look) -> bool {
    let last = match tail {
        Tail::Look(last) => Some(&**last),
        _ => None,
    };
    known
        .looks
        .iter()
        .chain(last)
        .any(|known| known.repeats(look))
}

/// A look from its line, or what is wrong with it.
fn parse(line: &[u8]) -> Result<Look, String> {
    let look: Look = serde_json::from_slice(line).map_err(|error| {
        // Within the line; which line it is, is said before.
        error
            .to_string()
            .replace(" at line 1 column ", " at column ")
    })?;
    look.check().map_err(|error| error.to_string())?;
    Ok(look)
}

/// The line of a look; it begins with the end of the line before where that one lacks it.
fn line(look: &Look, missing_end: bool) -> String {
    let object = serde_json::to_string(look).expect("strings and finite numbers are JSON");
    format!("{}{object}\n", if missing_end { "\n" } else { "" })
}

/// Writes `line` at the end of the file, after cutting it off at `cut`, by one call, and syncs it. What
/// a full disk takes only in part is taken back while nobody else can be writing.
fn append(mut file: &File, cut: Option<u64>, line: &str, alone: bool) -> io::Result<()> {
    if let Some(end) = cut {
        file.set_len(end)?;
    }
    let before = file.metadata()?.len();
    let written = loop {
        match file.write(line.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => break written,
        }
    };
    match written {
        Ok(bytes) if bytes == line.len() => file.sync_data(),
        part => {
            if alone {
                file.set_len(before)?;
            }
            part.and(Err(ErrorKind::StorageFull.into()))
        }
    }
}

/// Waits until the file is this process's alone; false where the file system knows no locks.
fn lock(file: &File) -> bool {
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            locked => return locked.is_ok(),
        }
    }
}

/// No such file, or no such folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::looks::{Purpose, now};

    fn look(run: &str) -> Look {
        Look {
            recipe: "recipe".into(),
            run: run.into(),
            test_sha256: "0".repeat(64),
            test: "digits".into(),
            images: 100,
            purpose: Purpose::Test,
            accuracy: 0.5,
            time: now(),
            program: "hw".into(),
            label: None,
        }
    }

    #[test]
    fn without_locks_lines_stay_whole_and_nothing_that_another_may_be_writing_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(folder.path().join(REGISTER)).unwrap();
        let without = |run: &str| register.record_under(&look(run), |_| false);
        assert_eq!(without("1").unwrap(), Recorded::New);
        assert_eq!(without("2").unwrap(), Recorded::New);
        let whole = std::fs::read(register.path()).unwrap();
        let torn = [&whole[..], b"{\"rec"].concat();
        std::fs::write(register.path(), &torn).unwrap();
        let error = without("3").unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("file locks"),
            "{error}"
        );
        assert_eq!(std::fs::read(register.path()).unwrap(), torn);
        assert_eq!(register.all().unwrap().len(), 2);
        // Under a lock nobody is writing it.
        assert_eq!(register.record(&look("3")).unwrap(), Recorded::New);
        let lines = [whole, line(&register.all().unwrap()[2], false).into()].concat();
        assert_eq!(std::fs::read(register.path()).unwrap(), lines);
    }

    #[test]
    fn what_another_wrote_while_the_lock_was_waited_for_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(REGISTER);
        let (first, second) = (
            Register::open(&path).unwrap(),
            Register::open(&path).unwrap(),
        );
        let recorded = first.record_under(&look("1"), |_| {
            second.record(&look("1")).unwrap();
            true
        });
        assert_eq!(recorded.unwrap(), Recorded::Repeated);
        assert_eq!(first.all().unwrap().len(), 1);
    }
}
