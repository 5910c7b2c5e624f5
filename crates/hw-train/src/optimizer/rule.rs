//! What an update rule is: the trait that ours implement, and another crate's.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// An update rule: its constants are its fields, and `SLOTS` the number of values that it keeps for
/// each weight.
///
/// Configurations hold the constants under their fields' names, so a rule derives serde's traits with
/// `#[serde(default, deny_unknown_fields)]`; [`register`](super::register) refuses one that does not
/// behave so. Constants that are numbers are `f32`.
///
/// ```
/// use hw_train::optimizer::{self, Constant, Step, UpdateRule};
/// use hw_train::{Optimizer, OptimizerState};
/// use serde::{Deserialize, Serialize};
///
/// /// Rprop without its memory: every weight moves by the learning rate, whatever the gradient's size.
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct SignDescent {
///     dead_zone: f32,
/// }
///
/// impl Default for SignDescent {
///     fn default() -> Self {
///         Self { dead_zone: 0.0 }
///     }
/// }
///
/// impl UpdateRule<0> for SignDescent {
///     const NAME: &'static str = "sign-descent";
///     const ABOUT: &'static str = "w -= lr sign(g)";
///     const SOURCE: &'static str = "Riedmiller & Braun 1993";
///     const LEARNING_RATE: f32 = 1e-4;
///     const SLOTS: [&'static str; 0] = [];
///
///     fn constants(&self) -> Vec<Constant> {
///         vec![Constant::not_negative("dead_zone", self.dead_zone)]
///     }
///
///     fn update(&self, w: &mut [f32], []: [&mut [f32]; 0], g: &[f32], step: Step) {
///         for (w, g) in w.iter_mut().zip(g) {
///             if g.abs() > self.dead_zone {
///                 *w -= step.learning_rate * g.signum();
///             }
///         }
///     }
/// }
///
/// optimizer::register(SignDescent::default())?;
/// let rule: Optimizer = "sign-descent:dead_zone=0.5".parse()?;
/// let mut state = OptimizerState::flat(rule, 2);
/// let mut w = [1.0, 1.0];
/// state.begin_step();
/// state.update(0, &mut w, &[0.1, -3.0], 0.25);
/// assert_eq!(w, [1.0, 1.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait UpdateRule<const SLOTS: usize>:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The name used on the command line and in config files.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// Who proposed it.
    const SOURCE: &'static str;
    /// A learning rate that usually works with it.
    const LEARNING_RATE: f32;
    /// The names of the values kept for each weight, as checkpoints have them.
    const SLOTS: [&'static str; SLOTS];

    /// Keras's constants, if it has the rule.
    fn keras() -> Option<Self> {
        None
    }

    /// PyTorch's constants, if it has the rule.
    fn pytorch() -> Option<Self> {
        None
    }

    /// Every constant that is a number, with what it may be.
    fn constants(&self) -> Vec<Constant>;

    /// Where the slots start.
    fn start(&self) -> [f32; SLOTS] {
        [0.0; SLOTS]
    }

    /// A number that depends on the step alone, counted from 1. [`Step::product`] is the product of those
    /// of all steps so far, for rules whose momentum changes.
    fn factor(&self, step: u64) -> f64 {
        let _ = step;
        1.0
    }

    /// Moves the weights `w` by their gradients `g`, and brings their slots up to date.
    ///
    /// It is called for pieces of the weights, on several threads at once: what happens to a weight may
    /// depend on its own gradient and slots only, and nothing on where a piece begins or how long it is.
    /// [`vectorised!`](hw_kernels::vectorised) makes a function of plain loops fast.
    fn update(&self, w: &mut [f32], slots: [&mut [f32]; SLOTS], g: &[f32], step: Step);
}

/// When an update takes place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Steps of the run so far, this one included.
    pub number: u64,
    /// The step size.
    pub learning_rate: f32,
    /// The product of [`UpdateRule::factor`] over all steps so far, this one included.
    pub product: f64,
}

impl Step {
    /// The first step of a run whose rule has no factors.
    pub const fn first(learning_rate: f32) -> Self {
        Self {
            number: 1,
            learning_rate,
            product: 1.0,
        }
    }
}

/// A constant of an update rule that is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// The field's name.
    pub name: &'static str,
    /// What it is.
    pub value: f32,
    /// What it may be.
    pub range: Range,
}

/// What a constant may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// In [0, 1).
    Fraction,
    /// Finite and above 0.
    Positive,
    /// Finite and at least 0.
    NotNegative,
    /// Finite.
    Finite,
}

impl Constant {
    /// One in [0, 1).
    pub const fn fraction(name: &'static str, value: f32) -> Self {
        Self::new(name, value, Range::Fraction)
    }

    /// A finite one above 0.
    pub const fn positive(name: &'static str, value: f32) -> Self {
        Self::new(name, value, Range::Positive)
    }

    /// A finite one, at least 0.
    pub const fn not_negative(name: &'static str, value: f32) -> Self {
        Self::new(name, value, Range::NotNegative)
    }

    /// One that must only be finite.
    pub const fn finite(name: &'static str, value: f32) -> Self {
        Self::new(name, value, Range::Finite)
    }

    const fn new(name: &'static str, value: f32, range: Range) -> Self {
        Self { name, value, range }
    }
}

impl Range {
    /// Whether `value` is one of those allowed.
    pub fn holds(self, value: f32) -> bool {
        match self {
            Self::Fraction => (0.0..1.0).contains(&value),
            Self::Positive => value.is_finite() && value > 0.0,
            Self::NotNegative => value.is_finite() && value >= 0.0,
            Self::Finite => value.is_finite(),
        }
    }

    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Fraction => "in [0, 1)",
            Self::Positive => "a finite number above 0",
            Self::NotNegative => "a finite number, at least 0",
            Self::Finite => "a finite number",
        }
    }
}
