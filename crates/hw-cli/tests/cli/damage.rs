//! Whatever is wrong with files, disks and numbers ends in one clear line, and nothing half-written.

use crate::support::*;
use hw_data::idx::{self, IdxArray, IdxData, Packing};
use std::path::Path;

const IMAGES: &str = "mnist/train-images-idx3-ubyte.gz";
const LABELS: &str = "mnist/train-labels-idx1-ubyte.gz";

/// Trains on the small data after `spoil` had its way with it, and expects a refusal.
fn refuses_data(spoil: impl FnOnce(&Path), needles: &[&str]) {
    let (data, out) = (digits(0), folder());
    spoil(data.path());
    let run = out.path().join("run");
    let line = "train --model ann --dataset mnist --data-dir {} --out {}";
    failed(&crate::support::run(line, &[data.path(), &run]), needles);
    assert!(!run.exists(), "something was written");
}

fn cut(path: &Path, share: f64) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
}

fn labels(path: &Path, values: Vec<u8>) {
    let array = IdxArray::new(vec![values.len() as u32], IdxData::U8(values)).unwrap();
    idx::write(path, &array, Packing::Gzip).unwrap();
}

#[test]
fn a_truncated_file_is_refused() {
    refuses_data(|data| cut(&data.join(IMAGES), 0.5), &[IMAGES]);
    refuses_data(|data| cut(&data.join(LABELS), 0.5), &[LABELS]);
}

#[test]
fn an_empty_file_is_refused() {
    refuses_data(|data| cut(&data.join(IMAGES), 0.0), &[IMAGES]);
    refuses_data(|data| cut(&data.join(LABELS), 0.0), &[LABELS]);
}

#[test]
fn a_header_that_declares_more_than_there_is_is_refused() {
    let huge = [
        0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2, 3,
    ];
    refuses_data(
        |data| std::fs::write(data.join(IMAGES), huge).unwrap(),
        &[IMAGES, "byte"],
    );
}

#[test]
fn a_wrong_magic_number_is_refused() {
    let wrong = [1, 2, 3, 4, 0, 0, 0, 1, 0];
    refuses_data(
        |data| std::fs::write(data.join(LABELS), wrong).unwrap(),
        &[LABELS, "byte 0"],
    );
}

#[test]
fn a_gz_file_that_is_no_gzip_is_refused() {
    let page = b"<html>404 Not Found</html>";
    refuses_data(
        |data| std::fs::write(data.join(IMAGES), page).unwrap(),
        &[IMAGES],
    );
}

#[test]
fn images_and_labels_of_different_number_are_refused() {
    refuses_data(
        |data| labels(&data.join(LABELS), vec![1; 399]),
        &[IMAGES, LABELS, "400", "399"],
    );
}

#[test]
fn a_label_out_of_range_is_refused() {
    let mut values = vec![3; 400];
    values[17] = 10;
    refuses_data(
        |data| labels(&data.join(LABELS), values),
        &[LABELS, "10", "image 17"],
    );
}

#[test]
fn a_missing_file_is_named_with_what_to_place_where_and_what_to_do_without() {
    let needles = [
        "train-labels-idx1-ubyte",
        "place",
        "--data-dir",
        "--dataset glyphs:digits",
        "synthetic",
    ];
    refuses_data(
        |data| std::fs::remove_file(data.join(LABELS)).unwrap(),
        &needles,
    );
    // Without any data at all.
    let out = folder();
    let output = run(
        "train --model bn-cnn --dataset emnist-letters --out {}",
        &[&out.path().join("run")],
    );
    failed(
        &output,
        &[
            "emnist-letters",
            "place",
            "HW_DATA_DIR",
            "--dataset glyphs:letters",
        ],
    );
}

