//! A folder of finished results that many processes fill, see [`crate::shared`].
//!
//! `WORK/<name>/<token>/` belongs to one attempt at the result `name`, with what it has written so far in
//! `WORK/<name>/<token>/content/`; `DONE/<name>/` is the result, which is there whole or not at all.

use super::lease::{Claim, Claimed, Lease, RELEASED, Watch, heartbeat, holder, tokens};
use super::owner::Owner;
use super::system::{Here, System};
use crate::CancelToken;
use crate::files::FileError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Folder of an attempt that becomes the result.
const CONTENT: &str = "content";

/// Where results are, and where they are made.
#[derive(Debug)]
pub struct Store {
    done: PathBuf,
    work: PathBuf,
    watch: Watch,
}

/// What came of asking for a result to make.
#[derive(Debug)]
pub enum Turn {
    /// It is there, in this folder.
    Done(PathBuf),
    /// It is to be made here.
    Mine(Attempt),
    /// Another process is making it.
    Busy(Option<Owner>),
}

/// A result in the making.
#[derive(Debug)]
pub struct Attempt {
    content: PathBuf,
    done: PathBuf,
    lease: Lease,
}

/// Who is making what, for those who only look.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The result.
    pub name: String,
    /// The process; `None` where it has not said so yet.
    pub owner: Option<Owner>,
    /// Its heartbeat, a number that grows while it is alive.
    pub heartbeat: Option<u64>,
    /// What it has written so far.
    pub content: PathBuf,
}

impl Store {
    /// Results in `done`, made in `work`; both on one file system. The folders are made if they are not there.
    ///
    /// # Errors
    /// [`FileError`] when they cannot be made.
    pub fn open(
        done: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
        watch: Watch,
    ) -> Result<Self, FileError> {
        let (done, work) = (done.into(), work.into());
        for folder in [&done, &work] {
            crate::files::create_folder(folder)?;
        }
        Ok(Self { done, work, watch })
    }

    /// The folder of a finished result, whether or not it is there.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.done.join(name)
    }

    /// Whether the folders are there: a shared folder may go away.
    ///
    /// # Errors
    /// [`FileError`] naming the one that is not.
    pub fn check(&self) -> Result<(), FileError> {
        for folder in [&self.done, &self.work] {
            std::fs::read_dir(folder).map_err(FileError::at("find the folder", folder))?;
        }
        Ok(())
    }

    /// Whether the result is there.
    pub fn is_done(&self, name: &str) -> bool {
        self.folder(name).exists()
    }

    /// Asks to make a result. What an earlier attempt left of the files `carry` is in the new attempt's
    /// folder; the first of them says where the work stands: it is read first, so that the others are as
    /// new or newer, and is there only if they are.
    ///
    /// # Errors
    /// [`FileError`] when the folders cannot be written.
    pub fn take(&self, name: &str, carry: &[&str]) -> Result<Turn, FileError> {
        self.check()?;
        let (done, home) = (self.folder(name), self.work.join(name));
        let turn = turn(&Here, &done, &home, &self.watch, carry);
        Ok(
            match turn.map_err(FileError::at("take a turn in", &home))? {
                Taken::Done => Turn::Done(done),
                Taken::Busy(owner) => Turn::Busy(owner),
                Taken::Mine(claim) => Turn::Mine(Attempt {
                    content: claim.folder().join(CONTENT),
                    done,
                    lease: Lease::keep(claim),
                }),
            },
        )
    }

    /// Asks to add to a result that is there; else who does so now.
    ///
    /// # Errors
    /// [`FileError`] when the folders cannot be written.
    pub fn add_to(&self, name: &str) -> Result<Result<Addition, Option<Owner>>, FileError> {
        self.check()?;
        let home = self.work.join(name);
        let lease = Lease::take(&home, &self.watch)?;
        Ok(lease.map(|lease| Addition { lease: Some(lease) }))
    }

    /// Removes what killed processes have left of the making of results that are there.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be read or written.
    pub fn tidy(&self) -> Result<(), FileError> {
        let tidy = || -> io::Result<()> {
            for name in Here.names(&self.work)? {
                let home = self.work.join(&name);
                if self.is_done(&name)
                    && let Claimed::Mine(claim) = Claim::ask(&Here, &home, &self.watch)?
                {
                    leave(&Here, &claim)?;
                }
            }
            Ok(())
        };
        tidy().map_err(FileError::at("tidy", &self.work))
    }

    /// Who is making something now, by name.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be read.
    pub fn holders(&self) -> Result<Vec<Holder>, FileError> {
        let look = || -> io::Result<Vec<Holder>> {
            let mut holders = Vec::new();
            let mut names = Here.names(&self.work)?;
            names.sort_unstable();
            for name in names {
                let home = self.work.join(&name);
                let Some(token) = tokens(&Here, &home)?.last().copied() else {
                    continue;
                };
                let folder = home.join(token.to_string());
                let owner = holder(&Here, &folder)?;
                let over = Here.exists(&folder.join(RELEASED))?
                    || owner.as_ref().is_some_and(|owner| owner.is_gone(&home));
                if !over {
                    let content = folder.join(CONTENT);
                    holders.push(Holder {
                        name,
                        owner,
                        heartbeat: heartbeat(&Here, &folder)?,
                        content,
                    });
                }
            }
            Ok(holders)
        };
        look().map_err(FileError::at("look into", &self.work))
    }
}

