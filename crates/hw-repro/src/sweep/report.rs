//! What a sweep found: the trials with their scores, the learning curves of the best, and the winner on the
//! test set; as a page, as Markdown and for programs.

use super::decide::{Purpose, Standing, standing};
use super::plan::{Select, Sweep, Trial, label};
use super::results::{Ended, Results, Searched};
use super::words::plain;
use crate::results::RunResult;
use anyhow::{Context, Result};
use hw_eval::looks::{Count, Look};
use hw_eval::statistics::sample_std;
use hw_eval::{Alpha, Arm, Interval, Outcome, Question, Setting, compare_with_reported};
use hw_report::plots::{Axis, Band, LineChart, Series, Unit};
use hw_report::{
    Block, Cell, Column, Document, Figure, KeyFigure, Notice, NoticeKind, Row, RowKind, Section,
    Table, Text, format,
};
use hw_train::TrainConfig;
use hw_train::recipe::unusual_fields;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Learning curves that a chart can hold.
const CURVES: usize = 6;
/// Trials that are told in words.
const LINES: usize = 5;
/// Error rate in each direction: intervals are at 95 %.
const ALPHA: f64 = 0.025;

/// A sweep with what came of it so far.
pub(crate) struct Report<'a> {
    pub(crate) sweep: &'a Sweep,
    pub(crate) results: &'a Results,
    /// The command that makes it again.
    pub(crate) command: String,
    /// The looks at test sets.
    pub(crate) looks: Vec<Look>,
}

/// The winner on the test set.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Mean accuracy over the final seeds.
    pub(crate) accuracy: f64,
    /// At 95 %: of the recipe over seeds and images, or of one trained network over images.
    pub(crate) interval: Option<Interval>,
    pub(crate) seeds: usize,
    pub(crate) images: usize,
}

