//! Which weights a run keeps, and when it stops.

use crate::support::{complete, config, digits, experiment, go_until, resume};
use candle_core::{Device, Tensor};
use hw_data::{Loader, LoaderConfig, SplitIndices};
use hw_models::plan::TrainPlan;
use hw_models::weights::{self, STATE_PREFIX};
use hw_models::{Executor, Frozen};
use hw_train::checkpoint::{self, BEST, LAST};
use hw_train::{
    BatchNormStatistics, EarlyStopping, EpochRecord, Event, Experiment, Monitor, Plateau, Score,
    TrainConfig, batch_norm, calibrate, evaluate,
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
    let frozen = Frozen::new(&trained.network).unwrap();
    evaluate::score(&frozen, &held_out(experiment)).unwrap()
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
            ..EarlyStopping::default()
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
        assert_eq!(outcome.plateau, Some(Plateau::Stopped));

        let recorded = history[outcome.best_epoch - 1].validation.unwrap();
        assert_eq!(rescored(folder.path(), &experiment), recorded);
        let last = rescored(&folder.path().join(LAST), &experiment);
        assert_eq!(last, history.last().unwrap().validation.unwrap());
        assert_ne!(last, recorded);
    }
}

#[test]
fn waiting_counts_steps_where_they_are_asked_for() {
    // 13 steps an epoch.
    let patient = |patience_steps, min_steps| TrainConfig {
        early_stopping: Some(EarlyStopping {
            patience: 3,
            patience_steps,
            min_steps,
            ..EarlyStopping::default()
        }),
        ..stopping_early(Monitor::ValLoss)
    };
    let epochs = |config| {
        let (_, outcome) = complete(&experiment(config));
        assert_eq!(outcome.plateau, Some(Plateau::Stopped));
        (outcome.best_epoch, outcome.history.len())
    };
    let (best, last) = epochs(patient(0, 0));
    assert_eq!(last, best + 3);
    // None of the later epochs is better, as each test of this run finds again.
    assert_eq!(epochs(patient(40, 0)), (best, best + 4));
    let steps = 13 * (best as u64 + 4);
    assert_eq!(epochs(patient(0, steps)), (best, best + 4));
}

#[test]
fn a_complete_run_says_whether_its_plateau_was_reached() {
    let few = |early_stopping| TrainConfig {
        limit: Some(64),
        early_stopping,
        ..config()
    };
    let patient = EarlyStopping {
        patience: 3,
        ..EarlyStopping::default()
    };
    for (stopping, plateau) in [(None, Plateau::Complete), (Some(patient), Plateau::Cut)] {
        let experiment = experiment(few(stopping));
        let (folder, outcome) = complete(&experiment);
        assert_eq!(outcome.plateau, Some(plateau));
        let read = resume(&experiment, folder.path()).unwrap();
        assert_eq!(read.plateau, Some(plateau));
        let folder = tempfile::tempdir().unwrap();
        let stopped = go_until(&experiment, folder.path(), |event| {
            matches!(event, Event::Epoch(_))
        });
        assert_eq!((stopped.finished, stopped.plateau), (false, None));
    }
}

/// Eight times dense, batch norm with Keras's momentum (0.99, which is 0.01 here) and ReLU: 40 steps.
fn slow_statistics() -> TrainConfig {
    let mut layers = vec![serde_json::json!({ "type": "flatten" })];
    for _ in 0..8 {
        layers.extend([
            serde_json::json!({ "type": "dense", "units": 128, "bias": false }),
            serde_json::json!({ "type": "batch_norm", "eps": 1e-3, "momentum": 0.01 }),
            serde_json::json!({ "type": "activation", "function": "relu" }),
        ]);
    }
    layers.push(serde_json::json!({ "type": "dense", "units": 10, "bias": true }));
    let spec = serde_json::json!({
        "name": "deep", "input": [1, 28, 28], "classes": 10, "init": "torch",
        "layers": layers,
    });
    TrainConfig {
        spec: Some(serde_json::from_value(spec).unwrap()),
        limit: Some(400),
        val_fraction: 0.3,
        batch: 10,
        learning_rate: 0.002,
        epochs: 1,
        ..config()
    }
}

fn reestimated(images: usize, config: TrainConfig) -> TrainConfig {
    TrainConfig {
        batch_norm_statistics: Some(BatchNormStatistics::Reestimate { images }),
        ..config
    }
}

#[test]
fn reestimated_statistics_show_what_a_network_has_learned_in_forty_steps() {
    let accuracy = |config| {
        let (folder, outcome) = complete(&experiment(config));
        let epoch = &outcome.history[0];
        assert_eq!(epoch.step, 40);
        let last = weights::read(&folder.path().join(LAST)).unwrap().tensors;
        (epoch.validation.unwrap().accuracy, epoch.train, last)
    };
    let (moving, trained, last) = accuracy(slow_statistics());
    let (fresh, trained_too, last_too) = accuracy(reestimated(400, slow_statistics()));
    // One of ten classes for everything.
    assert!(moving < 0.15, "{moving} is not chance");
    assert!(fresh > 0.5, "{fresh}");
    // Training itself is the same to the bit, its moving statistics and the optimizer's numbers too.
    assert_eq!(trained, trained_too);
    assert!(last == last_too);
}

