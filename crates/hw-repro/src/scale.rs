//! A run at the scale of a profile: how many images, when it stops. Nothing that is compared changes.

use super::paper::{Exception, Plateau, Scale};
use hw_train::{EarlyStopping, TrainConfig};
use serde_json::Value;

/// Validation images that a run should have at least, if its paper holds out as many.
const LEAST_VALIDATION: usize = 500;

/// Replaces larger sides of resized images by `side`; what was replaced, if anything.
pub(crate) fn shrink_side(preprocess: &mut Value, side: usize) -> Option<u64> {
    let steps = preprocess.get_mut("steps")?.as_array_mut()?;
    let mut replaced = None;
    for step in steps.iter_mut().filter(|step| step["kind"] == "resize") {
        for field in ["size", "side", "height", "width"] {
            let Some(value) = step.get_mut(field) else {
                continue;
            };
            if let Some(old) = value.as_u64().filter(|old| *old > side as u64) {
                *value = side.into();
                replaced = Some(old);
            }
        }
    }
    replaced
}

/// How many images the training set of a run has, those held out left aside.
pub(crate) fn training_images(config: &TrainConfig, images: usize) -> usize {
    images - held_out(config, images)
}

fn held_out(config: &TrainConfig, images: usize) -> usize {
    (images as f64 * config.val_fraction).round() as usize
}

/// The run at a profile's scale; `images` are those of the whole training set. `most` replaces the
/// profile's number of training images: a point of a learning curve.
pub(crate) fn fit(
    mut config: TrainConfig,
    images: usize,
    scale: &Scale,
    exception: Option<&Exception>,
    most: Option<usize>,
) -> TrainConfig {
    let none = Exception::default();
    let exception = exception.unwrap_or(&none);
    if exception.whole && most.is_none() {
        return config;
    }
    let all = training_images(&config, images);
    let most = most.or(exception.images).or(scale.images);
    if let Some(most) = most.filter(|most| *most < config.limit.unwrap_or(all).min(all)) {
        let held_out = held_out(&config, images);
        if held_out > 0 {
            // As many to each training image as the paper has.
            let fair = (most as f64 * held_out as f64 / all as f64).round() as usize;
            let least = LEAST_VALIDATION.min(most);
            config.val_limit = Some(fair.max(least).min(held_out));
        }
        config.limit = Some(most);
    }
    if let Some(plateau) = scale.plateau.filter(|_| config.val_fraction > 0.0) {
        stop_on_the_plateau(&mut config, plateau);
    }
    for cap in [exception.epochs, scale.epochs]
        .into_iter()
        .flatten()
        .take(1)
    {
        config.epochs = config.epochs.min(cap);
    }
    config
}

fn stop_on_the_plateau(config: &mut TrainConfig, plateau: Plateau) {
    let stated = config.early_stopping;
    config.early_stopping = Some(EarlyStopping {
        patience: stated.map_or(plateau.patience, |stated| stated.patience),
        min_delta: stated.map_or(0.0, |stated| stated.min_delta),
        patience_steps: plateau.patience_steps,
        min_steps: plateau.min_steps,
    });
    config.epochs = config.epochs.max(plateau.max_epochs);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(val_fraction: f64) -> TrainConfig {
        TrainConfig {
            batch: 500,
            epochs: 50,
            val_fraction,
            ..TrainConfig::default()
        }
    }

    fn scale() -> Scale {
        Scale {
            images: Some(20_000),
            seeds: 3,
            plateau: Some(Plateau {
                patience: 5,
                patience_steps: 400,
                min_steps: 1000,
                max_epochs: 100,
                usual_epochs: 25,
            }),
            ..Scale::default()
        }
    }

    #[test]
    fn without_limits_nothing_changes() {
        let wanted = wanted(0.1);
        let fitted = fit(wanted.clone(), 100_000, &Scale::default(), None, None);
        assert_eq!(fitted, wanted);
        let whole = Exception {
            whole: true,
            ..Exception::default()
        };
        assert_eq!(
            fit(wanted.clone(), 100_000, &scale(), Some(&whole), None),
            wanted
        );
    }

    #[test]
    fn fewer_images_have_validation_in_proportion_and_stop_on_the_plateau() {
        let fitted = fit(wanted(0.1), 100_000, &scale(), None, None);
        assert_eq!(
            (fitted.limit, fitted.val_limit),
            (Some(20_000), Some(2_222))
        );
        assert_eq!(fitted.epochs, 100);
        let stopping = fitted.early_stopping.unwrap();
        assert_eq!((stopping.patience, stopping.patience_steps), (5, 400));
        // Network, batch and rate are the paper's.
        let wanted = wanted(0.1);
        assert_eq!((fitted.spec, fitted.batch), (wanted.spec, wanted.batch));
        assert_eq!(fitted.learning_rate, wanted.learning_rate);
    }

    #[test]
    fn a_paper_that_states_its_patience_keeps_it_and_waits_for_the_steps_too() {
        let mut config = wanted(0.1);
        config.early_stopping = Some(EarlyStopping {
            patience: 10,
            min_delta: 1e-4,
            ..EarlyStopping::default()
        });
        let stopping = fit(config, 100_000, &scale(), None, None).early_stopping;
        let stopping = stopping.unwrap();
        assert_eq!((stopping.patience, stopping.min_delta), (10, 1e-4));
        assert_eq!((stopping.patience_steps, stopping.min_steps), (400, 1000));
    }

    #[test]
    fn without_a_validation_set_a_run_has_its_own_length() {
        let fitted = fit(wanted(0.0), 60_000, &scale(), None, None);
        assert_eq!((fitted.epochs, fitted.early_stopping), (50, None));
        assert_eq!((fitted.limit, fitted.val_limit), (Some(20_000), None));
    }

    #[test]
    fn exceptions_and_points_of_a_learning_curve_come_before_the_profile() {
        let exception = Exception {
            images: Some(300),
            epochs: Some(2),
            ..Exception::default()
        };
        let fitted = fit(wanted(0.1), 100_000, &scale(), Some(&exception), None);
        assert_eq!((fitted.limit, fitted.epochs), (Some(300), 2));
        assert_eq!(fitted.val_limit, Some(300));
        let point = fit(wanted(0.1), 100_000, &scale(), None, Some(5_000));
        assert_eq!((point.limit, point.val_limit), (Some(5_000), Some(556)));
    }

    #[test]
    fn large_inputs_are_resized_to_less() {
        let mut preprocess = serde_json::json!({ "steps": [{ "kind": "resize", "size": 224 }] });
        assert_eq!(shrink_side(&mut preprocess, 32), Some(224));
        assert_eq!(preprocess["steps"][0]["size"], 32);
        assert_eq!(shrink_side(&mut preprocess, 32), None);
    }
}
