//! What several runs have in common when only their seeds differ: a recipe.

use crate::config::TrainConfig;
use serde_json::{Map, Value};

/// The recipe's id: a hash of the configuration without its seed, 16 hexadecimal digits.
///
/// Everything else counts, the edition of the data too. Where the configuration leaves the edition open,
/// so does the id. Teachers are named by their runs: networks taught by other runs have other recipes,
/// unless the caller puts their recipes' ids in the place of [`crate::Teacher::runs`] before.
///
/// ```
/// use hw_train::TrainConfig;
/// use hw_train::recipe::recipe_id;
///
/// let first = TrainConfig::default();
/// let second = TrainConfig { seed: 2, ..first.clone() };
/// let longer = TrainConfig { epochs: 20, ..first.clone() };
/// assert_eq!(recipe_id(&first), recipe_id(&second));
/// assert_ne!(recipe_id(&first), recipe_id(&longer));
/// ```
pub fn recipe_id(config: &TrainConfig) -> String {
    // Structs serialise in declaration order, so equal recipes give equal text.
    let text = serde_json::json!({ "recipe": without_seed(config) }).to_string();
    hw_core::files::sha256_hex(text.as_bytes())[..16].to_string()
}

/// The recipe in a few words, for people: the model, what it was trained on, and every field that is
/// not the default's, as in "lenet5 on mnist, batch=20 epochs=6".
pub fn recipe_label(config: &TrainConfig) -> String {
    let usual = fields(&TrainConfig::default());
    let model = config
        .spec
        .as_ref()
        .map_or(&config.model, |spec| &spec.name);
    let mut label = format!("{model} on {}", config.dataset);
    let mut separator = ", ";
    for (name, value) in fields(&without_seed(config)) {
        let said = ["model", "spec", "dataset", "seed"].contains(&name.as_str());
        if !said && usual.get(&name) != Some(&value) {
            label += &format!("{separator}{name}={}", short(&value));
            separator = " ";
        }
    }
    label
}

/// The fields of a configuration that are not the default's, with their values as people write them; the
/// model and the data come first, whatever they are.
pub fn unusual_fields(config: &TrainConfig) -> Vec<(String, String)> {
    let usual = fields(&TrainConfig::default());
    let own = fields(config).into_iter();
    let named = |name: &str| ["model", "dataset"].contains(&name);
    let (first, rest): (Vec<_>, Vec<_>) = own
        .filter(|(name, value)| named(name) || usual.get(name) != Some(value))
        .partition(|(name, _)| named(name));
    let written = first.into_iter().chain(rest);
    written
        .map(|(name, value)| (name, written_out(&value)))
        .collect()
}

/// A field of a configuration by its dotted name, as people write it; `None` where it is not set.
pub fn field(config: &TrainConfig, name: &str) -> Option<String> {
    let fields = Value::Object(fields(config));
    let found = name
        .split('.')
        .try_fold(&fields, |value, part| value.get(part))?;
    Some(short(found))
}

/// A value with all its parts: `step: every=3, factor=0.5`.
fn written_out(value: &Value) -> String {
    let Value::Object(parts) = value else {
        return short(value);
    };
    let rest = parts.iter().filter(|(name, _)| *name != "name");
    let rest: Vec<String> = rest
        .map(|(name, value)| format!("{name}={}", short(value)))
        .collect();
    match parts.get("name").and_then(Value::as_str) {
        Some(name) if rest.is_empty() => name.into(),
        Some(name) => format!("{name}: {}", rest.join(", ")),
        None => rest.join(", "),
    }
}

fn without_seed(config: &TrainConfig) -> TrainConfig {
    TrainConfig {
        seed: 0,
        ..config.clone()
    }
}

