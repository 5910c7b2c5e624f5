//! The words of a training configuration: the fields of a config file by their dotted names, and the
//! short forms that `hw train` takes.

use hw_train::TrainConfig;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::str::FromStr;

/// The fields of a config file.
pub(crate) type Fields = Map<String, Value>;

/// What `hw train` calls a field otherwise.
const SHORT: [(&str, &str); 10] = [
    ("lr", "learning_rate"),
    ("activation", "model_options.activation"),
    ("momentum", "optimizer.momentum"),
    ("weight_decay", "optimizer.weight_decay"),
    ("label_smoothing", "loss.label_smoothing"),
    ("patience", "early_stopping.patience"),
    ("patience_steps", "early_stopping.patience_steps"),
    ("min_steps", "early_stopping.min_steps"),
    ("scale", "preprocess.scale"),
    ("emnist", "edition"),
];

/// Fields that "none" leaves out.
const OPTIONAL: [&str; 10] = [
    "edition",
    "augment",
    "augment_cycle",
    "mix",
    "init",
    "ema",
    "batch_norm_statistics",
    "limit",
    "val_limit",
    "early_stopping",
];

/// Names less alike than this are no misspelling.
const ALIKE: f64 = 0.75;

/// The dotted name of a field, from any of its forms: `lr`, `val-fraction`.
pub(crate) fn canonical(name: &str) -> String {
    let name = name.replace('-', "_");
    let short = SHORT.iter().find(|(short, _)| *short == name);
    short.map_or(name, |(_, field)| (*field).to_owned())
}

/// The fields of the default configuration.
pub(crate) fn defaults() -> Fields {
    match serde_json::to_value(TrainConfig::default()) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a configuration is a JSON object, not {other:?}"),
    }
}

/// Sets a field by its [canonical](canonical) name. A table without a `name` changes the fields it names;
/// one with a name replaces all.
///
/// # Errors
/// A short form that does not exist.
pub(crate) fn set(fields: &mut Fields, name: &str, value: &Value) -> Result<(), String> {
    let Some((field, rest)) = name.split_once('.') else {
        return set_whole(fields, name, value);
    };
    if field == "model_options" {
        let options = inner(fields, field);
        options.insert(rest.into(), Value::String(plain(value)));
        return Ok(());
    }
    let mut place = inner(fields, field);
    let mut rest = rest;
    while let Some((field, deeper)) = rest.split_once('.') {
        place = inner(place, field);
        rest = deeper;
    }
    place.insert(rest.into(), value.clone());
    Ok(())
}

fn set_whole(fields: &mut Fields, field: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) if text == "none" && OPTIONAL.contains(&field) => {
            fields.remove(field);
        }
        Value::String(text) => {
            fields.insert(field.into(), from_text(field, text)?);
        }
        Value::Object(named) if !named.contains_key("name") => {
            for (inner, value) in named {
                set(fields, &format!("{field}.{inner}"), value)?;
            }
        }
        other => {
            fields.insert(field.into(), other.clone());
        }
    }
    Ok(())
}

/// The table in a field, an empty one if there is none.
fn inner<'a>(fields: &'a mut Fields, field: &str) -> &'a mut Fields {
    let place = fields.entry(field).or_insert(Value::Null);
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    place.as_object_mut().expect("it was made one")
}

/// A value as `hw train` takes it, in the form of a config file.
fn from_text(field: &str, text: &str) -> Result<Value, String> {
    use hw_data::{Augment, DatasetId};
    use hw_train::{BatchNormStatistics, Loss, Mix, Optimizer, Schedule};
    match field {
        "optimizer" => parsed::<Optimizer>(text),
        "schedule" => parsed::<Schedule>(text),
        "loss" => parsed::<Loss>(text),
        "mix" => parsed::<Mix>(text),
        "augment" => parsed::<Augment>(text),
        "batch_norm_statistics" => parsed::<BatchNormStatistics>(text),
        "dataset" => parsed::<DatasetId>(text),
        "init" => parsed::<hw_models::Initializer>(text),
        "monitor" => Ok(Value::String(text.replace('_', "-"))),
        _ => Ok(Value::String(text.into())),
    }
}

