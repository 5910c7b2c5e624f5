//! Data is found in every layout people keep it in, and two EMNISTs are never mixed.

use crate::support::{write_idx, write_part};
use hw_data::verify::{Verdict, verify};
use hw_data::{DataDirs, DatasetId, EmnistEdition, Split, load, locate};
use std::fs;
use std::path::{Path, PathBuf};

fn folder_with(parts: &[(&str, &str, usize)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (folder, prefix, count) in parts {
        let folder = root.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        write_part(&folder, prefix, &vec![1; *count]);
    }
    root
}

fn found(id: &DatasetId, root: &Path) -> PathBuf {
    let located = locate(id, &DataDirs::only(root)).unwrap();
    located
        .folder
        .unwrap()
        .strip_prefix(root)
        .unwrap()
        .to_path_buf()
}

#[test]
fn a_set_is_found_in_its_own_folder_or_flat() {
    for folder in ["mnist", "MNIST/raw", ""] {
        let root = folder_with(&[(folder, "train", 3), (folder, "t10k", 2)]);
        assert_eq!(found(&DatasetId::Mnist, root.path()), Path::new(folder));
        let dirs = DataDirs::only(root.path());
        assert_eq!(
            load(&DatasetId::Mnist, Split::Train, &dirs).unwrap().len(),
            3
        );
        assert_eq!(
            load(&DatasetId::Mnist, Split::Test, &dirs).unwrap().len(),
            2
        );
    }
}

#[test]
fn torchvisions_spelling_is_understood() {
    for name in ["train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"] {
        let root = folder_with(&[("", "train", 3)]);
        let plain = root.path().join("train-images-idx3-ubyte");
        fs::rename(plain, root.path().join(name)).unwrap();
        let located = locate(&DatasetId::Mnist, &DataDirs::only(root.path())).unwrap();
        assert_eq!(located.train.unwrap().images, root.path().join(name));
    }
}

#[test]
fn folders_are_tried_in_order() {
    let first = folder_with(&[("kmnist", "train", 1)]);
    let second = folder_with(&[("mnist", "train", 2)]);
    let dirs = DataDirs {
        roots: vec![first.path().into(), second.path().into()],
        edition: None,
    };
    assert_eq!(
        load(&DatasetId::Mnist, Split::Train, &dirs).unwrap().len(),
        2
    );
    assert_eq!(
        load(&DatasetId::Kmnist, Split::Train, &dirs).unwrap().len(),
        1
    );
}

#[test]
fn the_explicit_folder_comes_before_the_others() {
    let dirs = DataDirs::resolve(Some(Path::new("given")));
    assert_eq!(dirs.roots[0], Path::new("given"));
    assert!(dirs.roots.len() <= 3);
    let with_variable = std::env::var_os("HW_DATA_DIR").filter(|value| !value.is_empty());
    if let Some(variable) = with_variable {
        assert_eq!(dirs.roots[1], PathBuf::from(variable));
    }
}

#[test]
fn a_missing_set_is_answered_with_where_it_was_sought_and_what_to_do() {
    let root = folder_with(&[("emnist", "emnist-letters-test", 1)]);
    let dirs = DataDirs::only(root.path());
    let message = load(&DatasetId::EmnistLetters, Split::Train, &dirs)
        .unwrap_err()
        .to_string();
    assert_eq!(message.lines().count(), 1);
    let at = |folder: &str| root.path().join(folder).display().to_string();
    for part in [
        "data set emnist-letters not found",
        &format!(
            "{} has no emnist-letters-train-images-idx3-ubyte",
            at("emnist")
        ),
        &format!("{} is no folder", at("emnist-sixth")),
        "place emnist-letters-train-images-idx3-ubyte.gz and emnist-letters-train-labels-idx1-ubyte.gz",
        "--data-dir or HW_DATA_DIR",
        "https://biometrics.nist.gov",
    ] {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
    let nowhere = locate(&DatasetId::Mnist, &DataDirs::default())
        .unwrap_err()
        .to_string();
    assert!(nowhere.contains("no folder to look in"), "{nowhere}");
}

#[test]
fn images_without_labels_are_missing_labels() {
    let root = folder_with(&[("mnist", "train", 1)]);
    fs::remove_file(root.path().join("mnist/train-labels-idx1-ubyte.gz")).unwrap();
    let error = load(
        &DatasetId::Mnist,
        Split::Train,
        &DataDirs::only(root.path()),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("mnist has no train-labels-idx1-ubyte"),
        "{error}"
    );
}

#[test]
fn a_folder_name_that_is_a_file_is_passed_over() {
    let root = folder_with(&[("", "train", 1)]);
    fs::write(root.path().join("mnist"), "a file").unwrap();
    assert_eq!(found(&DatasetId::Mnist, root.path()), Path::new(""));
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_looked_into_is_an_error_and_not_an_absence() {
    let root = tempfile::tempdir().unwrap();
    let circle = root.path().join("mnist");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    let error = locate(&DatasetId::Mnist, &DataDirs::only(root.path()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot look into folder") && error.contains("mnist"),
        "{error}"
    );
}

/// Counts by which the catalogue knows the sixth and the full EMNIST Letters.
const SIXTH: (usize, usize) = (19_136, 2_912);
const FULL_TEST: usize = 20_800;

#[test]
fn training_and_test_files_come_from_one_folder() {
    let root = folder_with(&[
        ("emnist", "emnist-letters-test", FULL_TEST),
        ("emnist-sixth", "emnist-letters-train", SIXTH.0),
        ("emnist-sixth", "emnist-letters-test", SIXTH.1),
    ]);
    let dirs = DataDirs::only(root.path());
    let located = locate(&DatasetId::EmnistLetters, &dirs).unwrap();
    assert_eq!(located.folder, Some(root.path().join("emnist-sixth")));
    assert_eq!(located.edition(), "sixth");
    let count = |dirs: &DataDirs, split| {
        let set = load(&DatasetId::EmnistLetters, split, dirs)?;
        Ok::<_, hw_data::DataError>((set.len(), set.edition))
    };
    assert_eq!(
        count(&dirs, Split::Test).unwrap(),
        (SIXTH.1, "sixth".to_string())
    );

    let full = dirs.clone().with_edition(Some(EmnistEdition::Full));
    assert_eq!(
        count(&full, Split::Test).unwrap(),
        (FULL_TEST, "nist-gzip".to_string())
    );
    assert!(
        count(&full, Split::Train)
            .unwrap_err()
            .to_string()
            .contains("emnist-letters-train")
    );

    let sixth = dirs.with_edition(Some(EmnistEdition::Sixth));
    assert_eq!(count(&sixth, Split::Train).unwrap().0, SIXTH.0);
}

#[test]
fn a_folder_that_mixes_two_emnists_is_refused() {
    let root = folder_with(&[
        ("emnist", "emnist-letters-train", SIXTH.0),
        ("emnist", "emnist-letters-test", FULL_TEST),
    ]);
    for edition in [None, Some(EmnistEdition::Full), Some(EmnistEdition::Sixth)] {
        let dirs = DataDirs::only(root.path()).with_edition(edition);
        for split in [Split::Train, Split::Test] {
            let error = load(&DatasetId::EmnistLetters, split, &dirs).unwrap_err();
            assert!(error.to_string().contains("mixes two editions"), "{error}");
        }
    }
}

#[test]
fn glyphs_and_folders_have_no_files_to_find() {
    let dirs = DataDirs::default();
    let glyphs = locate(&"glyphs".parse().unwrap(), &dirs).unwrap();
    assert_eq!((glyphs.folder, glyphs.train), (None, None));
    let folder = locate(&"folder:some/where".parse().unwrap(), &dirs).unwrap();
    assert_eq!(folder.folder, Some("some/where".into()));
}

#[test]
fn a_file_that_is_not_the_published_one_is_told_apart() {
    let root = folder_with(&[("mnist", "train", 60_000), ("mnist", "t10k", 7)]);
    write_idx(
        &root.path().join("mnist/train-labels-idx1-ubyte.gz"),
        &[60_000],
        vec![0; 60_000],
    );
    let checks = verify(&DatasetId::Mnist, &DataDirs::only(root.path())).unwrap();
    let verdicts: Vec<Verdict> = checks.iter().map(|check| check.verdict).collect();
    use Verdict::{Different, Unlisted};
    assert_eq!(verdicts, [Different, Different, Unlisted, Unlisted]);
}
