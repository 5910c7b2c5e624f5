//! The bench's results as a table.

use super::Mode;
use super::compare::{Cell, Finding, OURS};
use std::fmt::Write;

/// One line a competitor, network and mode, for a terminal.
pub(crate) fn text(findings: &[Finding]) -> String {
    let cells = findings.iter().flat_map(|finding| &finding.cells);
    cells.map(line).collect()
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

/// A Markdown section: who was measured how, us beside the best peer, and everything.
pub(crate) fn markdown(findings: &[Finding]) -> String {
    let mut text = conditions(findings);
    text.push_str(
        "| network | what | ours | share of peak | best peer | we are ... times as fast |\n",
    );
    text.push_str("|---|---|--:|--:|--:|--:|\n");
    for finding in findings {
        text.push_str(&summary(finding).unwrap_or_default());
    }
    text.push_str("\n| network | what | who | measured | we are ... times as fast | rounds | share of peak | peak memory |\n");
    text.push_str("|---|---|---|--:|--:|--:|--:|--:|\n");
    for cell in findings.iter().flat_map(|finding| &finding.cells) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.net,
            mode(cell.mode),
            cell.who,
            value(cell),
            ratio(cell),
            cell.rounds,
            share(cell),
            memory(cell),
        );
    }
    text
}

/// Machine, versions and method, once each where findings were recorded in several calls.
fn conditions(findings: &[Finding]) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut versions = serde_json::Map::new();
    for finding in findings {
        let paragraph = format!(
            "{}, {}, {} threads; medians of up to {} rounds of {} s, competitors in turns.\n\n",
            finding.machine.processor,
            finding.machine.system,
            finding.threads,
            finding.rounds,
            finding.seconds
        );
        if !seen.contains(&paragraph) {
            seen.push(paragraph);
        }
        versions.extend(finding.versions.clone());
    }
    let list: Vec<String> = versions
        .iter()
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
        .collect();
    if !list.is_empty() {
        seen.push(format!("Peers: {}.\n\n", list.join(", ")));
    }
    seen.concat()
}

/// One network in one mode: us and the best of the others.
fn summary(finding: &Finding) -> Option<String> {
    let ours = finding.cells.iter().find(|cell| cell.who == OURS)?;
    let peers = finding.cells.iter().filter(|cell| cell.who != OURS);
    let slower = |cell: &Cell| cell.ratio.map_or(f64::INFINITY, |[middle, ..]| middle);
    let best = peers.min_by(|a, b| slower(a).total_cmp(&slower(b)));
    let best = best.filter(|cell| cell.ratio.is_some());
    Some(format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        ours.net,
        mode(ours.mode),
        value(ours),
        share(ours),
        best.map_or_else(String::new, |best| format!(
            "{} ({})",
            value(best),
            best.who
        )),
        best.map_or_else(String::new, ratio),
    ))
}

/// A kind of work, for people.
pub(crate) fn mode(mode: Mode) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(who: &str, value: Option<f64>, ratio: Option<f64>) -> Cell {
        Cell {
            who: who.into(),
            net: "lenet5".into(),
            mode: Mode::Train,
            value,
            ratio: ratio.map(|ratio| [ratio; 3]),
            rounds: 2,
            share: None,
            peak_mb: None,
            error: value.is_none().then(|| "no gradient".into()),
        }
    }

    #[test]
    fn the_summary_names_the_fastest_of_the_others_and_who_failed_stays_in_the_table() {
        let finding = Finding {
            machine: hw_train::Machine::current(),
            threads: 2,
            rounds: 2,
            seconds: 1.0,
            versions: serde_json::Map::new(),
            cells: vec![
                cell(OURS, Some(30.0), None),
                cell("keras", Some(10.0), Some(3.0)),
                cell("torch", Some(20.0), Some(1.5)),
                cell("candle", None, None),
            ],
        };
        let page = markdown(&[finding.clone(), finding]);
        let best =
            "| lenet5 | training | 30 images/s |  | 20 images/s (torch) | 1.50 (1.50 to 1.50) |";
        assert!(page.contains(best), "{page}");
        assert!(page.contains("| candle | no gradient | - | 2 |"), "{page}");
        assert_eq!(page.matches("competitors in turns").count(), 1, "{page}");
    }
}
