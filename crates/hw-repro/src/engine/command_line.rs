//! The user's own command line once more, for a worker, for a look or for the report.

use crate::error::ReproError;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Options of the engine, which workers do not get, and those whose folders they get as absolute paths. All of
/// them have a value.
const REPLACED: [&str; 5] = ["--engine", "--nodes", "--sbatch", "--out", "--data-dir"];

/// The command line of equal workers on one folder.
#[derive(Clone, Debug)]
pub struct CommandLine {
    words: Vec<OsString>,
    name: String,
    out: PathBuf,
    data_dir: Option<PathBuf>,
}

impl CommandLine {
    /// Workers that do what this process was asked for: the same program, the same arguments. `name` is what the
    /// job is called, `out` the folder they share.
    ///
    /// # Errors
    /// [`ReproError::Other`] when the system does not say which program this is.
    pub fn of_this_process(
        name: impl Into<String>,
        out: &Path,
        data_dir: Option<&Path>,
    ) -> Result<Self, ReproError> {
        let problem = |error| ReproError::Other(format!("where this program is: {error}"));
        let program = std::env::current_exe().map_err(problem)?;
        let arguments = std::env::args_os().skip(1);
        let words = std::iter::once(program.into_os_string()).chain(arguments);
        Self::new(words, name, out, data_dir)
    }

    /// Workers by the command line `words`, the program first.
    ///
    /// # Errors
    /// [`ReproError::Other`] when the current folder is not to be had.
    pub fn new(
        words: impl IntoIterator<Item = OsString>,
        name: impl Into<String>,
        out: &Path,
        data_dir: Option<&Path>,
    ) -> Result<Self, ReproError> {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| ReproError::Other(format!("{}: {error}", path.display())))
        };
        Ok(Self {
            words: words.into_iter().collect(),
            name: name.into(),
            out: absolute(out)?,
            data_dir: data_dir.map(absolute).transpose()?,
        })
    }

    /// What the job is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder that the workers share.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The command line with `flag` in place of the engine's options, and with absolute folders.
    pub fn command(&self, flag: &str) -> Vec<OsString> {
        let mut words = self.words.iter();
        let mut command: Vec<OsString> = Vec::new();
        // What follows `--` are no options.
        let mut rest: &[OsString] = &[];
        while let Some(word) = words.next() {
            if word == "--" {
                rest = words.as_slice();
                break;
            }
            if REPLACED.iter().any(|option| word == option) {
                words.next();
            } else if !REPLACED.iter().any(|option| has_value(word, option)) {
                command.push(word.clone());
            }
        }
        command.push(flag.into());
        command.extend(["--out".into(), self.out.clone().into_os_string()]);
        if let Some(folder) = &self.data_dir {
            command.extend(["--data-dir".into(), folder.clone().into_os_string()]);
        }
        if !rest.is_empty() {
            command.push("--".into());
            command.extend_from_slice(rest);
        }
        command
    }

    /// The same as one line for a shell.
    ///
    /// # Errors
    /// [`ReproError::Usage`] for a word that no command line can hold.
    pub fn line(&self, flag: &str) -> Result<Vec<u8>, ReproError> {
        let words = self.command(flag);
        let words = words.iter().map(|word| word.as_encoded_bytes());
        shlex::bytes::try_join(words)
            .map_err(|error| ReproError::Usage(format!("the command line: {error}")))
    }
}

/// Whether `word` is `option=...`.
fn has_value(word: &OsStr, option: &str) -> bool {
    let word = word.as_encoded_bytes();
    word.strip_prefix(option.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(line: &[&str], data_dir: Option<&str>) -> Vec<String> {
        let words = line.iter().map(OsString::from);
        let line = CommandLine::new(words, "n", Path::new("/o"), data_dir.map(Path::new)).unwrap();
        let command = line.command("--worker").into_iter();
        command.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_worker_gets_the_users_options_without_the_engines_and_with_absolute_folders() {
        let line = [
            "hw",
            "--threads",
            "2",
            "reproduce",
            "--engine",
            "slurm",
            "--nodes=4",
            "--sbatch",
            "--time=1",
            "--out=rel",
            "--only",
            "a/b",
            "my paper.toml",
        ];
        let common = [
            "hw",
            "--threads",
            "2",
            "reproduce",
            "--only",
            "a/b",
            "my paper.toml",
        ];
        let own = ["--worker", "--out", "/o"];
        assert_eq!(again(&line, None), [&common[..], &own].concat());
        let folder = ["--data-dir", "/d"];
        let line = [&line[..], &["--data-dir", "d"]].concat();
        assert_eq!(
            again(&line, Some("/d")),
            [&common[..], &own, &folder].concat()
        );
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        let line = ["hw", "reproduce", "--engine=slurm", "--", "--out"];
        let expected = ["hw", "reproduce", "--worker", "--out", "/o", "--", "--out"];
        assert_eq!(again(&line, None), expected);
    }

    #[test]
    fn relative_folders_are_of_the_current_one() {
        let line = CommandLine::new(["hw".into()], "n", Path::new("results"), None).unwrap();
        assert_eq!(line.out(), std::env::current_dir().unwrap().join("results"));
    }
}
