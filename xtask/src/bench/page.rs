//! The bench's results as a table.

use super::{Cell, Mode, OURS, Outcome};
use std::fmt::Write;

/// One line a competitor, network and mode, for a terminal.
pub(crate) fn text(outcome: &Outcome) -> String {
    outcome.cells.iter().map(line).collect()
}

/// The line of one cell.
pub(crate) fn line(cell: &Cell) -> String {
    format!(
        "{:12} {:9} {:14} {:>16} {:>26} {:>9} {:>10}\n",
        cell.net,
        mode(cell.mode),
        cell.who,
        value(cell),
        ratio(cell),
        share(cell),
        memory(cell),
    )
}

/// A Markdown section with machine and versions.
pub(crate) fn markdown(outcome: &Outcome) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, {}, {} threads; medians of {} rounds of {} s, competitors in turns.\n",
        outcome.machine.processor,
        outcome.machine.system,
        outcome.threads,
        outcome.rounds,
        outcome.seconds
    );
    if let Some(versions) = outcome.versions.as_object() {
        let list: Vec<String> = versions
            .iter()
            .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
            .collect();
        let _ = writeln!(text, "Peers: {}.\n", list.join(", "));
    }
    text.push_str("| network | what | who | measured | we are ... times as fast | share of peak | peak memory |\n");
    text.push_str("|---|---|---|--:|--:|--:|--:|\n");
    for cell in &outcome.cells {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell.net,
            mode(cell.mode),
            cell.who,
            value(cell),
            ratio(cell),
            share(cell),
            memory(cell),
        );
    }
    text
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Train => "training",
        Mode::Infer => "batch 256",
        Mode::Latency => "one image",
    }
}

fn value(cell: &Cell) -> String {
    match (cell.value, cell.mode) {
        (None, _) => cell.error.clone().unwrap_or_else(|| "-".into()),
        (Some(value), Mode::Latency) => format!("{value:.3} ms"),
        (Some(value), _) => format!("{value:.0} images/s"),
    }
}

fn ratio(cell: &Cell) -> String {
    match cell.ratio {
        Some([middle, low, high]) => format!("{middle:.2} ({low:.2} to {high:.2})"),
        None if cell.who == OURS => String::new(),
        None => "-".into(),
    }
}

fn share(cell: &Cell) -> String {
    cell.share
        .map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share))
}

fn memory(cell: &Cell) -> String {
    cell.peak_mb
        .map_or_else(String::new, |mb| format!("{mb:.0} MB"))
}