impl Report<'_> {
    /// Writes the report under `out`; the summary for programs, and the page.
    ///
    /// # Errors
    /// When a file cannot be written, or the register of test looks cannot be read.
    pub(crate) fn write(&self, out: &Path) -> Result<(Value, PathBuf)> {
        let folder = out.join("report");
        let standing = standing(self.sweep, &self.results.over());
        let looks = self.looks();
        let page = self.page(&standing, looks);
        let written = hw_report::write(&page, &folder, "index")?;
        let summary = self.summary(&standing, looks);
        let text = serde_json::to_string_pretty(&summary).context("the summary as JSON")?;
        hw_core::files::write_whole(&folder.join("trials.json"), text.as_bytes())?;
        if let Some(config) = self.winning(&standing) {
            let text = serde_json::to_string_pretty(&config).context("a configuration as JSON")?;
            hw_core::files::write_whole(&folder.join("winner.json"), (text + "\n").as_bytes())?;
        }
        Ok((summary, written.html))
    }

    /// Runs that are open.
    pub(crate) fn open(&self) -> usize {
        standing(self.sweep, &self.results.over()).open.len()
    }

    /// What a reader wants to know first, in a few lines.
    pub(crate) fn in_words(&self) -> String {
        let standing = standing(self.sweep, &self.results.over());
        let (finished, failed) = self.results.counts();
        let mut lines = vec![format!("{finished} runs finished, {failed} failed")];
        let best = self.ranked(&standing).into_iter().take(LINES);
        for (rank, (trial, rung)) in best.enumerate() {
            let score = match self.problem(trial, rung) {
                Some(problem) => problem.to_owned(),
                None => written(self.sweep.select, &self.scores(trial, rung)),
            };
            let settings = label(&self.sweep.trials[trial].settings);
            lines.push(format!("{:>3}. {score}  {settings}", rank + 1));
        }
        match (standing.winner, self.verdict()) {
            (Some(trial), Some(verdict)) => lines.push(format!(
                "winner: trial {}, {} on the test set ({})",
                trial + 1,
                format::percent(verdict.accuracy, 2),
                detail(&verdict)
            )),
            (Some(trial), None) => {
                lines.push(format!("winner: trial {}, not tested yet", trial + 1))
            }
            (None, _) if standing.open.is_empty() => lines.push("no trial could be scored".into()),
            (None, _) => lines.push(format!("{} runs are open", standing.open.len())),
        }
        lines.join("\n") + "\n"
    }

    /// The winner's configuration with the first of its final seeds.
    fn winning(&self, standing: &Standing) -> Option<TrainConfig> {
        let trial = standing.winner?;
        Some(self.sweep.final_config(trial, self.sweep.final_seeds[0]))
    }

    /// How often the winner's test set was looked at.
    fn looks(&self) -> Option<Count> {
        let tested = self.results.tested();
        let first = tested.first()?;
        let recipe = hw_train::recipe_id(&first.config);
        Some(Count::of(&self.looks, &recipe, &first.test.sha256))
    }

    /// The winner's accuracy on the test set; `None` before it was scored.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        verdict(&self.results.tested())
    }

    /// Trials, best first: those of later rungs, then by their score in the last rung they were in; each
    /// with that rung.
    fn ranked(&self, standing: &Standing) -> Vec<(usize, usize)> {
        let mut ranked: Vec<(usize, usize)> = Vec::new();
        for (rung, trials) in standing.rungs.iter().enumerate().rev() {
            for &trial in trials {
                if ranked.iter().all(|(known, _)| *known != trial) {
                    ranked.push((trial, rung));
                }
            }
        }
        ranked
    }

    /// The search runs of a trial in a rung.
    fn runs(&self, trial: usize, rung: usize) -> Vec<&Searched> {
        let seeds = self.sweep.seeds.iter();
        seeds
            .filter_map(|&seed| self.results.searched(rung, trial, seed))
            .collect()
    }

    /// The deciding scores of a trial in a rung, over its seeds.
    fn scores(&self, trial: usize, rung: usize) -> Vec<f64> {
        let runs = self.runs(trial, rung).into_iter();
        runs.map(|run| run.scores.of(self.sweep.select)).collect()
    }

    /// Why a trial has no score in a rung, if it has none.
    fn problem(&self, trial: usize, rung: usize) -> Option<&str> {
        let mut seeds = self.sweep.seeds.iter();
        seeds.find_map(|&seed| {
            let purpose = Purpose::Search { rung, trial, seed };
            match self.results.get(purpose) {
                Some(Ended::Failed(problem)) => Some(problem.as_str()),
                Some(_) => None,
                None => Some("not run yet"),
            }
        })
    }

    fn page(&self, standing: &Standing, looks: Option<Count>) -> Document {
        let sweep = self.sweep;
        let mut sections = vec![self.winner_section(standing, looks)];
        sections.push(Section::new(
            "Trials",
            vec![Block::Table(self.trials(standing))],
        ));
        if let Some(curves) = self.curves(standing) {
            sections.push(Section::new("Learning curves", vec![Block::Figure(curves)]));
        }
        Document {
            title: format!("Sweep {}", sweep.name),
            subtitle: format!("{}, chosen by {}", sweep.method, sweep.select.title()),
            banner: self.banner(),
            lead: self.lead(standing),
            sections,
            footer: Text::from("Made by ").code(self.command.clone()),
        }
    }

    fn banner(&self) -> Option<Notice> {
        let trials = 0..self.sweep.trials.len();
        let mut runs = trials.flat_map(|trial| self.runs(trial, 0));
        let text = "Every number on this page was measured on glyphs drawn by this program, not on \
                    handwriting.";
        runs.any(|run| run.synthetic)
            .then(|| Notice::new(NoticeKind::Synthetic, text))
    }

    fn lead(&self, standing: &Standing) -> Vec<Block> {
        let Some(winner) = standing.winner else {
            let text = match standing.open.len() {
                0 => "No trial could be scored, so that there is no winner.".to_owned(),
                open => {
                    format!("Not finished: {open} runs are open, and more may follow from them.")
                }
            };
            return vec![Block::notice(NoticeKind::Warning, text)];
        };
        let last = self.sweep.rungs.len() - 1;
        let settings = label(&self.sweep.trials[winner].settings);
        let mut figures = vec![
            KeyFigure::new("winner", settings, format!("trial {}", winner + 1)),
            KeyFigure::new(
                self.sweep.select.title(),
                written(self.sweep.select, &self.scores(winner, last)),
                "by which it was chosen: better than it is",
            ),
        ];
        if let Some(verdict) = self.verdict() {
            figures.push(KeyFigure::new(
                "test accuracy",
                format::percent(verdict.accuracy, 2),
                detail(&verdict),
            ));
        }
        vec![Block::KeyFigures(figures)]
    }

    fn winner_section(&self, standing: &Standing, looks: Option<Count>) -> Section {
        let Some(config) = self.winning(standing) else {
            let text = "It is trained with the final seeds and scored on the test set once the search is over.";
            return Section::new("Winner", vec![Block::paragraph(text)]);
        };
        let mut blocks = vec![Block::Table(self.tests())];
        if let Some(looks) = looks {
            let text = format!(
                "Test looks: {} of this recipe on this test set; recipes in all: {}.",
                looks.looks, looks.recipes
            );
            blocks.push(Block::paragraph(text));
        }
        let mut fields = Table::new(
            "Configuration, where it differs from the default",
            vec![Column::text("field"), Column::text("value")],
        );
        for (name, value) in unusual_fields(&config) {
            fields = fields.row(vec![Text::new().code(name).into(), value.into()]);
        }
        blocks.push(Block::Table(fields));
        let again = Text::from("To train it again: ")
            .code("hw train --config winner.json --out DIR")
            .plain(", with ")
            .link("winner.json", "winner.json")
            .plain(".");
        blocks.push(Block::Paragraph(again));
        Section::new("Winner", blocks)
    }

    /// The winner's runs on the test set.
    fn tests(&self) -> Table {
        let columns = vec![
            Column::text("seed"),
            Column::number("validation accuracy"),
            Column::number("test accuracy"),
            Column::text("run"),
        ];
        let mut table = Table::new("The winner on the test set", columns);
        for result in self.results.tested() {
            let kept = result.history.iter().rfind(|epoch| epoch.best);
            let validation = kept.and_then(|epoch| epoch.validation);
            let validation = validation.map_or(f64::NAN, |score| score.accuracy);
            table = table.row(vec![
                result.config.seed.to_string().into(),
                format::percent(validation, 2).into(),
                format::percent(result.metrics.accuracy, 2).into(),
                Text::new()
                    .link(result.run.clone(), format!("../runs/{}/", result.run))
                    .into(),
            ]);
        }
        for (purpose, problem) in self.results.failures() {
            if let Purpose::Final { seed, .. } = purpose {
                table = table.note(format!("Seed {seed} has no result: {problem}"));
            }
        }
        if let Some(verdict) = self.verdict() {
            let mean = format::percent(verdict.accuracy, 2);
            table = table.note(format!("Mean {mean}, {}.", detail(&verdict)));
        }
        let shared: Vec<String> = self
            .sweep
            .final_seeds
            .iter()
            .filter(|seed| self.sweep.seeds.contains(seed))
            .map(u64::to_string)
            .collect();
        if !shared.is_empty() {
            table = table.note(format!(
                "The winner was chosen with seed {}, too: its luck there is in this mean. Other final seeds \
                 are free of it.",
                shared.join(", ")
            ));
        }
        table
    }

    /// All trials, best first.
    fn trials(&self, standing: &Standing) -> Table {
        let sweep = self.sweep;
        let mut columns = vec![Column::number("rank"), Column::number("trial")];
        columns.extend(
            sweep
                .axes
                .iter()
                .map(|axis| Column::text(axis.name.clone())),
        );
        let several = sweep.rungs.len() > 1;
        columns.extend(several.then(|| Column::number("epochs")));
        columns.push(Column::number(sweep.select.title()));
        let other = other(sweep.select);
        columns.push(Column::number(other.title()));
        columns.push(Column::number("training time"));
        let mut table = Table::new("Trials, best first", columns);
        for (rank, (trial, rung)) in self.ranked(standing).into_iter().enumerate() {
            let mut cells: Vec<Cell> = vec![
                (rank + 1).to_string().into(),
                (trial + 1).to_string().into(),
            ];
            let settings = &sweep.trials[trial].settings;
            cells.extend(settings.iter().map(|(_, value)| plain(value).into()));
            cells.extend(several.then(|| sweep.rungs[rung].epochs.to_string().into()));
            cells.extend(self.scored(trial, rung));
            let kind = match standing.winner == Some(trial) {
                true => RowKind::Emphasized,
                false => RowKind::Normal,
            };
            table.rows.push(Row::new(cells).kind(kind));
        }
        table = table.note(match sweep.seeds.len() {
            1 => format!("Scores of seed {}, on held-out images.", sweep.seeds[0]),
            seeds => format!(
                "Mean and standard deviation over {seeds} seeds, on held-out images; each seed holds out \
                 the same images in every trial."
            ),
        });
        table.note("Of equal scores the earlier trial counts as better.")
    }

    /// The cells of a trial's scores and time.
    fn scored(&self, trial: usize, rung: usize) -> [Cell; 3] {
        if let Some(problem) = self.problem(trial, rung) {
            let short = if problem.contains("diverged") {
                "diverged"
            } else {
                problem
            };
            return [short.into(), format::MISSING.into(), format::MISSING.into()];
        }
        let runs = self.runs(trial, rung);
        let select = self.sweep.select;
        let others: Vec<f64> = runs
            .iter()
            .map(|run| run.scores.of(other(select)))
            .collect();
        let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
        [
            written(select, &self.scores(trial, rung)).into(),
            written(other(select), &others).into(),
            format::duration(seconds).into(),
        ]
    }

    /// Validation accuracy by epoch of the best trials of the last rung.
    fn curves(&self, standing: &Standing) -> Option<Figure> {
        let (rung, trials) = standing.rungs.iter().enumerate().next_back()?;
        let mut chart = LineChart::new(
            Axis::new("epoch").unit(Unit::Whole),
            Axis::new("validation accuracy").percent(),
        );
        let mut drawn = 0;
        for &trial in trials {
            let runs = self.runs(trial, rung);
            if runs.is_empty() || drawn == CURVES {
                continue;
            }
            let curve = |run: &&Searched| -> Vec<f64> {
                let scores = run.history.iter().filter_map(|epoch| epoch.validation);
                scores.map(|score| score.accuracy).collect()
            };
            let curves: Vec<Vec<f64>> = runs.iter().map(curve).collect();
            let name = short_label(&self.sweep.trials[trial]);
            chart = chart.series(Series::over_seeds(name, &curves, Band::MinMax));
            drawn += 1;
        }
        let caption = match drawn {
            0 => return None,
            1 => "Validation accuracy of the only trial of the last rung.".to_owned(),
            n => format!(
                "Validation accuracy by epoch of the best {n} trials: mean and range over seeds."
            ),
        };
        let alt = "Validation accuracy of the best trials by epoch.";
        Some(Figure::new("curves", caption, alt, &chart))
    }

    /// Everything for programs.
    fn summary(&self, standing: &Standing, looks: Option<Count>) -> Value {
        let trials = self.ranked(standing).into_iter().map(|(trial, rung)| {
            let runs = self.runs(trial, rung);
            let seeds: Vec<Value> = runs
                .iter()
                .map(|run| {
                    json!({
                        "run": run.run,
                        "accuracy": run.scores.accuracy,
                        "loss": run.scores.loss,
                        "seconds": run.seconds,
                    })
                })
                .collect();
            json!({
                "trial": trial + 1,
                "settings": settings(&self.sweep.trials[trial]),
                "epochs": self.sweep.rungs[rung].epochs,
                "score": mean(&self.scores(trial, rung)),
                "problem": self.problem(trial, rung),
                "runs": seeds,
            })
        });
        let (finished, failed) = self.results.counts();
        json!({
            "sweep": self.sweep.name,
            "method": self.sweep.method,
            "select": self.sweep.select,
            "seeds": self.sweep.seeds,
            "rungs": self.sweep.rungs,
            "finished": finished,
            "failed": failed,
            "open": standing.open.len(),
            "trials": trials.collect::<Vec<_>>(),
            "winner": standing.winner.map(|trial| json!({
                "trial": trial + 1,
                "settings": settings(&self.sweep.trials[trial]),
            })),
            "test": self.verdict().map(|verdict| json!({
                "accuracy": verdict.accuracy,
                "interval": verdict.interval,
                "images": verdict.images,
                "runs": self.results.tested().iter().map(|result| json!({
                    "run": result.run,
                    "seed": result.config.seed,
                    "accuracy": result.metrics.accuracy,
                })).collect::<Vec<_>>(),
                "looks": looks,
            })),
        })
    }
}