/// The right to add to a finished result; what is left of it goes when it is dropped.
#[derive(Debug)]
pub struct Addition {
    lease: Option<Lease>,
}

impl Addition {
    /// Whether nobody has taken over.
    ///
    /// # Errors
    /// [`FileError`] when that cannot be looked up.
    pub fn is_held(&self) -> Result<bool, FileError> {
        self.lease.as_ref().map_or(Ok(false), Lease::is_held)
    }
}

impl Drop for Addition {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let claim = lease.claim().clone();
            drop(lease);
            // A folder that stays is only empty work.
            let _ = leave(&Here, &claim);
        }
    }
}

impl Attempt {
    /// Where the result is to be written; nobody else writes there.
    pub fn folder(&self) -> &Path {
        &self.content
    }

    /// Cancelled soon after another took over: what is made here from then on is not needed.
    pub fn lost(&self) -> &CancelToken {
        self.lease.lost()
    }

    /// Makes the folder the result, unless another has made it meanwhile; where the result is, or `None`
    /// if this attempt came too late and the result is not there yet.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be moved.
    pub fn publish(self) -> Result<Option<PathBuf>, FileError> {
        let claim = self.lease.claim().clone();
        let published = publish(&Here, &claim, &self.done);
        let published = published.map_err(FileError::at("publish", &self.done))?;
        Ok(published.then(|| self.done.clone()))
    }
}

/// As [`Turn`], before the thread is started.
#[derive(Debug)]
pub(super) enum Taken {
    Done,
    Mine(Claim),
    Busy(Option<Owner>),
}

pub(super) fn turn<S: System>(
    system: &S,
    done: &Path,
    home: &Path,
    watch: &Watch,
    carry: &[&str],
) -> io::Result<Taken> {
    if system.exists(done)? {
        return Ok(Taken::Done);
    }
    let claim = match Claim::ask(system, home, watch)? {
        Claimed::Mine(claim) => claim,
        Claimed::Busy(owner) => return Ok(Taken::Busy(owner)),
    };
    // It may have been finished, and its work removed, since it was looked for.
    if system.exists(done)? {
        leave(system, &claim)?;
        return Ok(Taken::Done);
    }
    match inherit(system, &claim, carry) {
        // Another has finished it and removed this folder since.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Taken::Busy(None)),
        inherited => inherited.map(|()| Taken::Mine(claim)),
    }
}

/// Makes the folder of an attempt, and copies what the last one that got somewhere has left.
fn inherit<S: System>(system: &S, claim: &Claim, carry: &[&str]) -> io::Result<()> {
    let content = claim.folder().join(CONTENT);
    system.claim(&content)?;
    let Some((first, rest)) = carry.split_first() else {
        return Ok(());
    };
    let earlier = tokens(system, &claim.home)?.into_iter().rev();
    for token in earlier.filter(|token| *token < claim.token) {
        let from = claim.home.join(token.to_string()).join(CONTENT);
        // Its owner may only have been asleep and go on writing: each file is copied as it was at one
        // moment, the one that says where the work stands before all others.
        let aside = content.join("inherited");
        if !system.copy(&from.join(first), &aside)? {
            continue;
        }
        for name in rest {
            system.copy(&from.join(name), &content.join(name))?;
        }
        return system.rename(&aside, &content.join(first));
    }
    Ok(())
}

/// Whether the result is there now, by this attempt or another.
pub(super) fn publish<S: System>(system: &S, claim: &Claim, done: &Path) -> io::Result<bool> {
    match system.rename(&claim.folder().join(CONTENT), done) {
        Ok(()) => {
            // Attempts of others at it are of no more use.
            system.remove(&claim.home)?;
            Ok(true)
        }
        // Another was first; or the folder was gone since another was first, or this very rename was done
        // and its answer lost on the way.
        Err(error) => {
            let there = system.exists(done)?;
            if there {
                leave(system, claim)?;
                return Ok(true);
            }
            match claim.is_held(system)? {
                true => Err(error),
                false => Ok(false),
            }
        }
    }
}

