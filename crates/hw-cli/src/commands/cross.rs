//! `hw cross`: trained networks against test sets, also such as they were not made for.

use super::{SYNTHETIC, data_dirs, load};
use crate::args::{Common, CrossArgs};
use crate::output::{Table, answer, grouped, note, percent};
use crate::test_looks::{self, Scored, TestLooks};
use anyhow::{Context, Result};
use hw_data::catalogue::Entry;
use hw_data::label_space::CommonSpace;
use hw_data::{DataDirs, Dataset, DatasetId, EmnistEdition, Loader, LoaderConfig, Split, overlap};
use hw_eval::looks::Purpose;
use hw_eval::statistics::{Bootstrap, BootstrapMethod};
use hw_eval::{
    Alpha, Answers, CrossCell, CrossInput, Duel, Interval, Metric, bootstrap, cross_predictions,
    duels, evaluate, network,
};
use hw_train::{DataStamp, Trained, checkpoint};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Images a batch.
const BATCH: usize = 250;
/// Resamples behind each bootstrap interval.
const RESAMPLES: usize = 500;
/// What a test is called where classes had to be merged or left out.
const MERGED: &str = "merged-classes";

pub(crate) fn run(args: &CrossArgs, common: &Common) -> Result<ExitCode> {
    let dirs = data_dirs(common)?;
    let device = args.device.open()?;
    let models = args
        .checkpoint
        .iter()
        .map(|path| Ok(checkpoint::open(path, &device)?))
        .collect::<Result<Vec<Trained>>>()?;
    let mut training = TrainingSets {
        dirs: dirs.clone(),
        known: HashMap::new(),
    };
    let mut cells = Vec::new();
    let mut fights = Vec::new();
    let mut tests = Vec::new();
    for id in &args.dataset {
        let edition = args.emnist.emnist.and_then(|emnist| emnist.edition());
        let test = Arc::new(load(
            id,
            Split::Test,
            &dirs.clone().with_edition(edition),
            common,
        )?);
        let data = DataStamp::of(&test);
        let mut right = Vec::new();
        for trained in &models {
            let seen = training.seen(trained, &test, common)?;
            let (mut cell, correct) = cell(trained, &test, seen)?;
            let register = args.looks.or_of(&trained.path);
            cell.test_looks = test_looks::count(&trained.stamp, cell.scored(&data), register);
            right.push(correct);
            cells.push(cell);
        }
        fights.extend(fight(&models, id, &right)?);
        tests.push(data);
    }
    let synthetic = tests.iter().any(|test| test.synthetic)
        || models.iter().any(|model| model.stamp.data.synthetic);
    let answered = Answer {
        synthetic,
        models: models.iter().map(Model::of).collect(),
        tests,
        threads: rayon::current_num_threads(),
        cells,
        duels: fights,
    };
    answer(common.json, &answered)?;
    Ok(ExitCode::SUCCESS)
}

/// McNemar's test of every two models on the images that both could be asked about.
fn fight(models: &[Trained], id: &DatasetId, right: &[Vec<Option<bool>>]) -> Result<Vec<Fight>> {
    if models.len() < 2 {
        return Ok(Vec::new());
    }
    let images = right.first().map_or(0, Vec::len);
    let asked_all = |image: &usize| right.iter().all(|model| model[*image].is_some());
    let asked: Vec<usize> = (0..images).filter(asked_all).collect();
    let right: Vec<Vec<bool>> = right
        .iter()
        .map(|model| asked.iter().map(|&i| model[i] == Some(true)).collect())
        .collect();
    let fought = duels(&right, Alpha::default())?;
    let dataset = id.to_string();
    Ok(fought
        .into_iter()
        .map(|duel| Fight {
            dataset: dataset.clone(),
            duel,
        })
        .collect())
}

/// Training sets of the models, and which test images are in them; each is read once.
struct TrainingSets {
    dirs: DataDirs,
    known: HashMap<String, Option<Arc<Dataset>>>,
}

impl TrainingSets {
    /// Whether each test image is a training image of the model; `None` when nobody can tell.
    fn seen(
        &mut self,
        trained: &Trained,
        test: &Dataset,
        common: &Common,
    ) -> Result<Option<Vec<bool>>> {
        let data = &trained.stamp.data;
        if !self.known.contains_key(&data.sha256) {
            let found = self.find(data, common)?;
            self.known.insert(data.sha256.clone(), found);
        }
        let train = self.known.get(&data.sha256).and_then(Option::as_ref);
        Ok(train.map(|train| overlap::shared_with(test, train)))
    }

