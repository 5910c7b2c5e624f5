//! `hw runs show`: everything about single runs.

use super::found::{Entry, entries};
use super::page;
use crate::args::{Common, RunsShowArgs};
use crate::failure::Usage;
use crate::output::{answer, counted, percent, score};
use anyhow::Result;
use hw_report::format::duration;
use hw_train::recipe::{recipe_label, unusual_fields};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Signs of a line of text that is a curve, lowest first.
const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of such a line at most.
const COLUMNS: usize = 60;

pub(crate) fn run(args: &RunsShowArgs, common: &Common) -> Result<()> {
    let mut shown: Vec<Entry> = Vec::new();
    for wanted in &args.runs {
        let more = find(wanted, &args.within)?;
        let new = |entry: &Entry| shown.iter().all(|other| other.run.run != entry.run.run);
        let more: Vec<Entry> = more.into_iter().filter(new).collect();
        shown.extend(more);
    }
    if let Some(path) = &args.html {
        page::write(path, &page::show(&shown))?;
    }
    answer(common.json, &Shown { runs: shown })
}

/// The runs in a folder, or those below `within` whose id begins so.
fn find(wanted: &Path, within: &Path) -> Result<Vec<Entry>> {
    let by_folder = wanted.is_dir();
    let mut found = match by_folder {
        true => entries(&[wanted.into()])?,
        false => entries(&[within.into()])?,
    };
    let id = wanted.to_string_lossy();
    if !by_folder {
        found.retain(|entry| entry.run.run.starts_with(id.as_ref()));
    }
    match (found.len(), by_folder) {
        (0, true) => Err(Usage(format!("{} holds no run", wanted.display())).into()),
        (0, false) => Err(Usage(format!(
            "{id} is no folder, and no run below {} has an id that begins so; `hw runs list {0}` lists \
             them",
            within.display()
        ))
        .into()),
        (2.., false) => Err(Usage(format!(
            "{} runs below {} have an id that begins with {id}; give more of it",
            found.len(),
            within.display()
        ))
        .into()),
        _ => Ok(found),
    }
}

/// A curve of text, over at most so many columns; a value that is no number leaves a gap.
fn sparkline(values: &[f64]) -> String {
    let columns = values.len().min(COLUMNS);
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let sign = |column: usize| {
        let last = columns.saturating_sub(1).max(1);
        let value = values[column * (values.len() - 1) / last];
        if !value.is_finite() {
            return ' ';
        }
        let share = if high > low {
            (value - low) / (high - low)
        } else {
            0.5
        };
        SIGNS[((share * SIGNS.len() as f64) as usize).min(SIGNS.len() - 1)]
    };
    (0..columns).map(sign).collect()
}

#[derive(Serialize)]
struct Shown {
    runs: Vec<Entry>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.runs.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            tell(f, entry)?;
        }
        Ok(())
    }
}

/// A run's facts, each with its name.
pub(crate) fn facts(entry: &Entry) -> Vec<(&'static str, String)> {
    let run = &entry.run;
    let epochs = format!("{} of {}", run.history.len(), run.config.epochs);
    let mut facts = vec![
        ("folder", run.folder.display().to_string()),
        ("state", run.state.name().into()),
        ("epochs", epochs),
    ];
    if let Some(images) = run.train_images {
        let synthetic = if run.synthetic { ", SYNTHETIC" } else { "" };
        facts.push((
            "trained on",
            format!("{}{synthetic}", counted(images, "image")),
        ));
    }
    if let Some((kept, held_out)) = run.kept().zip(run.validation()) {
        let (epoch, images) = (kept.epoch, counted(held_out.images, "image"));
        let words = format!("epoch {epoch}: {} on {images}", score(&held_out));
        facts.push(("held out", words));
    }
    if let Some(test) = &entry.test {
        let images = counted(test.images as usize, "image");
        facts.push(("test", format!("{} on {images}", percent(test.accuracy))));
    }
    let machine = &run.machine;
    let threads = counted(machine.threads, "thread");
    facts.extend([
        ("time", duration(run.seconds())),
        (
            "machine",
            format!("{}, {threads}, {}", machine.processor, machine.system),
        ),
        ("computed as", run.computation.to_string()),
        ("recipe", run.recipe.clone()),
    ]);
    facts
}

fn tell(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let run = &entry.run;
    writeln!(f, "run {}: {}", run.run, recipe_label(&run.config))?;
    for (name, value) in facts(entry) {
        writeln!(f, "  {name:<12}{value}")?;
    }
    writeln!(f, "  configuration, where it differs from the default:")?;
    for (name, value) in unusual_fields(&run.config) {
        writeln!(f, "    {name} = {value}")?;
    }
    let curve = |name: &str, values: Vec<f64>, last: fn(f64) -> String| {
        values.last().map(|&end| {
            let first = last(values[0]);
            format!(
                "  {name:<20}{} {first} to {}",
                sparkline(&values),
                last(end)
            )
        })
    };
    let history = &run.history;
    let held_out = || history.iter().filter_map(|epoch| epoch.validation);
    let loss = |value: f64| format!("{value:.4}");
    let curves = [
        curve(
            "training loss",
            history.iter().map(|e| e.train.loss).collect(),
            loss,
        ),
        curve(
            "validation loss",
            held_out().map(|s| s.loss).collect(),
            loss,
        ),
        curve(
            "validation accuracy",
            held_out().map(|s| s.accuracy).collect(),
            percent,
        ),
    ];
    for line in curves.into_iter().flatten() {
        writeln!(f, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_text_rises_with_its_values() {
        assert_eq!(
            sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            "▁▂▃▄▅▆▇█"
        );
        assert_eq!(sparkline(&[1.0, f64::NAN, 1.0]), "▅ ▅");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[3.0]), "▅");
        let long: Vec<f64> = (0..500).map(f64::from).collect();
        let line = sparkline(&long);
        assert_eq!(line.chars().count(), COLUMNS);
        assert!(line.starts_with('▁') && line.ends_with('█'));
    }
}