/// The tensors of a network in a run's folder, the statistics of batch norm among them.
fn tensors(folder: &std::path::Path, file: &str) -> std::collections::BTreeMap<String, Vec<f32>> {
    let contents = weights::read(&folder.join(file))
        .unwrap()
        .tensors
        .into_iter();
    let own = contents.filter(|(name, _)| !name.starts_with(STATE_PREFIX));
    own.map(|(name, tensor)| (name, tensor.values)).collect()
}

#[test]
fn what_is_scored_with_reestimated_statistics_is_what_is_kept() {
    for ema in [None, Some(0.9)] {
        let config = TrainConfig { ema, ..config() };
        let experiment = experiment(reestimated(50, config));
        let (folder, outcome) = complete(&experiment);
        let recorded = outcome.history[outcome.best_epoch - 1].validation.unwrap();
        assert_eq!(rescored(folder.path(), &experiment), recorded);
        let [best, last] = [BEST, LAST].map(|file| tensors(folder.path(), file));
        assert_ne!(best["bn1.running_mean"], last["bn1.running_mean"]);
        let same_epoch = outcome.best_epoch == outcome.history.len();
        assert!(ema.is_some() || (best["fc1.weight"] == last["fc1.weight"]) == same_epoch);
    }
}

#[test]
fn statistics_are_those_of_the_first_images_of_the_epoch_that_is_over() {
    // Without validation the last epoch's are kept.
    for (val_fraction, epochs) in [(0.1, 1), (0.0, 2)] {
        let config = TrainConfig {
            val_fraction,
            epochs,
            ..config()
        };
        let experiment = experiment(reestimated(50, config.clone()));
        let (folder, _) = complete(&experiment);
        let best = checkpoint::open(&folder.path().join(BEST), &Device::Cpu).unwrap();
        let (data, seed) = (digits(), config.seed);
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let split = SplitIndices::stratified(&all, &data.labels, val_fraction, seed).unwrap();
        let settings = LoaderConfig {
            batch: 16,
            shuffle_seed: Some(seed),
            ..LoaderConfig::default()
        };
        let indices = split.limit(600, seed).train;
        let loader = Loader::new(data, indices.into(), settings).unwrap();
        let last = checkpoint::open(&folder.path().join(LAST), &Device::Cpu).unwrap();
        let batches = loader.epoch(epochs as u64 - 1, 0);
        let mut expected = last.network.tensors().unwrap();
        let mut plan = TrainPlan::with_tensors(last.network.graph(), &expected, 16);
        let (weights, buffers) = (plan.weights().to_vec(), expected.buffers.clone());
        let estimated = batch_norm::reestimate(&mut plan, &weights, buffers, batches, 50);
        expected.buffers = estimated.unwrap();
        assert_eq!(best.network.tensors().unwrap(), expected);
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

#[test]
fn the_validation_limit_cuts_what_is_scored_and_leaves_the_training_set() {
    let plain = experiment(config());
    let limited = |val_limit, change: fn(&mut TrainConfig)| {
        let mut config = TrainConfig {
            val_limit: Some(val_limit),
            epochs: 1,
            limit: None,
            ..config()
        };
        change(&mut config);
        experiment(config)
    };
    assert_eq!(limited(20, |_| {}).sizes(), (630, 20));
    assert_eq!(limited(1000, |_| {}).sizes(), (630, 70));
    assert_ne!(limited(1000, |_| {}).id(), plain.id());
    // The same images for another recipe: those that the seeded shuffle has first.
    let all: Vec<u32> = (0..digits().len() as u32).collect();
    let held_out = SplitIndices::stratified(&all, &digits().labels, 0.1, 1).unwrap();
    let first = hw_data::split::limit(&held_out.validation, 20, 1);
    let loader = Loader::new(digits(), first.into(), LoaderConfig::default()).unwrap();
    for change in [
        |_: &mut TrainConfig| {},
        |c: &mut TrainConfig| {
            (c.model, c.limit, c.batch) = ("ann".into(), Some(100), 50);
        },
    ] {
        let (folder, outcome) = complete(&limited(20, change));
        let trained = checkpoint::open(folder.path(), &Device::Cpu).unwrap();
        let frozen = Frozen::new(&trained.network).unwrap();
        let score = evaluate::score(&frozen, &loader).unwrap();
        assert_eq!(outcome.history[0].validation, Some(score));
        assert_eq!(score.images, 20);
    }
}
