//! One small reproduction on glyphs, its archive, and what becomes of both.

use super::record::{CameOfIt, Record};
use super::store::Archive;
use crate::command::{Finished, run};
use crate::error::ReproError;
use crate::execute::tests::RUNS;
use crate::options::{Common, DataChoice, Options, Profile};
use hw_core::CancelToken;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

/// A run with two seeds, one it teaches, one that diverges, one with a search, and every kind of figure
/// that a network or images are needed for.
const PAPER: &str = r#"
    [[run]]
    id = "distilled"
    like = "a"
    teacher = { run = "a", weight = 0.5, temperature = 2.0 }
    [[variant]]
    id = "merged"
    dataset = "emnist-bymerge"
    [[section]]
    title = "s"
    text = "x"
    [[section.table]]
    id = "t"
    caption = "c"
    rows_title = "r"
    columns = ["own", "other", "time", "images", "distilled", "searched", "diverges"]
    [[section.table.row]]
    label = "a"
    cells = [
      { value = "a.accuracy", reported = "90" }, { value = "a@merged.f1_macro" }, { value = "a.train_seconds" },
      { count = "emnist-letters.total" }, { value = "distilled.val_accuracy" }, { value = "searched.accuracy" },
      { value = "diverges.accuracy" },
    ]
    [[section.figure]]
    id = "f1"
    caption = "Mistakes."
    kind = "errors"
    runs = ["a"]
    [[section.figure]]
    id = "f2"
    caption = "Map."
    kind = "map"
    runs = ["a"]
    [[section.figure]]
    id = "f3"
    caption = "Counts."
    kind = "class-counts"
    datasets = ["emnist-letters"]
    [[claim]]
    id = "1"
    text = "c"
    [[claim.part]]
    text = "one is better than the other"
    check = "distilled.accuracy > a.accuracy"
    [[claim]]
    id = "2"
    text = "it is faster"
    [[claim.part]]
    text = "by the second"
    check = "searched.image_us > a.image_us"
"#;

/// A reproduction with its archive.
struct Made {
    home: TempDir,
    paper: PathBuf,
    /// What its report says.
    cells: String,
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// What the report in a folder says, as it was written.
    fn cells_in(&self, out: &str) -> String {
        let path = self.path(out).join("report").join("cells.json");
        std::fs::read_to_string(path).unwrap()
    }

    fn from(&self, archive: &Path, out: &str, budget: f64) -> Result<Finished, ReproError> {
        let mut options = options(&self.paper, &self.path(out));
        options.profile = None;
        options.archive.from_archive = Some(archive.into());
        options.archive.budget = Some(budget);
        options.archive.seed = Some(5);
        run(&options, &Common::default(), &CancelToken::new())
    }

    /// The archive once more, changed.
    fn changed(&self, name: &str, change: impl FnOnce(&mut Archive)) -> PathBuf {
        let mut archive = Archive::open(&self.archive()).unwrap();
        change(&mut archive);
        let path = self.path(name);
        archive.write(&path).unwrap();
        path
    }

    fn merged(&self, target: &str, of: &[&Path]) -> Result<Finished, ReproError> {
        let mut options = Options::default();
        options.archive.archive = Some(self.path(target));
        options.archive.merge = of.iter().map(|path| path.to_path_buf()).collect();
        run(&options, &Common::default(), &CancelToken::new())
    }
}

fn options(paper: &Path, out: &Path) -> Options {
    Options {
        papers: vec![paper.into()],
        profile: Some(Profile::Smoke),
        data: DataChoice::Glyphs,
        out: Some(out.into()),
        ..Options::default()
    }
}

