//! The event log, which the progress bar, the report and other programs read.

use crate::support::{complete, config, experiment, go_until, resume, snapshots};
use hw_train::{Event, events};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|l| l["event"].as_str().unwrap()).collect()
}

/// The `field` of all events of one kind.
fn numbers(lines: &[Value], kind: &str, field: &str) -> Vec<u64> {
    let of_kind = lines.iter().filter(|line| line["event"] == kind);
    of_kind.map(|line| line[field].as_u64().unwrap()).collect()
}

#[test]
fn every_line_is_a_json_object_and_the_observer_saw_the_same() {
    let experiment = experiment(config());
    let folder = tempfile::tempdir().unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    go_until(&experiment, folder.path(), |event| {
        seen.borrow_mut().push(event.clone());
        false
    });
    let lines = lines(folder.path());
    let expected = [
        "started", "step", "epoch", "step", "step", "epoch", "step", "step", "epoch", "finished",
    ];
    assert_eq!(kinds(&lines), expected);
    assert_eq!(
        events::read(&folder.path().join("events.jsonl")),
        *seen.borrow()
    );
    assert_eq!(lines[0]["run"], experiment.id());
    assert_eq!(lines[0]["synthetic"], true);
    assert_eq!(lines[0]["steps_per_epoch"], 38);
}

#[test]
fn a_resumed_log_has_each_epoch_and_each_step_once() {
    let experiment = experiment(config());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for wanted in [20, 60] {
        go_until(
            &experiment,
            folder,
            |event| matches!(event, Event::Step { step, .. } if *step == wanted),
        );
    }
    let outcome = resume(&experiment, folder).unwrap();
    let lines = lines(folder);
    assert_eq!(numbers(&lines, "epoch", "epoch"), [1, 2, 3]);
    assert_eq!(numbers(&lines, "step", "step"), [20, 40, 60, 80, 100]);
    let starts = lines.iter().filter(|line| line["event"] == "started");
    let resumed_at: Vec<_> = starts.map(|line| line["resumed_at"].as_u64()).collect();
    assert_eq!(resumed_at, [None, Some(20), Some(60)]);
    assert_eq!(kinds(&lines).last(), Some(&"finished"));
    let partial: Vec<bool> = outcome.history.iter().map(|e| e.partial).collect();
    assert_eq!(partial, [true, true, false]);
    assert!(outcome.partly_timed());
}

#[test]
fn a_log_of_before_the_load_was_measured_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("events.jsonl");
    let old = r#"{"event":"epoch","epoch":1,"step":3,"train":{"loss":0.5,"accuracy":0.25,"images":12},"validation":null,"train_probe":null,"test_probe":null,"learning_rate":0.001,"best":true,"seconds":1.5,"images_per_second":8.0,"last_losses":[0.5]}"#;
    std::fs::write(&log, format!("{old}\n")).unwrap();
    let epochs = events::epochs(&events::read(&log));
    assert_eq!((epochs.len(), epochs[0].load), (1, None));
    let written = serde_json::to_string(&Event::Epoch(epochs[0].clone())).unwrap();
    assert_eq!(written, old);
    let busy = hw_train::EpochRecord {
        load: Some(0.25),
        ..epochs[0].clone()
    };
    let json = serde_json::to_value(&busy).unwrap();
    assert_eq!(json["load"], 0.25);
    let read: hw_train::EpochRecord = serde_json::from_value(json).unwrap();
    assert_eq!(read, busy);
}

/// All processors' time so far, in ticks.
#[cfg(target_os = "linux")]
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap().split_whitespace();
    line.skip(1)
        .take(8)
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

#[test]
#[cfg(target_os = "linux")]
fn an_epoch_that_is_long_enough_says_how_busy_others_were() {
    let experiment = experiment(hw_train::TrainConfig {
        epochs: 1,
        ..config()
    });
    let folder = tempfile::tempdir().unwrap();
    let outcome = go_until(&experiment, folder.path(), |event| {
        let start = ticks();
        while matches!(event, Event::Step { .. }) && ticks() < start + 100 {}
        false
    });
    let load = outcome.history[0].load.unwrap();
    assert!((0.0..=1.0).contains(&load), "{load}");
}

#[test]
fn a_killed_runs_log_is_told_again_from_its_safe_point() {
    let experiment = experiment(config());
    let (whole, _) = complete(&experiment);
    let whole = lines(whole.path());
    for (event, folder) in snapshots(&experiment, Duration::MAX) {
        // Killed while writing a line.
        let log = folder.path().join("events.jsonl");
        let mut file = std::fs::OpenOptions::new().append(true).open(log).unwrap();
        file.write_all(br#"{"event":"st"#).unwrap();
        resume(&experiment, folder.path()).unwrap();
        let told = lines(folder.path());
        for (kind, field) in [("epoch", "epoch"), ("step", "step"), ("finished", "epochs")] {
            let (found, wanted) = (numbers(&told, kind, field), numbers(&whole, kind, field));
            assert_eq!(found, wanted, "killed at {event:?}");
        }
    }
}
