//! What random changes may and may not do to an image.

use crate::support::dataset;
use hw_data::augment::{Augment, Augmenter, Interpolation};
use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::preprocess::Draw;
use hw_data::{GlyphSet, Loader, LoaderConfig, Split};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use std::sync::Arc;

fn augmented(augment: &Augment, image: &[u8], side: usize, draw: Draw) -> Vec<f32> {
    let mut out = vec![f32::NAN; image.len()];
    Augmenter::new(augment, [1, side, side], draw.seed)
        .unwrap()
        .apply(image, draw, &mut out);
    out
}

/// A disc of this radius about the middle of a 28x28 image, softly edged.
fn disc(row: f32, column: f32, radius: f32) -> Vec<u8> {
    let value = |i: usize| {
        let (y, x) = ((i / 28) as f32 - row, (i % 28) as f32 - column);
        ((radius + 0.5 - y.hypot(x)).clamp(0.0, 1.0) * 255.0) as u8
    };
    (0..784).map(value).collect()
}

/// (row, column) of the centre of mass, and the mass.
fn centre(pixels: &[f32]) -> (f32, f32, f32) {
    let mass: f32 = pixels.iter().sum();
    let moment = |f: fn(usize) -> usize| -> f32 {
        let weighted = pixels.iter().enumerate();
        weighted.map(|(i, v)| f(i) as f32 * v).sum::<f32>() / mass
    };
    (moment(|i| i / 28), moment(|i| i % 28), mass)
}

fn any_augment() -> impl Strategy<Value = Augment> {
    let numbers = (
        0.0f32..4.0,
        0.0f32..45.0,
        0.0f32..0.5,
        0.0f32..30.0,
        0.0f32..4.0,
        2.0f32..8.0,
        0.0f32..=1.0,
        0.01f32..=0.5,
        any::<bool>(),
    );
    numbers.prop_map(
        |(shift, rotate, scale, shear, elastic, sigma, erase, erase_area, cubic)| Augment {
            shift,
            rotate,
            scale,
            shear,
            elastic,
            sigma,
            erase,
            erase_area,
            interpolation: match cubic {
                true => Interpolation::Cubic,
                false => Interpolation::Linear,
            },
            registered: None,
        },
    )
}

proptest! {
    // Each case smooths a field of its own.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_pixel_stays_on_the_scale_and_a_draw_is_repeatable(
        augment in any_augment(), seed: u64, epoch in 0u64..100, index: u32,
    ) {
        let set = dataset(1, 28);
        let draw = Draw { seed, epoch, index };
        let out = augmented(&augment, set.images.image(0), 28, draw);
        prop_assert!(out.iter().all(|v| (0.0..=1.0).contains(v)));
        prop_assert_eq!(out, augmented(&augment, set.images.image(0), 28, draw));
    }
}

