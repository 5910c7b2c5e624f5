//! A folder of images is a data set like any other; and a grid shows what is in a set.

use crate::support::{dataset, fixture};
use hw_data::grid::grid_png;
use hw_data::{DataDirs, Dataset, DatasetId, Split, load};
use image::{GrayImage, Luma};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// A picture with `bars` vertical bars and a gap whose height tells pictures apart.
fn picture(bars: u32, gap: u32) -> GrayImage {
    GrayImage::from_fn(60, 40, |x, y| {
        let on_bar = (5..35).contains(&y) && x % 10 < 4 && (1..=bars).contains(&(x / 10));
        let in_gap = (7 + 2 * gap..10 + 2 * gap).contains(&y);
        Luma([if on_bar && !in_gap { 20 } else { 230 }])
    })
}

fn add(folder: &Path, count: u32, bars: u32) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        picture(bars, i)
            .save(folder.join(format!("{i:02}.png")))
            .unwrap();
    }
}

fn load_from(folder: &Path, split: Split) -> Result<Dataset, hw_data::DataError> {
    load(
        &DatasetId::Folder(folder.into()),
        split,
        &DataDirs::default(),
    )
}

#[test]
fn each_sub_folder_is_a_class_in_the_order_of_code_points() {
    let root = tempfile::tempdir().unwrap();
    for (bars, class) in ["あ", "b", "Z", "ä"].iter().enumerate() {
        add(&root.path().join(class), 10, bars as u32 + 1);
    }
    fs::create_dir(root.path().join(".cache")).unwrap();
    fs::write(root.path().join("notes.txt"), "not a class").unwrap();
    fs::write(root.path().join("b/notes.txt"), "not an image").unwrap();
    let (train, test) = (
        load_from(root.path(), Split::Train).unwrap(),
        load_from(root.path(), Split::Test).unwrap(),
    );
    assert_eq!(train.classes[..], ["Z", "b", "ä", "あ"]);
    assert_eq!(train.class_counts(), [8; 4]);
    assert_eq!(test.class_counts(), [2; 4]);
    assert_eq!(train.images.shape(), [1, 28, 28]);
    let pixels = |set: &Dataset| -> HashSet<Vec<u8>> {
        (0..set.len())
            .map(|i| set.images.image(i).to_vec())
            .collect()
    };
    assert!(
        pixels(&train).is_disjoint(&pixels(&test)),
        "no image is in both parts"
    );
    assert_eq!(
        load_from(root.path(), Split::Train).unwrap().checksum,
        train.checksum
    );
    assert_eq!(train.id, format!("folder:{}", root.path().display()));
    assert!(!train.synthetic);
}

#[test]
fn train_and_test_folders_are_the_parts() {
    let root = tempfile::tempdir().unwrap();
    add(&root.path().join("train/a"), 3, 1);
    add(&root.path().join("train/b"), 2, 2);
    add(&root.path().join("test/b"), 1, 2);
    assert_eq!(
        load_from(root.path(), Split::Train).unwrap().class_counts(),
        [3, 2]
    );
    assert_eq!(
        load_from(root.path(), Split::Test).unwrap().class_counts(),
        [0, 1]
    );
    fs::remove_dir_all(root.path().join("test")).unwrap();
    let error = load_from(root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no folder test"), "{error}");
}

#[test]
fn jpeg_and_png_of_any_size_are_read() {
    let root = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        add(&root.path().join(class), 1, 1);
        fs::copy(fixture("ink.jpg"), root.path().join(class).join("ink.JPEG")).unwrap();
        fs::copy(
            fixture("ink-on-nothing.png"),
            root.path().join(class).join("ink.png"),
        )
        .unwrap();
    }
    let sizes = [Split::Train, Split::Test].map(|s| load_from(root.path(), s).unwrap().len());
    assert_eq!(sizes, [5, 1]);
}

#[test]
fn a_file_that_is_no_image_or_blank_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    add(&root.path().join("train/a"), 1, 1);
    add(&root.path().join("test/a"), 1, 1);
    let bad = root.path().join("train/a/bad.png");
    fs::write(&bad, "no image").unwrap();
    let error = load_from(root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bad.png") && error.contains("not a readable image"),
        "{error}"
    );
    GrayImage::new(9, 9).save(&bad).unwrap();
    let error = load_from(root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bad.png") && error.contains("blank"),
        "{error}"
    );
}

#[test]
fn a_folder_without_images_or_missing_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let error = load_from(root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no PNG or JPEG"), "{error}");
    fs::create_dir(root.path().join("empty class")).unwrap();
    assert!(load_from(root.path(), Split::Train).is_err());
    let error = load_from(&root.path().join("none"), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot list folder") && error.contains("none"),
        "{error}"
    );
}

#[test]
fn a_grid_shows_random_members_of_each_class_in_its_row() {
    let set = dataset(95, 4);
    let decode = |png: Vec<u8>| image::load_from_memory(&png).unwrap().into_luma8();
    let grid = decode(grid_png(&set, 3, 1).unwrap());
    // Cells of 4 pixels, doubled, with gaps of 2.
    assert_eq!(grid.dimensions(), (2 + 3 * 10, 2 + 10 * 10));
    for class in 0..10 {
        for place in 0..3 {
            let pixel =
                |i: u32| grid.get_pixel(2 + place * 10 + i % 4 * 2, 2 + class * 10 + i / 4 * 2)[0];
            let shown: Vec<u8> = (0..16).map(pixel).collect();
            let index = (0..95).find(|&i| set.images.image(i) == shown).unwrap();
            assert_eq!(u32::from(set.labels[index]), class);
        }
    }
    assert_eq!(decode(grid_png(&set, 3, 1).unwrap()), grid);
    assert_ne!(decode(grid_png(&set, 3, 2).unwrap()), grid);
    assert!(
        grid_png(&set, 20, 1).is_ok(),
        "fewer members than asked for leave gaps"
    );
    assert!(grid_png(&set, 0, 1).is_err());
    assert!(grid_png(&set, 1 << 20, 1).is_err());
}
