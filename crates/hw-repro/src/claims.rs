//! Claims judged: each part by a test that fits how it was run, all parts of a paper as one family.

use super::cells::number;
use super::evidence::Evidence;
use super::expression::{Check, Quantity, Relation, Side, Term, Unit};
use super::paper::{Claim, Paper, Part};
use super::results::{JobResult, PaperResults, declared};
use hw_eval::sequential::{Design, Spending};
use hw_eval::statistics::{Pooled, Variance};
use hw_eval::{
    Alpha, Arm, ClaimVerdict, Comparison, EvalError, Judged, Question, Rival, Setting, Verdict,
    best_of, compare, compare_with_reported, difference_variance, judge_family, overall,
};
use hw_report::{BadgeKind, format};
use std::collections::{BTreeMap, BTreeSet};

/// A claim with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct JudgedClaim {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) remark: Option<String>,
    pub(crate) untestable: Option<String>,
    pub(crate) verdict: Overall,
    pub(crate) parts: Vec<JudgedPart>,
}

/// A part of a claim with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct JudgedPart {
    pub(crate) text: String,
    pub(crate) check: String,
    pub(crate) verdict: Verdict,
    pub(crate) judged: Judged,
    pub(crate) unit: Unit,
    /// Whether it asks for more than a ratio, judged on logarithms.
    logarithms: bool,
    /// What the paper reports, in the part's own unit (shares as shares), and its decimals.
    reported: Option<(f64, usize)>,
    /// The gap or ratio itself, where no chance touches it.
    settled: Option<f64>,
    /// Whether it compares times of training: those of this processor, which is not the paper's.
    pub(crate) timed: bool,
    /// Whether more seeds may decide it.
    pub(crate) open: bool,
    /// The runs behind it.
    pub(crate) runs: Vec<String>,
    /// Training images of the largest of them.
    pub(crate) images: Option<usize>,
    /// The same part at smaller numbers of training images.
    pub(crate) smaller: Vec<AtSize>,
}

/// A part of a claim at a smaller number of training images.
#[derive(Clone, Debug)]
pub(crate) struct AtSize {
    pub(crate) images: usize,
    pub(crate) verdict: Verdict,
    /// The gap with its interval, as [`JudgedPart::shown`] has it.
    pub(crate) shown: Option<(f64, f64, f64)>,
}

/// The verdict on a whole claim.
#[derive(Clone, Debug)]
pub(crate) struct Overall {
    pub(crate) claim: ClaimVerdict,
    /// What became of the parts that compare times, where there are others too: those decide, since
    /// the paper's times are of another machine.
    pub(crate) times: Option<ClaimVerdict>,
}

impl Overall {
    pub(crate) fn badge(&self) -> BadgeKind {
        badge(&self.claim.verdict)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.claim.verdict.name()
    }

    /// How many parts say so, where that is not all; else what the verdict needs said.
    pub(crate) fn detail(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.claim.parts() > 1 {
            words.push(self.claim.summary());
        } else {
            words.extend(detail(&self.claim.verdict));
        }
        if let Some(times) = &self.times {
            words.push(format!("times on this processor: {}", times.summary()));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// The sign and color of a verdict.
pub(crate) fn badge(verdict: &Verdict) -> BadgeKind {
    match verdict {
        Verdict::Reproduced => BadgeKind::Good,
        Verdict::Contradicted => BadgeKind::Bad,
        Verdict::WithinNoise { .. } => BadgeKind::Neutral,
        Verdict::UndecidableAsReported { .. } => BadgeKind::Undecidable,
        Verdict::TooSmall { .. } => BadgeKind::TooSmall,
        Verdict::NotRun { .. } => BadgeKind::Muted,
    }
}

/// The sign and color of a verdict that is known by its name only.
pub(crate) fn badge_named(name: &str) -> BadgeKind {
    let kinds = BadgeKind::ALL.into_iter();
    let mut named = kinds.filter(|kind| kind.label() == name);
    named.next().unwrap_or(BadgeKind::Muted)
}

/// What a verdict needs said beside its name, in general; see [`JudgedPart::detail`] for units.
fn detail(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::TooSmall { reason } | Verdict::NotRun { reason } => Some(reason.clone()),
        Verdict::UndecidableAsReported { seeds, .. } => Some(match seeds {
            Some(seeds) => format!("it would take {seeds} seeds"),
            None => "no number of seeds would show it on this test set".into(),
        }),
        _ => None,
    }
}

impl JudgedPart {
    /// Whether a value of the part is shown in hundredths.
    fn shown_value(&self, value: f64) -> f64 {
        let value = if self.logarithms { value.exp() } else { value };
        self.unit.of(value)
    }

    /// The comparison that decides: the only one, or against the rival that is hardest to beat.
    pub(crate) fn comparison(&self) -> Option<&Comparison> {
        match &self.judged.part.evidence {
            hw_eval::Evidence::Compared { comparison, .. } => Some(comparison),
            hw_eval::Evidence::BestOf { rivals } => {
                let hardest = |a: &&Rival, b: &&Rival| {
                    a.comparison.difference.total_cmp(&b.comparison.difference)
                };
                rivals.iter().min_by(hardest).map(|rival| &rival.comparison)
            }
            _ => None,
        }
    }

    /// The measured gap with its interval, in the unit's numbers; infinite where there is none.
    pub(crate) fn shown(&self) -> Option<(f64, f64, f64)> {
        if let Some(value) = self.settled {
            let value = self.unit.of(value);
            return Some((value, value, value));
        }
        let comparison = self.comparison()?;
        let value = self.shown_value(comparison.difference);
        let interval = comparison.interval;
        let low = interval.map_or(f64::NEG_INFINITY, |i| self.shown_value(i.low));
        let high = interval.map_or(f64::INFINITY, |i| self.shown_value(i.high));
        Some((value, low, high))
    }

    /// The gap that the paper reports, in the unit's numbers, and its decimals.
    pub(crate) fn reported_gap(&self) -> Option<(f64, usize)> {
        let (value, decimals) = self.reported?;
        let decimals = if self.unit == Unit::Points {
            decimals.saturating_sub(2)
        } else {
            decimals
        };
        Some((self.unit.of(value), decimals))
    }

    /// The margin of an equivalence, as a band.
    pub(crate) fn margin(&self) -> Option<(f64, f64)> {
        let comparison = self.comparison()?;
        match comparison.question {
            Question::About { expected, margin } => Some((
                self.unit.of(expected - margin),
                self.unit.of(expected + margin),
            )),
            Question::Ratio { ratio, factor } => Some((ratio / factor, ratio * factor)),
            Question::NotGreater { margin } if margin > 0.0 => {
                Some((-self.unit.of(margin), self.unit.of(margin)))
            }
            _ => None,
        }
    }

    /// The gaps by number of training images, smallest first.
    pub(crate) fn trend(&self) -> Vec<(usize, (f64, f64, f64))> {
        let smaller = self.smaller.iter();
        let mut points: Vec<_> = smaller
            .filter_map(|at| Some((at.images, at.shown?)))
            .collect();
        points.extend(self.images.zip(self.shown()));
        points.sort_by_key(|(images, _)| *images);
        points
    }

    /// What there is to say of the part: its verdict's numbers, then each comparison.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.timed {
            lines.push("times of this processor; the paper's are of another machine".to_string());
        }
        lines.extend(self.detail());
        match &self.judged.part.evidence {
            hw_eval::Evidence::Compared { comparison, .. } => {
                lines.push(self.comparison_text(comparison, None, self.adjusted()));
            }
            hw_eval::Evidence::BestOf { rivals } => {
                for rival in rivals {
                    let adjusted = (rival.p_adjusted, rival.p_opposite_adjusted);
                    lines.push(self.comparison_text(
                        &rival.comparison,
                        Some(&rival.name),
                        adjusted,
                    ));
                }
            }
            _ => {}
        }
        let mut tests: Vec<String> = Vec::new();
        for test in self.comparisons().filter_map(|comparison| comparison.test) {
            let text = test.description();
            if !tests.contains(&text) {
                tests.push(text);
            }
        }
        lines.extend(tests);
        for at in &self.smaller {
            let gap = at.shown.map_or_else(
                || "no value".into(),
                |(value, low, high)| {
                    format!(
                        "{} [{}, {}]",
                        self.text(value),
                        self.text(low),
                        self.text(high)
                    )
                },
            );
            let images = format::count(at.images as u64);
            lines.push(format!(
                "at {images} training images: {gap}, {}",
                at.verdict.name()
            ));
        }
        lines
    }

