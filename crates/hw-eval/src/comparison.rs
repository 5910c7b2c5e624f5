//! Two recipes, or a recipe and a reported number, compared by a test that fits how they were run.
//!
//! Runs that share a seed are compared as pairs; runs of separate seeds by Welch's test; runs and a
//! reported number by a one-sample test. Spreads over seeds may be pooled over comparable experiments
//! (see [`crate::statistics::Pooled`]). For accuracies the noise of the test set joins that of the seeds
//! (see [`crate::statistics::Crossed`]): the error is then taken as the sum of a Student's t from the
//! seeds and a normal distribution from the images (Behrens and Fisher). Satterthwaite's single t would
//! err twice as often as stated with two seeds; `examples/error_rates.rs` counts.

use crate::arm::{Arm, Outcome};
use crate::error::{EvalError, check_finite};
use crate::interval::Interval;
use crate::question::{Evidence, Question};
use crate::sequential::Design;
use crate::statistics::distributions::{normal_quantile, t_quantile};
use crate::statistics::error_law::ErrorLaw;
use crate::statistics::{
    Crossed, OneProportionTest, PairedOutcomes, Pooled, Proportion, TwoProportionTest, Variance,
};
use crate::verdict::Alpha;
use serde::{Deserialize, Serialize};

/// Power at which detectable differences and needed seeds are stated.
pub const POWER: f64 = 0.8;

/// Seeds an arm beyond which nobody would train.
const MOST_RUNS: u64 = 1_000_000;

/// How evidence is weighed: at which level, and with which knowledge of the spread over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Setting {
    /// Error rate of each direction at this look.
    pub alpha: Alpha,
    /// The look of a sequential design, from 1; 0 counts as 1.
    pub look: usize,
    /// Pooled variance of paired differences of comparable recipes (on logarithms for ratios).
    pub differences: Option<Pooled>,
    /// Pooled variance of single runs of comparable recipes (on logarithms for ratios).
    pub runs: Option<Pooled>,
}

impl Setting {
    /// One look at all seeds, at error rate `alpha` in each direction; nothing pooled.
    pub fn once(alpha: Alpha) -> Self {
        Self {
            alpha,
            ..Self::default()
        }
    }

    /// A look, from 1, of a sequential design, at its nominal level; nothing pooled.
    ///
    /// # Errors
    /// A look that the design does not have.
    pub fn at(design: &Design, look: usize) -> Result<Self, EvalError> {
        Ok(Self {
            alpha: design.nominal(look)?,
            look,
            ..Self::default()
        })
    }
}

/// Where the noise of the test set was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// Not looked at: the quantity is no accuracy, or nothing is known of its test set.
    Ignored,
    /// From every model's answer to every image.
    Answers,
    /// From the number of images, as if the two sides had been tested on different ones.
    Binomial,
}

/// The test behind a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Test {
    /// Differences of runs that share a seed.
    Paired {
        /// Whether the spread is pooled.
        pooled: bool,
        /// Noise of the test set.
        images: Images,
    },
    /// Runs of separate seeds.
    Welch {
        /// Whether the spread is pooled.
        pooled: bool,
        /// Noise of the test set.
        images: Images,
    },
    /// Runs against a reported number.
    OneSample {
        /// Whether the spread is pooled.
        pooled: bool,
        /// Noise of the test set.
        images: Images,
    },
    /// Two trained models on the same images, exact.
    McNemarExact,
    /// Two trained models on the same images, many disagreements.
    McNemarChiSquare,
    /// Two trained models on test sets of known size.
    TwoProportion,
    /// A trained model on a test set of known size, against a reported number.
    OneProportion,
}

impl Test {
    /// Whether it can decide about recipes; the others compare two trained models, whose seeds may
    /// have been lucky.
    pub fn decides_recipes(self) -> bool {
        matches!(
            self,
            Self::Paired { .. } | Self::Welch { .. } | Self::OneSample { .. }
        )
    }

