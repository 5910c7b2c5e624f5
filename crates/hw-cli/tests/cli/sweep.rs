//! Sweeps: from a file to the winner on the test set, by any number of workers.

use crate::support::*;
use hw_eval::looks::REGISTER;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The example of `docs/sweeps.md`.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw-repro/sweeps/lenet5-glyphs.toml")
}

/// A sweep of four trials in `folder`; `search` are further lines of its search.
fn small(folder: &Path, search: &str) -> PathBuf {
    let path = folder.join("small.toml");
    let text = format!(
        r#"
        name = "small"
        [train]
        model = "ann"
        dataset = "glyphs:digits"
        limit = 60
        val_limit = 60
        batch = 20
        epochs = 2
        [vary]
        learning_rate = [0.001, 0.003]
        optimizer = ["adam", "sgd"]
        [search]
        {search}
        [final]
        seeds = [2]
        "#
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A summary without what differs from call to call.
fn timeless(summary: &Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("seconds");
                fields.remove("report");
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut summary = summary.clone();
    strip(&mut summary);
    summary
}

fn looks(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("runs").join(REGISTER)).unwrap();
    let look = |line| serde_json::from_str(line).unwrap();
    text.lines().map(look).collect()
}

#[test]
fn the_example_chooses_by_validation_and_looks_at_the_test_set_once() {
    let home = folder();
    let out = home.path().join("out");
    let summary = json(&run("sweep {} --out {} --json", &[&example(), &out]));
    assert_eq!(
        (&summary["finished"], &summary["failed"], &summary["open"]),
        (&33.into(), &0.into(), &0.into())
    );
    let trials = summary["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 30);
    let scores: Vec<f64> = trials
        .iter()
        .map(|t| t["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(
        scores[0] > 0.5,
        "the best has learned something: {scores:?}"
    );
    let winner = &summary["winner"];
    assert_eq!(winner["trial"], trials[0]["trial"]);
    assert_eq!(winner["settings"], trials[0]["settings"]);

    // Three runs of one recipe were scored on the test set, none of them a trial's.
    let looks = looks(&out);
    assert_eq!(looks.len(), 3);
    assert!(
        looks
            .iter()
            .all(|look| look["recipe"] == looks[0]["recipe"])
    );
    let searched = trials.iter().map(|trial| &trial["runs"][0]["run"]);
    assert!(
        searched
            .clone()
            .all(|run| looks.iter().all(|look| look["run"] != *run))
    );
    let test = &summary["test"];
    let mean = looks
        .iter()
        .map(|look| look["accuracy"].as_f64().unwrap())
        .sum::<f64>()
        / 3.0;
    assert!((test["accuracy"].as_f64().unwrap() - mean).abs() < 1e-9);
    let ends = ["low", "high"].map(|end| test["interval"][end].as_f64().unwrap());
    assert!(ends[0] < mean && mean < ends[1], "{ends:?}");

    let report = out.join("report");
    let read = |name: &str| std::fs::read_to_string(report.join(name)).unwrap();
    let page = read("index.html");
    for needle in [
        "Synthetic data",
        "learning_rate",
        "<svg",
        "Test looks: 3 of this recipe",
    ] {
        assert!(page.contains(needle), "{needle}");
    }
    assert!(read("index.md").contains("Trials, best first"));
    let winner: hw_train::TrainConfig = serde_json::from_str(&read("winner.json")).unwrap();
    assert_eq!(winner.seed, 11);

    // Again: nothing is trained, nothing looked at, the same is said; and by its report alone.
    for more in ["", "--report-only"] {
        let again = run(
            &format!("sweep {{}} --out {{}} --json {more}"),
            &[&example(), &out],
        );
        assert_eq!(timeless(&json(&again)), timeless(&summary), "{more}");
    }
    assert_eq!(self::looks(&out).len(), 3);

    // What `hw runs` says of it.
    let listed = json(&run("runs list {} --sort accuracy --json", &[&out]));
    let listed = listed["runs"].as_array().unwrap();
    assert_eq!(listed.len(), 33);
    let tested = listed.iter().filter(|run| !run["test"].is_null()).count();
    assert_eq!(tested, 3);
}

#[test]
fn any_number_of_workers_and_processes_find_the_same() {
    let home = folder();
    let search = "method = \"halving\"\nstart_epochs = 1\neta = 2\nseeds = [1, 2]";
    let file = small(home.path(), search);
    let alone = home.path().join("alone");
    let summary = json(&run(
        "sweep {} --workers 1 --out {} --json",
        &[&file, &alone],
    ));
    // Four trials of one epoch, the better two with both; two seeds each.
    assert_eq!(summary["finished"], 4 * 2 + 2 * 2 + 1);
    assert_eq!(summary["rungs"][1]["trials"], 2);
    let shared = home.path().join("shared");
    let worker = || {
        let mut worker = command("sweep {} --worker --out {}", &[&file, &shared]);
        worker.stderr(std::process::Stdio::piped());
        worker.spawn().unwrap()
    };
    let workers = [worker(), worker()];
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("--report-only"),
            "{}",
            stderr(&output)
        );
    }
    assert!(!shared.join("report").exists());
    let report = run("sweep {} --report-only --out {} --json", &[&file, &shared]);
    assert_eq!(timeless(&json(&report)), timeless(&summary));
    nothing_half_written(&shared);
}

#[test]
fn a_trial_that_diverges_loses_and_is_not_tried_again() {
    let home = folder();
    let file = small(home.path(), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[0.001, 0.003]", "[0.003, 1e30]");
    std::fs::write(&file, text.replace("\"ann\"", "\"lenet5\"")).unwrap();
    let out = home.path().join("out");
    let first = run("sweep {} --out {} --json", &[&file, &out]);
    let summary = json(&first);
    let problems: Vec<bool> = summary["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| trial["problem"].to_string().contains("diverged"))
        .collect();
    assert_eq!(problems.iter().filter(|diverged| **diverged).count(), 2);
    assert!(problems.is_sorted(), "they come last: {problems:?}");
    assert!(stderr(&first).contains("diverged"));
    let again = run("sweep {} --out {} --json", &[&file, &out]);
    assert_eq!(json(&again)["winner"], summary["winner"]);
    assert!(!stderr(&again).contains("loss was"), "{}", stderr(&again));
}

#[test]
fn a_sweep_that_cannot_run_is_one_line_and_leaves_nothing() {
    let home = folder();
    let file = small(home.path(), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let out = home.path().join("out");
    let wrong = home.path().join("wrong.toml");
    for (from, to, needles) in [
        (
            "learning_rate =",
            "learning_rat =",
            &["wrong.toml", "did you mean \"learning_rate\""][..],
        ),
        (
            "limit = 60",
            "limti = 60",
            &["[train]", "did you mean \"limit\""],
        ),
        ("\"ann\"", "\"lenet6\"", &["trial 1", "lenet5"]),
        (
            "epochs = 2",
            "val_fraction = 0",
            &["val_fraction", "validation"],
        ),
        ("[vary]", "[varied]", &["\"vary\""]),
    ] {
        std::fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        failed(&run("sweep {} --out {}", &[&wrong, &out]), needles);
    }
    assert!(!out.exists());
    failed(
        &run("sweep {}", &[&home.path().join("none.toml")]),
        &["none.toml"],
    );
    // No folder can lie in a file: as where nothing may be written.
    let inside = file.join("out");
    failed(
        &run("sweep {} --out {}", &[&file, &inside]),
        &["--out", "small.toml"],
    );
    wrong_usage(&run("sweep", &[]), &["FILE.toml"]);
    wrong_usage(&run("sweep --new {}", &[&file]), &["there already"]);
}

#[test]
fn a_folder_belongs_to_one_sweep() {
    let home = folder();
    let out = home.path().join("out");
    let file = small(home.path(), "");
    let empty = json(&run(
        "sweep {} --report-only --out {} --json",
        &[&file, &out],
    ));
    assert_eq!((&empty["finished"], &empty["open"]), (&0.into(), &4.into()));
    let kept = std::fs::read(out.join("sweep.json")).unwrap();
    let file = small(home.path(), "seeds = [1, 2]");
    wrong_usage(
        &run("sweep {} --out {}", &[&file, &out]),
        &["another sweep", "--out"],
    );
    assert_eq!(std::fs::read(out.join("sweep.json")).unwrap(), kept);
}

#[test]
fn a_new_file_is_sound_and_its_list_says_what_would_run() {
    let home = folder();
    let file = home.path().join("new.toml");
    succeeded(&run("sweep --new {}", &[&file]));
    let listed = succeeded(&run("sweep {} --list", &[&file]));
    for needle in [
        "learning_rate=0.0001",
        "search: 8 runs of 5 epochs",
        "the winner, tested: 3 runs",
    ] {
        assert!(listed.contains(needle), "{needle}: {listed}");
    }
    let file = small(
        home.path(),
        "method = \"halving\"\nstart_epochs = 1\neta = 2",
    );
    let listed = succeeded(&run("sweep {} --list", &[&file]));
    assert!(
        listed.contains("rung 2, 2 trials: 2 runs of 2 epochs"),
        "{listed}"
    );
}

#[test]
fn an_archived_sweep_gives_its_report_without_training() {
    let home = folder();
    let (file, out) = (
        small(home.path(), "seeds = [1, 2]"),
        home.path().join("out"),
    );
    let (kept, again) = (home.path().join("kept"), home.path().join("again"));
    let line = "sweep {} --out {} --json --archive {}";
    let first = json(&run(line, &[&file, &out, &kept]));
    let line = "sweep {} --out {} --json --from-archive {}";
    let second = json(&run(line, &[&file, &again, &kept]));
    assert_eq!(timeless(&first), timeless(&second));
    assert!(!again.join("runs").exists(), "nothing was trained");
    // Of another sweep it is refused, and a reproduction is none.
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = small(&other, "seeds = [1]");
    wrong_or_failed(&run(line, &[&other, &again, &kept]), "sweep");
    let line = "reproduce --from-archive {} --out {}";
    wrong_or_failed(
        &run(line, &[&kept, &again]),
        "hw sweep FILE.toml --from-archive",
    );
    // A damaged record is named.
    let record = std::fs::read_dir(kept.join("runs"))
        .unwrap()
        .next()
        .unwrap();
    std::fs::write(record.unwrap().path(), "hw-archive 1\n").unwrap();
    let line = "sweep {} --out {} --json --from-archive {}";
    wrong_or_failed(&run(line, &[&file, &again, &kept]), ".hwr");
}

/// One line that says it, whatever the exit status.
fn wrong_or_failed(output: &std::process::Output, needle: &str) {
    assert!(!output.status.success());
    let said = stderr(output);
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("error: ") && last.contains(needle),
        "{said}"
    );
}
