//! The chores' command line. (That this exists also makes `cargo test` build the binary.)
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// With the real data, for the test that is about it.
fn xtask_with_data(arguments: &[&str]) -> (bool, String) {
    outcome(Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments))
}

fn outcome(chore: &mut Command) -> (bool, String) {
    let output = chore.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn xtask(arguments: &[&str]) -> (bool, String) {
    let mut chore = Command::new(env!("CARGO_BIN_EXE_xtask"));
    outcome(chore.args(arguments).env_remove("HW_DATA_DIR"))
}

#[test]
fn help_lists_every_chore() {
    let (good, help) = xtask(&["--help"]);
    assert!(good);
    for chore in ["reproduce-all", "train-served", "web", "page-tests"] {
        assert!(help.contains(chore), "{chore} in {help}");
    }
}

/// An older build that answers every question of `bench` with these numbers.
#[cfg(unix)]
fn old_build(folder: &std::path::Path, rate: f64, milliseconds: f64, peak_mb: f64) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("old-xtask");
    let answer = format!(
        r#"{{"rate":{rate},"milliseconds":{milliseconds},"share":null,"peak_mb":{peak_mb},"error":null}}"#
    );
    let script = format!(
        "#!/bin/sh\necho '{{\"ready\":\"hw\"}}'\nwhile read -r question; do echo '{answer}'; done\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

#[cfg(unix)]
#[test]
fn an_older_build_that_was_faster_is_a_failed_check_and_a_slower_one_is_none() {
    let home = tempfile::tempdir().unwrap();
    let against = |old: &str| {
        let out = home.path().join("table.md").to_string_lossy().into_owned();
        let options = [
            "--quick",
            "--net",
            "bn-cnn",
            "--out",
            &out,
            "--against",
            old,
        ];
        let (good, text) = xtask(&[&["bench"], &options[..]].concat());
        (good, text, std::fs::read_to_string(out).unwrap())
    };
    let (good, text, table) = against(&old_build(home.path(), 1e-9, 1e9, 1e9));
    assert!(good, "{text}");
    assert!(
        text.contains("turn 2/2: bn-cnn, one image, about "),
        "{text}"
    );
    assert!(text.contains("\nNo ratio is below 0.98.\n"), "{text}");
    assert_eq!(table.matches("| bn-cnn | ").count(), 6, "{table}");
    let (good, text, table) = against(&old_build(home.path(), 1e12, 1e-9, 1e-9));
    assert!(!good, "{text}");
    for all in [
        "training 0.000",
        "batch 256, memory 0.000",
        "one image 0.000",
    ] {
        assert!(table.contains(&format!("bn-cnn {all}")), "{table}");
    }
}

#[test]
fn a_build_is_measured_against_itself_as_json() {
    let own = env!("CARGO_BIN_EXE_xtask");
    let options = [
        "--quick",
        "--net",
        "lenet5",
        "--only",
        "inference",
        "--json",
    ];
    let output = Command::new(own)
        .args(["bench", "--against", own])
        .args(options)
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    let measures: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["measure"].as_str())
        .collect();
    assert_eq!(
        measures,
        ["images-per-second", "peak-mb", "milliseconds", "peak-mb"]
    );
    for row in rows {
        assert_eq!(row["ratio"]["turns"], 2, "{row}");
        assert!(row["old"].as_f64() > Some(0.0), "{row}");
    }
    assert_eq!(found["passed"].as_bool(), Some(output.status.success()));
}

#[test]
fn what_is_no_older_build_is_refused_in_one_line() {
    for (old, says) in [
        ("/nowhere/xtask", "--against /nowhere/xtask"),
        ("Cargo.toml", "as a worker of bench"),
    ] {
        let (good, text) = xtask(&["bench", "--quick", "--net", "lenet5", "--against", old]);
        let errors: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert!(
            !good && errors.len() == 1 && errors[0].contains(says),
            "{text}"
        );
    }
}

#[test]
fn a_served_model_that_does_not_exist_is_refused_with_those_that_do() {
    let (good, text) = xtask(&["train-served", "--only", "greek"]);
    assert!(!good && text.contains("hiragana"), "{text}");
}

#[test]
fn a_served_model_is_trained_calibrated_and_measured() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    let (models, runs, nowhere) = (place("models"), place("runs"), place("nowhere"));
    let (good, text) = xtask(&[
        "train-served",
        "--only",
        "hiragana",
        "--scale",
        "0.001",
        "--out",
        &models,
        "--runs",
        &runs,
        "--data-dir",
        &nowhere,
    ]);
    assert!(good, "{text}");
    let bytes = std::fs::read(home.path().join("models/hiragana.safetensors")).unwrap();
    let model = hw_ink::Model::from_bytes(&bytes).unwrap();
    assert_eq!(model.card.classes.len(), 10);
    assert_eq!(
        model.card.measured[0].on,
        "glyphs:hiragana drawn with another seed"
    );
    assert!(model.card.trained_on.starts_with("620 generated glyphs"));
}

#[test]
fn a_served_model_learns_from_real_handwriting_too_and_is_measured_on_none_of_it() {
    let here = std::env::var_os("HW_DATA_DIR").map(std::path::PathBuf::from);
    if !here.is_some_and(|data| data.join("emnist-sixth").is_dir() && data.join("emnist").is_dir())
    {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    let (models, runs) = (place("models"), place("runs"));
    let common = ["--only", "digits", "--scale", "0.01"];
    let places = ["--out", &models, "--runs", &runs];
    let (good, text) = xtask_with_data(&[&["train-served"], &common[..], &places[..]].concat());
    assert!(good, "{text}");
    let bytes = std::fs::read(home.path().join("models/digits.safetensors")).unwrap();
    let card = hw_ink::Model::from_bytes(&bytes).unwrap().card;
    assert!(
        card.trained_on.contains("EMNIST ByClass"),
        "{}",
        card.trained_on
    );
    let real = &card.measured[1];
    assert!(
        real.on
            .starts_with("emnist-bymerge test images not learned from"),
        "{}",
        real.on
    );
    assert_eq!(real.images, 100, "{real:?}");
}
