//! The little language of papers' declarations: `run@variant.metric`, and claims over such terms:
//!
//! | claim | meaning |
//! |---|---|
//! | `a.accuracy > b.accuracy` | greater |
//! | `a.accuracy > b.accuracy + 5%` | greater by more than that |
//! | `a.accuracy > 99.05%` | greater than a reported number |
//! | `a.accuracy > max(b.accuracy, c.accuracy)` | greater than each of them |
//! | `a.accuracy ~ b.accuracy + 10% within 3%` | the difference is about that |
//! | `a.epoch_seconds / b.epoch_seconds ~ 10 within x2` | the ratio is about that |
//! | `a.parameters / b.parameters > 5` | the ratio is greater than that |
//! | `a.accuracy !> b.accuracy within 0.2%` | a does not improve on b: not by more than that |

use hw_eval::Metric;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A number that every seed of a run has: `run.metric`, or `run@variant.metric` on a changed test
/// set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Term {
    pub(crate) run: String,
    pub(crate) variant: Option<String>,
    pub(crate) quantity: Quantity,
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Quantity {
    /// A metric on the test set.
    Test(Metric),
    /// The learning rate used.
    LearningRate,
    /// Mean training loss of the last epoch.
    TrainLoss,
    /// Training accuracy of the last epoch, as it was trained (dropout included).
    TrainAccuracy,
    /// Validation accuracy of the epoch whose weights are kept.
    ValAccuracy,
    /// Validation loss of the last epoch.
    ValLoss,
    /// The lowest validation loss of all epochs.
    ValLossBest,
    /// Seconds of training steps until the epoch whose weights are kept was over.
    BestSeconds,
    /// Mean seconds of training steps an epoch.
    EpochSeconds,
    /// Mean milliseconds a training step.
    StepMs,
    /// Microseconds of training an image.
    ImageMicroseconds,
    /// Epochs trained until early stopping or the end.
    Epochs,
    /// Seconds for all test images.
    TestSeconds,
    /// Share of the test images that are in the training set.
    Shared,
    /// Images that were tested on.
    TestImages,
    /// Seconds of training steps.
    TrainSeconds,
    /// Training images a second.
    TrainRate,
    /// Median milliseconds for one image.
    Latency,
    /// Images a second in batches of 256.
    InferenceRate,
    /// Trainable parameters.
    Parameters,
    /// Multiply-accumulates an image.
    Macs,
    /// Layers as papers count them.
    Layers,
}

/// What a difference of two values is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Percentage points of a share.
    Points,
    /// Of a loss.
    Nats,
    Seconds,
    Milliseconds,
    Microseconds,
    ImagesPerSecond,
    Count,
    /// One value over the other.
    Ratio,
}

impl Unit {
    /// Its word after a number.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Nats => "nats",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::ImagesPerSecond => "images/s",
            Self::Count => "",
            Self::Ratio => "times",
        }
    }

    /// A value in this unit: points of a share are a hundred times as many.
    pub(crate) fn of(self, value: f64) -> f64 {
        if self == Self::Points {
            value * 100.0
        } else {
            value
        }
    }
}

/// Names of the quantities that are not metrics.
const QUANTITIES: &[(&str, Quantity)] = &[
    ("learning_rate", Quantity::LearningRate),
    ("train_loss", Quantity::TrainLoss),
    ("train_accuracy", Quantity::TrainAccuracy),
    ("val_accuracy", Quantity::ValAccuracy),
    ("val_loss", Quantity::ValLoss),
    ("val_loss_best", Quantity::ValLossBest),
    ("best_seconds", Quantity::BestSeconds),
    ("epoch_seconds", Quantity::EpochSeconds),
    ("step_ms", Quantity::StepMs),
    ("image_us", Quantity::ImageMicroseconds),
    ("epochs", Quantity::Epochs),
    ("test_seconds", Quantity::TestSeconds),
    ("shared", Quantity::Shared),
    ("test_images", Quantity::TestImages),
    ("train_seconds", Quantity::TrainSeconds),
    ("train_images_per_second", Quantity::TrainRate),
    ("latency_ms", Quantity::Latency),
    ("inference_images_per_second", Quantity::InferenceRate),
    ("parameters", Quantity::Parameters),
    ("macs", Quantity::Macs),
    ("layers", Quantity::Layers),
];

