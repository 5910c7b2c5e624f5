//! The parts of all claims of a paper, judged together: one family, one error rate.
//!
//! The evidence for the parts is corrected by Holm's procedure over all parts, and the evidence
//! against them separately. So the chance of any false "reproduced" is at most α, and the chance of any
//! false "contradicted" is too.

use crate::arm::Arm;
use crate::comparison::{Comparison, Setting, compare};
use crate::error::EvalError;
use crate::question::Question;
use crate::sequential::Design;
use crate::statistics::distributions::normal_quantile;
use crate::statistics::holm;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// One statement of a claim, and what was measured about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The statement, or its name.
    pub name: String,
    /// What was measured.
    pub evidence: Evidence,
}

impl Part {
    /// A statement and what was measured about it.
    pub fn new(name: impl Into<String>, evidence: Evidence) -> Self {
        Self {
            name: name.into(),
            evidence,
        }
    }
}

/// What was measured about a statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// One comparison.
    Compared {
        /// The comparison.
        comparison: Box<Comparison>,
        /// The difference that was reported (for ratios, the ratio).
        reported_gap: Option<f64>,
    },
    /// A candidate is greater than each of its rivals.
    BestOf {
        /// The rivals, in the order given.
        rivals: Vec<Rival>,
    },
    /// A fact that no chance touches: a count of parameters, say.
    Settled {
        /// Whether the statement is true.
        holds: bool,
    },
    /// It was measured at a scale that cannot decide.
    TooSmall {
        /// Why not.
        reason: String,
    },
    /// Nothing was measured.
    NotRun {
        /// Why not.
        reason: String,
    },
}

impl Evidence {
    /// One comparison, and the difference that was reported (for ratios, the ratio).
    pub fn compared(comparison: Comparison, reported_gap: Option<f64>) -> Self {
        Self::Compared {
            comparison: Box::new(comparison),
            reported_gap,
        }
    }
}

/// One rival of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// The rival's name.
    pub name: String,
    /// The claim "candidate > rival", uncorrected.
    pub comparison: Comparison,
    /// Reported value of the candidate minus that of the rival.
    pub reported_gap: Option<f64>,
    /// p of the claim after Holm's correction over the rivals; repeated, at a look of several.
    pub p_adjusted: Option<f64>,
    /// p of its opposite after Holm's correction over the rivals; repeated, at a look of several.
    pub p_opposite_adjusted: Option<f64>,
}

/// A part with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The part.
    pub part: Part,
    /// What became of it.
    pub verdict: Verdict,
    /// p of the part after Holm's correction over the family, to be held against α; repeated (see
    /// [`Design::repeated_p`]), at a look of several.
    pub p_adjusted: Option<f64>,
    /// p of its opposite, corrected likewise.
    pub p_opposite_adjusted: Option<f64>,
}

impl Judged {
    /// Whether more seeds could decide: neither answer is ruled out, and looks are left.
    pub fn needs_more(&self, design: &Design) -> bool {
        let look = match &self.part.evidence {
            Evidence::Compared { comparison, .. } => Some(comparison.look),
            Evidence::BestOf { rivals } => rivals.iter().map(|rival| rival.comparison.look).min(),
            _ => None,
        };
        !self.verdict.decided() && look.is_some_and(|look| look < design.looks())
    }
}

/// How a family is judged, in words a report can quote.
pub fn description() -> &'static str {
    "The parts of all claims are one family. Holm's procedure over all parts keeps the chance of any \
     false \"reproduced\" below the stated level, and, applied to the opposites, that of any false \
     \"contradicted\". That one is the best of several needs every comparison (their largest p counts); \
     that it is not needs one (their smallest p counts, after Holm's correction over the rivals)."
}

/// The evidence that `candidate` is greater than each of its rivals, given with the gap reported to
/// each.
///
/// # Errors
/// No rival.
pub fn best_of(
    candidate: &Arm,
    rivals: &[(&Arm, Option<f64>)],
    setting: &Setting,
) -> Result<Evidence, EvalError> {
    if rivals.is_empty() {
        return Err(EvalError::Empty {
            what: "the list of rivals",
        });
    }
    let question = Question::Greater { margin: 0.0 };
    let rival = |&(arm, reported_gap): &(&Arm, Option<f64>)| {
        Ok(Rival {
            name: arm.name().to_owned(),
            comparison: compare(candidate, arm, question, setting)?,
            reported_gap,
            p_adjusted: None,
            p_opposite_adjusted: None,
        })
    };
    let rivals = rivals.iter().map(rival).collect::<Result<_, EvalError>>()?;
    Ok(Evidence::BestOf { rivals })
}

/// Judges the parts of all claims of a paper together, at the error rate of `design`; without looks,
/// that is [`Design::once`].
///
/// # Errors
/// A comparison made at a look that the design does not have.
pub fn judge_family(parts: Vec<Part>, design: &Design) -> Result<Vec<Judged>, EvalError> {
    let mut parts = parts;
    let mut p_values = Vec::with_capacity(parts.len());
    for part in &mut parts {
        p_values.push(p_values_of(&mut part.evidence, design)?);
    }
    let favour = corrected(p_values.iter().map(|p| p.claim))?;
    let against = corrected(p_values.iter().map(|p| p.opposite))?;
    let adjusted = favour.into_iter().zip(against);
    let judged = parts.into_iter().zip(adjusted);
    Ok(judged
        .map(|(part, (p, p_opposite))| Judged {
            verdict: verdict(&part.evidence, p, p_opposite, design),
            part,
            p_adjusted: p,
            p_opposite_adjusted: p_opposite,
        })
        .collect())
}

