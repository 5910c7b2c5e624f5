//! MNIST as hw-data reads it and as candle-datasets reads it: the same pixels and labels.

use flate2::read::GzDecoder;
use hw_core::Rng;
use hw_data::{DataDirs, Dataset, DatasetId, Split, load};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What candle-datasets calls the four files.
const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Holds every pixel and label of both parts of `ours` against what candle-datasets reads in `plain`.
fn assert_agreement(ours: &DataDirs, plain: &Path) {
    let theirs = candle_datasets::vision::mnist::load_dir(plain).unwrap();
    assert_eq!(theirs.labels, DatasetId::Mnist.classes().unwrap().len());
    let parts = [
        (Split::Train, theirs.train_images, theirs.train_labels),
        (Split::Test, theirs.test_images, theirs.test_labels),
    ];
    for (split, images, labels) in parts {
        let ours: Dataset = load(&DatasetId::Mnist, split, ours).unwrap();
        assert_eq!(images.dims(), [ours.len(), 28 * 28]);
        let labels: Vec<u8> = labels.to_vec1().unwrap();
        let labels: Vec<u16> = labels.into_iter().map(u16::from).collect();
        assert!(labels == ours.labels, "labels differ in {split}");
        let pixels: Vec<f32> = images.flatten_all().unwrap().to_vec1().unwrap();
        let bytes = ours.images.bytes();
        assert_eq!(pixels.len(), bytes.len());
        // candle multiplies by 1/255, which rounds otherwise than dividing by 255.
        let differs = |(pixel, byte): (&f32, &u8)| (pixel * 255.0 - f32::from(*byte)).abs() > 1e-4;
        let first = pixels.iter().zip(bytes).position(differs);
        assert_eq!(first, None, "the first pixel of {split} that differs");
    }
}

/// One part of a set, written byte by byte as the format's definition says.
fn write_part(folder: &Path, [images, labels]: [&str; 2], count: u32) {
    let mut rng = Rng::stream(5, images, 0);
    let sizes = [count, 28, 28].map(u32::to_be_bytes).concat();
    let pixels = (0..count * 28 * 28).map(|_| rng.below(256) as u8);
    let bytes: Vec<u8> = [0, 0, 8, 3]
        .into_iter()
        .chain(sizes)
        .chain(pixels)
        .collect();
    std::fs::write(folder.join(images), bytes).unwrap();
    let size = count.to_be_bytes();
    let digits = (0..count).map(|_| rng.below(10) as u8);
    let bytes: Vec<u8> = [0, 0, 8, 1].into_iter().chain(size).chain(digits).collect();
    std::fs::write(folder.join(labels), bytes).unwrap();
}

#[test]
fn small_files_have_the_same_pixels_and_labels_in_both() {
    let folder = tempfile::tempdir().unwrap();
    write_part(folder.path(), [FILES[0], FILES[1]], 37);
    write_part(folder.path(), [FILES[2], FILES[3]], 11);
    assert_agreement(&DataDirs::only(folder.path()), folder.path());
}

#[test]
fn all_70_000_images_of_mnist_have_the_same_pixels_and_labels_in_both() {
    let Some(root) = std::env::var_os("HW_DATA_DIR").map(PathBuf::from) else {
        return;
    };
    let plain = tempfile::tempdir().unwrap();
    for name in FILES {
        let packed = File::open(root.join("mnist").join(format!("{name}.gz"))).unwrap();
        let mut unpacked = File::create(plain.path().join(name)).unwrap();
        std::io::copy(&mut GzDecoder::new(packed), &mut unpacked).unwrap();
    }
    assert_agreement(&DataDirs::only(root), plain.path());
}