/// Made once for the tests that run at the same time, and removed after the last of them.
fn made() -> Arc<Made> {
    static MADE: Mutex<Weak<Made>> = Mutex::new(Weak::new());
    let mut known = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = known.upgrade() {
        return made;
    }
    let home = tempfile::tempdir().unwrap();
    let paper = home.path().join("tiny.toml");
    std::fs::write(&paper, format!("{RUNS}{PAPER}")).unwrap();
    let mut made = Made {
        home,
        paper,
        cells: String::new(),
    };
    let mut options = options(&made.paper, &made.path("out"));
    options.archive.archive = Some(made.archive());
    run(&options, &Common::default(), &CancelToken::new()).unwrap();
    made.cells = made.cells_in("out");
    let made = Arc::new(made);
    *known = Arc::downgrade(&made);
    made
}

/// Any run of the main network.
fn first(archive: &Archive) -> String {
    let tested = |record: &&Record| record.tested().is_some() && record.config.teacher.is_none();
    let mut records = archive.records.values();
    records.find(tested).unwrap().run.clone()
}

fn tested<'a>(archive: &'a mut Archive, run: &str) -> &'a mut super::record::Tested {
    match &mut archive.records.get_mut(run).unwrap().came_of_it {
        CameOfIt::Tested(tested) => tested,
        other => panic!("{other:?}"),
    }
}