    fn find(&self, data: &DataStamp, common: &Common) -> Result<Option<Arc<Dataset>>> {
        let id: DatasetId = data.dataset.parse()?;
        let dirs = self.dirs.clone().with_edition(family(&id, &data.edition));
        let loaded = load(&id, Split::Train, &dirs, common).ok();
        let found = loaded.filter(|train| train.checksum == data.sha256);
        if found.is_none() {
            note(format_args!(
                "warning: the training images of {id} ({}) are not here, so nobody can tell which \
                 test images were trained on",
                data.edition
            ));
        }
        Ok(found.map(Arc::new))
    }
}

fn family(id: &DatasetId, edition: &str) -> Option<EmnistEdition> {
    let entry: &Entry = id.entry()?;
    let known = entry.editions.iter().find(|known| known.name == edition)?;
    known.family
}

/// One cell, and for each test image whether it was classified correctly (`None` if not asked).
fn cell(
    trained: &Trained,
    test: &Arc<Dataset>,
    seen: Option<Vec<bool>>,
) -> Result<(Cell, Vec<Option<bool>>)> {
    let stamp = &trained.stamp;
    let space = CommonSpace::of(&stamp.classes.clone().into(), &test.classes)
        .with_context(|| format!("{} on {}", trained.path.display(), test.id))?;
    let config = LoaderConfig {
        batch: BATCH,
        preprocess: stamp.config.preprocess.clone(),
        augment_seed: stamp.config.seed,
        ..LoaderConfig::default()
    };
    let all = (0..test.len() as u32).collect();
    let loader = Loader::new(Arc::clone(test), all, config)?;
    let started = Instant::now();
    let answers = network::answers(&trained.network, &loader)?;
    let seconds = started.elapsed().as_secs_f64();
    let label = |&label: &u16| space.of_test()[usize::from(label)];
    let labels: Vec<Option<u32>> = test.labels.iter().map(label).collect();
    let leaks_known = seen.is_some();
    let seen = seen.unwrap_or_else(|| vec![false; test.len()]);
    let input = CrossInput {
        answers: &answers,
        of_model: space.of_model(),
        labels: &labels,
        classes: space.classes().len(),
        seen: &seen,
    };
    let (predictions, unseen) = cross_predictions(&input)?;
    let method = Bootstrap {
        resamples: RESAMPLES,
        level: 0.95,
        seed: 1,
        method: BootstrapMethod::Percentile,
    };
    let shared = labels.iter().zip(&seen).filter(|(l, s)| l.is_some() && **s);
    let measured = CrossCell {
        shared: shared.count() as u64,
        left_out: labels.iter().filter(|label| label.is_none()).count() as u64,
        all: evaluate(&predictions),
        leak_free: unseen.as_ref().filter(|_| leaks_known).map(evaluate),
    };
    let correct = correct(&answers, &input)?;
    Ok((
        Cell {
            model: stamp.run.clone(),
            dataset: test.id.clone(),
            edition: test.edition.clone(),
            classes: space.classes().to_vec(),
            merged: !space.is_identity(),
            leaks_known,
            seconds,
            f1_weighted_interval: bootstrap(&predictions, Metric::F1Weighted, &method).ok(),
            f1_macro_interval: bootstrap(&predictions, Metric::F1Macro, &method).ok(),
            measured,
            test_looks: None,
        },
        correct,
    ))
}

fn correct(answers: &Answers, input: &CrossInput<'_>) -> Result<Vec<Option<bool>>> {
    let merged = answers.merged(input.of_model, input.classes)?;
    let nobody = vec![Some(0); merged.len()];
    let said = merged.labelled(&nobody)?.predicted();
    let right = |(said, label): (u32, &Option<u32>)| label.map(|label| label == said);
    Ok(said.into_iter().zip(input.labels).map(right).collect())
}

#[derive(Debug, Serialize)]
struct Model {
    checkpoint: PathBuf,
    run: String,
    model: String,
    trained_on: DataStamp,
}

impl Model {
    fn of(trained: &Trained) -> Self {
        Self {
            checkpoint: trained.path.clone(),
            run: trained.stamp.run.clone(),
            model: trained.network.spec().name.clone(),
            trained_on: trained.stamp.data.clone(),
        }
    }

