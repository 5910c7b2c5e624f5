//! What a sweep varies: a list of values, or a range that points or draws are taken from.

use super::words::{Fields, canonical};
use hw_core::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Significant digits of a number taken from a range, so that a table can hold it.
const DIGITS: usize = 4;

/// One option and the values that it may take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Axis {
    /// The field's dotted name.
    pub(crate) name: String,
    /// Where its values come from.
    pub(crate) values: Values,
}

/// Where the values of an [`Axis`] come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Values {
    /// These, at least one.
    List(Vec<Value>),
    /// Points between two ends.
    Range(Range),
}

/// Numbers from one end to the other, both included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    from: serde_json::Number,
    to: serde_json::Number,
    #[serde(default)]
    scale: Scale,
    /// Points of a grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
}

/// How the points of a [`Range`] are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    /// Equal differences.
    #[default]
    Linear,
    /// Equal ratios.
    Log,
}

/// The axes of a `[vary]` table, in the order of their names. A table with `from` is a range; any other
/// holds fields of the option that it names.
///
/// # Errors
/// What is wrong with which option.
pub(crate) fn axes(table: &Fields) -> Result<Vec<Axis>, String> {
    let mut axes = Vec::new();
    collect("", table, &mut axes)?;
    axes.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = axes.windows(2).find(|two| two[0].name == two[1].name) {
        return Err(format!("{} stands there twice", twice[0].name));
    }
    Ok(axes)
}

fn collect(prefix: &str, table: &Fields, axes: &mut Vec<Axis>) -> Result<(), String> {
    for (name, value) in table {
        let name = canonical(&format!("{prefix}{name}"));
        let values = match value {
            Value::Array(list) if list.is_empty() => return Err(format!("{name} has no values")),
            Value::Array(list) => Values::List(list.clone()),
            Value::Object(range) if range.contains_key("from") || range.contains_key("to") => {
                let range: Range = serde_json::from_value(value.clone()).map_err(|error| {
                    format!("{name}: {}", super::words::advise(&error.to_string()))
                })?;
                range
                    .check()
                    .map_err(|problem| format!("{name}: {problem}"))?;
                Values::Range(range)
            }
            Value::Object(deeper) => {
                collect(&format!("{name}."), deeper, axes)?;
                continue;
            }
            one => {
                return Err(format!(
                    "{name} is one value, {one}; write a list or a range, or move it to [train]"
                ));
            }
        };
        axes.push(Axis { name, values });
    }
    Ok(())
}

impl Range {
    fn check(&self) -> Result<(), String> {
        let (from, to) = self.ends();
        if from >= to {
            return Err(format!(
                "from {from} to {to} is no range; from must be below to"
            ));
        }
        if self.scale == Scale::Log && from <= 0.0 {
            return Err(format!(
                "a range with scale = \"log\" starts above 0, not at {from}"
            ));
        }
        match self.count {
            Some(count) if count < 2 => {
                Err("a range has both its ends: count is at least 2".into())
            }
            Some(count) => {
                let points = self.points(count);
                let equal = points.windows(2).any(|two| two[0] == two[1]);
                let problem = || format!("it does not have {count} different values");
                equal.then(problem).map_or(Ok(()), Err)
            }
            None => Ok(()),
        }
    }

    fn ends(&self) -> (f64, f64) {
        let number = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
        (number(&self.from), number(&self.to))
    }

    /// Whether its values are whole numbers: both ends are.
    fn is_whole(&self) -> bool {
        !self.from.is_f64() && !self.to.is_f64()
    }

    /// The value at a share of the way.
    fn at(&self, share: f64) -> Value {
        let (from, to) = self.ends();
        let value = match self.scale {
            Scale::Linear => from + (to - from) * share,
            Scale::Log => (from.ln() + (to.ln() - from.ln()) * share).exp(),
        };
        if self.is_whole() {
            return Value::from(value.round() as i64);
        }
        let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value);
        Value::from(rounded.clamp(from, to))
    }

    fn points(&self, count: usize) -> Vec<Value> {
        let last = count.saturating_sub(1).max(1);
        let inside = (1..last).map(|point| self.at(point as f64 / last as f64));
        let ends = [&self.from, &self.to].map(|end| Value::Number(end.clone()));
        let [from, to] = ends;
        std::iter::once(from).chain(inside).chain([to]).collect()
    }
}

impl Axis {
    /// The points of a grid.
    ///
    /// # Errors
    /// A range that does not say how many it has.
    pub(crate) fn grid(&self) -> Result<Vec<Value>, String> {
        match &self.values {
            Values::List(list) => Ok(list.clone()),
            Values::Range(range) => match range.count {
                Some(count) => Ok(range.points(count)),
                None => Err(format!(
                    "{}: a range on a grid says how many points it has: add count = 5, say",
                    self.name
                )),
            },
        }
    }

