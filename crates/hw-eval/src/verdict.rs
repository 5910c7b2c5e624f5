//! Whether a claim such as "a beats b" came out, by a stated test, or drowned in the noise.
//!
//! Every comparison looks both ways at the same error rate α: a claim is *reproduced* when the
//! evidence for it is significant, *not reproduced* when the evidence for its opposite is, and
//! *within noise* when neither is. A claim that nothing measured can decide is *not tested*, with
//! the reason.

use crate::error::EvalError;
use crate::interval::Interval;
use crate::statistics::{
    OneProportionTest, PairedOutcomes, Proportion, TTest, TwoProportionTest, holm, mean,
    one_sample_t_test, welch_t_test,
};
use serde::{Deserialize, Serialize};

/// Power at which [`Comparison::detectable`] is stated.
const POWER: f64 = 0.8;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The evidence for the claim is significant.
    Reproduced,
    /// The evidence for the opposite of the claim is significant.
    NotReproduced,
    /// Neither is: the difference is no larger than chance alone makes it.
    WithinNoise,
    /// Nothing was measured that could decide.
    NotTested {
        /// Why not.
        reason: String,
    },
}

impl Verdict {
    /// The verdict in the report's words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::WithinNoise => "within noise",
            Self::NotTested { .. } => "not tested",
        }
    }

    /// What the verdict means, in a sentence a report can quote.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Reproduced => {
                "Our measurements agree with the claim, and chance alone would rarely agree as well \
                 (p below the stated level)."
            }
            Self::NotReproduced => {
                "Our measurements say the opposite of the claim, and chance alone would rarely say \
                 it as clearly (p below the stated level)."
            }
            Self::WithinNoise => {
                "Neither the claim nor its opposite stands out from the spread of our measurements; \
                 more seeds or images might decide."
            }
            Self::NotTested { .. } => "Nothing was measured that could decide the claim.",
        }
    }
}

/// The error rate α of each direction of a test, above 0 and below 0.5; 0.05 by default.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// Checks an error rate.
    ///
    /// # Errors
    /// One that does not lie between 0 and 0.5.
    pub fn new(rate: f64) -> Result<Self, EvalError> {
        if rate > 0.0 && rate < 0.5 {
            return Ok(Self(rate));
        }
        Err(EvalError::OutOfRange {
            what: "the significance level",
            value: rate,
            expected: "above 0 and below 0.5, 0.05 for instance",
        })
    }

    /// The rate.
    pub fn rate(self) -> f64 {
        self.0
    }

    /// Level of the two-sided interval that excludes 0 exactly when a direction is significant.
    fn interval_level(self) -> f64 {
        1.0 - 2.0 * self.0
    }
}

impl Default for Alpha {
    fn default() -> Self {
        Self(0.05)
    }
}

impl TryFrom<f64> for Alpha {
    type Error = EvalError;
    fn try_from(rate: f64) -> Result<Self, EvalError> {
        Self::new(rate)
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

/// The test behind a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// One value a seed on both sides.
    Welch,
    /// Welch's test both ways, around a stated difference.
    WelchEquivalence,
    /// The same on logarithms: around a stated ratio.
    WelchRatioEquivalence,
    /// One value a seed against a printed number.
    OneSampleT,
    /// Accuracies on test sets of known size, one seed.
    TwoProportion,
    /// Accuracy on a test set of known size, one seed, against a printed number.
    OneProportion,
    /// Two models on the same images, exact.
    McNemarExact,
    /// Two models on the same images, many disagreements.
    McNemarChiSquare,
}

impl Test {
    /// The test's name and what it can and cannot see, in words a report can quote.
    pub fn description(self) -> &'static str {
        match self {
            Self::Welch => {
                "Welch's t-test, one-sided each way, over seeds: is the difference of the means large \
                 against the spread between seeds?"
            }
            Self::WelchEquivalence => {
                "Two one-sided Welch t-tests over seeds: does the difference of the means lie within \
                 the stated margin of the stated value, or outside it?"
            }
            Self::WelchRatioEquivalence => {
                "Two one-sided Welch t-tests over the logarithms: does the ratio of the (geometric) \
                 means lie within the stated factor of the stated value, or outside it?"
            }
            Self::OneSampleT => {
                "One-sample t-test, one-sided each way, over seeds against the printed number, whose \
                 own spread is not known."
            }
            Self::TwoProportion => {
                "Pooled z-test of two proportions, one-sided each way, on counts of test images: it \
                 sees the noise of a finite test set, not the spread between seeds, and treats the \
                 two sets of images as independent."
            }
            Self::OneProportion => {
                "Score z-test of one proportion, one-sided each way, on the count of test images \
                 against the printed number: it sees the noise of a finite test set, not the spread \
                 between seeds."
            }
            Self::McNemarExact => {
                "McNemar's exact test, one-sided each way, on the test images on which the two \
                 models disagree: it compares these two trained models, not other seeds of them."
            }
            Self::McNemarChiSquare => {
                "McNemar's chi-square test with continuity correction, one-sided each way, on the \
                 test images on which the two models disagree: it compares these two trained models, \
                 not other seeds of them."
            }
        }
    }
}

