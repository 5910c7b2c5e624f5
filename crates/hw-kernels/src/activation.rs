//! The activation functions, declared once: names, defaults and text form.

use crate::error::{KernelError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An activation function. All act on each element alone, except [`Activation::Softmax`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`; the gradient at 0 is 0, as in PyTorch.
    Relu,
    /// `x` for `x > 0`, else `slope * x`.
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// `x` for `x > 0`, else `alpha (exp(x) - 1)` (Clevert et al. 2016).
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// Scaled ELU with the fixed constants of Klambauer et al. 2017.
    Selu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `1.7159 tanh(2x/3)` (LeCun et al. 1998, appendix A).
    ScaledTanh,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x sigmoid(x)` (Ramachandran et al. 2017), also called SiLU.
    Swish,
    /// `x Φ(x)` with the exact normal distribution function (Hendrycks & Gimpel 2016).
    Gelu,
    /// `exp(x) / Σ exp(x)` over the channel axis (axis 1).
    Softmax,
    /// `x`.
    Identity,
}

impl Activation {
    /// Every activation, parameters at their customary values; the source of all lists of choices.
    pub const ALL: [Self; 12] = [
        Self::Relu,
        Self::LeakyRelu { slope: 0.01 },
        Self::Elu { alpha: 1.0 },
        Self::Selu,
        Self::Sigmoid,
        Self::Tanh,
        Self::ScaledTanh,
        Self::Softsign,
        Self::Swish,
        Self::Gelu,
        Self::Softmax,
        Self::Identity,
    ];

    /// The name without parameters, as serde writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::ScaledTanh => "scaled_tanh",
            Self::Softsign => "softsign",
            Self::Swish => "swish",
            Self::Gelu => "gelu",
            Self::Softmax => "softmax",
            Self::Identity => "identity",
        }
    }

    /// What it computes, in one line.
    pub const fn about(&self) -> &'static str {
        match self {
            Self::Relu => "max(x, 0)",
            Self::LeakyRelu { .. } => "x, or slope x below 0 (Keras: slope 0.3; PyTorch: 0.01)",
            Self::Elu { .. } => "x, or alpha (exp(x) - 1) below 0",
            Self::Selu => "ELU scaled so that layers normalise themselves",
            Self::Sigmoid => "1 / (1 + exp(-x))",
            Self::Tanh => "hyperbolic tangent",
            Self::ScaledTanh => "1.7159 tanh(2x/3)",
            Self::Softsign => "x / (1 + |x|)",
            Self::Swish => "x sigmoid(x), also called SiLU",
            Self::Gelu => "x times the normal distribution function of x, exactly",
            Self::Softmax => "exp(x) over its sum over the channels",
            Self::Identity => "x",
        }
    }

    /// Who proposed it.
    pub const fn source(&self) -> &'static str {
        match self {
            Self::Relu => "Nair & Hinton 2010",
            Self::LeakyRelu { .. } => "Maas, Hannun & Ng 2013",
            Self::Elu { .. } => "Clevert, Unterthiner & Hochreiter 2016",
            Self::Selu => "Klambauer et al. 2017",
            Self::Sigmoid | Self::Tanh => "Rumelhart, Hinton & Williams 1986",
            Self::ScaledTanh => "LeCun et al. 1998, appendix A",
            Self::Softsign => "Bergstra et al. 2009",
            Self::Swish => "Ramachandran, Zoph & Le 2017",
            Self::Gelu => "Hendrycks & Gimpel 2016",
            Self::Softmax => "Bridle 1990",
            Self::Identity => "-",
        }
    }

    fn with_parameter(self, value: f32) -> Option<Self> {
        match self {
            Self::LeakyRelu { .. } => Some(Self::LeakyRelu { slope: value }),
            Self::Elu { .. } => Some(Self::Elu { alpha: value }),
            _ => None,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeakyRelu { slope: value } | Self::Elu { alpha: value } => {
                write!(f, "{}({value})", self.name())
            }
            _ => f.write_str(self.name()),
        }
    }
}

/// Accepts a name (`relu`, `leaky_relu`) or a name with its parameter (`leaky_relu(0.2)`).
impl FromStr for Activation {
    type Err = KernelError;

    fn from_str(text: &str) -> Result<Self> {
        let (name, parameter) = match text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let known = Self::ALL.into_iter().find(|a| a.name() == name);
        let parsed = match parameter {
            None => known,
            Some(value) => match value.trim().parse::<f32>() {
                Ok(value) if value.is_finite() => known.and_then(|a| a.with_parameter(value)),
                _ => None,
            },
        };
        parsed.ok_or_else(|| KernelError::UnknownActivation {
            given: text.to_owned(),
            known: Self::ALL.map(|a| a.to_string()).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Activation;

    #[test]
    fn every_activation_survives_its_text_form_and_its_json_form() {
        for activation in Activation::ALL {
            assert_eq!(
                activation.to_string().parse::<Activation>().unwrap(),
                activation
            );
            let json = serde_json::to_string(&activation).unwrap();
            assert!(json.contains(activation.name()), "{json}");
            assert_eq!(
                serde_json::from_str::<Activation>(&json).unwrap(),
                activation
            );
        }
        assert_eq!(
            "leaky_relu(0.2)".parse::<Activation>().unwrap(),
            Activation::LeakyRelu { slope: 0.2 }
        );
    }

    #[test]
    fn an_unknown_activation_is_refused_with_the_known_names() {
        for text in [
            "Relu", "", "relu(1)", "elu(x)", "elu(inf)", "elu(1", "relu)",
        ] {
            let message = text.parse::<Activation>().unwrap_err().to_string();
            assert!(message.contains("scaled_tanh"), "{message}");
        }
    }
}
