//! Start, order and dropout draw from streams of their own.

use crate::support::{complete, config, experiment, with_dropout};
use candle_core::Device;
use hw_models::{Network, weights};
use hw_train::checkpoint::LAST;
use hw_train::{Optimizer, Outcome, TrainConfig};

/// A run whose steps are too small to change any weight.
fn standing_still(config: TrainConfig) -> (Vec<f32>, Outcome) {
    let experiment = experiment(TrainConfig {
        optimizer: Optimizer::Sgd {},
        learning_rate: 1e-30,
        ..config
    });
    let (folder, outcome) = complete(&experiment);
    let last = weights::read(&folder.path().join(LAST)).unwrap();
    let first = last.tensors["fc1.weight"].values.clone();
    (first, outcome)
}

#[test]
fn the_start_follows_from_the_seed_whatever_the_batches_and_the_dropout() {
    let spec = experiment(config()).spec().clone();
    let network = Network::new(&spec, 1, &Device::Cpu).unwrap();
    let (name, var) = &network.parameters()[0];
    assert_eq!(name, "fc1.weight");
    let start: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
    let variants = [
        config(),
        TrainConfig {
            batch: 100,
            ..config()
        },
        TrainConfig {
            spec: Some(with_dropout()),
            ..config()
        },
    ];
    for variant in variants {
        assert!(standing_still(variant).0 == start);
    }
    let other = TrainConfig {
        seed: 2,
        ..config()
    };
    assert!(standing_still(other).0 != start);
}

fn first_losses(outcome: &Outcome) -> Vec<f32> {
    outcome.history.iter().map(|e| e.last_losses[0]).collect()
}

#[test]
fn every_step_drops_other_cells() {
    // One batch an epoch: the same images, the same weights; only the masks can differ.
    let one_batch = TrainConfig {
        batch: 600,
        ..config()
    };
    let (_, plain) = standing_still(one_batch.clone());
    let losses = first_losses(&plain);
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() < 1e-5));

    let (_, dropped) = standing_still(TrainConfig {
        spec: Some(with_dropout()),
        ..one_batch
    });
    let losses = first_losses(&dropped);
    let distinct = |a: usize, b: usize| (losses[a] - losses[b]).abs() > 1e-5;
    assert!(
        distinct(0, 1) && distinct(1, 2) && distinct(0, 2),
        "{losses:?}"
    );
}

#[test]
fn every_epoch_has_another_order() {
    // Weights stand still, so that only the order can change the losses of single batches.
    let (_, outcome) = standing_still(config());
    let epochs: Vec<_> = outcome.history.iter().map(|e| &e.last_losses).collect();
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
}
