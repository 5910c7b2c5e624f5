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

/// What a second scan, crop or resampling does to an image of `height` x `width`.
type Change = fn(&[f32], [usize; 2], &mut Rng) -> Vec<f32>;

/// The pixel at a place that may lie outside, where nothing is.
fn at(image: &[f32], [height, width]: [usize; 2], y: isize, x: isize) -> f32 {
    match (usize::try_from(y), usize::try_from(x)) {
        (Ok(y), Ok(x)) if y < height && x < width => image[y * width + x],
        _ => 0.0,
    }
}

/// Each pixel made of those around it in the old image.
fn from_around(size: [usize; 2], pixel: impl Fn(isize, isize) -> f32) -> Vec<f32> {
    let [height, width] = size.map(|side| side as isize);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    places.map(|(y, x)| pixel(y, x)).collect()
}

/// Moved by up to two pixels each way, and by one at least.
fn shifted(image: &[f32], size: [usize; 2], rng: &mut Rng) -> Vec<f32> {
    // The 25 moves without the thirteenth, which is none.
    let step = rng.below(24);
    let step = (step + usize::from(step >= 12)) as isize;
    let (dy, dx) = (step / 5 - 2, step % 5 - 2);
    from_around(size, |y, x| at(image, size, y + dy, x + dx))
}

/// With a sensor's noise, of deviation 8 in 255, ink or not.
fn noised(image: &[f32], _: [usize; 2], rng: &mut Rng) -> Vec<f32> {
    image
        .iter()
        .map(|value| value + 8.0 * rng.normal())
        .collect()
}

/// Out of focus: 1 2 1 in both directions.
fn blurred(image: &[f32], size: [usize; 2], _: &mut Rng) -> Vec<f32> {
    let weight = |d: isize| if d == 0 { 0.5 } else { 0.25 };
    from_around(size, |y, x| {
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
        let part = |(dy, dx)| weight(dy) * weight(dx) * at(image, size, y + dy, x + dx);
        around.map(part).sum()
    })
}

/// A tenth smaller to a tenth larger about the middle, between pixels as bilinear resampling has it.
fn rescaled(image: &[f32], size: [usize; 2], rng: &mut Rng) -> Vec<f32> {
    let scale = rng.range(0.9, 1.1);
    let middle = size.map(|side| (side as f32 - 1.0) / 2.0);
    from_around(size, |y, x| {
        let v = (y as f32 - middle[0]) / scale + middle[0];
        let u = (x as f32 - middle[1]) / scale + middle[1];
        let (top, left) = (v.floor(), u.floor());
        let (down, right) = (v - top, u - left);
        let pixel = |dy, dx| at(image, size, top as isize + dy, left as isize + dx);
        let upper = pixel(0, 0) * (1.0 - right) + pixel(0, 1) * right;
        let lower = pixel(1, 0) * (1.0 - right) + pixel(1, 1) * right;
        upper * (1.0 - down) + lower * down
    })
}

/// Moved, and then the noise.
fn scanned_anew(image: &[f32], size: [usize; 2], rng: &mut Rng) -> Vec<f32> {
    noised(&shifted(image, size, rng), size, rng)
}

/// The set with every image changed: the same writing, another file.
fn changed(set: &Dataset, change: Change) -> Dataset {
    let [_, height, width] = set.images.shape();
    let mut pixels = Vec::with_capacity(set.images.bytes().len());
    for index in 0..set.len() {
        let mut rng = Rng::stream(9, "scan", index as u64);
        let image: Vec<f32> = set.images.image(index).iter().map(|&v| v.into()).collect();
        let image = change(&image, [height, width], &mut rng);
        pixels.extend(image.into_iter().map(|v| v.round().clamp(0.0, 255.0) as u8));
    }
    let images = Images::new(pixels, set.len(), 1, height, width).unwrap();
    let labels = set.labels.clone();
    Dataset::new("changed", set.split, images, labels, set.classes.clone()).unwrap()
}

/// Of the images of `first` that are not too plain for likeness, the share with a near duplicate in `second`.
fn found_in(first: &Dataset, second: &Dataset) -> f64 {
    let config = AuditConfig::default();
    let plain = audit(std::slice::from_ref(first), &config).unwrap().plain;
    let found = audit(&[first.clone(), second.clone()], &config).unwrap();
    assert!(found.near_duplicates.iter().all(|e| e.likeness >= 0.99));
    found.pairs[0].of_first.near as f64 / (first.len() - plain) as f64
}

/// Checks the share of planted near duplicates found of each kind against the least it must be. Out of
/// focus none is: the ink grows by a pixel each way, and its signature with it.
fn assert_recall(set: &Dataset, least: [f64; 5]) {
    let kinds: [(&str, Change); 5] = [
        ("shifted", shifted),
        ("noised", noised),
        ("blurred", blurred),
        ("rescaled", rescaled),
        ("shifted and noised", scanned_anew),
    ];
    for ((name, change), least) in kinds.into_iter().zip(least) {
        let recall = found_in(set, &changed(set, change));
        println!("{}: {name} copies found: {recall:.4}", set.id);
        assert!(recall >= least, "{name}: {recall}");
    }
}

#[test]
fn planted_copies_of_glyphs_are_found_and_other_writing_is_not() {
    let config = GlyphConfig::default();
    let draw = |split| generate(GlyphSet::All, split, 2_000, &config).unwrap();
    let (glyphs, other) = (draw(Split::Train), draw(Split::Test));
    assert_recall(&glyphs, [0.985, 0.785, 0.0, 0.30, 0.785]);
    let wrong = found_in(&glyphs, &other);
    println!("other glyphs taken for copies: {wrong:.4}");
    assert!(wrong <= 0.001, "{wrong}");
}

#[test]
fn planted_copies_of_mnists_test_images_are_found_and_training_images_are_not() {
    let Some(dirs) = real_data() else { return };
    let parts = load_all(&[DatasetId::Mnist], &dirs).unwrap();
    assert_recall(&parts[1], [0.965, 0.915, 0.0, 0.335, 0.89]);
    let wrong = found_in(&parts[1], &parts[0]);
    println!("training images taken for copies: {wrong:.4}");
    assert!(wrong <= 0.001, "{wrong}");
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
