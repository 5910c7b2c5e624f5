//! The update rules there are, each declared once, with the constants of Keras and of PyTorch.

use crate::error::{Result, TrainError};
use hw_kernels::optim::{AdamEpsilon, AdamaxEpsilon, RootEpsilon};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::mem::discriminant;
use std::str::FromStr;

/// An update rule with its constants; the learning rate is a field of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// `w -= lr g`.
    Sgd {},
    /// Gradient descent with momentum (Polyak 1964): `v = µ v + g`, `w -= lr v`.
    Momentum {
        /// µ.
        #[serde(default = "momentum")]
        momentum: f32,
        /// Whether the velocity sums gradients or steps.
        #[serde(default, skip_serializing_if = "is_default")]
        velocity: Velocity,
    },
    /// Nesterov's momentum (Sutskever et al. 2013): `v = µ v + g`, `w -= lr (g + µ v)`.
    Nesterov {
        /// µ.
        #[serde(default = "momentum")]
        momentum: f32,
        /// Whether the velocity sums gradients or steps.
        #[serde(default, skip_serializing_if = "is_default")]
        velocity: Velocity,
    },
    /// Duchi, Hazan & Singer 2011: `h += g²`, `w -= lr g / (√h + eps)`.
    Adagrad {
        /// Keeps the division finite.
        #[serde(default = "adagrad_eps")]
        eps: f32,
        /// Where `h` starts (Keras .1, PyTorch and the original 0).
        #[serde(default)]
        initial_accumulator: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default, skip_serializing_if = "is_default")]
        epsilon: RootEpsilon,
    },
    /// Tieleman & Hinton 2012: `v = ρ v + (1-ρ) g²`, `w -= lr g / (√v + eps)`.
    Rmsprop {
        /// Decay of the mean square (Keras .9, PyTorch .99).
        #[serde(default = "rho")]
        rho: f32,
        /// Keeps the division finite.
        #[serde(default = "eps")]
        eps: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default)]
        epsilon: RootEpsilon,
    },
    /// Kingma & Ba 2015.
    Adam {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Keeps the division finite.
        #[serde(default = "eps")]
        eps: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default = "corrected")]
        epsilon: AdamEpsilon,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019), on every parameter.
    Adamw {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Keeps the division finite.
        #[serde(default = "eps")]
        eps: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default = "corrected")]
        epsilon: AdamEpsilon,
        /// Share of a weight lost in a step, times the learning rate (Keras .004, PyTorch .01).
        #[serde(default = "weight_decay")]
        weight_decay: f32,
    },
    /// Adam with the infinity norm (Kingma & Ba 2015, algorithm 2).
    Adamax {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the infinity norm.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Keeps the division finite.
        #[serde(default = "eps")]
        eps: f32,
        /// Where it is added: PyTorch's place or Keras's.
        #[serde(default = "on_gradient")]
        epsilon: AdamaxEpsilon,
    },
    /// Adam with Nesterov's momentum (Dozat 2016).
    Nadam {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Keeps the division finite.
        #[serde(default = "eps")]
        eps: f32,
        /// How fast the momentum warms up (Keras 1, PyTorch .004).
        #[serde(default = "momentum_decay")]
        momentum_decay: f32,
    },
}

/// What a velocity is a decaying sum of; it matters when the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Velocity {
    /// Of gradients (PyTorch): a new learning rate also scales old gradients.
    #[default]
    Gradients,
    /// Of steps (Keras): old gradients keep the rate of their time.
    Steps,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
const fn momentum() -> f32 {
    0.9
}
const fn adagrad_eps() -> f32 {
    1e-7
}
const fn rho() -> f32 {
    0.99
}
const fn beta1() -> f32 {
    0.9
}
const fn beta2() -> f32 {
    0.999
}
const fn eps() -> f32 {
    1e-8
}
const fn corrected() -> AdamEpsilon {
    AdamEpsilon::Corrected
}
const fn on_gradient() -> AdamaxEpsilon {
    AdamaxEpsilon::Gradient
}
const fn weight_decay() -> f32 {
    0.01
}
const fn momentum_decay() -> f32 {
    0.004
}

