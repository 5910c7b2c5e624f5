//! What there is to judge a claim by, and what forbids a verdict.

use super::claims::structural_arm;
use super::expression::{Quantity, Term};
use super::results::{JobResult, PaperResults, RunResult};
use hw_eval::{Arm, Outcome};

/// Where values come from: the runs of a paper, or a report that was kept of them.
pub(crate) trait Evidence {
    /// The values of a term, one a seed, with the answers to each test image where they are known.
    ///
    /// # Errors
    /// Why there are none: not run, or how it failed.
    fn arm(&self, term: &Term) -> Result<Arm, String>;

    /// Why no verdict can rest on the term, if none can.
    fn too_small(&self, term: &Term) -> Option<String>;

    /// Why a reported number cannot be held against the term, if it cannot: other data, or a smaller
    /// scale than the paper's.
    fn apart_from_the_report(&self, term: &Term) -> Option<String>;

    /// The processors on which a time was taken; none for whatever is no time.
    fn processors(&self, term: &Term) -> Vec<String>;

    /// What terms must share for their spreads to be comparable.
    fn setting(&self, term: &Term) -> String;

    /// Training images of the run.
    fn images(&self, run: &str) -> Option<usize>;
}

impl Evidence for PaperResults<'_> {
    fn arm(&self, term: &Term) -> Result<Arm, String> {
        if let Some(arm) = structural_arm(self, term) {
            return Ok(arm);
        }
        let job = self.job(&term.run).ok_or("not run")?;
        if term.quantity.is_training_time() {
            let outcomes = timed(job, term.quantity).ok_or("its time was not taken alone")?;
            return Arm::new(job.decl.label(), outcomes).map_err(|error| error.to_string());
        }
        let outcome = |(seed, value): (&RunResult, f64)| Outcome {
            seed: seed.config.seed,
            value,
            correct: answers(seed, term),
        };
        let outcomes = self.measured(term)?.into_iter().map(outcome).collect();
        Arm::new(job.decl.label(), outcomes).map_err(|error| error.to_string())
    }

    fn too_small(&self, term: &Term) -> Option<String> {
        if term.quantity.is_structural() {
            return None;
        }
        let job = self.job(&term.run)?;
        if term.quantity.is_training_time() {
            let disturbed = match &job.rates {
                None => Some(format!(
                    "{}: its time was not taken alone",
                    job.decl.label()
                )),
                Some(rates) => rates.disturbed(),
            };
            // How long a whole run takes is known when it ran to its end.
            let whole = matches!(
                term.quantity,
                Quantity::BestSeconds | Quantity::TrainSeconds
            );
            return disturbed.or_else(|| job.too_small().filter(|_| whole));
        }
        if term.quantity == Quantity::Shared {
            return job
                .synthetic()
                .then(|| "generated glyphs stand in for the data".into());
        }
        job.too_small()
    }

    fn apart_from_the_report(&self, term: &Term) -> Option<String> {
        let job = self.job(&term.run)?;
        if job.sixth() {
            return Some(
                "the paper's number is about all of EMNIST, and here is a sixth of it".into(),
            );
        }
        (!job.full).then(|| {
            let (images, of) = (job.images(), job.of_images.unwrap_or(job.images()));
            format!(
                "the paper's number is about its own scale, and here are {images} of {of} images"
            )
        })
    }

    fn processors(&self, term: &Term) -> Vec<String> {
        let Some(job) = self.job(&term.run).filter(|_| term.quantity.is_time()) else {
            return Vec::new();
        };
        if term.quantity.is_training_time() {
            let rates = job.rates.iter();
            return rates.map(|rates| rates.machine.processor.clone()).collect();
        }
        let seeds = job.seeds.iter();
        seeds.map(|seed| seed.machine.processor.clone()).collect()
    }

    fn setting(&self, term: &Term) -> String {
        let data = self.job(&term.run).and_then(|job| job.seeds.first());
        let data = data.map_or("", |seed| seed.data.sha256.as_str());
        let variant = term.variant.as_deref().unwrap_or("");
        format!("{}@{variant} {data}", term.quantity)
    }

    fn images(&self, run: &str) -> Option<usize> {
        self.job(run)
            .map(JobResult::images)
            .filter(|images| *images > 0)
    }
}

/// Whether each image was classified correctly, where the term is a test accuracy.
fn answers(seed: &RunResult, term: &Term) -> Option<std::sync::Arc<[bool]>> {
    if term.quantity != Quantity::Test(hw_eval::Metric::Accuracy) {
        return None;
    }
    let answered = match &term.variant {
        None => &seed.answers,
        Some(id) => {
            &seed
                .variants
                .iter()
                .find(|variant| variant.id == *id)?
                .answers
        }
    };
    Some(answered.correct())
}

/// A time of training from the pass in which it was measured alone: one value a repetition, times what a
/// run had to do.
fn timed(job: &JobResult, quantity: Quantity) -> Option<Vec<Outcome>> {
    let rates = job.rates.as_ref()?;
    let seeds = job.seeds.len().max(1) as f64;
    let mean = |of: &dyn Fn(&RunResult) -> f64| job.seeds.iter().map(of).sum::<f64>() / seeds;
    let images = |seed: &RunResult| -> f64 {
        let images = seed.history.iter().map(|epoch| epoch.train.images);
        images.sum::<usize>() as f64
    };
    // Images that a run needs for the quantity, or the quantity from microseconds an image.
    let needed = match quantity {
        Quantity::TrainSeconds => mean(&images) * 1e-6,
        Quantity::BestSeconds => mean(&images_to_the_best) * 1e-6,
        Quantity::EpochSeconds => {
            mean(&|seed| images(seed) / seed.history.len().max(1) as f64) * 1e-6
        }
        Quantity::StepMs => job.seeds.first()?.config.batch as f64 * 1e-3,
        Quantity::ImageMicroseconds => 1.0,
        _ => return None,
    };
    let outcome = |(repetition, microseconds): (usize, &f64)| Outcome {
        seed: repetition as u64,
        value: microseconds * needed,
        correct: None,
    };
    Some(rates.microseconds.iter().enumerate().map(outcome).collect())
}

/// Training images until the epoch whose weights are kept was over.
fn images_to_the_best(seed: &RunResult) -> f64 {
    let best = seed.history.iter().rposition(|epoch| epoch.best);
    let until = best.map_or(seed.history.len(), |best| best + 1);
    let images = seed.history[..until].iter().map(|epoch| epoch.train.images);
    images.sum::<usize>() as f64
}
