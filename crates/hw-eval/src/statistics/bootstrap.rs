//! The bootstrap: an interval for any statistic, by drawing the sample again from itself.

use super::distributions::{normal_quantile, normal_upper_tail};
use super::quantile::quantile_of_sorted;
use crate::error::{EvalError, check_finite, check_level};
use crate::interval::Interval;
use hw_core::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How the interval is read off the resampled statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootstrapMethod {
    /// Their quantiles.
    Percentile,
    /// Quantiles corrected for bias and for skew (Efron 1987). The correction leaves out each
    /// sample once: `n` further evaluations of the statistic.
    Bca,
}

/// A seeded bootstrap (Efron 1979). The same seed gives the same interval on any machine with any
/// number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples; 1000 or more for a 95 % interval.
    pub resamples: usize,
    /// Confidence level, 0.95 for instance.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// How the interval is read off.
    pub method: BootstrapMethod,
}

impl Bootstrap {
    /// The method, in a sentence a report can quote.
    pub fn description(&self) -> String {
        let read = match self.method {
            BootstrapMethod::Percentile => "percentile",
            BootstrapMethod::Bca => "bias-corrected and accelerated (BCa)",
        };
        format!(
            "{} % {read} bootstrap interval from {} resamples, seed {}.",
            self.level * 100.0,
            self.resamples,
            self.seed
        )
    }

