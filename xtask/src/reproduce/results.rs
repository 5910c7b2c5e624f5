//! What the runs of a paper gave, and how a term or a claim reads it.

use super::expression::{Check, Quantity, Relation, Side, Term};
use super::jobs::Job;
use super::paper::RunDecl;
use hw_eval::verdict::{
    Alpha, Comparison, Runs, Verdict, best_of, compare_about, compare_greater, compare_greater_by,
    compare_greater_than_printed, compare_ratio,
};
use hw_eval::{Metrics, Ranked, Timing};
use hw_models::ModelSpec;
use hw_train::{DataStamp, EpochRecord, Machine, TrainConfig};
use serde::{Deserialize, Serialize};

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
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) variants: Vec<VariantResult>,
    /// Variants that could not be measured this time, and why.
    #[serde(skip)]
    pub(crate) broken: Vec<(String, String)>,
    pub(crate) history: Vec<EpochRecord>,
    /// `None` when a resumed epoch was timed only in part.
    pub(crate) train_seconds: Option<f64>,
    pub(crate) latency: Timing,
    pub(crate) throughput: Timing,
    /// Of the network that was trained, which may be narrower than the document's.
    pub(crate) parameters: u64,
    /// Multiply-accumulates an image, of the network that was trained.
    pub(crate) macs: u64,
    /// Shape of one network input.
    pub(crate) input: [usize; 3],
    pub(crate) machine: Machine,
    /// Runs that shared the machine meanwhile.
    #[serde(default)]
    pub(crate) beside: usize,
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
    /// Names of the common label space.
    pub(crate) classes: Vec<String>,
    pub(crate) test: DataStamp,
    /// Seconds for all its images.
    pub(crate) seconds: f64,
    /// Share of its images that are in the training set.
    pub(crate) shared: f64,
}

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
    pub(crate) epochs: usize,
    pub(crate) full: bool,
    /// What the profile made smaller, in words.
    pub(crate) shrunk: Vec<String>,
    /// The training images there are, where not all are used.
    pub(crate) of_images: Option<usize>,
    /// The network as the document has it.
    pub(crate) network: Option<ModelSpec>,
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
            epochs: job.epochs,
            full: job.full,
            shrunk: job.shrunk.clone(),
            of_images: job.of_images,
            network: job.network.clone(),
        }
    }

    /// The learning rate with the best validation accuracy, the first of equals.
    pub(crate) fn chosen_rate(&self) -> Option<f32> {
        let mut best: Option<(f32, f64)> = None;
        for &(rate, accuracy) in &self.search {
            if best.is_none_or(|(_, score)| accuracy > score) {
                best = Some((rate, accuracy));
            }
        }
        best.map(|(rate, _)| rate)
    }

    /// Whether its data is generated.
    pub(crate) fn synthetic(&self) -> bool {
        self.seeds.iter().any(|seed| seed.data.synthetic)
    }

    /// Whether its data is the sixth-scale EMNIST where the document has the published one.
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
        let trained = self.seeds.iter().map(|seed| seed.history.len()).max();
        let trained = trained.unwrap_or(self.epochs);
        let epochs = match (self.epochs < declared, trained < self.epochs) {
            (true, _) => format!("{} of {declared} epochs", self.epochs),
            (false, true) => format!("stopped after {trained} of {declared} epochs"),
            (false, false) => format!("{declared} epochs"),
        };
        let mut words = vec![images, epochs];
        words.extend(self.shrunk.iter().cloned());
        words.push(format!("{count} seed{plural}"));
        words.join(", ")
    }
}

/// The values of a term, one a seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values {
    pub(crate) values: Vec<f64>,
    pub(crate) test_images: Option<u64>,
}

/// The results of one paper.
pub(crate) struct PaperResults<'a> {
    pub(crate) jobs: Vec<&'a JobResult>,
}

