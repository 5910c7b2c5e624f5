//! On real MNIST, where `HW_DATA_DIR` says where it is.

use crate::support::*;
use std::path::PathBuf;

/// The real data folder, if there is one.
fn real_data() -> Option<PathBuf> {
    std::env::var_os("HW_DATA_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
}

#[test]
fn the_real_files_are_found_and_known_for_the_published_ones() {
    let Some(data) = real_data() else { return };
    let answer = json(&run("data info mnist --json --data-dir {}", &[&data]));
    let parts = answer["parts"].as_array().unwrap();
    assert_eq!(
        (&parts[0]["images"], &parts[1]["images"]),
        (&60_000.into(), &10_000.into())
    );
    for file in answer["files"].as_array().unwrap() {
        assert!(
            file["verdict"]
                .as_str()
                .unwrap()
                .starts_with("the published"),
            "{file}"
        );
    }
}

#[test]
fn the_same_run_on_mnist_gives_the_same_bytes_on_one_thread_and_on_two() {
    let Some(data) = real_data() else { return };
    let out = folder();
    let train = |name: &str| {
        let run = out.path().join(name);
        let line = format!(
            "train --model bn-cnn --dataset mnist --limit 1000 --epochs 1 --data-dir {{}} --out {{}} --threads {name}"
        );
        let answer = json(&crate::support::run(
            &format!("{line} --json"),
            &[&data, &run],
        ));
        assert_eq!(
            (&answer["synthetic"], &answer["edition"]),
            (&false.into(), &"original".into())
        );
        checkpoints(&run)
    };
    assert!(train("1") == train("2"));
}

#[test]
fn a_network_trained_on_the_sixth_is_tested_on_the_sixth() {
    let Some(data) = real_data() else { return };
    let out = folder();
    let run = out.path().join("run");
    let train = "train --model ann --dataset emnist-letters --emnist sixth --limit 500 --epochs 1 --data-dir {} --out {}";
    succeeded(&crate::support::run(train, &[&data, &run]));
    let eval = "eval --checkpoint {} --dataset emnist-letters --data-dir {} --json";
    let answer = json(&crate::support::run(eval, &[&run, &data]));
    assert_eq!(
        (&answer["data"]["edition"], &answer["warnings"]),
        (&"sixth".into(), &serde_json::json!([]))
    );
    // The published test images are where the sixth was made from.
    let output = crate::support::run(&format!("{eval} --emnist full"), &[&run, &data]);
    assert!(
        stderr(&output).contains("share images"),
        "{}",
        stderr(&output)
    );
}
