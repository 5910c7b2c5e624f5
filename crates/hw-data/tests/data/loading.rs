//! The loader: the same batches however they are made; and sets of files that do not belong together.

use crate::support::{dataset, write_idx, write_part};
use hw_data::{
    Batch, DataDirs, Dataset, DatasetId, Loader, LoaderConfig, Preprocess, Sampling, Split, Step,
    load,
};
use proptest::prelude::*;
use std::fs;
use std::sync::Arc;

fn config(batch: usize) -> LoaderConfig {
    LoaderConfig {
        batch,
        shuffle_seed: Some(11),
        augment_seed: 5,
        preprocess: Preprocess {
            steps: vec![Step::GaussianNoise { std: 0.3 }],
            ..Preprocess::default()
        },
        ..LoaderConfig::default()
    }
}

fn loader(count: usize, config: LoaderConfig) -> Loader {
    let indices = (0..count as u32).collect();
    Loader::new(Arc::new(dataset(count, 4)), indices, config).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn prefetching_changes_no_bit(count in 1usize..60, batch in 1usize..20, ahead in 1usize..6, epoch in 0u64..5) {
        let make = |prefetch| -> Vec<Batch> {
            loader(count, LoaderConfig { prefetch, ..config(batch) }).epoch(epoch, 0).collect()
        };
        prop_assert_eq!(make(ahead), make(0));
    }

    #[test]
    fn entering_an_epoch_late_gives_the_rest_of_it(count in 1usize..60, batch in 1usize..20, first in 0usize..70, drop_last: bool) {
        let loader = loader(count, LoaderConfig { drop_last, ..config(batch) });
        let whole: Vec<Batch> = loader.epoch(2, 0).collect();
        let rest: Vec<Batch> = loader.epoch(2, first).collect();
        prop_assert_eq!(&whole[first.min(whole.len())..], &rest[..]);
    }

    #[test]
    fn an_epoch_shows_each_image_once_with_its_own_label(count in 1usize..60, batch in 1usize..20, drop_last: bool) {
        let loader = loader(count, LoaderConfig { drop_last, ..config(batch) });
        let batches: Vec<Batch> = loader.epoch(0, 0).collect();
        prop_assert_eq!(batches.len(), loader.batches_per_epoch());
        let mut seen = Vec::new();
        for part in &batches {
            prop_assert_eq!(part.shape, [part.labels.len(), 1, 4, 4]);
            prop_assert_eq!(part.images.len(), part.labels.len() * 16);
            prop_assert!(part.labels.len() == batch || (!drop_last && seen.len() + part.labels.len() == count));
            for (&index, &label) in part.indices.iter().zip(&part.labels) {
                prop_assert_eq!(label, index % 10);
                seen.push(index);
            }
        }
        let expected = if drop_last { count - count % batch } else { count };
        prop_assert_eq!(seen.len(), expected);
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), expected);
    }
}

#[test]
fn batches_hold_the_images_their_indices_name() {
    let plain = LoaderConfig {
        preprocess: Preprocess::default(),
        ..config(7)
    };
    let set = dataset(20, 4);
    for batch in loader(20, plain).epoch(0, 0) {
        for (position, &index) in batch.indices.iter().enumerate() {
            let expected: Vec<f32> = set
                .images
                .image(index as usize)
                .iter()
                .map(|&b| f32::from(b) / 255.0)
                .collect();
            assert_eq!(batch.images[position * 16..][..16], expected);
        }
    }
}

#[test]
fn without_a_seed_the_order_is_that_of_the_indices() {
    let order: Arc<[u32]> = [5, 3, 3, 9, 0].into();
    let config = LoaderConfig {
        batch: 2,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::new(dataset(10, 2)), order.clone(), config).unwrap();
    let seen: Vec<u32> = loader.epoch(4, 0).flat_map(|batch| batch.indices).collect();
    assert_eq!(seen[..], order[..]);
}

#[test]
fn each_epoch_and_each_seed_has_another_order() {
    let order = |seed, epoch| -> Vec<u32> {
        let config = LoaderConfig {
            shuffle_seed: Some(seed),
            ..config(10)
        };
        loader(50, config)
            .epoch(epoch, 0)
            .flat_map(|batch| batch.indices)
            .collect()
    };
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
    assert_eq!(order(1, 3), order(1, 3));
}

