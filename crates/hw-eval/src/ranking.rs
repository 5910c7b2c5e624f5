//! Rankings that claim no more than the seeds support.

use crate::arm::Arm;
use crate::comparison::{Setting, compare};
use crate::error::EvalError;
use crate::question::Question;
use crate::statistics::holm;
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

/// Ranks recipes by their means, and separates two only where [`compare`] does (paired where they share
/// seeds, with the pooled spread and the noise of the test set where the setting and the runs have
/// them), with Holm's correction over all pairs and both directions. Best mean first; equal means keep
/// their order. Single runs whose spread is not known cannot be separated from anything.
///
/// ```
/// use hw_eval::{Arm, Setting, rank};
///
/// let a = Arm::of_values("a", [(1, 0.991), (2, 0.992), (3, 0.990)])?;
/// let b = Arm::of_values("b", [(1, 0.990), (2, 0.992), (3, 0.991)])?;
/// let c = Arm::of_values("c", [(1, 0.951), (2, 0.953), (3, 0.950)])?;
/// let places = rank(&[&c, &a, &b], &Setting::default())?;
/// let places: Vec<_> = places.iter().map(|r| (r.name.as_str(), r.place)).collect();
/// assert_eq!(places, [("a", 1), ("b", 1), ("c", 3)]); // who is first, a or b, is noise
/// # Ok::<(), hw_eval::EvalError>(())
/// ```
///
/// # Errors
/// As [`compare`].
pub fn rank(arms: &[&Arm], setting: &Setting) -> Result<Vec<Ranked>, EvalError> {
    let means: Vec<f64> = arms.iter().map(|arm| arm.mean()).collect();
    let question = Question::Greater { margin: 0.0 };
    let mut pairs = Vec::new();
    let mut p_values = Vec::new();
    for better in 0..arms.len() {
        for worse in (0..arms.len()).filter(|&worse| means[better] > means[worse]) {
            let compared = compare(arms[better], arms[worse], question, setting)?;
            let p = compared.p.filter(|_| compared.blocked.is_none());
            pairs.push((better, worse));
            // Both directions of the pair belong to the family, hence twice the smaller p.
            p_values.push(p.map_or(1.0, |p| (2.0 * p).min(1.0)));
        }
    }
    let adjusted = holm(&p_values)?;
    let significant = |worse: usize| {
        let decided = pairs.iter().zip(&adjusted);
        let decided =
            decided.filter(move |((_, loser), p)| *loser == worse && **p < setting.alpha.rate());
        decided.map(|((winner, _), _)| arms[*winner].name().to_owned())
    };
    let mut ranked: Vec<Ranked> = (0..arms.len())
        .map(|index| {
            let beaten_by: Vec<String> = significant(index).collect();
            Ranked {
                name: arms[index].name().to_owned(),
                mean: means[index],
                place: 1 + beaten_by.len(),
                beaten_by,
            }
        })
        .collect();
    ranked.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    Ok(ranked)
}
