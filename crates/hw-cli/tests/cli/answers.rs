//! What each command answers, to people and to programs.

use crate::support::*;
use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{GlyphSet, Split};
use image::GrayImage;
use std::path::{Path, PathBuf};

#[test]
fn the_list_of_data_sets_says_where_each_is_and_what_is_synthetic() {
    let answer = json(&run("data list --json --data-dir {}", &[small_data()]));
    let sets = answer["datasets"].as_array().unwrap();
    assert_eq!(sets.len(), hw_data::DatasetId::all().len());
    let set = |name: &str| sets.iter().find(|set| set["name"] == name).unwrap();
    assert_eq!(
        (&set("mnist")["train"], &set("mnist")["test"]),
        (&400.into(), &100.into())
    );
    assert_eq!(set("kmnist")["problem"], "not found");
    assert_eq!(set("glyphs:digits")["synthetic"], true);
    let text = succeeded(&run("data list --data-dir {}", &[small_data()]));
    assert!(
        text.contains("synthetic") && text.contains("folder:PATH"),
        "{text}"
    );
}

#[test]
fn the_facts_of_a_data_set_are_those_of_its_files() {
    let answer = json(&run(
        "data info mnist --json --data-dir {}",
        &[small_data()],
    ));
    let parts = answer["parts"].as_array().unwrap();
    assert_eq!(
        (&parts[0]["images"], &parts[1]["images"]),
        (&400.into(), &100.into())
    );
    assert_eq!(parts[0]["class_counts"], serde_json::json!(vec![40; 10]));
    assert_eq!(answer["files"].as_array().unwrap().len(), 4);
    let text = succeeded(&run("data info mnist --data-dir {}", &[small_data()]));
    assert!(
        text.contains("train: 400 images of 1x28x28, unlisted"),
        "{text}"
    );
}

#[test]
fn a_data_set_is_shown_as_a_picture() {
    let out = folder();
    let picture = out.path().join("grid.png");
    let line = "data show mnist --out {} --per-class 3 --data-dir {}";
    let answer = json(&run(&format!("{line} --json"), &[&picture, small_data()]));
    assert_eq!(answer["classes"].as_array().unwrap().len(), 10);
    let image = image::open(&picture).unwrap();
    assert!(
        image.height() > image.width(),
        "{}x{}",
        image.width(),
        image.height()
    );
    let text = succeeded(&run(line, &[&picture, small_data()]));
    assert!(text.contains("grid.png"), "{text}");
}

#[test]
fn an_audit_says_what_a_set_lacks_and_shares_as_text_json_and_page() {
    let folder = folder();
    let page = folder.path().join("audit.html");
    let line = "data audit mnist --data-dir {} --out {}";
    let answer = json(&run(&format!("{line} --json"), &[small_data(), &page]));
    assert_eq!(answer["parts"].as_array().unwrap().len(), 2);
    assert_eq!(answer["pairs"][0]["shared"], 0);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.contains("mnist test"));
    let text = succeeded(&run(line, &[small_data(), &page]));
    assert!(
        text.contains("mnist train") && text.contains("audit.html"),
        "{text}"
    );
    failed(
        &run("data audit --data-dir {}", &[folder.path()]),
        &["no published data set"],
    );
    wrong_usage(&run("data audit mnist --likeness 0.5", &[]), &["from 0.9"]);
}

