//! A paper as data: what it reported, the runs behind each cell, its claims. Read from
//! `papers/*.toml` or a file of yours, and checked once; nothing deeper checks names again.

use super::error::ReproError;
use super::expression::{Check, Term};
use super::toml_error::at_line;
use anyhow::{Context, Result, bail};
use hw_data::{DatasetId, EmnistEdition, Step};
use hw_models::zoo::Settings;
use hw_models::{DeviceChoice, Initializer};
use hw_train::EarlyStopping;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The papers that come with the crate, in the order they are reported.
const SOURCES: &[(&str, &str)] = &[
    (
        "three-datasets.toml",
        include_str!("../papers/three-datasets.toml"),
    ),
    (
        "emnist-classifier.toml",
        include_str!("../papers/emnist-classifier.toml"),
    ),
    (
        "emnist-ablation.toml",
        include_str!("../papers/emnist-ablation.toml"),
    ),
    (
        "simple-cnn-bn.toml",
        include_str!("../papers/simple-cnn-bn.toml"),
    ),
    ("beyond.toml", include_str!("../papers/beyond.toml")),
];
/// A paper file to start from.
const TEMPLATE: &str = include_str!("../papers/template.toml");

/// A paper as data: what it reports, the runs behind each cell, its claims. Checked when it was read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) citation: String,
    pub(crate) about: String,
    /// How long the authors' own run of `main_run` took, as reported.
    #[serde(default)]
    pub(crate) reported_minutes: Option<f64>,
    /// The run that the paper is about. It always gets all seeds: their spread is the noise by which
    /// runs with a single seed are judged.
    pub(crate) main_run: String,
    /// Further runs that get all seeds from the start, for the same purpose.
    #[serde(default, rename = "spread_runs")]
    more_spread_runs: Vec<String>,
    /// Not a paper but our own recipes: its claims are aims, and are counted apart.
    #[serde(default)]
    pub(crate) aims: bool,
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
    /// Where the paper contradicts itself or its own result files.
    #[serde(rename = "erratum", default)]
    pub(crate) errata: Vec<Erratum>,
    /// SHA-256 of the file.
    #[serde(skip)]
    pub(crate) sha256: String,
}

/// A place where the paper contradicts itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erratum {
    /// Where it stands: "Table 9", say.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// How large the runs of a profile are; what is left out is as the paper has it. A profile never
/// changes a network, a batch or a rate: what is compared stays what the paper compared.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    /// Training images at most.
    #[serde(default)]
    pub(crate) images: Option<usize>,
    /// Further, smaller numbers of training images for the runs behind claims: a learning curve.
    #[serde(default)]
    pub(crate) smaller: Vec<usize>,
    /// Epochs at most. A run that this stops has not reached its plateau.
    #[serde(default)]
    pub(crate) epochs: Option<usize>,
    /// Seeds of every run at most; they are spent where they decide.
    pub(crate) seeds: u64,
    /// When a run with a validation set has reached its plateau, where the paper states no rule; and
    /// how many steps any rule must wait for.
    #[serde(default)]
    pub(crate) plateau: Option<Plateau>,
    /// Side of the network's input at most.
    #[serde(default)]
    pub(crate) side: Option<Side>,
    /// Test images at most, the same for every run on a set.
    #[serde(default)]
    pub(crate) test_images: Option<usize>,
    /// Runs whose scale differs from the rest, by id.
    #[serde(default)]
    pub(crate) runs: BTreeMap<String, Exception>,
}

/// When to stop: early stopping on the validation set.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plateau {
    /// Epochs without improvement that are waited for, where the paper states none.
    pub(crate) patience: usize,
    /// Steps that are waited for as well, whoever states the epochs.
    pub(crate) patience_steps: u64,
    /// Steps before which no run stops.
    pub(crate) min_steps: u64,
    /// Epochs at most; more than the paper has, since an epoch of fewer images has fewer steps.
    pub(crate) max_epochs: usize,
    /// Epochs that a run usually takes, for the estimate of the time.
    pub(crate) usual_epochs: usize,
}

/// The largest side of the network's input, and why it is smaller than the paper's.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    pub(crate) most: usize,
    pub(crate) reason: String,
}

