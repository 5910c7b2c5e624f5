//! Configurations, folders and files that are refused, each by name.

use crate::support::{self, checkpoints, complete, digits, experiment, go_until, resume};
use candle_core::Device;
use hw_models::weights;
use hw_train::checkpoint::{self, BEST, LAST};
use hw_train::experiment::CONFIG;
use hw_train::optimizer::adam::Adam;
use hw_train::run::{LEASE, RUN, read_run};
use hw_train::{
    BatchNormStatistics, Computation, EarlyStopping, Event, Experiment, Optimizer, RunOptions,
    TrainConfig, TrainError,
};
use std::path::Path;

/// As short a run as still has an event inside its epoch.
fn config() -> TrainConfig {
    TrainConfig {
        epochs: 1,
        limit: Some(336),
        ..support::config()
    }
}

fn refused(config: TrainConfig) -> TrainError {
    match Experiment::new(config, digits(), None) {
        Err(error) => error,
        Ok(_) => panic!("the configuration was taken"),
    }
}

/// The field and the value that the refusal names.
fn field(config: TrainConfig) -> (String, String) {
    match refused(config) {
        TrainError::Config { field, value, .. } => (field, value),
        other => panic!("{other}"),
    }
}

#[test]
fn numbers_out_of_their_range_are_refused_by_their_fields_name() {
    let with = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config();
        change(&mut config);
        field(config)
    };
    assert_eq!(with(&|c| c.batch = 0), ("batch".into(), "0".into()));
    assert_eq!(with(&|c| c.epochs = 0), ("epochs".into(), "0".into()));
    assert_eq!(with(&|c| c.limit = Some(0)), ("limit".into(), "0".into()));
    assert_eq!(with(&|c| c.probe = Some(0)), ("probe".into(), "0".into()));
    let none = ("val-limit".into(), "0".into());
    assert_eq!(with(&|c| c.val_limit = Some(0)), none);
    for rate in [f32::NAN, f32::INFINITY, 0.0, -0.1] {
        let expected = ("learning rate".into(), rate.to_string());
        assert_eq!(with(&|c| c.learning_rate = rate), expected);
    }
    for fraction in [1.0, -0.1, f64::NAN] {
        let expected = ("val-fraction".into(), fraction.to_string());
        assert_eq!(with(&|c| c.val_fraction = fraction), expected);
    }
}

#[test]
fn early_stopping_without_a_validation_set_is_refused() {
    let stopping = |min_delta, val_fraction| TrainConfig {
        val_fraction,
        early_stopping: Some(EarlyStopping {
            patience: 2,
            min_delta,
            ..EarlyStopping::default()
        }),
        ..config()
    };
    assert_eq!(field(stopping(0.0, 0.0)).0, "early stopping");
    for min_delta in [f64::NAN, -0.5] {
        assert_eq!(
            field(stopping(min_delta, 0.1)).0,
            "early stopping's min-delta"
        );
    }
}

#[test]
fn statistics_of_too_few_images_or_of_no_batch_norm_are_refused() {
    let reestimate = |model: &str, images| TrainConfig {
        model: model.into(),
        batch_norm_statistics: Some(BatchNormStatistics::Reestimate { images }),
        ..config()
    };
    let (name, value) = field(reestimate("ann-bn", 1));
    assert_eq!(name, "batch-norm-statistics' images");
    assert_eq!(value, "1");
    let message = refused(reestimate("ann", 100)).to_string();
    for part in ["batch-norm-statistics", "'ann'", "no batch normalization"] {
        assert!(message.contains(part), "{message}");
    }
    let text = r#"{"batch_norm_statistics":{"name":"reestimate","steps":5}}"#;
    let error = serde_json::from_str::<TrainConfig>(text).unwrap_err();
    assert!(error.to_string().contains("steps"), "{error}");
}

#[test]
fn an_update_rules_constants_are_refused_by_name() {
    let nan = Optimizer::new(Adam {
        beta2: f32::NAN,
        ..Adam::default()
    });
    let rule = |text: &str| text.parse::<Optimizer>().unwrap();
    let cases = [
        (rule("momentum:momentum=1"), "momentum's momentum"),
        (rule("adagrad:eps=0"), "adagrad's eps"),
        (
            rule("adagrad:initial_accumulator=-1"),
            "adagrad's initial accumulator",
        ),
        (rule("adam:beta1=1"), "adam's beta1"),
        (nan, "adam's beta2"),
        (rule("adam:eps=0"), "adam's eps"),
    ];
    for (optimizer, name) in cases {
        let config = TrainConfig {
            optimizer,
            ..config()
        };
        assert_eq!(field(config).0, name);
    }
}

