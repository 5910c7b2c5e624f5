//! The reports in `docs/results` follow from the archives beside them, cell by cell.
#![allow(clippy::unwrap_used)]

use hw_core::CancelToken;
use hw_repro::{ArchiveOptions, Common, Options};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Archives that must be there, each with the folder of the report that follows from it.
const KEPT: &[(&str, &str)] = &[("real", "quick"), ("glyphs", "glyphs")];
/// All archives together may take so many bytes of the repository.
const MOST: u64 = 8 << 20;

fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results")
}

fn cells(report: &Path) -> Value {
    let text = std::fs::read_to_string(report.join("cells.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_kept_report_follows_from_its_archive() {
    for (archive, report) in KEPT {
        let out = tempfile::tempdir().unwrap();
        let options = Options {
            out: Some(out.path().into()),
            archive: ArchiveOptions {
                from_archive: Some(results().join("archive").join(archive)),
                ..ArchiveOptions::default()
            },
            ..Options::default()
        };
        hw_repro::run(&options, &Common::default(), &CancelToken::new()).unwrap();
        let (made, kept) = (
            cells(&out.path().join("report")),
            cells(&results().join(report)),
        );
        for part in ["cells", "claims", "flaws"] {
            let (made, kept) = (
                made[part].as_array().unwrap(),
                kept[part].as_array().unwrap(),
            );
            assert_eq!(made.len(), kept.len(), "{archive}: {part}");
            for (made, kept) in made.iter().zip(kept) {
                assert_eq!(made, kept, "{archive}: {part}");
            }
        }
        assert_eq!(made, kept, "{archive}");
    }
}

#[test]
fn the_archives_are_small() {
    let mut folders = vec![results().join("archive")];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => bytes += entry.metadata().unwrap().len(),
            }
        }
    }
    assert!(bytes < MOST, "{bytes} bytes");
}