    /// The test's name and what it can and cannot see, in words a report can quote.
    pub fn description(self) -> String {
        let (seeds, pooled, images) = match self {
            Self::Paired { pooled, images } => (
                "Student's t-test of the differences between runs that share a seed.",
                pooled,
                images,
            ),
            Self::Welch { pooled, images } => (
                "Welch's t-test over runs of separate seeds.",
                pooled,
                images,
            ),
            Self::OneSample { pooled, images } => (
                "One-sample t-test of the runs against the reported number, whose own spread is not \
                 known.",
                pooled,
                images,
            ),
            Self::McNemarExact => {
                return "McNemar's exact test on the images on which two trained models disagree; \
                        it says nothing about other seeds of them."
                    .into();
            }
            Self::McNemarChiSquare => {
                return "McNemar's chi-square test with continuity correction on the images on which \
                        two trained models disagree; it says nothing about other seeds of them."
                    .into();
            }
            Self::TwoProportion => {
                return "Pooled z-test of two proportions on counts of test images, taken as \
                        independent; it says nothing about other seeds of the two trained models."
                    .into();
            }
            Self::OneProportion => {
                return "Score z-test of the count of correct test images against the reported \
                        number; it says nothing about other seeds of the trained model."
                    .into();
            }
        };
        let pooled = match pooled {
            true => {
                " The spread over seeds is pooled over comparable experiments (empirical Bayes)."
            }
            false => "",
        };
        let images = match images {
            Images::Ignored => "",
            Images::Answers => {
                " The standard error also holds the noise of the test set, from every model's answer \
                 to every image."
            }
            Images::Binomial => {
                " The standard error also holds the noise of the test set, binomial and as if the \
                 two sides had been tested on different images: more than it is."
            }
        };
        format!("{seeds}{pooled}{images}")
    }
}

/// The noise of a difference, on the scale of the test: logarithms for ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Standard error of the difference.
    pub standard_error: f64,
    /// Its part from seeds; the square root of that part of the variance.
    pub seeds: f64,
    /// Its part from test images; `None` if they were not looked at.
    pub images: Option<f64>,
    /// Degrees of freedom of the part from seeds; that from images is as good as normal.
    pub degrees_of_freedom: f64,
    /// Standard deviation over seeds of the difference of two single runs (of a single run, against
    /// a reported number).
    pub seed_deviation: f64,
    /// Standard deviation of that difference over seeds and test images: what a paper that reports
    /// one run an arm cannot see below.
    pub single_run: f64,
    /// Runs a degree of freedom of seeds is lost for: 1 for pairs and single arms, 2 for separate.
    sides: u8,
}

impl Noise {
    /// Runs an arm with which a true difference `clearance` away from the nearest other answer would
    /// be found at `alpha` with probability [`POWER`]; `None` if no number of seeds suffices on this
    /// test set, or none below a million.
    pub fn runs_needed(&self, clearance: f64, alpha: Alpha) -> Option<u64> {
        if !(clearance > 0.0 && clearance.is_finite()) {
            return None;
        }
        let images = self.images.unwrap_or(0.0).powi(2);
        let seeds = self.seed_deviation.powi(2);
        let allowed = |quantiles: f64| (clearance / quantiles).powi(2) - images;
        let z = allowed(normal_quantile(1.0 - alpha.rate()) + normal_quantile(POWER));
        if z <= 0.0 || seeds / z > MOST_RUNS as f64 {
            return None;
        }
        // Student's t asks for a few more than the normal distribution.
        let first = ((seeds / z).ceil() as u64).max(2);
        (first..first + 1000).find(|&runs| {
            let freedom = f64::from(self.sides) * (runs - 1) as f64;
            let t = t_quantile(1.0 - alpha.rate(), freedom) + t_quantile(POWER, freedom);
            seeds / runs as f64 <= allowed(t)
        })
    }
}

/// In how many pairs of runs which side was ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// Pairs (or runs, against a reported number) in which the first was greater.
    pub first: usize,
    /// Pairs in which the second was greater.
    pub second: usize,
    /// Pairs in which both were equal.
    pub equal: usize,
}