proptest! {
    #[test]
    fn without_any_change_an_image_stays_itself(bytes in proptest::collection::vec(any::<u8>(), 35)) {
        let mut out = vec![0.0; 35];
        let augmenter = Augmenter::new(&Augment::default(), [1, 5, 7], 1).unwrap();
        augmenter.apply(&bytes, Draw::default(), &mut out);
        let unit = |&byte: &u8| f32::from(byte) / 255.0;
        prop_assert!(out.iter().zip(&bytes).all(|(v, byte)| (v - unit(byte)).abs() < 1e-6));
    }

    #[test]
    fn a_shift_moves_the_ink_by_no_more_than_asked_and_loses_none(
        index: u32, shift in 0.5f32..6.0, cubic: bool,
    ) {
        let interpolation = if cubic { Interpolation::Cubic } else { Interpolation::Linear };
        let augment = Augment { shift, interpolation, ..Augment::default() };
        let before = disc(13.5, 13.5, 4.0);
        let out = augmented(&augment, &before, 28, Draw { index, ..Draw::default() });
        let (row, column, mass) = centre(&out);
        // What a cubic overshoots the edge of the disc by is cut off.
        let (off, lost) = if cubic { (0.05, 0.02) } else { (1e-3, 1e-3) };
        prop_assert!((row - 13.5).abs() <= shift + off && (column - 13.5).abs() <= shift + off);
        let whole: f32 = before.iter().map(|&v| f32::from(v) / 255.0).sum();
        prop_assert!((mass - whole).abs() < lost * whole);
    }

    #[test]
    fn a_rotation_turns_about_the_middle_by_no_more_than_asked(index: u32, rotate in 1.0f32..90.0) {
        let augment = Augment { rotate, ..Augment::default() };
        let out = augmented(&augment, &disc(13.5, 21.0, 3.0), 28, Draw { index, ..Draw::default() });
        let (row, column, _) = centre(&out);
        let (down, right) = (row - 13.5, column - 13.5);
        prop_assert!((down.hypot(right) - 7.5).abs() < 0.1, "{down} {right}");
        prop_assert!(down.atan2(right).to_degrees().abs() <= rotate + 0.5);
    }

    #[test]
    fn a_change_of_size_multiplies_the_area_by_no_more_than_asked(index: u32, scale in 0.05f32..0.5) {
        let augment = Augment { scale, ..Augment::default() };
        let before = disc(13.5, 13.5, 6.0);
        let whole: f32 = before.iter().map(|&v| f32::from(v) / 255.0).sum();
        let out = augmented(&augment, &before, 28, Draw { index, ..Draw::default() });
        let (row, column, mass) = centre(&out);
        prop_assert!((row - 13.5).abs() < 0.05 && (column - 13.5).abs() < 0.05);
        let most = (1.0 + scale).powi(2) * 1.02;
        prop_assert!((1.0 / most..=most).contains(&(mass / whole)), "{}", mass / whole);
    }

    #[test]
    fn a_shear_keeps_area_and_rows(index: u32, shear in 1.0f32..40.0) {
        let augment = Augment { shear, ..Augment::default() };
        let before = disc(13.5, 13.5, 5.0);
        let whole: f32 = before.iter().map(|&v| f32::from(v) / 255.0).sum();
        let out = augmented(&augment, &before, 28, Draw { index, ..Draw::default() });
        let (row, _, mass) = centre(&out);
        prop_assert!((row - 13.5).abs() < 0.02 && (mass - whole).abs() < 0.02 * whole);
    }

    #[test]
    fn erasing_removes_one_rectangle_of_no_more_than_the_area_asked(
        index: u32, erase_area in 0.05f32..0.5,
    ) {
        let augment = Augment { erase: 1.0, erase_area, ..Augment::default() };
        let out = augmented(&augment, &[255; 784], 28, Draw { index, ..Draw::default() });
        let gone: Vec<usize> = (0..784).filter(|&i| out[i] == 0.0).collect();
        prop_assert!(!gone.is_empty());
        let (top, bottom) = (gone[0] / 28, gone[gone.len() - 1] / 28);
        let columns = gone.iter().map(|i| i % 28);
        let (left, right) = (columns.clone().min().unwrap(), columns.max().unwrap());
        prop_assert_eq!(gone.len(), (bottom - top + 1) * (right - left + 1));
        // The sides are rounded to whole pixels.
        prop_assert!(gone.len() as f32 <= erase_area * 784.0 * 1.15 + 15.0);
    }

    #[test]
    fn what_is_written_down_is_read_back(augment in any_augment()) {
        prop_assert_eq!(augment.to_string().parse::<Augment>().unwrap(), augment);
        let json = serde_json::to_string(&augment).unwrap();
        prop_assert_eq!(serde_json::from_str::<Augment>(&json).unwrap(), augment);
    }
}

#[test]
fn elastic_displacement_bends_but_keeps_most_of_the_ink() {
    let set = generate(GlyphSet::Digits, Split::Train, 200, &GlyphConfig::default()).unwrap();
    let augment = Augment {
        elastic: 1.4,
        ..Augment::default()
    };
    let augmenter = Augmenter::new(&augment, [1, 28, 28], 5).unwrap();
    let (mut before, mut after, mut changed) = (0.0, 0.0, 0);
    let mut out = vec![0.0; 784];
    for index in 0..set.len() {
        let image = set.images.image(index);
        augmenter.apply(
            image,
            Draw {
                seed: 5,
                epoch: 0,
                index: index as u32,
            },
            &mut out,
        );
        before += image.iter().map(|&v| f64::from(v) / 255.0).sum::<f64>();
        after += out.iter().map(|&v| f64::from(v)).sum::<f64>();
        let far = |(v, &byte): (&f32, &u8)| (v - f32::from(byte) / 255.0).abs() > 0.2;
        changed += usize::from(out.iter().zip(image).any(far));
    }
    assert!((after / before - 1.0).abs() < 0.03, "{after} {before}");
    assert_eq!(changed, set.len());
}

/// How much neighbouring pixels differ, the sharper the more.
fn contrast(pixels: &[f32]) -> f32 {
    let pairs = pixels.windows(2);
    pairs.map(|pair| (pair[1] - pair[0]).powi(2)).sum()
}

#[test]
fn cubic_values_keep_a_moved_image_sharper_than_linear_ones() {
    let image = disc(13.5, 13.5, 4.0);
    let before: Vec<f32> = image.iter().map(|&v| f32::from(v) / 255.0).collect();
    let after = |augment: &str| -> f32 {
        let augment: Augment = augment.parse().unwrap();
        let draw = |index| Draw {
            index,
            ..Draw::default()
        };
        let one = |index| contrast(&augmented(&augment, &image, 28, draw(index)));
        (0..50).map(one).sum::<f32>() / 50.0 / contrast(&before)
    };
    let (linear, cubic) = (after("shift=2"), after("shift=2,interpolation=cubic"));
    assert!(cubic > 1.1 * linear, "{linear} {cubic}");
}

