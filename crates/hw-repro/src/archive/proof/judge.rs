//! Whether what came out here is what is archived.

use super::draw::Candidate;
use super::rerun::Here;
use crate::archive::report::Replayed;
use crate::claims::Spreads;
use crate::expression::Term;
use crate::results::{Answered, PaperResults, RunResult};
use hw_train::{Computation, Machine};
use serde::Serialize;
use std::collections::HashMap;

/// How many standard deviations another kind of processor may move an accuracy: one draw in 16,000 is
/// farther by chance.
const DEVIATIONS: f64 = 4.0;

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The same weights to the bit.
    SameBits,
    /// Other weights, as another kind of processor or another computation gives, and an accuracy that no
    /// more than that explains.
    WithinRounding,
    /// Neither.
    Different,
}

impl Verdict {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::SameBits => "the same bits",
            Self::WithinRounding => "within rounding",
            Self::Different => "DIFFERENT",
        }
    }
}

/// The numbers of one side.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Numbers {
    pub(crate) validation: Option<f64>,
    pub(crate) test: f64,
    /// SHA-256 over the tensors.
    pub(crate) weights: Option<String>,
    pub(crate) processor: String,
    pub(crate) computation: Computation,
}

/// An archived run beside its rerun.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Proved {
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) archived: Numbers,
    pub(crate) here: Numbers,
    pub(crate) images: usize,
    /// Images that got another answer here.
    pub(crate) other_answers: usize,
    /// Images that only the archived network, and only the one trained here, classified correctly.
    pub(crate) only_archived: usize,
    pub(crate) only_here: usize,
    /// The largest difference in test accuracy that rounding explains; none where no difference is allowed.
    pub(crate) allowed: Option<f64>,
    pub(crate) verdict: Verdict,
    /// Why, in words.
    pub(crate) because: String,
    pub(crate) seconds: f64,
}

/// Holds the run against its rerun.
pub(crate) fn judge(replayed: &Replayed, candidate: &Candidate, here: &Here) -> Proved {
    let job = &replayed.results[candidate.job];
    let archived = &job.seeds[candidate.seed];
    let record = &replayed.archive.records[&candidate.run];
    let own = PaperResults::of(&replayed.results, job.paper, job.point);
    let spread = spread(replayed, &own, candidate).unwrap_or(0.0);
    let differences = Differences::of(&archived.answers, &here.result.answers);
    let images = archived.answers.images.max(1) as f64;
    let apart = (archived.metrics.accuracy - here.result.metrics.accuracy).abs();
    let discordant = (differences.only_first + differences.only_second) as f64;
    let allowed = DEVIATIONS * (2.0 * spread * spread + discordant / (images * images)).sqrt();
    let same_kind = same_kind(&archived.machine, &here.result.machine)
        && archived.computation == here.result.computation;
    let same_weights = record.weights.as_ref() == Some(&here.weights);
    let (verdict, because) = if same_weights && differences.other == 0 {
        (
            Verdict::SameBits,
            "every weight and every answer".to_string(),
        )
    } else if same_kind && record.weights.is_some() {
        let what = "the same kind of processor and the same computation gave other bits";
        (Verdict::Different, what.to_string())
    } else if apart <= allowed {
        let other = if archived.computation == here.result.computation {
            "another kind of processor"
        } else {
            "another computation"
        };
        let other = if same_kind {
            "no hash is archived"
        } else {
            other
        };
        (
            Verdict::WithinRounding,
            format!("{other}; {}", points(apart, allowed)),
        )
    } else {
        (Verdict::Different, points(apart, allowed))
    };
    Proved {
        name: candidate.name.clone(),
        run: candidate.run.clone(),
        archived: numbers(archived, record.weights.clone()),
        here: numbers(&here.result, Some(here.weights.clone())),
        images: archived.answers.images,
        other_answers: differences.other,
        only_archived: differences.only_first,
        only_here: differences.only_second,
        allowed: (!same_kind).then_some(allowed),
        verdict,
        because,
        seconds: here.result.history.iter().map(|epoch| epoch.seconds).sum(),
    }
}

