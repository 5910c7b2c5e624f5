//! The learning-rate range test (Smith 2017): train a fresh network while the learning rate grows
//! from step to step, and see where the loss falls fastest and where it breaks down.

use crate::error::{Result, TrainError};
use crate::experiment::Experiment;
use hw_core::{CancelToken, Rng};
use serde::Serialize;

/// From which to which learning rate, in how many steps; each is the last one times a constant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The first learning rate.
    pub from: f32,
    /// The last one, unless the loss breaks down before.
    pub to: f32,
    /// Training steps.
    pub steps: usize,
}

impl Default for Range {
    fn default() -> Self {
        Self {
            from: 1e-6,
            to: 10.0,
            steps: 200,
        }
    }
}

/// Share of the old value in the smoothed loss, 1/(1-share) steps long.
const SMOOTHING: f64 = 0.95;
/// A smoothed loss of so many times the best one has broken down.
const BREAKDOWN: f64 = 4.0;

/// One step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangePoint {
    /// The step's learning rate.
    pub learning_rate: f32,
    /// The batch's loss before it.
    pub loss: f32,
    /// The same without most of its noise.
    pub smoothed: f64,
}

/// What a range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeCurve {
    /// Its steps; fewer than asked for if the loss broke down.
    pub points: Vec<RangePoint>,
    /// Whether it did.
    pub broke_down: bool,
    /// Where the smoothed loss falls fastest, if it falls at all: a good constant learning rate.
    pub steepest: Option<f32>,
    /// A tenth of the rate with the lowest smoothed loss: a careful highest rate for a schedule.
    pub tenth_of_lowest: Option<f32>,
}

impl Experiment {
    /// Runs a range test on this experiment's data, model, loss and optimizer; nothing is saved.
    /// `observer` sees each step's number, counted from 1.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a range that does not grow, and what a training step can meet.
    pub fn range_test(
        &self,
        range: Range,
        cancel: &CancelToken,
        observer: &mut dyn FnMut(usize),
    ) -> Result<RangeCurve> {
        range.check()?;
        if let Some(mix) = &self.config.mix {
            return Err(TrainError::Config {
                field: "the mix".into(),
                value: mix.to_string(),
                expected: "absent: a range test looks at single images only".into(),
            });
        }
        if let Some(teacher) = &self.config.teacher {
            return Err(TrainError::Config {
                field: "the teacher".into(),
                value: format!("run {}", teacher.runs.join(", ")),
                expected: "absent: a range test looks at the loss of the labels only".into(),
            });
        }
        let mut learner = self.learner()?;
        let loss = self.config.loss.of_image(&self.loss);
        let batches = (0..).flat_map(|epoch| self.train.epoch(epoch, 0));
        let mut curve = Curve::default();
        for (number, batch) in batches.take(range.steps).enumerate() {
            if cancel.is_cancelled() {
                break;
            }
            let dropout_seed = Rng::stream(self.config.seed, "dropout", number as u64).next_u64();
            let learning_rate = range.rate(number);
            let (images, labels) = (&batch.images, &batch.labels);
            let step = learner.step(images, labels, dropout_seed, &*loss, learning_rate)?;
            if !curve.push(learning_rate, step.loss) {
                break;
            }
            observer(number + 1);
        }
        Ok(curve.finish())
    }
}

impl Range {
    fn check(self) -> Result<()> {
        let fine = self.from > 0.0 && self.to > self.from && self.to.is_finite();
        if fine && self.steps >= 2 {
            return Ok(());
        }
        Err(TrainError::Config {
            field: "the learning-rate range".into(),
            value: format!("{} to {} in {} steps", self.from, self.to, self.steps),
            expected: "a first rate above 0, a higher last one, and at least 2 steps".into(),
        })
    }

    /// The learning rate of step number `step`, counted from 0.
    fn rate(self, step: usize) -> f32 {
        let share = step as f64 / (self.steps - 1) as f64;
        let growth = f64::from(self.to) / f64::from(self.from);
        (f64::from(self.from) * growth.powf(share)) as f32
    }
}

