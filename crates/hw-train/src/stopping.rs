//! Which epoch's weights are the best, and when to stop waiting for better ones.

use crate::config::{EarlyStopping, Monitor};
use crate::events::Score;
use serde::{Deserialize, Serialize};

/// The best score so far and how long ago it was; part of a run's resumable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BestSoFar {
    /// The best monitored score.
    pub score: Option<f64>,
    /// Its epoch, counted from 1; 0 before the first.
    pub epoch: usize,
    /// Epochs since then.
    pub waited: usize,
}

impl BestSoFar {
    /// Takes note of an epoch's validation score; true if it is the best so far.
    pub fn update(
        &mut self,
        epoch: usize,
        validation: &Score,
        monitor: Monitor,
        stopping: Option<EarlyStopping>,
    ) -> bool {
        let min_delta = stopping.map_or(0.0, |stopping| stopping.min_delta);
        let (score, better) = match monitor {
            Monitor::ValLoss => {
                let loss = validation.loss;
                (loss, self.score.is_none_or(|best| loss < best - min_delta))
            }
            Monitor::ValAccuracy => {
                let accuracy = validation.accuracy;
                (
                    accuracy,
                    self.score.is_none_or(|best| accuracy > best + min_delta),
                )
            }
        };
        if better {
            *self = Self {
                score: Some(score),
                epoch,
                waited: 0,
            };
        } else {
            self.waited += 1;
        }
        better
    }

    /// Whether patience is used up.
    pub fn should_stop(&self, stopping: Option<EarlyStopping>) -> bool {
        stopping.is_some_and(|stopping| self.waited > 0 && self.waited >= stopping.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(values: &[f64], stopping: EarlyStopping) -> (BestSoFar, usize) {
        let mut best = BestSoFar::default();
        for (index, &loss) in values.iter().enumerate() {
            let score = Score {
                loss,
                accuracy: 0.0,
                images: 1,
            };
            best.update(index + 1, &score, Monitor::ValLoss, Some(stopping));
            if best.should_stop(Some(stopping)) {
                return (best, index + 1);
            }
        }
        (best, values.len())
    }

    #[test]
    fn it_stops_after_patience_epochs_without_improvement() {
        let stopping = EarlyStopping {
            patience: 2,
            min_delta: 0.0,
        };
        let (best, stopped) = losses(&[1.0, 0.5, 0.6, 0.55, 0.1], stopping);
        assert_eq!((best.epoch, stopped), (2, 4));
    }

    #[test]
    fn a_gain_smaller_than_min_delta_does_not_count() {
        let stopping = EarlyStopping {
            patience: 2,
            min_delta: 0.1,
        };
        let (best, stopped) = losses(&[1.0, 0.95, 0.92, 0.5], stopping);
        assert_eq!((best.epoch, stopped), (1, 3));
    }

    #[test]
    fn higher_accuracy_is_better() {
        let mut best = BestSoFar::default();
        let mut update = |epoch, accuracy| {
            let score = Score {
                loss: 0.0,
                accuracy,
                images: 1,
            };
            best.update(epoch, &score, Monitor::ValAccuracy, None)
        };
        assert!(update(1, 0.5) && update(2, 0.6) && !update(3, 0.55) && !update(4, 0.6));
        assert_eq!(best.epoch, 2);
    }
}
