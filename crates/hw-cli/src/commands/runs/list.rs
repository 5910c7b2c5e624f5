//! `hw runs list`: a table of runs.

use super::found::{Entry, entries, filtered, known};
use super::page;
use crate::args::{Common, RunsListArgs};
use crate::output::{Table, answer, counted, grouped, percent};
use anyhow::Result;
use hw_report::format::duration;
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt;

/// Headings of the table; those with a leading `>` head numbers.
pub(crate) const HEADINGS: [&str; 12] = [
    "run",
    "model",
    "data",
    ">images",
    ">epochs",
    ">accuracy",
    ">loss",
    ">test",
    ">time",
    "state",
    "machine",
    "computed as",
];

/// What stands where there is no number.
const NOTHING: &str = "-";

/// What the columns mean.
pub(crate) const NOTE: &str = "accuracy and loss: on the held-out images, of the weights that are kept; \
                               test: as it was measured once, by the run's own test set";

pub(crate) fn run(args: &RunsListArgs, common: &Common) -> Result<()> {
    let mut entries = filtered(entries(&args.folders)?, &args.filter)?;
    if let Some(key) = &args.sort {
        known(&entries, key)?;
        entries.sort_by(|a, b| order(key, a, b));
        if args.reverse {
            entries.reverse();
        }
    }
    if let Some(path) = &args.html {
        page::write(path, &page::list(&entries))?;
    }
    answer(common.json, &Listing { runs: entries })
}

/// By a key: numbers as numbers, the better accuracy first; what has none comes last.
fn order(key: &str, a: &Entry, b: &Entry) -> Ordering {
    let (a, b) = (a.value(key), b.value(key));
    let (Some(a), Some(b)) = (&a, &b) else {
        return b.is_some().cmp(&a.is_some());
    };
    let greatest_first = ["accuracy", "test"].contains(&key);
    let order = match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    };
    if greatest_first {
        order.reverse()
    } else {
        order
    }
}

/// A run's cells, in the order of [`HEADINGS`].
pub(crate) fn cells(entry: &Entry) -> [String; 12] {
    let run = &entry.run;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let synthetic = if run.synthetic { " (synthetic)" } else { "" };
    [
        entry.id().into(),
        entry.model().into(),
        format!("{}{synthetic}", run.config.dataset),
        or_nothing(run.train_images.map(grouped)),
        format!("{}/{}", run.history.len(), run.config.epochs),
        or_nothing(entry.accuracy().map(percent)),
        or_nothing(entry.loss().map(|loss| format!("{loss:.4}"))),
        or_nothing(entry.test.as_ref().map(|test| percent(test.accuracy))),
        duration(run.seconds()),
        run.state.name().into(),
        run.machine.processor.clone(),
        run.computation.to_string(),
    ]
}

#[derive(Serialize)]
struct Listing {
    runs: Vec<Entry>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&HEADINGS);
        for entry in &self.runs {
            table.row(cells(entry));
        }
        write!(f, "{table}")?;
        writeln!(f, "{}; {NOTE}", counted(self.runs.len(), "run"))
    }
}