    /// The network with the beginning of its run's id.
    fn name(&self) -> String {
        format!("{} {}", self.model, &self.run[..self.run.len().min(8)])
    }
}

/// A model on a test set.
#[derive(Debug, Serialize)]
struct Cell {
    model: String,
    dataset: String,
    edition: String,
    /// The common label space.
    classes: Vec<String>,
    /// Whether classes had to be merged or left out.
    merged: bool,
    /// Whether the training images are here to be compared with.
    leaks_known: bool,
    /// Seconds for all test images, loading them into batches included.
    seconds: f64,
    f1_weighted_interval: Option<Interval>,
    f1_macro_interval: Option<Interval>,
    #[serde(flatten)]
    measured: CrossCell,
    /// `None` for the images that were trained on.
    test_looks: Option<TestLooks>,
}

impl Cell {
    /// The score on all images that the model could be asked about.
    fn scored<'a>(&self, test: &'a DataStamp) -> Scored<'a> {
        let all = &self.measured.all;
        Scored {
            test,
            images: all.samples,
            accuracy: all.accuracy,
            purpose: match self.merged {
                true => Purpose::Variant(MERGED.into()),
                false => Purpose::Test,
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Fight {
    dataset: String,
    #[serde(flatten)]
    duel: Duel,
}

#[derive(Debug, Serialize)]
struct Answer {
    synthetic: bool,
    models: Vec<Model>,
    tests: Vec<DataStamp>,
    threads: usize,
    cells: Vec<Cell>,
    duels: Vec<Fight>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "{SYNTHETIC}")?;
        }
        self.matrix(f)?;
        self.looks(f)?;
        self.duels(f)
    }
}

impl Answer {
    fn matrix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[
            "trained on",
            "tested on",
            ">classes",
            ">images",
            ">accuracy",
            ">F1 weighted",
            ">F1 macro",
            ">seconds",
            ">trained on",
            ">leak-free",
            ">F1 weighted",
        ]);
        for (index, cell) in self.cells.iter().enumerate() {
            let model = &self.models[index % self.models.len()];
            let all = &cell.measured.all;
            let clean = cell.measured.leak_free.as_ref();
            let unknown = || match cell.leaks_known {
                true => "no image left".to_string(),
                false => "unknown".to_string(),
            };
            let seen = match cell.leaks_known {
                true => percent(cell.measured.shared as f64 / all.samples as f64),
                false => "unknown".into(),
            };
            table.row([
                format!("{} ({})", model.trained_on.dataset, model.model),
                cell.dataset.clone(),
                cell.classes.len().to_string(),
                grouped(all.samples),
                percent(all.accuracy),
                format!("{:.4}", all.report.weighted_average.f1),
                format!("{:.4}", all.report.macro_average.f1),
                format!("{:.2}", cell.seconds),
                seen,
                clean.map_or_else(unknown, |clean| percent(clean.accuracy)),
                clean.map_or_else(unknown, |clean| {
                    format!("{:.4}", clean.report.weighted_average.f1)
                }),
            ]);
        }
        write!(f, "{table}")?;
        writeln!(
            f,
            "\nClasses are merged down to those both sides have; leak-free: without the images that \
             are in the model's training set."
        )
    }

    fn looks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cell) in self.cells.iter().enumerate() {
            let model = &self.models[index % self.models.len()];
            write!(f, "{} on {}: ", model.name(), cell.dataset)?;
            match &cell.test_looks {
                Some(looks) => writeln!(f, "{looks}")?,
                None => writeln!(f, "{}", test_looks::NONE)?,
            }
        }
        Ok(())
    }

    fn duels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.duels.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&[
            "on",
            "first",
            "second",
            ">only first",
            ">only second",
            ">difference",
            ">p (Holm)",
        ]);
        for Fight { dataset, duel } in &self.duels {
            let name = |index: usize| self.models[index].name();
            table.row([
                dataset.clone(),
                name(duel.first),
                name(duel.second),
                grouped(duel.outcomes.only_first),
                grouped(duel.outcomes.only_second),
                format!("{:+.2} points", duel.outcomes.difference() * 100.0),
                format!("{:.2e}", duel.p_adjusted),
            ]);
        }
        write!(
            f,
            "\nMcNemar's test, on the images that both could be asked about\n{table}"
        )
    }
}
