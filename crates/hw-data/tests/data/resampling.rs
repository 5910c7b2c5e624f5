//! Resizing against PyTorch and TensorFlow, and what must hold for any image.

use crate::support::{dataset, fixture};
use hw_data::preprocess::{Draw, Preprocess, Step};
use hw_data::{Filter, Loader, LoaderConfig};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Case {
    height: usize,
    width: usize,
    size: usize,
    image: Vec<u8>,
    bilinear: Vec<f32>,
    bicubic: Vec<f32>,
    area: Vec<f32>,
}

fn resized(image: &[u8], shape: [usize; 3], size: usize, filter: Filter) -> Vec<f32> {
    let steps = vec![Step::Resize { size, filter }];
    let preprocess = Preprocess {
        steps,
        ..Preprocess::default()
    };
    preprocess
        .check(shape)
        .unwrap()
        .apply(image, Draw::default())
}

#[test]
fn resizing_equals_pytorch_and_tensorflow() {
    let text = std::fs::read_to_string(fixture("resize.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let golden = [
            (Filter::Bilinear, &case.bilinear),
            (Filter::Bicubic, &case.bicubic),
            (Filter::Area, &case.area),
        ];
        for (filter, expected) in golden {
            let found = resized(&case.image, [1, case.height, case.width], case.size, filter);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 2e-6,
                    "{filter}: {found} {expected}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn a_plain_image_stays_plain_and_every_value_stays_on_the_scale(
        value: u8, height in 1usize..20, width in 1usize..20, size in 1usize..40,
        noise in proptest::collection::vec(any::<u8>(), 400),
    ) {
        for filter in Filter::ALL {
            let plain = resized(&vec![value; height * width], [1, height, width], size, filter);
            prop_assert!(plain.iter().all(|v| (v - f32::from(value) / 255.0).abs() < 1e-5));
            let any = resized(&noise[..height * width], [1, height, width], size, filter);
            prop_assert_eq!(any.len(), size * size);
            prop_assert!(any.iter().all(|v| (-1e-6..=1.0 + 1e-5).contains(v)));
        }
    }

    #[test]
    fn the_same_size_changes_nothing(noise in proptest::collection::vec(any::<u8>(), 81)) {
        for filter in Filter::ALL {
            let found = resized(&noise, [1, 9, 9], 9, filter);
            let same = |(v, &byte): (&f32, &u8)| (v - f32::from(byte) / 255.0).abs() < 1e-6;
            prop_assert!(found.iter().zip(&noise).all(same));
        }
    }

    #[test]
    fn area_keeps_the_mean_and_repeating_copies_the_channel(
        noise in proptest::collection::vec(any::<u8>(), 12 * 12), size in 1usize..30,
    ) {
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        let before: Vec<f32> = noise.iter().map(|&v| f32::from(v) / 255.0).collect();
        let after = resized(&noise, [1, 12, 12], size, Filter::Area);
        prop_assert!((mean(&before) - mean(&after)).abs() < 1e-4);
        let steps = vec![Step::Repeat { channels: 3 }];
        let three = Preprocess { steps, ..Preprocess::default() }.check([1, 12, 12]).unwrap();
        let three = three.apply(&noise, Draw::default());
        prop_assert_eq!(three.len(), 3 * 144);
        prop_assert!(three[..144] == three[144..288] && three[..144] == three[288..]);
    }
}

#[test]
fn large_colour_input_is_made_on_the_fly_within_a_bounded_queue() {
    let set = Arc::new(dataset(300, 28));
    let steps = vec![
        Step::Resize {
            size: 224,
            filter: Filter::Bilinear,
        },
        Step::Repeat { channels: 3 },
    ];
    let config = LoaderConfig {
        batch: 100,
        preprocess: Preprocess {
            steps,
            ..Preprocess::default()
        },
        ..LoaderConfig::default()
    };
    let loader = Loader::new(set, (0..300).collect(), config).unwrap();
    assert_eq!(loader.image_shape(), [3, 224, 224]);
    let first = loader.epoch(0, 0).next().unwrap();
    assert_eq!(first.shape, [100, 3, 224, 224]);
}

#[test]
fn sizes_and_channels_out_of_range_are_refused() {
    for (step, needle) in [
        (
            Step::Resize {
                size: 0,
                filter: Filter::Area,
            },
            "resize size",
        ),
        (
            Step::Resize {
                size: 4096,
                filter: Filter::Area,
            },
            "resize size",
        ),
        (Step::Repeat { channels: 0 }, "repeat channels"),
    ] {
        let preprocess = Preprocess {
            steps: vec![step],
            ..Preprocess::default()
        };
        let error = preprocess.check([1, 28, 28]).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    let steps = vec![Step::Repeat { channels: 3 }, Step::Repeat { channels: 3 }];
    assert!(
        Preprocess {
            steps,
            ..Preprocess::default()
        }
        .check([1, 8, 8])
        .is_err()
    );
}
