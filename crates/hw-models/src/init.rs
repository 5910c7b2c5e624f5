//! How weights start.

use hw_core::Rng;
use serde::{Deserialize, Serialize};
use std::mem::discriminant;

/// A rule for the initial weights of a layer with `fan_in` inputs and `fan_out` outputs a unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initializer {
    /// Gaussian with a fixed standard deviation (simple-cnn-bn: .01).
    Normal {
        /// The standard deviation.
        std: f32,
    },
    /// Uniform in ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, "Xavier"); Keras's default.
    GlorotUniform,
    /// Gaussian with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform in ±√(6 / fan_in) (He et al. 2015).
    HeUniform,
    /// Gaussian with variance 2 / fan_in (He et al. 2015).
    HeNormal,
    /// Uniform in ±√(3 / fan_in) (LeCun et al. 1998, "Efficient BackProp").
    LecunUniform,
    /// Gaussian with variance 1 / fan_in.
    LecunNormal,
    /// Weights *and biases* uniform in ±1/√fan_in; PyTorch's default for convolutions and affine
    /// layers.
    Torch,
}

impl Initializer {
    /// `count` initial weights.
    pub fn weights(self, rng: &mut Rng, count: usize, fan_in: usize, fan_out: usize) -> Vec<f32> {
        let fan_in = fan_in.max(1) as f32;
        let both = fan_in + fan_out as f32;
        let (uniform, scale) = match self {
            Self::Normal { std } => (false, std),
            Self::GlorotUniform => (true, (6.0 / both).sqrt()),
            Self::GlorotNormal => (false, (2.0 / both).sqrt()),
            Self::HeUniform => (true, (6.0 / fan_in).sqrt()),
            Self::HeNormal => (false, (2.0 / fan_in).sqrt()),
            Self::LecunUniform => (true, (3.0 / fan_in).sqrt()),
            Self::LecunNormal => (false, (1.0 / fan_in).sqrt()),
            Self::Torch => (true, (1.0 / fan_in).sqrt()),
        };
        let mut draw = || {
            if uniform {
                rng.range(-scale, scale)
            } else {
                rng.normal() * scale
            }
        };
        (0..count).map(|_| draw()).collect()
    }

    /// `count` initial biases.
    pub fn biases(self, rng: &mut Rng, count: usize, fan_in: usize) -> Vec<f32> {
        match self {
            Self::Torch => {
                let bound = (1.0 / fan_in.max(1) as f32).sqrt();
                (0..count).map(|_| rng.range(-bound, bound)).collect()
            }
            _ => vec![0.0; count],
        }
    }
}

/// A rule with its name.
struct Named {
    rule: Initializer,
    name: &'static str,
    about: &'static str,
    source: &'static str,
}

const fn named(
    rule: Initializer,
    name: &'static str,
    about: &'static str,
    source: &'static str,
) -> Named {
    Named {
        rule,
        name,
        about,
        source,
    }
}

const GLOROT: &str = "Glorot & Bengio 2010";
const HE: &str = "He, Zhang, Ren & Sun 2015";
const LECUN: &str = "LeCun, Bottou, Orr & Müller 1998";

/// All rules, `normal` with simple-cnn-bn's standard deviation.
const NAMED: [Named; 8] = [
    named(
        Initializer::Normal { std: 0.01 },
        "normal",
        "Gaussian with the given standard deviation: normal:0.01",
        "simple-cnn-bn",
    ),
    named(
        Initializer::GlorotUniform,
        "glorot-uniform",
        "uniform within sqrt(6 / (fan_in + fan_out)); Keras's default",
        GLOROT,
    ),
    named(
        Initializer::GlorotNormal,
        "glorot-normal",
        "Gaussian of variance 2 / (fan_in + fan_out)",
        GLOROT,
    ),
    named(
        Initializer::HeUniform,
        "he-uniform",
        "uniform within sqrt(6 / fan_in)",
        HE,
    ),
    named(
        Initializer::HeNormal,
        "he-normal",
        "Gaussian of variance 2 / fan_in",
        HE,
    ),
    named(
        Initializer::LecunUniform,
        "lecun-uniform",
        "uniform within sqrt(3 / fan_in)",
        LECUN,
    ),
    named(
        Initializer::LecunNormal,
        "lecun-normal",
        "Gaussian of variance 1 / fan_in",
        LECUN,
    ),
    named(
        Initializer::Torch,
        "torch",
        "weights and biases uniform within 1 / sqrt(fan_in); PyTorch's default",
        "PyTorch",
    ),
];

