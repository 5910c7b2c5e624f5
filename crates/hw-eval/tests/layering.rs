//! Who wants metrics must not be made to build a network.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::process::Command;

#[test]
fn metrics_alone_pull_in_no_trainer_and_no_tensors() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            "hw-eval",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(
        tree.contains("hw-core") && tree.contains("statrs"),
        "{tree}"
    );
    for above in [
        "candle",
        "hw-data",
        "hw-kernels",
        "hw-models",
        "hw-train",
        "hw-report",
        "nalgebra",
    ] {
        assert!(
            !tree.contains(above),
            "hw-eval without features depends on {above}:\n{tree}"
        );
    }
}
