//! The runs that a command is about, with their test accuracies.

use super::tested::{Reader, Tested};
use crate::failure::Usage;
use crate::output::note;
use anyhow::Result;
use hw_train::survey::{State, Surveyed, survey};
use serde::Serialize;
use std::path::PathBuf;

/// Characters of an id that are shown.
pub(crate) const SHORT: usize = 8;

/// A run with the test accuracy that was measured of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) run: Surveyed,
    pub(crate) test: Option<Tested>,
}

/// The runs in these folders and below them. What cannot be read is told, and left out.
pub(crate) fn entries(folders: &[PathBuf]) -> Result<Vec<Entry>> {
    let found = survey(folders)?;
    for (folder, problem) in &found.damaged {
        note(format_args!("left out {}: {problem}", folder.display()));
    }
    let mut reader = Reader::default();
    let entries = found.runs.into_iter().map(|run| Entry {
        test: reader.of(&run),
        run,
    });
    Ok(entries.collect())
}

impl Entry {
    /// The first characters of the run's id.
    pub(crate) fn id(&self) -> &str {
        let id = &self.run.run;
        id.get(..SHORT).unwrap_or(id)
    }

    /// The network's name.
    pub(crate) fn model(&self) -> &str {
        let config = &self.run.config;
        config
            .spec
            .as_ref()
            .map_or(&config.model, |spec| &spec.name)
    }

    pub(crate) fn accuracy(&self) -> Option<f64> {
        self.run.validation().map(|score| score.accuracy)
    }

    pub(crate) fn loss(&self) -> Option<f64> {
        self.run.validation().map(|score| score.loss)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.run.state == State::Finished
    }

    /// What a key of `--filter` or `--sort` means for this run: a column of the list, or a field of the
    /// configuration.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        match key {
            "run" => Some(self.run.run.clone()),
            "recipe" => Some(self.run.recipe.clone()),
            "model" => Some(self.model().into()),
            "state" => Some(self.run.state.name().into()),
            "images" => self.run.train_images.map(|images| images.to_string()),
            "done" => Some(self.run.history.len().to_string()),
            "accuracy" => number(self.accuracy()),
            "loss" => number(self.loss()),
            "test" => number(self.test.as_ref().map(|test| test.accuracy)),
            "seconds" => number(Some(self.run.seconds())),
            "machine" => Some(self.run.machine.processor.clone()),
            "version" => Some(self.run.computation.version.to_string()),
            field => hw_train::recipe::field(&self.run.config, field),
        }
    }
}

/// Those for which every `key=value` is so; ids and machines may be given by their beginning.
pub(crate) fn filtered(entries: Vec<Entry>, filters: &[(String, String)]) -> Result<Vec<Entry>> {
    for (key, _) in filters {
        known(&entries, key)?;
    }
    let fits = |entry: &Entry, (key, wanted): &(String, String)| {
        let value = entry.value(key);
        value.is_some_and(|value| match key.as_str() {
            "run" | "recipe" | "machine" => value.starts_with(wanted.as_str()),
            _ => value == *wanted || same_number(&value, wanted),
        })
    };
    let kept = entries.into_iter();
    Ok(kept
        .filter(|entry| filters.iter().all(|filter| fits(entry, filter)))
        .collect())
}

/// Refuses a key that no run has.
pub(crate) fn known(entries: &[Entry], key: &str) -> Result<()> {
    let columns = ["accuracy", "loss", "test", "images"];
    let optional = columns.contains(&key) || entries.is_empty();
    if optional || entries.iter().any(|entry| entry.value(key).is_some()) {
        return Ok(());
    }
    let problem = format!(
        "no run has a \"{key}\"; there are run, recipe, model, dataset, state, images, done, accuracy, \
         loss, test, seconds, machine, version and the fields of a config file, learning_rate say"
    );
    Err(Usage(problem).into())
}

/// Whether both are the same number, as 0.10 and 1e-1 are.
fn same_number(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