/// Everything about an update rule that does not depend on a run.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The name used on the command line and in config files.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Who proposed it.
    pub source: &'static str,
    /// Its constants if nobody says otherwise.
    pub default: Optimizer,
    /// Keras's defaults.
    pub keras: Optimizer,
    /// PyTorch's defaults.
    pub pytorch: Optimizer,
    /// A learning rate that usually works with it.
    pub learning_rate: f32,
}

const SGD: Optimizer = Optimizer::Sgd {};
const fn momentum_with(velocity: Velocity) -> Optimizer {
    let momentum = momentum();
    Optimizer::Momentum { momentum, velocity }
}
const fn nesterov_with(velocity: Velocity) -> Optimizer {
    let momentum = momentum();
    Optimizer::Nesterov { momentum, velocity }
}
const fn adagrad(eps: f32, initial_accumulator: f32, epsilon: RootEpsilon) -> Optimizer {
    Optimizer::Adagrad {
        eps,
        initial_accumulator,
        epsilon,
    }
}
const fn rmsprop(rho: f32, eps: f32, epsilon: RootEpsilon) -> Optimizer {
    Optimizer::Rmsprop { rho, eps, epsilon }
}
const fn adam(eps: f32, epsilon: AdamEpsilon) -> Optimizer {
    Optimizer::Adam {
        beta1: beta1(),
        beta2: beta2(),
        eps,
        epsilon,
    }
}
const fn adamw(eps: f32, epsilon: AdamEpsilon, weight_decay: f32) -> Optimizer {
    Optimizer::Adamw {
        beta1: beta1(),
        beta2: beta2(),
        eps,
        epsilon,
        weight_decay,
    }
}
const fn adamax(eps: f32, epsilon: AdamaxEpsilon) -> Optimizer {
    Optimizer::Adamax {
        beta1: beta1(),
        beta2: beta2(),
        eps,
        epsilon,
    }
}
const fn nadam(eps: f32, momentum_decay: f32) -> Optimizer {
    Optimizer::Nadam {
        beta1: beta1(),
        beta2: beta2(),
        eps,
        momentum_decay,
    }
}

/// All update rules.
pub const RULES: [Rule; 9] = [
    Rule {
        name: "sgd",
        about: "w -= lr g",
        source: "Robbins & Monro 1951",
        default: SGD,
        keras: SGD,
        pytorch: SGD,
        learning_rate: 0.1,
    },
    Rule {
        name: "momentum",
        about: "gradient descent along a decaying sum of gradients",
        source: "Polyak 1964",
        default: momentum_with(Velocity::Gradients),
        keras: momentum_with(Velocity::Steps),
        pytorch: momentum_with(Velocity::Gradients),
        learning_rate: 0.05,
    },
    Rule {
        name: "nesterov",
        about: "momentum that looks one step ahead",
        source: "Nesterov 1983; Sutskever et al. 2013",
        default: nesterov_with(Velocity::Gradients),
        keras: nesterov_with(Velocity::Steps),
        pytorch: nesterov_with(Velocity::Gradients),
        learning_rate: 0.05,
    },
    Rule {
        name: "adagrad",
        about: "each weight's rate falls with the gradients it has seen",
        source: "Duchi, Hazan & Singer 2011",
        default: adagrad(adagrad_eps(), 0.0, RootEpsilon::Outside),
        keras: adagrad(1e-7, 0.1, RootEpsilon::Inside),
        pytorch: adagrad(1e-10, 0.0, RootEpsilon::Outside),
        learning_rate: 0.01,
    },
    Rule {
        name: "rmsprop",
        about: "gradients over the root of their decaying mean square",
        source: "Tieleman & Hinton 2012",
        default: rmsprop(rho(), eps(), RootEpsilon::Outside),
        keras: rmsprop(0.9, 1e-7, RootEpsilon::Inside),
        pytorch: rmsprop(0.99, 1e-8, RootEpsilon::Outside),
        learning_rate: 1e-3,
    },
    Rule {
        name: "adam",
        about: "momentum and RMSprop, both corrected for their start",
        source: "Kingma & Ba 2015",
        default: adam(eps(), corrected()),
        keras: adam(1e-7, AdamEpsilon::Raw),
        pytorch: adam(1e-8, AdamEpsilon::Corrected),
        learning_rate: 1e-3,
    },
    Rule {
        name: "adamw",
        about: "Adam with decoupled weight decay",
        source: "Loshchilov & Hutter 2019",
        default: adamw(eps(), corrected(), weight_decay()),
        keras: adamw(1e-7, AdamEpsilon::Raw, 0.004),
        pytorch: adamw(1e-8, AdamEpsilon::Corrected, 0.01),
        learning_rate: 1e-3,
    },
    Rule {
        name: "adamax",
        about: "Adam with the infinity norm",
        source: "Kingma & Ba 2015, algorithm 2",
        default: adamax(eps(), on_gradient()),
        keras: adamax(1e-7, AdamaxEpsilon::Norm),
        pytorch: adamax(1e-8, AdamaxEpsilon::Gradient),
        learning_rate: 2e-3,
    },
    Rule {
        name: "nadam",
        about: "Adam with Nesterov's momentum",
        source: "Dozat 2016",
        default: nadam(eps(), momentum_decay()),
        keras: nadam(1e-7, 1.0),
        pytorch: nadam(1e-8, 0.004),
        learning_rate: 1e-3,
    },
];

