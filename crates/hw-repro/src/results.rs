//! What the runs of a paper gave, and how a term reads it.

use super::archive::Confidences;
use super::expression::{Quantity, Term};
use super::jobs::Job;
use super::paper::RunDecl;
use super::stopwatch::Rates;
use hw_eval::{Metrics, Predictions, Timing};
use hw_models::ModelSpec;
use hw_train::{Computation, DataStamp, EpochRecord, Machine, Plateau, TrainConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One seed of a run: everything the report needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunResult {
    pub(crate) run: String,
    pub(crate) config: TrainConfig,
    pub(crate) train_images: usize,
    pub(crate) data: DataStamp,
    pub(crate) test: DataStamp,
    pub(crate) classes: Vec<String>,
    pub(crate) metrics: Metrics,
    /// Seconds for all test images.
    pub(crate) test_seconds: f64,
    /// The test images used, by their index in the set; all of them if absent.
    #[serde(default)]
    pub(crate) tested: Option<usize>,
    /// Every answer to the test images.
    pub(crate) answers: Answered,
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) variants: Vec<VariantResult>,
    /// Variants that could not be measured this time, and why.
    #[serde(skip)]
    pub(crate) broken: Vec<(String, String)>,
    pub(crate) history: Vec<EpochRecord>,
    /// Whether it was trained until nothing more was to be gained.
    pub(crate) plateau: Plateau,
    /// `None` when a resumed epoch was timed only in part.
    pub(crate) train_seconds: Option<f64>,
    pub(crate) latency: Timing,
    pub(crate) throughput: Timing,
    /// Trainable parameters.
    pub(crate) parameters: u64,
    /// Multiply-accumulates an image.
    pub(crate) macs: u64,
    /// Shape of one network input.
    pub(crate) input: [usize; 3],
    pub(crate) machine: Machine,
    /// What computed it.
    pub(crate) computation: Computation,
    /// Runs that shared the machine meanwhile.
    #[serde(default)]
    pub(crate) beside: usize,
}

/// Every answer to some test images: with their labels, the wrong ones say all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) images: usize,
    /// Place among those images, and the class answered.
    pub(crate) wrong: Vec<(u32, u16)>,
    /// How sure it was of each answer.
    pub(crate) confidence: Confidences,
}

impl Answered {
    pub(crate) fn of(predictions: &Predictions) -> Self {
        let predicted = predictions.predicted();
        let pairs = predictions.labels().iter().zip(&predicted).enumerate();
        let wrong = pairs.filter(|(_, (label, predicted))| label != predicted);
        let wrong = wrong.map(|(index, (_, &predicted))| (index as u32, predicted as u16));
        Self {
            images: predicted.len(),
            wrong: wrong.collect(),
            confidence: Confidences::of(&predictions.confidence()),
        }
    }

    /// Whether each image was classified correctly.
    pub(crate) fn correct(&self) -> Arc<[bool]> {
        let mut correct = vec![true; self.images];
        for (index, _) in &self.wrong {
            if let Some(place) = correct.get_mut(*index as usize) {
                *place = false;
            }
        }
        correct.into()
    }
}

/// A wrong answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Mistake {
    pub(crate) index: usize,
    pub(crate) label: u32,
    pub(crate) predicted: u32,
    pub(crate) confidence: f32,
}

/// Results on a changed test set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VariantResult {
    pub(crate) id: String,
    /// How it was declared; a changed declaration is measured again.
    pub(crate) declared: String,
    pub(crate) metrics: Metrics,
    /// Every answer, in the common label space.
    pub(crate) answers: Answered,
    /// Names of the common label space.
    pub(crate) classes: Vec<String>,
    pub(crate) test: DataStamp,
    /// Seconds for all its images.
    pub(crate) seconds: f64,
    /// Share of its images that are in the training set.
    pub(crate) shared: f64,
}

/// Why a seed has no result when its run was not made yet.
pub(crate) const NOT_RUN_YET: &str = "not run yet";

/// A seed that did not finish.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) seed: Option<u64>,
    pub(crate) problem: String,
}

/// All seeds of a run.
#[derive(Clone, Debug)]
pub(crate) struct JobResult {
    pub(crate) paper: usize,
    pub(crate) decl: RunDecl,
    pub(crate) seeds: Vec<RunResult>,
    pub(crate) failures: Vec<Failure>,
    /// Learning rates tried and their validation accuracies.
    pub(crate) search: Vec<(f32, f64)>,
    /// Whether the best rate lies at an edge of what was tried all the same.
    pub(crate) edge: bool,
    pub(crate) epochs: usize,
    pub(crate) full: bool,
    /// What the profile made smaller, in words.
    pub(crate) shrunk: Vec<String>,
    /// The training images there are, where not all are used.
    pub(crate) of_images: Option<usize>,
    /// The network as the paper has it.
    pub(crate) network: Option<ModelSpec>,
    /// The number of training images, where this is a point of a learning curve.
    pub(crate) point: Option<usize>,
    /// Seeds that it may have.
    pub(crate) most_seeds: usize,
    /// How fast it trains, measured alone; where a claim is about that.
    pub(crate) rates: Option<Rates>,
    /// How often the test set was looked at for its recipe.
    pub(crate) looks: usize,
}

