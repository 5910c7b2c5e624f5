//! Families of building blocks: each member declared once, with a name that people can write.

use hw_core::Named;
use serde::Serialize;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A member of a family.
#[derive(Clone, Copy, Debug)]
pub struct Choice<T> {
    /// The name used on the command line and in config files.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Who proposed it.
    pub source: &'static str,
    /// The member with its usual constants.
    pub value: T,
}

impl<T> Choice<T> {
    /// One that another crate has registered.
    pub(crate) fn of(member: &(impl Named + ?Sized), value: T) -> Self {
        Self {
            name: member.name(),
            about: member.about(),
            source: member.source(),
            value,
        }
    }
}

/// Reads `NAME` or `NAME:key=value,key=value`, where the keys are those of the member's JSON form.
pub(crate) fn parse<T: Serialize + DeserializeOwned + Copy>(
    family: &str,
    members: &[Choice<T>],
    text: &str,
) -> Result<T, String> {
    let (name, constants) = text.split_once(':').unwrap_or((text, ""));
    let member = members.iter().find(|member| member.name == name);
    let member = member.ok_or_else(|| {
        let names: Vec<&str> = members.iter().map(|member| member.name).collect();
        format!("unknown {family} '{name}'; known: {}", names.join(", "))
    })?;
    let mut json = serde_json::to_value(member.value).map_err(|error| error.to_string())?;
    for constant in constants.split(',').filter(|text| !text.is_empty()) {
        let (key, value) = constant
            .split_once('=')
            .ok_or_else(|| format!("'{constant}' is not of the form key=value"))?;
        let number: serde_json::Value = serde_json::from_str(value)
            .map_err(|_| format!("'{value}' for {key} of {name} is no number"))?;
        match json.get_mut(key).filter(|old| old.is_number()) {
            Some(old) => *old = number,
            None => {
                let known: Vec<String> = json
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(_, value)| value.is_number())
                    .map(|(key, _)| key.clone())
                    .collect();
                let known = match known.as_slice() {
                    [] => "it has no constants".into(),
                    known => format!("its constants: {}", known.join(", ")),
                };
                return Err(format!("{family} {name} has no '{key}'; {known}"));
            }
        }
    }
    serde_json::from_value(json).map_err(|error| format!("{family} {text}: {error}"))
}

/// The fields of a member's JSON form.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The member's name, and the other fields.
    ///
    /// # Errors
    /// When there is no name, or it is no text.
    pub(crate) fn named<E: de::Error>(mut self) -> Result<(String, Map<String, Value>), E> {
        match self.0.remove("name") {
            Some(Value::String(name)) => Ok((name, self.0)),
            Some(other) => Err(E::custom(format!("the name is {other}, expected a string"))),
            None => Err(E::missing_field("name")),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&key) {
                        return Err(de::Error::custom(format!("duplicate field `{key}`")));
                    }
                    fields.insert(key, value);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
