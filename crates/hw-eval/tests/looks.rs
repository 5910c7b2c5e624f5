//! The register of test looks: nothing lost, nothing counted twice, nothing damaged in silence.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::EvalError;
use hw_eval::looks::{Count, Look, Purpose, Recorded, Register, by_test_set, now};
use proptest::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn look(recipe: &str, run: &str, accuracy: f64) -> Look {
    Look {
        recipe: recipe.into(),
        run: run.into(),
        test_sha256: "a".repeat(64),
        test: "mnist, original".into(),
        images: 10_000,
        purpose: Purpose::Test,
        accuracy,
        time: "2026-01-02T03:04:05Z".into(),
        program: "hw 0.1.0".into(),
        label: None,
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/test-looks.jsonl");
    (folder, path)
}

fn append(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::File::options();
    let mut file = options.create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn line(look: &Look) -> Vec<u8> {
    (serde_json::to_string(look).unwrap() + "\n").into_bytes()
}

#[test]
fn seeds_are_runs_of_one_recipe_and_results_are_looks() {
    let (_folder, path) = place();
    let register = Register::open(&path).unwrap();
    assert!(!path.exists(), "reading made a file");
    let of_noise = |run: &str| Look {
        purpose: Purpose::Variant("noise".into()),
        ..look("cnn", run, 0.5)
    };
    let elsewhere = Look {
        test_sha256: "b".repeat(64),
        ..look("cnn", "seed-1", 0.9)
    };
    let fewer = Look {
        images: 500,
        ..look("cnn", "seed-1", 0.9)
    };
    let later = Look {
        time: now(),
        program: "hw 9".into(),
        label: Some("a name".into()),
        ..look("cnn", "seed-1", 0.9)
    };
    for (look, expected) in [
        (look("cnn", "seed-1", 0.9), Recorded::New),
        (look("cnn", "seed-1", 0.9), Recorded::Repeated),
        (later, Recorded::Repeated),
        (look("cnn", "seed-1", 0.91), Recorded::New),
        (look("cnn", "seed-2", 0.9), Recorded::New),
        (of_noise("seed-1"), Recorded::New),
        (fewer, Recorded::New),
        (elsewhere, Recorded::New),
        (look("ann", "seed-1", 0.9), Recorded::New),
        (look("svm", "seed-1", 0.9), Recorded::New),
    ] {
        assert_eq!(register.record(&look).unwrap(), expected, "{look:?}");
    }
    let count = |recipe: &str, test: &str| register.looks(recipe, &test.repeat(64)).unwrap();
    let counted = |looks, runs, recipes| Count {
        looks,
        runs,
        recipes,
    };
    assert_eq!(count("cnn", "a"), counted(5, 2, 3));
    assert_eq!(count("ann", "a"), counted(1, 1, 3));
    assert_eq!(count("cnn", "b"), counted(1, 1, 1));
    assert_eq!(count("never", "a"), counted(0, 0, 3));
    assert_eq!(count("cnn", "c"), Count::default());
}

#[test]
fn a_probe_is_one_look_a_run_whatever_it_ended_with() {
    let (_folder, path) = place();
    let register = Register::open(&path).unwrap();
    for (run, accuracy) in [("1", 0.5), ("1", 0.8), ("2", 0.8)] {
        let probe = Look {
            purpose: Purpose::Probe,
            ..look("cnn", run, accuracy)
        };
        assert_eq!(register.record(&probe).unwrap(), Recorded::New);
    }
    let count = register.looks("cnn", &"a".repeat(64)).unwrap();
    assert_eq!((count.looks, count.runs), (2, 2));
}

#[test]
fn files_that_were_joined_count_nothing_twice() {
    let (_folder, path) = place();
    let looks = [look("a", "1", 0.5), look("b", "2", 0.25)];
    for look in looks.iter().chain(&looks) {
        append(&path, &line(look));
    }
    let register = Register::open(&path).unwrap();
    let count = register.looks("a", &"a".repeat(64)).unwrap();
    assert_eq!((count.looks, count.recipes), (1, 2));
    assert_eq!(by_test_set(&register.all().unwrap())[0].looks, 2);
}

#[test]
fn the_table_has_sets_by_name_and_recipes_by_their_first_look() {
    let at = |time: &str, look: Look| Look {
        time: format!("2026-01-0{time}T00:00:00Z"),
        label: Some(format!("on day {time}")),
        ..look
    };
    let other = Look {
        test: "kmnist".into(),
        test_sha256: "f".repeat(64),
        ..look("z", "1", 1.0)
    };
    let probe = Look {
        purpose: Purpose::Probe,
        ..look("b", "1", 0.125)
    };
    let looks = [
        at("5", look("a", "1", 0.5)),
        at("9", look("b", "1", 0.25)),
        at("3", look("b", "2", 0.75)),
        at("4", probe),
        other,
    ];
    let sets = by_test_set(&looks);
    let names: Vec<&str> = sets.iter().map(|set| set.test.as_str()).collect();
    assert_eq!(names, ["kmnist", "mnist, original"]);
    let mnist = &sets[1];
    assert_eq!((mnist.looks, mnist.recipes), (4, 2));
    let lines: Vec<_> = mnist
        .lines
        .iter()
        .map(|line| (line.recipe.as_str(), line.purpose.to_string(), line.looks))
        .collect();
    let expected = [("b", "test", 2), ("b", "probe", 1), ("a", "test", 1)];
    assert_eq!(lines, expected.map(|(r, p, n)| (r, p.to_string(), n)));
    let best = &mnist.lines[0];
    assert_eq!((best.worst, best.best, best.runs), (0.25, 0.75, 2));
    let times = (best.first.as_str(), best.last.as_str());
    assert_eq!(times, ("2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"));
    assert_eq!(best.label.as_deref(), Some("on day 9"));
}

#[test]
fn a_line_comes_back_as_it_was_written() {
    let (_folder, path) = place();
    let look = Look {
        test: "folder:\"new\nline\", ひらがな".into(),
        purpose: Purpose::Variant("merged classes".into()),
        label: Some("bn-cnn lr=0.1".into()),
        ..look("a", "1", 1.0 / 3.0)
    };
    let register = Register::open(&path).unwrap();
    register.record(&look).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with('\n') && text.contains(r#""purpose":"variant merged classes""#));
    assert_eq!(Register::open(&path).unwrap().all().unwrap(), [look]);
}

#[test]
fn a_last_line_without_its_end_is_kept_if_it_is_whole() {
    let (_folder, path) = place();
    let (first, second) = (look("a", "1", 0.5), look("b", "2", 0.5));
    append(&path, line(&first).trim_ascii_end());
    let register = Register::open(&path).unwrap();
    assert_eq!(register.all().unwrap(), std::slice::from_ref(&first));
    assert_eq!(register.record(&first).unwrap(), Recorded::Repeated);
    assert_eq!(register.record(&second).unwrap(), Recorded::New);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        [line(&first), line(&second)].concat()
    );
}

#[test]
fn a_file_that_was_replaced_is_read_anew() {
    let (_folder, path) = place();
    let register = Register::open(&path).unwrap();
    register.record(&look("a", "1", 0.5)).unwrap();
    register.record(&look("b", "2", 0.5)).unwrap();
    std::fs::write(&path, line(&look("c", "3", 0.5))).unwrap();
    assert_eq!(register.all().unwrap(), [look("c", "3", 0.5)]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(register.all().unwrap(), []);
    assert_eq!(
        register.record(&look("a", "1", 0.5)).unwrap(),
        Recorded::New
    );
}

#[test]
fn a_damaged_line_is_refused_by_its_number_and_nothing_is_written() {
    let good = line(&look("a", "1", 0.5));
    let other = |change: fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(look("a", "1", 0.5)).unwrap();
        change(&mut value);
        value.to_string()
    };
    for (bad, problem) in [
        ("{\"recipe\":\"a\"".to_string(), "EOF"),
        ("no JSON".into(), "at column"),
        (other(|v| drop(v["run"].take())), "null"),
        (other(|v| v["accuracy"] = 1.5.into()), "accuracy"),
        (other(|v| v["images"] = 0.into()), "images"),
        (
            other(|v| v["test_sha256"] = "A".repeat(64).into()),
            "hexadecimal",
        ),
        (other(|v| v["time"] = "yesterday".into()), "UTC"),
        (other(|v| v["purpose"] = "variant ".into()), "variant NAME"),
        (other(|v| v["recipe"] = " ".into()), "recipe"),
    ] {
        let (_folder, path) = place();
        append(
            &path,
            &[&good[..], b"\n", bad.as_bytes(), b"\n", &good].concat(),
        );
        let before = std::fs::read(&path).unwrap();
        let error = Register::open(&path).unwrap_err();
        assert!(
            matches!(error, EvalError::DamagedRegister { line: 3, .. }),
            "{error}"
        );
        let message = error.to_string();
        for needle in ["test-looks.jsonl: line 3", problem, "remove it"] {
            assert!(message.contains(needle), "'{needle}' is not in: {message}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_register_damaged_while_it_is_open_takes_no_more_until_it_is_corrected() {
    let (_folder, path) = place();
    let register = Register::open(&path).unwrap();
    register.record(&look("a", "1", 0.5)).unwrap();
    let good = std::fs::read(&path).unwrap();
    append(&path, b"damage\n");
    for _ in 0..2 {
        let error = register.record(&look("b", "2", 0.5)).unwrap_err();
        assert!(
            matches!(error, EvalError::DamagedRegister { line: 2, .. }),
            "{error}"
        );
    }
    std::fs::write(&path, good).unwrap();
    assert_eq!(
        register.record(&look("b", "2", 0.5)).unwrap(),
        Recorded::New
    );
    assert_eq!(register.all().unwrap().len(), 2);
}

#[test]
fn a_look_that_makes_no_sense_is_refused_before_anything_is_written() {
    let (_folder, path) = place();
    let register = Register::open(&path).unwrap();
    let purpose = Purpose::Variant("  ".into());
    for wrong in [
        look("", "1", 0.5),
        look("a", "1", f64::NAN),
        look("a", "1", -0.1),
        Look {
            purpose,
            ..look("a", "1", 0.5)
        },
    ] {
        let error = register.record(&wrong).unwrap_err();
        assert!(matches!(error, EvalError::Look { .. }), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let register = Register::open(file.join("test-looks.jsonl")).unwrap();
    assert_eq!(register.all().unwrap(), []);
    let error = register.record(&look("a", "1", 0.5)).unwrap_err();
    assert!(
        matches!(error, EvalError::File(_)) && error.to_string().contains("file"),
        "{error}"
    );
    let error = Register::open(folder.path()).unwrap_err();
    assert!(matches!(error, EvalError::File(_)), "{error}");
}

/// What the writers of [`two_processes_at_once_lose_nothing`] are told by the environment.
const WRITER: &str = "HW_TEST_LOOKS_WRITER";
const PLACE: &str = "HW_TEST_LOOKS_PLACE";
const EACH: usize = 1000;

#[test]
fn two_processes_at_once_lose_nothing() {
    if let (Ok(name), Some(path)) = (std::env::var(WRITER), std::env::var_os(PLACE)) {
        return write_many(&name, Path::new(&path));
    }
    let (_folder, path) = place();
    let mut writers = ["one", "two"].map(|name| {
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", "two_processes_at_once_lose_nothing"]);
        writer.env(WRITER, name).env(PLACE, &path);
        writer.stdout(std::process::Stdio::null()).spawn().unwrap()
    });
    // A reader sees whole looks only, while they write.
    let register = Register::open(&path).unwrap();
    let mut seen = 0;
    while writers.iter_mut().any(|w| w.try_wait().unwrap().is_none()) {
        let now = register.all().unwrap().len();
        assert!(now >= seen, "{now} looks after {seen}");
        seen = now;
    }
    assert!(writers.iter_mut().all(|w| w.wait().unwrap().success()));
    let looks = Register::open(&path).unwrap().all().unwrap();
    for name in ["one", "two"] {
        let own: Vec<&Look> = looks.iter().filter(|look| look.recipe == name).collect();
        let runs: Vec<&str> = own.iter().map(|look| look.run.as_str()).collect();
        let expected: Vec<String> = (0..EACH).map(|run| run.to_string()).collect();
        assert_eq!(runs, expected, "{name}");
    }
    // What both had to say stands there once.
    assert_eq!(looks.len(), 2 * EACH + EACH / 10);
}

fn write_many(name: &str, path: &Path) {
    let register = Register::open(path).unwrap();
    for run in 0..EACH {
        register.record(&look(name, &run.to_string(), 0.5)).unwrap();
        if run % 10 == 0 {
            register
                .record(&look("both", &run.to_string(), 0.5))
                .unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Record {
        hand: usize,
        run: u8,
        recipe: u8,
    },
    /// A crash that left so much of a line, in thousandths.
    Tear(usize),
    Read {
        hand: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..3, 0u8..6, 0u8..3)
            .prop_map(|(hand, run, recipe)| Step::Record { hand, run, recipe }),
        1 => (1usize..1000).prop_map(Step::Tear),
        1 => (0usize..3).prop_map(|hand| Step::Read { hand }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_of_writers_readers_and_crashes_keeps_each_look_once(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (_folder, path) = place();
        let hands = [(); 3].map(|()| Register::open(&path).unwrap());
        let mut model: Vec<Look> = Vec::new();
        for step in steps {
            match step {
                Step::Record { hand, run, recipe } => {
                    let look = look(&recipe.to_string(), &run.to_string(), 0.5);
                    let known = model.contains(&look);
                    let expected = if known { Recorded::Repeated } else { Recorded::New };
                    prop_assert_eq!(hands[hand].record(&look).unwrap(), expected);
                    if !known {
                        model.push(look);
                    }
                }
                Step::Tear(share) => {
                    let whole = line(&look("torn", "torn", 0.5));
                    append(&path, &whole[..(whole.len() - 2) * share / 1000]);
                }
                Step::Read { hand } => prop_assert_eq!(&hands[hand].all().unwrap(), &model),
            }
        }
        for register in hands.iter().chain([&Register::open(&path).unwrap()]) {
            prop_assert_eq!(&register.all().unwrap(), &model);
            let count = register.looks("1", &"a".repeat(64)).unwrap();
            let own = model.iter().filter(|look| look.recipe == "1").count();
            prop_assert_eq!((count.looks, count.runs), (own, own));
        }
    }

    #[test]
    fn any_changed_byte_is_a_look_or_a_refusal_that_names_its_line(
        at in 0usize..1000,
        byte: u8,
    ) {
        let (_folder, path) = place();
        let mut bytes = line(&look("a", "1", 0.5)).repeat(3);
        let place = at * bytes.len() / 1000;
        let number = 1 + bytes[..place].iter().filter(|&&b| b == b'\n').count();
        bytes[place] = byte;
        append(&path, &bytes);
        match Register::open(&path) {
            Ok(register) => prop_assert!(register.all().unwrap().len() >= 2),
            Err(EvalError::DamagedRegister { line, .. }) => prop_assert_eq!(line, number),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
