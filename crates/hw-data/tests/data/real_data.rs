//! Facts about the real data sets, checked wherever they are present (`HW_DATA_DIR`).

use crate::support::real_data;
use hw_data::centre::fit_like_mnist;
use hw_data::class_map::ClassMap;
use hw_data::gray::Gray;
use hw_data::verify::{Verdict, verify};
use hw_data::{DataDirs, Dataset, DatasetId, EmnistEdition, Split, load, locate};
use std::collections::HashSet;

/// Every part that is there, smallest training sets first.
fn part(id: &DatasetId, split: Split, dirs: &DataDirs) -> Dataset {
    load(id, split, dirs).unwrap()
}

#[test]
fn mnist_is_the_published_one() {
    let Some(dirs) = real_data() else { return };
    let (train, test) = (
        part(&DatasetId::Mnist, Split::Train, &dirs),
        part(&DatasetId::Mnist, Split::Test, &dirs),
    );
    let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!(train.class_counts(), counts);
    let counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(test.class_counts(), counts);
    assert_eq!(train.labels[..5], [5, 0, 4, 1, 9]);
    // The mean and deviation that everyone normalises MNIST by.
    let (mean, std) = moments(&train);
    assert!(
        (mean - 0.1307).abs() < 5e-5 && (std - 0.3081).abs() < 5e-5,
        "{mean} {std}"
    );
    use md5::{Digest, Md5};
    let mut raw = vec![0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28];
    raw.extend_from_slice(train.images.bytes());
    let sum = hw_core::files::hex(&Md5::digest(raw));
    assert_eq!(sum, "6bbc9ace898e44ae57da46a324031adb");
}

/// Mean and standard deviation of all pixels on the 0..=1 scale.
fn moments(set: &Dataset) -> (f64, f64) {
    let count = set.images.bytes().len() as f64;
    let sum = |f: fn(f64) -> f64| -> f64 {
        set.images
            .bytes()
            .iter()
            .map(|&byte| f(f64::from(byte) / 255.0))
            .sum()
    };
    let mean = sum(|x| x) / count;
    (mean, (sum(|x| x * x) / count - mean * mean).sqrt())
}

#[test]
fn kmnist_is_the_published_one() {
    let Some(dirs) = real_data() else { return };
    let (train, test) = (
        part(&DatasetId::Kmnist, Split::Train, &dirs),
        part(&DatasetId::Kmnist, Split::Test, &dirs),
    );
    assert_eq!(train.class_counts(), [6000; 10]);
    assert_eq!(test.class_counts(), [1000; 10]);
    assert_eq!(train.classes[0], "お");
    let (mean, std) = moments(&train);
    assert!(
        (mean - 0.1918).abs() < 5e-5 && (std - 0.3483).abs() < 5e-5,
        "{mean} {std}"
    );
}

