//! Area under the ROC curve: how well a score orders one class before the rest.

use crate::error::EvalError;
use crate::predictions::Predictions;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One-vs-rest AUROC of each class, and averages over the classes for which it is defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auroc {
    /// One entry a class; `None` where the class has no sample, or all of them.
    pub per_class: Vec<Option<f64>>,
    /// The plain mean over the classes that have one; `None` if no class has.
    pub macro_average: Option<f64>,
    /// Their mean weighted by support; `None` if no class has one.
    pub weighted_average: Option<f64>,
    /// The classes without an AUROC, left out of both averages.
    pub undefined: Vec<u32>,
}

/// One-vs-rest AUROC: for each class, the chance that a random sample of the class is given a
/// higher probability of it than a random sample of another class, ties counted half. Exact
/// (Mann & Whitney's U over integers), and the same for any number of threads.
pub fn auroc_ovr(predictions: &Predictions) -> Auroc {
    let classes = predictions.classes();
    let (areas, support): (Vec<Option<f64>>, Vec<u64>) = (0..classes)
        .into_par_iter()
        .map_init(Vec::new, |ranked, class| {
            ranked.clear();
            ranked.extend(
                predictions
                    .rows()
                    .zip(predictions.labels())
                    .map(|(row, &label)| sort_key(row[class], label as usize == class)),
            );
            area(ranked)
        })
        .unzip();
    let (mut sum, mut weighted, mut defined, mut weight) = (0.0, 0.0, 0u32, 0.0);
    for (area, &count) in areas.iter().zip(&support) {
        if let Some(area) = area {
            sum += area;
            weighted += area * count as f64;
            defined += 1;
            weight += count as f64;
        }
    }
    Auroc {
        macro_average: (defined > 0).then(|| sum / f64::from(defined)),
        weighted_average: (weight > 0.0).then(|| weighted / weight),
        undefined: (0u32..)
            .zip(&areas)
            .filter(|(_, area)| area.is_none())
            .map(|(class, _)| class)
            .collect(),
        per_class: areas,
    }
}

/// AUROC of any score for a yes/no question; `None` if all answers are the same.
///
/// # Errors
/// Lists of different length, or a score that is NaN.
pub fn auroc(scores: &[f32], positive: &[bool]) -> Result<Option<f64>, EvalError> {
    if scores.len() != positive.len() {
        return Err(EvalError::Length {
            what: "answers (one a score)",
            expected: scores.len(),
            got: positive.len(),
        });
    }
    if let Some(index) = scores.iter().position(|score| score.is_nan()) {
        return Err(EvalError::NotFinite {
            what: "scores",
            index,
            value: f64::NAN,
        });
    }
    let mut ranked: Vec<u64> = scores
        .iter()
        .zip(positive)
        .map(|(&score, &yes)| sort_key(score, yes))
        .collect();
    Ok(area(&mut ranked).0)
}

/// A number that sorts as the score does, with the answer in its lowest bit.
fn sort_key(score: f32, positive: bool) -> u64 {
    // Adding zero turns -0 into +0: they are the same score.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u64::from(ordered) << 1 | u64::from(positive)
}

/// The area, and the number of positives. Sorts `ranked`.
fn area(ranked: &mut [u64]) -> (Option<f64>, u64) {
    ranked.sort_unstable();
    // Twice Mann & Whitney's U: for each positive, two for a lower negative and one for an equal.
    let (mut doubled, mut below, mut positives) = (0u64, 0u64, 0u64);
    for equal in ranked.chunk_by(|a, b| a >> 1 == b >> 1) {
        let yes = equal.iter().map(|key| key & 1).sum::<u64>();
        let no = equal.len() as u64 - yes;
        doubled += yes * (2 * below + no);
        below += no;
        positives += yes;
    }
    let pairs = positives * below;
    let area = (pairs > 0).then(|| doubled as f64 / (2 * pairs) as f64);
    (area, positives)
}