#[test]
fn an_unknown_model_is_refused_with_the_names_there_are() {
    let message = refused(TrainConfig {
        model: "lenet6".into(),
        ..config()
    })
    .to_string();
    assert!(
        message.contains("lenet6") && message.contains("lenet5"),
        "{message}"
    );
}

#[test]
fn an_unknown_optimizer_is_refused_with_the_names_there_are() {
    let message = "adan".parse::<Optimizer>().unwrap_err();
    assert!(message.starts_with("unknown optimizer 'adan'"), "{message}");
    for rule in Optimizer::all() {
        assert!(message.contains(rule.name()), "{message}");
    }
}

#[test]
fn a_config_file_with_an_unknown_field_is_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, "{\"batch\": 8,\n\"momentun\": 0.9}").unwrap();
    let message = TrainConfig::read(&path).unwrap_err().to_string();
    for part in ["config.json", "momentun", "line 2"] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    let missing = TrainConfig::read(&folder.path().join("none.json")).unwrap_err();
    assert!(missing.to_string().contains("none.json"));
}

#[test]
fn a_config_file_survives_writing_and_reading() {
    let (folder, _) = complete(&experiment(config()));
    assert_eq!(hw_train::read_config(folder.path()).unwrap(), config());
}

fn start(experiment: &Experiment, folder: &Path) -> TrainError {
    experiment
        .start(folder, RunOptions::new(&mut |_| {}))
        .unwrap_err()
}

#[test]
fn a_folder_with_a_run_is_no_place_to_start_another() {
    let (one, other) = (experiment(config()), experiment(other_config()));
    let (folder, _) = complete(&one);
    let before = checkpoints(folder.path());
    for experiment in [&one, &other] {
        match start(experiment, folder.path()) {
            TrainError::Occupied { found, .. } => assert_eq!(found, one.id()),
            wrong => panic!("{wrong}"),
        }
    }
    assert!(checkpoints(folder.path()) == before);
}

fn other_config() -> TrainConfig {
    TrainConfig {
        seed: 2,
        ..config()
    }
}

#[test]
fn a_run_does_not_go_on_under_another_configuration() {
    let (one, other) = (experiment(config()), experiment(other_config()));
    let (folder, _) = complete(&one);
    let folder = folder.path();
    let before = checkpoints(folder);
    let check = || match resume(&other, folder).unwrap_err() {
        TrainError::OtherRun {
            found, expected, ..
        } => assert_eq!((found.as_str(), expected.as_str()), (one.id(), other.id())),
        wrong => panic!("{wrong}"),
    };
    check();
    // The checkpoint says whose it is too.
    std::fs::remove_file(folder.join(RUN)).unwrap();
    check();
    assert!(checkpoints(folder) == before);
}

#[test]
fn a_run_does_not_go_on_with_other_data() {
    let (folder, _) = complete(&experiment(config()));
    let fewer: Vec<u32> = (0..690).collect();
    let changed = std::sync::Arc::new(digits().subset(&fewer));
    let experiment = Experiment::new(config(), changed, None).unwrap();
    let error = resume(&experiment, folder.path()).unwrap_err();
    assert!(matches!(error, TrainError::OtherRun { .. }), "{error}");
}