#[test]
fn every_file_present_has_its_published_checksum() {
    let Some(dirs) = real_data() else { return };
    let mut seen = 0;
    for id in DatasetId::all() {
        let Ok(located) = locate(&id, &dirs) else {
            continue;
        };
        // Large files are left to `hw data info`.
        if located
            .train
            .as_ref()
            .is_some_and(|files| files.count > 60_000)
        {
            continue;
        }
        for check in verify(&id, &dirs).unwrap() {
            assert!(
                matches!(check.verdict, Verdict::Published | Verdict::Content),
                "{check:?}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} files");
}

#[test]
fn mnist_is_not_taken_for_kmnist_though_its_files_have_the_same_names() {
    let Some(dirs) = real_data() else { return };
    let folder = locate(&DatasetId::Mnist, &dirs).unwrap().folder.unwrap();
    let flat = DataDirs::only(folder);
    assert!(locate(&DatasetId::Mnist, &flat).is_ok());
    let error = locate(&DatasetId::Kmnist, &flat).unwrap_err().to_string();
    assert!(error.contains("holds mnist"), "{error}");
}

/// The sixth-scale EMNIST, where it is.
fn sixth() -> Option<DataDirs> {
    let dirs = real_data()?.with_edition(Some(EmnistEdition::Sixth));
    locate(&DatasetId::EmnistBalanced, &dirs)
        .is_ok()
        .then_some(dirs)
}

#[test]
fn the_sixth_has_its_class_counts() {
    let Some(dirs) = sixth() else { return };
    let counts = |id, split| part(&id, split, &dirs).class_counts();
    assert_eq!(counts(DatasetId::EmnistBalanced, Split::Train), [339; 47]);
    assert_eq!(counts(DatasetId::EmnistBalanced, Split::Test), [58; 47]);
    assert_eq!(counts(DatasetId::EmnistLetters, Split::Train), [736; 26]);
    assert_eq!(counts(DatasetId::EmnistLetters, Split::Test), [112; 26]);
    assert_eq!(counts(DatasetId::EmnistDigits, Split::Test), [750; 10]);
}

#[test]
fn merging_the_sixths_byclass_gives_its_bymerge() {
    let Some(dirs) = sixth() else { return };
    // Two shuffles of one pool: class counts agree over both parts together.
    let counts = |id: DatasetId, merge: &dyn Fn(Dataset) -> Dataset| -> Vec<usize> {
        let parts = [Split::Train, Split::Test].map(|s| merge(part(&id, s, &dirs)).class_counts());
        parts[0].iter().zip(&parts[1]).map(|(a, b)| a + b).collect()
    };
    let map = ClassMap::byclass_to_bymerge();
    let merged = counts(DatasetId::EmnistByclass, &|set| map.apply(&set).unwrap());
    assert_eq!(merged, counts(DatasetId::EmnistBymerge, &|set| set));
}

/// The published EMNIST test files, where they are.
fn full(id: DatasetId) -> Option<Dataset> {
    let dirs = real_data()?.with_edition(Some(EmnistEdition::Full));
    locate(&id, &dirs)
        .is_ok()
        .then(|| part(&id, Split::Test, &dirs))
}

#[test]
fn the_csv_letters_stop_at_s() {
    let Some(letters) = full(DatasetId::EmnistLetters) else {
        return;
    };
    if letters.edition != "csv" {
        return;
    }
    let mut expected = [800; 26];
    expected[18] = 400;
    expected[19..].fill(0);
    assert_eq!(
        (letters.len(), letters.class_counts()),
        (14_800, expected.to_vec())
    );
}

#[test]
fn the_published_byclass_and_bymerge_tests_share_images() {
    let (Some(byclass), Some(bymerge)) = (
        full(DatasetId::EmnistByclass),
        full(DatasetId::EmnistBymerge),
    ) else {
        return;
    };
    let known: HashSet<&[u8]> = (0..byclass.len())
        .map(|i| byclass.images.image(i))
        .collect();
    let shared = (0..bymerge.len())
        .filter(|&i| known.contains(bymerge.images.image(i)))
        .count();
    assert_eq!(shared, 116_323 - 99_845);
}

#[test]
fn emnist_digits_stand_upright_beside_mnists() {
    let (Some(dirs), Some(emnist)) = (real_data(), full(DatasetId::EmnistMnist)) else {
        return;
    };
    let mnist = part(&DatasetId::Mnist, Split::Test, &dirs);
    let (ours, theirs) = (class_means(&emnist), class_means(&mnist));
    for digit in 0..10 {
        let upright = correlation(&ours[digit], &theirs[digit]);
        let turned = correlation(&transposed(&ours[digit]), &theirs[digit]);
        // 0 is nearly its own transpose, the others are not.
        let margin = if digit == 0 { 0.0 } else { 0.03 };
        assert!(upright > turned + margin, "{digit}: {upright} {turned}");
    }
}

fn class_means(set: &Dataset) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; 784]; set.classes.len()];
    for (i, &label) in set.labels.iter().enumerate() {
        let sum = &mut sums[usize::from(label)];
        for (sum, &pixel) in sum.iter_mut().zip(set.images.image(i)) {
            *sum += f64::from(pixel);
        }
    }
    sums
}

fn transposed(image: &[f64]) -> Vec<f64> {
    (0..784).map(|i| image[i % 28 * 28 + i / 28]).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let centred = |v: &[f64]| -> Vec<f64> {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        v.iter().map(|x| x - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[test]
fn fitting_an_mnist_image_like_mnist_leaves_it_as_it_is() {
    let Some(dirs) = real_data() else { return };
    let mnist = part(&DatasetId::Mnist, Split::Test, &dirs);
    let unchanged = |index: &usize| {
        let image = mnist.images.image(*index);
        let fitted = fit_like_mnist(&Gray::new(28, 28, image.to_vec()).unwrap()).unwrap();
        // The brightest pixel of some is 254 and becomes 255.
        image.iter().zip(&fitted).all(|(a, b)| a.abs_diff(*b) <= 1)
    };
    let same = (0..mnist.len()).filter(unchanged).count();
    assert!(
        same as f64 > 0.99 * mnist.len() as f64,
        "{same} of {}",
        mnist.len()
    );
}