    fn adjusted(&self) -> (Option<f64>, Option<f64>) {
        (self.judged.p_adjusted, self.judged.p_opposite_adjusted)
    }

    fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        let (one, rivals): (Option<&Comparison>, &[Rival]) = match &self.judged.part.evidence {
            hw_eval::Evidence::Compared { comparison, .. } => (Some(comparison), &[]),
            hw_eval::Evidence::BestOf { rivals } => (None, rivals),
            _ => (None, &[]),
        };
        one.into_iter()
            .chain(rivals.iter().map(|rival| &rival.comparison))
    }

    /// What the verdict needs said beside its name.
    fn detail(&self) -> Option<String> {
        match &self.verdict {
            Verdict::WithinNoise {
                detectable: Some(detectable),
            } => {
                let detectable = match self.unit {
                    Unit::Ratio => {
                        format!("a factor of {}", format::significant(detectable.exp(), 3))
                    }
                    _ => super::forest::number(self.unit.of(*detectable), self.unit),
                };
                Some(format!(
                    "this design would have found {detectable} with probability .8"
                ))
            }
            Verdict::UndecidableAsReported { gap, noise, seeds } => {
                let gap = self.text(self.unit.of(*gap));
                let noise = match self.unit {
                    Unit::Ratio => format!("a factor of {}", format::significant(noise.exp(), 3)),
                    unit => super::forest::number(unit.of(*noise), unit),
                };
                let seeds = match seeds {
                    Some(seeds) => format!("{seeds} seeds a side would show it"),
                    None => "no number of seeds would show it on this test set".into(),
                };
                Some(format!(
                    "the reported gap of {gap} is below what single runs can show (two of them differ by \
                     {noise}, one standard deviation); {seeds}"
                ))
            }
            verdict => detail(verdict),
        }
    }

    fn text(&self, value: f64) -> String {
        super::forest::number(value, self.unit)
    }

    fn comparison_text(
        &self,
        comparison: &Comparison,
        rival: Option<&str>,
        (p, opposite): (Option<f64>, Option<f64>),
    ) -> String {
        let value = self.text(self.shown_value(comparison.difference));
        let mut text = match rival {
            Some(rival) => format!("against {rival}: {value}"),
            None => value,
        };
        if let Some(interval) = comparison.interval {
            let [low, high] = [interval.low, interval.high].map(|end| self.shown_value(end));
            let level = format::percent(comparison.level, 1);
            text.push_str(&format!(
                " [{}, {}] at {level}",
                self.text(low),
                self.text(high)
            ));
        }
        text.push_str(&format!(", {} seed", comparison.seeds));
        if comparison.seeds != 1 {
            text.push('s');
        }
        // The direction that the numbers point to, and only that one.
        let toward = p <= opposite;
        let shown = if toward { p } else { opposite };
        if let Some(p) = shown {
            let direction = if toward { "for" } else { "against" };
            let p = format::significant(p, 2);
            text.push_str(&format!(", p = {p} {direction} the claim (corrected)"));
        }
        if let Some(reason) = &comparison.blocked {
            text.push_str(&format!("; {reason}"));
        }
        text
    }
}

