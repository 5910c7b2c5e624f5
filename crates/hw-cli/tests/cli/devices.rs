//! Where networks compute. The tests' program is built without GPUs, so what is shown is the processor and how
//! others are refused.

use crate::support::*;

/// Whether the tests' program can use NVIDIA's GPUs.
const CUDA: bool = cfg!(feature = "cuda");

#[test]
fn a_device_that_the_program_was_not_built_for_is_refused_in_one_line_before_anything_is_done() {
    if CUDA {
        return;
    }
    let home = folder();
    let out = home.path().join("out");
    let (data, run_folder) = (small_data(), trained().join("run"));
    let refused = |line: &str, paths: &[&std::path::Path]| {
        let line = format!("{line} --device cuda:1 --data-dir {{}}");
        let output = run(&line, &[paths, &[data]].concat());
        let says = ["built without cuda", "--features cuda", "device cpu"];
        failed(&output, &says);
        assert_eq!(stderr(&output).lines().count(), 1, "{line}");
    };
    refused("train --model ann --dataset mnist --out {}", &[&out]);
    refused("lr-range --model ann --dataset mnist --out {}", &[&out]);
    refused("eval --checkpoint {} --dataset mnist", &[&run_folder]);
    refused("cross --checkpoint {} --dataset mnist", &[&run_folder]);
    refused("predict --checkpoint {} seven.png", &[&run_folder]);
    assert!(!out.exists());
}

#[test]
fn what_is_no_device_is_wrong_usage_and_every_command_that_computes_explains_the_option() {
    let output = run(
        "train --model ann --dataset mnist --device gpu --out x",
        &[],
    );
    wrong_usage(&output, &["'gpu'", "--device", "cuda:N", "metal"]);
    for command in ["train", "lr-range", "eval", "cross", "predict"] {
        let help = succeeded(&run(&format!("{command} --help"), &[]));
        assert!(help.contains("--device <DEVICE>"), "{command}: {help}");
    }
    let help = succeeded(&run("train --help", &[]));
    assert!(help.contains("--device cuda --out runs/gpu"), "{help}");
    let output = run("predict --builtin all --device cuda note.png", &[]);
    wrong_usage(&output, &["words and strokes", "leave --device out"]);
}

#[test]
fn the_processor_may_be_named_and_a_run_stays_on_its_device() {
    let home = folder();
    let (named, usual) = (home.path().join("named"), home.path().join("usual"));
    let line =
        "train --model ann --limit 60 --epochs 1 --dataset mnist --json --data-dir {} --out {}";
    let usual = json(&run(line, &[small_data(), &usual]));
    let answer = json(&run(
        &format!("{line} --device cpu"),
        &[small_data(), &named],
    ));
    assert_eq!(answer["run"], usual["run"]);
    let config = std::fs::read_to_string(named.join("config.json")).unwrap();
    assert!(!config.contains("device"), "{config}");

    let output = run("train --resume {} --device metal", &[&named]);
    wrong_usage(&output, &["started on cpu", "metal"]);
    let line = "eval --checkpoint {} --dataset mnist --device cpu --json --data-dir {}";
    assert_eq!(json(&run(line, &[&named, small_data()]))["device"], "cpu");
}

#[test]
fn a_configuration_names_a_kind_of_device_and_the_option_overrules_it() {
    let home = folder();
    let (config, out) = (home.path().join("config.json"), home.path().join("out"));
    let device = |name: &str| {
        let text = format!(
            r#"{{"model":"ann","dataset":"mnist","epochs":1,"limit":60,"device":"{name}"}}"#
        );
        std::fs::write(&config, text).unwrap();
    };
    let line = "train --config {} --data-dir {} --out {}";
    device("metal");
    if !cfg!(feature = "metal") {
        let output = run(line, &[&config, small_data(), &out]);
        failed(&output, &["--features metal"]);
    }
    device("cuda:1");
    let output = run(line, &[&config, small_data(), &out]);
    failed(&output, &["config.json", "cuda:1", "a kind"]);
    device("toaster");
    failed(
        &run(line, &[&config, small_data(), &out]),
        &["toaster", "cuda:N"],
    );
    device("metal");
    succeeded(&run(
        &format!("{line} --device cpu"),
        &[&config, small_data(), &out],
    ));
}
