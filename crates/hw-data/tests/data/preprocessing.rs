//! Every transform keeps its promises, for any image.

use hw_data::DataError;
use hw_data::preprocess::{Draw, PixelScale, Preprocess, Step};
use proptest::collection::vec;
use proptest::prelude::*;

fn steps(steps: Vec<Step>) -> Preprocess {
    Preprocess {
        steps,
        ..Preprocess::default()
    }
}

fn scaled(scale: PixelScale) -> Preprocess {
    Preprocess {
        scale,
        ..Preprocess::default()
    }
}

/// An image and its shape `[channels, height, width]`.
fn images() -> impl Strategy<Value = (Vec<u8>, [usize; 3])> {
    (1usize..4, 1usize..12, 1usize..12)
        .prop_flat_map(|(c, h, w)| (vec(any::<u8>(), c * h * w), Just([c, h, w])))
}

#[test]
fn scales_give_each_byte_its_value() {
    let bytes: Vec<u8> = (0..=255).collect();
    let apply = |preprocess: Preprocess| {
        preprocess
            .check([1, 16, 16])
            .unwrap()
            .apply(&bytes, Draw::default())
    };
    let unit = apply(scaled(PixelScale::Unit));
    let raw = apply(scaled(PixelScale::Raw));
    let (mean, std) = (0.1307, 0.3081);
    let standard = apply(scaled(PixelScale::Standard { mean, std }));
    for (byte, value) in bytes.iter().map(|&byte| f32::from(byte)).enumerate() {
        assert_eq!(unit[byte], value / 255.0);
        assert_eq!(raw[byte], value);
        assert_eq!(standard[byte], (value / 255.0 - mean) / std);
    }
}

