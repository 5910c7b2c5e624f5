//! Every cell of every table, judged: printed value, ours with its spread, scale, verdict.

use super::paper::{Cell, Paper};
use super::results::{JobResult, PaperResults};
use hw_eval::statistics::{mean, sample_std};
use hw_eval::{CellVerdict, Tolerance, reproduces_value};
use serde::Serialize;

/// A cell as the report, the JSON and the CSV show it. Shares are 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JudgedCell {
    pub(crate) paper: String,
    pub(crate) table: String,
    pub(crate) row: String,
    pub(crate) column: String,
    /// The expression behind it.
    pub(crate) term: String,
    /// As it stands in the document.
    pub(crate) printed: Option<String>,
    /// The printed number in our unit.
    pub(crate) printed_value: Option<f64>,
    pub(crate) mean: Option<f64>,
    /// Sample standard deviation over seeds.
    pub(crate) std: Option<f64>,
    pub(crate) values: Vec<f64>,
    pub(crate) scale: String,
    pub(crate) synthetic: bool,
    pub(crate) verdict: Standing,
    /// Run folders, one a seed.
    pub(crate) runs: Vec<String>,
}

/// How our number stands to the printed one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Nothing was printed.
    Ours,
    /// The printed value agrees with ours.
    Agrees {
        /// The rule applied.
        rule: String,
    },
    /// It does not.
    Differs {
        /// Ours minus printed.
        by: f64,
        /// The rule applied.
        rule: String,
    },
    /// The two cannot be compared.
    NotComparable {
        /// Why not.
        reason: String,
    },
    /// There is no number of ours.
    Missing {
        /// Why not.
        reason: String,
    },
}

/// All cells of a paper that hold a number.
pub(crate) fn judge(paper: &Paper, results: &PaperResults<'_>) -> Vec<JudgedCell> {
    let mut cells = Vec::new();
    for section in &paper.sections {
        for table in &section.tables {
            for row in &table.rows {
                for (cell, column) in row.cells.iter().zip(&table.columns) {
                    if let Some(mut judged) = judge_cell(cell, results) {
                        judged.paper.clone_from(&paper.slug);
                        judged.table.clone_from(&table.id);
                        judged.row.clone_from(&row.label);
                        judged.column.clone_from(column);
                        cells.push(judged);
                    }
                }
            }
        }
    }
    cells
}

/// One cell judged; `None` if it holds only words. Its place is left empty.
pub(crate) fn judge_cell(cell: &Cell, results: &PaperResults<'_>) -> Option<JudgedCell> {
    let term = cell.value.as_ref()?;
    let job = results.job(&term.run);
    let (values, missing) = match results.values(term) {
        Ok(values) => (values.values, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let printed_value = cell
        .printed
        .as_deref()
        .and_then(|text| number(text, term.quantity.is_share()));
    let mut judged = JudgedCell {
        paper: String::new(),
        table: String::new(),
        row: String::new(),
        column: String::new(),
        term: term.to_string(),
        printed: cell.printed.clone(),
        printed_value: printed_value.map(|(value, _)| value),
        mean: mean(&values).ok(),
        std: sample_std(&values).ok(),
        scale: job.map(JobResult::scale).unwrap_or_default(),
        synthetic: job.is_some_and(JobResult::synthetic),
        verdict: Standing::Ours,
        runs: job
            .map(|j| j.seeds.iter().map(|s| s.run.clone()).collect())
            .unwrap_or_default(),
        values,
    };
    judged.verdict = match (missing, job, printed_value) {
        (Some(reason), ..) => Standing::Missing { reason },
        (None, Some(job), Some((printed, rounding))) => {
            let images = job.seeds.first().map(|seed| seed.metrics.samples);
            let structural = term.quantity.is_structural();
            match obstacle(cell, job, structural) {
                Some(reason) => Standing::NotComparable { reason },
                None if structural => compare(printed, &judged.values, Tolerance::Absolute(0.0)),
                None => compare(
                    printed,
                    &judged.values,
                    rule(&judged.values, images, rounding),
                ),
            }
        }
        _ => Standing::Ours,
    };
    Some(judged)
}

/// What keeps a printed value from being compared with ours, if anything does.
fn obstacle(cell: &Cell, job: &JobResult, structural: bool) -> Option<String> {
    if let Some(reason) = &cell.incomparable {
        return Some(reason.clone());
    }
    if structural {
        return None;
    }
    if job.synthetic() {
        return Some("ours is on synthetic data".into());
    }
    (!job.full).then(|| "ours is at a smaller scale".into())
}

fn rule(values: &[f64], images: Option<u64>, rounding: f64) -> Tolerance {
    let level = 0.95;
    match images {
        Some(images) if values.len() < 2 => Tolerance::TestSet {
            level,
            images,
            rounding,
        },
        _ => Tolerance::Seeds { level, rounding },
    }
}

fn compare(printed: f64, values: &[f64], rule: Tolerance) -> Standing {
    let rule_text = rule.description();
    match reproduces_value(printed, values, rule).verdict {
        CellVerdict::Within => Standing::Agrees { rule: rule_text },
        CellVerdict::Above { by } => Standing::Differs {
            by,
            rule: rule_text,
        },
        CellVerdict::Below { by } => Standing::Differs {
            by: -by,
            rule: rule_text,
        },
        CellVerdict::NotComparable { reason } => Standing::NotComparable { reason },
    }
}

/// A printed number in our unit, and half a unit of its last digit: shares above 1 were printed in
/// per cent.
pub(crate) fn number(text: &str, share: bool) -> Option<(f64, f64)> {
    let text = text.trim().replace(',', "");
    let value: f64 = text.parse().ok()?;
    let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let half = 0.5 * 10f64.powi(-(decimals as i32));
    let percent = share && value > 1.0;
    Some(if percent {
        (value / 100.0, half / 100.0)
    } else {
        (value, half)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_numbers_keep_their_rounding() {
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| {
            assert!((a - c).abs() < 1e-12 && (b - d).abs() < 1e-12, "{a} {b}");
        };
        close(number("99.22", true).unwrap(), (0.9922, 0.00005));
        close(number(".9919", true).unwrap(), (0.9919, 0.00005));
        close(number("93", true).unwrap(), (0.93, 0.005));
        close(number("64,851", false).unwrap(), (64851.0, 0.5));
        assert!(number("-", true).is_none());
    }
}