    /// The interval of `statistic` over `values`.
    ///
    /// # Errors
    /// As [`Bootstrap::interval_over`]; a value that is not finite is refused too.
    pub fn interval(
        &self,
        values: &[f64],
        statistic: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Result<Interval, EvalError> {
        check_finite("the sample of a bootstrap", values)?;
        self.interval_over(values.len(), |drawn| {
            let sample: Vec<f64> = drawn.iter().map(|&index| values[index as usize]).collect();
            statistic(&sample)
        })
    }

    /// The interval of a statistic of `count` things, given the indices drawn (below `count`, with
    /// repetition): for the difference of two models on the same images, or F1 from predictions.
    ///
    /// # Errors
    /// Fewer than two things, no resample, a level outside (0, 1), a statistic that is not finite,
    /// or, for BCa, a statistic that lies outside all of its resamples.
    pub fn interval_over(
        &self,
        count: usize,
        statistic: impl Fn(&[u32]) -> f64 + Sync,
    ) -> Result<Interval, EvalError> {
        self.check(count)?;
        let all: Vec<u32> = (0..count as u32).collect();
        let estimate = statistic(&all);
        let replicates = self.replicates(count, &statistic);
        let left_out = match self.method {
            BootstrapMethod::Percentile => Vec::new(),
            BootstrapMethod::Bca => jackknife(&all, &statistic),
        };
        interval_of(estimate, replicates, &left_out, self.level, self.method)
    }

    fn check(&self, count: usize) -> Result<(), EvalError> {
        check_level(self.level)?;
        let needed = |what, needed, got| {
            let error = EvalError::TooFew { what, needed, got };
            if got >= needed { Ok(()) } else { Err(error) }
        };
        needed("a bootstrap's sample", 2, count)?;
        needed("a bootstrap's number of resamples", 1, self.resamples)?;
        if u32::try_from(count).is_err() {
            return Err(EvalError::OutOfRange {
                what: "a bootstrap's sample size",
                value: count as f64,
                expected: "below 2^32",
            });
        }
        Ok(())
    }

    /// The statistic of each resample, in order.
    fn replicates(&self, count: usize, statistic: &(impl Fn(&[u32]) -> f64 + Sync)) -> Vec<f64> {
        (0..self.resamples)
            .into_par_iter()
            .map_init(
                || vec![0u32; count],
                |drawn, resample| {
                    let mut rng = Rng::stream(self.seed, "bootstrap", resample as u64);
                    drawn.fill_with(|| rng.below(count) as u32);
                    statistic(drawn)
                },
            )
            .collect()
    }
}

/// The statistic with each thing left out once.
fn jackknife(all: &[u32], statistic: &(impl Fn(&[u32]) -> f64 + Sync)) -> Vec<f64> {
    (0..all.len())
        .into_par_iter()
        .map(|index| statistic(&[&all[..index], &all[index + 1..]].concat()))
        .collect()
}

fn interval_of(
    estimate: f64,
    mut replicates: Vec<f64>,
    left_out: &[f64],
    level: f64,
    method: BootstrapMethod,
) -> Result<Interval, EvalError> {
    check_finite("the statistic of a bootstrap", &[estimate])?;
    check_finite("resampled statistics of a bootstrap", &replicates)?;
    check_finite("leave-one-out statistics of a bootstrap", left_out)?;
    replicates.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    let (low, high) = match method {
        BootstrapMethod::Percentile => (tail, 1.0 - tail),
        BootstrapMethod::Bca => {
            let bias = bias_correction(estimate, &replicates)?;
            let skew = acceleration(left_out);
            let corrected = |z: f64| {
                let shifted = bias + z;
                // An extreme skew would turn the scale round; its limit is the end of the range.
                let scale = (1.0 - skew * shifted).max(0.0);
                1.0 - normal_upper_tail(bias + shifted / scale)
            };
            let z = normal_quantile(tail);
            (corrected(z), corrected(-z))
        }
    };
    Ok(Interval {
        low: quantile_of_sorted(&replicates, low),
        high: quantile_of_sorted(&replicates, high),
    })
}

/// z0: the normal quantile of the estimate's place among the replicates, ties counted half.
fn bias_correction(estimate: f64, sorted: &[f64]) -> Result<f64, EvalError> {
    let below = sorted.partition_point(|&value| value < estimate);
    let up_to = sorted.partition_point(|&value| value <= estimate);
    let place = (below + up_to) as f64 / (2 * sorted.len()) as f64;
    if place > 0.0 && place < 1.0 {
        return Ok(normal_quantile(place));
    }
    Err(EvalError::OutOfRange {
        what: "the share of resamples below the statistic itself",
        value: place,
        expected: "between 0 and 1 for a BCa interval; use the percentile interval or more resamples",
    })
}

/// a: a sixth of the skewness of the jackknife's influence values.
fn acceleration(left_out: &[f64]) -> f64 {
    let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
    let power = |n| {
        left_out
            .iter()
            .map(|value| (mean - value).powi(n))
            .sum::<f64>()
    };
    let spread = power(2).powf(1.5);
    if spread == 0.0 {
        return 0.0;
    }
    power(3) / (6.0 * spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        bootstrap: Vec<Case>,
    }

    /// One run of `scipy.stats.bootstrap`: its resampled means, so that both read the same ones.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        data: Vec<f64>,
        level: f64,
        replicates: Vec<f64>,
        percentile: [f64; 2],
        bca: [f64; 2],
    }

    #[test]
    fn intervals_read_off_the_same_resamples_are_scipys() {
        let json = include_str!("../../../../fixtures/eval/statistics.json");
        let golden: Golden = serde_json::from_str(json).unwrap();
        assert!(!golden.bootstrap.is_empty());
        for case in golden.bootstrap {
            let mean = |drawn: &[u32]| {
                let sum: f64 = drawn.iter().map(|&i| case.data[i as usize]).sum();
                sum / drawn.len() as f64
            };
            let all: Vec<u32> = (0..case.data.len() as u32).collect();
            for (method, expected) in [
                (BootstrapMethod::Percentile, case.percentile),
                (BootstrapMethod::Bca, case.bca),
            ] {
                let left_out = jackknife(&all, &mean);
                let replicates = case.replicates.clone();
                let ours =
                    interval_of(mean(&all), replicates, &left_out, case.level, method).unwrap();
                for (a, b) in [(ours.low, expected[0]), (ours.high, expected[1])] {
                    assert!((a - b).abs() < 1e-9, "{} {method:?}: {a} {b}", case.name);
                }
            }
        }
    }
}
