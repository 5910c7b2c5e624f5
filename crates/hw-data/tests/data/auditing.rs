//! What the audit must find, in sets made to hold it and in the real ones.

use crate::support::{classes, real_data};
use hw_core::Rng;
use hw_data::audit::{Audit, AuditConfig, Severity, audit};
use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{DataDirs, Dataset, DatasetId, EmnistEdition, GlyphSet, Images, Split, load_all};
use proptest::prelude::{prop_assert_eq, proptest};

const EXACT: AuditConfig = AuditConfig { likeness: None };

/// One-row images, each of one value, with their labels.
fn flat(id: &str, split: Split, values: &[u8], labels: &[u16], names: &str) -> Dataset {
    let pixels = values.iter().flat_map(|&value| [value; 4]).collect();
    let images = Images::new(pixels, values.len(), 1, 2, 2).unwrap();
    Dataset::new(id, split, images, labels.to_vec(), classes(names)).unwrap()
}

fn says(audit: &Audit, severity: Severity, text: &str) -> bool {
    audit
        .findings
        .iter()
        .any(|f| f.severity == severity && f.text.contains(text))
}

#[test]
fn copies_shared_images_and_contradictions_are_counted_exactly() {
    let train = flat("a", Split::Train, &[1, 2, 2, 3, 3], &[0, 1, 1, 0, 1], "xy");
    let test = flat("a", Split::Test, &[2, 2, 3, 9], &[1, 0, 0, 0], "xy");
    let found = audit(&[train, test], &EXACT).unwrap();
    assert_eq!((found.images, found.pictures), (9, 4));
    let parts: Vec<_> = found
        .parts
        .iter()
        .map(|p| (p.copies, p.conflicting))
        .collect();
    assert_eq!(parts, [(2, 2), (1, 2)]);
    let pair = &found.pairs[0];
    assert_eq!(
        (pair.shared, pair.of_first.images, pair.of_second.images),
        (2, 4, 3)
    );
    assert_eq!((pair.of_first.share, pair.of_second.share), (0.8, 0.75));
    assert_eq!(pair.conflicting, 2);
    assert!(says(
        &found,
        Severity::Grave,
        "75.00 % of a test (3 of 4 images) is in a train"
    ));
    let shown = &found.conflicts[0];
    assert_eq!(shown.likeness, 1.0);
    assert_ne!(shown.first.class, shown.second.class);
}

#[test]
fn merged_classes_do_not_contradict_each_other_but_others_do() {
    let byclass = flat("byclass", Split::Train, &[1, 2, 3], &[0, 1, 2], "Cca");
    let bymerge = flat("bymerge", Split::Train, &[1, 2, 3], &[0, 0, 1], "CA");
    let found = audit(&[byclass.clone(), bymerge], &EXACT).unwrap();
    // The small a became A, c became C: both can be right.
    assert_eq!((found.pairs[0].shared, found.pairs[0].conflicting), (3, 0));
    assert_eq!(found.pairs[0].shift.classes, Some(0.0));
    let apart = flat("apart", Split::Train, &[1, 2, 3], &[0, 1, 0], "CA");
    let found = audit(&[byclass, apart], &EXACT).unwrap();
    assert_eq!(found.pairs[0].conflicting, 2);
}

#[test]
fn absent_classes_and_blank_images_are_named() {
    let set = flat("letters", Split::Test, &[5, 0, 7], &[0, 2, 2], "ABCD");
    let found = audit(&[set], &EXACT).unwrap();
    assert_eq!(found.parts[0].absent, ["B", "D"]);
    assert_eq!(
        (found.parts[0].blank, found.parts[0].class_sizes),
        (1, [1, 2])
    );
    assert!(says(
        &found,
        Severity::Grave,
        "letters test has no image of B D"
    ));
}

#[test]
fn images_of_another_shape_are_never_equal() {
    let square = flat("a", Split::Train, &[7], &[0], "x");
    let line = Images::new(vec![7; 4], 1, 1, 1, 4).unwrap();
    let line = Dataset::new("b", Split::Train, line, vec![0], classes("x")).unwrap();
    assert_eq!(audit(&[square, line], &EXACT).unwrap().pictures, 2);
}

#[test]
fn parts_of_other_classes_and_other_ink_are_told_apart() {
    let names = "01";
    let many = flat(
        "a",
        Split::Train,
        &[200; 8],
        &[0, 0, 0, 0, 0, 0, 1, 1],
        names,
    );
    let other = flat("a", Split::Test, &[20; 4], &[0, 0, 1, 1], names);
    let shift = &audit(&[many, other], &EXACT).unwrap().pairs[0].shift;
    assert_eq!(
        (shift.classes, shift.feature, shift.distance),
        (Some(0.25), "ink", 1.0)
    );
}