#[test]
fn the_noise_an_image_gets_does_not_depend_on_the_batch_it_is_in() {
    let pixels_of = |image: u32, batch: usize, seed: u64| -> Vec<f32> {
        let config = LoaderConfig {
            shuffle_seed: Some(seed),
            ..config(batch)
        };
        let found = loader(30, config).epoch(1, 0).find_map(|batch| {
            let at = batch.indices.iter().position(|&index| index == image)?;
            Some(batch.images[at * 16..][..16].to_vec())
        });
        found.unwrap()
    };
    assert_eq!(pixels_of(13, 30, 1), pixels_of(13, 4, 2));
    assert_ne!(pixels_of(13, 30, 1), pixels_of(14, 30, 1));
}

#[test]
fn an_epoch_dropped_early_stops_its_thread() {
    let set = Arc::new(dataset(1000, 4));
    let loader = Loader::new(set.clone(), (0..1000).collect(), config(10)).unwrap();
    for taken in [0, 1, 7] {
        let mut epoch = loader.epoch(0, 0);
        assert_eq!(epoch.by_ref().take(taken).count(), taken);
        drop(epoch);
    }
    drop(loader);
    // Joined: the thread's share of the data set is gone too.
    assert_eq!(Arc::strong_count(&set), 1);
}

#[test]
fn the_thread_runs_only_as_far_ahead_as_it_was_told() {
    let set = Arc::new(dataset(100, 4));
    let prefetch = LoaderConfig {
        prefetch: 3,
        ..config(1)
    };
    let loader = Loader::new(set, (0..100).collect(), prefetch).unwrap();
    let mut epoch = loader.epoch(0, 0);
    let first = epoch.next().unwrap();
    // However long nobody asks, what comes next is still the next batch.
    std::thread::yield_now();
    let whole: Vec<Batch> = loader.epoch(0, 0).collect();
    assert_eq!(first, whole[0]);
    assert_eq!(epoch.collect::<Vec<_>>(), whole[1..]);
}

#[test]
fn a_loader_that_cannot_work_is_not_made() {
    let new =
        |indices: &[u32], config| Loader::new(Arc::new(dataset(5, 4)), indices.into(), config);
    let message = |result: Result<Loader, hw_data::DataError>| result.unwrap_err().to_string();
    assert!(message(new(&[0], config(0))).contains("batch size"));
    assert!(message(new(&[], config(1))).contains("no images"));
    assert!(message(new(&[0, 5], config(1))).contains("index 5 is not below 5"));
    let crop = Preprocess {
        steps: vec![Step::CenterCrop { size: 5 }],
        ..Preprocess::default()
    };
    let too_large = LoaderConfig {
        preprocess: crop,
        ..config(1)
    };
    assert!(message(new(&[0], too_large)).contains("center-crop size"));
}