impl Quantity {
    /// Whether it follows from the declaration alone, so that no seed and no scale changes it.
    pub(crate) fn is_structural(self) -> bool {
        matches!(
            self,
            Self::Parameters | Self::Macs | Self::Layers | Self::LearningRate
        )
    }

    /// Whether it is a share, written in per cent.
    pub(crate) fn is_share(self) -> bool {
        match self {
            Self::Test(metric) => !matches!(metric, Metric::Brier | Metric::LogLoss),
            Self::TrainAccuracy | Self::ValAccuracy | Self::Shared => true,
            _ => false,
        }
    }

    /// Whether more of it is better.
    pub(crate) fn higher_is_better(self) -> bool {
        match self {
            Self::Test(metric) => metric.higher_is_better(),
            Self::TrainAccuracy | Self::ValAccuracy | Self::TrainRate | Self::InferenceRate => true,
            _ => false,
        }
    }

    /// Whether it is an accuracy, so that a single seed can be judged by its images.
    pub(crate) fn is_accuracy(self) -> bool {
        matches!(self, Self::Test(Metric::Accuracy) | Self::ValAccuracy)
    }

    /// Whether it is a time or a rate of training: judged only where it was measured alone.
    pub(crate) fn is_training_time(self) -> bool {
        matches!(
            self,
            Self::TrainSeconds
                | Self::TrainRate
                | Self::BestSeconds
                | Self::EpochSeconds
                | Self::StepMs
                | Self::ImageMicroseconds
        )
    }

    /// What its values are counted in, for readers.
    pub(crate) fn unit(self) -> Unit {
        match self {
            _ if self.is_share() => Unit::Points,
            Self::Test(_) | Self::TrainLoss | Self::ValLoss | Self::ValLossBest => Unit::Nats,
            Self::TrainSeconds | Self::BestSeconds | Self::EpochSeconds | Self::TestSeconds => {
                Unit::Seconds
            }
            Self::StepMs | Self::Latency => Unit::Milliseconds,
            Self::ImageMicroseconds => Unit::Microseconds,
            Self::TrainRate | Self::InferenceRate => Unit::ImagesPerSecond,
            _ => Unit::Count,
        }
    }

    /// Whether it is a time or a rate, which say as much about the machine as about the network.
    pub(crate) fn is_time(self) -> bool {
        matches!(
            self,
            Self::TrainSeconds
                | Self::TrainRate
                | Self::BestSeconds
                | Self::EpochSeconds
                | Self::StepMs
                | Self::ImageMicroseconds
                | Self::TestSeconds
                | Self::Latency
                | Self::InferenceRate
        )
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some((_, quantity)) = QUANTITIES.iter().find(|(known, _)| *known == name) {
            return Ok(*quantity);
        }
        name.parse()
            .map(Self::Test)
            .map_err(|error: hw_eval::EvalError| {
                let others: Vec<&str> = QUANTITIES.iter().map(|(known, _)| *known).collect();
                format!("{error}, {}", others.join(", "))
            })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(metric) => metric.fmt(f),
            other => {
                let known = QUANTITIES.iter().find(|(_, quantity)| quantity == other);
                f.write_str(known.map_or("", |(name, _)| name))
            }
        }
    }
}

impl FromStr for Term {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Run ids may hold dots inside variants ("noise-0.1"), so the metric is after the last one.
        let (head, quantity) = text
            .trim()
            .rsplit_once('.')
            .ok_or_else(|| format!("\"{text}\" is no term; write run.metric"))?;
        let (run, variant) = match head.split_once('@') {
            Some((run, variant)) => (run, Some(variant.to_string())),
            None => (head, None),
        };
        Ok(Self {
            run: run.into(),
            variant,
            quantity: quantity.parse()?,
        })
    }
}

impl TryFrom<String> for Term {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self
            .variant
            .as_ref()
            .map(|v| format!("@{v}"))
            .unwrap_or_default();
        write!(f, "{}{variant}.{}", self.run, self.quantity)
    }
}

/// One side of a check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Side {
    /// A run's number.
    Term(Term),
    /// A reported number.
    Number(f64),
    /// The best of several.
    Max(Vec<Term>),
}

