//! An update rule of any kind as one type.

use super::rule::{Constant, Step, UpdateRule};
use super::{BUILT_IN, REGISTERED};
use crate::error::{Result, TrainError};
use hw_core::Named;
use hw_kernels::pieces;
use serde::ser::Error;
use serde_json::{Map, Value};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// An update rule with its constants; the learning rate is a field of the run.
///
/// As JSON an object, `{"name":"momentum","momentum":0.9}`; as text `momentum`, `keras:momentum`,
/// `momentum:momentum=0.8`.
#[derive(Clone)]
pub struct Optimizer(Arc<dyn AnyRule>);

/// What does not depend on a rule's constants.
#[derive(Clone, Copy)]
struct Facts {
    name: &'static str,
    about: &'static str,
    source: &'static str,
    learning_rate: f32,
    slots: &'static [&'static str],
}

/// An [`UpdateRule`] whose number of slots and constants are not known to the compiler.
trait AnyRule: Any + fmt::Debug + Send + Sync {
    fn facts(&self) -> Facts;
    fn keras(&self) -> Option<Optimizer>;
    fn pytorch(&self) -> Option<Optimizer>;
    fn constants(&self) -> Vec<Constant>;
    fn start(&self) -> Vec<f32>;
    fn factor(&self, step: u64) -> f64;
    fn update(&self, w: &mut [f32], slots: &mut [Vec<f32>], g: &[f32], step: Step);
    fn equals(&self, other: &dyn Any) -> bool;
    /// The constants' JSON form, words included.
    fn fields(&self) -> serde_json::Result<Map<String, Value>>;
    /// The same rule with these constants, defaults for those that are missing.
    fn with_fields(&self, fields: Map<String, Value>) -> serde_json::Result<Optimizer>;
}

struct Typed<const SLOTS: usize, R>(R);

impl<const SLOTS: usize, R: fmt::Debug> fmt::Debug for Typed<SLOTS, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const SLOTS: usize, R: UpdateRule<SLOTS>> AnyRule for Typed<SLOTS, R> {
    fn facts(&self) -> Facts {
        Facts {
            name: R::NAME,
            about: R::ABOUT,
            source: R::SOURCE,
            learning_rate: R::LEARNING_RATE,
            slots: &R::SLOTS,
        }
    }

    fn keras(&self) -> Option<Optimizer> {
        R::keras().map(Optimizer::new)
    }

    fn pytorch(&self) -> Option<Optimizer> {
        R::pytorch().map(Optimizer::new)
    }

    fn constants(&self) -> Vec<Constant> {
        self.0.constants()
    }

    fn start(&self) -> Vec<f32> {
        self.0.start().to_vec()
    }

    fn factor(&self, step: u64) -> f64 {
        self.0.factor(step)
    }

    fn update(&self, w: &mut [f32], slots: &mut [Vec<f32>], g: &[f32], step: Step) {
        let slots: &mut [Vec<f32>; SLOTS] = slots
            .try_into()
            .expect("a state is made with its own rule's slots");
        let slots = slots.each_mut().map(Vec::as_mut_slice);
        pieces(w, slots, g, |w, slots, g| self.0.update(w, slots, g, step));
    }

    fn equals(&self, other: &dyn Any) -> bool {
        let other = other.downcast_ref::<Self>();
        other.is_some_and(|other| other.0 == self.0)
    }

    fn fields(&self) -> serde_json::Result<Map<String, Value>> {
        match serde_json::to_value(&self.0)? {
            Value::Object(fields) => Ok(fields),
            other => Err(Error::custom(format!("{other} is no JSON object"))),
        }
    }

    fn with_fields(&self, fields: Map<String, Value>) -> serde_json::Result<Optimizer> {
        serde_json::from_value(Value::Object(fields)).map(|rule: R| Optimizer::new(rule))
    }
}

impl Optimizer {
    /// A rule with its constants. One that is not ours must be [registered](super::register) too, or
    /// what a run writes cannot be read.
    pub fn new<const SLOTS: usize, R: UpdateRule<SLOTS>>(rule: R) -> Self {
        Self(Arc::new(Typed::<SLOTS, R>(rule)))
    }

