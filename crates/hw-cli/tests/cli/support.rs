//! Running `hw` on small data, and judging what it did.

use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::idx::{self, IdxArray, IdxData, Packing};
use hw_data::{Dataset, GlyphSet, Split};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A temporary folder.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// `hw` on a machine without any data.
pub(crate) fn hw() -> Command {
    static EMPTY: OnceLock<TempDir> = OnceLock::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hw"));
    command
        .env_remove("HW_DATA_DIR")
        .env_remove("HW_LOG")
        .env_remove("RUST_BACKTRACE");
    command.env("XDG_CACHE_HOME", EMPTY.get_or_init(folder).path());
    command
}

/// Runs `hw` with these arguments, separated by spaces; `{}` stands for the paths in turn.
pub(crate) fn run(line: &str, paths: &[&Path]) -> Output {
    command(line, paths).output().unwrap()
}

/// The command that [`run`] runs.
pub(crate) fn command(line: &str, paths: &[&Path]) -> Command {
    let mut paths = paths.iter();
    let mut command = hw();
    for word in line.split_whitespace() {
        match word.split_once("{}") {
            None => command.arg(word),
            Some((before, after)) => command.arg(format!(
                "{before}{}{after}",
                paths.next().unwrap().display()
            )),
        };
    }
    assert!(paths.next().is_none(), "more paths than places in '{line}'");
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts success and gives standard output.
pub(crate) fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{:?}\n{}",
        output.status,
        stderr(output)
    );
    stdout(output)
}

/// Asserts success and that standard output is one line with one JSON object, and gives that.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    let text = succeeded(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value.is_object(), "{text}");
    value
}

/// Asserts that the command failed with one clear last line that holds all `needles`.
pub(crate) fn failed(output: &Output, needles: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("error: "))
            .count(),
        1,
        "{text}"
    );
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{text}");
    for needle in needles {
        assert!(last.contains(needle), "'{needle}' is not in: {last}");
    }
    assert_eq!(stdout(output), "");
}

/// Asserts that the command was refused as wrong usage, with all `needles` in its complaint.
pub(crate) fn wrong_usage(output: &Output, needles: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("error: ") && !text.contains("panicked"),
        "{text}"
    );
    for needle in needles {
        assert!(text.contains(needle), "'{needle}' is not in: {text}");
    }
    assert_eq!(stdout(output), "");
}

/// Asserts that nothing under `folder` is half-written: no partial file, no checkpoint that does
/// not load.
pub(crate) fn nothing_half_written(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with(".partial-"), "{}", path.display());
        if path.is_dir() {
            nothing_half_written(&path);
        } else if name.ends_with(".safetensors") {
            hw_models::weights::read(&path).unwrap();
        }
    }
}

/// The two checkpoints of a run.
pub(crate) fn checkpoints(run: &Path) -> [Vec<u8>; 2] {
    ["best.safetensors", "last.safetensors"].map(|name| std::fs::read(run.join(name)).unwrap())
}

/// A data folder with a small MNIST of drawn digits: 400 images to train on, 100 to test.
pub(crate) fn small_data() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    DATA.get_or_init(|| digits(0)).path()
}

/// Such a folder with the digits of another seed.
pub(crate) fn digits(seed: u64) -> TempDir {
    let data = folder();
    let config = GlyphConfig {
        seed,
        ..GlyphConfig::default()
    };
    for (split, prefix, count) in [(Split::Train, "train", 400), (Split::Test, "t10k", 100)] {
        let drawn = generate(GlyphSet::Digits, split, count, &config).unwrap();
        write_idx(&data.path().join("mnist"), prefix, &drawn);
    }
    data
}

fn write_idx(folder: &Path, prefix: &str, set: &Dataset) {
    let count = set.len() as u32;
    let labels = set.labels.iter().map(|&label| label as u8).collect();
    let images = IdxArray::new(
        vec![count, 28, 28],
        IdxData::U8(set.images.bytes().to_vec()),
    );
    let labels = IdxArray::new(vec![count], IdxData::U8(labels));
    let path = |what: &str| folder.join(format!("{prefix}-{what}-ubyte.gz"));
    idx::write(&path("images-idx3"), &images.unwrap(), Packing::Gzip).unwrap();
    idx::write(&path("labels-idx1"), &labels.unwrap(), Packing::Gzip).unwrap();
}

/// A config file for a network with everything that carries state (batch normalisation, dropout,
/// momentum, early stopping) and next to no weights.
pub(crate) fn tiny_config(folder: &Path) -> PathBuf {
    let config = serde_json::json!({
        "model": "tiny",
        "dataset": "mnist",
        "optimizer": { "name": "momentum", "momentum": 0.9 },
        "learning_rate": 0.02,
        "batch": 5,
        "epochs": 4,
        "val_fraction": 0.25,
        "early_stopping": { "patience": 3 },
        "spec": {
            "name": "tiny",
            "input": [1, 28, 28],
            "classes": 10,
            "init": "he_normal",
            "layers": [
                { "type": "conv", "out": 3, "kernel": [5, 5], "stride": [3, 3], "padding": "valid", "bias": true },
                { "type": "batch_norm", "eps": 1e-5, "momentum": 0.1 },
                { "type": "activation", "function": "relu" },
                { "type": "dropout", "rate": 0.2 },
                { "type": "flatten" },
                { "type": "dense", "units": 10, "bias": true }
            ]
        }
    });
    let path = folder.join("tiny.json");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// A trained network on the small data, and its folder.
pub(crate) fn trained() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(|| {
        let run = folder();
        let line =
            "train --model lenet5 --dataset mnist --epochs 6 --batch 20 --data-dir {} --out {}";
        succeeded(&self::run(line, &[small_data(), &run.path().join("run")]));
        run
    })
    .path()
}