/// What loading MNIST's training part from files changed by `spoil` ends in.
fn refusal(spoil: impl FnOnce(&std::path::Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_part(folder.path(), "train", &[0, 1, 2, 3]);
    spoil(folder.path());
    let error = load(
        &DatasetId::Mnist,
        Split::Train,
        &DataDirs::only(folder.path()),
    )
    .unwrap_err();
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

const LABELS: &str = "train-labels-idx1-ubyte.gz";
const IMAGES: &str = "train-images-idx3-ubyte";

#[test]
fn images_and_labels_of_different_number_are_refused() {
    let message = refusal(|folder| write_idx(&folder.join(LABELS), &[3], vec![0, 1, 2]));
    for part in [IMAGES, "4 images", LABELS, "3 labels"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_label_out_of_range_is_refused_with_its_index() {
    let message = refusal(|folder| write_idx(&folder.join(LABELS), &[4], vec![0, 1, 10, 3]));
    for part in [LABELS, "byte 10", "0..=9", "10 for image 2"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn letters_count_from_one_in_files_and_from_zero_in_memory() {
    let letters = |labels: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        for part in ["train", "test"] {
            write_part(folder.path(), &format!("emnist-letters-{part}"), labels);
        }
        load(
            &DatasetId::EmnistLetters,
            Split::Train,
            &DataDirs::only(folder.path()),
        )
    };
    assert_eq!(letters(&[1, 26, 3]).unwrap().labels, [0, 25, 2]);
    let message = letters(&[1, 0, 3]).unwrap_err().to_string();
    assert!(
        message.contains("1..=26") && message.contains("0 for image 1"),
        "{message}"
    );
    assert!(letters(&[1, 27]).is_err());
}

#[test]
fn images_of_another_size_and_files_swapped_are_refused() {
    let message = refusal(|folder| write_idx(&folder.join(IMAGES), &[4, 32, 32], vec![0; 4096]));
    assert!(
        message.contains("28x28") && message.contains("4 of 32x32"),
        "{message}"
    );
    let message = refusal(|folder| write_idx(&folder.join(IMAGES), &[0, 28, 28], vec![]));
    assert!(message.contains("at least one image"), "{message}");
    let message = refusal(|folder| {
        fs::copy(folder.join(LABELS), folder.join(IMAGES)).unwrap();
    });
    assert!(
        message.contains(IMAGES) && message.contains("rank 3"),
        "{message}"
    );
}

#[test]
fn damaged_files_of_a_set_are_refused_by_name() {
    let garbage = refusal(|folder| fs::write(folder.join(LABELS), "no gzip, no IDX").unwrap());
    assert!(
        garbage.contains(LABELS) && garbage.contains("IDX magic"),
        "{garbage}"
    );
    let empty = refusal(|folder| fs::write(folder.join(IMAGES), "").unwrap());
    assert!(
        empty.contains(IMAGES) && empty.contains("empty file"),
        "{empty}"
    );
}

#[test]
fn emnist_images_are_turned_upright() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        let prefix = format!("emnist-digits-{part}");
        write_part(folder.path(), &prefix, &[7]);
        // Stored column by column: the second byte is the pixel below the corner.
        let stored: Vec<u8> = (0..784).map(|i| if i == 1 { 255 } else { 0 }).collect();
        let path = folder.path().join(format!("{prefix}-images-idx3-ubyte"));
        write_idx(&path, &[1, 28, 28], stored);
    }
    let dirs = DataDirs::only(folder.path());
    let set = load(&DatasetId::EmnistDigits, Split::Test, &dirs).unwrap();
    let bright: Vec<usize> = (0..784).filter(|&i| set.images.bytes()[i] > 0).collect();
    assert_eq!(bright, [28]);
}

#[test]
fn the_checksum_covers_shape_pixels_and_labels() {
    let base = dataset(4, 4);
    let changed = |change: &dyn Fn(&mut Vec<u8>, &mut Vec<u16>), shape: [usize; 2]| {
        let (mut pixels, mut labels) = (base.images.bytes().to_vec(), base.labels.clone());
        change(&mut pixels, &mut labels);
        let images = hw_data::Images::new(pixels, 4, 1, shape[0], shape[1]).unwrap();
        Dataset::new("x", Split::Test, images, labels, base.classes.clone())
            .unwrap()
            .checksum
    };
    assert_eq!(
        changed(&|_, _| (), [4, 4]),
        base.checksum,
        "name and split are no content"
    );
    assert_ne!(changed(&|pixels, _| pixels[9] ^= 1, [4, 4]), base.checksum);
    assert_ne!(changed(&|_, labels| labels[3] ^= 1, [4, 4]), base.checksum);
    assert_ne!(changed(&|_, _| (), [2, 8]), base.checksum);
    assert_eq!(base.subset(&[0, 1, 2, 3]).checksum, base.checksum);
    assert_ne!(base.subset(&[1, 0, 2, 3]).checksum, base.checksum);
}

#[test]
fn a_set_that_contradicts_itself_cannot_be_made() {
    let images = || hw_data::Images::new(vec![0; 8], 2, 1, 2, 2).unwrap();
    let classes = || crate::support::classes("ab");
    let new = |labels| Dataset::new("x", Split::Train, images(), labels, classes());
    assert!(
        new(vec![0])
            .unwrap_err()
            .to_string()
            .contains("2 images but 1 labels")
    );
    assert!(
        new(vec![0, 2])
            .unwrap_err()
            .to_string()
            .contains("label 2 of image 1")
    );
    assert!(hw_data::Images::new(vec![0; 7], 2, 1, 2, 2).is_err());
    assert!(hw_data::Images::new(vec![], 2, 1, 0, 2).is_err());
    assert!(hw_data::Images::new(vec![0; 4], usize::MAX, 2, 2, 2).is_err());
}

#[test]
fn with_replacement_an_epoch_is_as_long_but_repeats_some_images_and_misses_others() {
    let config = LoaderConfig {
        sampling: Sampling::Replacement,
        ..config(100)
    };
    let loader = loader(1000, config);
    let drawn = |epoch| -> Vec<u32> { loader.epoch(epoch, 0).flat_map(|b| b.indices).collect() };
    let (first, second) = (drawn(0), drawn(1));
    assert_eq!(first.len(), 1000);
    assert_ne!(first, second);
    assert_eq!(first, drawn(0));
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // 1 - 1/e of them on average, with a standard deviation of about 1 %.
    assert!((580..=690).contains(&distinct.len()), "{}", distinct.len());
    let rest: Vec<u32> = loader.epoch(0, 4).flat_map(|batch| batch.indices).collect();
    assert_eq!(rest, first[400..]);
}
