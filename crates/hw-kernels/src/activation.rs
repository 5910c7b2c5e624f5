//! The activation functions, declared once: names, defaults and text form.

use crate::error::{KernelError, Result};
use hw_core::{Member, Named, RegisterError, Registry};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An activation function. All act on each element alone, except [`Activation::Softmax`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Self")]
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
    /// One that another crate has [registered](register).
    #[serde(skip)]
    Registered(Member<dyn ActivationFunction>),
}

/// An activation function of another crate: it acts on each element alone and has no parameters. Plans
/// train it and our checkpoints hold it by its name; other frameworks' files cannot.
///
/// ```
/// use hw_core::Named;
/// use hw_kernels::activation::{self, Activation, ActivationFunction};
///
/// struct Square;
///
/// impl Named for Square {
///     fn name(&self) -> &'static str {
///         "square"
///     }
///     fn about(&self) -> &'static str {
///         "x squared"
///     }
///     fn source(&self) -> &'static str {
///         "-"
///     }
/// }
///
/// impl ActivationFunction for Square {
///     fn value(&self, x: f64) -> f64 {
///         x * x
///     }
///     fn derivative(&self, x: f64) -> f64 {
///         2.0 * x
///     }
/// }
///
/// activation::register(&Square)?;
/// let square: Activation = "square".parse()?;
/// let mut y = [0.0; 2];
/// hw_kernels::cpu::activation::forward(square, &[3.0, -2.0], &mut y);
/// assert_eq!(y, [9.0, 4.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ActivationFunction: Named + Sync {
    /// Its value at `x`; what is computed in single precision is rounded from it.
    fn value(&self, x: f64) -> f64;

    /// Its derivative at `x`.
    fn derivative(&self, x: f64) -> f64;
}

static REGISTERED: Registry<dyn ActivationFunction> = Registry::new("activation", |name| {
    Activation::ALL.iter().any(|ours| ours.name() == name)
});

/// Adds an activation function to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line.
pub fn register(
    function: &'static dyn ActivationFunction,
) -> std::result::Result<(), RegisterError> {
    REGISTERED.add(function)
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Registered(function) => function.serialize(serializer),
            ours => Self::serialize(ours, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a name, or the name and the parameter of one of ours.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Activation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an activation")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Activation, E> {
        match REGISTERED.find(name) {
            Some(function) => Ok(Activation::Registered(function)),
            None => Activation::deserialize(name.into_deserializer()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Activation, A::Error> {
        Activation::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Activation {
    /// Every activation with its customary parameters: ours, then those registered.
    pub fn all() -> Vec<Self> {
        let registered = REGISTERED.all().into_iter().map(Self::Registered);
        Self::ALL.into_iter().chain(registered).collect()
    }

    /// Our activations, parameters at their customary values.
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
    pub fn name(&self) -> &'static str {
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
            Self::Registered(function) => function.name(),
        }
    }

    /// What it computes, in one line.
    pub fn about(&self) -> &'static str {
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
            Self::Registered(function) => function.about(),
        }
    }

    /// Who proposed it.
    pub fn source(&self) -> &'static str {
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
            Self::Registered(function) => function.source(),
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
        let all = Self::all();
        let known = all.iter().copied().find(|a| a.name() == name);
        let parsed = match parameter {
            None => known,
            Some(value) => match value.trim().parse::<f32>() {
                Ok(value) if value.is_finite() => known.and_then(|a| a.with_parameter(value)),
                _ => None,
            },
        };
        parsed.ok_or_else(|| KernelError::UnknownActivation {
            given: text.to_owned(),
            known: all
                .iter()
                .map(Self::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
    fn the_json_form_of_ours_is_what_it_always_was_since_run_ids_hash_it() {
        let json = |activation: Activation| serde_json::to_string(&activation).unwrap();
        assert_eq!(json(Activation::Relu), r#""relu""#);
        assert_eq!(
            json(Activation::LeakyRelu { slope: 0.2 }),
            r#"{"leaky_relu":{"slope":0.2}}"#
        );
        for (json, part) in [
            (
                r#""mish""#,
                "unknown variant `mish`, expected one of `relu`",
            ),
            (r#"{"elu":{"alpa":1}}"#, "alpha"),
            ("3", "an activation"),
        ] {
            let problem = serde_json::from_str::<Activation>(json).unwrap_err();
            assert!(problem.to_string().contains(part), "{json}: {problem}");
        }
    }

    struct Cube;

    impl Named for Cube {
        fn name(&self) -> &'static str {
            "cube"
        }

        fn about(&self) -> &'static str {
            "x to the third"
        }

        fn source(&self) -> &'static str {
            "-"
        }
    }

    impl ActivationFunction for Cube {
        fn value(&self, x: f64) -> f64 {
            x * x * x
        }

        fn derivative(&self, x: f64) -> f64 {
            3.0 * x * x
        }
    }

    #[test]
    fn a_registered_activation_is_one_like_ours() {
        register(&Cube).unwrap();
        assert!(register(&Cube).is_err());
        let cube: Activation = "cube".parse().unwrap();
        assert_eq!(cube.to_string(), "cube");
        assert!("cube(2)".parse::<Activation>().is_err());
        assert!(Activation::all().contains(&cube));
        // As a part of a layer, read from text and from values.
        let layer = BTreeMap::from([("function", cube)]);
        let json = serde_json::to_string(&layer).unwrap();
        assert_eq!(json, r#"{"function":"cube"}"#);
        let back: BTreeMap<&str, Activation> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, layer);
        let value = serde_json::to_value(cube).unwrap();
        assert_eq!(serde_json::from_value::<Activation>(value).unwrap(), cube);

        use candle_core::{DType, Device, Tensor, Var};
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::new(&[-2.0, 0.5, 3.0], &Device::Cpu).unwrap();
            let x = Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap();
            let y = crate::activate(&x, &cube).unwrap();
            let numbers = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(numbers(&y), [-8.0, 0.125, 27.0]);
            let gradients = (y * 2.0).unwrap().sum_all().unwrap().backward().unwrap();
            let gradient = gradients.get(&x).unwrap();
            assert_eq!(numbers(gradient), [24.0, 1.5, 54.0], "{dtype:?}");
        }
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
