//! Which weights a run keeps, and when it stops.

use crate::support::{complete, config, digits, experiment};
use candle_core::{Device, Tensor};
use hw_data::{Loader, LoaderConfig, SplitIndices};
use hw_models::Frozen;
use hw_models::weights::{self, STATE_PREFIX};
use hw_train::checkpoint::{self, BEST, LAST};
use hw_train::{
    EarlyStopping, EpochRecord, Experiment, Monitor, Score, TrainConfig, calibrate, evaluate,
};

/// The validation set, split off anew.
fn held_out(experiment: &Experiment) -> Loader {
    let (data, config) = (digits(), experiment.config());
    let all: Vec<u32> = (0..data.len() as u32).collect();
    let split =
        SplitIndices::stratified(&all, &data.labels, config.val_fraction, config.seed).unwrap();
    let settings = LoaderConfig {
        batch: 250,
        ..LoaderConfig::default()
    };
    Loader::new(data, split.validation.into(), settings).unwrap()
}

/// The score of the weights in `file` on the validation set.
fn rescored(file: &std::path::Path, experiment: &Experiment) -> Score {
    let trained = checkpoint::open(file, &Device::Cpu).unwrap();
    evaluate::score(&trained.network, &held_out(experiment)).unwrap()
}

#[test]
fn the_kept_weights_come_with_the_temperature_that_fits_what_was_held_out() {
    let experiment = experiment(stopping_early(Monitor::ValAccuracy));
    let (folder, _) = complete(&experiment);
    let path = folder.path().join(BEST);
    let trained = checkpoint::open(&path, &Device::Cpu).unwrap();
    let frozen = Frozen::new(&trained.network).unwrap();
    let (mut logits, mut labels) = (Vec::new(), Vec::new());
    for batch in held_out(&experiment).epoch(0, 0) {
        logits.extend(frozen.logits(&batch.images, batch.shape).unwrap());
        labels.extend(batch.labels);
    }
    let t = trained.temperature.unwrap();
    assert_eq!(t, calibrate::temperature(&logits, 10, &labels));
    assert!((t - 1.0).abs() > 0.01, "{t} shows nothing");

    let logits = Tensor::from_vec(logits, (labels.len(), 10), &Device::Cpu).unwrap();
    let ours = trained.probabilities(&logits).unwrap();
    for (row, logits) in ours
        .to_vec2::<f32>()
        .unwrap()
        .iter()
        .zip(logits.to_vec2::<f32>().unwrap())
    {
        // The ratio of two probabilities is e^(their logits' distance / t).
        let distance = (row[3] / row[7]).ln() - (logits[3] - logits[7]) / t;
        assert!(distance.abs() < 1e-3, "{distance}");
    }

    let mut contents = weights::read(&path).unwrap();
    contents.metadata.insert("temperature".into(), 0.0.into());
    weights::write(&path, &contents).unwrap();
    let message = checkpoint::open(&path, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(BEST) && message.contains("not above 0"),
        "{message}"
    );
}

fn stopping_early(monitor: Monitor) -> TrainConfig {
    TrainConfig {
        limit: Some(200),
        learning_rate: 0.02,
        epochs: 60,
        monitor,
        early_stopping: Some(EarlyStopping {
            patience: 3,
            min_delta: 0.0,
        }),
        ..config()
    }
}

/// The first epoch whose score is the best of all.
fn best_of(history: &[EpochRecord], monitor: Monitor) -> usize {
    let cost = |epoch: &EpochRecord| {
        let score = epoch.validation.unwrap();
        match monitor {
            Monitor::ValLoss => score.loss,
            Monitor::ValAccuracy => -score.accuracy,
        }
    };
    let lowest = history.iter().map(cost).fold(f64::INFINITY, f64::min);
    1 + history.iter().position(|e| cost(e) == lowest).unwrap()
}

#[test]
fn early_stopping_keeps_the_weights_of_the_best_epoch() {
    for monitor in [Monitor::ValLoss, Monitor::ValAccuracy] {
        let experiment = experiment(stopping_early(monitor));
        let (folder, outcome) = complete(&experiment);
        let history = &outcome.history;
        assert_eq!(outcome.best_epoch, best_of(history, monitor));
        assert_eq!(history.len(), outcome.best_epoch + 3, "{monitor:?}");
        assert!(history.len() < 60);

        let recorded = history[outcome.best_epoch - 1].validation.unwrap();
        assert_eq!(rescored(folder.path(), &experiment), recorded);
        let last = rescored(&folder.path().join(LAST), &experiment);
        assert_eq!(last, history.last().unwrap().validation.unwrap());
        assert_ne!(last, recorded);
    }
}

#[test]
fn an_epoch_is_marked_best_exactly_when_it_beats_all_before() {
    let (_, outcome) = complete(&experiment(stopping_early(Monitor::ValLoss)));
    let mut lowest = f64::INFINITY;
    for epoch in &outcome.history {
        let loss = epoch.validation.unwrap().loss;
        assert_eq!(epoch.best, loss < lowest, "epoch {}", epoch.epoch);
        lowest = lowest.min(loss);
    }
}

#[test]
fn without_validation_the_last_epochs_weights_are_kept() {
    let experiment = experiment(TrainConfig {
        val_fraction: 0.0,
        ..config()
    });
    assert_eq!(experiment.sizes(), (600, 0));
    let (folder, outcome) = complete(&experiment);
    assert_eq!((outcome.history.len(), outcome.best_epoch), (3, 3));
    let [best, last] = [BEST, LAST].map(|name| {
        let contents = weights::read(&folder.path().join(name)).unwrap();
        let mut tensors = contents.tensors;
        tensors.retain(|name, _| !name.starts_with(STATE_PREFIX));
        tensors
    });
    assert!(best == last && !best.is_empty());
    assert!(outcome.history.iter().all(|e| e.validation.is_none()));
}

#[test]
fn the_limit_cuts_the_training_set_and_leaves_the_validation_set() {
    assert_eq!(experiment(config()).sizes(), (600, 70));
    let few = TrainConfig {
        limit: Some(100),
        ..config()
    };
    assert_eq!(experiment(few).sizes(), (100, 70));
}
