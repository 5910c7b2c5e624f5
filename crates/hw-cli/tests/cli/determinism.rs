//! A run is its inputs: the same bits whenever, wherever and with whatever interruptions.

use crate::support::*;
use hw_core::Rng;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

#[test]
fn the_same_run_twice_on_any_number_of_threads_gives_the_same_bytes() {
    let out = folder();
    let train = |name: &str, threads: &str| {
        let run = out.path().join(name);
        let line = format!(
            "train --model bn-cnn --dataset mnist --epochs 2 --batch 50 --data-dir {{}} --out {{}} {threads}"
        );
        succeeded(&crate::support::run(&line, &[small_data(), &run]));
        checkpoints(&run)
    };
    let once = train("once", "");
    for (name, threads) in [
        ("again", ""),
        ("one", "--threads 1"),
        ("two", "--threads 2"),
        ("five", "--threads 5"),
    ] {
        assert!(train(name, threads) == once, "{name} differs");
    }
}

#[test]
fn the_same_run_on_glyphs_gives_the_same_bytes_and_another_seed_does_not() {
    let out = folder();
    let train = |name: &str, seed: u64| {
        let run = out.path().join(name);
        let line = format!(
            "train --model ann --dataset glyphs:digits --limit 300 --epochs 1 --seed {seed} --out {{}}"
        );
        succeeded(&crate::support::run(&line, &[&run]));
        checkpoints(&run)
    };
    let once = train("once", 1);
    assert!(train("again", 1) == once);
    assert!(train("other", 2) != once);
}

#[test]
fn a_run_killed_ten_times_and_resumed_ends_with_the_bytes_of_one_never_stopped() {
    let out = folder();
    let config = tiny_config(out.path());
    let (whole, killed) = (out.path().join("whole"), out.path().join("killed"));
    let start = "train --config {} --epochs 6 --data-dir {} --out {}";
    succeeded(&run(start, &[&config, small_data(), &whole]));

    let mut rng = Rng::stream(1, "kill", 0);
    let mut kills = 0;
    while kills < 10 {
        let mut command = match killed.join("config.json").exists() {
            false => command(
                &format!("{start} -v --checkpoint-every 0"),
                &[&config, small_data(), &killed],
            ),
            true => command(
                "train --resume {} -v --checkpoint-every 0 --data-dir {}",
                &[&killed, small_data()],
            ),
        };
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // A fresh start is worth nothing before the run itself begins.
        while !lines
            .next()
            .expect("it finished before it was killed")
            .unwrap()
            .starts_with("training")
        {}
        for _ in 0..rng.below(6) {
            lines.next();
        }
        if rng.below(2) == 0 {
            wait_for_a_half_written_file(&killed, &mut child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    let output = run(
        "train --resume {} --data-dir {} --json",
        &[&killed, small_data()],
    );
    let answer = json(&output);
    assert_eq!(answer["finished"], true);
    assert!(
        stderr(&output).contains("going on after step"),
        "all was over before the last kill"
    );
    assert!(
        checkpoints(&killed) == checkpoints(&whole),
        "the resumed run differs"
    );
    nothing_half_written(&killed);
    assert_eq!(history(&killed), history(&whole));
}

/// Returns as soon as a file is being written in `folder`, the worst moment to be killed.
fn wait_for_a_half_written_file(folder: &Path, child: &mut std::process::Child) {
    let partial = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".partial-"))
    };
    while child.try_wait().unwrap().is_none() {
        if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(partial)) {
            return;
        }
        std::thread::yield_now();
    }
}

/// The epochs of a run as its log has them, without what was measured by a clock.
fn history(run: &Path) -> Vec<hw_train::EpochRecord> {
    let events = hw_train::events::read(&run.join("events.jsonl"));
    let timeless = |record| hw_train::EpochRecord {
        seconds: 0.0,
        images_per_second: 0.0,
        partial: false,
        load: None,
        ..record
    };
    hw_train::events::epochs(&events)
        .into_iter()
        .map(timeless)
        .collect()
}

#[test]
fn a_complete_run_is_only_told_when_it_is_resumed() {
    let run = trained().join("run");
    let before = checkpoints(&run);
    let answer = json(&crate::support::run(
        "train --resume {} --json --data-dir {}",
        &[&run, small_data()],
    ));
    assert_eq!(
        (
            &answer["finished"],
            answer["history"].as_array().unwrap().len()
        ),
        (&true.into(), 6)
    );
    assert!(checkpoints(&run) == before);
}
