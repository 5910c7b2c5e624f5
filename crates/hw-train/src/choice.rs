//! Families of building blocks: each member declared once, with a name that people can write.

use serde::Serialize;
use serde::de::DeserializeOwned;

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