/// How one run's scale differs from its profile's.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// Everything as the paper has it: all images, all epochs.
    #[serde(default)]
    pub(crate) whole: bool,
    /// Training images at most.
    #[serde(default)]
    pub(crate) images: Option<usize>,
    /// Epochs at most.
    #[serde(default)]
    pub(crate) epochs: Option<usize>,
    /// Seeds at most.
    #[serde(default)]
    pub(crate) seeds: Option<u64>,
    /// Test images at most.
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
    /// The kind of device that computes it; the processor if absent.
    pub(crate) device: Option<DeviceChoice>,
    /// Further fields of the config file: schedule, loss.
    #[serde(default)]
    pub(crate) train: Map<String, Value>,
    /// The earlier run whose answers it learns from too, seed by seed or from all seeds.
    pub(crate) teacher: Option<TeacherDecl>,
    /// The run is meant for the sixth-scale EMNIST as for the published one: both are its own scale.
    #[serde(default)]
    pub(crate) sixth: bool,
    /// What the paper leaves open, and what is assumed.
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

/// A changed test set: noise, another data set, or labels as the paper compared them.
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
    /// Keep only the test images that are in the run's training set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) leaked_only: bool,
    /// Split merged classes up again by the true label, as the paper did; to show what it does.
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

/// A cell: words, or a value with the reported one if there is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cell {
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// As it stands in the paper; per cent where the value is a share and it is above 1.
    #[serde(default)]
    pub(crate) reported: Option<String>,
    #[serde(default)]
    pub(crate) value: Option<Term>,
    /// A count of a data set: "emnist-letters.train", ".test", ".total" or ".classes".
    #[serde(default)]
    pub(crate) count: Option<String>,
    /// In place of `reported`: a value that the paper does not state but that follows from it.
    #[serde(default)]
    pub(crate) derived: Option<String>,
    /// Why the reported value cannot be compared with ours, where it cannot.
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

/// A model's row: the run that trains it and the layers as reported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerRow {
    pub(crate) run: String,
    /// Empty where the paper has no such list.
    #[serde(default)]
    pub(crate) reported: Vec<String>,
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
    pub(crate) reported: Vec<String>,
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

/// A claim of the paper, part by part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) text: String,
    #[serde(rename = "part", default)]
    pub(crate) parts: Vec<Part>,
    /// Why nothing can be run for it, where nothing can.
    #[serde(default)]
    pub(crate) untestable: Option<String>,
    #[serde(default)]
    pub(crate) remark: Option<String>,
}

/// A part of a claim that can be checked on its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// What it says, for readers.
    pub(crate) text: String,
    pub(crate) check: Check,
    /// The difference (per cent where accuracies are compared) or ratio that the paper reports, where it does
    /// not follow from the reported values of the two sides.
    #[serde(default)]
    pub(crate) reported: Option<String>,
}

/// Something wrong with the original evaluation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flaw {
    pub(crate) title: String,
    pub(crate) text: String,
    /// What it does to a number, as a part that can be checked: a flaw is demonstrated when its effect
    /// is measured and is there, else it is only named.
    #[serde(rename = "effect", default)]
    pub(crate) effects: Vec<Part>,
    /// Tables that show it.
    #[serde(rename = "table", default)]
    pub(crate) tables: Vec<Table>,
    #[serde(rename = "figure", default)]
    pub(crate) figures: Vec<Figure>,
}

/// The papers that come with the crate: the four, then our own recipes.
pub fn builtin() -> Vec<Paper> {
    let read = |(file, text): &(&str, &str)| {
        Paper::parse(text)
            .unwrap_or_else(|error| panic!("papers/{file} is tested to be right: {error}"))
    };
    SOURCES.iter().map(read).collect()
}

/// A paper file to start from: every part with a word about it, small enough to run in a minute.
pub fn template() -> &'static str {
    TEMPLATE
}

impl Paper {
    /// Reads a paper file and checks every name in it.
    ///
    /// # Errors
    /// [`ReproError::Paper`] with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, ReproError> {
        read(text).map_err(|error| ReproError::Paper {
            file: "the paper".into(),
            problem: hw_core::one_line(error.as_ref()),
        })
    }

    /// Reads and checks the paper file at `path`.
    ///
    /// # Errors
    /// [`ReproError::File`] when it cannot be read, [`ReproError::Paper`] when it is wrong.
    pub fn open(path: &Path) -> Result<Self, ReproError> {
        let text = std::fs::read_to_string(path).map_err(|error| ReproError::File {
            path: path.into(),
            problem: error.to_string(),
        })?;
        read(&text).map_err(|error| ReproError::Paper {
            file: path.display().to_string(),
            problem: hw_core::one_line(error.as_ref()),
        })
    }

    /// Its short name: in `--only` and in the names of its report's files.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.title
    }
}

fn read(text: &str) -> Result<Paper> {
    let mut paper: Paper = toml::from_str(text)
        .map_err(|error| anyhow::anyhow!(at_line(text, &error, error.message())))?;
    paper.resolve_likes()?;
    paper.check()?;
    paper.sha256 = hw_core::files::sha256_hex(text.as_bytes());
    Ok(paper)
}

