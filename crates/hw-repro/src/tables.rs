//! Tables of a paper: its cells with ours beside the reported, and its layers as they were built.

use super::cells::{JudgedCell, Standing, judge_cell};
use super::claims::Spreads;
use super::evidence::Evidence;
use super::expression::{Quantity, Term};
use super::figures::Source;
use super::layers;
use super::paper::{LayerTable, Table};
use super::results::PaperResults;
use hw_eval::Arm;
use hw_report::{BadgeKind, Block, Cell, Column, Row, RowKind, Text, format};

/// A table, and what is folded away under it: the scale of each row, rules, assumptions.
pub(crate) fn table(
    declared: &Table,
    results: &PaperResults<'_>,
    spreads: &Spreads,
    source: &Source<'_>,
) -> Vec<Block> {
    let mut columns = vec![Column::text(declared.rows_title.clone())];
    for title in &declared.columns {
        columns.push(Column::number(title.clone()));
    }
    let mut table = hw_report::Table::new(declared.caption.as_str(), columns);
    table.id.clone_from(&declared.id);
    let mut notes: Vec<String> = Vec::new();
    let mut scales: Vec<(String, String)> = Vec::new();
    for row in &declared.rows {
        let mut cells = vec![Cell::new(row.label.as_str())];
        for (cell, column) in row.cells.iter().zip(&declared.columns) {
            cells.push(
                match (judge_cell(cell, results, spreads, source.data), &cell.text) {
                    (Some(judged), _) => {
                        if let Standing::Agrees { rule } | Standing::Differs { rule, .. } =
                            &judged.verdict
                            && !notes.contains(rule)
                        {
                            notes.push(rule.clone());
                        }
                        if let Standing::NotComparable { reason } = &judged.verdict {
                            let note = format!("Not comparable: {reason}.");
                            if !notes.contains(&note) {
                                notes.push(note);
                            }
                        }
                        if judged.mean.is_some() && !judged.scale.is_empty() {
                            scales.push((row.label.clone(), judged.scale.clone()));
                        }
                        let quantity = cell.value.as_ref().map(|term| term.quantity);
                        render(&judged, quantity, [column, &row.label])
                    }
                    (None, Some(text)) => Cell::new(text.as_str()),
                    (None, None) => Cell::new("–"),
                },
            );
        }
        let kind = if row.emphasis {
            RowKind::Emphasized
        } else {
            RowKind::Normal
        };
        table.rows.push(Row::new(cells).kind(kind));
    }
    scales.dedup();
    if let Some(line) = scale_line(&scales) {
        table = table.scale(line);
    }
    if let Some(ranking) = ranking(declared, results, spreads) {
        table = table.note(ranking);
    }
    if let Some(note) = &declared.note {
        table = table.note(note.as_str());
    }
    notes.extend(assumptions(declared, results));
    let mut blocks = vec![Block::Table(table)];
    if let Some(details) = details(&scales, notes) {
        blocks.push(details);
    }
    blocks
}

/// One line for the scale of all cells of a table.
fn scale_line(scales: &[(String, String)]) -> Option<String> {
    let (_, first) = scales.first()?;
    if scales.iter().all(|(_, scale)| scale == first) {
        return Some(format!("{first}."));
    }
    let mut different: Vec<&str> = scales.iter().map(|(_, scale)| scale.as_str()).collect();
    different.sort_unstable();
    different.dedup();
    Some(format!(
        "Rows differ in scale: {} (and so on; each row's below).",
        first
    ))
    .filter(|_| different.len() > 1)
}

/// What is folded away under a table.
fn details(scales: &[(String, String)], notes: Vec<String>) -> Option<Block> {
    let uniform = scales.windows(2).all(|two| two[0].1 == two[1].1);
    let mut items: Vec<Text> = Vec::new();
    if !uniform {
        let row = |(label, scale): &(String, String)| Text::from(format!("{label}: {scale}"));
        items.extend(scales.iter().map(row));
    }
    items.extend(notes.into_iter().map(Text::from));
    (!items.is_empty()).then(|| {
        let list = Block::List {
            ordered: false,
            items,
        };
        Block::details("Scale, rules and assumptions", vec![list])
    })
}

