//! A run that is killed between its last epoch and its last word must not train on when resumed.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{GlyphSet, Split};
use hw_models::weights;
use hw_train::checkpoint::{BEST, LAST};
use hw_train::{EarlyStopping, Experiment, Monitor, Plateau, RunOptions, TrainConfig};
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_run_stopped_early_and_killed_before_it_said_so_trains_no_further_epoch() {
    let digits = generate(GlyphSet::Digits, Split::Train, 200, &GlyphConfig::default()).unwrap();
    let config = TrainConfig {
        model: "ann".into(),
        // So little that no epoch is better than the first.
        learning_rate: 1e-20,
        epochs: 5,
        monitor: Monitor::ValAccuracy,
        early_stopping: Some(EarlyStopping {
            patience: 1,
            // Two epochs of two steps each, then.
            patience_steps: 3,
            ..EarlyStopping::default()
        }),
        ..TrainConfig::default()
    };
    let experiment = Experiment::new(config, Arc::new(digits), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    let outcome = experiment.start(run, RunOptions::new(&mut |_| {})).unwrap();
    assert_eq!((outcome.history.len(), outcome.best_epoch), (3, 1));
    assert_eq!(outcome.plateau, Some(Plateau::Stopped));

    let whole = checkpoints(run);
    let mut last = weights::read(&run.join(LAST)).unwrap();
    last.metadata["progress"]["finished"] = false.into();
    weights::write(&run.join(LAST), &last).unwrap();
    let resumed = experiment
        .resume(run, RunOptions::new(&mut |_| {}))
        .unwrap();
    assert_eq!(resumed.history.len(), 3);
    assert_eq!(resumed.plateau, Some(Plateau::Stopped));
    assert!(checkpoints(run) == whole);
}

fn checkpoints(run: &Path) -> [Vec<u8>; 2] {
    [BEST, LAST].map(|name| std::fs::read(run.join(name)).unwrap())
}
