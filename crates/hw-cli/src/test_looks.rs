//! Counting a look at a test set: where it is written down, and what is said of it. A look that cannot be
//! kept is told, and fails nothing.

use crate::output::{counted, grouped, note};
use anyhow::Result;
use hw_eval::EvalError;
use hw_eval::looks::{Count, Look, Purpose, REGISTER, Register, now};
use hw_train::checkpoint::{BEST, LAST};
use hw_train::experiment::CONFIG;
use hw_train::{DataStamp, Stamp, recipe_id, recipe_label};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is said where there is none.
pub(crate) const NONE: &str = "test looks: none, these are the images that it was trained on";

/// The count after a look.
#[derive(Debug, Serialize)]
pub(crate) struct TestLooks {
    recipe: String,
    label: Option<String>,
    purpose: Purpose,
    /// `None` where the register cannot be read.
    #[serde(flatten)]
    count: Option<Count>,
    register: PathBuf,
    /// Whether the look stands in the register.
    kept: bool,
}

/// A score on images of a test set.
pub(crate) struct Scored<'a> {
    pub(crate) test: &'a DataStamp,
    pub(crate) images: u64,
    pub(crate) accuracy: f64,
    pub(crate) purpose: Purpose,
}

/// Counts the look at a test set that `scored` the run of `stamp`; `None` for the images that it was
/// trained on, which are no test.
pub(crate) fn count(stamp: &Stamp, scored: Scored<'_>, register: PathBuf) -> Option<TestLooks> {
    let test = scored.test;
    if test.sha256 == stamp.data.sha256 {
        return None;
    }
    let look = Look {
        recipe: recipe_id(&stamp.config),
        run: stamp.run.clone(),
        test_sha256: test.sha256.clone(),
        test: format!("{}, {}", test.dataset, test.edition),
        images: scored.images,
        purpose: scored.purpose,
        accuracy: scored.accuracy,
        time: now(),
        program: concat!("hw ", env!("CARGO_PKG_VERSION")).into(),
        label: Some(recipe_label(&stamp.config)),
    };
    let kept = keep(&look, &register);
    if let Err(error) = &kept {
        note(format_args!(
            "warning: this look at the test set could not be kept in {}: {}; \
             --register FILE keeps it elsewhere",
            register.display(),
            hw_core::one_line(error),
        ));
    }
    Some(TestLooks {
        kept: kept.is_ok(),
        count: kept.or_else(|_| without_keeping(&look, &register)).ok(),
        recipe: look.recipe,
        label: look.label,
        purpose: look.purpose,
        register,
    })
}

fn keep(look: &Look, path: &Path) -> Result<Count, EvalError> {
    let register = Register::open(path)?;
    register.record(look)?;
    register.looks(&look.recipe, &look.test_sha256)
}

fn without_keeping(look: &Look, path: &Path) -> Result<Count, EvalError> {
    let mut looks = Register::open(path)?.all()?;
    looks.push(look.clone());
    Ok(Count::of(&looks, &look.recipe, &look.test_sha256))
}

/// Where the looks of a network are kept: beside its run's folder, or beside a checkpoint that is in
/// none.
pub(crate) fn register_of(checkpoint: &Path) -> PathBuf {
    let folder = parent(checkpoint);
    let name = checkpoint.file_name().and_then(|name| name.to_str());
    let of_a_run = [BEST, LAST].map(Some).contains(&name) || folder.join(CONFIG).exists();
    match of_a_run {
        true => register_beside(&folder),
        false => folder.join(REGISTER),
    }
}

/// Where the looks of the run in `folder` are kept.
fn register_beside(folder: &Path) -> PathBuf {
    parent(folder).join(REGISTER)
}

/// The folder that `path` is in; empty for the current one.
fn parent(path: &Path) -> PathBuf {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    match (path.file_name(), path.parent()) {
        (Some(_), Some(parent)) => parent.into(),
        // Above "." and ".." is what only the file system knows.
        _ => path
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.parent()?.into()))
            .unwrap_or_else(|| path.into()),
    }
}

impl fmt::Display for TestLooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.count {
            Some(count) => write!(
                f,
                "test looks: {} of this recipe on this test set ({} in all)",
                grouped(count.looks as u64),
                counted(count.recipes, "recipe"),
            )?,
            None => f.write_str("test looks: unknown")?,
        }
        let not = if self.kept { "" } else { "not kept in " };
        write!(f, ", {not}register {}", self.register.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_lies_beside_the_runs_folder_or_the_lone_checkpoint() {
        for (checkpoint, expected) in [
            ("runs/first/best.safetensors", "runs/test-looks.jsonl"),
            ("runs/first/last.safetensors", "runs/test-looks.jsonl"),
            ("first/best.safetensors", "test-looks.jsonl"),
            ("/models/digits.safetensors", "/models/test-looks.jsonl"),
            ("digits.safetensors", "test-looks.jsonl"),
        ] {
            assert_eq!(register_of(Path::new(checkpoint)), Path::new(expected));
        }
        let here = std::env::current_dir().unwrap();
        let above = here.parent().unwrap().join(REGISTER);
        assert_eq!(register_beside(Path::new(".")), above);
        assert_eq!(register_of(Path::new("best.safetensors")), above);
    }

    #[test]
    fn any_checkpoint_in_a_runs_folder_is_of_that_run() {
        let runs = tempfile::tempdir().unwrap();
        let folder = runs.path().join("first");
        std::fs::create_dir(&folder).unwrap();
        let copy = folder.join("epoch-5.safetensors");
        assert_eq!(register_of(&copy), folder.join(REGISTER));
        std::fs::write(folder.join(CONFIG), "{}").unwrap();
        assert_eq!(register_of(&copy), runs.path().join(REGISTER));
    }
}
