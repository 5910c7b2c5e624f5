//! How the learning rate moves during a run.

use crate::choice::{self, Choice, Fields};
use crate::config::Monitor;
use crate::error::{Result, TrainError};
use crate::events::Score;
use hw_core::{Member, Named, RegisterError, Registry};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};
use std::f64::consts::PI;
use std::str::FromStr;

/// A rule for the learning rate of each step, given the run's own (its highest).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
#[serde(remote = "Self")]
pub enum Schedule {
    /// Always the same.
    Constant {},
    /// Times `factor` after each `every` epochs.
    Step {
        /// Epochs between two falls.
        #[serde(default = "every")]
        every: usize,
        /// What remains after a fall.
        #[serde(default = "step_factor")]
        factor: f64,
    },
    /// Half a cosine from the learning rate down to `end` times it (Loshchilov & Hutter 2017,
    /// without restarts), step by step.
    Cosine {
        /// Where it ends, as a share of the learning rate.
        #[serde(default)]
        end: f64,
    },
    /// Up from `start` and down to `end` along half cosines (Smith & Topin 2019), step by step.
    OneCycle {
        /// The share of the run spent going up.
        #[serde(default = "warm")]
        warm: f64,
        /// Where it starts, as a share of the learning rate.
        #[serde(default = "cycle_start")]
        start: f64,
        /// Where it ends, as a share of the learning rate.
        #[serde(default = "cycle_end")]
        end: f64,
    },
    /// Times `factor` when the monitored validation score has not improved for `patience` epochs, as
    /// Keras counts them.
    ReduceOnPlateau {
        /// What remains after a fall.
        #[serde(default = "plateau_factor")]
        factor: f64,
        /// Epochs without improvement before a fall.
        #[serde(default = "patience")]
        patience: usize,
        /// Smaller improvements do not count.
        #[serde(default = "min_delta")]
        min_delta: f64,
        /// It never falls below this rate.
        #[serde(default = "min_rate")]
        min_rate: f64,
    },
    /// One that another crate has [registered](register).
    #[serde(skip)]
    Registered(Member<dyn LearningRateRule>),
}

/// A schedule of another crate. It has no constants: each name stands for one curve. One that looks at
/// scores would have something to remember in a checkpoint; that only `reduce-on-plateau` can.
pub trait LearningRateRule: Named + Sync {
    /// The learning rate of step number `step`, counted from 0, as a fraction of the run's.
    fn fraction(&self, step: u64, length: Length) -> f64;
}

static REGISTERED: Registry<dyn LearningRateRule> = Registry::new("schedule", |name| {
    SCHEDULES.iter().any(|choice| choice.name == name)
});

/// Adds a schedule to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line.
pub fn register(rule: &'static dyn LearningRateRule) -> std::result::Result<(), RegisterError> {
    REGISTERED.add(rule)
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Registered(rule) => {
                Map::from_iter([("name".into(), Value::from(rule.name()))]).serialize(serializer)
            }
            ours => Self::serialize(ours, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (name, mut fields) = Fields::deserialize(deserializer)?.named::<D::Error>()?;
        match (REGISTERED.find(&name), fields.keys().next()) {
            (Some(rule), None) => Ok(Self::Registered(rule)),
            (Some(_), Some(field)) => Err(de::Error::custom(format!(
                "unknown field `{field}`, there are no fields"
            ))),
            (None, _) => {
                fields.insert("name".into(), Value::String(name));
                Self::deserialize(Value::Object(fields)).map_err(de::Error::custom)
            }
        }
    }
}

const fn every() -> usize {
    10
}
const fn step_factor() -> f64 {
    0.1
}
const fn warm() -> f64 {
    0.3
}
const fn cycle_start() -> f64 {
    0.04
}
const fn cycle_end() -> f64 {
    4e-6
}
const fn plateau_factor() -> f64 {
    0.5
}
const fn patience() -> usize {
    3
}
const fn min_delta() -> f64 {
    1e-4
}
const fn min_rate() -> f64 {
    1e-6
}