/// Repeated measurements of one quantity, one a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// One value a seed.
    pub values: Vec<f64>,
    /// If the values are accuracies (shares, 0 to 1): images in the test set. Lets a single seed
    /// be judged by the noise of the test set.
    pub test_images: Option<u64>,
}

impl Runs {
    /// Values of any kind, one a seed.
    pub fn new(values: impl Into<Vec<f64>>) -> Self {
        Self {
            values: values.into(),
            test_images: None,
        }
    }

    /// Accuracies (shares, 0 to 1) on a test set of `images`, one a seed.
    pub fn accuracies(values: impl Into<Vec<f64>>, images: u64) -> Self {
        Self {
            values: values.into(),
            test_images: Some(images),
        }
    }

    /// The mean accuracy as a count on one test set: the seeds are not counted as more images.
    fn proportion(&self) -> Option<Proportion> {
        let total = self.test_images.filter(|&images| images > 0)?;
        let share = mean(&self.values).ok()?;
        (0.0..=1.0).contains(&share).then(|| Proportion {
            successes: (share * total as f64).round() as u64,
            total,
        })
    }
}

/// The outcome of comparing two sides, with everything a report says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What became of the claim.
    pub verdict: Verdict,
    /// First minus second; for a ratio, first over second. `None` if nothing was measured.
    pub difference: Option<f64>,
    /// Two-sided confidence interval of `difference`, at `level`.
    pub interval: Option<Interval>,
    /// `1 - 2α`: the interval excludes 0 about when one direction is significant at α.
    pub level: f64,
    /// p of the claim: the chance of such evidence for it if it is false.
    pub p: Option<f64>,
    /// p of the opposite claim.
    pub p_opposite: Option<f64>,
    /// The test used; `None` if none could be.
    pub test: Option<Test>,
    /// The smallest true difference that this many seeds with this spread would find with
    /// probability 0.8; only for tests over seeds.
    pub detectable: Option<f64>,
}

impl Comparison {
    fn decided(
        test: Test,
        difference: f64,
        interval: Option<Interval>,
        (p, p_opposite): (f64, f64),
        alpha: Alpha,
    ) -> Self {
        Self {
            verdict: decide(p, p_opposite, alpha),
            difference: Some(difference),
            interval,
            level: alpha.interval_level(),
            p: Some(p),
            p_opposite: Some(p_opposite),
            test: Some(test),
            detectable: None,
        }
    }

    fn over_seeds(test: Test, t: &TTest, p: (f64, f64), alpha: Alpha) -> Self {
        let interval = t.interval(alpha.interval_level()).ok();
        Self {
            detectable: t.detectable_difference(alpha.rate(), POWER).ok(),
            ..Self::decided(test, t.difference, interval, p, alpha)
        }
    }

    fn not_tested(difference: Option<f64>, reason: String, alpha: Alpha) -> Self {
        Self {
            verdict: Verdict::NotTested { reason },
            difference,
            interval: None,
            level: alpha.interval_level(),
            p: None,
            p_opposite: None,
            test: None,
            detectable: None,
        }
    }
}

fn decide(p: f64, p_opposite: f64, alpha: Alpha) -> Verdict {
    if p < alpha.rate() {
        Verdict::Reproduced
    } else if p_opposite < alpha.rate() {
        Verdict::NotReproduced
    } else {
        Verdict::WithinNoise
    }
}

/// The claim "a > b".
///
/// Welch's t-test over seeds if both sides have at least two that vary; else, for accuracies on
/// test sets of known size, the two-proportion test on one test set a side; else not tested.
pub fn compare_greater(a: &Runs, b: &Runs, alpha: Alpha) -> Comparison {
    match welch_t_test(&a.values, &b.values) {
        Ok(t) => Comparison::over_seeds(Test::Welch, &t, (t.p_greater, t.p_less), alpha),
        Err(error) => compare_on_test_sets(a, b, &error, alpha),
    }
}

