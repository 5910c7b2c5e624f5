//! Runs whose numbers overflow stop and say where.

use crate::support::{config, experiment};
use hw_kernels::Activation;
use hw_models::{Initializer, Layer, ModelSpec};
use hw_train::checkpoint::BEST;
use hw_train::optimizer::sgd::Sgd;
use hw_train::{Optimizer, RunOptions, TrainConfig, TrainError};

fn two_layers() -> ModelSpec {
    ModelSpec {
        name: "two-layers".into(),
        input: [1, 28, 28],
        classes: 10,
        init: Initializer::GlorotNormal,
        layers: vec![
            Layer::Flatten,
            Layer::dense(16),
            Layer::activation(Activation::Relu),
            Layer::dense(10),
        ],
    }
}

/// A run with an absurd learning rate: its epoch, step and place of divergence, and its message.
fn divergence(config: TrainConfig) -> (usize, u64, String, String) {
    let experiment = experiment(TrainConfig {
        optimizer: Optimizer::new(Sgd {}),
        learning_rate: 1e30,
        ..config
    });
    let folder = tempfile::tempdir().unwrap();
    let error = experiment
        .start(folder.path(), RunOptions::new(&mut |_| {}))
        .unwrap_err();
    let message = error.to_string();
    assert!(!folder.path().join(BEST).exists() || message.contains("epoch 2"));
    match error {
        TrainError::NotFinite {
            epoch, step, place, ..
        } => (epoch, step, place, message),
        other => panic!("{other}"),
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_epoch_step_and_layer() {
    let (epoch, step, place, message) = divergence(TrainConfig {
        spec: Some(two_layers()),
        ..config()
    });
    assert_eq!((epoch, step, place.as_str()), (1, 2, "fc2"));
    for part in ["epoch 1", "step 2", "fc2", "learning rate (now 1e30)"] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn a_step_that_breaks_only_the_validation_loss_stops_the_run() {
    // One step an epoch: the loss before it is a number, the weights after it are still numbers.
    let (epoch, step, place, _) = divergence(TrainConfig {
        spec: Some(two_layers()),
        batch: 600,
        ..config()
    });
    assert_eq!((epoch, step), (1, 1));
    assert_eq!(place, "the validation loss");
}

#[test]
fn moving_statistics_that_overflow_stop_the_run_and_are_named() {
    let (epoch, step, place, _) = divergence(TrainConfig {
        batch: 600,
        val_fraction: 0.0,
        ..config()
    });
    assert_eq!((epoch, step), (2, 2), "{place}");
    assert!(place.contains("running_var"), "{place}");
}
