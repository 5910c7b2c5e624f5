//! The catalogue agrees with itself, and its names can be typed.

use hw_data::catalogue::{CATALOGUE, DatasetId, GlyphSet};
use hw_data::published::PUBLISHED;
use std::collections::HashSet;

#[test]
fn every_name_is_understood_and_written_back() {
    for id in DatasetId::all() {
        assert_eq!(id.to_string().parse::<DatasetId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<DatasetId>(&json).unwrap(), id);
    }
    let folder: DatasetId = "folder:my letters/あ".parse().unwrap();
    assert_eq!(folder, DatasetId::Folder("my letters/あ".into()));
    assert_eq!(folder.to_string(), "folder:my letters/あ");
}

#[test]
fn the_emnist_editions_are_understood_and_written_back() {
    use hw_data::EmnistEdition;
    for edition in [EmnistEdition::Full, EmnistEdition::Sixth] {
        assert_eq!(
            edition.to_string().parse::<EmnistEdition>().unwrap(),
            edition
        );
        assert_eq!(
            serde_json::to_string(&edition).unwrap(),
            format!("\"{edition}\"")
        );
    }
    assert!("half".parse::<EmnistEdition>().is_err());
}

#[test]
fn the_contracts_names_are_all_there() {
    let names = "mnist kmnist emnist-byclass emnist-bymerge emnist-balanced emnist-letters \
                 emnist-digits emnist-mnist glyphs glyphs:digits glyphs:letters glyphs:hiragana \
                 folder:PATH";
    let expected: Vec<&str> = names.split_whitespace().collect();
    assert_eq!(DatasetId::valid_names(), expected);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_all_valid_ones() {
    for (typed, meant) in [
        ("minst", "mnist"),
        ("emnist-leters", "emnist-letters"),
        ("MNIST", "mnist"),
        ("EMNIST-Balanced", "emnist-balanced"),
        ("glyphs:digit", "glyphs:digits"),
        ("k-mnist", "kmnist"),
    ] {
        let message = typed.parse::<DatasetId>().unwrap_err().to_string();
        assert!(
            message.contains(&format!("did you mean \"{meant}\"")),
            "{message}"
        );
        assert!(
            message.contains("emnist-byclass") && message.contains("folder:PATH"),
            "{message}"
        );
    }
    for nonsense in ["", "xyz", "folder:"] {
        let message = nonsense.parse::<DatasetId>().unwrap_err().to_string();
        assert!(message.contains("valid names: mnist kmnist"), "{message}");
    }
    let message = "xyz".parse::<DatasetId>().unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn classes_are_distinct_and_as_many_as_published() {
    let counts: Vec<usize> = CATALOGUE
        .iter()
        .map(|(id, _)| id.classes().unwrap().len())
        .collect();
    assert_eq!(counts, [10, 10, 62, 47, 47, 26, 10, 10]);
    for id in DatasetId::all() {
        let classes = id.classes().unwrap();
        assert_eq!(classes.iter().collect::<HashSet<_>>().len(), classes.len());
    }
    assert_eq!(
        GlyphSet::All.classes(),
        DatasetId::EmnistByclass.classes().unwrap()
    );
    assert_eq!(
        GlyphSet::Hiragana.classes(),
        DatasetId::Kmnist.classes().unwrap()
    );
}

#[test]
fn every_checksum_belongs_to_a_file_of_a_listed_edition() {
    for file in PUBLISHED {
        let (_, entry) = CATALOGUE.iter().find(|(_, e)| e.name == file.set).unwrap();
        assert!(
            entry
                .editions
                .iter()
                .any(|edition| edition.name == file.edition)
        );
        let prefixes = [entry.train_prefix, entry.test_prefix];
        let rest = prefixes
            .iter()
            .find_map(|prefix| file.name.strip_prefix(prefix));
        assert!(["-images-idx3-ubyte", "-labels-idx1-ubyte"].contains(&rest.unwrap()));
        assert!(file.gzip.is_some() || file.content.is_some());
    }
}