fn compare_on_test_sets(a: &Runs, b: &Runs, no_t_test: &EvalError, alpha: Alpha) -> Comparison {
    let counts = a.proportion().zip(b.proportion());
    let tested = counts.and_then(|(a, b)| TwoProportionTest::of(a, b).ok());
    match tested {
        Some(z) => {
            let interval = z.interval(alpha.interval_level()).ok();
            let p = (z.p_greater, z.p_less);
            Comparison::decided(Test::TwoProportion, z.difference, interval, p, alpha)
        }
        None => untestable(a, b, no_t_test, alpha),
    }
}

fn untestable(a: &Runs, b: &Runs, no_t_test: &EvalError, alpha: Alpha) -> Comparison {
    let means = mean(&a.values).ok().zip(mean(&b.values).ok());
    let reason = format!(
        "{no_t_test} ({} against {} seeds)",
        a.values.len(),
        b.values.len()
    );
    Comparison::not_tested(means.map(|(a, b)| a - b), reason, alpha)
}

/// The claim "a > b + margin", over seeds by Welch's t-test. A negative margin makes it "a is at
/// most that much worse than b"; "x does not improve on y by more than m" is
/// `compare_greater_by(y, x, -m, alpha)`.
pub fn compare_greater_by(a: &Runs, b: &Runs, margin: f64, alpha: Alpha) -> Comparison {
    match welch_t_test(&a.values, &b.values) {
        Ok(t) => {
            let p = (t.p_greater_than(margin), t.p_less_than(margin));
            Comparison::over_seeds(Test::Welch, &t, p, alpha)
        }
        Err(error) => untestable(a, b, &error, alpha),
    }
}

/// The claim "a beats the printed number".
///
/// One-sample t-test over seeds if there are at least two that vary; else, for accuracies on a
/// test set of known size, the one-proportion test; else not tested.
pub fn compare_greater_than_printed(a: &Runs, printed: f64, alpha: Alpha) -> Comparison {
    let error = match one_sample_t_test(&a.values, printed) {
        Ok(t) => {
            let p = (t.p_greater, t.p_less);
            return Comparison::over_seeds(Test::OneSampleT, &t, p, alpha);
        }
        Err(error) => error,
    };
    let tested = a
        .proportion()
        .and_then(|counts| Some((counts, OneProportionTest::of(counts, printed).ok()?)));
    match tested {
        Some((counts, z)) => {
            let level = alpha.interval_level();
            let wilson = crate::wilson_interval(counts.successes, counts.total, level).ok();
            let interval = wilson.map(|share| Interval {
                low: share.low - printed,
                high: share.high - printed,
            });
            let p = (z.p_greater, z.p_less);
            Comparison::decided(Test::OneProportion, z.difference, interval, p, alpha)
        }
        None => {
            let difference = mean(&a.values).ok().map(|a| a - printed);
            let reason = format!("{error} ({} seeds)", a.values.len());
            Comparison::not_tested(difference, reason, alpha)
        }
    }
}

/// The claim "the first model is better than the second" from the same test images, by McNemar's
/// test: exact up to 1000 disagreements, chi-square above.
pub fn compare_paired_greater(outcomes: &PairedOutcomes, alpha: Alpha) -> Comparison {
    let outcome = outcomes.test();
    let test = if outcome.exact {
        Test::McNemarExact
    } else {
        Test::McNemarChiSquare
    };
    let p = (outcome.p_greater, outcome.p_less);
    match outcomes.interval(alpha.interval_level()) {
        Ok(interval) => Comparison::decided(test, outcome.difference, Some(interval), p, alpha),
        Err(error) => Comparison::not_tested(None, error.to_string(), alpha),
    }
}

/// The claim "a - b is about `expected`", give or take `margin` (above 0), by two one-sided Welch
/// tests (Schuirmann 1987): reproduced if the difference is significantly inside the margin, not
/// reproduced if significantly outside. With `expected` 0: "a reaches b".
pub fn compare_about(a: &Runs, b: &Runs, expected: f64, margin: f64, alpha: Alpha) -> Comparison {
    if !(margin > 0.0 && margin.is_finite() && expected.is_finite()) {
        let reason = format!("the margin {margin} around {expected} is no range");
        return Comparison::not_tested(None, reason, alpha);
    }
    match welch_t_test(&a.values, &b.values) {
        Ok(t) => {
            let (low, high) = (expected - margin, expected + margin);
            let inside = t.p_greater_than(low).max(t.p_less_than(high));
            let outside = t.p_less_than(low).min(t.p_greater_than(high));
            Comparison::over_seeds(Test::WelchEquivalence, &t, (inside, outside), alpha)
        }
        Err(error) => untestable(a, b, &error, alpha),
    }
}