impl Signs {
    fn of(differences: &[f64]) -> Self {
        let count = |sign: fn(&f64) -> bool| differences.iter().filter(|d| sign(d)).count();
        Self {
            first: count(|d| *d > 0.0),
            second: count(|d| *d < 0.0),
            equal: count(|d| *d == 0.0),
        }
    }
}

/// Two sides compared, with everything a report says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was asked.
    pub question: Question,
    /// Mean of the first minus mean of the second; for [`Question::Ratio`], the ratio of their
    /// geometric means. Over the shared seeds if the runs are paired.
    pub difference: f64,
    /// Two-sided confidence interval of `difference`, at `level`.
    pub interval: Option<Interval>,
    /// `1 - 2α`: the interval leaves a bound out exactly when one direction is significant at α.
    pub level: f64,
    /// The look of a sequential design; 1 without one.
    pub look: usize,
    /// p of the claim: the chance of such evidence for it if it is false.
    pub p: Option<f64>,
    /// p of the opposite claim.
    pub p_opposite: Option<f64>,
    /// The noise of the difference; `None` if the spread over seeds is not known.
    pub noise: Option<Noise>,
    /// Pairs of runs, or runs of the smaller arm.
    pub seeds: usize,
    /// The test used; `None` if none could be.
    pub test: Option<Test>,
    /// The smallest true distance from the nearest other answer that this design would find with
    /// probability [`POWER`]; a ratio for [`Question::Ratio`].
    pub detectable: Option<f64>,
    /// Which side was ahead, run by run, if the runs are paired.
    pub signs: Option<Signs>,
    /// Why this comparison cannot decide a claim about recipes, if it cannot. Its p-values, if there
    /// are any, are then about these trained models.
    pub blocked: Option<String>,
}

/// Compares two recipes.
///
/// Runs are paired if the recipes share at least two seeds, or if one of them has a single run whose
/// seed the other has too; else Welch's test takes all runs. A single run needs a pooled spread.
///
/// # Errors
/// A question whose margin is no range, or values of a ratio that are not above 0.
pub fn compare(
    a: &Arm,
    b: &Arm,
    question: Question,
    setting: &Setting,
) -> Result<Comparison, EvalError> {
    question.check()?;
    if let Question::Ratio { .. } = question {
        let (a, b) = (a.logarithms()?, b.logarithms()?);
        return Ok(Estimate::of(&a, &b, setting).judged(question, setting));
    }
    Ok(Estimate::of(a, b, setting).judged(question, setting))
}

/// Compares a recipe with a `reported` number, taken as exact.
///
/// # Errors
/// As [`compare`]; a reported number that is not finite, or not above 0 for a ratio.
pub fn compare_with_reported(
    a: &Arm,
    reported: f64,
    question: Question,
    setting: &Setting,
) -> Result<Comparison, EvalError> {
    question.check()?;
    check_finite("the reported number", &[reported])?;
    if let Question::Ratio { .. } = question {
        let other = Arm::of_values("reported", [(0, reported)])?.logarithms()?;
        let estimate = Estimate::against(&a.logarithms()?, other.mean(), setting);
        return Ok(estimate.judged(question, setting));
    }
    Ok(Estimate::against(a, reported, setting).judged(question, setting))
}

/// How the runs of the sides belong together.
#[derive(Clone, Copy)]
enum Pairing {
    Shared,
    Separate,
    Reported,
}

/// A difference and what is known of its noise.
struct Estimate {
    difference: f64,
    seeds: Option<SeedNoise>,
    images: Option<ImageNoise>,
    pairing: Pairing,
    runs: usize,
    signs: Option<Signs>,
    /// The comparison of two trained models, where each side has one run.
    models: Option<Models>,
}

struct SeedNoise {
    /// Variance of the mean difference.
    variance: f64,
    freedom: f64,
    /// Variance of the difference of two single runs.
    single: f64,
    pooled: bool,
}

struct ImageNoise {
    variance: f64,
    source: Images,
}

/// A test of two trained models (or one, against a reported number).
struct Models {
    test: Test,
    p_greater: f64,
    p_less: f64,
    interval: Option<Interval>,
}

