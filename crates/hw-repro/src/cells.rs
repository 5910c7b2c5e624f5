//! Every cell of every table, judged: reported value, ours with its spread, scale, verdict.

use super::claims::Spreads;
use super::data::DataCache;
use super::evidence::Evidence;
use super::expression::Quantity;
use super::paper::{Cell, Paper};
use super::results::{JobResult, PaperResults};
use anyhow::Context;
use hw_data::DatasetId;
use hw_eval::statistics::{Pooled, Variance, mean, sample_std};
use hw_eval::{CellVerdict, Tolerance, reproduces_value};
use serde::Serialize;

/// A cell as the report, the JSON and the CSV show it. Shares are 0 to 1.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct JudgedCell {
    pub(crate) paper: String,
    pub(crate) table: String,
    pub(crate) row: String,
    pub(crate) column: String,
    /// The expression behind it.
    pub(crate) term: String,
    /// What kind of number it is.
    pub(crate) kind: Kind,
    /// As it stands in the paper.
    pub(crate) reported: Option<String>,
    /// In place of it: a value that the paper does not state but that follows from it.
    pub(crate) derived: Option<String>,
    /// The reported number in our unit.
    pub(crate) reported_value: Option<f64>,
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

/// Kinds of numbers that are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An accuracy, on test or validation images.
    Accuracy,
    /// Of files, classes or parameters: the same under every seed.
    Count,
    /// Losses, scores, times.
    #[default]
    Other,
}

impl Kind {
    fn of(quantity: Quantity) -> Self {
        match quantity {
            _ if quantity.is_accuracy() || quantity == Quantity::TrainAccuracy => Self::Accuracy,
            Quantity::Parameters | Quantity::Macs | Quantity::Layers => Self::Count,
            _ => Self::Other,
        }
    }
}

/// How our number stands to the reported one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Nothing was reported.
    #[default]
    Ours,
    /// The reported value agrees with ours.
    Agrees {
        /// The rule applied.
        rule: String,
    },
    /// It does not.
    Differs {
        /// Ours minus reported.
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

/// A number of images or classes of a data set: "emnist-letters.train".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    dataset: DatasetId,
    what: Counted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Train,
    Test,
    Total,
    Classes,
}

impl Count {
    /// Reads "DATASET.train", ".test", ".total" or ".classes".
    ///
    /// # Errors
    /// When it is none of these.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (dataset, what) = text.rsplit_once('.').context("write DATASET.train")?;
        let what = match what {
            "train" => Counted::Train,
            "test" => Counted::Test,
            "total" => Counted::Total,
            "classes" => Counted::Classes,
            _ => anyhow::bail!("\"{text}\": write .train, .test, .total or .classes"),
        };
        let dataset = dataset.parse()?;
        Ok(Self { dataset, what })
    }

    fn of(&self, data: &DataCache) -> Option<usize> {
        if self.what == Counted::Classes {
            return Some(self.dataset.classes()?.len());
        }
        let [train, test] = data.counts(&self.dataset)?;
        Some(match self.what {
            Counted::Train => train,
            Counted::Test => test,
            _ => train + test,
        })
    }
}

/// The data sets whose images a paper's cells count.
pub(crate) fn counted_sets(paper: &Paper) -> Vec<DatasetId> {
    let cells = paper.tables().flat_map(|table| &table.rows);
    let counts = cells.flat_map(|row| &row.cells);
    let counts = counts.filter_map(|cell| Count::parse(cell.count.as_deref()?).ok());
    counts.map(|count| count.dataset).collect()
}

/// All cells of a paper that hold a number.
pub(crate) fn judge(
    paper: &Paper,
    results: &PaperResults<'_>,
    spreads: &Spreads,
    data: &DataCache,
) -> Vec<JudgedCell> {
    let mut cells = Vec::new();
    for table in paper.tables() {
        for row in &table.rows {
            for (cell, column) in row.cells.iter().zip(&table.columns) {
                if let Some(mut judged) = judge_cell(cell, results, spreads, data) {
                    judged.paper.clone_from(&paper.slug);
                    judged.table.clone_from(&table.id);
                    judged.row.clone_from(&row.label);
                    judged.column.clone_from(column);
                    cells.push(judged);
                }
            }
        }
    }
    cells
}

/// One cell judged; `None` if it holds only words. Its place is left empty.
pub(crate) fn judge_cell(
    cell: &Cell,
    results: &PaperResults<'_>,
    spreads: &Spreads,
    data: &DataCache,
) -> Option<JudgedCell> {
    if let Some(count) = &cell.count {
        return judge_count(cell, count, data);
    }
    judge_value(cell, results, spreads)
}