#[test]
fn all_channels_move_together() {
    let plane = disc(10.0, 16.0, 4.0);
    let colour: Vec<u8> = plane.iter().chain(&plane).chain(&plane).copied().collect();
    let augmenter = Augmenter::new(&Augment::standard(), [3, 28, 28], 1).unwrap();
    let mut out = vec![0.0; 3 * 784];
    augmenter.apply(&colour, Draw::default(), &mut out);
    assert_eq!(out[..784], out[784..1568]);
    assert_eq!(out[..784], out[1568..]);
}

#[test]
fn a_loader_gives_the_same_bits_with_any_number_of_workers() {
    let set = Arc::new(dataset(57, 12));
    let batches = |workers: usize, prefetch: usize| {
        let config = LoaderConfig {
            batch: 5,
            shuffle_seed: Some(3),
            augment: Some(Augment::standard()),
            augment_seed: 3,
            workers,
            prefetch,
            ..LoaderConfig::default()
        };
        let loader = Loader::new(set.clone(), (0..57).collect(), config).unwrap();
        let whole: Vec<_> = loader.epoch(2, 0).collect();
        let rest: Vec<_> = loader.epoch(2, 4).collect();
        assert_eq!(whole[4..], rest);
        whole
    };
    let direct = batches(1, 0);
    assert_eq!(direct.len(), 12);
    for (workers, prefetch) in [(1, 4), (2, 4), (3, 2), (5, 8), (0, 1)] {
        assert_eq!(batches(workers, prefetch), direct, "{workers} workers");
    }
}

#[test]
fn another_epoch_and_another_image_are_changed_otherwise() {
    let set = Arc::new(dataset(4, 28));
    let config = LoaderConfig {
        augment: Some("rotate=20,elastic=2".parse().unwrap()),
        ..LoaderConfig::default()
    };
    let loader = Loader::new(set, (0..4).collect(), config).unwrap();
    let of = |epoch| loader.epoch(epoch, 0).next().unwrap().images;
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn after_a_cycle_images_are_changed_as_before_in_another_order() {
    let set = Arc::new(dataset(40, 12));
    let config = LoaderConfig {
        augment: Some(Augment::standard()),
        augment_cycle: Some(3),
        shuffle_seed: Some(1),
        ..LoaderConfig::default()
    };
    let loader = Loader::new(set.clone(), (0..40).collect(), config.clone()).unwrap();
    let of = |epoch| {
        let batch = loader.epoch(epoch, 0).next().unwrap();
        let images = batch.images.chunks_exact(144).map(<[f32]>::to_vec);
        let mut by_index: Vec<_> = batch.indices.iter().copied().zip(images).collect();
        by_index.sort_by_key(|(index, _)| *index);
        (batch.indices, by_index)
    };
    for (epoch, again) in [(0, 3), (1, 7), (2, 302)] {
        assert_eq!(of(epoch).1, of(again).1);
        assert_ne!(of(epoch).0, of(again).0);
    }
    assert_ne!(of(0).1, of(1).1);
    assert_ne!(of(1).1, of(2).1);
    let none = LoaderConfig {
        augment_cycle: Some(0),
        ..config
    };
    let refused = Loader::new(set, (0..40).collect(), none).unwrap_err();
    assert!(refused.to_string().contains("cycle"), "{refused}");
}

#[test]
fn dropping_an_epoch_of_several_workers_early_ends_them() {
    let set = Arc::new(dataset(100, 8));
    let config = LoaderConfig {
        batch: 1,
        workers: 3,
        prefetch: 6,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(set, (0..100).collect(), config).unwrap();
    let mut epoch = loader.epoch(0, 0);
    assert_eq!(epoch.next().unwrap().indices, [0]);
    drop(epoch);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = |text: &str, needle: &str| {
        let error = text.parse::<Augment>().unwrap_err().to_string();
        assert!(error.contains(needle), "{text}: {error}");
    };
    refused("shift=-1", "shift");
    refused("rotate=400", "rotate");
    refused("erase=1.5", "erase");
    refused("elastic=1,sigma=0", "sigma");
    refused("shift=nan", "shift");
    refused("shift=two", "no number");
    refused("wobble=3", "wobble");
    refused("strong", "standard");
    refused("interpolation=nearest", "linear or cubic");
    assert!("none".parse::<Augment>().unwrap().is_none());
    let changed: Augment = "standard, erase-area=0.3".parse().unwrap();
    assert_eq!(
        changed,
        Augment {
            erase_area: 0.3,
            ..Augment::standard()
        }
    );
}
