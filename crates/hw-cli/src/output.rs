//! What a command answers: text for people or one JSON object for programs, on standard output; and
//! notes beside it, on standard error.

use anyhow::{Context, Result};
use hw_train::Score;
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{ErrorKind, Write, stderr, stdout};
use unicode_width::UnicodeWidthStr;

/// Prints a command's answer. A reader that has seen enough (`hw ... | head`) is no failure.
pub(crate) fn answer<T: Serialize + Display>(json: bool, answer: &T) -> Result<()> {
    let mut text = match json {
        true => serde_json::to_string(answer).context("cannot write the answer as JSON")?,
        false => answer.to_string(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Says something on standard error; nobody listening is no failure.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(stderr().lock(), "{text}");
}

/// A share as per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// `12345` as `12,345`.
pub(crate) fn grouped(number: impl TryInto<u64>) -> String {
    indicatif::HumanCount(number.try_into().unwrap_or(u64::MAX)).to_string()
}

/// Loss and accuracy over some images.
pub(crate) fn score(score: &Score) -> String {
    format!(
        "loss {:.4}, accuracy {}",
        score.loss,
        percent(score.accuracy)
    )
}

/// "1 epoch", "2 epochs".
pub(crate) fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// Columns of text; the first line is the heading.
pub(crate) struct Table {
    /// Which columns are numbers, and so aligned to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; those with a leading `>` head columns of numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let numbers = headings
            .iter()
            .map(|heading| heading.starts_with('>'))
            .collect();
        let heading = headings
            .iter()
            .map(|h| h.trim_start_matches('>').to_string())
            .collect();
        Self {
            numbers,
            rows: vec![heading],
        }
    }

    /// Adds a line, one cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Hiragana are two columns wide on a terminal, so characters cannot be counted.
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.numbers.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &number) in row.iter().zip(&widths).zip(&self.numbers) {
                let gap = " ".repeat(width - cell.width());
                line += &if number {
                    format!("{gap}{cell}  ")
                } else {
                    format!("{cell}{gap}  ")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_also_under_wide_characters() {
        let mut table = Table::new(&["class", ">images", "note"]);
        table.row(["お".into(), "7".into(), "wide".into()]);
        table.row(["a".into(), "1,000".into(), String::new()]);
        let expected = "class  images  note\nお          7  wide\na       1,000\n";
        assert_eq!(table.to_string(), expected);
    }
}