proptest! {
    #[test]
    fn scaling_is_the_same_with_and_without_steps((image, shape) in images(), which in 0usize..3) {
        let scale = [PixelScale::Unit, PixelScale::Raw, PixelScale::Standard { mean: 0.13, std: 0.31 }][which];
        let nothing = Step::Pad { border: 0, value: 0.0 };
        let direct = scaled(scale).check(shape).unwrap().apply(&image, Draw::default());
        let with_step = Preprocess { scale, steps: vec![nothing] }.check(shape).unwrap().apply(&image, Draw::default());
        prop_assert_eq!(direct, with_step);
    }

    #[test]
    fn a_centre_crop_undoes_a_padding((image, shape) in images(), border in 0usize..5, value in 0.0..=1.0f32) {
        let side = shape[1].min(shape[2]);
        let square = steps(vec![Step::CenterCrop { size: side }]);
        let padded = steps(vec![
            Step::CenterCrop { size: side },
            Step::Pad { border, value },
            Step::CenterCrop { size: side },
        ]);
        let apply = |p: &Preprocess| p.check(shape).unwrap().apply(&image, Draw::default());
        prop_assert_eq!(apply(&square), apply(&padded));
    }

    #[test]
    fn a_crop_takes_each_pixel_from_its_place((image, shape) in images(), size in 1usize..12) {
        let [channels, height, width] = shape;
        prop_assume!(size <= height.min(width));
        let out = steps(vec![Step::CenterCrop { size }]).check(shape).unwrap().apply(&image, Draw::default());
        let (top, left) = ((height - size) / 2, (width - size) / 2);
        for c in 0..channels {
            for y in 0..size {
                for x in 0..size {
                    let source = image[(c * height + top + y) * width + left + x];
                    prop_assert_eq!(out[(c * size + y) * size + x], f32::from(source) / 255.0);
                }
            }
        }
    }

    #[test]
    fn a_padding_surrounds_the_image_with_its_value((image, shape) in images(), border in 0usize..5, value in 0.0..=1.0f32) {
        let [channels, height, width] = shape;
        let pipeline = steps(vec![Step::Pad { border, value }]).check(shape).unwrap();
        let [_, tall, wide] = pipeline.output_shape();
        prop_assert_eq!([tall, wide], [height + 2 * border, width + 2 * border]);
        let out = pipeline.apply(&image, Draw::default());
        for c in 0..channels {
            for y in 0..tall {
                for x in 0..wide {
                    let inside = (border..border + height).contains(&y) && (border..border + width).contains(&x);
                    let expected = match inside {
                        true => f32::from(image[(c * height + y - border) * width + x - border]) / 255.0,
                        false => value,
                    };
                    prop_assert_eq!(out[(c * tall + y) * wide + x], expected);
                }
            }
        }
    }

    #[test]
    fn noise_stays_in_range_and_depends_on_its_draw_alone(
        (image, shape) in images(), std in 0.0..2.0f32, fraction in 0.0..=1.0f32,
        seed: u64, epoch in 0u64..1000, index: u32,
    ) {
        let noise = steps(vec![Step::GaussianNoise { std }, Step::SaltPepper { fraction }]);
        let draw = Draw { seed, epoch, index };
        let once = noise.check(shape).unwrap().apply(&image, draw);
        let again = noise.check(shape).unwrap().apply(&image, draw);
        prop_assert_eq!(&once, &again);
        prop_assert!(once.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }

    #[test]
    fn no_noise_changes_nothing((image, shape) in images(), seed: u64) {
        let draw = Draw { seed, ..Draw::default() };
        let none = steps(vec![Step::GaussianNoise { std: 0.0 }, Step::SaltPepper { fraction: 0.0 }]);
        let apply = |p: Preprocess| p.check(shape).unwrap().apply(&image, draw);
        prop_assert_eq!(apply(none), apply(Preprocess::default()));
    }

    #[test]
    fn the_promised_shape_is_the_shape_that_comes_out((image, shape) in images(), border in 0usize..4, size in 1usize..20) {
        let chain = steps(vec![Step::Pad { border, value: 0.5 }, Step::CenterCrop { size }, Step::GaussianNoise { std: 0.1 }]);
        match chain.output_shape(shape) {
            Ok(promised) => {
                let pipeline = chain.check(shape).unwrap();
                prop_assert_eq!(pipeline.output_shape(), promised);
                prop_assert_eq!(pipeline.apply(&image, Draw::default()).len(), promised.iter().product::<usize>());
            }
            Err(_) => prop_assert!(chain.check(shape).is_err() && size > shape[1].min(shape[2]) + 2 * border),
        }
    }
}

#[test]
fn noise_has_the_asked_for_spread() {
    let noise = steps(vec![Step::GaussianNoise { std: 0.1 }]);
    let pipeline = noise.check([1, 200, 200]).unwrap();
    // Mid-grey, five standard deviations from either end, so that clipping plays no part.
    let noisy = pipeline.apply(&vec![128; 40_000], Draw::default());
    let grey = 128.0 / 255.0;
    let mean = noisy.iter().map(|&x| f64::from(x)).sum::<f64>() / 40_000.0;
    let variance = noisy
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / 40_000.0;
    assert!((mean - grey).abs() < 0.0025, "{mean}");
    assert!((variance.sqrt() - 0.1).abs() < 0.002, "{}", variance.sqrt());
}

#[test]
fn salt_and_pepper_fall_in_equal_parts() {
    let pipeline = steps(vec![Step::SaltPepper { fraction: 0.2 }])
        .check([1, 200, 200])
        .unwrap();
    let noisy = pipeline.apply(&vec![128; 40_000], Draw::default());
    let count = |value: f32| noisy.iter().filter(|&&pixel| pixel == value).count();
    for value in [0.0, 1.0] {
        // 4,000 expected; six standard deviations.
        assert!(
            count(value).abs_diff(4_000) < 360,
            "{} pixels are {value}",
            count(value)
        );
    }
    assert_eq!(count(0.0) + count(1.0) + count(128.0 / 255.0), 40_000);
}

#[test]
fn every_epoch_image_seed_and_step_has_its_own_noise() {
    let once = steps(vec![Step::GaussianNoise { std: 0.05 }]);
    let twice = steps(vec![Step::GaussianNoise { std: 0.05 }; 2]);
    let apply = |p: &Preprocess, seed, epoch, index| {
        let draw = Draw { seed, epoch, index };
        p.check([1, 8, 8]).unwrap().apply(&[128; 64], draw)
    };
    let base = apply(&once, 1, 1, 1);
    let others = [(2, 1, 1), (1, 2, 1), (1, 1, 2)];
    for (seed, epoch, index) in others {
        assert_ne!(base, apply(&once, seed, epoch, index));
    }
    // A second step with the first one's draws would double every deviation.
    let grey = 128.0 / 255.0;
    let doubled = |(once, twice): (&f32, &f32)| (2.0 * (once - grey) - (twice - grey)).abs() < 1e-4;
    assert!(!base.iter().zip(&apply(&twice, 1, 1, 1)).all(doubled));
}

#[test]
fn wrong_numbers_are_refused_by_name() {
    let shape = [1, 28, 28];
    let cases = [
        (Step::CenterCrop { size: 0 }, "center-crop size"),
        (Step::CenterCrop { size: 29 }, "1..=28"),
        (
            Step::Pad {
                border: 2,
                value: 1.5,
            },
            "pad value",
        ),
        (
            Step::Pad {
                border: usize::MAX,
                value: 0.0,
            },
            "pad border",
        ),
        (Step::GaussianNoise { std: -1.0 }, "gaussian-noise std"),
        (Step::GaussianNoise { std: f32::NAN }, "gaussian-noise std"),
        (Step::SaltPepper { fraction: 1.1 }, "salt-pepper fraction"),
    ];
    for (step, expected) in cases {
        let message = steps(vec![step]).check(shape).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    for (mean, std) in [(0.0, 0.0), (f32::NAN, 1.0), (0.0, f32::INFINITY)] {
        let result = scaled(PixelScale::Standard { mean, std }).output_shape(shape);
        assert!(matches!(result, Err(DataError::Invalid { .. })));
    }
}

#[test]
fn it_is_written_and_read_as_configuration() {
    let json = r#"{"scale":{"standard":{"mean":0.5,"std":0.25}},"steps":[{"kind":"center-crop","size":20},{"kind":"pad","border":2,"value":0.0},{"kind":"gaussian-noise","std":0.25},{"kind":"salt-pepper","fraction":0.5}]}"#;
    let preprocess: Preprocess = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&preprocess).unwrap(), json);
    assert_eq!(
        serde_json::from_str::<Preprocess>("{}").unwrap(),
        Preprocess::default()
    );
    assert!(serde_json::from_str::<Preprocess>(r#"{"stepz":[]}"#).is_err());
    assert!(
        serde_json::from_str::<Preprocess>(
            r#"{"steps":[{"kind":"pad","border":1,"value":0,"colour":3}]}"#
        )
        .is_err()
    );
    assert!(preprocess.is_random() && !Preprocess::default().is_random());
}
