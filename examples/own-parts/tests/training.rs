//! What a crate with parts of its own should hold them to.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use candle_core::{Device, Tensor};
use hw_core::{CancelToken, Rng};
use hw_data::DataDirs;
use hw_models::plan::TrainPlan;
use hw_models::{Executor, Mode, Network, ReferenceTrainer, cross_entropy};
use hw_train::checkpoint::{self, BEST, LAST};
use hw_train::{Event, Experiment, RunOptions, TrainConfig};
use own_parts::{SqueezeExcite, network};
use std::path::Path;
use std::sync::Once;

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| own_parts::register().unwrap());
}

/// 300 generated digits, 270 of them to train on: no files needed.
fn config() -> TrainConfig {
    register();
    TrainConfig {
        spec: Some(network([1, 28, 28], 10)),
        optimizer: "signum:beta=0.8".parse().unwrap(),
        dataset: "glyphs:digits".parse().unwrap(),
        limit: Some(300),
        batch: 30,
        epochs: 4,
        ..TrainConfig::default()
    }
}

fn experiment() -> Experiment {
    Experiment::load(config(), &DataDirs::resolve(None)).unwrap()
}

#[test]
fn the_layers_two_executions_have_the_same_gradients() {
    register();
    let network = Network::new(&network([1, 28, 28], 10), 3, &Device::Cpu).unwrap();
    let tensors = network.tensors().unwrap();
    let mut plan = TrainPlan::with_tensors(network.graph(), &tensors, 6);
    let mut reference = ReferenceTrainer::new(network).unwrap();
    let mut rng = Rng::stream(1, "images", 0);
    let images: Vec<f32> = (0..6 * 784).map(|_| rng.uniform()).collect();
    let labels = [3, 1, 4, 1, 5, 9];
    let gradients = [&mut plan as &mut dyn Executor, &mut reference].map(|executor| {
        executor.step(&images, &labels, 0, &cross_entropy).unwrap();
        let flat = executor.update().1.to_vec();
        executor.unpack(&flat)
    });
    let [planned, expected] = gradients;
    assert_eq!(planned.len(), expected.len());
    for (planned, expected) in planned.iter().zip(&expected) {
        let largest = expected.iter().fold(0f32, |most, g| most.max(g.abs()));
        assert!(largest > 0.0);
        for (a, b) in planned.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4 * largest, "{a} {b}");
        }
    }
}

#[test]
fn a_network_with_both_learns_and_is_read_back_from_its_checkpoint() {
    let experiment = experiment();
    let folder = tempfile::tempdir().unwrap();
    let outcome = experiment
        .start(folder.path(), RunOptions::new(&mut |_| {}))
        .unwrap();
    let losses: Vec<f64> = outcome
        .history
        .iter()
        .map(|epoch| epoch.train.loss)
        .collect();
    assert!(losses[3] < 0.6 * losses[0], "{losses:?}");

    let trained = checkpoint::open(folder.path(), &Device::Cpu)
        .unwrap()
        .network;
    assert_eq!(trained.spec(), experiment.spec());
    let again = folder.path().join("again.safetensors");
    trained.save(&again).unwrap();
    let again = Network::load(&again, &Device::Cpu).unwrap();
    let images = Tensor::full(0.5f32, (2, 1, 28, 28), &Device::Cpu).unwrap();
    let logits = |network: &Network| {
        let logits = network.forward(&images, Mode::Eval).unwrap();
        logits.to_vec2::<f32>().unwrap()
    };
    assert_eq!(logits(&trained), logits(&again));
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bytes() {
    let experiment = experiment();
    let files = |folder: &Path| [BEST, LAST].map(|name| std::fs::read(folder.join(name)).unwrap());
    let whole = tempfile::tempdir().unwrap();
    experiment
        .start(whole.path(), RunOptions::new(&mut |_| {}))
        .unwrap();

    let parted = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let mut stop = |event: &Event| {
        // In the middle of the third epoch of nine steps; every twentieth step is told.
        if let Event::Step { step: 20, .. } = event {
            cancel.cancel();
        }
    };
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::new(&mut stop)
    };
    let outcome = experiment.start(parted.path(), options).unwrap();
    assert!(!outcome.finished);
    let resumed = experiment.resume(parted.path(), RunOptions::new(&mut |_| {}));
    assert!(resumed.unwrap().finished);
    assert!(files(whole.path()) == files(parted.path()));
}

#[test]
fn what_does_not_fit_is_refused_with_the_layers_name() {
    register();
    for (reduction, part) in [(0, "reduction 0"), (9, "between 1 and 8 maps")] {
        let mut spec = network([1, 28, 28], 10);
        spec.layers[3] = SqueezeExcite::layer(reduction);
        let problem = spec.lower().unwrap_err().to_string();
        assert!(
            problem.contains("squeeze-excite1") && problem.contains(part),
            "{problem}"
        );
    }
    let wrong = TrainConfig {
        optimizer: serde_json::from_str(r#"{"name": "signum", "beta": 1.0}"#).unwrap(),
        ..config()
    };
    let problem = Experiment::load(wrong, &DataDirs::resolve(None)).err();
    assert!(problem.is_some_and(|problem| problem.to_string().contains("beta")));
}