/// A count of the data that is here, against the reported one.
fn judge_count(cell: &Cell, text: &str, data: &DataCache) -> Option<JudgedCell> {
    let count = Count::parse(text).ok()?;
    let ours = count.of(data);
    let used = data.used(&count.dataset);
    let synthetic = data.is_synthetic();
    let edition = data
        .edition(&count.dataset)
        .map(|edition| edition.to_string());
    let stated = cell.reported.as_deref().or(cell.derived.as_deref());
    let reported = stated.and_then(|text| number(text, false));
    let verdict = match (ours, reported) {
        (None, _) => Standing::Missing {
            reason: format!("{} is not to be had here", count.dataset),
        },
        (Some(_), None) => Standing::Ours,
        (Some(_), Some(_)) if count.what != Counted::Classes && synthetic => {
            Standing::NotComparable {
                reason: "ours is generated data".into(),
            }
        }
        (Some(_), Some(_))
            if count.what != Counted::Classes && edition.as_deref() == Some("sixth") =>
        {
            Standing::NotComparable {
                reason: "ours is a sixth of EMNIST".into(),
            }
        }
        (Some(_), Some(_)) if cell.incomparable.is_some() => Standing::NotComparable {
            reason: cell.incomparable.clone().unwrap_or_default(),
        },
        (Some(ours), Some((reported, _))) => {
            compare(reported, &[ours as f64], Tolerance::Absolute(0.0))
        }
    };
    Some(JudgedCell {
        paper: String::new(),
        table: String::new(),
        row: String::new(),
        column: String::new(),
        term: text.to_string(),
        kind: Kind::Count,
        derived: cell.derived.clone(),
        reported: cell.reported.clone(),
        reported_value: reported.map(|(value, _)| value),
        mean: ours.map(|ours| ours as f64),
        std: None,
        scale: edition.map_or_else(|| used.to_string(), |e| format!("{used} ({e})")),
        synthetic,
        verdict,
        runs: Vec::new(),
        values: ours.map(|ours| ours as f64).into_iter().collect(),
    })
}

fn judge_value(cell: &Cell, results: &PaperResults<'_>, spreads: &Spreads) -> Option<JudgedCell> {
    let term = cell.value.as_ref()?;
    let job = results.job(&term.run);
    let (values, missing) = match results.values(term) {
        Ok(values) => (values, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let stated = cell.reported.as_deref().or(cell.derived.as_deref());
    let reported_value = stated.and_then(|text| number(text, term.quantity.is_share()));
    let mut judged = JudgedCell {
        paper: String::new(),
        table: String::new(),
        row: String::new(),
        column: String::new(),
        term: term.to_string(),
        kind: Kind::of(term.quantity),
        derived: cell.derived.clone(),
        reported: cell.reported.clone(),
        reported_value: reported_value.map(|(value, _)| value),
        mean: mean(&values).ok(),
        std: sample_std(&values).ok(),
        // What follows from the declaration alone has no scale.
        scale: match term.quantity.is_structural() && term.quantity != Quantity::LearningRate {
            true => String::new(),
            false => job.map(JobResult::scale).unwrap_or_default(),
        },
        synthetic: job.is_some_and(JobResult::synthetic),
        verdict: Standing::Ours,
        runs: job
            .map(|j| j.seeds.iter().map(|s| s.run.clone()).collect())
            .unwrap_or_default(),
        values,
    };
    judged.verdict = match (missing, job, reported_value) {
        (Some(reason), ..) => Standing::Missing { reason },
        (None, Some(job), Some((reported, rounding))) => {
            let structural = term.quantity.is_structural();
            match obstacle(cell, job, term.quantity) {
                Some(reason) => Standing::NotComparable { reason },
                None if structural => compare(reported, &judged.values, Tolerance::Absolute(0.0)),
                None => {
                    let spread = spreads.of_runs(&results.setting(term));
                    let images = job.seeds.first().map(|seed| seed.metrics.samples);
                    let rule = rule(&judged.values, spread, images, rounding);
                    compare(reported, &judged.values, rule)
                }
            }
        }
        _ => Standing::Ours,
    };
    Some(judged)
}

/// What keeps a reported value from being compared with ours, if anything does.
fn obstacle(cell: &Cell, job: &JobResult, quantity: Quantity) -> Option<String> {
    if let Some(reason) = &cell.incomparable {
        return Some(reason.clone());
    }
    if quantity.is_structural() {
        return None;
    }
    if quantity.is_time() {
        return Some("another machine".into());
    }
    if job.synthetic() {
        return Some("ours is on synthetic data".into());
    }
    if job.sixth() {
        return Some("ours is a sixth of EMNIST".into());
    }
    (!job.full).then(|| "ours is at a smaller scale".into())
}

/// By the spread over seeds, pooled over comparable runs where there are some; a single seed of a kind
/// of its own by the noise of its test set.
fn rule(values: &[f64], spread: Option<Pooled>, images: Option<u64>, rounding: f64) -> Tolerance {
    let level = 0.95;
    if let Some(spread) = spread {
        let moderated = spread.moderated(Variance::of(values).ok());
        return Tolerance::Pooled {
            level,
            deviation: moderated.value.sqrt(),
            degrees_of_freedom: moderated.degrees_of_freedom,
            // The paper's test images are ours where the scale is the paper's.
            test_sets: None,
            rounding,
        };
    }
    match images {
        Some(images) if values.len() < 2 => Tolerance::TestSet {
            level,
            images,
            rounding,
        },
        _ => Tolerance::Seeds { level, rounding },
    }
}

fn compare(reported: f64, values: &[f64], rule: Tolerance) -> Standing {
    let rule_text = rule.description();
    match reproduces_value(reported, values, rule).verdict {
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

/// A reported number in our unit, and half a unit of its last digit: shares above 1 were reported in
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