/// Our schedules, with their defaults.
pub const SCHEDULES: [Choice<Schedule>; 5] = [
    Choice {
        name: "constant",
        about: "always the same learning rate",
        source: "-",
        value: Schedule::Constant {},
    },
    Choice {
        name: "step",
        about: "times factor after each `every` epochs",
        source: "He, Zhang, Ren & Sun 2015",
        value: Schedule::Step {
            every: every(),
            factor: step_factor(),
        },
    },
    Choice {
        name: "cosine",
        about: "half a cosine down to `end` times the learning rate",
        source: "Loshchilov & Hutter 2017",
        value: Schedule::Cosine { end: 0.0 },
    },
    Choice {
        name: "one-cycle",
        about: "up from `start` and down to `end` along half cosines",
        source: "Smith & Topin 2019",
        value: Schedule::OneCycle {
            warm: warm(),
            start: cycle_start(),
            end: cycle_end(),
        },
    },
    Choice {
        name: "reduce-on-plateau",
        about: "times factor when the validation score has not improved for `patience` epochs",
        source: "Keras; emnist-ablation",
        value: Schedule::ReduceOnPlateau {
            factor: plateau_factor(),
            patience: patience(),
            min_delta: min_delta(),
            min_rate: min_rate(),
        },
    },
];

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

/// Reads `NAME` or `NAME:key=value,key=value`.
impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        choice::parse("schedule", &Self::choices(), text)
    }
}

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Steps of one epoch.
    pub steps_per_epoch: usize,
    /// Epochs, if it is not stopped early.
    pub epochs: usize,
}

/// What reduce-on-plateau remembers; part of a run's resumable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The rate it has come down to, once it has.
    rate: Option<f32>,
    best: Option<f64>,
    waited: usize,
}

impl Schedule {
    /// All schedules with their defaults: ours, then those registered.
    pub fn choices() -> Vec<Choice<Self>> {
        let registered = REGISTERED.all().into_iter();
        let registered = registered.map(|rule| Choice::of(&*rule, Self::Registered(rule)));
        SCHEDULES.into_iter().chain(registered).collect()
    }

    /// The learning rate of step number `step`, counted from 0, in a run with learning rate `base`.
    pub fn rate(&self, base: f32, step: u64, length: Length, plateau: &Plateau) -> f32 {
        let steps = (length.steps_per_epoch * length.epochs).max(1) as f64;
        let (t, highest) = (step as f64, f64::from(base));
        let between = |from: f64, to: f64, share: f64| {
            (to + (from - to) / 2.0 * (1.0 + (PI * share).cos())) * highest
        };
        let rate = match *self {
            Self::Constant {} => highest,
            Self::Step { every, factor } => {
                let epoch = step as usize / length.steps_per_epoch.max(1);
                highest * factor.powf((epoch / every.max(1)) as f64)
            }
            Self::Cosine { end } => between(1.0, end, t / steps),
            Self::OneCycle { warm, start, end } => {
                let peak = warm * steps - 1.0;
                if t <= peak {
                    between(start, 1.0, t / peak)
                } else {
                    between(1.0, end, (t - peak) / (steps - 1.0 - peak))
                }
            }
            Self::ReduceOnPlateau { .. } => f64::from(plateau.rate.unwrap_or(base)),
            Self::Registered(rule) => highest * rule.fraction(step, length),
        };
        rate as f32
    }

    /// Takes note of an epoch's validation score.
    pub fn after_epoch(
        &self,
        base: f32,
        validation: Option<&Score>,
        monitor: Monitor,
        plateau: &mut Plateau,
    ) {
        let Self::ReduceOnPlateau {
            factor,
            patience,
            min_delta,
            min_rate,
        } = *self
        else {
            return;
        };
        let Some(validation) = validation else { return };
        let score = match monitor {
            Monitor::ValLoss => validation.loss,
            Monitor::ValAccuracy => -validation.accuracy,
        };
        if plateau.best.is_none_or(|best| score < best - min_delta) {
            plateau.best = Some(score);
            plateau.waited = 0;
            return;
        }
        plateau.waited += 1;
        if plateau.waited >= patience {
            let rate = f64::from(plateau.rate.unwrap_or(base));
            if rate > min_rate {
                plateau.rate = Some((rate * factor).max(min_rate) as f32);
                plateau.waited = 0;
            }
        }
    }

