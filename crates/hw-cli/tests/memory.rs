//! How much memory training takes at most. Alone in its process, because the operating system
//! counts the largest of all children.
#![allow(clippy::unwrap_used)] // helpers of tests are tests
#![cfg(unix)]

use nix::sys::resource::{UsageWho, getrusage};
use std::process::{Command, Stdio};

#[test]
fn training_on_mnist_takes_less_than_600_megabytes() {
    let data = std::env::var_os("HW_DATA_DIR");
    // The drawn digits are as many and as large as MNIST's.
    let dataset = if data.is_some() {
        "mnist"
    } else {
        "glyphs:digits"
    };
    let out = tempfile::tempdir().unwrap();
    // All 60,000 images are loaded and shuffled; memory does not grow with the steps taken.
    let status = Command::new(env!("CARGO_BIN_EXE_hw"))
        .args([
            "train",
            "--model",
            "bn-cnn",
            "--dataset",
            dataset,
            "--limit",
            "4000",
        ])
        .args(["--epochs", "1", "--out"])
        .arg(out.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    // Linux counts in kilobytes.
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024;
    assert!((50..600).contains(&peak), "{peak} MB");
}
