//! All cells and claims as JSON and CSV, for those who read with programs.

use super::cells::{JudgedCell, Standing};
use super::claims::{JudgedClaim, JudgedFlaw, JudgedPart, Standing as FlawStanding};
use super::computed::computed_by;
use super::report::Part;
use hw_eval::looks::{Look, by_test_set};
use serde_json::{Value, json};

/// The summary that `--json` prints and `cells.json` holds.
pub(crate) fn summary(profile: &str, synthetic: bool, parts: &[Part<'_>], looks: &[Look]) -> Value {
    let claims = parts.iter().flat_map(|part| {
        let slug = &part.paper.slug;
        part.claims
            .iter()
            .map(move |claim| claim_json(slug, part.paper.aims, claim))
    });
    let flaws = parts.iter().flat_map(|part| {
        let slug = &part.paper.slug;
        part.flaws.iter().map(move |flaw| flaw_json(slug, flaw))
    });
    let cells: Vec<&JudgedCell> = parts.iter().flat_map(|part| &part.cells).collect();
    json!({
        "profile": profile,
        "synthetic": synthetic,
        "computed_by": computed_by(parts.iter().flat_map(|part| part.results.jobs.iter().copied())),
        "claims": claims.collect::<Vec<_>>(),
        "flaws": flaws.collect::<Vec<_>>(),
        "cells": cells,
        "test_looks": by_test_set(looks),
    })
}

fn claim_json(paper: &str, aims: bool, claim: &JudgedClaim) -> Value {
    let parts: Vec<Value> = claim.parts.iter().map(part_json).collect();
    json!({
        "paper": paper,
        "aim": aims,
        "claim": claim.id,
        "text": claim.text,
        "verdict": claim.verdict.name(),
        "detail": claim.verdict.detail(),
        "decided_at": claim.decided_at(),
        "parts": parts,
    })
}

fn part_json(part: &JudgedPart) -> Value {
    let smaller: Vec<Value> = part
        .smaller
        .iter()
        .map(|at| json!({ "images": at.images, "verdict": at.verdict, "gap": at.shown.map(|s| s.0) }))
        .collect();
    json!({
        "text": part.text,
        "check": part.check,
        "unit": part.unit.word(),
        "verdict": part.verdict,
        "reported": part.reported_gap().map(|(value, _)| value),
        "measured": part.shown().map(|(value, _, _)| value),
        "images": part.images,
        "evidence": part.judged.part.evidence,
        "p": part.judged.p_adjusted,
        "p_opposite": part.judged.p_opposite_adjusted,
        "smaller": smaller,
    })
}

fn flaw_json(paper: &str, flaw: &JudgedFlaw) -> Value {
    let standing = match flaw.standing {
        FlawStanding::Demonstrated => "demonstrated",
        FlawStanding::NoEffect => "no effect shown",
        FlawStanding::TooSmall => "too small to decide",
        FlawStanding::Named => "named",
    };
    let effects: Vec<Value> = flaw.effects.iter().map(part_json).collect();
    json!({ "paper": paper, "flaw": flaw.title, "standing": standing, "effects": effects })
}

/// The cells as CSV (RFC 4180).
pub(crate) fn csv<'a>(cells: impl Iterator<Item = &'a JudgedCell>) -> String {
    let mut text = String::from(
        "paper,table,row,column,term,kind,reported,derived,mean,std,values,scale,synthetic,verdict\r\n",
    );
    for cell in cells {
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        let values: Vec<String> = cell.values.iter().map(ToString::to_string).collect();
        let verdict = match &cell.verdict {
            Standing::Ours => "ours only".to_string(),
            Standing::Agrees { .. } => "agrees".into(),
            Standing::Differs { by, .. } => format!("differs by {by}"),
            Standing::NotComparable { reason } => format!("not comparable: {reason}"),
            Standing::Missing { reason } => format!("missing: {reason}"),
        };
        let fields = [
            cell.paper.clone(),
            cell.table.clone(),
            cell.row.clone(),
            cell.column.clone(),
            cell.term.clone(),
            serde_json::to_value(cell.kind)
                .ok()
                .and_then(|kind| Some(kind.as_str()?.to_string()))
                .unwrap_or_default(),
            cell.reported.clone().unwrap_or_default(),
            cell.derived.clone().unwrap_or_default(),
            number(cell.mean),
            number(cell.std),
            values.join(" "),
            cell.scale.clone(),
            cell.synthetic.to_string(),
            verdict,
        ];
        let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn commas_and_quotes_survive_csv() {
        assert_eq!(super::quote("plain"), "plain");
        assert_eq!(super::quote("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