    /// Every rule with its default constants: ours, then those registered.
    pub fn all() -> Vec<Self> {
        let registered = REGISTERED.all().into_iter().map(|rule| (*rule).clone());
        BUILT_IN.iter().cloned().chain(registered).collect()
    }

    /// The rule of that name with its default constants.
    pub(super) fn find(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|rule| rule.name() == name)
    }

    /// The name used on the command line and in config files.
    pub fn name(&self) -> &'static str {
        self.0.facts().name
    }

    /// What it does, in one line.
    pub fn about(&self) -> &'static str {
        self.0.facts().about
    }

    /// Who proposed it.
    pub fn source(&self) -> &'static str {
        self.0.facts().source
    }

    /// A learning rate that usually works with this rule.
    pub fn default_learning_rate(&self) -> f32 {
        self.0.facts().learning_rate
    }

    /// This rule with Keras's constants, if Keras has it.
    pub fn keras(&self) -> Option<Self> {
        self.0.keras()
    }

    /// This rule with PyTorch's constants, if PyTorch has it.
    pub fn pytorch(&self) -> Option<Self> {
        self.0.pytorch()
    }

    /// Its constants that are numbers.
    pub fn constants(&self) -> Vec<Constant> {
        self.0.constants()
    }

    /// Names of the values kept for each weight.
    pub(super) fn slots(&self) -> &'static [&'static str] {
        self.0.facts().slots
    }

    /// Where each slot starts.
    pub(super) fn start(&self) -> Vec<f32> {
        self.0.start()
    }

    /// Its constants' JSON form, words included.
    pub(super) fn fields(&self) -> serde_json::Result<Map<String, Value>> {
        self.0.fields()
    }

    /// The same rule with these constants, default ones where they are missing.
    pub(super) fn with_fields(&self, fields: Map<String, Value>) -> serde_json::Result<Self> {
        self.0.with_fields(fields)
    }

    pub(super) fn factor(&self, step: u64) -> f64 {
        self.0.factor(step)
    }

    /// Updates `w` and its slots, which are [`Self::slots`] many.
    pub(super) fn update(&self, w: &mut [f32], slots: &mut [Vec<f32>], g: &[f32], step: Step) {
        self.0.update(w, slots, g, step);
    }

    /// Sets a constant to what is written: a number, or one of its words.
    ///
    /// # Errors
    /// A sentence that names the constants there are, or what this one may be.
    pub fn set(&mut self, constant: &str, value: &str) -> std::result::Result<(), String> {
        let name = self.name();
        let of_rule = |problem: String| format!("optimizer {name}: {problem}");
        let number = value.parse::<f32>();
        if number.as_ref().is_ok_and(|number| !number.is_finite()) {
            return Err(of_rule(format!("{constant} is {value}, no finite number")));
        }
        let value = number.map_or_else(|_| Value::from(value), Value::from);
        let mut fields = self
            .0
            .fields()
            .map_err(|error| of_rule(error.to_string()))?;
        fields.insert(constant.replace('-', "_"), value);
        *self = self
            .0
            .with_fields(fields)
            .map_err(|error| of_rule(format!("{constant}: {error}")))?;
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |field: String, value: String, expected: &str| {
            Err(TrainError::Config {
                field,
                value,
                expected: expected.into(),
            })
        };
        let name = self.name();
        if Self::find(name).is_none() {
            return refuse("optimizer".into(), name.into(), "one that is registered");
        }
        let wrong = |constant: &Constant| !constant.range.holds(constant.value);
        match self.constants().into_iter().find(wrong) {
            None => Ok(()),
            Some(Constant {
                name: constant,
                value,
                range,
            }) => refuse(
                format!("{name}'s {}", constant.replace('_', " ")),
                value.to_string(),
                range.expected(),
            ),
        }
    }

    /// Whether the rule's default constants keep what [`UpdateRule`] promises of JSON.
    ///
    /// # Errors
    /// What is not kept.
    pub(super) fn probe(&self) -> std::result::Result<(), String> {
        let fields = self.0.fields().map_err(|error| error.to_string())?;
        let mut unknown = fields.clone();
        unknown.insert("no such constant".into(), Value::from(0));
        if self.0.with_fields(unknown).is_ok() {
            return Err("constants that it does not have are not refused".into());
        }
        for (given, which) in [(Map::new(), "default ones"), (fields, "its own")] {
            if self.0.with_fields(given).ok().as_ref() != Some(self) {
                return Err(format!("its constants do not come back from {which}"));
            }
        }
        self.check_constants_are_listed()
    }

    fn check_constants_are_listed(&self) -> std::result::Result<(), String> {
        let fields = self.0.fields().map_err(|error| error.to_string())?;
        let constants = self.constants();
        let listed = |name: &str| constants.iter().any(|constant| constant.name == name);
        match fields
            .iter()
            .find(|(name, value)| value.is_number() && !listed(name))
        {
            Some((name, _)) => Err(format!("its constants do not list '{name}'")),
            None => Ok(()),
        }
    }
}

