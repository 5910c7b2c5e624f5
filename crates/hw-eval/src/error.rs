//! What can be wrong with predictions, samples, settings or files handed to this crate.

use std::path::PathBuf;

/// An input this crate cannot evaluate, with the place and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Nothing to evaluate.
    #[error("{what} is empty; at least one value is needed")]
    Empty {
        /// Name of the empty input.
        what: &'static str,
    },
    /// Fewer values than the statistic is defined for.
    #[error("{what} needs at least {needed} values, got {got}")]
    TooFew {
        /// The statistic.
        what: &'static str,
        /// Values it needs.
        needed: usize,
        /// Values it was given.
        got: usize,
    },
    /// Two lengths that must agree do not.
    #[error("{what}: expected {expected} values, got {got}")]
    Length {
        /// Which input.
        what: &'static str,
        /// Length it should have.
        expected: usize,
        /// Length it has.
        got: usize,
    },
    /// A class index outside `0..classes`.
    #[error("{what} of sample {sample} is {label}, but there are {classes} classes (0..={})", classes.saturating_sub(1))]
    Label {
        /// "label" or "prediction".
        what: &'static str,
        /// Index of the sample.
        sample: usize,
        /// The class index found there.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A probability that is negative, above one, infinite or NaN.
    #[error("probability of class {class} for sample {sample} is {value}; it must lie in [0, 1]")]
    Probability {
        /// Index of the sample.
        sample: usize,
        /// Index of the class.
        class: usize,
        /// The value found there.
        value: f32,
    },
    /// A row of probabilities that does not sum to one.
    #[error(
        "probabilities of sample {sample} sum to {sum}, not 1; apply softmax before evaluating"
    )]
    RowSum {
        /// Index of the sample.
        sample: usize,
        /// The sum found.
        sum: f64,
    },
    /// A NaN or an infinity among measured values.
    #[error("{what}: value {index} is {value}, not a finite number")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Index of the value.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// A setting outside its range.
    #[error("{what} is {value}; it must be {expected}")]
    OutOfRange {
        /// The setting.
        what: &'static str,
        /// The value given.
        value: f64,
        /// The values allowed, in words.
        expected: &'static str,
    },
    /// All values are equal, so the statistic would divide by zero.
    #[error("{what} is undefined: the values do not vary")]
    NoSpread {
        /// The statistic.
        what: &'static str,
    },
    /// Two runs of one recipe with the same seed.
    #[error("two runs of \"{arm}\" have seed {seed}; a seed may count only once")]
    SeedTwice {
        /// The recipe.
        arm: String,
        /// The seed.
        seed: u64,
    },
    /// An accuracy that its own answers contradict.
    #[error(
        "the accuracy of seed {seed} is {value}, but {share} of its answers are correct; give both of the same test set"
    )]
    NotItsAnswers {
        /// Seed of the run.
        seed: u64,
        /// The accuracy given.
        value: f64,
        /// Share of correct answers.
        share: f64,
    },
    /// A look that a sequential design does not have.
    #[error("look {look} does not exist; the design has looks 1 to {looks}")]
    NoSuchLook {
        /// The look asked for.
        look: usize,
        /// Looks of the design.
        looks: usize,
    },
    /// A metric's name that does not exist.
    #[error("there is no metric \"{name}\"; the metrics are {known}")]
    UnknownMetric {
        /// The name given.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// A look at a test set with a field that makes no sense.
    #[error("{field} of a look at a test set is \"{value}\", expected {expected}")]
    Look {
        /// The field's name.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be, in words.
        expected: &'static str,
    },
    /// A line of a register of test looks is no look.
    #[error("{path}: line {line} {problem}; correct that line or remove it and keep the others")]
    DamagedRegister {
        /// The register's file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] hw_core::FileError),
    /// The timed function failed.
    #[error("inference failed while it was being timed")]
    Inference(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Refuses NaN and infinities in `values`.
pub(crate) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), EvalError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(EvalError::NotFinite {
            what,
            index,
            value: values[index],
        }),
    }
}

/// Refuses a confidence level outside (0, 1).
pub(crate) fn check_level(level: f64) -> Result<(), EvalError> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(EvalError::OutOfRange {
        what: "confidence level",
        value: level,
        expected: "between 0 and 1, 0.95 for instance",
    })
}