fn message(result: Result<Finished, ReproError>) -> String {
    let message = result.unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn the_report_from_an_archive_is_the_report_that_was_archived() {
    let made = made();
    let finished = made.from(&made.archive(), "again", 0.0).unwrap();
    assert!(finished.is_good() && finished.runs > 3);
    assert_eq!(made.cells_in("again"), made.cells);
    let page = |out: &str| {
        let path = made.path(out).join("report/tiny.md");
        std::fs::read_to_string(path).unwrap()
    };
    let (first, again) = (page("out"), page("again"));
    for there in [
        "diverged",
        "magic",
        "Mistakes.",
        "by what the last layer sees",
        "images a class",
    ] {
        assert!(
            first.contains(there) && again.contains(there),
            "{there} in {again}"
        );
    }
    assert!(first.contains("../runs/") && !again.contains("../runs/"));
    // Nothing was trained, and the archive is small.
    assert!(!made.path("again/runs").exists());
    let records = std::fs::read_dir(made.archive().join("runs"))
        .unwrap()
        .flatten();
    let largest = records.map(|file| file.metadata().unwrap().len()).max();
    assert!(largest.unwrap() < 12_000, "{largest:?}");
}

#[test]
fn an_archive_is_completed_by_the_same_reproduction_and_refused_by_another() {
    let made = made();
    let kept = made.changed("completed", |archive| {
        archive.records.pop_first();
    });
    let again = |change: fn(&mut Options)| {
        let mut options = options(&made.paper, &made.path("out"));
        options.archive.archive = Some(kept.clone());
        change(&mut options);
        run(&options, &Common::default(), &CancelToken::new())
    };
    again(|_| {}).unwrap();
    let all = Archive::open(&made.archive()).unwrap();
    assert_eq!(
        Archive::open(&kept).unwrap().records.len(),
        all.records.len()
    );
    let refused = message(again(|options| options.seeds = Some(1)));
    assert!(
        refused.contains("another reproduction: --seeds"),
        "{refused}"
    );
    let other = made.path("other-files");
    std::fs::create_dir_all(other.join("sub")).unwrap();
    let mut options = options(&made.paper, &made.path("out"));
    options.archive.archive = Some(other);
    let refused = message(run(&options, &Common::default(), &CancelToken::new()));
    assert!(refused.contains("holds other files"), "{refused}");
}

#[test]
fn runs_of_an_older_computation_serve_and_the_report_says_so() {
    let made = made();
    let old = |run: &str| format!("0ld{run}");
    let older = made.changed("older", |archive| {
        let records = std::mem::take(&mut archive.records);
        for mut record in records.into_values() {
            record.run = old(&record.run);
            record.computation.version -= 1;
            let teacher = record.config.teacher.iter_mut();
            teacher.for_each(|teacher| teacher.runs.iter_mut().for_each(|run| *run = old(run)));
            if let CameOfIt::Tested(tested) = &mut record.came_of_it {
                tested.result.run = record.run.clone();
                tested.result.computation = record.computation.clone();
                tested.result.config = record.config.clone();
            }
            archive.records.insert(record.run.clone(), record);
        }
    });
    made.from(&older, "from-older", 0.0).unwrap();
    let value = |out: &str| -> Value { serde_json::from_str(out).unwrap() };
    let (one, other) = (value(&made.cells), value(&made.cells_in("from-older")));
    let numbers = |report: &Value| -> Vec<Value> {
        let cells = report["cells"].as_array().unwrap().iter();
        cells.map(|cell| cell["values"].clone()).collect()
    };
    assert_eq!(numbers(&one), numbers(&other));
    let version = &other["computed_by"][0]["computation"]["version"];
    assert_eq!(
        version.as_u64(),
        one["computed_by"][0]["computation"]["version"]
            .as_u64()
            .map(|v| v - 1)
    );
    let front = std::fs::read_to_string(made.path("from-older/report/index.md")).unwrap();
    assert!(
        front.contains("another version of the computation"),
        "{front}"
    );
}

#[test]
fn archives_of_parts_merge_to_the_whole_and_the_same_run_twice_is_one() {
    let made = made();
    let half = |odd: usize| {
        made.changed(&format!("half-{odd}"), |archive| {
            let runs: Vec<String> = archive.records.keys().cloned().collect();
            for run in runs.iter().skip(odd).step_by(2).skip(1) {
                archive.records.remove(run);
            }
        })
    };
    let (one, two) = (half(0), half(1));
    made.merged("whole", &[&one, &two]).unwrap();
    made.from(&made.path("whole"), "from-whole", 0.0).unwrap();
    assert_eq!(made.cells_in("from-whole"), made.cells);
    // Where the archive lacks a run, its cells say so.
    let few = made.changed("few", |archive| archive.records.clear());
    made.from(&few, "from-few", 0.0).unwrap();
    assert!(made.cells_in("from-few").contains("not in the archive"));
}

#[test]
fn the_same_run_with_other_results_is_refused_unless_another_processor_made_it() {
    let made = made();
    let run = first(&Archive::open(&made.archive()).unwrap());
    let other = |name: &str, processor: Option<&str>| {
        made.changed(name, |archive| {
            let record = archive.records.get_mut(&run).unwrap();
            record.weights = Some("0".repeat(64));
            if let Some(processor) = processor {
                record.machine.processor = processor.into();
            }
            tested(archive, &run).result.answers.wrong.pop();
        })
    };
    let same = other("same-processor", None);
    let refused = message(made.merged("refused", &[&made.archive(), &same]));
    assert!(
        refused.contains(&run) && refused.contains("other results"),
        "{refused}"
    );
    assert!(!made.path("refused").exists());
    let elsewhere = other("elsewhere", Some("another processor"));
    made.merged("kept", &[&made.archive(), &elsewhere]).unwrap();
    let kept = Archive::open(&made.path("kept")).unwrap();
    assert_ne!(kept.records[&run].machine.processor, "another processor");
    let times = made.changed("other-times", |archive| {
        tested(archive, &run).result.test_seconds += 1.0;
        tested(archive, &run).result.history[0].seconds += 1.0;
    });
    made.merged("times", &[&made.archive(), &times]).unwrap();
}

#[test]
fn what_is_damaged_or_of_other_data_is_refused_in_one_line_that_names_it() {
    let made = made();
    let copy = |name: &str| made.changed(name, |_| {});
    let refused = |folder: &Path| message(made.from(folder, "refused", 0.0));
    let one_of = |folder: &Path| {
        let runs = std::fs::read_dir(folder.join("runs")).unwrap();
        runs.flatten().next().unwrap().path()
    };
    let (cut, gone, flipped) = (copy("cut"), copy("gone"), copy("flipped"));
    let bytes = std::fs::read(one_of(&cut)).unwrap();
    std::fs::write(one_of(&cut), &bytes[..bytes.len() / 2]).unwrap();
    assert!(
        refused(&cut).contains(".hwr is damaged"),
        "{}",
        refused(&cut)
    );
    std::fs::remove_file(one_of(&gone)).unwrap();
    assert!(refused(&gone).contains("it is missing"));
    let looks = flipped.join("looks.hwr");
    let mut bytes = std::fs::read(&looks).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&looks, bytes).unwrap();
    assert!(refused(&flipped).contains("looks.hwr is damaged"));
    assert!(refused(&made.path("nowhere")).contains("no such folder"));
    assert!(refused(made.home.path()).contains("is no archive"));
    // A manifest that leads elsewhere, is of a later format, or is no JSON.
    let manifest = |name: &str, from: &str, to: &str| {
        let folder = copy(name);
        let path = folder.join("manifest.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        refused(&folder)
    };
    assert!(manifest("later", "\"version\": 1", "\"version\": 2").contains("format version 2"));
    assert!(manifest("leads", "looks.hwr", "../looks.hwr").contains("lies in its folder"));
    assert!(manifest("text", "{", "[").contains("manifest.json is damaged"));
    let paper = manifest("paper", "\"tiny\": \"", "\"tiny\": \"0");
    assert!(
        paper.contains("another version of the paper tiny"),
        "{paper}"
    );
    let none = manifest("no-paper", "\"tiny\"", "\"huge\"");
    assert!(none.contains("about the paper huge"), "{none}");
    let data = made.changed("other-data", |archive| {
        for record in archive.records.values_mut() {
            record.data.sha256 = "1".repeat(64);
        }
    });
    let refused = message(made.merged("refused", &[&made.archive(), &data]));
    assert!(
        refused.contains("is of other data: emnist-letters"),
        "{refused}"
    );
}

#[test]
fn a_proof_finds_the_same_bits_here_and_a_changed_record_different() {
    let made = made();
    let finished = made.from(&made.archive(), "proved", 2.0).unwrap();
    assert_eq!(finished.different, 0);
    let page =
        |out: &str| std::fs::read_to_string(made.path(out).join("proof/report/index.md")).unwrap();
    let proved = page("proved");
    // Two seeds each of a run, its pupil and the searched one at most; the budget lets all be drawn.
    assert!(proved.matches("the same bits").count() > 3, "{proved}");
    assert!(proved.contains("glyphs drawn by this program"), "{proved}");
    let falsified = made.changed("falsified", |archive| {
        for record in archive.records.values_mut() {
            record.weights = Some("0".repeat(64));
        }
    });
    let finished = made.from(&falsified, "disproved", 1.0).unwrap();
    assert!(finished.different > 0 && !finished.is_good());
    assert!(page("disproved").contains("DIFFERENT"));
    // The same change from another processor may be its rounding: no answer differs.
    let elsewhere = made.changed("rounded", |archive| {
        let runs: Vec<String> = archive.records.keys().cloned().collect();
        for run in runs {
            archive.records.get_mut(&run).unwrap().weights = Some("0".repeat(64));
            if archive.records[&run].tested().is_some() {
                tested(archive, &run).result.machine.processor = "another processor".into();
            }
        }
    });
    let finished = made.from(&elsewhere, "rounding", 1.0).unwrap();
    assert_eq!(finished.different, 0);
    assert!(page("rounding").contains("within rounding"));
}

#[test]
fn a_stopped_proof_leaves_the_report_and_shows_what_was_proved_until_then() {
    let made = made();
    let mut options = options(&made.paper, &made.path("stopped"));
    options.profile = None;
    options.archive.from_archive = Some(made.archive());
    options.archive.budget = Some(1.0);
    let cancel = CancelToken::new();
    cancel.cancel();
    let stopped = run(&options, &Common::default(), &cancel).unwrap_err();
    assert!(matches!(stopped, ReproError::StoppedProof), "{stopped}");
    assert_eq!(stopped.exit_status(), 130);
    assert_eq!(made.cells_in("stopped"), made.cells);
    let page = std::fs::read_to_string(made.path("stopped/proof/report/index.md")).unwrap();
    assert!(page.contains("0 of ") && page.contains("stopped"), "{page}");
}
