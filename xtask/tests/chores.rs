//! The chores' command line. (That this exists also makes `cargo test` build the binary.)
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn xtask(arguments: &[&str]) -> (bool, String) {
    let mut chore = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = chore
        .args(arguments)
        .env_remove("HW_DATA_DIR")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
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
