//! A paper as data: what it printed, the runs behind each cell, its claims. Read from
//! `xtask/papers/*.toml` and checked once; nothing deeper checks names again.

use super::expression::{Check, Term};
use anyhow::{Context, Result, bail};
use hw_data::{DatasetId, EmnistEdition, Step};
use hw_models::Initializer;
use hw_models::zoo::Settings;
use hw_train::EarlyStopping;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// All papers, in the order they are reported.
const SOURCES: &[(&str, &str)] = &[
    (
        "three-datasets.toml",
        include_str!("../../papers/three-datasets.toml"),
    ),
    (
        "emnist-classifier.toml",
        include_str!("../../papers/emnist-classifier.toml"),
    ),
    (
        "emnist-ablation.toml",
        include_str!("../../papers/emnist-ablation.toml"),
    ),
    (
        "simple-cnn-bn.toml",
        include_str!("../../papers/simple-cnn-bn.toml"),
    ),
    ("beyond.toml", include_str!("../../papers/beyond.toml")),
];

/// One paper.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paper {
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) citation: String,
    pub(crate) about: String,
    /// How long the authors' own run of `main_run` took, as printed.
    #[serde(default)]
    pub(crate) printed_minutes: Option<f64>,
    /// The run that the paper is about.
    pub(crate) main_run: String,
    pub(crate) profiles: BTreeMap<String, Scale>,
    #[serde(rename = "run")]
    pub(crate) runs: Vec<RunDecl>,
    #[serde(rename = "variant", default)]
    pub(crate) variants: Vec<Variant>,
    #[serde(rename = "section")]
    pub(crate) sections: Vec<Section>,
    #[serde(rename = "claim")]
    pub(crate) claims: Vec<Claim>,
    #[serde(rename = "flaw", default)]
    pub(crate) flaws: Vec<Flaw>,
}

/// How large the runs of a profile are; what is left out is as the document has it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    /// Training images at most.
    #[serde(default)]
    pub(crate) images: Option<usize>,
    /// Epochs at most.
    #[serde(default)]
    pub(crate) epochs: Option<usize>,
    /// Seeds of every run.
    pub(crate) seeds: u64,
    /// Epochs of each run of a learning-rate search.
    pub(crate) search_epochs: usize,
    /// Training seconds a seed on one core of the reference machine: images and epochs follow.
    #[serde(default)]
    pub(crate) seconds: Option<f64>,
    /// Networks are narrowed until so many steps fit into `seconds`.
    #[serde(default)]
    pub(crate) steps: Option<usize>,
    /// Images a step at most.
    #[serde(default)]
    pub(crate) batch: Option<usize>,
    /// Side of the network's input at most.
    #[serde(default)]
    pub(crate) side: Option<usize>,
    /// Test images at most, the same for every run on a set; and validation images.
    #[serde(default)]
    pub(crate) test_images: Option<usize>,
}

/// A training run, before a profile gives it its scale.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunDecl {
    pub(crate) id: String,
    pub(crate) label: Option<String>,
    /// Fields not given here are those of this other run.
    pub(crate) like: Option<String>,
    pub(crate) model: Option<String>,
    /// The network's settings.
    #[serde(default)]
    pub(crate) options: Settings,
    pub(crate) dataset: Option<DatasetId>,
    /// As in a config file.
    pub(crate) optimizer: Option<Value>,
    pub(crate) learning_rate: Option<f32>,
    /// Learning rates to choose from on a validation split.
    pub(crate) tune: Option<Vec<f32>>,
    pub(crate) batch: Option<usize>,
    pub(crate) epochs: Option<usize>,
    pub(crate) val_fraction: Option<f64>,
    pub(crate) early_stopping: Option<EarlyStopping>,
    #[serde(default, deserialize_with = "initializer")]
    pub(crate) init: Option<Initializer>,
    /// As in a config file.
    pub(crate) preprocess: Option<Value>,
    pub(crate) probe: Option<usize>,
    /// Further fields of the config file: schedule, loss.
    #[serde(default)]
    pub(crate) train: Map<String, Value>,
    /// The earlier run whose answers it learns from too, seed by seed or from all seeds.
    pub(crate) teacher: Option<TeacherDecl>,
    /// The run is meant for the sixth-scale EMNIST as for the published one: both are its own scale.
    #[serde(default)]
    pub(crate) sixth: bool,
    /// How many times the usual share of a profile's time it gets.
    pub(crate) share: Option<f64>,
    /// What the document leaves open, and what is assumed.
    pub(crate) note: Option<String>,
}