#[test]
fn a_network_goes_out_and_comes_back_with_the_same_answers() {
    let folder = folder();
    let trained = trained().join("run");
    let eval = |run: &Path| {
        let line = "eval --checkpoint {} --dataset mnist --data-dir {} --json";
        json(&crate::support::run(line, &[run, small_data()]))["metrics"]["accuracy"].clone()
    };
    for (format, file) in [("pytorch", "model.safetensors"), ("onnx", "model.onnx")] {
        let (out, back) = (
            folder.path().join(format),
            folder.path().join(format!("{format}-back")),
        );
        let line = format!("export --checkpoint {{}} --to {format} --out {{}} --json");
        let answer = json(&run(&line, &[&trained, &out]));
        assert_eq!(answer["format"], format);
        // The file says which network it is; a run of the same network says it too.
        let weights = out.join(file);
        let line = format!("import {{}} --from {format} --out {{}}");
        succeeded(&run(&line, &[&weights, &back]));
        assert_eq!(eval(&back), eval(&trained));
        failed(&run(&line, &[&weights, &back]), &["is there already"]);
        let again = folder.path().join(format!("{format}-again"));
        let line = format!("import {{}} --from {format} --like {{}} --out {{}}");
        succeeded(&run(&line, &[&weights, &trained, &again]));
        assert_eq!(eval(&again), eval(&trained));
    }
    let stranger = folder.path().join("stranger.safetensors");
    std::fs::write(&stranger, b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let out = folder.path().join("strange");
    let line = "import {} --from pytorch --out {}";
    let needles = ["does not say which network it holds", "--like"];
    failed(&run(line, &[&stranger, &out]), &needles);
    assert!(!out.exists());
    let line = "export --checkpoint {} --to torchvision --out {}";
    failed(&run(line, &[&trained, folder.path()]), &["no counterpart"]);
    let damaged = folder.path().join("damaged");
    std::fs::write(&damaged, "no weights").unwrap();
    let line = "import {} --from pytorch --like {} --out {}";
    let out = folder.path().join("never");
    failed(&run(line, &[&damaged, &trained, &out]), &["damaged"]);
    assert!(!out.exists());
}

#[test]
fn a_download_without_a_network_says_in_one_line_what_to_place_where() {
    let folder = folder();
    // Port 1 of this machine: nobody listens there.
    let line = "data fetch mnist --from http://127.0.0.1:1 --data-dir {}";
    let needles = ["offline", "place it as", "train-images-idx3-ubyte.gz"];
    failed(&run(line, &[folder.path()]), &needles);
    wrong_usage(
        &run("data fetch glyphs", &[]),
        &["glyphs", "emnist-letters"],
    );
}

#[test]
fn the_list_of_models_is_the_catalogue_and_each_is_shown_layer_by_layer() {
    let answer = json(&run("models --json", &[]));
    let names: Vec<&str> = answer["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    let catalogue: Vec<&str> = hw_models::zoo::CATALOGUE
        .iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, catalogue);
    let lenet = json(&run("models lenet5 --classes 47 --json", &[]));
    assert_eq!(
        (&lenet["parameters"], &lenet["classes"]),
        (&64_851.into(), &47.into())
    );
    let text = succeeded(&run("models lenet5 --classes 47", &[]));
    assert!(
        text.contains("64,851 trainable parameters") && text.contains("conv1"),
        "{text}"
    );
    assert!(succeeded(&run("models", &[])).contains("bn-cnn"));
}

#[test]
fn training_says_what_was_done_and_what_to_do_next() {
    let out = folder();
    let line = "train --model ann --dataset mnist --epochs 2 --data-dir {} --out {}";
    let runs = [out.path().join("a"), out.path().join("b")];
    let output = run(line, &[small_data(), &runs[0]]);
    let text = succeeded(&output);
    assert!(
        text.contains("hw eval --checkpoint") && text.contains("best.safetensors"),
        "{text}"
    );
    let log = stderr(&output);
    assert!(
        log.contains("epoch 1/2") && log.contains("epoch 2/2"),
        "{log}"
    );
    // On no terminal there are plain lines only.
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log:?}");

    let answer = json(&run(&format!("{line} --json"), &[small_data(), &runs[1]]));
    assert_eq!(answer["history"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&answer["finished"], &answer["synthetic"]),
        (&true.into(), &false.into())
    );
    let sizes = (
        answer["train_images"].as_u64(),
        answer["validation_images"].as_u64(),
    );
    assert_eq!(sizes, (Some(360), Some(40)));
    assert_eq!(answer["plateau"], "complete");
    assert!(PathBuf::from(answer["checkpoint"].as_str().unwrap()).exists());
}

#[test]
fn training_says_whether_the_score_had_reached_its_plateau() {
    let out = folder();
    let config = tiny_config(out.path());
    let cases = [
        // One epoch leaves no time to wait.
        ("--epochs 1", "cut", "with more --epochs"),
        // Steps too small to gain anything: the second epoch uses up patience.
        (
            "--patience 1 --lr 1e-30 --monitor val-accuracy",
            "stopped",
            "patience was used up",
        ),
    ];
    for (options, plateau, sentence) in cases {
        let folder = out.path().join(plateau);
        let line =
            format!("train --config {{}} {options} --val-limit 50 --data-dir {{}} --out {{}}");
        let places: [&Path; 3] = [&config, small_data(), &folder];
        let text = succeeded(&run(&line, &places));
        assert!(text.contains(sentence), "{text}");
        let line = "train --resume {} --data-dir {} --json";
        let answer = json(&run(line, &[&folder, small_data()]));
        assert_eq!(answer["plateau"], plateau);
        assert_eq!(answer["validation_images"], 50);
    }
}

#[test]
fn options_override_the_config_file_and_the_folder_keeps_what_was_run() {
    let out = folder();
    let config = tiny_config(out.path());
    let run = out.path().join("run");
    let line =
        "train --config {} --epochs 1 --seed 9 --optimizer sgd --limit 100 --data-dir {} --out {}";
    succeeded(&crate::support::run(line, &[&config, small_data(), &run]));
    let kept = hw_train::read_config(&run).unwrap();
    assert_eq!(
        (kept.epochs, kept.seed, kept.limit, kept.batch),
        (1, 9, Some(100), 5)
    );
    assert_eq!((kept.optimizer.name(), kept.learning_rate), ("sgd", 0.02));
}