impl JobResult {
    /// A job before it runs.
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            paper: job.paper,
            decl: job.decl.clone(),
            seeds: Vec::new(),
            failures: Vec::new(),
            search: Vec::new(),
            edge: false,
            point: job.point,
            most_seeds: job.configs.len(),
            rates: None,
            looks: 0,
            epochs: job.epochs,
            full: job.full,
            shrunk: job.shrunk.clone(),
            of_images: job.of_images,
            network: job.network.clone(),
        }
    }

    /// The learning rate with the best validation accuracy, the first of equals.
    pub(crate) fn chosen_rate(&self) -> Option<f32> {
        super::seeds::best_of(&self.search).map(|best| self.search[best].0)
    }

    /// Seeds that were run, those that failed included.
    pub(crate) fn attempted(&self) -> usize {
        let failed = self
            .failures
            .iter()
            .filter(|failure| failure.seed.is_some());
        self.seeds.len() + failed.count()
    }

    /// Why no verdict can rest on it, if none can: the accuracy of a network that was still learning, or
    /// on other data than the paper's kind, says nothing about the paper.
    pub(crate) fn too_small(&self) -> Option<String> {
        let name = self.decl.label();
        if self.synthetic() {
            return Some("generated glyphs stand in for the data".into());
        }
        if self.edge {
            return Some(format!(
                "{name}: its best learning rate lies at the edge of what was tried"
            ));
        }
        let unfinished = |seed: &&RunResult| match seed.plateau {
            Plateau::Stopped => false,
            Plateau::Complete => self.epochs < self.decl.epochs.unwrap_or(self.epochs),
            Plateau::Cut => true,
        };
        let cut = self.seeds.iter().filter(unfinished).count();
        (cut > 0).then(|| {
            let epochs = self
                .seeds
                .iter()
                .map(|seed| seed.history.len())
                .max()
                .unwrap_or(0);
            let plural = if epochs == 1 { "" } else { "s" };
            format!("{name} was still learning when it was stopped after {epochs} epoch{plural}")
        })
    }

    /// Training images of a run.
    pub(crate) fn images(&self) -> usize {
        self.seeds.first().map_or(0, |seed| seed.train_images)
    }

    /// Whether its data is generated.
    pub(crate) fn synthetic(&self) -> bool {
        self.seeds.iter().any(|seed| seed.data.synthetic)
    }

    /// Whether its data is the sixth-scale EMNIST where the paper has the published one.
    pub(crate) fn sixth(&self) -> bool {
        !self.decl.sixth && self.seeds.iter().any(|seed| seed.data.edition == "sixth")
    }

    /// The scale in words: "12,000 of 60,000 images, 4 of 20 epochs, 3 seeds".
    pub(crate) fn scale(&self) -> String {
        if self.seeds.is_empty() {
            return String::new();
        }
        let images = self.seeds.first().map_or(0, |seed| seed.train_images);
        let count = self.seeds.len();
        let plural = if count == 1 { "" } else { "s" };
        let number = |count: usize| hw_report::format::count_with(count as u64, ",");
        let images = match self.of_images {
            Some(all) => format!("{} of {} images", number(images), number(all)),
            None => format!("{} images", number(images)),
        };
        let declared = self.decl.epochs.unwrap_or(self.epochs);
        let trained = self.seeds.iter().map(|seed| seed.history.len());
        let (least, most) = (trained.clone().min(), trained.max());
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
        let span = if least == most {
            format!("{most}")
        } else {
            format!("{least} to {most}")
        };
        let stopped = self
            .seeds
            .iter()
            .all(|seed| seed.plateau == Plateau::Stopped);
        let epochs = match (stopped, most < declared) {
            (true, _) => format!("plateau after {span} epochs"),
            (false, true) => format!("{span} of {declared} epochs"),
            (false, false) => format!("{span} epochs"),
        };
        let mut words = vec![images, epochs];
        words.extend(self.shrunk.iter().cloned());
        words.push(format!("{count} seed{plural}"));
        match self.looks {
            0 => {}
            1 => words.push("1 test look".into()),
            looks => words.push(format!("{looks} test looks")),
        }
        words.join(", ")
    }
}

/// The results of one paper.
pub(crate) struct PaperResults<'a> {
    pub(crate) jobs: Vec<&'a JobResult>,
}

impl<'a> PaperResults<'a> {
    /// The results of that paper: the runs themselves, or a point of the learning curve.
    pub(crate) fn of(results: &'a [JobResult], paper: usize, point: Option<usize>) -> Self {
        let own = results
            .iter()
            .filter(|job| job.paper == paper && job.point == point);
        Self {
            jobs: own.collect(),
        }
    }

