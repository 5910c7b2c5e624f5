//! Many processes on one folder.
#![cfg(target_os = "linux")]

use crate::support::*;
use hw_core::Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Kills of processes at work.
const KILLS: usize = 200;
const WORKERS: usize = 8;

/// Runs of a second or so each, among them a search, a teacher with its pupils, and one that diverges.
const PAPER: &str = r#"
slug = "many"
title = "t"
citation = "c"
about = "a"
main_run = "plain"
[profiles.smoke]
seeds = 6
images = 1500
test_images = 100
[[run]]
id = "plain"
model = "ann-bn"
dataset = "mnist"
optimizer = { name = "adam" }
learning_rate = 0.003
batch = 20
epochs = 24
val_fraction = 0.1
[[run]]
id = "distilled"
like = "plain"
epochs = 12
teacher = { run = "plain", weight = 0.5, temperature = 2.0 }
[[run]]
id = "searched"
like = "plain"
epochs = 9
tune = [0.0003, 0.001, 0.003]
[[run]]
id = "diverges"
like = "plain"
model = "lenet5"
optimizer = { name = "sgd" }
learning_rate = 1e30
[[section]]
title = "s"
text = "x"
[[section.table]]
id = "t"
caption = "c"
rows_title = "r"
columns = ["own"]
[[section.table.row]]
label = "a"
cells = [{ value = "plain.accuracy" }]
[[section.table.row]]
label = "b"
cells = [{ value = "searched.accuracy" }]
[[claim]]
id = "1"
text = "c"
[[claim.part]]
text = "one is better than another"
check = "distilled.accuracy > plain.accuracy"
"#;

const RUN: &str = "reproduce {} --profile smoke --data glyphs --seeds 6 --out {}";

fn worker(paper: &Path, out: &Path) -> Child {
    let line = format!("{RUN} --worker --workers 1 --threads 1");
    let mut command = command(&line, &[paper, out]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The weights of every run by its id; its failure where it has none.
fn runs(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(out.join("runs")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let content = |path: &Path| {
        let weights = std::fs::read(path.join("best.safetensors"));
        weights
            .or_else(|_| std::fs::read(path.join("failed.txt")))
            .unwrap()
    };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    folders.map(|path| (name(&path), content(&path))).collect()
}

/// What a report says apart from times.
fn cells(report: &std::process::Output) -> serde_json::Value {
    let summary: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    summary["cells"].clone()
}

/// The processes that hold a lease now.
fn at_work(out: &Path) -> Vec<u32> {
    let store =
        hw_core::shared::Store::open(out.join("runs"), out.join("work"), Default::default());
    let holders = store.unwrap().holders().unwrap();
    let owners = holders.into_iter().filter_map(|holder| holder.owner);
    owners.map(|owner| owner.process).collect()
}

/// Lets workers make all runs in `out`, and kills those at work, at most so many times; how many.
fn make_and_kill(paper: &Path, out: &Path, most: usize, rng: &mut Rng) -> usize {
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| worker(paper, out)).collect();
    let mut kills = 0;
    while kills < most
        && workers
            .iter_mut()
            .any(|child| child.try_wait().unwrap().is_none())
    {
        // A pause of the schedule, not a time for something to have happened.
        std::thread::sleep(Duration::from_millis(rng.below(40) as u64));
        if !out.join("work").is_dir() {
            continue;
        }
        let busy = at_work(out);
        let mut at_it = workers
            .iter_mut()
            .filter(|child| busy.contains(&child.id()));
        if let Some(victim) = at_it.nth(rng.below(busy.len().max(1))) {
            victim.kill().unwrap();
            victim.wait().unwrap();
            kills += 1;
            *victim = worker(paper, out);
        }
    }
    for worker in &mut workers {
        assert_eq!(worker.wait().unwrap().code(), Some(1), "one run diverges");
    }
    kills
}

#[test]
fn eight_workers_killed_two_hundred_times_make_the_same_runs_as_one() {
    let home = folder();
    let (paper, one) = (home.path().join("many.toml"), home.path().join("one"));
    std::fs::write(&paper, PAPER).unwrap();
    let alone = run(&format!("{RUN} --json"), &[&paper, &one]);
    assert_eq!(
        alone.status.code(),
        Some(1),
        "one run diverges: {}",
        stderr(&alone)
    );
    let expected = runs(&one);
    assert!(expected.len() > 20);

    let mut rng = Rng::stream(1, "kills", 0);
    let mut kills = 0;
    // A fast machine has made all runs before it was disturbed so often, and makes them again.
    while kills < KILLS {
        let many = home.path().join(format!("many-{kills}"));
        let more = make_and_kill(&paper, &many, KILLS - kills, &mut rng);
        assert!(more > 0, "the runs are too short to be killed");
        kills += more;
        let found = runs(&many);
        assert!(expected.keys().eq(found.keys()), "{:?}", found.keys());
        assert!(expected == found, "the same runs, byte for byte");
        assert_eq!(std::fs::read_dir(many.join("work")).unwrap().count(), 0);
        // And the same report, which trains nothing.
        let report = run(&format!("{RUN} --report-only --json"), &[&paper, &many]);
        assert_eq!(cells(&report), cells(&alone));
        let status = json(&run(&format!("{RUN} --status --json"), &[&paper, &many]));
        let [finished, others] =
            ["finished", "others"].map(|field| status[field].as_u64().unwrap());
        assert_eq!(finished + others, found.len() as u64, "{status}");
        assert_eq!(status["finished"], status["most"]);
        assert_eq!(
            (&status["failed"], &status["workers"]),
            (&6.into(), &serde_json::json!([]))
        );
        assert_eq!(status["seconds_of_work_left"], 0.0);
        nothing_half_written(&many);
    }
}

/// Asserts wrong usage, in one last line that holds all `needles`.
fn refused(output: &std::process::Output, needles: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{said}");
    assert!(needles.iter().all(|needle| last.contains(needle)), "{said}");
}

#[test]
fn workers_of_another_configuration_are_refused_in_one_line() {
    let home = folder();
    let (paper, out) = (home.path().join("many.toml"), home.path().join("out"));
    std::fs::write(&paper, PAPER.replace("epochs = 24", "epochs = 1")).unwrap();
    let line = "reproduce {} --profile smoke --data glyphs --only many/t --out {} --worker";
    let nothing = run(
        "reproduce {} --profile smoke --data glyphs --status --out {}",
        &[&paper, &out],
    );
    refused(&nothing, &["nothing was run there yet"]);
    succeeded(&run(&format!("{line} --seeds 1"), &[&paper, &out]));
    let other = run(&format!("{line} --seeds 2"), &[&paper, &out]);
    refused(&other, &["--seeds 1", "--seeds 2", "plan.json"]);
    std::fs::write(&paper, PAPER.replace("epochs = 24", "epochs = 2")).unwrap();
    let changed = run(&format!("{line} --seeds 1"), &[&paper, &out]);
    refused(&changed, &["other papers or other data"]);
    wrong_usage(
        &run(&format!("{line} --list"), &[&paper, &out]),
        &["--list"],
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_one_line() {
    let home = folder();
    let paper = home.path().join("many.toml");
    std::fs::write(&paper, PAPER).unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let line = "reproduce {} --profile smoke --data glyphs --worker --out {}";
    failed(&run(line, &[&paper, &file.join("out")]), &["--out", "file"]);
    // As a read-only or vanished file system answers, whoever asks.
    failed(
        &run(line, &[&paper, Path::new("/proc/out")]),
        &["--out /proc/out"],
    );
}