impl Paper {
    /// The runs that get all seeds from the start: their spread is the noise by which runs with a
    /// single seed are judged.
    pub(crate) fn spread_runs(&self) -> impl Iterator<Item = &str> {
        let further = self.more_spread_runs.iter().map(String::as_str);
        std::iter::once(self.main_run.as_str()).chain(further)
    }

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
        terms.extend(self.checked_terms());
        terms
    }

    /// The terms of claims and of the effects of flaws.
    pub(crate) fn checked_terms(&self) -> impl Iterator<Item = (String, &Term)> {
        let claims = self.claims.iter();
        let claims = claims.flat_map(|claim| parts_of(format!("claim {}", claim.id), &claim.parts));
        let flaws = self.flaws.iter();
        let flaws =
            flaws.flat_map(|flaw| parts_of(format!("flaw \"{}\"", flaw.title), &flaw.effects));
        claims.chain(flaws)
    }

    /// The values that the paper reports for these terms: from a table that has them all, since a term may
    /// have another value in another table, else each from the first table that has it.
    pub(crate) fn reported_for(&self, terms: &[&Term]) -> Option<Vec<&str>> {
        let together = self.tables().find_map(|table| {
            let values = terms.iter().map(|term| table.reported_for(term));
            values.collect::<Option<Vec<&str>>>()
        });
        let alone = |term: &&Term| self.tables().find_map(|table| table.reported_for(term));
        together.or_else(|| terms.iter().map(alone).collect())
    }

    /// All tables of numbers: those of the paper, then those that demonstrate flaws.
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
            run.device = run.device.or(base.device);
            run.teacher = run.teacher.take().or(base.teacher);
            run.sixth |= base.sixth;
            let own = std::mem::replace(&mut run.train, base.train);
            run.train.extend(own);
            run.note = run.note.take().or(base.note);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.slug.is_empty() || !self.slug.chars().all(plain) || self.slug == "index" {
            let slug = &self.slug;
            bail!(
                "slug = \"{slug}\": it names files, so use lower-case letters, digits and hyphens"
            );
        }
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
        if let Some(id) = self.more_spread_runs.iter().find(|id| !known(id)) {
            bail!("spread_runs: \"{id}\" names no run");
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
        for (name, scale) in &self.profiles {
            if let Some(id) = scale.runs.keys().find(|id| !known(id)) {
                bail!("profile {name}: runs.{id} names no run");
            }
        }
        for claim in &self.claims {
            if claim.parts.is_empty() == claim.untestable.is_none() {
                bail!("claim {}: give either parts or untestable", claim.id);
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
            let reported = figure.reported.len();
            if reported > 0 && figure.kind == FigureKind::Bars && reported != figure.runs.len() {
                bail!("{}: not one reported value a run", figure.id);
            }
            let x = figure.x.len();
            if figure.lines.iter().any(|line| line.values.len() != x) {
                bail!("{}: a line has not one value an x", figure.id);
            }
        }
        Ok(())
    }
}

impl Table {
    /// The value that the paper reports for a term in this table.
    fn reported_for(&self, term: &Term) -> Option<&str> {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        let cell = cells.find(|cell| cell.value.as_ref() == Some(term) && cell.reported.is_some());
        cell?.reported.as_deref()
    }
}

