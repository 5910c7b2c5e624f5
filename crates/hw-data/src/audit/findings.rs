//! What a person should know of an audit, in sentences.

use super::{Audit, Overlap, PairFacts};
use crate::Split;
use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A result measured on this data means something else than it says.
    Grave,
    /// Worth knowing before a result is read.
    Notable,
    /// For the record.
    Minor,
}

/// One thing that stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub text: String,
}

/// Below this share, shared images are for the record only.
const LEAKAGE: f64 = 0.001;
/// From this distance on two parts are made up differently.
const SHIFTED: f64 = 0.1;

/// Everything that stands out, the gravest first, then in the order of parts.
pub(super) fn of(audit: &Audit) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in &audit.pairs {
        overlap(audit, pair, &mut findings);
    }
    for part in &audit.parts {
        within(part, &mut findings);
    }
    for pair in &audit.pairs {
        contradictions(audit, pair, &mut findings);
        shifts(audit, pair, &mut findings);
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn within(part: &super::PartFacts, findings: &mut Vec<Finding>) {
    let name = &part.name;
    if !part.absent.is_empty() {
        findings.push(Finding {
            severity: Severity::Grave,
            text: format!(
                "{name} has no image of {}: nothing measured on it says anything about {}",
                part.absent.join(" "),
                match part.absent.len() {
                    1 => "that class".to_string(),
                    many => format!("those {many} of {} classes", part.classes),
                }
            ),
        });
    }
    let counts = [
        (part.copies, Severity::Minor, "copies of an earlier image"),
        (
            part.conflicting,
            Severity::Notable,
            "images whose very picture also has another label in it",
        ),
        (part.blank, Severity::Notable, "images that show nothing"),
        (
            part.near,
            Severity::Minor,
            "images with a near duplicate in it",
        ),
    ];
    for (count, severity, what) in counts {
        if count > 0 {
            findings.push(Finding {
                severity,
                text: format!("{name} has {} {what}", grouped(count)),
            });
        }
    }
}

/// What two parts share. A test part inside a training part makes a score worthless; two of a kind
/// only make two scores depend on each other.
fn overlap(audit: &Audit, pair: &PairFacts, findings: &mut Vec<Finding>) {
    let (first, second) = (&audit.parts[pair.first], &audit.parts[pair.second]);
    let directed = match (first.split, second.split) {
        (Split::Test, Split::Train) => Some((first, second, pair.of_first)),
        (Split::Train, Split::Test) => Some((second, first, pair.of_second)),
        _ => None,
    };
    if let Some((test, train, overlap)) = directed {
        let Overlap {
            images,
            share,
            near,
        } = overlap;
        if images > 0 {
            findings.push(Finding {
                severity: if share >= LEAKAGE {
                    Severity::Grave
                } else {
                    Severity::Minor
                },
                text: format!(
                    "{:.2} % of {} ({} of {} images) is in {}",
                    share * 100.0,
                    test.name,
                    grouped(images),
                    grouped(test.images),
                    train.name
                ),
            });
        }
        if near > 0 {
            findings.push(Finding {
                severity: Severity::Notable,
                text: format!(
                    "{} images of {} have a near duplicate in {}",
                    grouped(near),
                    test.name,
                    train.name
                ),
            });
        }
    } else if pair.shared > 0 {
        findings.push(Finding {
            severity: Severity::Notable,
            text: format!(
                "{} and {} share {} images: {:.2} % of the first, {:.2} % of the second",
                first.name,
                second.name,
                grouped(pair.of_first.images),
                pair.of_first.share * 100.0,
                pair.of_second.share * 100.0
            ),
        });
    }
}

fn contradictions(audit: &Audit, pair: &PairFacts, findings: &mut Vec<Finding>) {
    if pair.conflicting > 0 {
        let (first, second) = (
            &audit.parts[pair.first].name,
            &audit.parts[pair.second].name,
        );
        findings.push(Finding {
            severity: Severity::Notable,
            text: format!(
                "{} pictures in both {first} and {second} have labels that contradict each other",
                grouped(pair.conflicting)
            ),
        });
    }
}

fn shifts(audit: &Audit, pair: &PairFacts, findings: &mut Vec<Finding>) {
    let (first, second) = (&audit.parts[pair.first], &audit.parts[pair.second]);
    let same_set = (&first.set, &first.edition) == (&second.set, &second.edition);
    // Two sets are expected to differ; the two parts of one are not.
    let severity = if same_set {
        Severity::Notable
    } else {
        Severity::Minor
    };
    let names = format!("{} and {}", first.name, second.name);
    if let Some(distance) = pair.shift.classes.filter(|&distance| distance >= SHIFTED) {
        findings.push(Finding {
            severity,
            text: format!(
                "{names} differ in their classes: {:.1} % of the images would have to change class",
                distance * 100.0
            ),
        });
    }
    if pair.shift.distance >= SHIFTED {
        findings.push(Finding {
            severity,
            text: format!(
                "{names} differ in the {} of their ink: distance {:.2} of 1",
                match pair.shift.feature {
                    "ink" => "amount",
                    other => other,
                },
                pair.shift.distance
            ),
        });
    }
}

/// `12345` as `12,345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