impl Default for Optimizer {
    fn default() -> Self {
        adam(eps(), corrected())
    }
}

impl Optimizer {
    /// What is known about this rule.
    pub fn rule(&self) -> &'static Rule {
        // A test holds that every variant has its entry.
        let same = |rule: &&Rule| discriminant(&rule.default) == discriminant(self);
        RULES.iter().find(same).unwrap_or(&RULES[0])
    }

    /// Every rule with its default constants.
    pub fn all() -> [Self; RULES.len()] {
        RULES.map(|rule| rule.default)
    }

    /// The name used on the command line and in config files.
    pub fn name(&self) -> &'static str {
        self.rule().name
    }

    /// A learning rate that usually works with this rule.
    pub fn default_learning_rate(&self) -> f32 {
        self.rule().learning_rate
    }

    /// Sets the momentum of a rule that has one; false for the others.
    pub fn set_momentum(&mut self, value: f32) -> bool {
        match self {
            Self::Momentum { momentum, .. } | Self::Nesterov { momentum, .. } => {
                *momentum = value;
                true
            }
            _ => false,
        }
    }

    /// Sets the weight decay of a rule that has one; false for the others.
    pub fn set_weight_decay(&mut self, value: f32) -> bool {
        match self {
            Self::Adamw { weight_decay, .. } => {
                *weight_decay = value;
                true
            }
            _ => false,
        }
    }

    /// Its constants by name, with what each may be.
    fn constants(&self) -> Vec<(&'static str, f32, Range)> {
        match *self {
            Self::Sgd {} => vec![],
            Self::Momentum { momentum, .. } | Self::Nesterov { momentum, .. } => {
                vec![("momentum", momentum, Range::Share)]
            }
            Self::Adagrad {
                eps,
                initial_accumulator,
                ..
            } => vec![
                ("eps", eps, Range::Positive),
                (
                    "initial_accumulator",
                    initial_accumulator,
                    Range::NotNegative,
                ),
            ],
            Self::Rmsprop { rho, eps, .. } => {
                vec![("rho", rho, Range::Share), ("eps", eps, Range::Positive)]
            }
            Self::Adam {
                beta1, beta2, eps, ..
            }
            | Self::Adamax {
                beta1, beta2, eps, ..
            } => moments(beta1, beta2, eps),
            Self::Adamw {
                beta1,
                beta2,
                eps,
                weight_decay,
                ..
            } => {
                let mut constants = moments(beta1, beta2, eps);
                constants.push(("weight_decay", weight_decay, Range::NotNegative));
                constants
            }
            Self::Nadam {
                beta1,
                beta2,
                eps,
                momentum_decay,
            } => {
                let mut constants = moments(beta1, beta2, eps);
                constants.push(("momentum_decay", momentum_decay, Range::NotNegative));
                constants
            }
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |(_, value, range): &(&str, f32, Range)| !range.holds(*value);
        match self.constants().into_iter().find(wrong) {
            None => Ok(()),
            Some((constant, value, range)) => Err(TrainError::Config {
                field: format!("{}'s {}", self.name(), constant.replace('_', " ")),
                value: value.to_string(),
                expected: range.expected().into(),
            }),
        }
    }
}