fn parsed<T: FromStr + Serialize>(text: &str) -> Result<Value, String>
where
    T::Err: Display,
{
    let value: T = text.parse().map_err(|error: T::Err| error.to_string())?;
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// The configuration of these fields.
///
/// # Errors
/// What is wrong, with the nearest name for one that is not known.
pub(crate) fn config(fields: &Fields) -> Result<TrainConfig, String> {
    serde_json::from_value(Value::Object(fields.clone()))
        .map_err(|error| advise(&error.to_string()))
}

/// An error of serde's about a name that does not exist, with the nearest of those that do.
pub(crate) fn advise(message: &str) -> String {
    let Some((unknown, known)) = unknown_name(message) else {
        return message.to_owned();
    };
    let shorts = SHORT.iter().map(|(short, _)| *short);
    let top = known.contains(&"learning_rate");
    let candidates = known.iter().copied().chain(shorts.filter(|_| top));
    let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
    let nearest = candidates
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((_, name)) => format!("there is no \"{unknown}\"; did you mean \"{name}\"?"),
        None => format!("there is no \"{unknown}\"; known: {}", known.join(", ")),
    }
}

/// The name that is not known, and those that are: "unknown field `x`, expected one of `a`, `b`".
fn unknown_name(message: &str) -> Option<(&str, Vec<&str>)> {
    let message = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    let (unknown, rest) = message.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    (!known.is_empty()).then_some((unknown, known))
}

/// A value as people write it: `adam`, `0.001`, `step`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.get("name").and_then(Value::as_str) {
            Some(name) if fields.len() == 1 => name.into(),
            Some(name) => {
                let rest = fields.iter().filter(|(field, _)| *field != "name");
                let rest = rest.map(|(field, value)| format!("{field}={}", plain(value)));
                format!("{name}:{}", rest.collect::<Vec<_>>().join(","))
            }
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The configuration after these settings.
    fn with(settings: &[(&str, Value)]) -> Result<TrainConfig, String> {
        let mut fields = defaults();
        for (name, value) in settings {
            set(&mut fields, &canonical(name), value)?;
        }
        config(&fields)
    }

    #[test]
    fn fields_are_set_by_the_words_of_a_config_file_and_of_the_command_line() {
        let by_words = with(&[
            ("optimizer", json!("momentum")),
            ("optimizer.momentum", json!(0.8)),
            ("lr", json!(0.05)),
            ("val-fraction", json!(0.2)),
            ("patience", json!(3)),
            ("augment", json!("standard")),
            ("schedule", json!("step:every=2")),
            ("label_smoothing", json!(0.1)),
            ("monitor", json!("val_accuracy")),
            ("init", json!("he-normal")),
            ("model", json!("residual")),
            ("model_options.units", json!(4)),
        ])
        .unwrap();
        let mut expected = TrainConfig {
            optimizer: "momentum:momentum=0.8".parse().unwrap(),
            learning_rate: 0.05,
            val_fraction: 0.2,
            early_stopping: Some(hw_train::EarlyStopping {
                patience: 3,
                ..Default::default()
            }),
            augment: Some(hw_data::Augment::standard()),
            schedule: "step:every=2".parse().unwrap(),
            monitor: hw_train::Monitor::ValAccuracy,
            init: Some("he-normal".parse().unwrap()),
            model: "residual".into(),
            model_options: [("units".to_string(), "4".to_string())].into(),
            ..TrainConfig::default()
        };
        expected.loss.label_smoothing = 0.1;
        assert_eq!(by_words, expected);
        let none = with(&[("augment", json!("standard")), ("augment", json!("none"))]);
        assert_eq!(none.unwrap(), TrainConfig::default());
    }

    #[test]
    fn tables_replace_what_has_a_name_and_change_what_has_none() {
        let table = json!({ "name": "nesterov", "momentum": 0.7 });
        let config = with(&[("optimizer", table)]).unwrap();
        assert_eq!(config.optimizer.name(), "nesterov");
        let table = json!({ "patience": 2, "min_steps": 9 });
        let config = with(&[("early_stopping", table)]).unwrap();
        assert_eq!(config.early_stopping.unwrap().min_steps, 9);
    }

    #[test]
    fn a_word_that_is_not_known_is_answered_with_the_nearest_one() {
        let wrong = |name: &str, value: Value| with(&[(name, value)]).unwrap_err();
        assert!(wrong("learning_rat", json!(1)).contains("did you mean \"learning_rate\""));
        assert!(wrong("patiense", json!(1)).contains("did you mean \"patience\""));
        assert!(wrong("early_stopping.patient", json!(1)).contains("\"patience\""));
        assert!(wrong("quux", json!(1)).contains("known: model, "));
        assert!(wrong("optimizer", json!("adamm")).contains("adam"));
        assert!(wrong("optimizer.momentum", json!(0.5)).contains("momentum"));
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        assert_eq!(plain(&json!("adam")), "adam");
        assert_eq!(plain(&json!(0.001)), "0.001");
        let table = json!({ "name": "step", "every": 3, "factor": 0.5 });
        assert_eq!(plain(&table), "step:every=3,factor=0.5");
    }
}