/// The ranking of a table's rows, as far as the seeds support one.
fn ranking(declared: &Table, results: &PaperResults<'_>, spreads: &Spreads) -> Option<Text> {
    let column = declared.rank?;
    let terms: Vec<(&str, &Term)> = declared
        .rows
        .iter()
        .filter_map(|row| Some((row.label.as_str(), row.cells[column].value.as_ref()?)))
        .filter(|(_, term)| results.values(term).is_ok())
        .collect();
    let (_, first) = terms.first()?;
    if !first.quantity.higher_is_better() {
        return None;
    }
    if let Some(reason) = terms.iter().find_map(|(_, term)| results.too_small(term)) {
        return Some(Text::from(format!("No ranking: {reason}.")));
    }
    let arms = terms.iter().filter_map(|(_, term)| results.arm(term).ok());
    let arms: Vec<Arm> = arms.collect();
    let arms: Vec<&Arm> = arms.iter().collect();
    let ranked = hw_eval::rank(&arms, &spreads.setting(&results.setting(first))).ok()?;
    let best = ranked.first()?;
    let text = Text::from("Ranking: ").strong(best.name.clone());
    let ties: Vec<&str> = ranked[1..]
        .iter()
        .filter(|other| !other.beaten_by.contains(&best.name))
        .map(|other| other.name.as_str())
        .collect();
    let rest = ranked.len() - 1 - ties.len();
    let level = "over seeds and test images, level .05, Holm's correction over all pairs";
    Some(match ties.as_slice() {
        [] => text.plain(format!(" is significantly better than all {rest} others ({level}).")),
        ties => text.plain(format!(
            " has the highest mean, but is not significantly better than {}; {rest} of the others are \
             significantly worse ({level}).",
            ties.join(", ")
        )),
    })
}

/// What the runs of a table assume, each once, with the runs it is true of.
fn assumptions(table: &Table, results: &PaperResults<'_>) -> Vec<String> {
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for cell in table.rows.iter().flat_map(|row| &row.cells) {
        let Some(job) = cell.value.as_ref().and_then(|term| results.job(&term.run)) else {
            continue;
        };
        let Some(note) = job.decl.note.as_deref() else {
            continue;
        };
        let label = job.decl.label();
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, labels)) if labels.contains(&label) => {}
            Some((_, labels)) => labels.push(label),
            None => notes.push((note, vec![label])),
        }
    }
    let written = |(note, labels): (&str, Vec<&str>)| match labels.len() {
        0..=4 => format!("{}: {note}", labels.join(", ")),
        many => format!("{} and {} others: {note}", labels[..2].join(", "), many - 2),
    };
    notes.into_iter().map(written).collect()
}

/// `titles` are those of the cell's column and row.
fn render(judged: &JudgedCell, quantity: Option<Quantity>, titles: [&str; 2]) -> Cell {
    let percent_column = titles.iter().any(|title| title.contains('%'));
    let Some(mean) = judged.mean else {
        let reason = match &judged.verdict {
            Standing::Missing { reason } => reason.as_str(),
            _ => "not measured",
        };
        let mut text = Text::new().badge(BadgeKind::Muted, "no value");
        if let Some(reported) = &judged.reported {
            text = text.plain(format!(" reported {reported}"));
        }
        return Cell::new(text).detail(reason.to_string());
    };
    let spread = judged.std.unwrap_or(f64::NAN);
    let share = quantity.is_some_and(Quantity::is_share);
    let ours = match quantity {
        Some(quantity) => value_text(mean, spread, quantity, percent_column),
        None => format::count(mean.round() as u64),
    };
    let mut text = Text::new().strong(ours);
    let mut sub = Vec::new();
    if judged.synthetic {
        sub.push("synthetic".to_string());
    }
    if let Some(reported) = &judged.reported {
        text = text.plain(format!(" reported {reported} "));
        text = match &judged.verdict {
            Standing::Agrees { .. } => text.badge(BadgeKind::Good, "agrees"),
            Standing::Differs { by, .. } => {
                let by = match (share, quantity) {
                    (true, _) => format!("{} points", format::signed(by * 100.0, 2)),
                    (false, Some(_)) => format::signed(*by, 2),
                    (false, None) => format::signed(*by, 0),
                };
                text.badge(BadgeKind::Bad, format!("differs by {by}"))
            }
            Standing::NotComparable { .. } => text.badge(BadgeKind::Muted, "not comparable"),
            Standing::Ours | Standing::Missing { .. } => text,
        };
    }
    match sub.is_empty() {
        true => Cell::new(text),
        false => Cell::new(text).detail(sub.join("; ")),
    }
}