/// A range test in progress.
#[derive(Default)]
struct Curve {
    points: Vec<RangePoint>,
    average: f64,
    best: Option<f64>,
    broke_down: bool,
}

impl Curve {
    /// Takes note of a step; false when the loss has broken down.
    fn push(&mut self, learning_rate: f32, loss: f32) -> bool {
        if !loss.is_finite() {
            self.broke_down = true;
            return false;
        }
        self.average = SMOOTHING * self.average + (1.0 - SMOOTHING) * f64::from(loss);
        // The average starts at 0; this takes out that start, as in Adam.
        let smoothed = self.average / (1.0 - SMOOTHING.powi(self.points.len() as i32 + 1));
        self.points.push(RangePoint {
            learning_rate,
            loss,
            smoothed,
        });
        let best = self.best.map_or(smoothed, |best| best.min(smoothed));
        self.best = Some(best);
        self.broke_down = smoothed > BREAKDOWN * best;
        !self.broke_down
    }

    fn finish(self) -> RangeCurve {
        let by_loss = |a: &&RangePoint, b: &&RangePoint| a.smoothed.total_cmp(&b.smoothed);
        let lowest = self.points.iter().min_by(by_loss);
        // Steps are equally far apart in the logarithm of the rate.
        let slope = |pair: &&[RangePoint]| pair[1].smoothed - pair[0].smoothed;
        let steepest = self
            .points
            .windows(2)
            .filter(|pair| slope(pair) < 0.0)
            .min_by(|a, b| slope(a).total_cmp(&slope(b)))
            .map(|pair| pair[0].learning_rate);
        RangeCurve {
            steepest,
            tenth_of_lowest: lowest.map(|point| point.learning_rate / 10.0),
            broke_down: self.broke_down,
            points: self.points,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_grow_by_a_constant_factor_from_the_first_to_the_last() {
        let range = Range {
            from: 1e-4,
            to: 1.0,
            steps: 5,
        };
        let rates: Vec<f32> = (0..5).map(|step| range.rate(step)).collect();
        for (rate, expected) in rates.iter().zip([1e-4, 1e-3, 1e-2, 1e-1, 1.0]) {
            assert!((rate / expected - 1.0).abs() < 1e-5, "{rates:?}");
        }
        for (from, to, steps) in [(0.0, 1.0, 9), (1.0, 0.5, 9), (0.1, 1.0, 1)] {
            assert!(Range { from, to, steps }.check().is_err());
        }
    }

    #[test]
    fn the_steepest_fall_and_the_breakdown_are_found() {
        let range = Range {
            from: 1e-5,
            to: 10.0,
            steps: 200,
        };
        let mut curve = Curve::default();
        let mut steps = 0;
        for step in 0..range.steps {
            let rate = range.rate(step);
            // Flat, then down around 1e-2, then up beyond 1.
            let fall = 1.0 / (1.0 + (rate / 1e-2).powi(2));
            let loss = 0.2 + 2.0 * fall + 10.0 * (rate / 2.0).powi(4);
            steps += 1;
            if !curve.push(rate, loss) {
                break;
            }
        }
        let curve = curve.finish();
        assert!(curve.broke_down && steps < range.steps);
        let steepest = curve.steepest.unwrap();
        assert!((3e-3..5e-2).contains(&steepest), "{steepest}");
        let lowest = 10.0 * curve.tenth_of_lowest.unwrap();
        assert!((0.05..2.0).contains(&lowest), "{lowest}");
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_test() {
        let mut curve = Curve::default();
        assert!(curve.push(0.1, 2.3) && !curve.push(0.2, f32::NAN));
        let curve = curve.finish();
        assert_eq!((curve.points.len(), curve.broke_down), (1, true));
        assert_eq!(curve.steepest, None);
    }
}