/// What a check says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    /// `greater > less + margin`.
    Greater {
        greater: Side,
        less: Side,
        margin: f64,
    },
    /// `a - b` is `offset`, give or take `margin`.
    About {
        a: Term,
        b: Term,
        offset: f64,
        margin: f64,
    },
    /// `a - b` is at most `margin`: a does not improve on b.
    NotGreater { a: Term, b: Term, margin: f64 },
    /// `a / b > ratio`.
    RatioGreater { a: Term, b: Term, ratio: f64 },
    /// `a / b` is `ratio`, give or take a `factor`.
    Ratio {
        a: Term,
        b: Term,
        ratio: f64,
        factor: f64,
    },
}

/// A part of a claim that can be checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Check {
    pub(crate) text: String,
    pub(crate) relation: Relation,
}

impl Check {
    /// The terms of all sides.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        let (first, second): (&[Term], &[Term]) = match &self.relation {
            Relation::Greater { greater, less, .. } => (greater.terms(), less.terms()),
            Relation::About { a, b, .. }
            | Relation::Ratio { a, b, .. }
            | Relation::RatioGreater { a, b, .. }
            | Relation::NotGreater { a, b, .. } => {
                (std::slice::from_ref(a), std::slice::from_ref(b))
            }
        };
        first.iter().chain(second)
    }
}

impl Side {
    pub(crate) fn terms(&self) -> &[Term] {
        match self {
            Self::Term(term) => std::slice::from_ref(term),
            Self::Number(_) => &[],
            Self::Max(terms) => terms,
        }
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(list) = text
            .strip_prefix("max(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            return list
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Self::Max);
        }
        match number(text) {
            Some(number) => Ok(Self::Number(number)),
            None => text.parse().map(Self::Term),
        }
    }
}

/// "99.05%" or "0.9905".
fn number(text: &str) -> Option<f64> {
    let (digits, unit) = match text.trim().strip_suffix('%') {
        Some(digits) => (digits.trim(), 0.01),
        None => (text.trim(), 1.0),
    };
    let number = digits.parse::<f64>().ok().filter(|n| n.is_finite());
    number.map(|number| number * unit)
}

impl TryFrom<String> for Check {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some((a, b)) = text.split_once("!>") {
            let relation = not_greater(&text, a, b)?;
            return Ok(Self { text, relation });
        }
        let relation = match (text.split_once('>'), text.split_once('~')) {
            (Some((ratio, least)), None) if ratio.contains(" / ") => {
                ratio_greater(&text, ratio, least)?
            }
            (Some((greater, less)), None) => self::greater(&text, greater, less)?,
            (None, Some((what, value))) => about(&text, what, value)?,
            _ => return Err(format!("\"{text}\" is no claim; write a.metric > b.metric")),
        };
        Ok(Self { text, relation })
    }
}

fn greater(text: &str, greater: &str, less: &str) -> Result<Relation, String> {
    let (less, margin) = match less.split_once(" + ") {
        Some((less, margin)) => {
            let margin =
                number(margin).ok_or_else(|| format!("\"{text}\": {margin} is no margin"))?;
            (less, margin)
        }
        None => (less, 0.0),
    };
    let (greater, less): (Side, Side) = (greater.parse()?, less.parse()?);
    match (&greater, &less) {
        (Side::Max(_), _) => Err(format!("\"{text}\": max(...) stands on the right only")),
        (Side::Number(_), Side::Term(_)) | (Side::Term(_), _) => Ok(Relation::Greater {
            greater,
            less,
            margin,
        }),
        _ => Err(format!("\"{text}\" compares no run")),
    }
}

/// `a !> b within 0.2%`.
fn not_greater(text: &str, a: &str, b: &str) -> Result<Relation, String> {
    let wrong = || format!("\"{text}\": write a.metric !> b.metric within 0.2%");
    let (b, margin) = b.split_once(" within ").ok_or_else(wrong)?;
    Ok(Relation::NotGreater {
        a: a.parse()?,
        b: b.parse()?,
        margin: number(margin).filter(|m| *m > 0.0).ok_or_else(wrong)?,
    })
}

/// `a / b > 5`.
fn ratio_greater(text: &str, ratio: &str, least: &str) -> Result<Relation, String> {
    let wrong = || format!("\"{text}\": write a.metric / b.metric > 5");
    let (a, b) = ratio.split_once(" / ").ok_or_else(wrong)?;
    Ok(Relation::RatioGreater {
        a: a.parse()?,
        b: b.parse()?,
        ratio: number(least).filter(|r| *r > 0.0).ok_or_else(wrong)?,
    })
}

