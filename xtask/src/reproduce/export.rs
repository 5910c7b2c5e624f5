//! All cells and claims as JSON and CSV, for those who read with programs.

use super::cells::{JudgedCell, Standing};
use super::page::JudgedClaim;
use serde_json::{Value, json};

/// The summary that `--json` prints and `cells.json` holds.
pub(crate) fn summary(
    profile: &str,
    synthetic: bool,
    cells: &[JudgedCell],
    claims: &[(String, Vec<JudgedClaim>)],
) -> Value {
    let claims: Vec<Value> = claims
        .iter()
        .flat_map(|(paper, claims)| claims.iter().map(move |claim| claim_json(paper, claim)))
        .collect();
    json!({ "profile": profile, "synthetic": synthetic, "claims": claims, "cells": cells })
}

fn claim_json(paper: &str, claim: &JudgedClaim) -> Value {
    let checks: Vec<Value> = claim
        .judgements
        .iter()
        .map(|judgement| {
            let comparisons: Vec<Value> = judgement
                .comparisons
                .iter()
                .map(|(rival, comparison)| json!({ "rival": rival, "comparison": comparison }))
                .collect();
            json!({
                "check": judgement.text,
                "verdict": judgement.verdict.name(),
                "comparisons": comparisons,
            })
        })
        .collect();
    json!({
        "paper": paper,
        "claim": claim.id,
        "text": claim.text,
        "verdict": claim.verdict.name(),
        "full_scale": claim.full,
        "checks": checks,
    })
}

/// The cells as CSV (RFC 4180).
pub(crate) fn csv(cells: &[JudgedCell]) -> String {
    let mut text = String::from(
        "paper,table,row,column,term,printed,mean,std,values,scale,synthetic,verdict\r\n",
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
            cell.printed.clone().unwrap_or_default(),
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