impl Initializer {
    /// All rules, one of each kind.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMED.iter().map(|named| named.rule)
    }

    fn named(&self) -> &'static Named {
        // A test holds that every variant has its entry.
        let same = |named: &&Named| discriminant(&named.rule) == discriminant(self);
        NAMED.iter().find(same).unwrap_or(&NAMED[0])
    }

    /// The name, without its number.
    pub fn name(&self) -> &'static str {
        self.named().name
    }

    /// What it draws, in one line.
    pub fn about(&self) -> &'static str {
        self.named().about
    }

    /// Who proposed it.
    pub fn source(&self) -> &'static str {
        self.named().source
    }
}

impl std::fmt::Display for Initializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Normal { std } => write!(f, "normal:{std}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl std::str::FromStr for Initializer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(std) = text.strip_prefix("normal:") {
            return match std.parse::<f32>() {
                Ok(std) if std.is_finite() && std > 0.0 => Ok(Self::Normal { std }),
                _ => Err(format!(
                    "'{std}' is no standard deviation; write normal:0.01, say"
                )),
            };
        }
        let rules = NAMED.iter().filter(|named| named.name != "normal");
        let mut matching = rules.clone().filter(|named| named.name == text);
        matching.next().map(|named| named.rule).ok_or_else(|| {
            let names: Vec<&str> = rules.map(|named| named.name).collect();
            format!(
                "unknown initialiser '{text}'; known: normal:STD, {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of a large draw against the rule's own formula.
    fn moments(rule: Initializer, fan_in: usize, fan_out: usize) -> (f64, f64, f32) {
        let draws = rule.weights(&mut Rng::stream(1, "init", 0), 100_000, fan_in, fan_out);
        let n = draws.len() as f64;
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = draws
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / n;
        let largest = draws.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        (mean, variance, largest)
    }

    #[test]
    fn each_rule_has_the_variance_of_its_paper() {
        let cases = [
            (Initializer::Normal { std: 0.01 }, 1e-4),
            (Initializer::GlorotUniform, 2.0 / 400.0),
            (Initializer::GlorotNormal, 2.0 / 400.0),
            (Initializer::HeUniform, 2.0 / 300.0),
            (Initializer::HeNormal, 2.0 / 300.0),
            (Initializer::LecunUniform, 1.0 / 300.0),
            (Initializer::LecunNormal, 1.0 / 300.0),
            (Initializer::Torch, 1.0 / 900.0),
        ];
        for (rule, expected) in cases {
            let (mean, variance, _) = moments(rule, 300, 100);
            assert!(
                mean.abs() < 6.0 * (expected / 1e5f64).sqrt(),
                "{rule}: mean {mean}"
            );
            assert!(
                (variance / expected - 1.0).abs() < 0.03,
                "{rule}: variance {variance}"
            );
        }
    }

    #[test]
    fn uniform_rules_stay_inside_their_bound() {
        let (_, _, largest) = moments(Initializer::GlorotUniform, 300, 100);
        assert!(largest <= (6.0f32 / 400.0).sqrt() && largest > 0.12);
    }

    #[test]
    fn names_parse_back() {
        for rule in Initializer::all() {
            assert_eq!(rule.to_string().parse::<Initializer>(), Ok(rule));
            assert!(rule.to_string().starts_with(rule.name()));
            let json = serde_json::to_value(rule).unwrap().to_string();
            assert!(json.replace('_', "-").contains(rule.name()), "{json}");
        }
        assert!("xavier".parse::<Initializer>().is_err());
        assert!("normal:-1".parse::<Initializer>().is_err());
    }
}