impl JudgedClaim {
    /// The size at which it was decided, or run.
    pub(crate) fn decided_at(&self) -> String {
        let Some(images) = self.parts.iter().filter_map(|part| part.images).max() else {
            return "–".into();
        };
        let images = format::count(images as u64);
        let accuracies = self.parts.iter().filter(|part| part.unit != Unit::Ratio);
        let seeds = accuracies.flat_map(|part| part.comparisons());
        match seeds.map(|comparison| comparison.seeds).max() {
            Some(1) => format!("{images} images, 1 seed"),
            Some(seeds) => format!("{images} images, {seeds} seeds"),
            None => format!("{images} images"),
        }
    }
}

/// Spreads over seeds, pooled over the comparable runs of a paper: by setting (data, test and quantity).
#[derive(Debug, Default)]
pub(crate) struct Spreads {
    differences: BTreeMap<String, Pooled>,
    runs: BTreeMap<String, Pooled>,
}

impl Spreads {
    /// Pools what a paper's claims compare.
    pub(crate) fn of(paper: &Paper, evidence: &dyn Evidence) -> Self {
        let mut differences: BTreeMap<String, Vec<Variance>> = BTreeMap::new();
        let mut runs: BTreeMap<String, Vec<Variance>> = BTreeMap::new();
        let mut seen: Vec<&Term> = Vec::new();
        let terms = paper.terms();
        let terms = terms.iter().map(|(_, term)| *term);
        for term in terms.filter(|term| pooled(term)) {
            if seen.contains(&term) {
                continue;
            }
            seen.push(term);
            if let Some(variance) = evidence.arm(term).ok().and_then(|arm| arm.variance()) {
                runs.entry(evidence.setting(term))
                    .or_default()
                    .push(variance);
            }
        }
        for check in checks(paper) {
            for (a, b) in pairs(check).filter(|(a, b)| pooled(a) && pooled(b)) {
                let setting = evidence.setting(a);
                let arms = evidence.arm(a).ok().zip(evidence.arm(b).ok());
                let variance = arms.and_then(|(a, b)| difference_variance(&a, &b));
                if let Some(variance) = variance.filter(|_| setting == evidence.setting(b)) {
                    differences.entry(setting).or_default().push(variance);
                }
            }
        }
        Self {
            differences: fitted(differences),
            runs: fitted(runs),
        }
    }

    /// How comparisons of this setting are weighed in a single look.
    pub(crate) fn setting(&self, comparable: &str) -> Setting {
        Setting {
            differences: self.differences.get(comparable).copied(),
            runs: self.runs.get(comparable).copied(),
            ..Setting::once(Alpha::default())
        }
    }

    /// The pooled spread of single runs in the setting of a term.
    pub(crate) fn of_runs(&self, setting: &str) -> Option<Pooled> {
        self.runs.get(setting).copied()
    }
}

fn fitted(groups: BTreeMap<String, Vec<Variance>>) -> BTreeMap<String, Pooled> {
    let fit = |(setting, variances): (String, Vec<Variance>)| {
        Some((setting, Pooled::fit(&variances).ok()?))
    };
    groups.into_iter().filter_map(fit).collect()
}

/// Whether spreads of the quantity are alike over recipes: accuracies' are, those of times are not seeds'.
fn pooled(term: &Term) -> bool {
    term.quantity.is_share() && !term.quantity.is_structural()
}

fn checks(paper: &Paper) -> impl Iterator<Item = &Check> {
    let claims = paper.claims.iter().flat_map(|claim| &claim.parts);
    let flaws = paper.flaws.iter().flat_map(|flaw| &flaw.effects);
    claims.chain(flaws).map(|part| &part.check)
}

/// The pairs of terms that a check compares.
fn pairs(check: &Check) -> Box<dyn Iterator<Item = (&Term, &Term)> + '_> {
    match &check.relation {
        Relation::Greater {
            greater: Side::Term(a),
            less,
            ..
        } => Box::new(less.terms().iter().map(move |b| (a, b))),
        Relation::Greater { .. } => Box::new(std::iter::empty()),
        Relation::About { a, b, .. }
        | Relation::NotGreater { a, b, .. }
        | Relation::Ratio { a, b, .. }
        | Relation::RatioGreater { a, b, .. } => Box::new(std::iter::once((a, b))),
    }
}

/// How many seeds each look adds, for a paper whose runs may have so many.
fn design(looks: usize) -> Design {
    let fractions: Vec<f64> = (1..=looks).map(|look| look as f64 / looks as f64).collect();
    Design::new(&fractions, Alpha::default(), Spending::OBrienFleming)
        .unwrap_or_else(|_| Design::once(Alpha::default()))
}

/// All claims of a paper, judged as one family; `looks` is how many seeds its runs may have, one more at
/// each look.
pub(crate) fn judge(
    paper: &Paper,
    evidence: &dyn Evidence,
    spreads: &Spreads,
    looks: usize,
) -> Vec<JudgedClaim> {
    let judge = Judge {
        paper,
        evidence,
        spreads,
        design: design(looks),
    };
    let parts: Vec<&Part> = paper.claims.iter().flat_map(|claim| &claim.parts).collect();
    let mut judged = judge.parts(&parts).into_iter();
    let claim = |claim: &Claim| {
        let parts: Vec<JudgedPart> = judged.by_ref().take(claim.parts.len()).collect();
        let mut verdict = whole(&parts);
        if let Some(reason) = &claim.untestable {
            verdict.claim.verdict = Verdict::NotRun {
                reason: reason.clone(),
            };
        }
        JudgedClaim {
            id: claim.id.clone(),
            text: claim.text.clone(),
            remark: claim.remark.clone(),
            untestable: claim.untestable.clone(),
            verdict,
            parts,
        }
    };
    paper.claims.iter().map(claim).collect()
}