fn verdict(tested: &[&RunResult]) -> Option<Verdict> {
    let first = tested.first()?;
    let outcome = |result: &&RunResult| {
        Outcome::of_answers(result.config.seed, result.answers.correct()).ok()
    };
    let outcomes: Option<Vec<Outcome>> = tested.iter().map(outcome).collect();
    let arm = Arm::new("winner", outcomes?).ok()?;
    let setting = Setting::once(Alpha::new(ALPHA).ok()?);
    let question = Question::Greater { margin: 0.0 };
    // The difference from nothing is the accuracy itself, with the noise of seeds and images.
    let compared = compare_with_reported(&arm, 0.0, question, &setting).ok();
    let compared = compared.filter(|c| tested.len() > 1 && c.blocked.is_none());
    let right = (arm.outcomes()[0].value * first.answers.images as f64).round() as u64;
    let alone =
        || hw_eval::wilson_interval(right, first.answers.images as u64, 1.0 - 2.0 * ALPHA).ok();
    let interval = compared.and_then(|comparison| comparison.interval);
    let within = |of: Interval| Interval {
        low: of.low.max(0.0),
        high: of.high.min(1.0),
    };
    Some(Verdict {
        accuracy: arm.mean(),
        interval: interval.or_else(alone).map(within),
        seeds: tested.len(),
        images: first.answers.images,
    })
}

