//! Class maps merge the right classes and never go upwards.

use crate::support::classes;
use hw_data::catalogue::{BYCLASS, BYMERGE, LETTERS};
use hw_data::class_map::ClassMap;
use hw_data::{Dataset, Images, Split};
use proptest::prelude::*;

/// The class name that `name` is mapped to.
fn becomes<'a>(map: &'a ClassMap, name: &str) -> Option<&'a str> {
    let label = map.from().iter().position(|class| class == name).unwrap();
    map.get(label as u16)
        .map(|label| map.to()[usize::from(label)].as_str())
}

#[test]
fn bymerge_merges_exactly_the_fifteen_look_alikes() {
    let map = ClassMap::byclass_to_bymerge();
    let merged = "cijklmopsuvwxyz";
    for name in BYCLASS.chars().map(String::from) {
        let expected = match merged.contains(&name) {
            true => name.to_uppercase(),
            false => name.clone(),
        };
        assert_eq!(becomes(&map, &name), Some(expected.as_str()));
    }
}

#[test]
fn letters_fold_case_and_drop_digits() {
    for map in [
        ClassMap::byclass_to_letters(),
        ClassMap::bymerge_to_letters(),
    ] {
        assert_eq!(map.to().len(), 26);
        for name in map.from().iter() {
            let expected = name.to_uppercase();
            let letter = LETTERS.contains(&expected).then_some(expected.as_str());
            assert_eq!(becomes(&map, name), letter);
        }
    }
}

#[test]
fn mapping_in_two_steps_is_mapping_in_one_except_that_nothing_is_regained() {
    let (first, second) = (
        ClassMap::byclass_to_bymerge(),
        ClassMap::bymerge_to_letters(),
    );
    let direct = ClassMap::byclass_to_letters();
    for label in 0..62 {
        let in_two = first.get(label).and_then(|label| second.get(label));
        assert_eq!(in_two, direct.get(label));
    }
}

#[test]
fn a_map_upwards_is_refused() {
    for (from, to) in [(BYMERGE, BYCLASS), (LETTERS, BYMERGE), (LETTERS, BYCLASS)] {
        let message = ClassMap::by_character(classes(from), classes(to))
            .unwrap_err()
            .to_string();
        assert!(message.contains("maps only merge"), "{message}");
    }
}

#[test]
fn a_map_of_the_wrong_size_or_to_no_class_is_refused() {
    let new = |map| ClassMap::new(classes("abc"), classes("xy"), map);
    assert!(new(vec![Some(0), Some(1), None]).is_ok());
    assert!(new(vec![Some(0), Some(1)]).is_err());
    assert!(new(vec![Some(0), Some(1), Some(2)]).is_err());
    assert!(new(vec![Some(0), Some(0), None]).is_err());
}

fn tiny(labels: Vec<u16>, names: &str) -> Dataset {
    let count = labels.len();
    let data = (0..count).map(|i| i as u8).collect();
    let images = Images::new(data, count, 1, 1, 1).unwrap();
    Dataset::new("tiny", Split::Train, images, labels, classes(names)).unwrap()
}

#[test]
fn a_set_with_other_classes_is_refused() {
    assert!(
        ClassMap::byclass_to_bymerge()
            .apply(&tiny(vec![0], BYMERGE))
            .is_err()
    );
}

#[test]
fn pixels_are_shared_when_nothing_is_dropped() {
    let set = tiny(vec![0, 61, 40], BYCLASS);
    let merged = ClassMap::byclass_to_bymerge().apply(&set).unwrap();
    assert_eq!(merged.images.bytes().as_ptr(), set.images.bytes().as_ptr());
    assert_ne!(
        merged.checksum, set.checksum,
        "labels are part of what is summed"
    );
    assert_eq!(merged.classes.len(), 47);
}

proptest! {
    #[test]
    fn each_image_keeps_its_pixels_and_gets_its_classs_label(labels in proptest::collection::vec(0u16..62, 1..200)) {
        let set = tiny(labels.clone(), BYCLASS);
        let map = ClassMap::byclass_to_letters();
        let mapped = map.apply(&set).unwrap();
        let expected: Vec<(u8, u16)> = labels
            .iter()
            .enumerate()
            .filter_map(|(i, &label)| Some((i as u8, map.get(label)?)))
            .collect();
        let found: Vec<(u8, u16)> =
            mapped.images.bytes().iter().copied().zip(mapped.labels.iter().copied()).collect();
        prop_assert_eq!(found, expected);
    }
}