/// The verdict on a claim from its parts: times decide only where there is nothing else.
fn whole(parts: &[JudgedPart]) -> Overall {
    let of = |timed: bool| -> Vec<Judged> {
        let those = parts.iter().filter(|part| part.timed == timed);
        those.map(|part| part.judged.clone()).collect()
    };
    let (times, others) = (of(true), of(false));
    if others.is_empty() {
        return Overall {
            claim: overall(&times),
            times: None,
        };
    }
    Overall {
        claim: overall(&others),
        times: (!times.is_empty()).then(|| overall(&times)),
    }
}

/// The sizes below the runs' own at which a paper's claims were run too.
pub(crate) fn points(results: &[JobResult], paper: usize) -> Vec<usize> {
    let own = results.iter().filter(|job| job.paper == paper);
    let mut points: Vec<usize> = own.filter_map(|job| job.point).collect();
    points.sort_unstable();
    points.dedup();
    points
}

/// Adds to each part what it came to with fewer training images.
pub(crate) fn add_trend(claims: &mut [JudgedClaim], smaller: Vec<JudgedClaim>, images: usize) {
    for (claim, smaller) in claims.iter_mut().zip(smaller) {
        for (part, at) in claim.parts.iter_mut().zip(smaller.parts) {
            if at.comparison().is_some() {
                part.smaller.push(AtSize {
                    images,
                    shown: at.shown(),
                    verdict: at.verdict,
                });
            }
        }
    }
}

/// A flaw of the original evaluation, and whether its effect was measured.
#[derive(Clone, Debug)]
pub(crate) struct JudgedFlaw {
    pub(crate) title: String,
    pub(crate) standing: Standing,
    pub(crate) effects: Vec<JudgedPart>,
}

/// What is known of a flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its effect was measured and is there.
    Demonstrated,
    /// Its effect was measured and does not stand out.
    NoEffect,
    /// It was measured at a scale that cannot decide.
    TooSmall,
    /// Nothing was measured about it.
    Named,
}

/// The flaws of a paper with their measured effects, one family of their own.
pub(crate) fn judge_flaws(
    paper: &Paper,
    evidence: &dyn Evidence,
    spreads: &Spreads,
) -> Vec<JudgedFlaw> {
    let judge = Judge {
        paper,
        evidence,
        spreads,
        design: Design::once(Alpha::default()),
    };
    let parts: Vec<&Part> = paper.flaws.iter().flat_map(|flaw| &flaw.effects).collect();
    let mut judged = judge.parts(&parts).into_iter();
    let flaws = paper.flaws.iter();
    flaws
        .map(|flaw| {
            let effects: Vec<JudgedPart> = judged.by_ref().take(flaw.effects.len()).collect();
            let any = |verdict: fn(&Verdict) -> bool| effects.iter().any(|e| verdict(&e.verdict));
            let standing = if effects.is_empty() {
                Standing::Named
            } else if any(|v| *v == Verdict::Reproduced) {
                Standing::Demonstrated
            } else if any(|v| matches!(v, Verdict::TooSmall { .. } | Verdict::NotRun { .. })) {
                Standing::TooSmall
            } else {
                Standing::NoEffect
            };
            JudgedFlaw {
                title: flaw.title.clone(),
                standing,
                effects,
            }
        })
        .collect()
}

/// Everything that the parts of one family are judged by.
struct Judge<'a> {
    paper: &'a Paper,
    evidence: &'a dyn Evidence,
    spreads: &'a Spreads,
    design: Design,
}

