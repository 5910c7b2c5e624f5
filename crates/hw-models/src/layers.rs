//! Layers of other crates, found by name beside ours.

use crate::error::Result;
use crate::graph::{Lowering, ValueId};
use hw_core::{Member, Named, RegisterError, Registry};

/// What a declaration says of a layer of another crate: the JSON object beside its name.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// A layer of another crate: what [`Layer::Custom`](crate::Layer::Custom) of its name is lowered to.
///
/// It is made of [our layers](Lowering::part), of [operations](crate::graph::Op), and where none can say it
/// of an [operation of its own](crate::graph::ImageOp). Its name begins the names of its tensors
/// (`max-out1.fc1.weight`), so it does not end in a digit. Checkpoints and run ids hold its name and settings
/// and not its code: other mathematics wants another name.
///
/// ```
/// use hw_core::Named;
/// use hw_models::graph::{Lowering, Op, ValueId};
/// use hw_models::layers::{self, CustomLayer, Settings};
/// use hw_models::{Layer, Result, zoo};
///
/// /// The sum of as many affine maps as the settings say.
/// struct Sum;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Terms {
///     units: usize,
///     terms: usize,
/// }
///
/// impl Named for Sum {
///     fn name(&self) -> &'static str {
///         "sum"
///     }
///     fn about(&self) -> &'static str {
///         "a sum of affine maps"
///     }
///     fn source(&self) -> &'static str {
///         "-"
///     }
/// }
///
/// impl CustomLayer for Sum {
///     fn lower(&self, settings: &Settings, lowering: &mut Lowering, x: ValueId) -> Result<ValueId> {
///         let Terms { units, terms } = lowering.settings(settings)?;
///         let affine = Layer::dense(units);
///         let mut sum = lowering.part("fc1", &affine, x)?;
///         for term in 2..=terms {
///             let next = lowering.part(&format!("fc{term}"), &affine, x)?;
///             sum = lowering.add(Op::Add, vec![sum, next])?;
///         }
///         Ok(sum)
///     }
/// }
///
/// layers::register(&Sum)?;
/// let json = r#"{"type": "custom", "name": "sum", "settings": {"units": 10, "terms": 2}}"#;
/// let mut spec = zoo::spec("lenet5", [1, 28, 28], 10)?;
/// spec.layers.push(serde_json::from_str(json)?);
/// let graph = spec.lower()?;
/// assert_eq!(graph.parameters.last().map(|p| p.name.as_str()), Some("sum1.fc2.bias"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CustomLayer: Named + Sync {
    /// Adds the layer's tensors and operations, which read the value `x`; the layer's result.
    ///
    /// # Errors
    /// [`ModelError::Layer`](crate::ModelError::Layer), by [`Lowering::refuse`] or what the lowering refuses
    /// itself, when the settings are wrong or do not fit `x`.
    fn lower(&self, settings: &Settings, lowering: &mut Lowering, x: ValueId) -> Result<ValueId>;
}

static REGISTERED: Registry<dyn CustomLayer> = Registry::new("layer", |_| false);

/// Adds a layer to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken, cannot be written where names are or ends in a digit.
pub fn register(layer: &'static dyn CustomLayer) -> std::result::Result<(), RegisterError> {
    let name = layer.name();
    if name.ends_with(|last: char| last.is_ascii_digit()) {
        let problem = "its place in a network is a number after the name, which ends in a digit";
        return Err(REGISTERED.unfit(name, problem.into()));
    }
    REGISTERED.add(layer)
}

/// The layer of that name, or what is wrong with the name.
pub(crate) fn find(name: &str) -> std::result::Result<Member<dyn CustomLayer>, String> {
    REGISTERED.find(name).ok_or_else(|| {
        let all = REGISTERED.all();
        let known: Vec<&str> = all.iter().map(|layer| layer.name()).collect();
        let known = match known.is_empty() {
            true => "none".into(),
            false => known.join(", "),
        };
        format!("no layer '{name}' is registered in this program; those that are: {known}")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Border, Initializer, Layer, ModelSpec};
    use serde_json::json;

    /// Whatever layers its settings list, all as one part.
    struct Parts(&'static str);

    impl Named for Parts {
        fn name(&self) -> &'static str {
            self.0
        }

        fn about(&self) -> &'static str {
            "the layers of its settings"
        }

        fn source(&self) -> &'static str {
            "-"
        }
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        layers: Vec<Layer>,
    }

    impl CustomLayer for Parts {
        fn lower(&self, settings: &Settings, to: &mut Lowering, x: ValueId) -> Result<ValueId> {
            let List { layers } = to.settings(settings)?;
            layers
                .iter()
                .try_fold(x, |x, layer| to.part("same", layer, x))
        }
    }

    fn refusal(name: &str, settings: serde_json::Value) -> String {
        let custom = json!({"type": "custom", "name": name, "settings": settings});
        let layers = vec![
            serde_json::from_value(custom).unwrap(),
            Layer::Flatten,
            Layer::dense(5),
        ];
        let spec = ModelSpec {
            name: "refused".into(),
            input: [1, 8, 8],
            classes: 5,
            init: Initializer::Torch,
            layers,
        };
        spec.lower().unwrap_err().to_string()
    }

    #[test]
    fn names_settings_and_parts_that_cannot_be_are_refused_with_the_layers_name() {
        register(&Parts("parts")).unwrap();
        assert!(matches!(
            register(&Parts("parts")),
            Err(RegisterError::Taken { .. })
        ));
        // Its first would be called what the second of "parts" is.
        let numbered = register(&Parts("parts2")).unwrap_err().to_string();
        assert!(numbered.contains("ends in a digit"), "{numbered}");

        let twice = [
            Layer::conv(2, 3, Border::Same),
            Layer::conv(2, 3, Border::Same),
        ];
        let sum = Layer::Residual {
            body: vec![],
            shortcut: vec![],
        };
        let huge = Layer::conv(usize::MAX, 3, Border::Same);
        for (name, settings, parts) in [
            (
                "part",
                json!({}),
                ["layer part1 of model 'refused'", "parts"],
            ),
            ("parts", json!({}), ["layer parts1", "`layers`"]),
            (
                "parts",
                json!({"layers": [], "more": 1}),
                ["parts1", "`more`"],
            ),
            (
                "parts",
                json!({"layers": twice}),
                ["parts1", "parts1.same.weight"],
            ),
            ("parts", json!({"layers": [sum]}), ["parts1", "branches"]),
            ("parts", json!({"layers": [huge]}), ["parts1", "too large"]),
            (
                "parts",
                json!({"layers": [Layer::dense(3)]}),
                ["parts1", "vector"],
            ),
        ] {
            let text = refusal(name, settings);
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn a_layer_without_settings_is_written_without_them() {
        let json = r#"{"type":"custom","name":"parts"}"#;
        let layer: Layer = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&layer).unwrap(), json);
        assert_eq!(
            (layer.kind(), layer.describe().as_str()),
            ("parts", "parts")
        );
        let json = r#"{"type":"custom","name":"parts","settings":{"a":0.1,"b":[true]}}"#;
        let layer: Layer = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&layer).unwrap(), json);
        assert_eq!(layer.describe(), "parts, a 0.1, b [true]");
        assert!(
            serde_json::from_str::<Layer>(r#"{"type":"custom","name":"a","settings":3}"#).is_err()
        );
    }
}