impl<'a> PaperResults<'a> {
    /// The run of that id, if it was run.
    pub(crate) fn job(&self, id: &str) -> Option<&'a JobResult> {
        self.jobs.iter().copied().find(|job| job.decl.id == id)
    }

    /// The values of a term.
    ///
    /// # Errors
    /// Why there are none: not run, or how it failed.
    pub(crate) fn values(&self, term: &Term) -> Result<Values, String> {
        let job = self.job(&term.run).ok_or("not run")?;
        if let Some(value) = declared(job, term) {
            return Ok(Values {
                values: vec![value],
                test_images: None,
            });
        }
        let read = |seed: &RunResult| value(seed, term);
        let values: Vec<f64> = job.seeds.iter().filter_map(read).collect();
        if values.is_empty() {
            let broken = job.seeds.iter().flat_map(|seed| &seed.broken);
            let mut broken = broken.filter(|(id, _)| Some(id) == term.variant.as_ref());
            if let Some((_, problem)) = broken.next() {
                return Err(problem.clone());
            }
            let failure = job.failures.first().map(|failure| failure.problem.clone());
            return Err(failure.unwrap_or_else(|| "not measured".into()));
        }
        let images = job.seeds.first().and_then(|seed| images(seed, term));
        let test_images = images.filter(|_| term.quantity.is_accuracy());
        Ok(Values {
            values,
            test_images,
        })
    }

    /// The verdict on one check of a claim.
    pub(crate) fn judge(&self, check: &Check) -> Judgement {
        match self.try_judge(check) {
            Ok(judgement) => judgement,
            Err(reason) => Judgement {
                text: check.text.clone(),
                verdict: Verdict::NotTested { reason },
                comparisons: Vec::new(),
            },
        }
    }

    /// A printed number can be held only against a run at the document's own scale, on its data.
    fn comparable_with_print(&self, term: &Term) -> Result<(), String> {
        let job = self.job(&term.run).ok_or("not run")?;
        match (job.synthetic(), job.full && !job.sixth()) {
            (true, _) => Err("a printed number says nothing about synthetic data".into()),
            (_, false) => Err("a printed number needs the document's own scale".into()),
            _ => Ok(()),
        }
    }

    fn try_judge(&self, check: &Check) -> Result<Judgement, String> {
        let alpha = Alpha::default();
        let text = check.text.clone();
        let single = |comparison: Comparison| Judgement {
            text: text.clone(),
            verdict: comparison.verdict.clone(),
            comparisons: vec![(String::new(), comparison)],
        };
        let pair = |a: &Term, b: &Term| -> Result<(Runs, Runs), String> {
            Ok((runs(self.values(a)?), runs(self.values(b)?)))
        };
        match &check.relation {
            Relation::About {
                a,
                b,
                offset,
                margin,
            } => {
                let (a, b) = pair(a, b)?;
                Ok(single(compare_about(&a, &b, *offset, *margin, alpha)))
            }
            Relation::Ratio {
                a,
                b,
                ratio,
                factor,
            } => {
                let (a, b) = pair(a, b)?;
                Ok(single(compare_ratio(&a, &b, *ratio, *factor, alpha)))
            }
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Term(b),
                ..
            } if a.quantity.is_structural() => {
                let (a, b) = (self.values(a)?, self.values(b)?);
                let holds = a.values[0] > b.values[0];
                let verdict = if holds {
                    Verdict::Reproduced
                } else {
                    Verdict::NotReproduced
                };
                Ok(Judgement {
                    text,
                    verdict,
                    comparisons: Vec::new(),
                })
            }
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Term(b),
                margin,
            } => {
                let (a, b) = pair(a, b)?;
                Ok(single(match *margin {
                    0.0 => compare_greater(&a, &b, alpha),
                    margin => compare_greater_by(&a, &b, margin, alpha),
                }))
            }
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Number(printed),
                ..
            } => {
                self.comparable_with_print(a)?;
                let a = runs(self.values(a)?);
                Ok(single(compare_greater_than_printed(&a, *printed, alpha)))
            }
            Relation::Greater {
                greater: Side::Number(printed),
                less: Side::Term(b),
                ..
            } => {
                // "number > b" is the opposite of "b > number".
                self.comparable_with_print(b)?;
                let opposite =
                    compare_greater_than_printed(&runs(self.values(b)?), *printed, alpha);
                Ok(single(reversed(opposite)))
            }
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Max(others),
                ..
            } => self.judge_best(text, a, others),
            Relation::Greater { .. } => Err("no test is defined for this check".into()),
        }
    }

    fn judge_best(&self, text: String, best: &Term, others: &[Term]) -> Result<Judgement, String> {
        let candidate = runs(self.values(best)?);
        let others: Vec<(String, Runs)> = others
            .iter()
            .map(|term| Ok((term.run.clone(), runs(self.values(term)?))))
            .collect::<Result<_, String>>()?;
        let named: Vec<(&str, &Runs)> = others
            .iter()
            .map(|(name, runs)| (name.as_str(), runs))
            .collect();
        let outcome = best_of(&candidate, &named, Alpha::default());
        let pairs = outcome.rivals.into_iter().map(|r| (r.name, r.comparison));
        Ok(Judgement {
            text,
            verdict: outcome.verdict,
            comparisons: pairs.collect(),
        })
    }

    /// A ranking of several terms that claims no more than the seeds support, best first.
    ///
    /// # Errors
    /// As [`Self::values`].
    pub(crate) fn rank(&self, terms: &[(String, &Term)]) -> Result<Vec<Ranked>, String> {
        let entries: Vec<(&str, Runs)> = terms
            .iter()
            .map(|(name, term)| Ok((name.as_str(), runs(self.values(term)?))))
            .collect::<Result<_, String>>()?;
        let entries: Vec<(&str, &Runs)> = entries.iter().map(|(n, runs)| (*n, runs)).collect();
        hw_eval::rank(&entries, Alpha::default()).map_err(|error| error.to_string())
    }
}

