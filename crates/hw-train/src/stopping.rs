//! Which epoch's weights are the best, and when to stop waiting for better ones.

use crate::config::{EarlyStopping, Monitor, TrainConfig};
use crate::events::{EpochRecord, Score};
use serde::{Deserialize, Serialize};

/// The best score so far and how long ago it was; part of a run's resumable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BestSoFar {
    /// The best monitored score.
    pub score: Option<f64>,
    /// Its epoch, counted from 1; 0 before the first.
    pub epoch: usize,
    /// Steps from the start of the run to the end of that epoch. Safe points of before this was kept
    /// have 0, and belong to runs that stop by epochs alone.
    #[serde(default)]
    pub step: u64,
    /// Epochs since then.
    pub waited: usize,
}

impl BestSoFar {
    /// Takes note of the validation score of an epoch that ended with `step`; true if it is the best
    /// so far.
    pub fn update(
        &mut self,
        epoch: usize,
        step: u64,
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
                step,
                waited: 0,
            };
        } else {
            self.waited += 1;
        }
        better
    }

    /// Whether patience is used up at the end of an epoch, `step` steps from the start of the run.
    pub fn should_stop(&self, step: u64, stopping: Option<EarlyStopping>) -> bool {
        stopping.is_some_and(|stopping| {
            self.waited > 0
                && self.waited >= stopping.patience
                && step.saturating_sub(self.step) >= stopping.patience_steps
                && step >= stopping.min_steps
        })
    }
}

/// Whether a complete run went on for as long as its score got better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plateau {
    /// Reached: early stopping used up its patience, if only after the last epoch there was.
    Stopped,
    /// Not asked for: all epochs of a configuration without early stopping were run.
    Complete,
    /// Not reached: the epochs were over before patience was used up.
    Cut,
}

