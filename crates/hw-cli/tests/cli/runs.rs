//! Folders of runs, listed, shown and compared; nothing is trained and no test set is looked at.

use crate::support::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Two recipes of two seeds, one run of a third, and one test accuracy of each of the first four.
fn runs() -> &'static Path {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    RUNS.get_or_init(|| {
        let home = folder();
        for (name, options) in [
            ("adam/1", "--seed 1"),
            ("adam/2", "--seed 2"),
            ("sgd/1", "--seed 1 --optimizer sgd"),
            ("sgd/2", "--seed 2 --optimizer sgd"),
            ("alone", "--seed 1 --batch 50"),
        ] {
            let out = home.path().join(name);
            let line = format!(
                "train --model ann --limit 100 --epochs 2 --batch 20 --dataset mnist {options} --data-dir {{}} \
                 --out {{}}"
            );
            let line = match name {
                "alone" => line.replace("--batch 20 ", ""),
                _ => line,
            };
            succeeded(&run(&line, &[small_data(), &out]));
            if name != "alone" {
                let line = "eval --checkpoint {} --dataset mnist --data-dir {}";
                succeeded(&run(line, &[&out, small_data()]));
            }
        }
        home
    })
    .path()
}

fn page(name: &str) -> (TempDir, PathBuf) {
    let home = folder();
    let path = home.path().join(name);
    (home, path)
}

#[test]
fn a_tree_of_runs_is_a_table_and_what_is_damaged_is_a_note() {
    let home = folder();
    let broken = home.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    for file in ["config.json", "run.json"] {
        std::fs::write(broken.join(file), "{").unwrap();
    }
    let output = run("runs list {} {} --sort accuracy", &[runs(), home.path()]);
    let text = succeeded(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 5 + 1, "{text}");
    assert!(lines[0].starts_with("run") && lines[0].contains("computed as"));
    assert!(
        lines[1..6]
            .iter()
            .all(|line| line.contains("2/2") && line.contains("finished"))
    );
    assert!(stderr(&output).contains("broken"), "{}", stderr(&output));
    let (_home, html) = page("runs.html");
    let answer = json(&run(
        "runs list {} --sort accuracy --html {} --json",
        &[runs(), &html],
    ));
    let accuracies: Vec<f64> = answer["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["history"][run["best_epoch"].as_u64().unwrap() as usize - 1]["validation"]["accuracy"].as_f64().unwrap())
        .collect();
    assert!(accuracies.is_sorted_by(|a, b| a >= b), "{accuracies:?}");
    let html = std::fs::read_to_string(html).unwrap();
    assert!(html.contains("<svg") && html.contains("finished"));
}

#[test]
fn filters_and_keys_take_columns_and_fields_of_the_configuration() {
    let count = |filter: &str| {
        let line = format!("runs list {{}} --json {filter}");
        json(&run(&line, &[runs()]))["runs"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("--filter optimizer=sgd"), 2);
    assert_eq!(count("--filter optimizer=sgd --filter seed=1"), 1);
    assert_eq!(count("--filter learning_rate=1e-1"), 2, "as a number");
    assert_eq!(count("--filter state=running"), 0);
    assert_eq!(count("--filter batch=50"), 1);
    let seeds = json(&run("runs list {} --sort seed --reverse --json", &[runs()]));
    let seeds: Vec<u64> = seeds["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["config"]["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, [2, 2, 1, 1, 1]);
    wrong_usage(
        &run("runs list {} --sort speed", &[runs()]),
        &["speed", "accuracy"],
    );
    wrong_usage(
        &run("runs list {} --filter optimizer", &[runs()]),
        &["KEY=VALUE"],
    );
    failed(&run("runs list {}", &[&runs().join("none")]), &["none"]);
}

#[test]
fn a_run_is_shown_with_what_is_not_usual_and_its_curves() {
    let folder = runs().join("sgd/2");
    let text = succeeded(&run("runs show {}", &[&folder]));
    for needle in [
        "optimizer = sgd",
        "learning_rate = 0.1",
        "validation accuracy",
        "machine",
        "test",
        "finished",
        "f32 on cpu",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(
        text.contains('█') && !text.contains("val_fraction = "),
        "{text}"
    );
    let id = hw_train::run::read_run(&folder).unwrap().run;
    let (_home, html) = page("run.html");
    let line = format!("runs show {} --in {{}} --html {{}} --json", &id[..8]);
    let answer = json(&run(&line, &[runs(), &html]));
    assert_eq!(answer["runs"][0]["run"], id);
    assert!(
        std::fs::read_to_string(html)
            .unwrap()
            .matches("<svg")
            .count()
            >= 2
    );
    wrong_usage(
        &run("runs show zzzz --in {}", &[runs()]),
        &["zzzz", "hw runs list"],
    );
    wrong_usage(&run("runs show {}", &[small_data()]), &["no run"]);
}

/// The differences of an answer: validation and test, of the second recipe.
fn differences(answer: &Value) -> [&Value; 2] {
    ["validation", "tested"].map(|what| &answer["groups"][1][what])
}

#[test]
fn recipes_are_compared_by_the_seeds_they_share() {
    let (_home, html) = page("compared.html");
    let line = "runs compare {} {} --html {} --json";
    let answer = json(&run(
        line,
        &[&runs().join("adam"), &runs().join("sgd"), &html],
    ));
    let groups = answer["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert!(
        groups[0]["label"]
            .as_str()
            .unwrap()
            .contains("learning_rate=0.001"),
        "{}",
        groups[0]["label"]
    );
    assert!(
        groups[1]["label"]
            .as_str()
            .unwrap()
            .contains("optimizer=sgd")
    );
    let mean = |group: &Value, what: &str| group[what].as_f64().unwrap();
    for (difference, what) in differences(&answer).into_iter().zip(["accuracy", "test"]) {
        let expected = mean(&groups[1], what) - mean(&groups[0], what);
        let found = difference["difference"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{what}");
        assert_eq!(difference["seeds"], 2);
        assert!((difference["level"].as_f64().unwrap() - 0.95).abs() < 1e-9);
    }
    assert!(std::fs::read_to_string(html).unwrap().contains("<svg"));
    let text = succeeded(&run(
        "runs compare {} {}",
        &[&runs().join("adam"), &runs().join("sgd")],
    ));
    assert!(
        text.contains("optimizer=sgd") && text.contains("Holm"),
        "{text}"
    );
}

#[test]
fn too_few_seeds_are_said_to_be_too_few() {
    let text = succeeded(&run("runs compare {} --filter seed=1", &[runs()]));
    assert!(text.contains("train more seeds"), "{text}");
    let answer = json(&run("runs compare {} --filter seed=1 --json", &[runs()]));
    assert_eq!(answer["groups"].as_array().unwrap().len(), 3);
    assert_eq!(differences(&answer)[0]["adjusted_p"], Value::Null);
    let line = "runs compare {} --json --baseline";
    let id = hw_train::run::read_run(&runs().join("alone")).unwrap().run;
    let answer = json(&run(&format!("{line} {id}"), &[runs()]));
    assert_eq!(answer["groups"][0]["seeds"], serde_json::json!([1]));
    wrong_usage(
        &run(&format!("{line} zzzz"), &[runs()]),
        &["--baseline", "zzzz"],
    );
    let one = runs().join("adam");
    wrong_usage(&run("runs compare {}", &[&one]), &["1 recipe", "two"]);
}