    /// A value drawn at random for a trial: of a list or of a range with a count any of its points, of
    /// another range any number between its ends. Each axis has its own stream, so that the draws of
    /// one do not change when another is added.
    pub(crate) fn draw(&self, seed: u64, trial: u64) -> Value {
        let mut rng = Rng::stream(seed, &format!("sweep {}", self.name), trial);
        match &self.values {
            Values::Range(range) if range.count.is_none() => range.at(rng.uniform_f64()),
            Values::Range(range) => {
                let points = range.points(range.count.unwrap_or(2));
                points[rng.below(points.len())].clone()
            }
            Values::List(list) => list[rng.below(list.len())].clone(),
        }
    }

    /// How many values it has; `None` for a range without points.
    pub(crate) fn count(&self) -> Option<usize> {
        match &self.values {
            Values::List(list) => Some(list.len()),
            Values::Range(range) => range.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(value: Value) -> Result<Axis, String> {
        let table = json!({ "learning_rate": value });
        axes(table.as_object().unwrap()).map(|mut axes| axes.remove(0))
    }

    #[test]
    fn a_grid_has_both_ends_and_equal_steps_of_its_scale() {
        let log = one(json!({ "from": 1e-4, "to": 1e-1, "scale": "log", "count": 4 })).unwrap();
        assert_eq!(
            log.grid().unwrap(),
            [json!(1e-4), json!(1e-3), json!(1e-2), json!(1e-1)]
        );
        let linear = one(json!({ "from": 0.0, "to": 0.5, "count": 3 })).unwrap();
        assert_eq!(
            linear.grid().unwrap(),
            [json!(0.0), json!(0.25), json!(0.5)]
        );
        let whole = one(json!({ "from": 32, "to": 256, "scale": "log", "count": 4 })).unwrap();
        assert_eq!(
            whole.grid().unwrap(),
            [json!(32), json!(64), json!(128), json!(256)]
        );
        let odd = one(json!({ "from": 1e-4, "to": 1e-1, "scale": "log", "count": 3 })).unwrap();
        assert_eq!(odd.grid().unwrap()[1], json!(0.003162), "four digits");
    }

    #[test]
    fn draws_lie_in_the_range_and_depend_on_nothing_else() {
        let range = one(json!({ "from": 1e-4, "to": 1e-1, "scale": "log" })).unwrap();
        let draws: Vec<f64> = (0..300)
            .map(|trial| range.draw(7, trial).as_f64().unwrap())
            .collect();
        assert!(draws.iter().all(|draw| (1e-4..=1e-1).contains(draw)));
        let below = draws.iter().filter(|draw| **draw < 1e-3).count();
        assert!(
            (60..140).contains(&below),
            "a third of each decade: {below}"
        );
        assert_eq!(range.draw(7, 3), range.draw(7, 3));
        assert_ne!(range.draw(7, 3), range.draw(8, 3));
        let list = one(json!(["a", "b"])).unwrap();
        let drawn: Vec<Value> = (0..20).map(|trial| list.draw(1, trial)).collect();
        assert!(drawn.contains(&json!("a")) && drawn.contains(&json!("b")));
    }

    #[test]
    fn nested_options_are_named_with_dots_or_in_tables() {
        let table =
            json!({ "optimizer": { "momentum": [0.8, 0.9] }, "loss.focal": [0, 2], "lr": [0.1] });
        let axes = axes(table.as_object().unwrap()).unwrap();
        let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
        assert_eq!(names, ["learning_rate", "loss.focal", "optimizer.momentum"]);
    }

    #[test]
    fn what_is_no_range_is_refused_with_a_reason() {
        for (value, needle) in [
            (json!([]), "no values"),
            (json!(0.1), "one value"),
            (json!({ "from": 2.0, "to": 1.0 }), "no range"),
            (json!({ "from": 0.0, "to": 1.0, "scale": "log" }), "above 0"),
            (json!({ "from": 1.0, "to": 2.0, "count": 1 }), "at least 2"),
            (json!({ "from": 1, "to": 3, "count": 9 }), "9 different"),
            (json!({ "from": 1, "to": 3, "cuont": 9 }), "\"count\""),
        ] {
            let problem = one(value).unwrap_err();
            assert!(
                problem.contains("learning_rate") && problem.contains(needle),
                "{problem}"
            );
        }
        let open = one(json!({ "from": 1.0, "to": 3.0 })).unwrap();
        assert!(open.grid().unwrap_err().contains("count"));
        let twice = json!({ "lr": [1], "learning_rate": [2] });
        assert!(
            axes(twice.as_object().unwrap())
                .unwrap_err()
                .contains("twice")
        );
    }
}