impl Plateau {
    /// What became of the run with this configuration and all these epochs, in order; `None` if it is
    /// not complete.
    pub fn of(config: &TrainConfig, history: &[EpochRecord]) -> Option<Self> {
        let last = history.last()?;
        let best = history.iter().rfind(|epoch| epoch.best);
        let (epoch, step) = best.map_or((0, 0), |best| (best.epoch, best.step));
        let best = BestSoFar {
            score: None,
            epoch,
            step,
            waited: last.epoch - epoch,
        };
        if best.should_stop(last.step, config.early_stopping) {
            return Some(Self::Stopped);
        }
        let over = match config.early_stopping {
            Some(_) => Self::Cut,
            None => Self::Complete,
        };
        (last.epoch >= config.epochs).then_some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs of ten steps each with these validation losses, until it stops: what is remembered,
    /// and the history.
    fn losses(values: &[f64], stopping: Option<EarlyStopping>) -> (BestSoFar, Vec<EpochRecord>) {
        let mut best = BestSoFar::default();
        let mut history = Vec::new();
        for (epoch, &loss) in (1..).zip(values) {
            let score = Score {
                loss,
                accuracy: 0.0,
                images: 1,
            };
            let step = 10 * epoch as u64;
            let is_best = best.update(epoch, step, &score, Monitor::ValLoss, stopping);
            history.push(record(epoch, step, score, is_best));
            if best.should_stop(step, stopping) {
                break;
            }
        }
        (best, history)
    }

    fn record(epoch: usize, step: u64, score: Score, best: bool) -> EpochRecord {
        EpochRecord {
            epoch,
            step,
            train: score,
            validation: Some(score),
            train_probe: None,
            test_probe: None,
            learning_rate: 0.1,
            best,
            seconds: 0.0,
            images_per_second: 0.0,
            partial: false,
            load: None,
            last_losses: vec![],
        }
    }

    /// The epoch of the best of these losses, and the last epoch.
    fn epochs(values: &[f64], stopping: EarlyStopping) -> (usize, usize) {
        let (best, history) = losses(values, Some(stopping));
        assert_eq!(best.step, 10 * best.epoch as u64);
        (best.epoch, history.len())
    }

    #[test]
    fn it_stops_after_patience_epochs_without_improvement() {
        let stopping = EarlyStopping {
            patience: 2,
            ..EarlyStopping::default()
        };
        assert_eq!(epochs(&[1.0, 0.5, 0.6, 0.55, 0.1], stopping), (2, 4));
    }

    #[test]
    fn a_gain_smaller_than_min_delta_does_not_count() {
        let stopping = EarlyStopping {
            patience: 2,
            min_delta: 0.1,
            ..EarlyStopping::default()
        };
        assert_eq!(epochs(&[1.0, 0.95, 0.92, 0.5], stopping), (1, 3));
    }

    /// The best is the second of 20, 10 steps each.
    const LATE: [f64; 20] = {
        let mut values = [1.0; 20];
        values[1] = 0.5;
        values
    };

    #[test]
    fn waiting_must_last_its_epochs_and_its_steps() {
        let after = |patience, patience_steps| {
            let stopping = EarlyStopping {
                patience,
                patience_steps,
                ..EarlyStopping::default()
            };
            epochs(&LATE, stopping).1
        };
        // Whichever is longer, steps counted from the end of the best epoch.
        assert_eq!(after(3, 0), 5);
        assert_eq!(after(3, 30), 5);
        assert_eq!(after(3, 31), 6);
        assert_eq!(after(3, 100), 12);
        assert_eq!(after(12, 100), 14);
    }

    #[test]
    fn it_never_stops_before_min_steps_but_waits_meanwhile() {
        let after = |min_steps| {
            let stopping = EarlyStopping {
                patience: 3,
                min_steps,
                ..EarlyStopping::default()
            };
            epochs(&LATE, stopping).1
        };
        assert_eq!(after(50), 5);
        assert_eq!(after(51), 6);
        assert_eq!(after(100), 10);
    }

    #[test]
    fn a_history_says_whether_its_plateau_was_reached() {
        let patient = EarlyStopping {
            patience: 3,
            patience_steps: 50,
            ..EarlyStopping::default()
        };
        let what = |stopping, epochs, of_them: usize| {
            let (_, mut history) = losses(&LATE[..epochs], stopping);
            history.truncate(of_them);
            let config = TrainConfig {
                epochs,
                early_stopping: stopping,
                ..TrainConfig::default()
            };
            Plateau::of(&config, &history)
        };
        let (stopping, all) = (Some(patient), usize::MAX);
        assert_eq!(what(stopping, 20, all), Some(Plateau::Stopped));
        // Patience used up by the last epoch there is.
        assert_eq!(what(stopping, 7, all), Some(Plateau::Stopped));
        assert_eq!(what(stopping, 6, all), Some(Plateau::Cut));
        // Three epochs would have been enough, five times ten steps are not yet over.
        assert_eq!(what(stopping, 5, all), Some(Plateau::Cut));
        assert_eq!(what(None, 5, all), Some(Plateau::Complete));
        for incomplete in 0..5 {
            assert_eq!(what(stopping, 5, incomplete), None);
            assert_eq!(what(None, 5, incomplete), None);
        }
    }

    #[test]
    fn steps_that_are_not_asked_for_are_not_written() {
        let text = r#"{"patience":3,"min_delta":0.0}"#;
        let stopping: EarlyStopping = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&stopping).unwrap(), text);
        let text = r#"{"patience":3,"min_delta":0.0,"patience_steps":600,"min_steps":2000}"#;
        let stopping: EarlyStopping = serde_json::from_str(text).unwrap();
        assert_eq!((stopping.patience_steps, stopping.min_steps), (600, 2000));
        assert_eq!(serde_json::to_string(&stopping).unwrap(), text);
        // As safe points were written before the step was kept.
        let old: BestSoFar = serde_json::from_str(r#"{"score":0.5,"epoch":2,"waited":1}"#).unwrap();
        assert_eq!((old.epoch, old.step, old.waited), (2, 0, 1));
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
            best.update(epoch, 0, &score, Monitor::ValAccuracy, None)
        };
        assert!(update(1, 0.5) && update(2, 0.6) && !update(3, 0.55) && !update(4, 0.6));
        assert_eq!(best.epoch, 2);
    }
}