impl Judge<'_> {
    fn parts(&self, parts: &[&Part]) -> Vec<JudgedPart> {
        let family = parts.iter().map(|part| {
            let evidence = self.evidence_for(part).unwrap_or_else(|reason| reason);
            hw_eval::Part::new(part.text.as_str(), evidence)
        });
        let judged = judge_family(family.collect(), &self.design);
        let judged = judged.expect("every comparison is made at a look of this design");
        let both = parts.iter().zip(judged);
        both.map(|(part, judged)| self.judged(part, judged))
            .collect()
    }

    fn judged(&self, part: &Part, judged: Judged) -> JudgedPart {
        let mut runs: Vec<String> = Vec::new();
        for term in part.check.terms() {
            if !runs.contains(&term.run) {
                runs.push(term.run.clone());
            }
        }
        let images = runs.iter().filter_map(|run| self.evidence.images(run));
        JudgedPart {
            text: part.text.clone(),
            check: part.check.text.clone(),
            unit: unit(&part.check),
            logarithms: matches!(part.check.relation, Relation::RatioGreater { .. }),
            reported: self.reported(part),
            settled: matches!(judged.part.evidence, hw_eval::Evidence::Settled { .. })
                .then(|| self.settled_gap(&part.check))
                .flatten(),
            timed: part
                .check
                .terms()
                .any(|term| term.quantity.is_training_time()),
            open: judged.needs_more(&self.design),
            verdict: judged.verdict.clone(),
            images: images.max(),
            judged,
            runs,
            smaller: Vec::new(),
        }
    }

    /// Why times cannot be compared, if they were taken on several kinds of processors.
    fn mixed_processors(&self, part: &Part) -> Option<String> {
        let terms = part.check.terms();
        let all: BTreeSet<String> = terms
            .flat_map(|term| self.evidence.processors(term))
            .collect();
        (all.len() > 1).then(|| {
            let all: Vec<String> = all.into_iter().collect();
            format!(
                "its times were taken on several processors: {}",
                all.join("; ")
            )
        })
    }

    /// What was measured about a part; `Err` holds why nothing can be said.
    fn evidence_for(&self, part: &Part) -> Result<hw_eval::Evidence, hw_eval::Evidence> {
        if let Some(holds) = self.settled(&part.check) {
            return Ok(hw_eval::Evidence::Settled { holds });
        }
        let small = part
            .check
            .terms()
            .find_map(|term| self.evidence.too_small(term));
        if let Some(reason) = small.or_else(|| self.mixed_processors(part)) {
            return Err(hw_eval::Evidence::TooSmall { reason });
        }
        let refused = |error: EvalError| hw_eval::Evidence::NotRun {
            reason: error.to_string(),
        };
        let gap = self.gap(part);
        let compared = |comparison| hw_eval::Evidence::Compared {
            comparison: Box::new(comparison),
            reported_gap: gap,
        };
        match &part.check.relation {
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Max(others),
                ..
            } => self.best(a, others),
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Number(number),
                ..
            } => self.against_number(a, *number, Question::Greater { margin: 0.0 }),
            Relation::Greater {
                greater: Side::Number(number),
                less: Side::Term(b),
                ..
            } => self.against_number(b, *number, Question::NotGreater { margin: 0.0 }),
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Term(b),
                margin,
            } => self
                .pair(a, b, Question::Greater { margin: *margin })
                .map(compared),
            Relation::NotGreater { a, b, margin } => self
                .pair(a, b, Question::NotGreater { margin: *margin })
                .map(compared),
            Relation::About {
                a,
                b,
                offset,
                margin,
            } => {
                let question = Question::About {
                    expected: *offset,
                    margin: *margin,
                };
                self.pair(a, b, question).map(compared)
            }
            Relation::Ratio {
                a,
                b,
                ratio,
                factor,
            } => {
                let question = Question::Ratio {
                    ratio: *ratio,
                    factor: *factor,
                };
                self.pair(a, b, question).map(compared)
            }
            Relation::RatioGreater { a, b, ratio } => {
                let (a, b) = (self.arm(a)?, self.arm(b)?);
                let (a, b) = (
                    a.logarithms().map_err(refused)?,
                    b.logarithms().map_err(refused)?,
                );
                let question = Question::Greater { margin: ratio.ln() };
                let setting = self.setting_at(&[&a, &b], None);
                let comparison = compare(&a, &b, question, &setting).map_err(refused)?;
                Ok(hw_eval::Evidence::Compared {
                    comparison: Box::new(comparison),
                    reported_gap: gap.map(f64::ln),
                })
            }
            Relation::Greater { .. } => Err(hw_eval::Evidence::NotRun {
                reason: "no test is defined for this check".into(),
            }),
        }
    }

    /// A statement about networks or sets of images alone, which no chance touches.
    fn settled(&self, check: &Check) -> Option<bool> {
        let counted = |term: &Term| {
            let shared =
                term.quantity == Quantity::Shared && self.evidence.too_small(term).is_none();
            shared || term.quantity.is_structural()
        };
        if !check.terms().all(counted) {
            return None;
        }
        let value = |term: &Term| self.evidence.arm(term).ok().map(|arm| arm.mean());
        let side = |side: &Side| match side {
            Side::Term(term) => value(term),
            Side::Number(number) => Some(*number),
            Side::Max(terms) => terms
                .iter()
                .map(value)
                .collect::<Option<Vec<f64>>>()?
                .into_iter()
                .reduce(f64::max),
        };
        Some(match &check.relation {
            Relation::Greater {
                greater,
                less,
                margin,
            } => side(greater)? > side(less)? + margin,
            Relation::NotGreater { a, b, margin } => value(a)? - value(b)? < *margin,
            Relation::About {
                a,
                b,
                offset,
                margin,
            } => (value(a)? - value(b)? - offset).abs() <= *margin,
            Relation::Ratio {
                a,
                b,
                ratio,
                factor,
            } => (value(a)? / value(b)? / ratio).ln().abs() <= factor.ln(),
            Relation::RatioGreater { a, b, ratio } => value(a)? / value(b)? > *ratio,
        })
    }

    /// The difference or ratio of a statement that no chance touches.
    fn settled_gap(&self, check: &Check) -> Option<f64> {
        let value = |term: &Term| self.evidence.arm(term).ok().map(|arm| arm.mean());
        Some(match &check.relation {
            Relation::Ratio { a, b, .. } | Relation::RatioGreater { a, b, .. } => {
                value(a)? / value(b)?
            }
            Relation::About { a, b, .. } | Relation::NotGreater { a, b, .. } => {
                value(a)? - value(b)?
            }
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Term(b),
                ..
            } => value(a)? - value(b)?,
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Number(number),
                ..
            } => value(a)? - number,
            Relation::Greater { .. } => return None,
        })
    }

    fn arm(&self, term: &Term) -> Result<Arm, hw_eval::Evidence> {
        let arm = self.evidence.arm(term);
        arm.map_err(|reason| hw_eval::Evidence::NotRun {
            reason: format!("{}: {reason}", term.run),
        })
    }

    fn pair(
        &self,
        a: &Term,
        b: &Term,
        question: Question,
    ) -> Result<Comparison, hw_eval::Evidence> {
        let comparable = self.evidence.setting(a) == self.evidence.setting(b);
        let setting = comparable.then(|| self.evidence.setting(a));
        let timed = a.quantity.is_training_time();
        let (a, b) = (self.arm(a)?, self.arm(b)?);
        let setting = match timed {
            true => self.setting_last(),
            false => self.setting_at(&[&a, &b], setting.as_deref()),
        };
        compare(&a, &b, question, &setting).map_err(|error| hw_eval::Evidence::NotRun {
            reason: error.to_string(),
        })
    }

    fn best(&self, a: &Term, others: &[Term]) -> Result<hw_eval::Evidence, hw_eval::Evidence> {
        let setting = self.evidence.setting(a);
        let comparable = others.iter().all(|b| self.evidence.setting(b) == setting);
        let candidate = self.arm(a)?;
        let rivals = others
            .iter()
            .map(|term| Ok((self.arm(term)?, self.gap_of(a, term))));
        let rivals: Vec<(Arm, Option<f64>)> = rivals.collect::<Result<_, hw_eval::Evidence>>()?;
        let mut arms: Vec<&Arm> = rivals.iter().map(|(arm, _)| arm).collect();
        arms.push(&candidate);
        let setting = self.setting_at(&arms, comparable.then_some(setting.as_str()));
        let rivals: Vec<(&Arm, Option<f64>)> =
            rivals.iter().map(|(arm, gap)| (arm, *gap)).collect();
        best_of(&candidate, &rivals, &setting).map_err(|error| hw_eval::Evidence::NotRun {
            reason: error.to_string(),
        })
    }

    fn against_number(
        &self,
        term: &Term,
        number: f64,
        question: Question,
    ) -> Result<hw_eval::Evidence, hw_eval::Evidence> {
        if let Some(reason) = self.evidence.apart_from_the_report(term) {
            return Err(hw_eval::Evidence::TooSmall { reason });
        }
        let arm = self.arm(term)?;
        let setting = self.setting_at(&[&arm], Some(&self.evidence.setting(term)));
        let comparison = compare_with_reported(&arm, number, question, &setting);
        let comparison = comparison.map_err(|error| hw_eval::Evidence::NotRun {
            reason: error.to_string(),
        })?;
        Ok(hw_eval::Evidence::Compared {
            comparison: Box::new(comparison),
            reported_gap: None,
        })
    }

    /// The setting of a comparison: its look is the number of seeds that all its arms have.
    fn setting_at(&self, arms: &[&Arm], comparable: Option<&str>) -> Setting {
        let seeds = arms
            .iter()
            .map(|arm| arm.outcomes().len())
            .min()
            .unwrap_or(1);
        let mut setting = self.at(seeds);
        if let Some(comparable) = comparable {
            setting.differences = self.spreads.differences.get(comparable).copied();
            setting.runs = self.spreads.runs.get(comparable).copied();
        }
        setting
    }

    /// The setting of what is measured once, whatever the seeds.
    fn setting_last(&self) -> Setting {
        self.at(self.design.looks())
    }

    fn at(&self, seeds: usize) -> Setting {
        let look = seeds.clamp(1, self.design.looks());
        Setting::at(&self.design, look).expect("the look is one of the design's")
    }

    /// The gap that the paper reports for a part, on the scale of its test.
    fn gap(&self, part: &Part) -> Option<f64> {
        self.reported(part).map(|(gap, _)| gap)
    }

    /// The gap that the paper reports, and with how many decimals: stated, or from its tables.
    fn reported(&self, part: &Part) -> Option<(f64, usize)> {
        if let Some(text) = &part.reported {
            return stated(text, unit(&part.check));
        }
        match &part.check.relation {
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Term(b),
                ..
            }
            | Relation::About { a, b, .. }
            | Relation::NotGreater { a, b, .. } => self.gap_in_tables(a, b),
            // Of the best of several: to the one that comes next.
            Relation::Greater {
                greater: Side::Term(a),
                less: Side::Max(others),
                ..
            } => {
                let gaps = others.iter().filter_map(|b| self.gap_in_tables(a, b));
                gaps.min_by(|a, b| a.0.total_cmp(&b.0))
            }
            Relation::Ratio { a, b, .. } | Relation::RatioGreater { a, b, .. } => {
                let [(a, _), (b, _)] = self.in_tables(a, b)?;
                Some((a / b, 2))
            }
            Relation::Greater { .. } => None,
        }
    }

    fn gap_of(&self, a: &Term, b: &Term) -> Option<f64> {
        self.gap_in_tables(a, b).map(|(gap, _)| gap)
    }

    fn gap_in_tables(&self, a: &Term, b: &Term) -> Option<(f64, usize)> {
        let [(a, decimals), (b, others)] = self.in_tables(a, b)?;
        Some((a - b, decimals.max(others)))
    }

    /// The values that the paper reports for two terms, each with its decimals.
    fn in_tables(&self, a: &Term, b: &Term) -> Option<[(f64, usize); 2]> {
        let texts = self.paper.reported_for(&[a, b])?;
        let value = |text: &str, term: &Term| {
            let (value, half) = number(text, term.quantity.is_share())?;
            Some((value, (-(2.0 * half).log10()).round().max(0.0) as usize))
        };
        Some([value(texts[0], a)?, value(texts[1], b)?])
    }
}