/// The interval and what it is of.
fn detail(verdict: &Verdict) -> String {
    let images = format::count(verdict.images as u64);
    let of = match verdict.seeds {
        1 => format!("one trained network on {images} test images"),
        seeds => format!("{seeds} seeds on {images} test images"),
    };
    match verdict.interval {
        Some(Interval { low, high }) => format!(
            "95{}% interval {} to {}, {of}",
            format::THIN,
            format::percent(low, 2),
            format::percent(high, 2)
        ),
        None => of,
    }
}

fn other(select: Select) -> Select {
    match select {
        Select::ValAccuracy => Select::ValLoss,
        Select::ValLoss => Select::ValAccuracy,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean and spread of scores, as a table has them.
fn written(select: Select, values: &[f64]) -> String {
    let mean = mean(values).unwrap_or(f64::NAN);
    let spread = sample_std(values).unwrap_or(f64::NAN);
    match select {
        Select::ValAccuracy => format::percent_spread(mean, spread, 2),
        Select::ValLoss if spread.is_finite() => format::spread(mean, spread),
        Select::ValLoss => format::fixed(mean, 4),
    }
}

/// A trial's settings without the names, for the end of a line.
fn short_label(trial: &Trial) -> String {
    let values = trial.settings.iter().map(|(_, value)| plain(value));
    values.collect::<Vec<_>>().join(", ")
}

fn settings(trial: &Trial) -> Value {
    let pairs = trial.settings.iter().cloned();
    Value::Object(pairs.collect())
}