/// The fields of a config file. By way of its text, which has single-precision numbers as they are
/// written: 0.1, not the nearest double of it.
fn fields(config: &TrainConfig) -> Map<String, Value> {
    let text = serde_json::to_string(config).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A field's value without what is of no use to people.
fn short(value: &Value) -> String {
    let named =
        |map: &Map<String, Value>| map.get("name").and_then(Value::as_str).map(String::from);
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) if named(map).is_some() => named(map).unwrap_or_default(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNormStatistics, EarlyStopping, Mix, Monitor, Teacher};
    use hw_data::{Augment, EmnistEdition, PixelScale, Preprocess, Sampling};
    use hw_models::zoo;

    /// A configuration that differs from the default in every field.
    fn another() -> TrainConfig {
        TrainConfig {
            model: "lenet5".into(),
            model_options: [("units".to_string(), "4".to_string())].into(),
            spec: Some(zoo::spec("ann", [1, 28, 28], 10).unwrap()),
            init: Some("he-normal".parse().unwrap()),
            dataset: "kmnist".parse().unwrap(),
            edition: Some(EmnistEdition::Sixth),
            augment: Some(Augment::standard()),
            augment_cycle: Some(3),
            mix: Some(Mix::CutMix { alpha: 0.5 }),
            preprocess: Preprocess {
                scale: PixelScale::Raw,
                ..Preprocess::default()
            },
            optimizer: "sgd".parse().unwrap(),
            learning_rate: 0.1,
            schedule: "cosine".parse().unwrap(),
            warmup: 1.0,
            loss: "focal".parse().unwrap(),
            teacher: Some(Teacher {
                runs: vec!["0123456789abcdef".into()],
                weight: 0.5,
                temperature: 2.0,
            }),
            ema: Some(0.999),
            batch: 20,
            sampling: Sampling::Replacement,
            epochs: 6,
            device: "cuda".parse().unwrap(),
            seed: 7,
            val_fraction: 0.25,
            stratified: false,
            limit: Some(100),
            monitor: Monitor::ValAccuracy,
            early_stopping: Some(EarlyStopping {
                patience: 2,
                min_delta: 0.0,
                patience_steps: 30,
                min_steps: 40,
            }),
            batch_norm_statistics: Some(BatchNormStatistics::Reestimate { images: 64 }),
            val_limit: Some(50),
            probe: Some(10),
        }
    }

    #[test]
    fn a_recipe_is_everything_but_the_seed() {
        let usual = TrainConfig::default();
        let (id, others) = (recipe_id(&usual), fields(&another()));
        for (name, value) in others {
            let mut changed = fields(&usual);
            assert_ne!(changed.insert(name.clone(), value.clone()), Some(value));
            let changed = serde_json::from_value(Value::Object(changed)).unwrap();
            assert_eq!(recipe_id(&changed) == id, name == "seed", "{name}");
        }
        assert!(
            id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }

    #[test]
    fn fields_are_read_by_name_and_those_that_are_not_usual_are_listed() {
        let config = TrainConfig {
            schedule: "step:every=3".parse().unwrap(),
            learning_rate: 0.1,
            ..TrainConfig::default()
        };
        let listed = unusual_fields(&config);
        let listed: Vec<(&str, &str)> = listed
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let expected = [
            ("model", "bn-cnn"),
            ("dataset", "mnist"),
            ("learning_rate", "0.1"),
            ("schedule", "step: every=3, factor=0.1"),
        ];
        assert_eq!(listed, expected);
        assert_eq!(field(&config, "schedule").as_deref(), Some("step"));
        assert_eq!(field(&config, "schedule.every").as_deref(), Some("3"));
        assert_eq!(field(&config, "batch").as_deref(), Some("128"));
        assert_eq!(field(&config, "limit"), None);
    }

    #[test]
    fn a_label_names_what_is_not_usual() {
        let usual = TrainConfig {
            seed: 3,
            ..TrainConfig::default()
        };
        assert_eq!(recipe_label(&usual), "bn-cnn on mnist");
        let changed = TrainConfig {
            optimizer: "sgd".parse().unwrap(),
            learning_rate: 0.1,
            epochs: 6,
            ..usual
        };
        let label = "bn-cnn on mnist, optimizer=sgd learning_rate=0.1 epochs=6";
        assert_eq!(recipe_label(&changed), label);
        assert!(recipe_label(&another()).starts_with("ann on kmnist, "));
    }
}