fn moments(beta1: f32, beta2: f32, eps: f32) -> Vec<(&'static str, f32, Range)> {
    vec![
        ("beta1", beta1, Range::Share),
        ("beta2", beta2, Range::Share),
        ("eps", eps, Range::Positive),
    ]
}

/// What a constant may be.
#[derive(Clone, Copy)]
enum Range {
    Share,
    Positive,
    NotNegative,
}

impl Range {
    fn holds(self, value: f32) -> bool {
        match self {
            Self::Share => (0.0..1.0).contains(&value),
            Self::Positive => value.is_finite() && value > 0.0,
            Self::NotNegative => value.is_finite() && value >= 0.0,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Share => "in [0, 1)",
            Self::Positive => "a finite number above 0",
            Self::NotNegative => "a finite number, at least 0",
        }
    }
}

/// The name and the constants: `adam(beta1=0.9, beta2=0.999, eps=0.00000001)`.
impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let constants = self.constants();
        if constants.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = constants
            .iter()
            .map(|(name, value, _)| format!("{name}={value}"))
            .collect();
        write!(f, "({})", words.join(", "))
    }
}

/// Reads a rule's name, alone or after the library whose constants are meant: `keras:adam`.
impl FromStr for Optimizer {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (library, name) = text
            .split_once(':')
            .map_or((None, text), |(l, n)| (Some(l), n));
        let rule = RULES.iter().find(|rule| rule.name == name).ok_or_else(|| {
            let names = RULES.map(|rule| rule.name).join(", ");
            format!(
                "unknown optimizer '{name}'; known: {names}; each also as keras:NAME and \
                 pytorch:NAME, with that library's constants"
            )
        })?;
        match library {
            None => Ok(rule.default),
            Some("keras") => Ok(rule.keras),
            Some("pytorch") => Ok(rule.pytorch),
            Some(other) => Err(format!("unknown library '{other}'; known: keras, pytorch")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_answers_to_its_own_name_and_serialises_under_it() {
        for rule in RULES {
            for constants in [rule.default, rule.keras, rule.pytorch] {
                assert_eq!(constants.name(), rule.name);
                let json = serde_json::to_value(constants).unwrap();
                assert_eq!(json["name"], rule.name);
                let back: Optimizer = serde_json::from_value(json).unwrap();
                assert_eq!(back, constants);
                constants.check().unwrap();
            }
            let bare = serde_json::json!({ "name": rule.name });
            let bare: Optimizer = serde_json::from_value(bare).unwrap();
            assert_eq!(bare, rule.default, "{}", rule.name);
            assert_eq!(rule.name.parse(), Ok(rule.default));
            assert_eq!(format!("keras:{}", rule.name).parse(), Ok(rule.keras));
            assert_eq!(format!("pytorch:{}", rule.name).parse(), Ok(rule.pytorch));
        }
        assert!("adan".parse::<Optimizer>().unwrap_err().contains("nadam"));
        assert!("jax:adam".parse::<Optimizer>().is_err());
    }

    #[test]
    fn a_constant_out_of_range_is_refused_by_its_name() {
        let mut rule: Optimizer = "adamw".parse().unwrap();
        assert!(rule.set_weight_decay(-1.0) && !rule.set_momentum(0.5));
        let message = rule.check().unwrap_err().to_string();
        assert!(message.contains("adamw's weight decay is -1"), "{message}");
        let mut rule: Optimizer = "keras:nesterov".parse().unwrap();
        assert!(rule.set_momentum(1.0));
        assert!(rule.check().unwrap_err().to_string().contains("[0, 1)"));
    }
}
