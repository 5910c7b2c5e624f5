//! A proof for people and for programs: a table on the terminal, a page, JSON.

use super::Outcome;
use super::judge::{Proved, Verdict};
use anyhow::{Context, Result};
use hw_report::format::{duration, percent};
use hw_report::{
    BadgeKind, Block, Cell, Column, Document, Notice, NoticeKind, Section, Table, Text,
};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Letters of a hash that are shown.
const SHORT: usize = 12;

/// What came of a run, in a line.
pub(crate) fn line(proved: &Proved) -> String {
    let text = format!(
        "{}: {} ({})",
        proved.verdict.words(),
        proved.name,
        proved.because
    );
    match proved.verdict {
        Verdict::Different => red(&text),
        _ => text,
    }
}

/// The text in red, where a terminal shows it and the user did not forbid it.
pub(crate) fn red(text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match std::io::stderr().is_terminal() && !plain {
        true => format!("\x1b[31m{text}\x1b[0m"),
        false => text.into(),
    }
}

/// The counts of outcomes in a sentence.
fn sentence(outcome: &Outcome) -> String {
    let count = |verdict| {
        let those = outcome.proved.iter().filter(|p| p.verdict == verdict);
        those.count()
    };
    let rerun = outcome.proved.len();
    let mut text = format!(
        "{rerun} of {} archived runs rerun{} in {} (seed {}): {} with the same bits, {} within rounding, {} \
         different",
        outcome.of,
        if outcome.stopped {
            " before it was stopped"
        } else {
            ""
        },
        duration(outcome.seconds),
        outcome.seed,
        count(Verdict::SameBits),
        count(Verdict::WithinRounding),
        count(Verdict::Different),
    );
    if rerun == 0 && outcome.failed.is_empty() && !outcome.stopped {
        text = format!("no archived run fits into {} minutes", outcome.minutes);
    }
    if !outcome.failed.is_empty() {
        text += &format!(", {} could not be rerun", outcome.failed.len());
    }
    text
}

/// Prints the table.
pub(crate) fn table(outcome: &Outcome) {
    let widest = outcome.proved.iter().map(|p| p.name.chars().count());
    let width = widest.max().unwrap_or(0).max(3);
    if !outcome.proved.is_empty() {
        eprintln!(
            "\n{:<width$}  {:>21}  {:>21}  {:>27}  {:>11}  outcome",
            "run", "validation", "test accuracy", "weights (SHA-256)", "answers"
        );
        eprintln!(
            "{:<width$}  {:>10} {:>10}  {:>10} {:>10}  {:>13} {:>13}  {:>11}",
            "", "archived", "here", "archived", "here", "archived", "here", "that differ"
        );
    }
    for proved in &outcome.proved {
        let (archived, here) = (&proved.archived, &proved.here);
        let row = format!(
            "{:<width$}  {:>10} {:>10}  {:>10} {:>10}  {:>13} {:>13}  {:>11}  {}",
            proved.name,
            share(archived.validation),
            share(here.validation),
            share(Some(archived.test)),
            share(Some(here.test)),
            hash(archived.weights.as_deref()),
            hash(here.weights.as_deref()),
            proved.other_answers,
            proved.verdict.words(),
        );
        match proved.verdict {
            Verdict::Different => eprintln!("{}", red(&row)),
            _ => eprintln!("{row}"),
        }
    }
    eprintln!("{}", sentence(outcome));
}

fn share(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| percent(value, 2))
}

fn hash(hash: Option<&str>) -> String {
    hash.map_or("–".into(), |hash| hash.chars().take(SHORT).collect())
}

/// Writes the page to `out/report`; its path.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(outcome: &Outcome, out: &Path) -> Result<PathBuf> {
    let columns = vec![
        Column::text("run"),
        Column::number("validation").unit("archived, here"),
        Column::number("test accuracy").unit("archived, here"),
        Column::number("answers that differ").unit("only archived right, only here right"),
        Column::text("weights").unit("SHA-256 archived, here"),
        Column::text("outcome"),
    ];
    let mut table = Table::new("Archived runs beside their reruns", columns);
    for proved in &outcome.proved {
        table = table.row(row(proved));
    }
    for (name, problem) in &outcome.failed {
        let text = Text::new().badge(BadgeKind::Bad, "could not be rerun");
        let mut cells = vec![Cell::new(name.as_str())];
        cells.extend((0..4).map(|_| Cell::new("–")));
        cells.push(Cell::new(text).detail(problem.as_str()));
        table = table.row(cells);
    }
    let table = table.note(
        "The same bits: every weight is equal. Within rounding: another kind of processor or another version \
         of the computation gave other bits, and the accuracies are at most four standard deviations apart, \
         of two seeds' difference and of the answers that differ. The rule: docs/archive.md.",
    );
    let document = Document {
        title: "Proof by sampling".into(),
        subtitle: "Archived runs, drawn at random and rerun from scratch on this machine".into(),
        banner: outcome
            .note
            .as_ref()
            .map(|note| Notice::new(NoticeKind::Info, format!("{note}."))),
        lead: vec![Block::paragraph(format!("{}.", sentence(outcome)))],
        sections: vec![Section::new("Runs", vec![Block::Table(table)])],
        ..Document::default()
    };
    let written = hw_report::write(&document, &out.join("report"), "index");
    Ok(written.context("the proof's page")?.html)
}

fn row(proved: &Proved) -> Vec<Cell> {
    let (archived, here) = (&proved.archived, &proved.here);
    let badge = match proved.verdict {
        Verdict::SameBits => BadgeKind::Good,
        Verdict::WithinRounding => BadgeKind::Neutral,
        Verdict::Different => BadgeKind::Bad,
    };
    let outcome = Text::new().badge(badge, proved.verdict.words());
    let machines = if archived.processor == here.processor {
        archived.processor.clone()
    } else {
        format!("{}; here {}", archived.processor, here.processor)
    };
    vec![
        Cell::new(proved.name.as_str()).detail(machines),
        Cell::new(share(archived.validation)).detail(share(here.validation)),
        Cell::new(share(Some(archived.test))).detail(share(Some(here.test))),
        Cell::new(format!("{} of {}", proved.other_answers, proved.images))
            .detail(format!("{}, {}", proved.only_archived, proved.only_here)),
        Cell::new(hash(archived.weights.as_deref())).detail(hash(here.weights.as_deref())),
        Cell::new(outcome).detail(proved.because.as_str()),
    ]
}

/// Everything for programs.
pub(crate) fn json(outcome: &Outcome) -> Value {
    let failed = outcome.failed.iter();
    let failed = failed.map(|(name, problem)| json!({ "name": name, "problem": problem }));
    json!({
        "seed": outcome.seed,
        "minutes": outcome.minutes,
        "seconds": outcome.seconds,
        "stopped": outcome.stopped,
        "note": outcome.note,
        "archived_runs": outcome.of,
        "different": outcome.different(),
        "runs": outcome.proved,
        "failed": failed.collect::<Vec<_>>(),
    })
}
