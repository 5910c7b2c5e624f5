//! Update rules as JSON and as text.

use super::Optimizer;
use crate::choice::Fields;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

impl Serialize for Optimizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let fields = self.fields().map_err(ser::Error::custom)?;
        let constants = self.constants();
        let mut map = serializer.serialize_map(Some(1 + fields.len()))?;
        map.serialize_entry("name", self.name())?;
        for (name, value) in &fields {
            // A JSON value holds double precision, whose digits are not those that were written.
            match constants.iter().find(|constant| constant.name == name) {
                Some(constant) => map.serialize_entry(name, &constant.value)?,
                None => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (name, fields) = Fields::deserialize(deserializer)?.named::<D::Error>()?;
        let rule = Self::find(&name).ok_or_else(|| {
            let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            let known = known.join(", ");
            de::Error::custom(format!("unknown variant `{name}`, expected one of {known}"))
        })?;
        rule.with_fields(fields).map_err(de::Error::custom)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    Optimizer::all().into_iter().map(|rule| rule.name())
}

/// As [`str::parse`] reads it: `adam:beta1=0.9,beta2=0.999,eps=0.00000001,epsilon=corrected`.
impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let constants = self.constants();
        let fields = self.fields().map_err(|_| fmt::Error)?;
        for (place, (name, value)) in fields.iter().enumerate() {
            f.write_str(if place == 0 { ":" } else { "," })?;
            let number = constants.iter().find(|constant| constant.name == name);
            match (number, value) {
                (Some(number), _) => write!(f, "{name}={}", number.value)?,
                (None, Value::String(word)) => write!(f, "{name}={word}")?,
                (None, other) => write!(f, "{name}={other}")?,
            }
        }
        Ok(())
    }
}

