//! Rankings that claim no more than the seeds support.

use crate::error::EvalError;
use crate::statistics::{holm, mean, welch_t_test};
use crate::verdict::{Alpha, Runs};
use serde::{Deserialize, Serialize};

/// The place of one of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its name.
    pub name: String,
    /// The mean of its values.
    pub mean: f64,
    /// One more than the number of others that are significantly better: everyone whom nobody
    /// beats significantly is first.
    pub place: usize,
    /// Names of those that are significantly better.
    pub beaten_by: Vec<String>,
}

/// Ranks entries by their means, and separates two only where Welch's t-test over seeds does, with
/// Holm's correction over all pairs and both directions. Best mean first; equal means keep their
/// order. Entries with a single seed cannot be separated from anything.
///
/// ```
/// use hw_eval::{Alpha, Runs, rank};
///
/// let a = Runs::new([0.991, 0.992, 0.990]);
/// let b = Runs::new([0.990, 0.992, 0.991]);
/// let c = Runs::new([0.951, 0.953, 0.950]);
/// let places = rank(&[("c", &c), ("a", &a), ("b", &b)], Alpha::default())?;
/// let places: Vec<_> = places.iter().map(|r| (r.name.as_str(), r.place)).collect();
/// assert_eq!(places, [("a", 1), ("b", 1), ("c", 3)]); // who is first, a or b, is noise
/// # Ok::<(), hw_eval::EvalError>(())
/// ```
///
/// # Errors
/// An entry without values.
pub fn rank(entries: &[(&str, &Runs)], alpha: Alpha) -> Result<Vec<Ranked>, EvalError> {
    let means = entries.iter().map(|(_, runs)| mean(&runs.values));
    let means = means.collect::<Result<Vec<f64>, _>>()?;
    let mut pairs = Vec::new();
    let mut p_values = Vec::new();
    for better in 0..entries.len() {
        for worse in (0..entries.len()).filter(|&worse| means[better] > means[worse]) {
            let (a, b) = (&entries[better].1.values, &entries[worse].1.values);
            // Both directions of the pair belong to the family, hence twice the smaller p.
            let p = welch_t_test(a, b).map_or(1.0, |test| (2.0 * test.p_greater).min(1.0));
            pairs.push((better, worse));
            p_values.push(p);
        }
    }
    let adjusted = holm(&p_values)?;
    let significant = |worse: usize| {
        let decided = pairs.iter().zip(&adjusted);
        let decided = decided.filter(move |((_, loser), p)| *loser == worse && **p < alpha.rate());
        decided.map(|((winner, _), _)| entries[*winner].0.to_owned())
    };
    let mut ranked: Vec<Ranked> = (0..entries.len())
        .map(|index| {
            let beaten_by: Vec<String> = significant(index).collect();
            Ranked {
                name: entries[index].0.to_owned(),
                mean: means[index],
                place: 1 + beaten_by.len(),
                beaten_by,
            }
        })
        .collect();
    ranked.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    Ok(ranked)
}
