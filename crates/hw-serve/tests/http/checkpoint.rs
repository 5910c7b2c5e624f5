//! Reading with a training run's network.

use crate::client::Running;
use hw_data::DataDirs;
use hw_serve::Settings;
use hw_train::{Experiment, RunOptions, TrainConfig};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

fn body() -> String {
    json!({ "strokes": [[[0, 0], [0, 50], [0, 100]]] }).to_string()
}

/// Trains a network for a moment and leaves its checkpoint in `folder`.
fn train(folder: &Path, seed: u64) {
    let config = TrainConfig {
        model: "bn-cnn".into(),
        dataset: "glyphs:digits".parse().unwrap(),
        limit: Some(200),
        epochs: 1,
        seed,
        ..TrainConfig::default()
    };
    let experiment = Experiment::load(config, &DataDirs::resolve(None)).unwrap();
    experiment
        .start(folder, RunOptions::new(&mut |_| {}))
        .unwrap();
}

#[test]
fn a_changed_checkpoint_is_read_again_and_a_damaged_one_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    train(&first, 1);
    train(&second, 2);
    let server = Running::with(Settings {
        checkpoint: Some(first.clone()),
        watch: Duration::from_millis(20),
        ..Settings::default()
    });
    let run = || server.get("/api/models").json()[0]["trained_on"].clone();
    let before = run();
    assert!(
        before.as_str().unwrap().contains("glyphs:digits"),
        "{before}"
    );
    let answer = server.post(body().as_bytes()).json();
    assert_eq!(answer["model"], "checkpoint");

    let fresh = std::fs::read(second.join("best.safetensors")).unwrap();
    hw_core::files::write_whole(&first.join("best.safetensors"), &fresh).unwrap();
    while run() == before {}
    let after = run();

    hw_core::files::write_whole(&first.join("best.safetensors"), b"damaged").unwrap();
    // Another good one, written after it, shows that the damaged one was passed over.
    assert_eq!(server.post(body().as_bytes()).status, 200);
    assert_eq!(run(), after);
    assert!(
        server
            .get("/metrics")
            .text()
            .contains("hw_model_reloads_total 1")
    );
}