fn reversed(c: Comparison) -> Comparison {
    let verdict = match c.verdict {
        Verdict::Reproduced => Verdict::NotReproduced,
        Verdict::NotReproduced => Verdict::Reproduced,
        other => other,
    };
    let flip = |i: hw_eval::Interval| hw_eval::Interval {
        low: -i.high,
        high: -i.low,
    };
    Comparison {
        verdict,
        difference: c.difference.map(|d| -d),
        interval: c.interval.map(flip),
        p: c.p_opposite,
        p_opposite: c.p,
        ..c
    }
}

fn runs(values: Values) -> Runs {
    match values.test_images {
        Some(images) => Runs::accuracies(values.values, images),
        None => Runs::new(values.values),
    }
}

/// What follows from the network's declaration alone.
fn declared(job: &JobResult, term: &Term) -> Option<f64> {
    let model = || job.network.as_ref()?.resolve().ok();
    Some(match term.quantity {
        Quantity::Parameters => model()?.parameter_count() as f64,
        Quantity::Macs => model()?.macs() as f64,
        Quantity::Layers => super::layers::paper_layers(&model()?).len() as f64,
        _ => return None,
    })
}

/// How many images an accuracy was counted on.
fn images(seed: &RunResult, term: &Term) -> Option<u64> {
    match term.quantity {
        Quantity::ValAccuracy => Some(kept(seed)?.validation?.images as u64),
        _ => Some(metrics(seed, term)?.samples),
    }
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

/// The outcome of one check.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) text: String,
    pub(crate) verdict: Verdict,
    /// The comparisons behind it, with the rival's name where there are several.
    pub(crate) comparisons: Vec<(String, Comparison)>,
}

/// The verdict on a claim: the weakest of its checks.
pub(crate) fn overall(judgements: &[Judgement]) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::NotReproduced => 0,
        Verdict::NotTested { .. } => 1,
        Verdict::WithinNoise => 2,
        Verdict::Reproduced => 3,
    };
    let verdicts = judgements.iter().map(|judgement| &judgement.verdict);
    verdicts
        .min_by_key(|verdict| rank(verdict))
        .cloned()
        .unwrap_or(Verdict::NotTested {
            reason: "the claim has no check".into(),
        })
}