/// Each glyph moved by a pixel or two and redrawn with a little noise: the same writing, another file.
fn scanned_anew(set: &Dataset) -> Dataset {
    let [_, height, width] = set.images.shape();
    let mut pixels = Vec::new();
    for index in 0..set.len() {
        let mut rng = Rng::stream(9, "scan", index as u64);
        let (dy, dx) = (rng.below(3), rng.below(3));
        let image = set.images.image(index);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let from = (y + dy).checked_sub(1).zip((x + dx).checked_sub(1));
            let inside = from.filter(|&(y, x)| y < height && x < width);
            let value = inside.map_or(0, |(y, x)| image[y * width + x]);
            let noise = if value > 0 { rng.range(-6.0, 6.0) } else { 0.0 };
            pixels.push((f32::from(value) + noise).clamp(0.0, 255.0) as u8);
        }
    }
    let images = Images::new(pixels, set.len(), 1, height, width).unwrap();
    let mut moved = Dataset::new(
        "scanned",
        set.split,
        images,
        set.labels.clone(),
        set.classes.clone(),
    )
    .unwrap();
    moved.synthetic = true;
    moved
}

#[test]
fn writing_that_was_scanned_anew_is_a_near_duplicate_and_other_writing_is_not() {
    let config = GlyphConfig::default();
    let first = generate(GlyphSet::All, Split::Train, 600, &config).unwrap();
    let other = generate(GlyphSet::All, Split::Test, 600, &config).unwrap();
    let again = scanned_anew(&first);
    let found = audit(&[first, other, again], &AuditConfig::default()).unwrap();
    let near = |a: usize, b: usize| {
        let pair = found
            .pairs
            .iter()
            .find(|p| (p.first, p.second) == (a, b))
            .unwrap();
        pair.of_first.near
    };
    let possible = 600 - found.plain / 3;
    assert!(
        near(0, 2) * 100 > possible * 95,
        "{} of {possible}",
        near(0, 2)
    );
    assert!(near(0, 1) * 100 < 600 * 5, "{}", near(0, 1));
    assert!(!found.near_duplicates.is_empty());
    for example in &found.near_duplicates {
        assert!((0.99..1.0001).contains(&example.likeness));
    }
}

#[test]
fn what_cannot_be_audited_is_refused() {
    assert!(audit(&[], &EXACT).is_err());
    let one = flat("a", Split::Train, &[1], &[0], "x");
    assert!(audit(&vec![one.clone(); 65], &EXACT).is_err());
    for likeness in [0.5, 1.0, f32::NAN] {
        let config = AuditConfig {
            likeness: Some(likeness),
        };
        assert!(
            audit(std::slice::from_ref(&one), &config).is_err(),
            "{likeness}"
        );
    }
}

proptest! {
    #[test]
    fn shared_images_are_those_that_a_plain_comparison_finds(
        a in proptest::collection::vec(0u8..12, 1..40),
        b in proptest::collection::vec(0u8..12, 1..40),
    ) {
        let set = |id: &str, v: &[u8]| flat(id, Split::Train, v, &vec![0; v.len()], "x");
        let found = audit(&[set("a", &a), set("b", &b)], &EXACT).unwrap();
        let pair = &found.pairs[0];
        prop_assert_eq!(pair.of_first.images, a.iter().filter(|v| b.contains(v)).count());
        prop_assert_eq!(pair.of_second.images, b.iter().filter(|v| a.contains(v)).count());
    }
}

fn of(names: &[&str], dirs: &DataDirs, edition: EmnistEdition) -> Audit {
    let ids: Vec<DatasetId> = names.iter().map(|name| name.parse().unwrap()).collect();
    let dirs = dirs.clone().with_edition(Some(edition));
    audit(&load_all(&ids, &dirs).unwrap(), &EXACT).unwrap()
}

#[test]
fn the_sixths_bymerge_test_lies_in_byclass_training_set() {
    let Some(dirs) = real_data() else { return };
    let found = of(
        &["emnist-byclass", "emnist-bymerge"],
        &dirs,
        EmnistEdition::Sixth,
    );
    let name = |index: usize| found.parts[index].name.as_str();
    let pair = found
        .pairs
        .iter()
        .find(|p| {
            (name(p.first), name(p.second)) == ("emnist-byclass train", "emnist-bymerge test")
        })
        .unwrap();
    assert!(
        (pair.of_second.share - 0.86).abs() < 0.005,
        "{:?}",
        pair.of_second
    );
    assert_eq!(found.findings[0].severity, Severity::Grave);
}

#[test]
fn the_official_test_files_share_16_478_images_and_letters_stops_at_s() {
    let Some(dirs) = real_data() else { return };
    let names = ["emnist-byclass", "emnist-bymerge", "emnist-letters"];
    let found = of(&names, &dirs, EmnistEdition::Full);
    assert_eq!(found.parts.len(), 3);
    assert_eq!(found.pairs[0].shared, 16_478);
    assert_eq!(found.parts[2].absent, ["T", "U", "V", "W", "X", "Y", "Z"]);
}
