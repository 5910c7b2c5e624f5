//! Every look at a test set is counted, and none of it ever stands in the way of a result.

use crate::support::*;
use hw_eval::looks::{Look, REGISTER};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// Trains a small network on the small data in `runs/NAME`.
fn train(runs: &Path, name: &str, options: &str) -> PathBuf {
    let run = runs.join(name);
    let line = format!(
        "train --model ann --limit 100 --epochs 1 --dataset mnist {options} --data-dir {{}} --out {{}}"
    );
    succeeded(&crate::support::run(&line, &[small_data(), &run]));
    run
}

fn eval(checkpoint: &Path, options: &str, paths: &[&Path]) -> Output {
    let line = format!("eval --checkpoint {{}} --dataset mnist --data-dir {{}} {options}");
    run(&line, &[&[checkpoint, small_data()], paths].concat())
}

/// Looks, runs and recipes as an answer has them.
fn counts(answer: &Value) -> [u64; 3] {
    let looks = &answer["test_looks"];
    ["looks", "runs", "recipes"].map(|count| looks[count].as_u64().unwrap())
}

fn register(path: &Path) -> Vec<Look> {
    let text = std::fs::read_to_string(path).unwrap();
    let look = |line| serde_json::from_str(line).unwrap();
    text.lines().map(look).collect()
}

/// Two seeds of one recipe and another recipe, trained in that order.
fn three_runs() -> (TempDir, [PathBuf; 3]) {
    let runs = folder();
    let all = [("a", "--seed 1"), ("b", "--seed 2"), ("c", "--lr 0.01")]
        .map(|(name, options)| train(runs.path(), name, options));
    (runs, all)
}

#[test]
fn scores_are_counted_by_recipe_beside_the_runs_and_listed() {
    let (runs, [first, second, other]) = three_runs();
    let expected = [
        (&first, [1, 1, 1]),
        (&first, [1, 1, 1]), // the same again is the same look
        (&second, [2, 2, 1]),
        (&other, [1, 1, 2]),
        (&first, [2, 2, 2]),
    ];
    for (run, counted) in expected {
        let answer = json(&eval(run, "--json", &[]));
        assert_eq!(counts(&answer), counted, "{}", run.display());
        let looks = &answer["test_looks"];
        assert_eq!(
            (&looks["kept"], &looks["purpose"]),
            (&true.into(), &"test".into())
        );
    }
    // A file in a run's folder is of that run.
    let text = succeeded(&eval(&first.join("last.safetensors"), "", &[]));
    let path = runs.path().join(REGISTER);
    let said = format!(
        "test looks: 2 of this recipe on this test set (2 recipes in all), register {}\n",
        path.display()
    );
    assert!(text.contains(&said), "{text}");

    let looks = register(&path);
    assert_eq!(looks.len(), 3);
    let config = hw_train::read_config(&second).unwrap();
    assert_eq!(looks[1].recipe, hw_train::recipe_id(&config));
    assert_eq!((looks[1].images, &looks[1].recipe), (100, &looks[0].recipe));
    assert!(looks[1].test.starts_with("mnist, ") && looks[1].program.starts_with("hw "));

    let listing = json(&run("looks {} --json", &[runs.path()]));
    let sets = listing["test_sets"].as_array().unwrap();
    assert_eq!(
        (sets.len(), &sets[0]["recipes"], &sets[0]["looks"]),
        (1, &2.into(), &3.into())
    );
    let lines = sets[0]["lines"].as_array().unwrap();
    let best = looks[0].accuracy.max(looks[1].accuracy);
    let own = lines
        .iter()
        .find(|line| line["recipe"] == looks[0].recipe.as_str())
        .unwrap();
    assert_eq!(
        (&own["runs"], &own["looks"], &own["best"]),
        (&2.into(), &2.into(), &best.into())
    );
    let text = succeeded(&run("looks {} {}", &[&path, runs.path()]));
    for needle in [
        "2 recipes, 3 looks",
        "learning_rate=0.01",
        "owes to",
        "ann on mnist",
    ] {
        assert!(text.contains(needle), "{needle} is not in {text}");
    }
    assert_eq!(text.matches("\nregister ").count(), 1, "{text}");
}

#[test]
fn a_matrix_counts_each_cell_and_merged_classes_are_another_test() {
    let (runs, [first, second, _]) = three_runs();
    let before = json(&eval(&first, "--json", &[]));
    let line = "cross --checkpoint {} {} --dataset mnist glyphs --data-dir {}";
    let paths = [first.as_path(), &second, small_data()];
    let answer = json(&run(&format!("{line} --json"), &paths));
    let cells: Vec<_> = answer["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| {
            (
                counts(cell),
                cell["test_looks"]["purpose"].as_str().unwrap(),
            )
        })
        .collect();
    let merged = "variant merged-classes";
    // The first cell is what the evaluation saw.
    let expected = [
        ([1, 1, 1], "test"),
        ([2, 2, 1], "test"),
        ([1, 1, 1], merged),
        ([2, 2, 1], merged),
    ];
    assert_eq!(cells, expected);
    assert_eq!(counts(&before), [1, 1, 1]);
    let looks = register(&runs.path().join(REGISTER));
    assert_eq!(looks.len(), 4);
    assert_eq!(
        looks[2].images,
        answer["cells"][2]["all"]["samples"].as_u64().unwrap()
    );
    let text = succeeded(&run(line, &paths));
    assert_eq!(
        text.matches(" on mnist: test looks: 2 of this recipe")
            .count(),
        2,
        "{text}"
    );
    assert_eq!(register(&runs.path().join(REGISTER)).len(), 4);
}