/// As in a config file, but naming a run of the same paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeacherDecl {
    pub(crate) run: String,
    /// Whether each seed learns from the mean answer of all the run's seeds, not from its own alone.
    #[serde(default)]
    pub(crate) together: bool,
    pub(crate) weight: f32,
    pub(crate) temperature: f32,
}

fn initializer<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Option<Initializer>, D::Error> {
    let name = String::deserialize(de)?;
    name.parse().map(Some).map_err(serde::de::Error::custom)
}

/// A changed test set: noise, another data set, or labels as the document compared them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) id: String,
    /// Replaces the run's own preprocessing steps.
    #[serde(default)]
    pub(crate) steps: Option<Vec<Step>>,
    /// Test on this set's test images.
    #[serde(default)]
    pub(crate) dataset: Option<DatasetId>,
    /// Of this EMNIST.
    #[serde(default)]
    pub(crate) edition: Option<EmnistEdition>,
    /// Merge the classes of both sides down to those of this set.
    #[serde(default)]
    pub(crate) space: Option<DatasetId>,
    /// Leave out the test images that are in the run's training set.
    #[serde(default)]
    pub(crate) leak_free: bool,
    /// Leave out, with them, those that are in the test set that belongs to that training set: what
    /// is left is outside the whole pool that both were drawn from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) outside_pool: bool,
    /// Split merged classes up again by the true label, as the document did; to show what it does.
    #[serde(default)]
    pub(crate) oracle: bool,
}

/// A part of a paper's page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) text: String,
    #[serde(rename = "table", default)]
    pub(crate) tables: Vec<Table>,
    #[serde(default)]
    pub(crate) layers: Vec<LayerTable>,
    #[serde(rename = "figure", default)]
    pub(crate) figures: Vec<Figure>,
}

/// A table of numbers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) id: String,
    pub(crate) caption: String,
    pub(crate) rows_title: String,
    pub(crate) columns: Vec<String>,
    #[serde(rename = "row")]
    pub(crate) rows: Vec<TableRow>,
    /// The column (counted from 0) by which the rows are ranked, as far as the seeds allow.
    #[serde(default)]
    pub(crate) rank: Option<usize>,
    /// Small print.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// A row of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableRow {
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) emphasis: bool,
    pub(crate) cells: Vec<Cell>,
}

/// A cell: words, or a value with the printed one if there is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cell {
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// As it stands in the document; per cent where the value is a share and it is above 1.
    #[serde(default)]
    pub(crate) printed: Option<String>,
    #[serde(default)]
    pub(crate) value: Option<Term>,
    /// A count of a data set: "emnist-letters.train", ".test", ".total" or ".classes".
    #[serde(default)]
    pub(crate) count: Option<String>,
    /// Why the printed value cannot be compared with ours, where it cannot.
    #[serde(default)]
    pub(crate) incomparable: Option<String>,
}

/// A table of layers, made from the models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerTable {
    pub(crate) id: String,
    pub(crate) caption: String,
    #[serde(rename = "model")]
    pub(crate) models: Vec<LayerRow>,
}

/// A model's row: the run that trains it and the layers as printed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerRow {
    pub(crate) run: String,
    /// Empty where the document has no such list.
    #[serde(default)]
    pub(crate) printed: Vec<String>,
}