    pub(crate) fn check(&self, validated: bool) -> Result<()> {
        let share = |name, value: f64| ((0.0..=1.0).contains(&value), name, value, "in [0, 1]");
        let fall = |value: f64| (value > 0.0 && value < 1.0, "factor", value, "in (0, 1)");
        let checks = match *self {
            Self::Constant {} | Self::Registered(_) => vec![],
            Self::Step { every, factor } => {
                vec![
                    (every > 0, "every", every as f64, "at least 1"),
                    fall(factor),
                ]
            }
            Self::Cosine { end } => vec![share("end", end)],
            Self::OneCycle { warm, start, end } => vec![
                (warm > 0.0 && warm < 1.0, "warm", warm, "in (0, 1)"),
                share("start", start),
                share("end", end),
            ],
            Self::ReduceOnPlateau {
                factor,
                min_delta,
                min_rate,
                ..
            } => {
                let not_below = |name, value: f64| {
                    let fine = value.is_finite() && value >= 0.0;
                    (fine, name, value, "a finite number, at least 0")
                };
                vec![
                    fall(factor),
                    not_below("min_delta", min_delta),
                    not_below("min_rate", min_rate),
                ]
            }
        };
        if let Some((_, name, value, expected)) = checks.into_iter().find(|(fine, ..)| !fine) {
            return Err(TrainError::Config {
                field: format!("the schedule's {name}"),
                value: value.to_string(),
                expected: expected.into(),
            });
        }
        if matches!(self, Self::ReduceOnPlateau { .. }) && !validated {
            return Err(TrainError::Config {
                field: "the schedule".into(),
                value: "reduce-on-plateau".into(),
                expected: "another one when val-fraction is 0: there is no score to watch".into(),
            });
        }
        Ok(())
    }
}

/// Linear warm-up, which goes with every schedule; the value is how many epochs it takes unless said.
pub const WARM_UPS: [Choice<f64>; 1] = [Choice {
    name: "linear",
    about: "the learning rate rises linearly to the schedule's over the first epochs",
    source: "Goyal et al. 2017",
    value: 0.0,
}];