impl Named for Optimizer {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn about(&self) -> &'static str {
        self.about()
    }

    fn source(&self) -> &'static str {
        self.source()
    }
}

impl Default for Optimizer {
    /// Adam with its default constants.
    fn default() -> Self {
        Self::new(super::adam::Adam::default())
    }
}

impl fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Optimizer {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::adam::Adam;
    use super::super::register;
    use super::*;
    use hw_core::RegisterError;

    #[test]
    fn a_constant_out_of_range_is_refused_by_its_name() {
        let message = |text: &str| {
            let rule: Optimizer = text.parse().unwrap();
            rule.check().unwrap_err().to_string()
        };
        let negative = message("adamw:weight_decay=-1");
        assert!(
            negative.contains("adamw's weight decay is -1"),
            "{negative}"
        );
        assert!(message("keras:nesterov:momentum=1").contains("[0, 1)"));
    }

    /// A rule that is not ours.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Halving {
        threshold: f32,
    }

    impl UpdateRule<1> for Halving {
        const NAME: &'static str = "halving";
        const ABOUT: &'static str = "w *= 1/2";
        const SOURCE: &'static str = "-";
        const LEARNING_RATE: f32 = 1.0;
        const SLOTS: [&'static str; 1] = ["count"];

        fn constants(&self) -> Vec<Constant> {
            vec![Constant::finite("threshold", self.threshold)]
        }

        fn update(&self, w: &mut [f32], _: [&mut [f32]; 1], _: &[f32], _: Step) {
            w.iter_mut().for_each(|w| *w *= 0.5);
        }
    }

    /// One that takes every constant for its own.
    #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(default)]
    struct Lenient {}

    impl UpdateRule<0> for Lenient {
        const NAME: &'static str = "lenient";
        const ABOUT: &'static str = "-";
        const SOURCE: &'static str = "-";
        const LEARNING_RATE: f32 = 1.0;
        const SLOTS: [&'static str; 0] = [];

        fn constants(&self) -> Vec<Constant> {
            vec![]
        }

        fn update(&self, _: &mut [f32], _: [&mut [f32]; 0], _: &[f32], _: Step) {}
    }

    #[test]
    fn a_registered_rule_is_one_like_ours() {
        let own = Optimizer::new(Halving { threshold: 2.0 });
        let unknown = own.check().unwrap_err().to_string();
        assert!(unknown.contains("registered"), "{unknown}");
        register(Halving::default()).unwrap();
        own.check().unwrap();
        assert_eq!("halving:threshold=2".parse().as_ref(), Ok(&own));
        let json = serde_json::to_string(&own).unwrap();
        assert_eq!(json, r#"{"name":"halving","threshold":2.0}"#);
        assert_eq!(serde_json::from_str::<Optimizer>(&json).unwrap(), own);
        assert!(Optimizer::all().iter().any(|rule| rule.name() == "halving"));
        assert!("adan".parse::<Optimizer>().unwrap_err().contains("halving"));
        let absent = "keras:halving".parse::<Optimizer>().unwrap_err();
        assert_eq!(absent, "keras has no optimizer 'halving'");

        let again = register(Halving::default()).unwrap_err();
        assert!(matches!(again, RegisterError::Taken { .. }), "{again}");
        let adam = register(Adam::default()).unwrap_err();
        assert_eq!(adam.to_string(), "optimizer 'adam' exists already");
        let lenient = register(Lenient::default()).unwrap_err().to_string();
        assert!(lenient.contains("not refused"), "{lenient}");
        let other_defaults = register(Halving { threshold: 1.0 }).unwrap_err();
        assert!(matches!(other_defaults, RegisterError::Unfit { .. }));
    }
}