/// A picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figure {
    pub(crate) id: String,
    pub(crate) kind: FigureKind,
    pub(crate) caption: String,
    /// Ids of runs; for confusion matrices also `run@variant`.
    #[serde(default)]
    pub(crate) runs: Vec<String>,
    #[serde(default)]
    pub(crate) datasets: Vec<DatasetId>,
    #[serde(default)]
    pub(crate) metric: Option<String>,
    #[serde(default)]
    pub(crate) curve: Option<Curve>,
    #[serde(default)]
    pub(crate) printed: Vec<String>,
    #[serde(default)]
    pub(crate) reference: Option<String>,
    #[serde(default)]
    pub(crate) x_label: Option<String>,
    #[serde(default)]
    pub(crate) x: Vec<f64>,
    #[serde(rename = "line", default)]
    pub(crate) lines: Vec<Line>,
}

/// What a figure shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FigureKind {
    Bars,
    Samples,
    Layers,
    Curves,
    Losses,
    Confusion,
    Errors,
    Reliability,
    Lines,
    Pareto,
    /// Images a class, of `datasets`.
    ClassCounts,
    /// Recall of each class, of `runs` (also `run@variant`).
    ClassRecall,
    /// t-SNE maps of the test images: their pixels and what the first run's last layer sees.
    Map,
    /// The swish function.
    Swish,
}

/// What a learning curve shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Curve {
    ProbeAccuracy,
    TestProbeAccuracy,
    TrainLoss,
    /// Training loss and validation loss.
    Losses,
    /// Training and validation accuracy.
    Accuracies,
    /// Training accuracy.
    TrainAccuracy,
}

/// A line of a `lines` figure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) values: Vec<Term>,
}

/// A claim of the paper, as checkable expressions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) checks: Vec<Check>,
    #[serde(default)]
    pub(crate) remark: Option<String>,
}

/// Something wrong with the original evaluation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flaw {
    #[serde(default)]
    pub(crate) title: String,
    pub(crate) text: String,
    /// The runs that demonstrate it.
    #[serde(rename = "table", default)]
    pub(crate) tables: Vec<Table>,
    #[serde(rename = "figure", default)]
    pub(crate) figures: Vec<Figure>,
}

/// All papers, checked.
pub(crate) fn all() -> Result<Vec<Paper>> {
    SOURCES
        .iter()
        .map(|(file, text)| parse(text).with_context(|| format!("xtask/papers/{file}")))
        .collect()
}

/// Reads one paper and checks every name in it.
pub(crate) fn parse(text: &str) -> Result<Paper> {
    let mut paper: Paper = toml::from_str(text)?;
    paper.resolve_likes()?;
    paper.check()?;
    Ok(paper)
}

impl Paper {
    /// The run of that id.
    pub(crate) fn run(&self, id: &str) -> Option<&RunDecl> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// All terms that need a run, with where they stand.
    pub(crate) fn terms(&self) -> Vec<(String, &Term)> {
        let mut terms = Vec::new();
        for table in self.tables() {
            for row in &table.rows {
                let values = row.cells.iter().filter_map(|cell| cell.value.as_ref());
                terms.extend(values.map(|term| (table.id.clone(), term)));
            }
        }
        for figure in self.figures() {
            for line in &figure.lines {
                terms.extend(line.values.iter().map(|term| (figure.id.clone(), term)));
            }
        }
        for claim in &self.claims {
            for check in &claim.checks {
                terms.extend(
                    check
                        .terms()
                        .map(|term| (format!("claim {}", claim.id), term)),
                );
            }
        }
        terms
    }