/// A gap as a paper file states it: "+0.47%", "-88.14%", "9.43".
fn stated(text: &str, unit: Unit) -> Option<(f64, usize)> {
    let (digits, percent) = match text.trim().strip_suffix('%') {
        Some(digits) => (digits.trim(), true),
        None => (text.trim(), false),
    };
    let value: f64 = digits.trim_start_matches('+').parse().ok()?;
    let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
    match (percent, unit) {
        (true, _) => Some((value / 100.0, decimals + 2)),
        // Points that are written without a sign for them.
        (false, Unit::Points) => Some((value / 100.0, decimals + 2)),
        (false, _) => Some((value, decimals)),
    }
}

/// What a check's difference is counted in.
fn unit(check: &Check) -> Unit {
    match &check.relation {
        Relation::Ratio { .. } | Relation::RatioGreater { .. } => Unit::Ratio,
        _ => check
            .terms()
            .next()
            .map_or(Unit::Count, |term| term.quantity.unit()),
    }
}

/// Whether a term's value follows from the declaration alone, for evidence.
pub(crate) fn structural_arm(results: &PaperResults<'_>, term: &Term) -> Option<Arm> {
    let job = results.job(&term.run)?;
    let value = declared(job, term)?;
    Arm::of_values(job.decl.label(), [(0, value)]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_eval::Outcome;
    use std::collections::HashMap;

    /// Values by term, as a report would have measured them.
    #[derive(Default)]
    struct Known {
        values: HashMap<String, Vec<f64>>,
        small: HashMap<String, String>,
        apart: Option<String>,
        processors: HashMap<String, String>,
    }

    impl Known {
        fn with(mut self, term: &str, values: &[f64]) -> Self {
            self.values.insert(term.into(), values.to_vec());
            self
        }
    }

    impl Evidence for Known {
        fn arm(&self, term: &Term) -> Result<Arm, String> {
            let values = self.values.get(&term.to_string()).ok_or("not run")?;
            let outcomes = values.iter().zip(1..);
            let outcomes = outcomes.map(|(value, seed)| Outcome::new(seed, *value));
            Arm::new(term.run.clone(), outcomes.collect()).map_err(|error| error.to_string())
        }
        fn too_small(&self, term: &Term) -> Option<String> {
            self.small.get(&term.run).cloned()
        }
        fn apart_from_the_report(&self, _: &Term) -> Option<String> {
            self.apart.clone()
        }
        fn processors(&self, term: &Term) -> Vec<String> {
            self.processors
                .get(&term.run)
                .cloned()
                .into_iter()
                .collect()
        }
        fn setting(&self, term: &Term) -> String {
            term.quantity.to_string()
        }
        fn images(&self, _: &str) -> Option<usize> {
            Some(1000)
        }
    }

    /// The template with these parts as its one claim.
    fn paper(parts: &[(&str, Option<&str>)]) -> Paper {
        let (head, _) = super::super::paper::template()
            .split_once("[[claim]]")
            .unwrap();
        let mut text = format!("{head}[[claim]]\nid = \"1\"\ntext = \"c\"\n");
        for (check, reported) in parts {
            text += &format!("[[claim.part]]\ntext = \"p\"\ncheck = \"{check}\"\n");
            text += &reported.map_or(String::new(), |r| format!("reported = \"{r}\"\n"));
        }
        Paper::parse(&text).unwrap()
    }

    fn judged(parts: &[(&str, Option<&str>)], known: &Known) -> Vec<JudgedPart> {
        let paper = paper(parts);
        let spreads = Spreads::of(&paper, known);
        judge(&paper, known, &spreads, 3).remove(0).parts
    }

    #[test]
    fn each_quantity_has_its_unit_and_a_ratio_is_no_point() {
        let known = Known::default()
            .with("large.accuracy", &[0.99, 0.991, 0.989])
            .with("small.accuracy", &[0.97, 0.972, 0.968])
            .with("large.val_loss", &[0.30, 0.31, 0.29])
            .with("large.val_loss_best", &[0.20, 0.21, 0.21])
            .with("large.image_us", &[100.0, 101.0, 99.0])
            .with("small.image_us", &[16.0, 16.1, 15.9])
            .with("large.parameters", &[60.0])
            .with("small.parameters", &[20.0]);
        let parts = judged(
            &[
                ("large.accuracy > small.accuracy", None),
                ("large.val_loss > large.val_loss_best + 0.02", None),
                (
                    "large.image_us / small.image_us ~ 6 within x2",
                    Some("6.26"),
                ),
                ("large.parameters / small.parameters > 2", None),
                ("large.image_us / small.image_us > 3", None),
            ],
            &known,
        );
        let words = |part: &JudgedPart| super::super::forest::words(part);
        assert!(
            words(&parts[0]).contains("ours +2.0"),
            "{}",
            words(&parts[0])
        );
        assert!(words(&parts[0]).ends_with("points"), "{}", words(&parts[0]));
        assert!(words(&parts[1]).ends_with("nats"), "{}", words(&parts[1]));
        for ratio in &parts[2..] {
            assert!(words(ratio).ends_with("times"), "{}", words(ratio));
            assert_eq!(ratio.verdict, Verdict::Reproduced, "{}", words(ratio));
        }
        assert!(words(&parts[2]).starts_with("reported 6.26, ours 6.2"));
        assert!(words(&parts[3]).contains("ours 3"), "{}", words(&parts[3]));
        // The reported gap follows from the table's cells: 99.05 - 97.5.
        let (gap, decimals) = parts[0].reported_gap().unwrap();
        assert!(
            (gap - 1.55).abs() < 1e-9 && decimals == 2,
            "{gap} {decimals}"
        );
        assert!(
            parts
                .iter()
                .all(|part| !part.lines().is_empty() || part.settled.is_some())
        );
    }

    #[test]
    fn times_of_two_processors_are_not_compared() {
        let time = ("large.image_us / small.image_us ~ 10 within x2", None);
        let on = |small: &str| {
            let mut known = Known::default()
                .with("large.image_us", &[10.0, 10.1, 9.9])
                .with("small.image_us", &[1.0, 1.02, 0.99]);
            known.processors = HashMap::from([
                ("large".to_string(), "this".to_string()),
                ("small".to_string(), small.to_string()),
            ]);
            let paper = paper(&[time]);
            judge(&paper, &known, &Spreads::of(&paper, &known), 3)[0].parts[0]
                .verdict
                .clone()
        };
        assert_eq!(on("this"), Verdict::Reproduced);
        match on("that") {
            Verdict::TooSmall { reason } => assert!(reason.contains("that; this"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_of_another_machine_decide_only_a_claim_that_is_about_nothing_else() {
        let known = Known::default()
            .with("large.accuracy", &[0.98, 0.981, 0.979])
            .with("small.accuracy", &[0.95, 0.952, 0.9485])
            .with("large.image_us", &[100.0, 101.0, 99.0])
            .with("small.image_us", &[1.0, 1.01, 0.99]);
        let time = (
            "large.image_us / small.image_us ~ 10 within x2",
            Some("9.43"),
        );
        let both = paper(&[("large.accuracy > small.accuracy", None), time]);
        let judge = |paper: &Paper| judge(paper, &known, &Spreads::of(paper, &known), 3).remove(0);
        let claim = judge(&both);
        assert_eq!(claim.verdict.name(), "reproduced");
        let detail = claim.verdict.detail().unwrap();
        assert_eq!(detail, "times on this processor: contradicted");
        assert_eq!(claim.parts[1].verdict, Verdict::Contradicted);
        assert!(claim.parts[1].lines()[0].contains("another machine"));
        assert_eq!(judge(&paper(&[time])).verdict.name(), "contradicted");
    }

    #[test]
    fn the_gap_at_fewer_images_stands_beside_the_gap_with_its_own_verdict() {
        let at = |small: [f64; 3]| {
            let known = Known::default()
                .with("large.accuracy", &[0.98, 0.981, 0.979])
                .with("small.accuracy", &small);
            let paper = paper(&[("large.accuracy > small.accuracy", None)]);
            judge(&paper, &known, &Spreads::of(&paper, &known), 3)
        };
        let mut claims = at([0.95, 0.952, 0.9485]);
        add_trend(&mut claims, at([0.99, 0.992, 0.9885]), 500);
        let part = &claims[0].parts[0];
        assert_eq!(part.verdict, Verdict::Reproduced);
        assert_eq!(part.smaller[0].verdict, Verdict::Contradicted);
        let trend = part.trend();
        let images: Vec<usize> = trend.iter().map(|(images, _)| *images).collect();
        assert_eq!(images, [500, 1000]);
        assert!(trend[0].1.0 < 0.0 && trend[1].1.0 > 0.0, "{trend:?}");
        assert!(part.lines().join(" ").contains("at 500 training images"));
    }

    #[test]
    fn the_p_shown_is_that_of_the_direction_the_numbers_point_to() {
        let known = Known::default()
            .with("large.accuracy", &[0.95, 0.951, 0.949])
            .with("small.accuracy", &[0.97, 0.9712, 0.9689]);
        let part = &judged(&[("large.accuracy > small.accuracy", None)], &known)[0];
        assert_eq!(part.verdict, Verdict::Contradicted);
        let line = part.lines().join(" ");
        assert!(
            line.contains("against the claim") && !line.contains("p = 1.0"),
            "{line}"
        );
    }

    #[test]
    fn what_is_too_small_decides_nothing_whatever_its_p() {
        let mut known = Known::default()
            .with("large.accuracy", &[0.99, 0.991, 0.989])
            .with("small.accuracy", &[0.50, 0.501, 0.499]);
        known
            .small
            .insert("small".into(), "it was still learning".into());
        known.apart = Some("a sixth of it".into());
        let checks = [
            ("large.accuracy > small.accuracy", None),
            ("large.accuracy > 90%", None),
        ];
        for part in judged(&checks, &known) {
            assert!(
                matches!(part.verdict, Verdict::TooSmall { .. }),
                "{:?}",
                part.verdict
            );
            assert!(!part.open);
        }
    }

    #[test]
    fn a_small_reported_gap_that_single_runs_cannot_show_is_undecidable_as_reported() {
        let known = Known::default()
            .with("large.accuracy", &[0.9801, 0.9812, 0.9795])
            .with("small.accuracy", &[0.9803, 0.9799, 0.9806]);
        let of = |reported| {
            judged(
                &[("large.accuracy > small.accuracy", Some(reported))],
                &known,
            )
        };
        let small = &of("0.01")[0];
        let Verdict::UndecidableAsReported { seeds, .. } = small.verdict else {
            panic!("{:?}", small.verdict)
        };
        assert!(seeds.is_some_and(|seeds| seeds > 100), "{seeds:?}");
        assert!(
            small.lines()[0].contains("seeds a side"),
            "{:?}",
            small.lines()
        );
        let large = &of("2.0")[0].verdict;
        assert!(
            matches!(
                large,
                Verdict::WithinNoise {
                    detectable: Some(_)
                }
            ),
            "{large:?}"
        );
    }

    #[test]
    fn not_improving_needs_evidence_and_not_only_none_of_the_contrary() {
        let check = [("large.accuracy !> small.accuracy within 0.2%", None)];
        let noisy = Known::default()
            .with("large.accuracy", &[0.97, 0.99, 0.98])
            .with("small.accuracy", &[0.99, 0.97, 0.98]);
        assert!(!judged(&check, &noisy)[0].verdict.decided());
        let clear = Known::default()
            .with("large.accuracy", &[0.9700, 0.9701, 0.9699])
            .with("small.accuracy", &[0.9801, 0.9802, 0.9799]);
        assert_eq!(judged(&check, &clear)[0].verdict, Verdict::Reproduced);
    }

    #[test]
    fn a_flaw_is_demonstrated_by_its_effect_and_else_only_named() {
        let (head, _) = super::super::paper::template()
            .split_once("[[claim]]")
            .unwrap();
        let text = format!(
            "{head}[[claim]]\nid = \"1\"\ntext = \"c\"\nuntestable = \"it says nothing\"\n\
             [[flaw]]\ntitle = \"named\"\ntext = \"t\"\n\
             [[flaw]]\ntitle = \"shown\"\ntext = \"t\"\n[[flaw.effect]]\ntext = \"e\"\n\
             check = \"large.accuracy > small.accuracy\"\n"
        );
        let paper = Paper::parse(&text).unwrap();
        let standings = |small: &[f64]| -> Vec<Standing> {
            let known = Known::default()
                .with("large.accuracy", &[0.99, 0.991, 0.989])
                .with("small.accuracy", small);
            let spreads = Spreads::of(&paper, &known);
            let flaws = judge_flaws(&paper, &known, &spreads);
            flaws.iter().map(|flaw| flaw.standing).collect()
        };
        assert_eq!(
            standings(&[0.95, 0.952, 0.949]),
            [Standing::Named, Standing::Demonstrated]
        );
        assert_eq!(
            standings(&[0.99, 0.989, 0.9912]),
            [Standing::Named, Standing::NoEffect]
        );
        let claim = &judge(&paper, &Known::default(), &Spreads::default(), 3)[0];
        assert!(
            matches!(&claim.verdict.claim.verdict, Verdict::NotRun { reason } if reason.contains("nothing"))
        );
    }
}