    /// The run of that id, if it was run.
    pub(crate) fn job(&self, id: &str) -> Option<&'a JobResult> {
        self.jobs.iter().copied().find(|job| job.decl.id == id)
    }

    /// The values of a term, each with its seed.
    ///
    /// # Errors
    /// Why there are none: not run, or how it failed.
    pub(crate) fn measured(&self, term: &Term) -> Result<Vec<(&'a RunResult, f64)>, String> {
        let job = self.job(&term.run).ok_or("not run")?;
        let read = |seed: &'a RunResult| Some((seed, value(seed, term)?));
        let values: Vec<(&RunResult, f64)> = job.seeds.iter().filter_map(read).collect();
        if values.is_empty() {
            let broken = job.seeds.iter().flat_map(|seed| &seed.broken);
            let mut broken = broken.filter(|(id, _)| Some(id) == term.variant.as_ref());
            if let Some((_, problem)) = broken.next() {
                return Err(problem.clone());
            }
            let failure = job.failures.first().map(|failure| failure.problem.clone());
            return Err(failure.unwrap_or_else(|| "not measured".into()));
        }
        Ok(values)
    }

    /// The values of a term, one a seed; of what follows from the declaration, one.
    ///
    /// # Errors
    /// As [`Self::measured`].
    pub(crate) fn values(&self, term: &Term) -> Result<Vec<f64>, String> {
        let declared = self.job(&term.run).and_then(|job| declared(job, term));
        match declared {
            Some(value) => Ok(vec![value]),
            None => Ok(self
                .measured(term)?
                .into_iter()
                .map(|(_, value)| value)
                .collect()),
        }
    }
}

/// What follows from the network's declaration alone.
pub(crate) fn declared(job: &JobResult, term: &Term) -> Option<f64> {
    let model = || job.network.as_ref()?.lower().ok();
    Some(match term.quantity {
        Quantity::Parameters => model()?.parameter_count() as f64,
        Quantity::Macs => model()?.macs() as f64,
        Quantity::Layers => super::layers::paper_layers(&model()?).len() as f64,
        _ => return None,
    })
}

fn metrics<'a>(seed: &'a RunResult, term: &Term) -> Option<&'a Metrics> {
    Some(match &term.variant {
        None => &seed.metrics,
        Some(id) => &variant(seed, id)?.metrics,
    })
}

fn variant<'a>(seed: &'a RunResult, id: &str) -> Option<&'a VariantResult> {
    seed.variants.iter().find(|variant| variant.id == id)
}

/// The epoch whose weights are kept: the best by validation, else the last.
fn kept(seed: &RunResult) -> Option<&EpochRecord> {
    let best = seed.history.iter().rev().find(|epoch| epoch.best);
    best.or(seed.history.last())
}

fn value(seed: &RunResult, term: &Term) -> Option<f64> {
    let images = || -> usize { seed.history.iter().map(|epoch| epoch.train.images).sum() };
    let epochs = || seed.history.len() as f64;
    let steps = || Some(seed.history.last()?.step as f64);
    let losses = || {
        let validated = seed.history.iter();
        validated.filter_map(|epoch| Some(epoch.validation?.loss))
    };
    match term.quantity {
        Quantity::Test(metric) => metrics(seed, term)?.get(metric),
        Quantity::LearningRate => {
            // The shortest decimal that is this f32, not its binary expansion.
            seed.config.learning_rate.to_string().parse().ok()
        }
        Quantity::TrainLoss => Some(seed.history.last()?.train.loss),
        Quantity::TrainAccuracy => Some(seed.history.last()?.train.accuracy),
        Quantity::ValAccuracy => Some(kept(seed)?.validation?.accuracy),
        Quantity::ValLoss => losses().next_back(),
        Quantity::ValLossBest => losses().reduce(f64::min),
        Quantity::TrainSeconds => seed.train_seconds,
        Quantity::TrainRate => Some(images() as f64 / seed.train_seconds?),
        Quantity::ImageMicroseconds => Some(seed.train_seconds? * 1e6 / images().max(1) as f64),
        Quantity::EpochSeconds => Some(seed.train_seconds? / epochs()),
        Quantity::StepMs => Some(seed.train_seconds? * 1e3 / steps()?),
        Quantity::BestSeconds => {
            seed.train_seconds?;
            let until = kept(seed)?.epoch;
            let used = seed.history.iter().filter(|epoch| epoch.epoch <= until);
            Some(used.map(|epoch| epoch.seconds).sum())
        }
        Quantity::Epochs => Some(epochs()),
        Quantity::TestSeconds => match &term.variant {
            None => Some(seed.test_seconds),
            Some(id) => Some(variant(seed, id)?.seconds),
        },
        Quantity::Shared => Some(variant(seed, term.variant.as_deref()?)?.shared),
        Quantity::TestImages => Some(metrics(seed, term)?.samples as f64),
        Quantity::Latency => Some(seed.latency.median_ms),
        Quantity::InferenceRate => Some(seed.throughput.images_per_second),
        // See `declared`.
        Quantity::Parameters | Quantity::Macs | Quantity::Layers => None,
    }
}
