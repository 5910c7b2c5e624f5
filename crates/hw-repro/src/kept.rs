//! What README and `docs/results/README.md` say of the two reports that were made before verdicts accounted
//! for test images, pairs of seeds and families, held against their numbers.

use super::claims::{self, Spreads};
use super::evidence::Evidence;
use super::expression::Term;
use super::paper::builtin;
use hw_eval::{Arm, Outcome};
use serde_json::Value;
use std::collections::HashMap;

/// Cells of a kept report by their terms: values over seeds, and the scale in words.
struct Kept(HashMap<String, (Vec<f64>, String)>);

impl Kept {
    fn read(text: &str, slug: &str) -> Self {
        let report: Value = serde_json::from_str(text).unwrap();
        let cells = report["cells"].as_array().unwrap().iter();
        let own = cells.filter(|cell| cell["paper"] == slug);
        let cell = |cell: &Value| {
            let values = cell["values"].as_array().unwrap().iter();
            let values = values.map(|value| value.as_f64().unwrap()).collect();
            let term = cell["term"].as_str().unwrap();
            let term = term.replace("bn-cnn-taught", "bn-cnn-distilled");
            (term, (values, cell["scale"].as_str().unwrap().into()))
        };
        Self(own.map(cell).collect())
    }
}

impl Evidence for Kept {
    fn arm(&self, term: &Term) -> Result<Arm, String> {
        let (values, _) = self.0.get(&term.to_string()).ok_or("not kept")?;
        let outcomes = (1..).zip(values);
        let outcomes = outcomes.map(|(seed, value)| Outcome::new(seed, *value));
        let arm = Arm::new(term.run.clone(), outcomes.collect());
        let arm = arm.map_err(|error| error.to_string())?;
        if term.quantity.is_accuracy() {
            // Of the official test sets, the smallest.
            return arm.on_test_set(10_000).map_err(|e| e.to_string());
        }
        Ok(arm)
    }
    fn too_small(&self, _: &Term) -> Option<String> {
        None
    }
    fn apart_from_the_report(&self, _: &Term) -> Option<String> {
        None
    }
    fn processors(&self, _: &Term) -> Vec<String> {
        Vec::new()
    }
    fn setting(&self, term: &Term) -> String {
        // All runs of simple-cnn-bn, and the six layers, are on MNIST.
        let sets = ["kmnist", "letters", "balanced", "bymerge", "byclass"];
        let set = sets.into_iter().find(|set| *set == term.run);
        format!("{} {:?} {set:?}", term.quantity, term.variant)
    }
    fn images(&self, _: &str) -> Option<usize> {
        None
    }
}

fn verdicts(text: &str, slug: &str) -> Vec<&'static str> {
    let papers = builtin();
    let paper = papers.iter().find(|paper| paper.slug() == slug).unwrap();
    let kept = Kept::read(text, slug);
    let spreads = Spreads::of(paper, &kept);
    let claims = claims::judge(paper, &kept, &spreads, 3);
    claims.iter().map(|claim| claim.verdict.name()).collect()
}

#[test]
fn none_of_our_aims_is_exceeded_by_more_than_noise() {
    let report = include_str!("../../../docs/results/beyond-paper/cells.json");
    assert_eq!(verdicts(report, "beyond"), ["within noise"; 5]);
}

#[test]
fn the_rerun_of_simple_cnn_bn_stands_as_the_page_over_results_says() {
    let report = include_str!("../../../docs/results/simple-cnn-bn-paper/cells.json");
    let expected = ["not run", "within noise", "reproduced", "reproduced"];
    assert_eq!(verdicts(report, "simple-cnn-bn"), expected);
}