/// The share of the learning rate in force at step number `step`, counted from 0, while it rises
/// linearly over the first `epochs` epochs (Goyal et al. 2017).
pub fn warmup(epochs: f64, step: u64, length: Length) -> f32 {
    let steps = epochs * length.steps_per_epoch as f64;
    if steps <= 0.0 {
        return 1.0;
    }
    ((step + 1) as f64 / steps).min(1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `fixtures/train/make_train.py` writes.
    #[derive(Deserialize)]
    struct Golden {
        steps_per_epoch: usize,
        epochs: usize,
        base: f32,
        validation: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        schedule: Schedule,
        #[serde(default)]
        warmup: f64,
        library: String,
        rates: Vec<f64>,
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../../fixtures/train/schedules.json")).unwrap()
    }

    #[test]
    fn every_step_has_the_learning_rate_of_pytorch_or_keras() {
        let golden = golden();
        let length = Length {
            steps_per_epoch: golden.steps_per_epoch,
            epochs: golden.epochs,
        };
        for case in &golden.cases {
            let mut plateau = Plateau::default();
            for (step, &expected) in case.rates.iter().enumerate() {
                let t = step as u64;
                let rate = case.schedule.rate(golden.base, t, length, &plateau)
                    * warmup(case.warmup, t, length);
                assert!(
                    (f64::from(rate) - expected).abs() < 1e-8,
                    "{:?}, step {step}: {rate}, {} has {expected}",
                    case.schedule,
                    case.library
                );
                if (step + 1) % golden.steps_per_epoch == 0 {
                    let score = Score {
                        loss: golden.validation[step / golden.steps_per_epoch],
                        accuracy: 0.0,
                        images: 1,
                    };
                    let monitor = Monitor::ValLoss;
                    let base = golden.base;
                    case.schedule
                        .after_epoch(base, Some(&score), monitor, &mut plateau);
                }
            }
        }
    }

    #[test]
    fn the_references_cover_every_schedule() {
        let of = |schedule: &Schedule| serde_json::to_value(schedule).unwrap()["name"].clone();
        let covered: Vec<_> = golden().cases.iter().map(|c| of(&c.schedule)).collect();
        for choice in SCHEDULES {
            assert_eq!(of(&choice.value), choice.name);
            assert!(covered.contains(&of(&choice.value)), "{}", choice.name);
        }
    }

    struct Halves;

    impl Named for Halves {
        fn name(&self) -> &'static str {
            "halves"
        }

        fn about(&self) -> &'static str {
            "half the learning rate from the middle on"
        }

        fn source(&self) -> &'static str {
            "-"
        }
    }

    impl LearningRateRule for Halves {
        fn fraction(&self, step: u64, length: Length) -> f64 {
            let steps = (length.steps_per_epoch * length.epochs) as u64;
            if 2 * step < steps { 1.0 } else { 0.5 }
        }
    }

    #[test]
    fn a_registered_schedule_is_one_like_ours() {
        assert!("halves".parse::<Schedule>().is_err());
        register(&Halves).unwrap();
        let halves: Schedule = "halves".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&halves).unwrap(),
            r#"{"name":"halves"}"#
        );
        let back = |json: &str| serde_json::from_str::<Schedule>(json);
        assert_eq!(back(r#"{"name":"halves"}"#).unwrap(), halves);
        let unknown = back(r#"{"name":"halves","end":0}"#).unwrap_err();
        assert!(unknown.to_string().contains("`end`"), "{unknown}");
        let length = Length {
            steps_per_epoch: 2,
            epochs: 2,
        };
        let rate = |step| halves.rate(0.5, step, length, &Plateau::default());
        assert_eq!([0, 1, 2, 3].map(rate), [0.5, 0.5, 0.25, 0.25]);
        assert!("linear".parse::<Schedule>().unwrap_err().contains("halves"));
        assert!(register(&Halves).is_err());
    }

    #[test]
    fn the_json_form_of_ours_is_what_it_always_was_since_run_ids_hash_it() {
        let step: Schedule = "step:every=3".parse().unwrap();
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(json, r#"{"name":"step","every":3,"factor":0.1}"#);
        let constant = serde_json::to_string(&Schedule::default()).unwrap();
        assert_eq!(constant, r#"{"name":"constant"}"#);
        for (json, part) in [
            (
                r#"{"name":"step","often":3}"#,
                "unknown field `often`, expected `every` or `factor`",
            ),
            (
                r#"{"name":"steps"}"#,
                "unknown variant `steps`, expected one of `constant`",
            ),
            (r#"{"every":3}"#, "missing field `name`"),
        ] {
            let problem = serde_json::from_str::<Schedule>(json)
                .unwrap_err()
                .to_string();
            assert!(problem.contains(part), "{json}: {problem}");
        }
    }

    #[test]
    fn constants_are_read_from_text_and_wrong_ones_refused() {
        let parse = |text: &str| text.parse::<Schedule>();
        assert_eq!(
            parse("step:every=3,factor=0.5"),
            Ok(Schedule::Step {
                every: 3,
                factor: 0.5
            })
        );
        assert_eq!(parse("cosine"), Ok(Schedule::Cosine { end: 0.0 }));
        assert!(parse("linear").unwrap_err().contains("one-cycle"));
        assert!(parse("step:often=3").unwrap_err().contains("every"));
        assert!(parse("step:every").unwrap_err().contains("key=value"));
        let wrong = Schedule::Step {
            every: 0,
            factor: 0.5,
        };
        assert!(wrong.check(true).is_err());
        assert!(parse("reduce-on-plateau").unwrap().check(false).is_err());
    }
}