impl Estimate {
    fn of(a: &Arm, b: &Arm, setting: &Setting) -> Self {
        let shared = a.shared(b);
        let single = a.outcomes().len().min(b.outcomes().len()) == 1;
        let no_other_way = setting.differences.is_some() || setting.runs.is_none();
        if shared.len() >= 2 || (shared.len() == 1 && single && no_other_way) {
            return Self::paired(a, b, &shared, setting);
        }
        let sides = [a, b].map(|arm| (arm.variance(), arm.outcomes().len()));
        let images = image_noise(a, b, &Sides::all(a, b));
        Self {
            difference: a.mean() - b.mean(),
            seeds: seed_noise(&sides, setting.runs),
            images,
            pairing: Pairing::Separate,
            runs: a.outcomes().len().min(b.outcomes().len()),
            signs: None,
            models: models(a, b, &a.outcomes()[0], &b.outcomes()[0], setting)
                .filter(|_| a.outcomes().len() == 1 && b.outcomes().len() == 1),
        }
    }

    fn paired(a: &Arm, b: &Arm, shared: &[(&Outcome, &Outcome)], setting: &Setting) -> Self {
        let differences: Vec<f64> = shared.iter().map(|(a, b)| a.value - b.value).collect();
        let own = Variance::of(&differences).ok();
        let runs = differences.len();
        Self {
            difference: differences.iter().sum::<f64>() / runs as f64,
            seeds: seed_noise(&[(own, runs)], setting.differences),
            images: image_noise(a, b, &Sides::paired(shared)),
            pairing: Pairing::Shared,
            runs,
            signs: Some(Signs::of(&differences)),
            models: models(a, b, shared[0].0, shared[0].1, setting).filter(|_| runs == 1),
        }
    }

    fn against(a: &Arm, reported: f64, setting: &Setting) -> Self {
        let differences: Vec<f64> = a.values().iter().map(|value| value - reported).collect();
        let runs = differences.len();
        Self {
            difference: a.mean() - reported,
            seeds: seed_noise(&[(a.variance(), runs)], setting.runs),
            images: image_noise_alone(a),
            pairing: Pairing::Reported,
            runs,
            signs: Some(Signs::of(&differences)),
            models: model(a, reported, setting).filter(|_| runs == 1),
        }
    }

    /// The answer to a question about the difference.
    fn judged(self, question: Question, setting: &Setting) -> Comparison {
        match self.noise() {
            Ok(noise) => self.tested(noise, question, setting),
            Err(reason) => self.blocked(reason, question, setting),
        }
    }

