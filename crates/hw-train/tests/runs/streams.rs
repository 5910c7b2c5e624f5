//! Start, order and dropout draw from streams of their own.

use crate::support::{complete, config, experiment, with_dropout};
use candle_core::Device;
use hw_models::{Layer, ModelSpec, Network, weights};
use hw_train::checkpoint::LAST;
use hw_train::optimizer::sgd::Sgd;
use hw_train::{Optimizer, Outcome, TrainConfig};

/// A run whose steps are too small to change any weight.
fn standing_still(config: TrainConfig) -> (Vec<f32>, Outcome) {
    let experiment = experiment(TrainConfig {
        optimizer: Optimizer::new(Sgd {}),
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

/// The network without batch normalisation, so that each image stands for itself.
fn without_batch_norm(mut spec: ModelSpec) -> ModelSpec {
    spec.layers
        .retain(|layer| !matches!(layer, Layer::BatchNorm { .. }));
    spec
}

#[test]
fn every_step_drops_other_cells() {
    // One image, the same weights: only the masks can differ.
    let dropped = TrainConfig {
        spec: Some(without_batch_norm(with_dropout())),
        limit: Some(1),
        ..config()
    };
    let plain = TrainConfig {
        spec: None,
        model: "ann".into(),
        ..dropped.clone()
    };
    let losses = first_losses(&standing_still(plain).1);
    assert!(losses[0] == losses[1] && losses[1] == losses[2]);
    let losses = first_losses(&standing_still(dropped).1);
    let distinct = losses[0] != losses[1] && losses[1] != losses[2] && losses[0] != losses[2];
    assert!(distinct, "{losses:?}");
}

#[test]
fn the_score_of_an_epochs_batches_is_that_of_its_images() {
    let (_, outcome) = standing_still(TrainConfig {
        model: "ann".into(),
        probe: Some(600),
        ..config()
    });
    for epoch in &outcome.history {
        let (train, probe) = (epoch.train, epoch.train_probe.unwrap());
        assert_eq!((train.images, train.accuracy), (600, probe.accuracy));
        assert!(train.accuracy > 0.0);
        assert!((train.loss - probe.loss).abs() < 1e-5);
    }
}

#[test]
fn every_epoch_has_another_order() {
    // Weights stand still, so that only the order can change the losses of single batches.
    let (_, outcome) = standing_still(config());
    let epochs: Vec<_> = outcome.history.iter().map(|e| &e.last_losses).collect();
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
}