/// p-values before the correction over the family; `None` where nothing can be claimed, so that
/// no test is made.
struct PValues {
    claim: Option<f64>,
    opposite: Option<f64>,
}

fn p_values_of(evidence: &mut Evidence, design: &Design) -> Result<PValues, EvalError> {
    match evidence {
        Evidence::Compared { comparison, .. } => p_values(comparison, design),
        Evidence::BestOf { rivals } => best_p_values(rivals, design),
        Evidence::Settled { .. } | Evidence::TooSmall { .. } | Evidence::NotRun { .. } => {
            Ok(PValues {
                claim: None,
                opposite: None,
            })
        }
    }
}

fn p_values(comparison: &Comparison, design: &Design) -> Result<PValues, EvalError> {
    let repeated = |p: Option<f64>| {
        let p = p.filter(|_| comparison.blocked.is_none());
        p.map(|p| design.repeated_p(comparison.look, p)).transpose()
    };
    Ok(PValues {
        claim: repeated(comparison.p)?,
        opposite: repeated(comparison.p_opposite)?,
    })
}

fn best_p_values(rivals: &mut [Rival], design: &Design) -> Result<PValues, EvalError> {
    let tested: Vec<PValues> = rivals
        .iter()
        .map(|rival| p_values(&rival.comparison, design))
        .collect::<Result<_, _>>()?;
    let favour = corrected(tested.iter().map(|p| p.claim))?;
    let against = corrected(tested.iter().map(|p| p.opposite))?;
    for (rival, (p, p_opposite)) in rivals.iter_mut().zip(favour.iter().zip(&against)) {
        (rival.p_adjusted, rival.p_opposite_adjusted) = (*p, *p_opposite);
    }
    // All rivals must be beaten, so all must have been tested; one that wins is enough against it.
    let all: Option<Vec<f64>> = tested.iter().map(|p| p.claim).collect();
    Ok(PValues {
        claim: all.and_then(|p| p.into_iter().reduce(f64::max)),
        opposite: against.into_iter().flatten().reduce(f64::min),
    })
}

/// Holm's correction over those there are.
fn corrected(p: impl Iterator<Item = Option<f64>>) -> Result<Vec<Option<f64>>, EvalError> {
    let p: Vec<Option<f64>> = p.collect();
    let mut adjusted = holm(&p.iter().flatten().copied().collect::<Vec<f64>>())?.into_iter();
    Ok(p.into_iter()
        .map(|p| p.and_then(|_| adjusted.next()))
        .collect())
}

fn verdict(
    evidence: &Evidence,
    p: Option<f64>,
    p_opposite: Option<f64>,
    design: &Design,
) -> Verdict {
    let significant = |p: Option<f64>| p.is_some_and(|p| p < design.alpha().rate());
    match evidence {
        Evidence::Settled { holds: true } => Verdict::Reproduced,
        Evidence::Settled { holds: false } => Verdict::Contradicted,
        Evidence::TooSmall { reason } => too_small(reason.clone()),
        Evidence::NotRun { reason } => Verdict::NotRun {
            reason: reason.clone(),
        },
        _ if significant(p) => Verdict::Reproduced,
        _ if significant(p_opposite) => Verdict::Contradicted,
        Evidence::Compared {
            comparison,
            reported_gap,
        } => undecided(comparison, *reported_gap, design),
        Evidence::BestOf { rivals } => undecided_best(rivals, design),
    }
}

fn too_small(reason: String) -> Verdict {
    Verdict::TooSmall { reason }
}

/// The verdict where our data decide nothing.
fn undecided(comparison: &Comparison, reported_gap: Option<f64>, design: &Design) -> Verdict {
    if let Some(reason) = &comparison.blocked {
        return too_small(reason.clone());
    }
    let alpha = design.alpha();
    let shown = normal_quantile(1.0 - alpha.rate());
    let reported = reported_gap
        .filter(|gap| gap.is_finite())
        .zip(comparison.noise);
    if let Some((gap, noise)) = reported {
        let clearance = comparison.question.clearance(gap);
        if clearance < shown * noise.single_run {
            return Verdict::UndecidableAsReported {
                gap,
                noise: noise.single_run,
                seeds: noise.runs_needed(clearance, alpha),
            };
        }
    }
    Verdict::WithinNoise {
        detectable: comparison.detectable,
    }
}

/// The same for the best of several: what the least clear rival leaves open.
fn undecided_best(rivals: &[Rival], design: &Design) -> Verdict {
    let open = rivals.iter().filter(|rival| {
        let p = rival.p_adjusted;
        p.is_none_or(|p| p >= design.alpha().rate())
    });
    let verdicts: Vec<(&Rival, Verdict)> = open
        .map(|rival| {
            (
                rival,
                undecided(&rival.comparison, rival.reported_gap, design),
            )
        })
        .collect();
    let first = |wanted: fn(&Verdict) -> bool| verdicts.iter().find(|(_, v)| wanted(v));
    if let Some((rival, Verdict::TooSmall { reason })) =
        first(|v| matches!(v, Verdict::TooSmall { .. }))
    {
        return too_small(format!("against {}: {reason}", rival.name));
    }
    if let Some((_, verdict)) = first(|v| matches!(v, Verdict::UndecidableAsReported { .. })) {
        return verdict.clone();
    }
    let detectable = rivals
        .iter()
        .filter_map(|rival| rival.comparison.detectable);
    Verdict::WithinNoise {
        detectable: detectable.reduce(f64::max),
    }
}