    fn noise(&self) -> Result<Noise, &'static str> {
        let Some(seeds) = &self.seeds else {
            return Err(
                "a recipe has a single run, and nothing says how much its seeds differ; train more \
                 seeds",
            );
        };
        let images = self.images.as_ref();
        let (v, w) = (seeds.variance, images.map_or(0.0, |i| i.variance));
        let total = v + w;
        let error = total.sqrt();
        // Spreads so small that their square vanishes are no spread either.
        if !(error > 0.0 && (self.difference / error).is_finite()) {
            return Err("the runs do not vary, so nothing says how sure their difference is");
        }
        Ok(Noise {
            standard_error: error,
            seeds: v.sqrt(),
            images: images.map(|_| w.sqrt()),
            degrees_of_freedom: seeds.freedom,
            seed_deviation: seeds.single.sqrt(),
            single_run: (seeds.single + w).sqrt(),
            sides: match self.pairing {
                Pairing::Separate => 2,
                Pairing::Shared | Pairing::Reported => 1,
            },
        })
    }

    fn tested(&self, noise: Noise, question: Question, setting: &Setting) -> Comparison {
        let error = ErrorLaw {
            seeds: noise.seeds,
            freedom: noise.degrees_of_freedom,
            images: noise.images.unwrap_or(0.0),
        };
        let Evidence { p, p_opposite } = question.evidence(self.difference, &error);
        let half = error.upper_quantile(setting.alpha.rate());
        let interval = Interval::around(self.difference, half);
        let detectable = half + error.upper_quantile(1.0 - POWER);
        Comparison {
            interval: Some(on_scale(interval, question)),
            p: Some(p),
            p_opposite: Some(p_opposite),
            noise: Some(noise),
            test: Some(self.test()),
            detectable: Some(scaled(detectable, question)),
            ..self.bare(question, setting)
        }
    }

    fn blocked(&self, reason: &str, question: Question, setting: &Setting) -> Comparison {
        let asked = match question {
            Question::Greater { margin: 0.0 } => Some(false),
            Question::NotGreater { margin: 0.0 } => Some(true),
            _ => None,
        };
        let models = self.models.as_ref().zip(asked);
        let p = models.map(|(m, less)| match less {
            true => (m.p_less, m.p_greater),
            false => (m.p_greater, m.p_less),
        });
        Comparison {
            interval: models.and_then(|(m, _)| m.interval),
            p: p.map(|(p, _)| p),
            p_opposite: p.map(|(_, p_opposite)| p_opposite),
            test: models.map(|(m, _)| m.test),
            blocked: Some(reason.to_owned()),
            ..self.bare(question, setting)
        }
    }

    /// The estimate without a word on how sure it is.
    fn bare(&self, question: Question, setting: &Setting) -> Comparison {
        Comparison {
            question,
            difference: scaled(self.difference, question),
            interval: None,
            level: 1.0 - 2.0 * setting.alpha.rate(),
            look: setting.look.max(1),
            p: None,
            p_opposite: None,
            noise: None,
            seeds: self.runs,
            test: None,
            detectable: None,
            signs: self.signs,
            blocked: None,
        }
    }

    fn test(&self) -> Test {
        let pooled = self.seeds.as_ref().is_some_and(|seeds| seeds.pooled);
        let images = self.images.as_ref().map_or(Images::Ignored, |i| i.source);
        match self.pairing {
            Pairing::Shared => Test::Paired { pooled, images },
            Pairing::Separate => Test::Welch { pooled, images },
            Pairing::Reported => Test::OneSample { pooled, images },
        }
    }
}

/// Back from logarithms to ratios.
fn scaled(value: f64, question: Question) -> f64 {
    match question {
        Question::Ratio { .. } => value.exp(),
        _ => value,
    }
}

fn on_scale(interval: Interval, question: Question) -> Interval {
    Interval {
        low: scaled(interval.low, question),
        high: scaled(interval.high, question),
    }
}

/// The seeds' part of the variance of a difference of means: each side (or the pairs) with its own
/// variance, if it has one, and the number of its runs.
fn seed_noise(sides: &[(Option<Variance>, usize)], prior: Option<Pooled>) -> Option<SeedNoise> {
    let variance = |own: Option<Variance>| prior.map(|p| p.moderated(own)).or(own);
    let sides: Vec<(Variance, f64)> = sides
        .iter()
        .map(|&(own, runs)| Some((variance(own)?, runs as f64)))
        .collect::<Option<_>>()?;
    let total: f64 = sides.iter().map(|(v, runs)| v.value / runs).sum();
    let parts = sides
        .iter()
        .map(|(v, runs)| (v.value / runs).powi(2) / v.degrees_of_freedom);
    let parts: f64 = parts.sum();
    let all: f64 = sides.iter().map(|(v, _)| v.degrees_of_freedom).sum();
    Some(SeedNoise {
        variance: total,
        freedom: if parts > 0.0 {
            total * total / parts
        } else {
            all
        },
        single: sides.iter().map(|(v, _)| v.value).sum(),
        pooled: prior.is_some(),
    })
}

/// The answers of the runs compared, if all were kept.
struct Sides<'a> {
    first: Option<Vec<&'a [bool]>>,
    second: Option<Vec<&'a [bool]>>,
    paired: bool,
}

impl<'a> Sides<'a> {
    fn all(a: &'a Arm, b: &'a Arm) -> Self {
        Self {
            first: a.answers(),
            second: b.answers(),
            paired: false,
        }
    }