/// Removes what an attempt has left, and nothing of others.
fn leave<S: System>(system: &S, claim: &Claim) -> io::Result<()> {
    if claim.is_held(system)? {
        return system.remove(&claim.home);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> Store {
        Store::open(folder.join("runs"), folder.join("work"), Watch::default()).unwrap()
    }

    fn mine(turn: Turn) -> Attempt {
        match turn {
            Turn::Mine(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_result_appears_whole_once_and_leaves_no_work_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let attempt = mine(store.take("a", &[]).unwrap());
        assert!(matches!(store.take("a", &[]).unwrap(), Turn::Busy(Some(_))));
        assert_eq!(store.holders().unwrap()[0].name, "a");
        std::fs::write(attempt.folder().join("result"), "42").unwrap();
        assert!(!store.is_done("a"));
        let done = attempt.publish().unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(done.join("result")).unwrap(), "42");
        assert!(matches!(store.take("a", &[]).unwrap(), Turn::Done(at) if at == done));
        assert!(store.holders().unwrap().is_empty());
        assert_eq!(
            std::fs::read_dir(folder.path().join("work"))
                .unwrap()
                .count(),
            0
        );
        // A process that was killed before it could remove its work.
        std::fs::create_dir_all(folder.path().join("work/a/1/content")).unwrap();
        std::fs::write(folder.path().join("work/a/1/released"), "").unwrap();
        std::fs::create_dir_all(folder.path().join("work/b/1/content")).unwrap();
        store.tidy().unwrap();
        assert!(!folder.path().join("work/a").exists() && folder.path().join("work/b/1").exists());
        std::fs::remove_dir_all(folder.path().join("work/b")).unwrap();
        // Adding to it takes turns, too.
        let addition = store.add_to("a").unwrap().unwrap();
        assert!(store.add_to("a").unwrap().is_err() && addition.is_held().unwrap());
        drop(addition);
        assert_eq!(
            std::fs::read_dir(folder.path().join("work"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn a_folder_that_has_gone_away_is_an_error_and_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let attempt = mine(store.take("a", &[]).unwrap());
        std::fs::remove_dir_all(folder.path()).unwrap();
        // As training does it, which makes the folders that it writes into.
        crate::files::write_whole(&attempt.folder().join("last"), b"1").unwrap();
        assert_eq!(attempt.publish().unwrap(), None);
        let error = store.take("a", &[]).unwrap_err().to_string();
        assert!(error.contains("cannot find the folder"), "{error}");
        assert!(store.add_to("a").is_err() && !folder.path().join("runs").exists());
    }

    #[test]
    fn an_attempt_goes_on_where_the_last_one_stood() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let carry = ["last", "best"];
        let first = mine(store.take("a", &carry).unwrap());
        std::fs::write(first.folder().join("last"), "step 3").unwrap();
        std::fs::write(first.folder().join("best"), "step 2").unwrap();
        std::fs::write(first.folder().join("other"), "").unwrap();
        drop(first);
        // One that got nowhere in between hides nothing.
        drop(mine(store.take("a", &[]).unwrap()));
        let third = mine(store.take("a", &carry).unwrap());
        let read = |name: &str| std::fs::read_to_string(third.folder().join(name)).unwrap();
        assert_eq!(
            (read("last"), read("best")),
            ("step 3".into(), "step 2".into())
        );
        assert_eq!(std::fs::read_dir(third.folder()).unwrap().count(), 2);
    }

    #[test]
    fn who_comes_late_with_a_result_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let impatient = Watch::new(std::time::Duration::ZERO);
        let store =
            Store::open(folder.path().join("r"), folder.path().join("w"), impatient).unwrap();
        let late = mine(store.take("a", &[]).unwrap());
        assert!(matches!(store.take("a", &[]).unwrap(), Turn::Busy(_)));
        let next = mine(store.take("a", &[]).unwrap());
        std::fs::write(late.folder().join("by"), "late").unwrap();
        std::fs::write(next.folder().join("by"), "next").unwrap();
        let done = next.publish().unwrap().unwrap();
        let late = late.publish().unwrap();
        assert_eq!(late.as_ref(), Some(&done));
        assert_eq!(std::fs::read_to_string(done.join("by")).unwrap(), "next");
    }
}