#[test]
fn scores_on_the_images_trained_on_are_no_look() {
    let runs = folder();
    let run_folder = runs.path().join("run");
    let data = folder();
    let mnist = data.path().join("mnist");
    std::fs::create_dir(&mnist).unwrap();
    for part in ["images-idx3", "labels-idx1"] {
        let from = small_data().join(format!("mnist/train-{part}-ubyte.gz"));
        for split in ["train", "t10k"] {
            std::fs::copy(&from, mnist.join(format!("{split}-{part}-ubyte.gz"))).unwrap();
        }
    }
    let train = "train --model ann --limit 100 --epochs 1 --dataset mnist --data-dir {} --out {}";
    succeeded(&run(train, &[data.path(), &run_folder]));
    let eval = "eval --checkpoint {} --dataset mnist --data-dir {}";
    let text = succeeded(&run(eval, &[&run_folder, data.path()]));
    assert!(text.contains("test looks: none"), "{text}");
    let cross = "cross --checkpoint {} --dataset mnist --data-dir {} --json";
    let answer = json(&run(cross, &[&run_folder, data.path()]));
    assert_eq!(answer["cells"][0]["test_looks"], Value::Null);
    assert!(!runs.path().join(REGISTER).exists());
}

#[test]
fn a_probe_is_one_look_at_the_end_of_training() {
    let runs = folder();
    let config = runs.path().join("config.json");
    let settings = serde_json::json!({
        "model": "ann", "dataset": "mnist", "limit": 100, "epochs": 3, "probe": 40
    });
    std::fs::write(&config, settings.to_string()).unwrap();
    let run_folder = runs.path().join("run");
    let line = "train --config {} --data-dir {} --out {} --json";
    let answer = json(&run(line, &[&config, small_data(), &run_folder]));
    assert_eq!(counts(&answer), [1, 1, 1]);
    let text = succeeded(&run(
        "train --resume {} --data-dir {}",
        &[&run_folder, small_data()],
    ));
    assert!(text.contains("test looks: 1 of this recipe"), "{text}");
    let looks = register(&runs.path().join(REGISTER));
    assert_eq!((looks.len(), looks[0].images), (1, 40));
    assert_eq!(looks[0].purpose.to_string(), "probe");
    assert_eq!(
        answer["history"][2]["test_probe"]["accuracy"],
        looks[0].accuracy
    );
    // The evaluation afterwards is a second look at the same images.
    let answer = json(&eval(&run_folder, "--json", &[]));
    assert_eq!(counts(&answer), [2, 1, 1]);

    let without = train(runs.path(), "without", "");
    let line = "train --resume {} --data-dir {} --json";
    let again = json(&run(line, &[&without, small_data()]));
    assert_eq!(again.get("test_looks"), None);
}

#[test]
fn a_look_is_kept_where_one_says_and_beside_a_lone_checkpoint() {
    let runs = folder();
    let run_folder = train(runs.path(), "run", "");
    let asked = runs.path().join("kept").join(REGISTER);
    let answer = json(&eval(&run_folder, "--json --register {}", &[&asked]));
    assert_eq!(
        answer["test_looks"]["register"],
        asked.display().to_string()
    );
    assert_eq!(register(&asked).len(), 1);
    assert!(!runs.path().join(REGISTER).exists());

    let models = folder();
    let lone = models.path().join("digits.safetensors");
    std::fs::copy(run_folder.join("best.safetensors"), &lone).unwrap();
    succeeded(&eval(&lone, "", &[]));
    assert_eq!(register(&models.path().join(REGISTER)), {
        let mut looks = register(&asked);
        looks[0].time = register(&models.path().join(REGISTER))[0].time.clone();
        looks
    });
    assert_eq!(
        json(&run("looks {} --json", &[runs.path()]))["registers"][0],
        answer["test_looks"]["register"]
    );
}

#[test]
fn a_register_that_cannot_be_kept_is_told_in_one_line_and_fails_no_evaluation() {
    let runs = folder();
    let run_folder = train(runs.path(), "run", "");
    // No file can lie in a file: as in a folder that must not be written, the register is not there.
    let path = run_folder.join("config.json").join("looks.jsonl");
    let output = eval(&run_folder, "--register {}", &[&path]);
    let text = succeeded(&output);
    let said =
        "test looks: 1 of this recipe on this test set (1 recipe in all), not kept in register";
    assert!(text.contains(said), "{text}");
    let warnings: Vec<String> = stderr(&output).lines().map(String::from).collect();
    let warnings: Vec<&String> = warnings
        .iter()
        .filter(|l| l.contains("could not be kept"))
        .collect();
    assert_eq!(warnings.len(), 1);
    let path = path.display().to_string();
    assert!(
        warnings[0].contains(&path) && warnings[0].contains("--register"),
        "{warnings:?}"
    );

    // A damaged one is left as it is, and what it says is not known.
    let path = runs.path().join(REGISTER);
    std::fs::write(&path, "no look\n").unwrap();
    let output = eval(&run_folder, "--json", &[]);
    let answer = json(&output);
    assert_eq!(
        (
            &answer["test_looks"]["kept"],
            answer["test_looks"].get("looks")
        ),
        (&false.into(), None)
    );
    assert!(
        stderr(&output).contains("line 1 is no look"),
        "{}",
        stderr(&output)
    );
    assert!(succeeded(&eval(&run_folder, "", &[])).contains("test looks: unknown, not kept"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "no look\n");
    failed(
        &run("looks {}", &[&path]),
        &["test-looks.jsonl: line 1", "remove"],
    );
}

#[test]
fn a_list_of_nothing_is_refused_with_what_to_name() {
    let empty = folder();
    failed(
        &run("looks {}", &[empty.path()]),
        &["test-looks.jsonl", "hw eval"],
    );
    failed(
        &run("looks {}", &[&empty.path().join("no-such")]),
        &["no-such"],
    );
}