    fn paired(shared: &[(&'a Outcome, &'a Outcome)]) -> Self {
        let answers = |side: fn(&(&'a Outcome, &'a Outcome)) -> &'a Outcome| {
            shared
                .iter()
                .map(|pair| side(pair).correct.as_deref())
                .collect()
        };
        Self {
            first: answers(|pair| pair.0),
            second: answers(|pair| pair.1),
            paired: true,
        }
    }

    /// The variance from images by every answer; `None` without answers, or for too few images or too
    /// many seeds.
    fn variance(&self) -> Option<ImageNoise> {
        let (first, second) = (self.first.as_ref()?, self.second.as_ref()?);
        let (n, m) = (first[0].len(), second[0].len());
        let variance = if n != m {
            crossed(Crossed::alone(first))? + crossed(Crossed::alone(second))?
        } else if self.paired {
            crossed(Crossed::paired(first, second))?
        } else {
            crossed(Crossed::separate(first, second))?
        };
        Some(ImageNoise {
            variance,
            source: Images::Answers,
        })
    }
}

fn crossed(crossed: Result<Crossed, EvalError>) -> Option<f64> {
    Some(crossed.ok()?.components().images)
}

fn image_noise(a: &Arm, b: &Arm, sides: &Sides<'_>) -> Option<ImageNoise> {
    sides.variance().or_else(|| {
        Some(ImageNoise {
            variance: binomial(a.mean(), a.test_images()?) + binomial(b.mean(), b.test_images()?),
            source: Images::Binomial,
        })
    })
}

fn image_noise_alone(a: &Arm) -> Option<ImageNoise> {
    let images = a.test_images()?;
    let by_answers = a
        .answers()
        .and_then(|answers| crossed(Crossed::alone(&answers)));
    Some(ImageNoise {
        variance: by_answers.unwrap_or_else(|| binomial(a.mean(), images)),
        source: match by_answers {
            Some(_) => Images::Answers,
            None => Images::Binomial,
        },
    })
}

fn binomial(share: f64, images: u64) -> f64 {
    share * (1.0 - share) / images as f64
}

/// Two trained models, by the images on which they disagree, or by counts.
fn models(
    a: &Arm,
    b: &Arm,
    first: &Outcome,
    second: &Outcome,
    setting: &Setting,
) -> Option<Models> {
    let level = 1.0 - 2.0 * setting.alpha.rate();
    let answers = first.correct.as_deref().zip(second.correct.as_deref());
    if let Some(outcomes) = answers.and_then(|(a, b)| PairedOutcomes::of_correct(a, b).ok()) {
        let tested = outcomes.test();
        return Some(Models {
            test: match tested.exact {
                true => Test::McNemarExact,
                false => Test::McNemarChiSquare,
            },
            p_greater: tested.p_greater,
            p_less: tested.p_less,
            interval: outcomes.interval(level).ok(),
        });
    }
    let counts = proportion(first.value, a.test_images()?);
    let tested = TwoProportionTest::of(counts, proportion(second.value, b.test_images()?)).ok()?;
    Some(Models {
        test: Test::TwoProportion,
        p_greater: tested.p_greater,
        p_less: tested.p_less,
        interval: tested.interval(level).ok(),
    })
}

fn model(a: &Arm, reported: f64, setting: &Setting) -> Option<Models> {
    let counts = proportion(a.mean(), a.test_images()?);
    let tested = OneProportionTest::of(counts, reported).ok()?;
    let level = 1.0 - 2.0 * setting.alpha.rate();
    let wilson = crate::wilson_interval(counts.successes, counts.total, level).ok();
    Some(Models {
        test: Test::OneProportion,
        p_greater: tested.p_greater,
        p_less: tested.p_less,
        interval: wilson.map(|share| Interval {
            low: share.low - reported,
            high: share.high - reported,
        }),
    })
}

fn proportion(share: f64, total: u64) -> Proportion {
    Proportion {
        successes: (share * total as f64).round() as u64,
        total,
    }
}
