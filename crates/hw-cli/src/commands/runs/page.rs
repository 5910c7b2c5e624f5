//! The same as one page of HTML.

use super::compare::{self, Compared};
use super::found::Entry;
use super::{list, show};
use anyhow::Result;
use hw_report::plots::{Axis, LineChart, Series, Unit};
use hw_report::{Block, Column, Document, Figure, Notice, NoticeKind, Section, Table, Text};
use hw_train::recipe::{recipe_label, unusual_fields};
use std::path::Path;

/// Lines that a chart of several runs can hold.
const LINES: usize = 8;

/// Writes a page, whole or not at all.
pub(crate) fn write(path: &Path, document: &Document) -> Result<()> {
    let html = hw_report::to_html(document);
    Ok(hw_core::files::write_whole(path, html.as_bytes())?)
}

fn document(title: &str, entries: &[&Entry], sections: Vec<Section>) -> Document {
    let synthetic = entries.iter().any(|entry| entry.run.synthetic);
    let banner = Notice::new(
        NoticeKind::Synthetic,
        "Some of these runs were trained on glyphs drawn by a program, not on handwriting.",
    );
    Document {
        title: title.into(),
        banner: synthetic.then_some(banner),
        sections,
        footer: Text::from("Made by ").code("hw runs"),
        ..Document::default()
    }
}

/// The columns of a table of text.
fn columns(headings: &[&str]) -> Vec<Column> {
    let column = |heading: &&str| match heading.strip_prefix('>') {
        Some(number) => Column::number(number),
        None => Column::text(*heading),
    };
    headings.iter().map(column).collect()
}

/// The page of `hw runs list`.
pub(crate) fn list(entries: &[Entry]) -> Document {
    let mut table = Table::new("Runs", columns(&list::HEADINGS)).note(list::NOTE);
    for entry in entries {
        table = table.row(list::cells(entry).map(Into::into).into());
    }
    let entries: Vec<&Entry> = entries.iter().collect();
    let mut blocks = vec![Block::Table(table)];
    if entries.len() <= LINES {
        blocks.extend(accuracy_by_epoch("all", &entries).map(Block::Figure));
    }
    document("Runs", &entries, vec![Section::new("Runs", blocks)])
}

/// The page of `hw runs show`.
pub(crate) fn show(entries: &[Entry]) -> Document {
    let sections = entries.iter().map(|entry| {
        let two = || vec![Column::text(""), Column::text("")];
        let mut facts = Table::new("What it is", two());
        for (name, value) in show::facts(entry) {
            facts = facts.row(vec![name.into(), value.into()]);
        }
        let mut fields = Table::new("Configuration, where it differs from the default", two());
        for (name, value) in unusual_fields(&entry.run.config) {
            fields = fields.row(vec![Text::new().code(name).into(), value.into()]);
        }
        let mut blocks = vec![Block::Table(facts), Block::Table(fields)];
        blocks.extend(loss_by_epoch(entry).map(Block::Figure));
        blocks.extend(accuracy_by_epoch(entry.id(), &[entry]).map(Block::Figure));
        let title = format!("{}: {}", entry.id(), recipe_label(&entry.run.config));
        Section::new(title, blocks).with_id(entry.id())
    });
    let sections = sections.collect();
    document("Runs", &entries.iter().collect::<Vec<_>>(), sections)
}

/// The page of `hw runs compare`.
pub(crate) fn compare(compared: &Compared) -> Document {
    let mut table = Table::new("Recipes", columns(&compare::HEADINGS));
    for group in &compared.groups {
        table = table.row(compare::cells(group).map(Into::into).into());
    }
    for reason in compared.reasons() {
        table = table.note(reason);
    }
    table = table.note(compare::NOTE.replace('\n', " "));
    let shown = compared.groups.iter().take(LINES);
    let curves: Vec<(String, Vec<&Entry>)> = shown
        .map(|group| (group.label.clone(), group.runs().iter().collect()))
        .collect();
    let mut chart = chart();
    for (label, runs) in &curves {
        let runs: Vec<Vec<f64>> = runs.iter().map(|entry| accuracies(entry)).collect();
        let band = hw_report::plots::Band::MinMax;
        chart = chart.series(Series::over_seeds(label.clone(), &runs, band));
    }
    let caption = format!(
        "Validation accuracy by epoch, mean and range over the seeds, of the first {}.",
        curves.len()
    );
    let alt = "Validation accuracy of each recipe by epoch.";
    let figure = Figure::new("accuracy", caption, alt, &chart);
    let all: Vec<&Entry> = compared
        .groups
        .iter()
        .flat_map(|group| group.runs())
        .collect();
    let blocks = vec![Block::Table(table), Block::Figure(figure)];
    document(
        "Recipes compared",
        &all,
        vec![Section::new("Comparison", blocks)],
    )
}

fn accuracies(entry: &Entry) -> Vec<f64> {
    let scores = entry
        .run
        .history
        .iter()
        .filter_map(|epoch| epoch.validation);
    scores.map(|score| score.accuracy).collect()
}

fn chart() -> LineChart {
    let epochs = Axis::new("epoch").unit(Unit::Whole);
    LineChart::new(epochs, Axis::new("validation accuracy").percent())
}

fn accuracy_by_epoch(id: &str, entries: &[&Entry]) -> Option<Figure> {
    let mut chart = chart();
    let mut any = false;
    for entry in entries {
        let values = accuracies(entry);
        any |= !values.is_empty();
        let points = values.into_iter().enumerate();
        let points = points.map(|(epoch, value)| (epoch as f64 + 1.0, value));
        chart = chart.series(Series::new(entry.id(), points));
    }
    let alt = "Accuracy on held-out images by epoch.";
    let id = format!("accuracy-{id}");
    any.then(|| Figure::new(id, "Accuracy on held-out images by epoch.", alt, &chart))
}

fn loss_by_epoch(entry: &Entry) -> Option<Figure> {
    let history = &entry.run.history;
    let epoch = |epoch: usize| epoch as f64;
    let trained = history.iter().map(|e| (epoch(e.epoch), e.train.loss));
    let held_out = history.iter();
    let held_out = held_out.filter_map(|e| Some((epoch(e.epoch), e.validation?.loss)));
    let chart = LineChart::new(Axis::new("epoch").unit(Unit::Whole), Axis::new("loss"))
        .series(Series::new("training", trained))
        .series(Series::new("validation", held_out));
    let alt = "Training and validation loss by epoch.";
    let id = format!("loss-{}", entry.id());
    (!history.is_empty()).then(|| Figure::new(id, alt, alt, &chart))
}