    /// All tables of numbers: those of the document, then those that demonstrate flaws.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        let of_flaws = self.flaws.iter().flat_map(|flaw| &flaw.tables);
        let of_sections = self.sections.iter().flat_map(|section| &section.tables);
        of_sections.chain(of_flaws)
    }

    /// All figures, those of flaws last.
    pub(crate) fn figures(&self) -> impl Iterator<Item = &Figure> {
        let of_flaws = self.flaws.iter().flat_map(|flaw| &flaw.figures);
        let of_sections = self.sections.iter().flat_map(|section| &section.figures);
        of_sections.chain(of_flaws)
    }

    /// Ids of tables, layer tables and figures in order.
    pub(crate) fn items(&self) -> Vec<&str> {
        let mut items = Vec::new();
        for section in &self.sections {
            items.extend(section.tables.iter().map(|t| t.id.as_str()));
            items.extend(section.layers.iter().map(|t| t.id.as_str()));
            items.extend(section.figures.iter().map(|f| f.id.as_str()));
        }
        for flaw in &self.flaws {
            items.extend(flaw.tables.iter().map(|t| t.id.as_str()));
            items.extend(flaw.figures.iter().map(|f| f.id.as_str()));
        }
        items
    }

    /// Ids of the runs that an item needs.
    pub(crate) fn runs_of(&self, item: &str) -> HashSet<String> {
        let mut needed: HashSet<String> = HashSet::new();
        for (place, term) in self.terms() {
            if place == item {
                needed.insert(term.run.clone());
            }
        }
        for figure in self.figures().filter(|figure| figure.id == item) {
            needed.extend(figure.run_ids().map(str::to_string));
        }
        for section in &self.sections {
            for table in section.layers.iter().filter(|table| table.id == item) {
                needed.extend(table.models.iter().map(|row| row.run.clone()));
            }
        }
        needed
    }

    /// Variants on which a run must be tested.
    pub(crate) fn variants_of(&self, run: &str) -> Vec<&Variant> {
        let wanted: HashSet<&str> = self
            .terms()
            .into_iter()
            .filter(|(_, term)| term.run == run)
            .filter_map(|(_, term)| term.variant.as_deref())
            .chain(self.figures().flat_map(|figure| {
                let pairs = figure.runs.iter().filter_map(|name| name.split_once('@'));
                let of_run = pairs.filter(|(id, _)| *id == run);
                of_run.map(|(_, variant)| variant)
            }))
            .collect();
        self.variants
            .iter()
            .filter(|v| wanted.contains(v.id.as_str()))
            .collect()
    }

    fn resolve_likes(&mut self) -> Result<()> {
        for index in 0..self.runs.len() {
            let Some(like) = self.runs[index].like.clone() else {
                continue;
            };
            let base = self.runs[..index]
                .iter()
                .find(|run| run.id == like)
                .cloned();
            let Some(base) = base else {
                bail!(
                    "run {}: like = \"{like}\" names no earlier run",
                    self.runs[index].id
                );
            };
            let run = &mut self.runs[index];
            if run.model.is_none() {
                // Another network has other settings.
                let own = std::mem::replace(&mut run.options, base.options);
                run.options.extend(own);
            }
            run.model = run.model.take().or(base.model);
            run.dataset = run.dataset.take().or(base.dataset);
            run.optimizer = run.optimizer.take().or(base.optimizer);
            if run.tune.is_none() {
                run.learning_rate = run.learning_rate.or(base.learning_rate);
                run.tune = if run.learning_rate.is_some() {
                    None
                } else {
                    base.tune
                };
            }
            run.batch = run.batch.or(base.batch);
            run.epochs = run.epochs.or(base.epochs);
            run.val_fraction = run.val_fraction.or(base.val_fraction);
            run.early_stopping = run.early_stopping.or(base.early_stopping);
            run.init = run.init.or(base.init);
            run.preprocess = run.preprocess.take().or(base.preprocess);
            run.probe = run.probe.or(base.probe);
            run.share = run.share.or(base.share);
            run.teacher = run.teacher.take().or(base.teacher);
            run.sixth |= base.sixth;
            let own = std::mem::replace(&mut run.train, base.train);
            run.train.extend(own);
            run.note = run.note.take().or(base.note);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        for (index, run) in self.runs.iter().enumerate() {
            if let Some(teacher) = &run.teacher
                && !self.runs[..index].iter().any(|run| run.id == teacher.run)
            {
                bail!(
                    "run {}: its teacher \"{}\" names no earlier run",
                    run.id,
                    teacher.run
                );
            }
            if run.teacher.is_some() && run.tune.is_some() {
                bail!(
                    "run {}: learning rates are not tuned with a teacher",
                    run.id
                );
            }
            let missing = |what| format!("run {}: no {what}", run.id);
            run.model.as_ref().with_context(|| missing("model"))?;
            run.dataset.as_ref().with_context(|| missing("dataset"))?;
            run.optimizer
                .as_ref()
                .with_context(|| missing("optimizer"))?;
            run.batch.with_context(|| missing("batch"))?;
            run.epochs.with_context(|| missing("epochs"))?;
            if run.learning_rate.is_some() == run.tune.is_some() {
                bail!("run {}: give either learning_rate or tune", run.id);
            }
        }
        let known = |id: &str| self.run(id).is_some();
        if !known(&self.main_run) {
            bail!("main_run \"{}\" names no run", self.main_run);
        }
        for (place, term) in self.terms() {
            if !known(&term.run) {
                bail!("{place}: \"{term}\" names no run");
            }
            if let Some(variant) = &term.variant
                && !self.variants.iter().any(|v| v.id == *variant)
            {
                bail!("{place}: \"{term}\" names no variant");
            }
        }
        for item in self.items() {
            for run in self.runs_of(item) {
                if !known(&run) {
                    bail!("{item}: \"{run}\" names no run");
                }
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.items().into_iter().find(|id| !seen.insert(*id)) {
            bail!("two items are called {twice}");
        }
        for figure in self.figures() {
            for variant in figure.runs.iter().filter_map(|name| name.split_once('@')) {
                if !self.variants.iter().any(|v| v.id == variant.1) {
                    bail!("{}: \"{}\" names no variant", figure.id, variant.1);
                }
            }
        }
        self.check_shapes()
    }

    /// Whether tables and figures have as many cells, values and labels as they must.
    fn check_shapes(&self) -> Result<()> {
        for table in self.tables() {
            let width = table.columns.len();
            if let Some(row) = table.rows.iter().find(|row| row.cells.len() != width) {
                bail!(
                    "{}: row \"{}\" has not one cell a column",
                    table.id,
                    row.label
                );
            }
            if table.rank.is_some_and(|column| column >= width) {
                bail!("{}: it is ranked by a column it does not have", table.id);
            }
            let cells = table.rows.iter().flat_map(|row| &row.cells);
            for count in cells.filter_map(|cell| cell.count.as_deref()) {
                super::cells::Count::parse(count).with_context(|| table.id.clone())?;
            }
        }
        for figure in self.figures() {
            let printed = figure.printed.len();
            if printed > 0 && figure.kind == FigureKind::Bars && printed != figure.runs.len() {
                bail!("{}: not one printed value a run", figure.id);
            }
            let x = figure.x.len();
            if figure.lines.iter().any(|line| line.values.len() != x) {
                bail!("{}: a line has not one value an x", figure.id);
            }
        }
        Ok(())
    }
}

impl Figure {
    /// An empty figure of the same kind.
    pub(crate) fn like(other: &Self) -> Self {
        Self {
            id: String::new(),
            kind: other.kind,
            caption: String::new(),
            runs: Vec::new(),
            datasets: Vec::new(),
            metric: None,
            curve: None,
            printed: Vec::new(),
            reference: None,
            x_label: None,
            x: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Ids of the runs it needs, without variants.
    pub(crate) fn run_ids(&self) -> impl Iterator<Item = &str> {
        let id = |name| match str::split_once(name, '@') {
            Some((id, _)) => id,
            None => name,
        };
        self.runs.iter().map(move |name| id(name))
    }
}

impl RunDecl {
    /// What people call it.
    pub(crate) fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}