/// Reads a rule's name, alone or after the library whose constants are meant, and perhaps constants:
/// `adam`, `keras:adam`, `adam:beta1=0.95,eps=1e-7`, `keras:adam:beta1=0.8`.
impl FromStr for Optimizer {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (library, rest) = match text.split_once(':') {
            Some((library @ ("keras" | "pytorch"), rest)) => (Some(library), rest),
            _ => (None, text),
        };
        let (name, constants) = rest.split_once(':').unwrap_or((rest, ""));
        let rule = Self::find(name).ok_or_else(|| {
            let names: Vec<&str> = names().collect();
            format!(
                "unknown optimizer '{name}'; known: {}; each also as keras:NAME and pytorch:NAME, with \
                 that library's constants",
                names.join(", ")
            )
        })?;
        let preset = match library {
            Some("keras") => rule.keras(),
            Some(_) => rule.pytorch(),
            None => Some(rule),
        };
        let none = || format!("{} has no optimizer '{name}'", library.unwrap_or_default());
        let mut rule = preset.ok_or_else(none)?;
        for constant in constants.split(',').filter(|constant| !constant.is_empty()) {
            let (name, value) = constant
                .split_once('=')
                .ok_or_else(|| format!("'{constant}' is not of the form key=value"))?;
            rule.set(name.trim(), value.trim())?;
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BUILT_IN;
    use super::super::adam::{Adam, AdamEpsilon};
    use super::*;

    /// Every rule with its default constants and with each library's.
    fn presets() -> Vec<Optimizer> {
        let of = |rule: Optimizer| [rule.keras(), rule.pytorch(), Some(rule)];
        let all = BUILT_IN.iter().cloned();
        all.flat_map(of).flatten().collect()
    }

    #[test]
    fn every_rule_answers_to_its_own_name_and_comes_back_from_its_json_and_its_text() {
        for rule in BUILT_IN.iter() {
            assert_eq!(rule.name().parse().as_ref(), Ok(rule));
            rule.probe().unwrap();
        }
        for rule in presets() {
            rule.check().unwrap();
            assert_eq!(rule.to_string().parse().as_ref(), Ok(&rule));
            let json = serde_json::to_value(&rule).unwrap();
            assert_eq!(json["name"], rule.name());
            assert_eq!(serde_json::from_value::<Optimizer>(json).unwrap(), rule);
        }
        assert!("adan".parse::<Optimizer>().unwrap_err().contains("nadam"));
        assert!("jax:adam".parse::<Optimizer>().is_err());
    }

    #[test]
    fn the_json_form_is_what_it_always_was_since_run_ids_hash_it() {
        let forms = [
            ("sgd", r#"{"name":"sgd"}"#),
            ("momentum", r#"{"name":"momentum","momentum":0.9}"#),
            (
                "keras:nesterov",
                r#"{"name":"nesterov","momentum":0.9,"velocity":"steps"}"#,
            ),
            (
                "adagrad",
                r#"{"name":"adagrad","eps":1e-7,"initial_accumulator":0.0}"#,
            ),
            (
                "keras:adagrad",
                r#"{"name":"adagrad","eps":1e-7,"initial_accumulator":0.1,"epsilon":"inside"}"#,
            ),
            (
                "rmsprop",
                r#"{"name":"rmsprop","rho":0.99,"eps":1e-8,"epsilon":"outside"}"#,
            ),
            (
                "adam",
                r#"{"name":"adam","beta1":0.9,"beta2":0.999,"eps":1e-8,"epsilon":"corrected"}"#,
            ),
            (
                "keras:adamw",
                r#"{"name":"adamw","beta1":0.9,"beta2":0.999,"eps":1e-7,"epsilon":"raw","weight_decay":0.004}"#,
            ),
            (
                "adamax",
                r#"{"name":"adamax","beta1":0.9,"beta2":0.999,"eps":1e-8,"epsilon":"gradient"}"#,
            ),
            (
                "keras:nadam",
                r#"{"name":"nadam","beta1":0.9,"beta2":0.999,"eps":1e-7,"momentum_decay":1.0}"#,
            ),
        ];
        for (text, json) in forms {
            let rule: Optimizer = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        }
        // As a part of a larger value, each number has the digits of its double.
        let value = serde_json::to_value("momentum".parse::<Optimizer>().unwrap()).unwrap();
        assert_eq!(
            value.to_string(),
            r#"{"name":"momentum","momentum":0.8999999761581421}"#
        );
    }

    #[test]
    fn constants_are_set_by_name_after_any_rules_name() {
        let parse = |text: &str| text.parse::<Optimizer>();
        let adam = |beta1, eps, epsilon| {
            Ok(Optimizer::new(Adam {
                beta1,
                eps,
                epsilon,
                ..Adam::default()
            }))
        };
        assert_eq!(
            parse("adam:beta1=0.95,eps=1e-7"),
            adam(0.95, 1e-7, AdamEpsilon::Corrected)
        );
        assert_eq!(
            parse("keras:adam:beta1=.8"),
            adam(0.8, 1e-7, AdamEpsilon::Raw)
        );
        assert_eq!(parse("adam:epsilon=raw"), adam(0.9, 1e-8, AdamEpsilon::Raw));
        assert_eq!(
            parse("adamw:weight-decay=0.1"),
            parse("adamw:weight_decay=0.1")
        );
        assert_eq!(parse("momentum:velocity=steps"), parse("keras:momentum"));
        for (text, part) in [
            ("adam:beta3=1", "`beta2`"),
            ("sgd:momentum=0.9", "no fields"),
            ("adam:beta1", "key=value"),
            ("adam:beta1=much", "\"much\""),
            ("adam:eps=nan", "no finite number"),
            ("adam:epsilon=inside", "`corrected` or `raw`"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_json_form_is_said() {
        for (json, part) in [
            (
                r#"{"name":"adamm"}"#,
                "unknown variant `adamm`, expected one of `sgd`, ",
            ),
            (
                r#"{"name":"adam","x":1}"#,
                "unknown field `x`, expected one of `beta1`",
            ),
            (r#"{"beta1":1}"#, "missing field `name`"),
            (r#"{"name":3}"#, "name"),
            (r#"{"name":"adam","beta1":"x"}"#, "expected f32"),
            (
                r#"{"name":"adam","eps":1,"eps":2}"#,
                "duplicate field `eps`",
            ),
            ("3", "invalid type: integer `3`"),
        ] {
            let problem = serde_json::from_str::<Optimizer>(json)
                .unwrap_err()
                .to_string();
            assert!(problem.contains(part), "{json}: {problem}");
        }
    }
}