/// The claim "a / b is about `ratio`", give or take a `factor` (above 1): [`compare_about`] on
/// logarithms. `difference`, `interval` and `detectable` of the outcome are ratios.
pub fn compare_ratio(a: &Runs, b: &Runs, ratio: f64, factor: f64, alpha: Alpha) -> Comparison {
    let positive = |values: &[f64]| values.iter().all(|&value| value > 0.0);
    if !(positive(&a.values) && positive(&b.values) && ratio > 0.0 && factor > 1.0) {
        let reason = "a ratio needs values above 0 and a factor above 1".to_owned();
        return Comparison::not_tested(None, reason, alpha);
    }
    let ln = |runs: &Runs| Runs::new(runs.values.iter().map(|x| x.ln()).collect::<Vec<_>>());
    let outcome = compare_about(&ln(a), &ln(b), ratio.ln(), factor.ln(), alpha);
    Comparison {
        difference: outcome.difference.map(f64::exp),
        interval: outcome.interval.map(|ends| Interval {
            low: ends.low.exp(),
            high: ends.high.exp(),
        }),
        test: outcome.test.map(|_| Test::WelchRatioEquivalence),
        detectable: outcome.detectable.map(f64::exp),
        ..outcome
    }
}

/// One rival of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// The rival's name.
    pub name: String,
    /// The claim "candidate > rival": p as tested, verdict from the corrected p-values.
    pub comparison: Comparison,
    /// p of the claim after Holm's correction over all rivals.
    pub p_adjusted: Option<f64>,
    /// p of its opposite after Holm's correction over all rivals.
    pub p_opposite_adjusted: Option<f64>,
}

/// The outcome of the claim that a candidate is the best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestOf {
    /// Reproduced if the candidate beats every rival; not reproduced if any rival beats it;
    /// otherwise not tested if some rival could not be compared, else within noise.
    pub verdict: Verdict,
    /// The rivals, in the order given.
    pub rivals: Vec<Rival>,
}

impl BestOf {
    /// The procedure, in words a report can quote.
    pub fn description() -> &'static str {
        "The candidate is compared with each rival as in \"a > b\" (Welch's t-test over seeds, or \
         the two-proportion test on test images for a single seed); Holm's correction over all \
         rivals keeps the chance of any false verdict in a direction below the stated level. The \
         claim is reproduced if every comparison favours the candidate, not reproduced if any \
         favours a rival, and within noise otherwise."
    }
}

/// The claim "the candidate is greater than each of the others", Holm-corrected.
pub fn best_of(candidate: &Runs, others: &[(&str, &Runs)], alpha: Alpha) -> BestOf {
    let mut rivals: Vec<Rival> = others
        .iter()
        .map(|(name, runs)| Rival {
            name: (*name).to_owned(),
            comparison: compare_greater(candidate, runs, alpha),
            p_adjusted: None,
            p_opposite_adjusted: None,
        })
        .collect();
    let adjust = |p: fn(&Comparison) -> Option<f64>| -> Vec<f64> {
        // A rival that could not be tested takes its place in the family as "no evidence".
        let p_values: Vec<f64> = rivals
            .iter()
            .map(|r| p(&r.comparison).unwrap_or(1.0))
            .collect();
        holm(&p_values).unwrap_or_else(|_| vec![1.0; p_values.len()])
    };
    let (favour, against) = (adjust(|c| c.p), adjust(|c| c.p_opposite));
    for (rival, (p, p_opposite)) in rivals.iter_mut().zip(favour.into_iter().zip(against)) {
        if rival.comparison.test.is_some() {
            rival.comparison.verdict = decide(p, p_opposite, alpha);
            rival.p_adjusted = Some(p);
            rival.p_opposite_adjusted = Some(p_opposite);
        }
    }
    BestOf {
        verdict: overall(&rivals),
        rivals,
    }
}

fn overall(rivals: &[Rival]) -> Verdict {
    let verdicts = || rivals.iter().map(|rival| &rival.comparison.verdict);
    if rivals.is_empty() {
        return Verdict::NotTested {
            reason: "there is no rival to compare with".to_owned(),
        };
    }
    if verdicts().any(|verdict| *verdict == Verdict::NotReproduced) {
        return Verdict::NotReproduced;
    }
    for rival in rivals {
        if let Verdict::NotTested { reason } = &rival.comparison.verdict {
            return Verdict::NotTested {
                reason: format!("against {}: {reason}", rival.name),
            };
        }
    }
    if verdicts().all(|verdict| *verdict == Verdict::Reproduced) {
        return Verdict::Reproduced;
    }
    Verdict::WithinNoise
}
