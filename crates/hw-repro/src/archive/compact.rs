//! A result as small JSON: what follows from the rest is left out, and answers are letters.

use super::letters::{read_numbers, write_numbers};
use crate::results::{Answered, RunResult};
use hw_eval::{ClassReport, ConfusionMatrix};
use serde_json::{Value, json};

/// The result as JSON without what [`unpack`] can make again: scores that follow from the confusion
/// matrix, and the last losses of all epochs but the last, which no report shows.
pub(crate) fn pack(result: &RunResult) -> Value {
    let mut value = lossless(result);
    for answers in answers_of(&mut value) {
        let packed = serde_json::from_value(answers.clone()).map(|known| wrong(&known));
        answers["wrong"] = json!(packed.unwrap_or_default());
    }
    for metrics in metrics_of(&mut value) {
        if let Some(fields) = metrics.as_object_mut() {
            fields.remove("report");
        }
        let counts = &metrics["confusion"]["counts"];
        let counts = counts.as_array().into_iter().flatten();
        let counts = counts.filter_map(|count| u32::try_from(count.as_u64()?).ok());
        metrics["confusion"]["counts"] = json!(write_numbers(counts));
    }
    if let Some((_, earlier)) = value["history"]
        .as_array_mut()
        .and_then(|h| h.split_last_mut())
    {
        for epoch in earlier {
            epoch["last_losses"] = json!([]);
        }
    }
    value
}

/// The result that [`pack`] packed.
///
/// # Errors
/// What is missing or wrong.
pub(crate) fn unpack(mut value: Value) -> Result<RunResult, String> {
    let words = |error: serde_json::Error| error.to_string();
    for answers in answers_of(&mut value) {
        let pairs = answers["wrong"].as_str().and_then(pairs);
        answers["wrong"] = json!(pairs.ok_or("its answers cannot be read")?);
    }
    for metrics in metrics_of(&mut value) {
        let counts = &mut metrics["confusion"]["counts"];
        let numbers = counts.as_str().and_then(read_numbers);
        *counts = json!(numbers.ok_or("its confusion matrix cannot be read")?);
        let confusion: ConfusionMatrix =
            serde_json::from_value(metrics["confusion"].clone()).map_err(words)?;
        metrics["report"] = lossless(&ClassReport::of(&confusion));
    }
    serde_json::from_value(value).map_err(words)
}

/// As JSON in which a number of single precision keeps its short decimals.
pub(crate) fn lossless<T: serde::Serialize>(value: &T) -> Value {
    let text = serde_json::to_string(value).expect("numbers and strings are JSON");
    serde_json::from_str(&text).expect("what was written can be read")
}

/// The answers to the run's own test set and to every variant.
fn answers_of(result: &mut Value) -> Vec<&mut Value> {
    parts_of(result, "answers")
}

fn metrics_of(result: &mut Value) -> Vec<&mut Value> {
    parts_of(result, "metrics")
}

fn parts_of<'a>(result: &'a mut Value, field: &str) -> Vec<&'a mut Value> {
    let mut parts = Vec::new();
    let Some(fields) = result.as_object_mut() else {
        return parts;
    };
    for (name, value) in fields {
        if name == field {
            parts.push(value);
        } else if name == "variants" {
            let variants = value.as_array_mut().into_iter().flatten();
            parts.extend(variants.filter_map(|variant| variant.get_mut(field)));
        }
    }
    parts
}

/// The wrong answers: how far each is from the one before, and what it was.
fn wrong(answered: &Answered) -> String {
    let mut next = 0;
    let pairs = answered.wrong.iter().flat_map(|&(place, class)| {
        let gap = place - next;
        next = place + 1;
        [gap, u32::from(class)]
    });
    write_numbers(pairs)
}

fn pairs(text: &str) -> Option<Vec<(u32, u16)>> {
    let numbers = read_numbers(text)?;
    if numbers.len() % 2 == 1 {
        return None;
    }
    let mut next = 0u32;
    let pair = |pair: &[u32]| {
        let place = next.checked_add(pair[0])?;
        next = place.checked_add(1)?;
        Some((place, u16::try_from(pair[1]).ok()?))
    };
    numbers.chunks(2).map(pair).collect()
}
