//! How long inference takes: the median of many calls, and their spread.

use crate::error::EvalError;
use crate::statistics::quantile::quantile_of_sorted;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Wall-clock time of one call on one batch. Quantiles interpolate linearly between calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Images a call.
    pub batch: usize,
    /// Calls measured, after the warm-up.
    pub repeats: usize,
    /// Median milliseconds a call.
    pub median_ms: f64,
    /// Fifth percentile, milliseconds a call.
    pub p05_ms: f64,
    /// Ninety-fifth percentile, milliseconds a call.
    pub p95_ms: f64,
    /// Interquartile range, milliseconds a call.
    pub iqr_ms: f64,
    /// `batch` divided by the median time.
    pub images_per_second: f64,
}

impl Timing {
    /// The method, in a sentence a report can quote.
    pub fn description() -> &'static str {
        "Wall-clock time of one call on one batch, the input already in memory: the median over all \
         calls after the warm-up, with the 5th and 95th percentile and the interquartile range; \
         images a second is the batch size divided by the median."
    }

    /// Summarises measured durations of calls on `batch` images each.
    ///
    /// # Errors
    /// No duration, or a batch of zero.
    pub fn from_durations(batch: usize, durations: &[Duration]) -> Result<Self, EvalError> {
        check_at_least_one("the batch size", batch)?;
        check_at_least_one("the number of timed calls", durations.len())?;
        let mut sorted: Vec<f64> = durations.iter().map(|d| d.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile_of_sorted(&sorted, share);
        let median_ms = at(0.5);
        Ok(Self {
            batch,
            repeats: durations.len(),
            median_ms,
            p05_ms: at(0.05),
            p95_ms: at(0.95),
            iqr_ms: at(0.75) - at(0.25),
            // A clock may not tick during a very short call; a nanosecond is below any clock.
            images_per_second: batch as f64 / (median_ms.max(1e-6) / 1e3),
        })
    }
}

/// Calls `infer` (which must classify `batch` images) `warmup` times unmeasured, then `repeats`
/// times measured one by one. Its result is kept from being optimised away.
///
/// # Errors
/// A batch or repeat count of zero, or the first error of `infer`.
pub fn time_inference<T, E>(
    batch: usize,
    warmup: usize,
    repeats: usize,
    mut infer: impl FnMut() -> Result<T, E>,
) -> Result<Timing, EvalError>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    check_at_least_one("the batch size", batch)?;
    check_at_least_one("the number of timed calls", repeats)?;
    let mut call = || -> Result<Duration, EvalError> {
        let start = Instant::now();
        let output = black_box(infer());
        let elapsed = start.elapsed();
        match output {
            Ok(_) => Ok(elapsed),
            Err(error) => Err(EvalError::Inference(error.into())),
        }
    };
    for _ in 0..warmup {
        call()?;
    }
    let durations = (0..repeats)
        .map(|_| call())
        .collect::<Result<Vec<_>, _>>()?;
    Timing::from_durations(batch, &durations)
}

fn check_at_least_one(what: &'static str, value: usize) -> Result<(), EvalError> {
    if value > 0 {
        return Ok(());
    }
    Err(EvalError::OutOfRange {
        what,
        value: 0.0,
        expected: "at least 1",
    })
}
