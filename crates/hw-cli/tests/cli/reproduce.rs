//! A paper of one's own, from its first line to its report.

use crate::support::*;
use std::path::Path;

/// A paper of two small networks at a scale of seconds, in `folder`.
fn paper(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("mine.toml");
    succeeded(&run("reproduce --new {}", &[&path]));
    path
}

#[test]
fn a_new_paper_runs_and_its_report_says_what_stood_in_for_the_data() {
    let home = folder();
    let (path, out) = (paper(home.path()), home.path().join("out"));
    let answer = run(
        "reproduce {} --profile smoke --out {} --json",
        &[&path, &out],
    );
    let summary = json(&answer);
    assert_eq!(
        (&summary["profile"], &summary["synthetic"]),
        (&"smoke".into(), &true.into())
    );
    let claim = &summary["claims"][0];
    assert_eq!(claim["verdict"], "too small to decide", "{claim}");
    let parts = claim["parts"].as_array().unwrap();
    assert_eq!(
        parts[0]["verdict"]["reason"],
        "generated glyphs stand in for the data"
    );
    assert!((parts[0]["reported"].as_f64().unwrap() - 1.55).abs() < 1e-9);
    // Two runs, each scored once on one test set.
    let looks = &summary["test_looks"][0];
    assert_eq!(looks["lines"].as_array().unwrap().len(), 2, "{looks}");
    let report = out.join("report");
    let page = std::fs::read_to_string(report.join("my-paper.html")).unwrap();
    assert!(page.contains("synthetic") && page.contains("1 test look"));
    for file in [
        "index.html",
        "profiles.html",
        "cells.json",
        "cells.csv",
        "my-paper.md",
    ] {
        assert!(report.join(file).is_file(), "{file}");
    }
    // What is finished is not run again.
    let again = run("reproduce {} --profile smoke --out {}", &[&path, &out]);
    succeeded(&again);
    assert!(stderr(&again).contains("2 runs in"), "{}", stderr(&again));
    let listed = run("reproduce {} --profile quick --list", &[&path]);
    let listed = succeeded(&listed);
    assert!(
        listed.contains("large") && listed.contains("in all"),
        "{listed}"
    );
}

#[test]
fn a_wrong_paper_is_one_line_and_nothing_is_run() {
    let home = folder();
    let path = paper(home.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let wrong = home.path().join("wrong.toml");
    let out = home.path().join("out");
    for (from, to, needle) in [
        ("small.accuracy\"", "tiny.accuracy\"", "tiny"),
        ("model = \"lenet5\"", "modle = \"lenet5\"", "modle"),
        ("slug = \"my-paper\"", "slug = \"../x\"", "lower-case"),
    ] {
        std::fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        let outcome = run("reproduce {} --out {}", &[&wrong, &out]);
        failed(&outcome, &["wrong.toml", needle]);
    }
    failed(
        &run("reproduce {}", &[&home.path().join("none.toml")]),
        &["none.toml"],
    );
    for (line, needle) in [
        ("reproduce {} {}", "my-paper"),
        ("reproduce {} --only other --out {}", "known: my-paper"),
        ("reproduce {} --only my-paper/table-9 --out {}", "table-1"),
    ] {
        let second = if line.contains("--out") { &out } else { &path };
        wrong_usage(&run(line, &[&path, second]), &[needle]);
    }
    let there = run("reproduce --new {}", &[&path]);
    wrong_usage(&there, &["there already"]);
    assert!(!out.exists());
}