fn points(apart: f64, allowed: f64) -> String {
    let [apart, allowed] = [apart, allowed].map(|share| hw_report::format::fixed(share * 100.0, 2));
    format!("{apart} points apart, rounding explains {allowed}")
}

/// The standard deviation of the test accuracy over seeds, pooled over the comparable runs of the paper.
fn spread(replayed: &Replayed, own: &PaperResults<'_>, candidate: &Candidate) -> Option<f64> {
    use crate::evidence::Evidence;
    let job = &replayed.results[candidate.job];
    let term: Term = format!("{}.accuracy", job.decl.id).parse().ok()?;
    let paper = &replayed.papers[job.paper];
    // A point of a learning curve has one seed; the runs themselves have more.
    let whole = PaperResults::of(&replayed.results, job.paper, None);
    let spreads = Spreads::of(paper, &whole);
    Some(spreads.of_runs(&own.setting(&term))?.variance.sqrt())
}

/// Whether two machines compute the same bits: equal processors and systems that say what they are.
fn same_kind(one: &Machine, other: &Machine) -> bool {
    one.processor == other.processor
        && one.system == other.system
        && one.processor != Machine::UNKNOWN
}

fn numbers(result: &RunResult, weights: Option<String>) -> Numbers {
    let best = result.history.iter().rev().find(|epoch| epoch.best);
    let kept = best.or(result.history.last());
    Numbers {
        validation: kept.and_then(|epoch| Some(epoch.validation?.accuracy)),
        test: result.metrics.accuracy,
        weights,
        processor: result.machine.processor.clone(),
        computation: result.computation.clone(),
    }
}

/// On how many images two networks differ.
#[derive(Debug, PartialEq)]
struct Differences {
    other: usize,
    only_first: usize,
    only_second: usize,
}

impl Differences {
    fn of(first: &Answered, second: &Answered) -> Self {
        let wrong =
            |answered: &Answered| -> HashMap<u32, u16> { answered.wrong.iter().copied().collect() };
        let (one, two) = (wrong(first), wrong(second));
        let only = |one: &HashMap<u32, u16>, two: &HashMap<u32, u16>| {
            one.keys().filter(|image| !two.contains_key(image)).count()
        };
        let both = one
            .iter()
            .filter(|(image, class)| two.get(image).is_some_and(|other| other != *class));
        let (only_second, only_first) = (only(&one, &two), only(&two, &one));
        Self {
            other: both.count() + only_first + only_second,
            only_first,
            only_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Confidences;

    #[test]
    fn answers_differ_where_one_side_is_wrong_or_both_are_in_other_ways() {
        let answered = |wrong: &[(u32, u16)]| Answered {
            images: 10,
            wrong: wrong.to_vec(),
            confidence: Confidences::default(),
        };
        let one = answered(&[(1, 5), (3, 2), (4, 4)]);
        let two = answered(&[(1, 5), (3, 9), (7, 1), (8, 1)]);
        let expected = Differences {
            other: 4,
            only_first: 2,
            only_second: 1,
        };
        assert_eq!(Differences::of(&one, &two), expected);
        assert_eq!(Differences::of(&one, &one).other, 0);
    }

    #[test]
    fn processors_without_a_name_are_not_of_one_kind() {
        let machine = |processor: &str, threads| Machine {
            processor: processor.into(),
            threads,
            system: "linux x86_64".into(),
        };
        assert!(same_kind(&machine("A", 1), &machine("A", 8)));
        assert!(!same_kind(&machine("A", 1), &machine("B", 1)));
        let unknown = machine(Machine::UNKNOWN, 1);
        assert!(!same_kind(&unknown, &unknown));
    }
}
