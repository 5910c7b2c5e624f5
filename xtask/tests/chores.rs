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
