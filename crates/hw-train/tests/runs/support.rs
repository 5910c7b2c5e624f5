//! Small runs on generated digits.

use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{Dataset, GlyphSet, Preprocess, Split, Step};
use hw_models::{Layer, ModelSpec, zoo};
use hw_train::checkpoint::{BEST, LAST};
use hw_train::{Event, Experiment, Outcome, Result, RunOptions, TrainConfig};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;

static DIGITS: LazyLock<[Arc<Dataset>; 2]> = LazyLock::new(|| {
    [(Split::Train, 700), (Split::Test, 100)].map(|(split, count)| {
        Arc::new(generate(GlyphSet::Digits, split, count, &GlyphConfig::default()).unwrap())
    })
});

/// 700 digits to train on.
pub(crate) fn digits() -> Arc<Dataset> {
    Arc::clone(&DIGITS[0])
}

/// `ann-bn` on 600 of them: 38 steps an epoch, 3 epochs.
pub(crate) fn config() -> TrainConfig {
    TrainConfig {
        model: "ann-bn".into(),
        dataset: "glyphs:digits".parse().unwrap(),
        limit: Some(600),
        batch: 16,
        epochs: 3,
        ..TrainConfig::default()
    }
}

/// `ann-bn` with dropout before its last layer.
pub(crate) fn with_dropout() -> ModelSpec {
    let mut spec = zoo::spec("ann-bn", [1, 28, 28], 10).unwrap();
    let last = spec.layers.len() - 1;
    spec.layers.insert(last, Layer::Dropout { rate: 0.25 });
    spec
}

/// A convolution with batch norm over its maps, and dropout.
pub(crate) fn with_maps() -> ModelSpec {
    let mut spec = zoo::spec("bn-cnn", [1, 28, 28], 10).unwrap();
    let norm = Layer::BatchNorm {
        eps: 1e-3,
        momentum: 0.01,
    };
    spec.layers.insert(1, norm);
    let last = spec.layers.len() - 1;
    spec.layers.insert(last, Layer::Dropout { rate: 0.25 });
    spec
}

/// A run that draws from every random stream: start, order, noise and dropout.
pub(crate) fn random_config() -> TrainConfig {
    TrainConfig {
        spec: Some(with_dropout()),
        preprocess: Preprocess {
            steps: vec![Step::GaussianNoise { std: 0.1 }],
            ..Preprocess::default()
        },
        ..config()
    }
}

pub(crate) fn experiment(config: TrainConfig) -> Experiment {
    let test = Some(Arc::clone(&DIGITS[1]));
    Experiment::new(config, digits(), test).unwrap()
}

/// A complete run in a folder of its own.
pub(crate) fn complete(experiment: &Experiment) -> (TempDir, Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let outcome = experiment
        .start(folder.path(), RunOptions::new(&mut |_| {}))
        .unwrap();
    assert!(outcome.finished);
    (folder, outcome)
}

/// Starts or goes on, and asks to stop when `stop` sees an event it likes.
pub(crate) fn go_until(
    experiment: &Experiment,
    folder: &Path,
    stop: impl Fn(&Event) -> bool,
) -> Outcome {
    let cancel = hw_core::CancelToken::new();
    let mut observer = |event: &Event| {
        if stop(event) {
            cancel.cancel();
        }
    };
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::new(&mut observer)
    };
    experiment.complete(folder, options).unwrap()
}

pub(crate) fn resume(experiment: &Experiment, folder: &Path) -> Result<Outcome> {
    experiment.resume(folder, RunOptions::new(&mut |_| {}))
}

/// Complete copies of a run's folder, one at each event: what a kill at that moment leaves. Safe
/// points are written every `checkpoint_every`.
pub(crate) fn snapshots(
    experiment: &Experiment,
    checkpoint_every: Duration,
) -> Vec<(Event, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    let mut observer = |event: &Event| copies.push((event.clone(), copy(folder.path())));
    let options = RunOptions {
        checkpoint_every,
        ..RunOptions::new(&mut observer)
    };
    experiment.start(folder.path(), options).unwrap();
    copies
}

fn copy(folder: &Path) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_into(folder, target.path());
    target
}

fn copy_into(folder: &Path, target: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_into(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The bytes of both checkpoints.
pub(crate) fn checkpoints(folder: &Path) -> [Vec<u8>; 2] {
    [BEST, LAST].map(|name| std::fs::read(folder.join(name)).unwrap())
}
