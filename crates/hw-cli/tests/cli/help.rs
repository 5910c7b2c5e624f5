//! What `hw` says about itself, and how it answers wrong usage.

use crate::support::*;

const COMMANDS: [&str; 26] = [
    "",
    "data",
    "data list",
    "data info",
    "data show",
    "data fetch",
    "data audit",
    "list",
    "lr-range",
    "models",
    "train",
    "eval",
    "cross",
    "looks",
    "reproduce",
    "sweep",
    "runs",
    "runs list",
    "runs show",
    "runs compare",
    "predict",
    "export",
    "import",
    "serve",
    "completions",
    "man",
];

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in COMMANDS {
        let help = succeeded(&run(&format!("{command} --help"), &[]));
        let examples = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("{help}"))
            .1;
        assert!(examples.contains(&format!("hw {command}")), "{help}");
    }
}

#[test]
fn every_family_is_listed_with_all_its_members() {
    let families = succeeded(&run("list", &[]));
    for family in hw_train::blocks::Family::ALL {
        assert!(families.contains(family.name()), "{families}");
        let listed = succeeded(&run(&format!("list {}", family.name()), &[]));
        for block in family.blocks() {
            assert!(listed.contains(&block.name), "{listed}");
        }
        assert!(listed.contains(family.option()), "{listed}");
    }
    let json = succeeded(&run("list losses --json", &[]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["blocks"].as_array().unwrap().len(), 4);
}

#[test]
fn completions_for_every_shell_offer_the_catalogues() {
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeded(&run(&format!("completions {shell}"), &[]));
        let models = hw_models::zoo::CATALOGUE
            .iter()
            .map(|entry| entry.name.to_string());
        let sets = hw_data::DatasetId::all()
            .into_iter()
            .map(|id| id.to_string());
        let rules = hw_train::Optimizer::all().into_iter();
        let rules = rules.map(|rule| rule.name().to_string());
        for name in models.chain(sets).chain(rules).chain(["--resume".into()]) {
            // zsh and bash escape the colon of glyphs:digits.
            let plain = script.replace('\\', "");
            // fish names long options without their dashes.
            assert!(
                plain.contains(name.trim_start_matches('-')),
                "{shell} lacks {name}"
            );
        }
    }
}

#[test]
fn the_man_page_names_every_command_and_each_has_its_own() {
    let page = succeeded(&run("man", &[]));
    assert!(page.contains(".TH hw 1"), "{page}");
    for command in [
        "data",
        "list",
        "models",
        "train",
        "eval",
        "predict",
        "completions",
    ] {
        assert!(page.contains(&format!("hw\\-{command}(1)")), "{command}");
    }
    let out = folder();
    succeeded(&run("man --out {}", &[out.path()]));
    let pages = std::fs::read_dir(out.path()).unwrap().count();
    assert_eq!(pages, COMMANDS.len());
    let train = std::fs::read_to_string(out.path().join("hw-train.1")).unwrap();
    assert!(
        train.contains("checkpoint\\-every") && train.contains("Examples:"),
        "{train}"
    );
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest_one() {
    wrong_usage(
        &run("train --model bn-cn --dataset mnist --out x", &[]),
        &["bn-cn", "'bn-cnn'"],
    );
    wrong_usage(&run("models lenet", &[]), &["lenet5"]);
    wrong_usage(&run("data info kmnits", &[]), &["did you mean \"kmnist\""]);
    wrong_usage(
        &run(
            "train --model ann --dataset mnist --optimizer adamm --out x",
            &[],
        ),
        &["'adam'"],
    );
    wrong_usage(&run("trian", &[]), &["'train'"]);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let cases = [
        ("train --model ann --dataset mnist", "--out"),
        ("train --dataset mnist --out x", "--model"),
        ("train --resume a --out b", "--out"),
        ("train --resume a --epochs 3", "--epochs"),
        ("train --resume a --emnist full", "--emnist"),
        (
            "train --model ann --dataset mnist --out x --lr 0",
            "above 0",
        ),
        (
            "train --model ann --dataset mnist --out x --batch 0",
            "at least 1",
        ),
        (
            "train --model ann --dataset mnist --out x --val-fraction 1",
            "including, 1",
        ),
        (
            "train --model ann --dataset mnist --out x --momentum 0.5",
            "--optimizer momentum",
        ),
        (
            "train --model ann --dataset mnist --out x --patience 2 --val-fraction 0",
            "early stopping",
        ),
        (
            "train --model ann --dataset mnist --out x --min-steps 100",
            "--patience",
        ),
        (
            "train --model ann --dataset mnist --out x --val-limit 0",
            "at least 1",
        ),
        (
            "train --model ann-bn --dataset mnist --out x --batch-norm-statistics reestimate:images=1",
            "at least 2",
        ),
        (
            "train --model ann --dataset mnist --out x --init xavier",
            "xavier",
        ),
        (
            "train --model ann --dataset mnist --out x --scale big",
            "standard:MEAN,STD",
        ),
        (
            "train --model ann --dataset mnist --out x --threads 0",
            "at least 1",
        ),
        ("data info folder:", "folder:"),
        ("predict --checkpoint x", "IMAGE"),
        ("eval --dataset mnist", "--checkpoint"),
    ];
    for (line, needle) in cases {
        wrong_usage(&run(line, &[]), &[needle]);
    }
    assert!(!std::path::Path::new("x").exists());
}