#[test]
fn an_evaluation_measures_the_test_set() {
    let run = trained().join("run");
    let line = "eval --checkpoint {} --dataset mnist --data-dir {}";
    let output = crate::support::run(&format!("{line} --json"), &[&run, small_data()]);
    let answer = json(&output);
    let metrics = &answer["metrics"];
    assert_eq!(metrics["samples"], 100);
    let accuracy = metrics["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
    assert_eq!(accuracy, metrics["correct"].as_f64().unwrap() / 100.0);
    assert!(metrics["accuracy_interval"]["low"].as_f64().unwrap() < accuracy);
    let batches: Vec<_> = answer["timing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["batch"])
        .collect();
    assert_eq!(batches, [1, 100], "there are only 100 images");
    assert_eq!(answer["warnings"], serde_json::json!([]));
    assert!(!stderr(&output).contains("warning"));

    let text = succeeded(&crate::support::run(line, &[&run, small_data()]));
    for word in [
        "accuracy",
        "95 % interval",
        "macro F1",
        "ECE",
        "batch 1",
        "precision",
        "taken for",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn an_evaluation_refuses_other_classes_and_warns_of_other_data() {
    let run = trained().join("run");
    let eval = |dataset: &str, data: &Path| {
        let line = format!("eval --checkpoint {{}} --dataset {dataset} --data-dir {{}} --json");
        crate::support::run(&line, &[&run, data])
    };
    failed(
        &eval("glyphs:letters", small_data()),
        &["10 classes", "26", "glyphs:letters"],
    );

    let other = digits(5);
    let output = eval("mnist", other.path());
    assert!(
        json(&output)["warnings"][0]
            .as_str()
            .unwrap()
            .contains("checksum differs")
    );
    assert!(stderr(&output).contains("warning: mnist is here not the mnist that was trained on"));
}

#[test]
fn what_was_learned_from_drawn_images_is_always_called_synthetic() {
    let out = folder();
    let run = out.path().join("run");
    let image = png(out.path(), "blank.png", &[255; 100], 10);
    let train = "train --model ann --dataset glyphs:digits --limit 200 --epochs 1 --out {}";
    let output = crate::support::run(train, &[&run]);
    let texts = [
        succeeded(&output),
        stderr(&output),
        succeeded(&crate::support::run(
            "eval --checkpoint {} --dataset mnist --data-dir {}",
            &[&run, small_data()],
        )),
        succeeded(&crate::support::run(
            "predict --checkpoint {} {}",
            &[&run, &image],
        )),
    ];
    for text in texts {
        assert!(text.contains("SYNTHETIC"), "{text}");
    }
}

fn png(folder: &Path, name: &str, pixels: &[u8], side: usize) -> PathBuf {
    let path = folder.join(name);
    let side = side as u32;
    GrayImage::from_raw(side, side, pixels.to_vec())
        .unwrap()
        .save(&path)
        .unwrap();
    path
}

#[test]
fn images_are_recognised_in_any_size_and_polarity_and_blank_ones_called_blank() {
    let out = folder();
    let config = GlyphConfig {
        size: 90,
        seed: 3,
        ..GlyphConfig::default()
    };
    let drawn = generate(GlyphSet::Digits, Split::Test, 30, &config).unwrap();
    let mut paths = Vec::new();
    for index in 0..drawn.len() {
        let light_on_dark = drawn.images.image(index);
        // Grey ink on paper that is not quite white.
        let ink = |&v: &u8| 240 - (f32::from(v) * 0.8) as u8;
        let dark_on_light: Vec<u8> = light_on_dark.iter().map(ink).collect();
        paths.push(png(
            out.path(),
            &format!("{index}-light.png"),
            light_on_dark,
            90,
        ));
        paths.push(png(
            out.path(),
            &format!("{index}-dark.png"),
            &dark_on_light,
            90,
        ));
    }
    paths.push(png(out.path(), "blank.png", &[200; 40 * 40], 40));
    let run = trained().join("run");
    let output = command("predict --json --checkpoint {}", &[&run])
        .args(&paths)
        .output()
        .unwrap();
    let answer = json(&output);
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 61);

    let mut right = 0;
    for (index, pair) in predictions[..60].chunks_exact(2).enumerate() {
        let [light, dark] = [&pair[0]["top"][0], &pair[1]["top"][0]];
        assert_eq!(light["class"], dark["class"], "image {index}");
        let sure = [light, dark].map(|guess| guess["probability"].as_f64().unwrap());
        assert!((sure[0] - sure[1]).abs() < 0.1, "image {index}: {sure:?}");
        right += usize::from(light["class"] == drawn.classes[usize::from(drawn.labels[index])]);
    }
    // The test accuracy of this network is above a half; chance would be three images.
    assert!(right > 15, "only {right} of 30 are right");
    assert_eq!(
        (&predictions[60]["blank"], &predictions[60]["top"]),
        (&true.into(), &serde_json::json!([]))
    );

    let text = succeeded(&crate::support::run(
        "predict --checkpoint {} {} {}",
        &[&run, &paths[0], &paths[60]],
    ));
    assert!(
        text.contains("0-light.png") && text.contains("blank"),
        "{text}"
    );
}

#[test]
fn the_generated_texts_come_as_json_too() {
    for line in ["completions zsh --json", "man --json"] {
        assert!(json(&run(line, &[]))["text"].as_str().unwrap().len() > 100);
    }
}
