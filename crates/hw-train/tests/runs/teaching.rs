//! Runs that learn from another network's answers.

use crate::support::{checkpoints, complete, config, digits, experiment};
use hw_core::CancelToken;
use hw_data::{Augment, Preprocess, Step};
use hw_models::weights;
use hw_train::checkpoint::{BEST, LAST};
use hw_train::experiment::CONFIG;
use hw_train::teacher::TEACHER;
use hw_train::{Event, Experiment, Result, RunOptions, Teacher, TrainConfig, TrainError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A finished run and the configuration of one that learns from it.
fn taught(change: impl FnOnce(&mut TrainConfig)) -> (TempDir, TrainConfig) {
    let (folder, _) = complete(&experiment(config()));
    let mut config = TrainConfig {
        model: "ann".into(),
        epochs: 1,
        teacher: Some(Teacher::at(&[folder.path().into()]).unwrap()),
        ..config()
    };
    change(&mut config);
    (folder, config)
}

fn train(experiment: &Experiment, folder: &Path, teacher: Option<&Path>) -> Result<bool> {
    train_until(experiment, folder, teacher, u64::MAX)
}

/// Whether it finished; it is asked to stop at step `last`.
fn train_until(
    experiment: &Experiment,
    folder: &Path,
    teacher: Option<&Path>,
    last: u64,
) -> Result<bool> {
    let cancel = CancelToken::new();
    let mut observer = |event: &Event| {
        if matches!(event, Event::Step { step, .. } if *step == last) {
            cancel.cancel();
        }
    };
    let options = RunOptions {
        teachers: teacher.map(Path::to_path_buf).into_iter().collect(),
        cancel: cancel.clone(),
        ..RunOptions::new(&mut observer)
    };
    Ok(experiment.complete(folder, options)?.finished)
}

#[test]
fn a_taught_run_resumes_without_its_teachers_folder_to_the_same_bytes() {
    let (teacher, config) = taught(|_| {});
    let experiment = experiment(config);
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    assert!(train(&experiment, whole.path(), Some(&teacher.path().join(BEST))).unwrap());
    assert!(!train_until(&experiment, parts.path(), Some(teacher.path()), 20).unwrap());
    drop(teacher);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let resumed = pool
        .unwrap()
        .install(|| train(&experiment, parts.path(), None));
    assert!(resumed.unwrap());
    assert!(checkpoints(parts.path()) == checkpoints(whole.path()));
}

#[test]
fn answers_that_are_remembered_are_those_that_would_be_given() {
    let (teacher, config) = taught(|config| {
        config.epochs = 4;
        config.augment = Some(Augment::standard());
        config.augment_cycle = Some(2);
    });
    let per_epoch = experiment(config.clone()).steps() / 4;
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let experiment = experiment(config);
    assert!(train(&experiment, folders[0].path(), Some(teacher.path())).unwrap());
    // A run that goes on in its third epoch remembers nothing and asks again.
    for (folder, stop) in folders[1..]
        .iter()
        .zip([20, 2 * per_epoch, 2 * per_epoch + 10])
    {
        let stop = stop.next_multiple_of(20);
        assert!(!train_until(&experiment, folder.path(), Some(teacher.path()), stop).unwrap());
        assert!(train(&experiment, folder.path(), None).unwrap());
        assert!(checkpoints(folder.path()) == checkpoints(folders[0].path()));
    }
}

#[test]
fn with_all_weight_on_the_teacher_labels_do_not_matter() {
    let trained = |weight, shift: u16| {
        let (teacher, config) = taught(|config| {
            config.val_fraction = 0.0;
            config.stratified = false;
            config.limit = None;
            config.teacher.as_mut().unwrap().weight = weight;
        });
        let mut data = digits().as_ref().clone();
        let labels = data.labels.iter().map(|label| (label + shift) % 10);
        data.labels = labels.collect();
        let experiment = Experiment::new(config, Arc::new(data), None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        train(&experiment, folder.path(), Some(teacher.path())).unwrap();
        weights::read(&folder.path().join(LAST)).unwrap().tensors
    };
    assert!(trained(1.0, 0) == trained(1.0, 3));
    assert!(trained(0.5, 0) != trained(0.5, 3));
}

#[test]
fn a_teacher_changes_the_run_and_what_it_learns() {
    let (teacher, config) = taught(|_| {});
    let alone = experiment(TrainConfig {
        teacher: None,
        ..config.clone()
    });
    let taught = experiment(config);
    assert_ne!(alone.id(), taught.id());
    let folder = tempfile::tempdir().unwrap();
    train(&taught, folder.path(), Some(teacher.path())).unwrap();
    assert!(checkpoints(folder.path())[0] != checkpoints(complete(&alone).0.path())[0]);
}

#[test]
fn several_teachers_answer_with_their_mean() {
    let (first, config) = taught(|_| {});
    let (second, _) = complete(&experiment(TrainConfig {
        seed: 2,
        ..crate::support::config()
    }));
    let paths = |folders: &[&TempDir]| -> Vec<PathBuf> {
        folders.iter().map(|folder| folder.path().into()).collect()
    };
    let trained = |teachers: Vec<PathBuf>| {
        let teacher = Some(Teacher::at(&teachers).unwrap());
        let experiment = experiment(TrainConfig {
            teacher,
            ..config.clone()
        });
        let folder = tempfile::tempdir().unwrap();
        let mut observer = |_: &Event| {};
        let options = RunOptions {
            teachers,
            ..RunOptions::new(&mut observer)
        };
        assert!(
            experiment
                .complete(folder.path(), options)
                .unwrap()
                .finished
        );
        // It is complete without its teachers' folders.
        let weights = weights::read(&folder.path().join(LAST)).unwrap().tensors;
        std::fs::remove_file(folder.path().join(LAST)).unwrap();
        std::fs::remove_file(folder.path().join(BEST)).unwrap();
        assert!(train(&experiment, folder.path(), None).unwrap());
        assert!(weights::read(&folder.path().join(LAST)).unwrap().tensors == weights);
        weights
    };
    let both = trained(paths(&[&first, &second]));
    assert!(both == trained(paths(&[&second, &first])));
    assert!(both != trained(paths(&[&first])));
    assert!(both != trained(paths(&[&second])));
    assert!(trained(paths(&[&first])) == trained(paths(&[&first, &first])));
}

#[test]
fn teachers_that_cannot_teach_are_refused_by_name() {
    let refusal = |experiment: &Experiment, teacher: Option<&Path>| {
        let folder = tempfile::tempdir().unwrap();
        let result = train(experiment, folder.path(), teacher);
        // The folder is still free for a run that can be.
        for file in [TEACHER, CONFIG] {
            assert!(!folder.path().join(file).exists(), "{file}");
        }
        match result {
            Err(TrainError::Config {
                field, expected, ..
            }) => {
                assert_eq!(field, "the teacher");
                expected
            }
            other => panic!("{other:?}"),
        }
    };
    let (teacher, config) = taught(|_| {});
    let path = teacher.path();
    let missing = refusal(&experiment(config.clone()), None);
    assert!(missing.contains(TEACHER), "{missing}");

    let mut other = config.clone();
    other.teacher.as_mut().unwrap().runs = vec!["0123456789abcdef".into()];
    let wrong = refusal(&experiment(other), Some(path));
    assert!(wrong.contains("which is"), "{wrong}");

    let pixels = TrainConfig {
        preprocess: Preprocess {
            steps: vec![Step::GaussianNoise { std: 0.1 }],
            ..Preprocess::default()
        },
        ..config.clone()
    };
    let wrong = refusal(&experiment(pixels), Some(path));
    assert!(wrong.contains("preprocessing"), "{wrong}");

    let mut letters = digits().as_ref().clone();
    letters.classes = "abcdefghij".chars().map(String::from).collect();
    let letters = Experiment::new(config, Arc::new(letters), None).unwrap();
    let wrong = refusal(&letters, Some(path));
    assert!(wrong.contains("classes"), "{wrong}");
}

#[test]
fn a_teacher_left_behind_by_a_start_that_was_killed_is_replaced() {
    let (teacher, config) = taught(|_| {});
    let (other, _) = complete(&experiment(TrainConfig {
        seed: 2,
        ..crate::support::config()
    }));
    let experiment = experiment(config);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(other.path().join(BEST), folder.path().join(TEACHER)).unwrap();
    assert!(train(&experiment, folder.path(), Some(teacher.path())).unwrap());
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    let kept = bytes(&folder.path().join(TEACHER));
    assert!(kept == bytes(&teacher.path().join(BEST)));
}

#[test]
fn a_teachers_numbers_must_make_sense() {
    let (_folder, config) = taught(|_| {});
    let with = |weight, temperature| {
        let mut config = config.clone();
        let teacher = config.teacher.as_mut().unwrap();
        (teacher.weight, teacher.temperature) = (weight, temperature);
        Experiment::new(config, digits(), None).map(|_| ())
    };
    assert!(with(0.0, 1.0).is_ok() && with(1.0, 20.0).is_ok());
    for (weight, temperature) in [
        (-0.1, 1.0),
        (1.1, 1.0),
        (f32::NAN, 1.0),
        (0.5, 0.0),
        (0.5, -1.0),
        (0.5, f32::INFINITY),
    ] {
        let refused = with(weight, temperature).unwrap_err();
        assert!(refused.to_string().contains("the teacher's"), "{refused}");
    }
}
