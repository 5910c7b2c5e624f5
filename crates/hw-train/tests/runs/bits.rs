//! A run is its inputs: repeated, on any number of threads, stopped or killed and resumed.

use crate::support::{
    checkpoints, complete, config, experiment, go_until, random_config, resume, snapshots,
    with_maps,
};
use hw_data::Sampling;
use hw_train::schedule::SCHEDULES;
use hw_train::{BatchNormStatistics, Event, Experiment, Optimizer, TrainConfig};
use std::time::Duration;

#[test]
fn the_same_run_twice_gives_the_same_bytes() {
    let [first, second] = [(); 2].map(|()| complete(&experiment(random_config())).0);
    assert!(checkpoints(first.path()) == checkpoints(second.path()));
}

#[test]
fn another_seed_is_another_run_with_other_weights() {
    let one = experiment(config());
    let other = experiment(TrainConfig {
        seed: 2,
        ..config()
    });
    assert_ne!(one.id(), other.id());
    let [a, b] = [one, other].map(|e| checkpoints(complete(&e).0.path()));
    assert!(a[0] != b[0]);
}

fn on_threads(threads: usize, experiment: &Experiment) -> [Vec<u8>; 2] {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| checkpoints(complete(experiment).0.path()))
}

#[test]
fn one_two_and_three_threads_give_the_same_bytes() {
    let convolutional = TrainConfig {
        model: "lenet5".into(),
        limit: Some(150),
        batch: 50,
        epochs: 1,
        ..config()
    };
    let batch_normalised = TrainConfig {
        epochs: 1,
        batch: 100,
        ..random_config()
    };
    let statistics = BatchNormStatistics::Reestimate { images: 70 };
    let reestimated = TrainConfig {
        spec: Some(with_maps()),
        batch_norm_statistics: Some(statistics),
        ema: Some(0.9),
        ..batch_normalised.clone()
    };
    for config in [convolutional, batch_normalised, reestimated] {
        let experiment = experiment(config);
        let one = on_threads(1, &experiment);
        for threads in [2, 3] {
            let (model, same) = (&experiment.spec().name, on_threads(threads, &experiment));
            assert!(same == one, "{model} differs on {threads} threads");
        }
    }
}

fn at_step(wanted: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Step { step, .. } if *step == wanted)
}

/// The step at which a run stops, and the event that stops it.
type Stop<'a> = (u64, &'a dyn Fn(&Event) -> bool);

#[test]
fn a_run_stopped_again_and_again_ends_in_the_same_bytes() {
    let experiment = experiment(random_config());
    let (whole, told) = complete(&experiment);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Before the first step, inside the first epoch, between two epochs, just inside the second,
    // inside the last.
    let stops: [Stop<'_>; 5] = [
        (0, &|event| matches!(event, Event::Started { .. })),
        (20, &at_step(20)),
        (38, &|event| matches!(event, Event::Epoch(_))),
        (40, &at_step(40)),
        (100, &at_step(100)),
    ];
    for (step, stop) in stops {
        let mut stopped_at = None;
        let outcome = go_until(&experiment, folder, stop);
        for event in hw_train::events::read(&folder.join("events.jsonl")) {
            if let Event::Interrupted { step, .. } = event {
                stopped_at = Some(step);
            }
        }
        assert_eq!((outcome.finished, stopped_at), (false, Some(step)));
    }
    let outcome = resume(&experiment, folder).unwrap();
    assert!(checkpoints(folder) == checkpoints(whole.path()));
    assert_eq!(outcome.best_epoch, told.best_epoch);
    for (found, wanted) in outcome.history.iter().zip(&told.history) {
        assert_eq!(
            (found.train, found.validation),
            (wanted.train, wanted.validation)
        );
        assert_eq!(found.last_losses, wanted.last_losses);
    }
    assert_eq!(outcome.history.len(), told.history.len());
}

#[test]
fn every_update_rule_resumes_inside_an_epoch_to_the_same_bytes() {
    for optimizer in Optimizer::all() {
        let experiment = experiment(TrainConfig {
            learning_rate: optimizer.default_learning_rate(),
            optimizer: optimizer.clone(),
            epochs: 1,
            ..random_config()
        });
        let folder = tempfile::tempdir().unwrap();
        let stopped = go_until(&experiment, folder.path(), at_step(20));
        assert!(!stopped.finished);
        resume(&experiment, folder.path()).unwrap();
        let (whole, _) = complete(&experiment);
        let same = checkpoints(folder.path()) == checkpoints(whole.path());
        assert!(same, "{} resumes to other bytes", optimizer.name());
    }
}