#[test]
fn a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_refused() {
    let folder_for_file = |data: &Path| {
        std::fs::remove_file(data.join(IMAGES)).unwrap();
        std::fs::create_dir(data.join(IMAGES)).unwrap();
    };
    refuses_data(folder_for_file, &["train-images-idx3-ubyte"]);
    let file_for_folder = |data: &Path| {
        std::fs::remove_dir_all(data.join("mnist")).unwrap();
        std::fs::write(data.join("mnist"), "").unwrap();
    };
    refuses_data(file_for_folder, &["mnist"]);

    let out = folder();
    let file = out.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("run");
    let train = "train --model ann --dataset mnist --data-dir {} --out {}";
    failed(
        &run(train, &[&file, &out.path().join("run")]),
        &["file", "not a folder"],
    );
    failed(&run(train, &[small_data(), &file]), &["file"]);
    failed(&run(train, &[small_data(), &inside]), &["file/run"]);
    let folder_set = "train --model ann --dataset folder:{} --out {}";
    failed(
        &run(folder_set, &[&file, &out.path().join("run")]),
        &["file"],
    );
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_full_disk_while_a_checkpoint_is_written_leaves_the_last_good_one() {
    let out = folder();
    let whole = out.path().join("whole");
    let train = "train --model ann --dataset mnist --epochs 2 --data-dir {} --out {}";
    succeeded(&run(train, &[small_data(), &whole]));

    // A limit on file size makes writes fail the way a full disk does. 119,910 weights take 0.48 MB,
    // with their two moments 1.44 MB; 1,100 blocks are 0.56 or, in some shells, 1.13 MB.
    let run = out.path().join("run");
    let binary = env!("CARGO_BIN_EXE_hw");
    let script = format!(
        "trap '' XFSZ; ulimit -f 1100; exec '{binary}' train --model ann --dataset mnist --epochs 2 \
         --data-dir '{}' --out '{}'",
        small_data().display(),
        run.display()
    );
    let mut shell = std::process::Command::new("sh");
    let output = shell.arg("-c").arg(script).output().unwrap();
    failed(&output, &["last.safetensors", "write"]);
    nothing_half_written(&run);
    // With room again, the run goes on to the same bytes.
    succeeded(&crate::support::run(
        "train --resume {} --data-dir {}",
        &[&run, small_data()],
    ));
    assert!(checkpoints(&run) == checkpoints(&whole));
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_step_and_place() {
    let out = folder();
    let cases = [
        ("by-the-second-step", "ann-bn", "--lr 1e30"),
        (
            "in-the-only-step",
            "lenet5",
            "--lr 3e38 --scale raw --epochs 1 --batch 360",
        ),
        (
            "nothing-held-out",
            "lenet5",
            "--lr 3e38 --scale raw --epochs 1 --batch 400 --val-fraction 0",
        ),
    ];
    for (name, model, options) in cases {
        let run = out.path().join(name);
        let line = format!(
            "train --model {model} --dataset mnist --optimizer sgd {options} --data-dir {{}} --out {{}}"
        );
        failed(
            &crate::support::run(&line, &[small_data(), &run]),
            &["diverged", "step", "learning rate"],
        );
        nothing_half_written(&run);
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_by_everyone_who_reads_it() {
    let out = folder();
    let good = std::fs::read(trained().join("run/best.safetensors")).unwrap();
    let image = out.path().join("image.png");
    std::fs::write(&image, "").unwrap();
    let oversized: Vec<u8> = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let cases: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("truncated", &good[..good.len() / 2]),
        ("header-cut", &good[..40]),
        ("oversized-header", &oversized),
        ("not-safetensors", b"<html>404 Not Found</html>"),
    ];
    for (name, bytes) in cases {
        let file = format!("{name}.safetensors");
        let path = out.path().join(&file);
        std::fs::write(&path, bytes).unwrap();
        failed(
            &run(
                "eval --checkpoint {} --dataset mnist --data-dir {}",
                &[&path, small_data()],
            ),
            &[&file],
        );
        failed(
            &run("predict --checkpoint {} {}", &[&path, &image]),
            &[&file],
        );
    }
    let absent = out.path().join("absent");
    failed(
        &run("eval --checkpoint {} --dataset mnist", &[&absent]),
        &["absent"],
    );
    failed(
        &run("eval --checkpoint {} --dataset mnist", &[out.path()]),
        &["holds no run"],
    );
    failed(
        &run("train --resume {}", &[&absent]),
        &["absent", "holds no run"],
    );
}

#[test]
fn a_run_whose_last_checkpoint_is_damaged_is_not_resumed_and_not_overwritten() {
    let out = folder();
    let run = out.path().join("run");
    let train = "train --model ann --dataset mnist --epochs 1 --data-dir {} --out {}";
    succeeded(&crate::support::run(train, &[small_data(), &run]));
    // Starting again in its place is refused too.
    failed(
        &crate::support::run(train, &[small_data(), &run]),
        &["already holds run", "--resume"],
    );

    cut(&run.join("last.safetensors"), 0.7);
    let resume = "train --resume {} --data-dir {}";
    failed(
        &crate::support::run(resume, &[&run, small_data()]),
        &["last.safetensors"],
    );
    // On other data it is another run.
    let other = digits(5);
    failed(
        &crate::support::run(resume, &[&run, other.path()]),
        &["holds run", "the data or the config"],
    );
}

#[test]
fn a_bad_config_file_is_refused_with_its_name_and_place() {
    let out = folder();
    let path = out.path().join("config.json");
    let cases = [
        ("{", &["config.json", "line 1"][..]),
        (r#"{"modle":"ann"}"#, &["config.json", "modle"]),
        (r#"{"batch":0}"#, &["config.json", "batch is 0"]),
        (r#"{"model":"no-such"}"#, &["no-such", "bn-cnn"]),
        (
            r#"{"dataset":"mnits"}"#,
            &["config.json", "did you mean", "mnist"],
        ),
    ];
    for (text, needles) in cases {
        std::fs::write(&path, text).unwrap();
        let line = "train --config {} --data-dir {} --out {}";
        failed(
            &run(line, &[&path, small_data(), &out.path().join("run")]),
            needles,
        );
    }
    let absent = out.path().join("absent.json");
    failed(
        &run(
            "train --config {} --out {}",
            &[&absent, &out.path().join("run")],
        ),
        &["absent.json"],
    );
}

#[test]
fn an_image_that_is_none_is_refused() {
    let out = folder();
    let cases: [(&str, &[u8]); 3] = [
        ("empty.png", b""),
        ("text.png", b"not an image"),
        (
            "cut.png",
            &[
                0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R',
            ],
        ),
    ];
    for (name, bytes) in cases {
        let path = out.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        failed(
            &run(
                "predict --checkpoint {} {}",
                &[&trained().join("run"), &path],
            ),
            &[name],
        );
    }
    let absent = out.path().join("absent.png");
    failed(
        &run(
            "predict --checkpoint {} {}",
            &[&trained().join("run"), &absent],
        ),
        &["absent.png"],
    );
}

#[test]
fn a_teacher_is_learned_from_or_refused_in_one_line() {
    let out = folder();
    let place = |name: &str| out.path().join(name);
    let train = "train --model ann --dataset glyphs:digits --limit 100 --epochs 1 --out {}";
    succeeded(&run(train, &[&place("large")]));
    let distilled = format!("{train} --teacher {{}}");
    let settings = format!("{distilled} --teacher-weight 0.5 --teacher-temperature 3");
    succeeded(&run(&settings, &[&place("small"), &place("large")]));
    let config = place("small").join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let large = hw_train::run::read_run(&place("large")).unwrap().run;
    let wanted = serde_json::json!({ "runs": [large], "weight": 0.5, "temperature": 3.0 });
    assert_eq!(json["teacher"], wanted);

    let weights = std::fs::read(place("large").join("best.safetensors")).unwrap();
    std::fs::write(place("cut"), &weights[..weights.len() / 2]).unwrap();
    std::fs::write(place("empty"), "").unwrap();
    std::fs::create_dir(place("nothing")).unwrap();
    for wrong in ["cut", "empty", "nothing", "missing"] {
        failed(
            &run(&distilled, &[&place("new"), &place(wrong)]),
            &[wrong, "--teacher takes"],
        );
    }
    // A config file names its teacher, but does not hold it.
    let again = "train --config {} --out {}";
    failed(
        &run(again, &[&config, &place("new")]),
        &["--teacher", &large],
    );
    // None of this took the folder.
    succeeded(&run(train, &[&place("new")]));
}