#[test]
fn a_run_of_another_version_of_the_computation_is_refused_with_both_and_what_to_do() {
    let experiment = experiment(config());
    let (folder, _) = complete(&experiment);
    let folder = folder.path();
    let old = Computation {
        version: 1,
        ..experiment.stamp().computation.clone()
    };
    let refused = || {
        let error = resume(&experiment, folder).unwrap_err();
        assert!(
            matches!(error, TrainError::OtherComputation { .. }),
            "{error}"
        );
        let message = error.to_string();
        let config = folder.join(CONFIG);
        let anew = format!("hw train --config {} --out", config.display());
        for part in ["version 1", "version 2", "hw eval --checkpoint", &anew] {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    };
    let mut file = read_run(folder).unwrap();
    (file.run, file.computation) = ("0123456789abcdef".into(), old.clone());
    std::fs::write(folder.join(RUN), serde_json::to_string(&file).unwrap()).unwrap();
    refused();
    // The checkpoint says what computed it too.
    std::fs::remove_file(folder.join(RUN)).unwrap();
    let path = folder.join(LAST);
    let mut contents = weights::read(&path).unwrap();
    contents.metadata["stamp"]["run"] = "0123456789abcdef".into();
    contents.metadata["stamp"]["computation"] = serde_json::to_value(&old).unwrap();
    weights::write(&path, &contents).unwrap();
    refused();
    // What it learned can be used all the same.
    checkpoint::open(&path, &Device::Cpu).unwrap();
}

#[test]
fn an_empty_folder_holds_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = |error| match error {
        TrainError::NoRun { missing, path } => {
            assert_eq!(path, folder);
            missing
        }
        other => panic!("{other}"),
    };
    let resumed = resume(&experiment(config()), folder).unwrap_err();
    assert_eq!(missing(resumed), CONFIG);
    let read = hw_train::read_config(folder).unwrap_err();
    assert_eq!(missing(read), CONFIG);
    let opened = checkpoint::open(folder, &Device::Cpu).unwrap_err();
    assert_eq!(missing(opened), BEST);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_run_that_is_being_worked_on_is_refused_and_not_harmed() {
    let experiment = experiment(config());
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    let mut observer = |event: &Event| {
        if matches!(event, Event::Step { .. }) {
            match resume(&experiment, folder.path()) {
                Err(TrainError::Busy { path }) => assert_eq!(path, folder.path()),
                other => panic!("{other:?}"),
            }
            refused += 1;
        }
    };
    let options = RunOptions::new(&mut observer);
    experiment.start(folder.path(), options).unwrap();
    assert!(refused > 0);
    let (whole, _) = complete(&experiment);
    assert!(checkpoints(folder.path()) == checkpoints(whole.path()));
    // Whoever comes when the work is done may read it.
    assert!(resume(&experiment, folder.path()).unwrap().finished);
}

#[test]
fn who_was_taken_over_while_asleep_writes_nothing_more() {
    let experiment = experiment(config());
    let folder = tempfile::tempdir().unwrap();
    let mut steps = 0;
    let mut observer = |event: &Event| {
        if matches!(event, Event::Step { .. }) {
            steps += 1;
            // As another machine does it, that has not seen this one's heartbeat for long.
            std::fs::create_dir(folder.path().join(LEASE).join("2")).unwrap();
        }
    };
    let error = experiment.start(folder.path(), RunOptions::new(&mut observer));
    assert!(matches!(error, Err(TrainError::Busy { .. })), "{error:?}");
    assert_eq!(steps, 1);
    assert!(!folder.path().join(LAST).exists());
}

/// What a stopped run says when its safe point was changed so.
fn damaged(change: impl Fn(&mut weights::Contents)) -> String {
    let experiment = experiment(config());
    let folder = tempfile::tempdir().unwrap();
    go_until(&experiment, folder.path(), |event| {
        matches!(event, Event::Step { .. })
    });
    let path = folder.path().join(LAST);
    let mut contents = weights::read(&path).unwrap();
    change(&mut contents);
    weights::write(&path, &contents).unwrap();
    resume(&experiment, folder.path()).unwrap_err().to_string()
}

#[test]
fn a_damaged_safe_point_is_refused_with_its_file_and_what_is_wrong() {
    type Damage = fn(&mut weights::Contents);
    let cases: [(Damage, &str); 5] = [
        (|c| drop(c.metadata.remove("progress")), "no 'progress'"),
        (
            |c| c.metadata["progress"]["step"] = "ten".into(),
            "'progress'",
        ),
        (
            |c| drop(c.tensors.remove("state.moment2.fc1.bias")),
            "'moment2.fc1.bias' is missing",
        ),
        (
            |c| {
                let spare = c.tensors["state.moment1.fc1.bias"].clone();
                c.tensors.insert("state.moment3.fc1.bias".into(), spare);
            },
            "'moment3.fc1.bias' belongs to no parameter",
        ),
        (|c| drop(c.tensors.remove("fc1.weight")), "fc1.weight"),
    ];
    for (change, problem) in cases {
        let message = damaged(change);
        assert!(message.contains(LAST), "{message}");
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_truncated_safe_point_is_refused_with_its_file() {
    let experiment = experiment(config());
    let (folder, _) = complete(&experiment);
    let path = folder.path().join(LAST);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = resume(&experiment, folder.path()).unwrap_err().to_string();
    assert!(message.contains(LAST), "{message}");
}

#[test]
fn weights_that_no_run_wrote_are_no_checkpoint() {
    let (folder, _) = complete(&experiment(config()));
    let trained = checkpoint::open(folder.path(), &Device::Cpu).unwrap();
    let path = folder.path().join("bare.safetensors");
    trained.network.save(&path).unwrap();
    let error = checkpoint::open(&path, &Device::Cpu).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("bare.safetensors") && message.contains("'stamp'"),
        "{message}"
    );
}