#[test]
fn schedules_averages_losses_mixes_and_sampling_resume_to_the_same_bytes() {
    let schedules = SCHEDULES.map(|schedule| schedule.value);
    let mixes = hw_train::mixing::MIXES;
    for (index, schedule) in schedules.into_iter().enumerate() {
        let experiment = experiment(TrainConfig {
            schedule,
            warmup: 0.5,
            loss: "focal:gamma=1+class-weighted+label-smoothing"
                .parse()
                .unwrap(),
            ema: Some(0.9),
            mix: Some(mixes[index % mixes.len()].value),
            sampling: Sampling::Replacement,
            optimizer: "keras:nadam".parse().unwrap(),
            epochs: 3,
            ..random_config()
        });
        let folder = tempfile::tempdir().unwrap();
        let stopped = go_until(&experiment, folder.path(), at_step(20 + 20 * index as u64));
        assert!(!stopped.finished);
        resume(&experiment, folder.path()).unwrap();
        let (whole, _) = complete(&experiment);
        let same = checkpoints(folder.path()) == checkpoints(whole.path());
        assert!(same, "{schedule:?} resumes to other bytes");
    }
}

#[test]
fn runs_with_reestimated_statistics_resume_to_the_same_bytes() {
    let statistics = BatchNormStatistics::Reestimate { images: 70 };
    for (ema, val_fraction) in [(None, 0.1), (Some(0.9), 0.1), (None, 0.0)] {
        let experiment = experiment(TrainConfig {
            batch_norm_statistics: Some(statistics),
            ema,
            val_fraction,
            epochs: 2,
            ..random_config()
        });
        let whole = checkpoints(complete(&experiment).0.path());
        for (event, folder) in snapshots(&experiment, Duration::ZERO) {
            resume(&experiment, folder.path()).unwrap();
            let same = checkpoints(folder.path()) == whole;
            assert!(same, "killed at {event:?}");
        }
    }
}

#[test]
fn a_run_killed_at_any_moment_ends_in_the_same_bytes() {
    let experiment = experiment(TrainConfig {
        epochs: 2,
        ..random_config()
    });
    let whole = checkpoints(complete(&experiment).0.path());
    // Safe points after every step, and only between epochs.
    for every in [Duration::ZERO, Duration::MAX] {
        let snapshots = snapshots(&experiment, every);
        // Start, steps 20, 40 and 60, two epochs, the end.
        assert_eq!(snapshots.len(), 7);
        for (event, folder) in snapshots {
            resume(&experiment, folder.path()).unwrap();
            let same = checkpoints(folder.path()) == whole;
            assert!(same, "killed at {event:?}, safe points every {every:?}");
        }
    }
}

#[test]
fn a_complete_run_is_only_read_when_it_is_resumed() {
    let experiment = experiment(config());
    let (folder, outcome) = complete(&experiment);
    let before = checkpoints(folder.path());
    let mut events = 0;
    let mut observer = |_: &Event| events += 1;
    let options = hw_train::RunOptions::new(&mut observer);
    let again = experiment.resume(folder.path(), options).unwrap();
    assert_eq!((again, events), (outcome, 0));
    assert!(checkpoints(folder.path()) == before);
}

#[test]
fn probes_change_no_weight() {
    let plain = experiment(config());
    let probed = experiment(TrainConfig {
        probe: Some(50),
        ..config()
    });
    let [(a, told), (b, told_probed)] = [plain, probed].map(|e| complete(&e));
    let tensors = |folder: &tempfile::TempDir| {
        let file = folder.path().join(hw_train::checkpoint::LAST);
        hw_models::weights::read(&file).unwrap().tensors
    };
    assert!(tensors(&a) == tensors(&b));
    assert!(told.history.iter().all(|e| e.test_probe.is_none()));
    for epoch in &told_probed.history {
        let [train, test] = [epoch.train_probe, epoch.test_probe].map(Option::unwrap);
        assert_eq!((train.images, test.images), (50, 50));
        assert_ne!(train, test);
    }
}