fn value_text(mean: f64, spread: f64, quantity: Quantity, percent_column: bool) -> String {
    let spread_text = |decimals: usize, scale: f64| {
        let value = format::fixed(mean * scale, decimals);
        if spread.is_finite() && spread > 0.0 {
            format!("{value} ± {}", format::fixed(spread * scale, decimals))
        } else {
            value
        }
    };
    match quantity {
        _ if quantity.is_share() && percent_column => spread_text(2, 100.0),
        _ if quantity.is_share() => spread_text(4, 1.0),
        Quantity::Test(_) | Quantity::TrainLoss | Quantity::ValLoss | Quantity::ValLossBest => {
            spread_text(4, 1.0)
        }
        Quantity::LearningRate => format::significant(mean, 3),
        Quantity::TrainSeconds
        | Quantity::BestSeconds
        | Quantity::ImageMicroseconds
        | Quantity::Epochs => spread_text(1, 1.0),
        Quantity::EpochSeconds | Quantity::TestSeconds | Quantity::StepMs => spread_text(2, 1.0),
        Quantity::Latency => spread_text(3, 1.0),
        Quantity::TrainAccuracy | Quantity::ValAccuracy | Quantity::Shared => spread_text(4, 1.0),
        Quantity::TestImages
        | Quantity::TrainRate
        | Quantity::InferenceRate
        | Quantity::Parameters
        | Quantity::Macs
        | Quantity::Layers => format::count(mean.round() as u64),
    }
}

/// The layers of networks as the paper lists them and as they were built.
pub(crate) fn layer_table(declared: &LayerTable, results: &PaperResults<'_>) -> hw_report::Table {
    let rows: Vec<(String, Vec<String>, Vec<String>)> = declared
        .models
        .iter()
        .map(|row| {
            let ours = results
                .job(&row.run)
                .and_then(|job| job.network.as_ref())
                .and_then(|network| Some(layers::paper_layers(&network.lower().ok()?)));
            let label = results
                .job(&row.run)
                .map_or(row.run.as_str(), |job| job.decl.label());
            (
                label.to_string(),
                row.reported.clone(),
                ours.unwrap_or_default(),
            )
        })
        .collect();
    let width = rows
        .iter()
        .map(|(_, reported, ours)| reported.len().max(ours.len()))
        .max();
    let width = width.unwrap_or(0);
    let mut columns = vec![Column::text("model"), Column::text("")];
    columns.extend((1..=width).map(|number| Column::text(format!("layer {number}"))));
    let mut table = hw_report::Table::new(declared.caption.as_str(), columns);
    table.id.clone_from(&declared.id);
    for (label, reported, ours) in rows {
        let line = |first: Cell, second: Cell, names: &[String]| {
            let name = |index: usize| names.get(index).map_or("", String::as_str);
            let mut cells = vec![first, second];
            cells.extend((0..width).map(|index| Cell::new(name(index))));
            cells
        };
        if reported.is_empty() {
            table = table.row(line(Cell::new(label), Cell::new("built"), &ours));
            continue;
        }
        let verdict = match layers::agree(&reported, &ours) {
            _ if ours.is_empty() => Text::new().badge(BadgeKind::Muted, "no value"),
            true => Text::from("built ").badge(BadgeKind::Good, "same"),
            false => Text::from("built ").badge(BadgeKind::Bad, "differs"),
        };
        table = table.row(line(Cell::new(label), Cell::new("reported"), &reported));
        table = table.row(line(Cell::new(""), Cell::new(verdict), &ours));
    }
    table.note("A reported list may leave out the final softmax, and writes fc for affine.")
}