fn parts_of(place: String, parts: &[Part]) -> impl Iterator<Item = (String, &Term)> {
    let terms = parts.iter().flat_map(|part| part.check.terms());
    terms.map(move |term| (place.clone(), term))
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
            reported: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = BTreeMap<String, BTreeMap<String, Vec<String>>>;
    type Stated = fn(&Cell) -> Option<&str>;

    fn fixture(text: &str) -> Numbers {
        serde_json::from_str(text).unwrap()
    }

    /// What stands in a paper's tables and parts of claims, by their ids.
    fn stated(paper: &Paper, of: Stated) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in paper.tables() {
            let cells = table.rows.iter().flat_map(|row| &row.cells);
            let numbers = cells.filter_map(of).map(str::to_string);
            found.entry(table.id.clone()).or_default().extend(numbers);
        }
        found
    }

    #[test]
    fn every_number_that_a_paper_reports_stands_in_its_table() {
        let reported = fixture(include_str!("../../../fixtures/papers/reported.json"));
        let derived = fixture(include_str!("../../../fixtures/papers/derived.json"));
        let papers = builtin();
        let mut counted = 0;
        let cases: [(Numbers, Stated, bool); 2] = [
            (reported, |cell| cell.reported.as_deref(), true),
            (derived, |cell| cell.derived.as_deref(), false),
        ];
        for (numbers, of, reported) in cases {
            for (slug, tables) in &numbers {
                let paper = papers.iter().find(|paper| paper.slug == *slug).unwrap();
                let mut found = stated(paper, of);
                if reported {
                    for claim in &paper.claims {
                        let stated = claim.parts.iter().filter_map(|part| part.reported.clone());
                        found.insert(format!("claim-{}", claim.id), stated.collect());
                    }
                }
                for (table, numbers) in tables {
                    let mut there = found.get(table).cloned().unwrap_or_default();
                    for number in numbers {
                        let place = there.iter().position(|there| there == number);
                        let place = place.unwrap_or_else(|| panic!("{slug}/{table}: {number}"));
                        there.swap_remove(place);
                        counted += 1;
                    }
                }
            }
        }
        assert!(counted > 200, "{counted}");
    }

    #[test]
    fn the_four_papers_have_their_21_claims_and_our_aims_are_apart() {
        let papers = builtin();
        let claims = |aims: bool| -> usize {
            let papers = papers.iter().filter(|paper| paper.aims == aims);
            papers.map(|paper| paper.claims.len()).sum()
        };
        assert_eq!((claims(false), claims(true)), (21, 5));
    }

    #[test]
    fn every_profile_of_every_paper_is_there_and_none_narrows() {
        for paper in builtin() {
            for name in ["smoke", "quick", "cpu", "sixth", "paper"] {
                assert!(paper.profiles.contains_key(name), "{} {name}", paper.slug);
            }
            let own = &paper.profiles["paper"];
            let nothing = Scale {
                seeds: own.seeds,
                ..Scale::default()
            };
            assert_eq!(*own, nothing, "{}: paper is as reported", paper.slug);
        }
    }

    #[test]
    fn a_wrong_paper_is_refused_with_what_is_wrong() {
        let with = |from: &str, to: &str| {
            let text = TEMPLATE.replacen(from, to, 1);
            assert_ne!(text, TEMPLATE, "{from}");
            Paper::parse(&text).unwrap_err().to_string()
        };
        let cases = [
            ("slug = \"my-paper\"", "slug = \"My Paper\"", "lower-case"),
            ("main_run = \"large\"", "main_run = \"huge\"", "huge"),
            (
                "check = \"large.accuracy > small.accuracy\"",
                "check = \"large.accuracy\"",
                "no claim",
            ),
            ("large.accuracy > small", "large.beauty > small", "beauty"),
            ("large.accuracy > small", "large.accuracy > tiny", "tiny"),
            ("like = \"large\"", "like = \"later\"", "later"),
            ("seeds = 1\n", "seed = 1\n", "seed"),
            ("epochs = 20\n", "", "epochs"),
            (
                "columns = [\"test accuracy, %\", \"parameters\"]",
                "columns = [\"one\"]",
                "one cell a column",
            ),
            ("kind = \"curves\"", "kind = \"curvy\"", "curvy"),
        ];
        for (from, to, word) in cases {
            let problem = with(from, to);
            assert!(problem.contains(word), "{to}: {problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
        assert!(Paper::parse("\u{0}").is_err());
    }

    #[test]
    fn the_example_of_the_how_to_is_a_paper() {
        let page = include_str!("../../../docs/papers.md");
        let (_, example) = page.split_once("```toml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        assert_eq!(Paper::parse(example).unwrap().slug(), "lenet-or-cnn");
    }

    #[test]
    fn a_reported_value_is_found_in_the_tables() {
        let paper = Paper::parse(TEMPLATE).unwrap();
        let reported = |term: &str| {
            let found = paper.reported_for(&[&term.parse().unwrap()]);
            found.map(|found| found[0].to_string())
        };
        assert_eq!(reported("large.accuracy").as_deref(), Some("99.05"));
        assert_eq!(reported("large.parameters"), None);
        // One run stands in three tables of the ablation with three values.
        let papers = builtin();
        let ablation = papers
            .iter()
            .find(|paper| paper.slug == "emnist-ablation")
            .unwrap();
        let term = |text: &str| text.parse::<Term>().unwrap();
        let (three, two) = (term("lr-1e-3.accuracy"), term("blocks-2.accuracy"));
        assert_eq!(
            ablation.reported_for(&[&three, &two]),
            Some(vec!["88.37", "88.37"])
        );
        let (fine, best) = (term("lr-1e-3.accuracy"), term("lr-2e-4.accuracy"));
        assert_eq!(
            ablation.reported_for(&[&fine, &best]),
            Some(vec!["88.22", "88.41"])
        );
    }
}
