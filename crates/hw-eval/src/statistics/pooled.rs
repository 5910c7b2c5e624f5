//! Spreads of comparable runs, pooled: three seeds say little about how much seeds differ, but many
//! comparisons of three seeds each say much.
//!
//! Empirical Bayes as in limma (Smyth 2004, "Linear models and empirical Bayes methods for assessing
//! differential expression in microarray experiments"): true variances are taken to scatter as
//! `d0·s0²/χ²(d0)`. Their scale s0² and their degrees of freedom d0 are fitted from the logarithms of
//! the sample variances; a variance of d degrees of freedom then becomes
//! `(d0·s0² + d·s²) / (d0 + d)` of `d0 + d` degrees of freedom.

use super::summary::sample_std;
use super::trigamma::{inverse_trigamma, trigamma};
use crate::error::EvalError;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::digamma;

/// Share of the median variance below which a variance counts as this share: a logarithm of 0 would
/// decide the fit alone. The share is limma's.
const SMALLEST: f64 = 1e-5;

/// A variance and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    /// The variance, 0 or more.
    pub value: f64,
    /// Its degrees of freedom, above 0: `n - 1` for a sample of n.
    pub degrees_of_freedom: f64,
}

impl Variance {
    /// The sample variance of `values`, one a seed.
    ///
    /// # Errors
    /// Fewer than two values, or one that is not finite.
    pub fn of(values: &[f64]) -> Result<Self, EvalError> {
        Ok(Self {
            value: sample_std(values)?.powi(2),
            degrees_of_freedom: values.len() as f64 - 1.0,
        })
    }
}

/// What comparable variances say together about one of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    /// s0²: the variance where nothing else is known.
    pub variance: f64,
    /// d0: how many degrees of freedom that knowledge is worth; infinite (`null` in JSON) if the
    /// variances scatter no more than chance makes equal ones scatter.
    #[serde(with = "infinite_as_null")]
    pub degrees_of_freedom: f64,
    /// Degrees of freedom of all variances together: a moderated variance never claims more.
    pub total_degrees_of_freedom: f64,
    /// Number of variances.
    pub count: usize,
}

impl Pooled {
    /// The procedure, in words a report can quote.
    pub fn description() -> &'static str {
        "The spread over seeds is estimated from all comparable comparisons together (empirical \
         Bayes, Smyth 2004): each one's own variance is drawn towards their common one, by as much as \
         the variances resemble each other."
    }

    /// Fits s0² and d0 to variances of the same kind, each of its own experiment: those of paired
    /// differences, or those of single arms, of quantities on one scale. An experiment whose variance
    /// is to be moderated may be among them.
    ///
    /// # Errors
    /// Fewer than two variances, one that is negative or not finite, one without degrees of freedom,
    /// or more than half of them 0.
    pub fn fit(variances: &[Variance]) -> Result<Self, EvalError> {
        check(variances)?;
        let count = variances.len() as f64;
        let floor = SMALLEST * median(variances)?;
        let total: f64 = variances.iter().map(|v| v.degrees_of_freedom).sum();
        // e: unbiased logarithms; they scatter by the truth's ψ′(d0/2) and the sample's ψ′(d/2).
        let e: Vec<f64> = variances
            .iter()
            .map(|v| v.value.max(floor).ln() - log_bias(v.degrees_of_freedom))
            .collect();
        let mean = e.iter().sum::<f64>() / count;
        let scatter = e.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let chance = variances
            .iter()
            .map(|v| trigamma(v.degrees_of_freedom / 2.0));
        let excess = scatter - chance.sum::<f64>() / count;
        let (variance, degrees_of_freedom) = if excess > 0.0 {
            let d0 = 2.0 * inverse_trigamma(excess);
            ((mean + log_bias(d0)).exp(), d0)
        } else {
            let sum: f64 = variances
                .iter()
                .map(|v| v.degrees_of_freedom * v.value)
                .sum();
            (sum / total, f64::INFINITY)
        };
        Ok(Self {
            variance,
            degrees_of_freedom,
            total_degrees_of_freedom: total,
            count: variances.len(),
        })
    }

    /// A variance with the pooled knowledge; without one of its own, that knowledge alone.
    pub fn moderated(&self, own: Option<Variance>) -> Variance {
        let (s2, d) = own.map_or((0.0, 0.0), |v| (v.value, v.degrees_of_freedom));
        let d0 = self.degrees_of_freedom;
        let value = if d0.is_finite() {
            (d0 * self.variance + d * s2) / (d0 + d)
        } else {
            self.variance
        };
        Variance {
            value,
            degrees_of_freedom: (d0 + d).min(self.total_degrees_of_freedom),
        }
    }
}

/// E[ln(s²/σ²)] of a sample variance of `freedom` degrees of freedom.
fn log_bias(freedom: f64) -> f64 {
    digamma(freedom / 2.0) - (freedom / 2.0).ln()
}

fn check(variances: &[Variance]) -> Result<(), EvalError> {
    if variances.len() < 2 {
        return Err(EvalError::TooFew {
            what: "a pooled variance",
            needed: 2,
            got: variances.len(),
        });
    }
    for v in variances {
        if !(v.value >= 0.0 && v.value.is_finite()) {
            return Err(EvalError::OutOfRange {
                what: "a variance to pool",
                value: v.value,
                expected: "0 or more, and finite",
            });
        }
        if !(v.degrees_of_freedom > 0.0 && v.degrees_of_freedom.is_finite()) {
            return Err(EvalError::OutOfRange {
                what: "the degrees of freedom of a variance to pool",
                value: v.degrees_of_freedom,
                expected: "above 0, and finite",
            });
        }
    }
    Ok(())
}

fn median(variances: &[Variance]) -> Result<f64, EvalError> {
    let values: Vec<f64> = variances.iter().map(|v| v.value).collect();
    match super::quantile(&values, 0.5)? {
        median if median > 0.0 => Ok(median),
        _ => Err(EvalError::NoSpread {
            what: "a pooled variance",
        }),
    }
}

/// JSON has no infinity: `null` stands for it.
mod infinite_as_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}
