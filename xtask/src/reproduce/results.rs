//! What the runs of a paper gave, and how a term or a claim reads it.

use super::expression::{Check, Quantity, Side, Term};
use super::jobs::Job;
use super::paper::RunDecl;
use hw_data::Step;
use hw_eval::verdict::{Alpha, Comparison, Runs, Verdict, best_of, compare_greater};
use hw_eval::{Metrics, Timing, compare_greater_than_printed};
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
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) variants: Vec<VariantResult>,
    pub(crate) history: Vec<EpochRecord>,
    /// `None` when a resumed epoch was timed only in part.
    pub(crate) train_seconds: Option<f64>,
    pub(crate) latency: Timing,
    pub(crate) throughput: Timing,
    pub(crate) parameters: u64,
    pub(crate) macs: u64,
    pub(crate) layers: u64,
    /// Shape of one network input.
    pub(crate) input: [usize; 3],
    pub(crate) machine: Machine,
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
    pub(crate) steps: Vec<Step>,
    pub(crate) metrics: Metrics,
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

    /// The scale in words: "12,000 images, 4 epochs, 3 seeds".
    pub(crate) fn scale(&self) -> String {
        let images = self.seeds.first().map_or(0, |seed| seed.train_images);
        let count = self.seeds.len();
        let plural = if count == 1 { "" } else { "s" };
        let images = hw_report::format::count_with(images as u64, ",");
        format!(
            "{images} images, {} epochs, {count} seed{plural}",
            self.epochs
        )
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
        let read = |seed: &RunResult| value(seed, term);
        let values: Vec<f64> = job.seeds.iter().filter_map(read).collect();
        if values.is_empty() {
            let failure = job.failures.first().map(|failure| failure.problem.clone());
            return Err(failure.unwrap_or_else(|| "not measured".into()));
        }
        let images = job.seeds.first().map(|seed| seed.metrics.samples);
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
        match (job.synthetic(), job.full) {
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
        match (&check.greater, &check.less) {
            (Side::Term(a), Side::Term(b)) if a.quantity.is_structural() => {
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
            (Side::Term(a), Side::Term(b)) => {
                let (a, b) = (runs(self.values(a)?), runs(self.values(b)?));
                Ok(single(compare_greater(&a, &b, alpha)))
            }
            (Side::Term(a), Side::Number(printed)) => {
                self.comparable_with_print(a)?;
                let a = runs(self.values(a)?);
                Ok(single(compare_greater_than_printed(&a, *printed, alpha)))
            }
            (Side::Number(printed), Side::Term(b)) => {
                // "number > b" is the opposite of "b > number".
                self.comparable_with_print(b)?;
                let opposite =
                    compare_greater_than_printed(&runs(self.values(b)?), *printed, alpha);
                Ok(single(reversed(opposite)))
            }
            (Side::Term(a), Side::Max(others)) => {
                let candidate = runs(self.values(a)?);
                let others: Vec<(String, Runs)> = others
                    .iter()
                    .map(|term| Ok((term.run.clone(), runs(self.values(term)?))))
                    .collect::<Result<_, String>>()?;
                let named: Vec<(&str, &Runs)> = others
                    .iter()
                    .map(|(name, runs)| (name.as_str(), runs))
                    .collect();
                let outcome = best_of(&candidate, &named, alpha);
                let pairs = outcome.rivals.into_iter().map(|r| (r.name, r.comparison));
                Ok(Judgement {
                    text,
                    verdict: outcome.verdict,
                    comparisons: pairs.collect(),
                })
            }
            _ => Err("no test is defined for this check".into()),
        }
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

fn value(seed: &RunResult, term: &Term) -> Option<f64> {
    let metrics = match &term.variant {
        None => &seed.metrics,
        Some(id) => {
            &seed
                .variants
                .iter()
                .find(|variant| variant.id == *id)?
                .metrics
        }
    };
    match term.quantity {
        Quantity::Test(metric) => metrics.get(metric),
        Quantity::LearningRate => {
            // The shortest decimal that is this f32, not its binary expansion.
            seed.config.learning_rate.to_string().parse().ok()
        }
        Quantity::TrainLoss => Some(seed.history.last()?.train.loss),
        Quantity::TrainSeconds => seed.train_seconds,
        Quantity::TrainRate => {
            let images: usize = seed.history.iter().map(|epoch| epoch.train.images).sum();
            Some(images as f64 / seed.train_seconds?)
        }
        Quantity::Latency => Some(seed.latency.median_ms),
        Quantity::InferenceRate => Some(seed.throughput.images_per_second),
        Quantity::Parameters => Some(seed.parameters as f64),
        Quantity::Macs => Some(seed.macs as f64),
        Quantity::Layers => Some(seed.layers as f64),
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
