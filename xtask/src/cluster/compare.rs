//! Whether two `cells.json` say the same but for times.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Quantities that say as much about the machine, and what else it did, as about the network.
const TIMES: [&str; 9] = [
    "train_seconds",
    "best_seconds",
    "epoch_seconds",
    "test_seconds",
    "step_ms",
    "latency_ms",
    "image_us",
    "train_images_per_second",
    "inference_images_per_second",
];
/// What follows from the values of a cell.
const OF_CELLS: [&str; 4] = ["mean", "std", "values", "verdict"];
/// What follows from the values of a part of a claim.
const OF_PARTS: [&str; 7] = [
    "measured",
    "verdict",
    "evidence",
    "p",
    "p_opposite",
    "images",
    "smaller",
];
/// What follows from the parts of a claim, or from the effects of a flaw.
const OF_CLAIMS: [&str; 4] = ["verdict", "detail", "decided_at", "standing"];
/// When a test set was first and last looked at.
const MOMENTS: [&str; 2] = ["first", "last"];
/// How a machine took times.
const OF_MACHINES: [&str; 2] = ["threads", "rates"];

/// One line for each place where the two differ.
pub(super) fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", one, other, &mut found);
    found
}

fn compare(place: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let left_out = left_out(one);
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                if !left_out.contains(&name.as_str()) {
                    let [a, b] = [one, other].map(|map| map.get(name).unwrap_or(&Value::Null));
                    compare(&format!("{place}/{name}"), a, b, found);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if compared(a).len() == compared(b).len() => {
            for (index, (a, b)) in compared(a).into_iter().zip(compared(b)).enumerate() {
                compare(&format!("{place}/{index}"), a, b, found);
            }
        }
        _ if one == other => {}
        _ => found.push(format!(
            "{place}: {} alone, {} by the cluster",
            short(one),
            short(other)
        )),
    }
}

/// The elements that must be the same, in an order that does not depend on when they came about: recipes are listed
/// as they were first looked at. A machine that made no run only took times.
fn compared(elements: &[Value]) -> Vec<&Value> {
    let only_timed = |element: &Value| element.get("processor").is_some() && element["runs"] == 0;
    let elements = elements.iter().filter(|element| !only_timed(element));
    let mut elements: Vec<&Value> = elements.collect();
    let name = |element: &Value| {
        ["recipe", "purpose", "label"].map(|part| element.get(part).map(Value::to_string))
    };
    if elements
        .iter()
        .all(|element| element.get("recipe").is_some())
    {
        elements.sort_by_cached_key(|element| name(element));
    }
    elements
}

/// The entries of an object that are times, or follow from times.
fn left_out(object: &Map<String, Value>) -> Vec<&'static str> {
    let about_time = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).unwrap_or_default();
        is_time(text)
    };
    let parts = |name: &str| {
        let parts = object
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut checks = parts.filter_map(|part| part.get("check")?.as_str());
        checks.any(is_time)
    };
    let mut names = Vec::new();
    if about_time("term") {
        names.extend(OF_CELLS);
    }
    if about_time("check") {
        names.extend(OF_PARTS);
    }
    if parts("parts") || parts("effects") {
        names.extend(OF_CLAIMS);
    }
    if object.contains_key("recipe") {
        names.extend(MOMENTS);
    }
    if object.contains_key("processor") {
        names.extend(OF_MACHINES);
    }
    names
}

/// Whether a term or a check is about a time.
fn is_time(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.into_iter().any(|word| TIMES.contains(&word))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cells(accuracy: f64, seconds: f64, when: &str) -> Value {
        json!({
            "cells": [
                { "term": "a.accuracy", "mean": accuracy, "verdict": { "standing": "agrees" } },
                { "term": "a.train_seconds", "mean": seconds, "values": [seconds], "scale": "all" },
            ],
            "claims": [{
                "claim": "1",
                "verdict": seconds,
                "parts": [{ "check": "a.epoch_seconds < b.epoch_seconds", "measured": seconds }],
            }],
            "test_looks": [{ "looks": 3, "lines": [{ "recipe": "r", "first": when, "looks": 1 }] }],
        })
    }

    #[test]
    fn times_may_differ_and_nothing_else() {
        let one = cells(0.9, 1.0, "monday");
        assert_eq!(differences(&one, &cells(0.9, 2.0, "tuesday")), [""; 0]);
        let found = differences(&one, &cells(0.8, 1.0, "monday"));
        assert_eq!(found, ["/cells/0/mean: 0.9 alone, 0.8 by the cluster"]);
        let mut other = cells(0.9, 1.0, "monday");
        other["cells"][1]["scale"] = json!("half");
        other["test_looks"][0]["looks"] = json!(4);
        other["claims"][0]["parts"] = json!([]);
        let found = differences(&one, &other);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn recipes_may_have_been_looked_at_in_another_order() {
        let looks = |recipes: [&str; 2], best: f64| {
            let lines = recipes.map(|recipe| json!({ "recipe": recipe, "best": best }));
            json!({ "test_looks": [{ "lines": lines }] })
        };
        let one = looks(["a", "b"], 0.5);
        assert_eq!(differences(&one, &looks(["b", "a"], 0.5)), [""; 0]);
        assert_eq!(differences(&one, &looks(["b", "a"], 0.4)).len(), 2);
        assert_eq!(differences(&one, &looks(["b", "c"], 0.5)).len(), 2);
    }

    #[test]
    fn a_machine_may_have_taken_times_in_another_way() {
        let machine = |runs: u32, threads: u32| json!({ "processor": "p", "threads": threads, "rates": threads, "runs": runs });
        let one = json!({ "computed_by": [machine(7, 1), machine(0, 2)] });
        let other = json!({ "computed_by": [machine(7, 2)] });
        assert_eq!(differences(&one, &other), [""; 0]);
        let other = json!({ "computed_by": [machine(6, 1)] });
        assert_eq!(differences(&one, &other).len(), 1);
    }

    #[test]
    fn a_cell_that_only_one_has_is_a_difference() {
        let one = json!({ "cells": [1, 2], "more": 1 });
        let found = differences(&one, &json!({ "cells": [1] }));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
