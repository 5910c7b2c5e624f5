//! The little language of papers' declarations: `run@variant.metric`, and claims over such terms,
//! `a.accuracy > b.accuracy`, `a.accuracy > 99.05%`, `a.accuracy > max(b.accuracy, c.accuracy)`.

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

/// Names of the quantities that are not metrics.
const QUANTITIES: &[(&str, Quantity)] = &[
    ("learning_rate", Quantity::LearningRate),
    ("train_loss", Quantity::TrainLoss),
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
            _ => false,
        }
    }

    /// Whether it is an accuracy, so that a single seed can be judged by its test images.
    pub(crate) fn is_accuracy(self) -> bool {
        self == Self::Test(Metric::Accuracy)
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
    /// A printed number.
    Number(f64),
    /// The best of several.
    Max(Vec<Term>),
}

/// "This is greater than that."
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Check {
    pub(crate) text: String,
    pub(crate) greater: Side,
    pub(crate) less: Side,
}

impl Check {
    /// The terms on both sides.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        [&self.greater, &self.less]
            .into_iter()
            .flat_map(|side| match side {
                Side::Term(term) => std::slice::from_ref(term),
                Side::Number(_) => &[],
                Side::Max(terms) => terms.as_slice(),
            })
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
        let (digits, unit) = match text.strip_suffix('%') {
            Some(digits) => (digits.trim(), 0.01),
            None => (text, 1.0),
        };
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::Number(number * unit)),
            _ => text.parse().map(Self::Term),
        }
    }
}

impl TryFrom<String> for Check {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (greater, less) = text
            .split_once('>')
            .ok_or_else(|| format!("\"{text}\" is no claim; write a.metric > b.metric"))?;
        let (greater, less): (Side, Side) = (greater.parse()?, less.parse()?);
        match (&greater, &less) {
            (Side::Max(_), _) => Err(format!("\"{text}\": max(...) stands on the right only")),
            (Side::Number(_), Side::Term(_)) | (Side::Term(_), _) => Ok(Self {
                text: text.clone(),
                greater,
                less,
            }),
            _ => Err(format!("\"{text}\" compares no run")),
        }
    }
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
    fn claims_compare_runs_numbers_and_the_best_of_several() {
        let best = check("a.accuracy > max(b.accuracy, c.accuracy)").unwrap();
        assert_eq!(best.terms().count(), 3);
        let printed = check("a.accuracy > 99.05%").unwrap();
        let Side::Number(number) = printed.less else {
            panic!("{printed:?}")
        };
        assert!((number - 0.9905).abs() < 1e-12);
        assert!(matches!(
            check("99.5% > a.accuracy").unwrap().greater,
            Side::Number(_)
        ));
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for text in [
            "a.accuracy",
            "a > b",
            "a.beauty > 1",
            "1 > 2",
            "max(a.accuracy) > 1",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
