//! Splits are partitions, chosen by the seed alone, and keep class shares where they promise to.

use hw_data::split::{SplitIndices, limit};
use proptest::collection::vec;
use proptest::prelude::*;

fn sorted(mut indices: Vec<u32>) -> Vec<u32> {
    indices.sort_unstable();
    indices
}

proptest! {
    #[test]
    fn both_splits_are_partitions_of_the_asked_size(
        labels in vec(0u16..7, 1..300),
        fraction in 0.0..0.999f64,
        seed: u64,
    ) {
        let indices: Vec<u32> = (0..labels.len() as u32).collect();
        let size = (labels.len() as f64 * fraction).round() as usize;
        let random = SplitIndices::random(&indices, fraction, seed).unwrap();
        let stratified = SplitIndices::stratified(&indices, &labels, fraction, seed).unwrap();
        for split in [random, stratified] {
            prop_assert_eq!(split.validation.len(), size);
            prop_assert_eq!(sorted([split.train, split.validation].concat()), indices.clone());
        }
    }

    #[test]
    fn a_stratified_split_gives_each_class_its_share_to_within_one(
        labels in vec(0u16..7, 1..300),
        fraction in 0.0..0.999f64,
        seed: u64,
    ) {
        let indices: Vec<u32> = (0..labels.len() as u32).collect();
        let split = SplitIndices::stratified(&indices, &labels, fraction, seed).unwrap();
        for class in 0..7 {
            let of_class = |indices: &[u32]| {
                indices.iter().filter(|&&i| labels[i as usize] == class).count() as f64
            };
            let exact = of_class(&indices) * fraction;
            prop_assert!((of_class(&split.validation) - exact).abs() < 1.0);
        }
    }

    #[test]
    fn a_larger_limit_extends_a_smaller_one(count in 0u32..200, small in 0usize..250, more in 0usize..50, seed: u64) {
        let indices: Vec<u32> = (0..count).map(|i| i * 3).collect();
        let few = limit(&indices, small, seed);
        let many = limit(&indices, small + more, seed);
        prop_assert_eq!(few.len(), small.min(indices.len()));
        prop_assert_eq!(&many[..few.len()], &few[..]);
        prop_assert_eq!(sorted(limit(&indices, 200, seed)), indices);
    }
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let indices: Vec<u32> = (0..100).collect();
    let labels = vec![0; 100];
    let split = |seed| SplitIndices::stratified(&indices, &labels, 0.3, seed).unwrap();
    assert_eq!(split(1), split(1));
    assert_ne!(split(1), split(2));
    assert_ne!(limit(&indices, 10, 1), limit(&indices, 10, 2));
}

#[test]
fn recorded_splits_never_change_between_releases() {
    let indices: Vec<u32> = (0..10).collect();
    let split = SplitIndices::random(&indices, 0.3, 42).unwrap();
    let pinned = (vec![1, 3, 4, 6, 7, 8, 9], vec![2, 5, 0]);
    assert_eq!((sorted(split.train), split.validation), pinned);
}

#[test]
fn limiting_a_split_leaves_its_validation_set_alone() {
    let indices: Vec<u32> = (0..100).collect();
    let split = SplitIndices::random(&indices, 0.2, 1).unwrap();
    let limited = split.clone().limit(10, 1);
    assert_eq!(limited.validation, split.validation);
    assert_eq!(limited.train, limit(&split.train, 10, 1));
}

#[test]
fn a_fraction_outside_its_range_and_an_index_without_label_are_refused() {
    for fraction in [-0.1, 1.0, f64::NAN] {
        let message = SplitIndices::random(&[0], fraction, 0)
            .unwrap_err()
            .to_string();
        assert!(message.contains("validation fraction"), "{message}");
    }
    let message = SplitIndices::stratified(&[0, 5], &[0; 5], 0.5, 0)
        .unwrap_err()
        .to_string();
    assert!(message.contains("index 5"), "{message}");
}