/// `a ~ b + 10% within 3%`, or `a / b ~ 10 within x2`.
fn about(text: &str, what: &str, value: &str) -> Result<Relation, String> {
    let wrong = || format!("\"{text}\": write a ~ b + 10% within 3%, or a / b ~ 10 within x2");
    let (value, width) = value.split_once(" within ").ok_or_else(wrong)?;
    if let Some((a, b)) = what.split_once(" / ") {
        let factor = width.trim().strip_prefix('x').and_then(number);
        return Ok(Relation::Ratio {
            a: a.parse()?,
            b: b.parse()?,
            ratio: number(value).ok_or_else(wrong)?,
            factor: factor.ok_or_else(wrong)?,
        });
    }
    let (b, offset) = match value.split_once(" + ") {
        Some((b, offset)) => (b, number(offset).ok_or_else(wrong)?),
        None => (value, 0.0),
    };
    Ok(Relation::About {
        a: what.parse()?,
        b: b.parse()?,
        offset,
        margin: number(width).ok_or_else(wrong)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Check, String> {
        text.to_string().try_into()
    }

    #[test]
    fn terms_name_a_run_a_variant_and_a_quantity() {
        let term: Term = "bn-cnn@noise-0.1.accuracy".parse().unwrap();
        assert_eq!(
            (term.run.as_str(), term.variant.as_deref()),
            ("bn-cnn", Some("noise-0.1"))
        );
        assert!(term.quantity.is_accuracy());
        assert_eq!(term.to_string(), "bn-cnn@noise-0.1.accuracy");
        let parameters: Term = "lenet5.parameters".parse().unwrap();
        assert_eq!(parameters.quantity, Quantity::Parameters);
        assert_eq!(parameters.to_string(), "lenet5.parameters");
    }

    #[test]
    fn every_quantity_is_read_back_by_its_name() {
        for (name, quantity) in QUANTITIES {
            assert_eq!(name.parse::<Quantity>().as_ref(), Ok(quantity));
            assert_eq!(quantity.to_string(), *name);
        }
    }

    #[test]
    fn claims_compare_runs_numbers_and_the_best_of_several() {
        let best = check("a.accuracy > max(b.accuracy, c.accuracy)").unwrap();
        assert_eq!(best.terms().count(), 3);
        let reported = check("a.accuracy > 99.05%").unwrap();
        let Relation::Greater {
            less: Side::Number(number),
            ..
        } = reported.relation
        else {
            panic!("{reported:?}")
        };
        assert!((number - 0.9905).abs() < 1e-12);
        let goal = check("99.5% > a.accuracy").unwrap();
        assert_eq!(goal.terms().count(), 1);
    }

    #[test]
    fn claims_about_a_difference_or_a_ratio_say_how_much_is_about() {
        let term = |text: &str| text.parse::<Term>().unwrap();
        let (a, b) = (term("a.accuracy"), term("b.accuracy"));
        let apart = check("a.accuracy ~ b.accuracy + 10% within 3%").unwrap();
        let Relation::About { offset, margin, .. } = apart.relation else {
            panic!("{apart:?}")
        };
        assert!((offset - 0.1).abs() < 1e-12 && (margin - 0.03).abs() < 1e-12);
        let ratio = check("a.accuracy / b.accuracy ~ 8 within x2").unwrap();
        let expected = Relation::Ratio {
            a,
            b,
            ratio: 8.0,
            factor: 2.0,
        };
        assert_eq!(ratio.relation, expected);
        let bound = check("a.macs / b.macs > 5").unwrap();
        assert!(matches!(bound.relation, Relation::RatioGreater { ratio, .. } if ratio == 5.0));
        let no_better = check("a.accuracy !> b.accuracy within 0.2%").unwrap();
        assert!(
            matches!(no_better.relation, Relation::NotGreater { margin, .. } if margin == 0.002)
        );
        let margin = check("a.accuracy > b.accuracy + 5%").unwrap();
        assert!(matches!(margin.relation, Relation::Greater { margin, .. } if margin > 0.049));
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for text in [
            "a.accuracy",
            "a > b",
            "a.beauty > 1",
            "1 > 2",
            "max(a.accuracy) > 1",
            "a.accuracy ~ b.accuracy",
            "a.accuracy / b.accuracy ~ 2 within 3%",
            "a.accuracy > b.accuracy + much",
            "a.accuracy !> b.accuracy",
            "a.accuracy !> b.accuracy within 0",
            "a.accuracy / b.accuracy > 0",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
