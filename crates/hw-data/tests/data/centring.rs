//! Pictures of characters come out as the data sets' own images did.

use crate::support::fixture;
use hw_data::DataError;
use hw_data::centre::{Centring, fit_like_emnist, fit_like_kmnist, fit_like_mnist};
use hw_data::gray::Gray;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    height: usize,
    width: usize,
    ink: Vec<u8>,
    like_mnist: Vec<u8>,
    like_emnist: Vec<u8>,
}

fn golden() -> Golden {
    serde_json::from_str(&std::fs::read_to_string(fixture("centre.json")).unwrap()).unwrap()
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)));
    differences.sum::<f64>() / a.len() as f64
}

#[test]
fn the_steps_agree_with_numpy_scipy_and_pillow() {
    let golden = golden();
    let ink = Gray::new(golden.height, golden.width, golden.ink).unwrap();
    let mnist = fit_like_mnist(&ink).unwrap();
    assert!(largest_difference(&mnist, &golden.like_mnist) <= 1);
    let emnist = fit_like_emnist(&ink).unwrap();
    assert!(largest_difference(&emnist, &golden.like_emnist) <= 1);
}

#[test]
fn a_jpeg_on_off_white_paper_and_a_transparent_png_give_the_same_image() {
    let golden = golden();
    let jpeg = fit_like_mnist(&Gray::open(&fixture("ink.jpg")).unwrap()).unwrap();
    // Its traces move the bounding box by a pixel of the photograph.
    assert!(mean_difference(&jpeg, &golden.like_mnist) < 3.0);
    let png = fit_like_mnist(&Gray::open(&fixture("ink-on-nothing.png")).unwrap()).unwrap();
    assert!(largest_difference(&png, &golden.like_mnist) <= 1);
}

#[test]
fn a_photograph_taken_sideways_is_turned_upright() {
    let [upright, sideways] =
        ["ink.jpg", "ink-sideways.jpg"].map(|name| Gray::open(&fixture(name)).unwrap());
    assert_eq!(
        (sideways.height(), sideways.width()),
        (upright.height(), upright.width())
    );
    // Compressed in another direction, so not the same to the last bit.
    assert!(mean_difference(sideways.pixels(), upright.pixels()) < 2.0);
}

#[test]
fn a_picture_that_declares_a_huge_size_is_refused() {
    let message = Gray::open(&fixture("huge.png")).unwrap_err().to_string();
    assert!(message.contains("huge.png"), "{message}");
}

/// Ink on paper: a few random bars on a field of any size, at least 3 pixels from its edges.
fn drawings() -> impl Strategy<Value = (usize, usize, Vec<u8>)> {
    let bar = (
        0.1..0.8f64,
        0.1..0.8f64,
        0.05..0.3f64,
        0.05..0.3f64,
        50u8..=127,
    );
    (
        16usize..90,
        16usize..90,
        proptest::collection::vec(bar, 1..4),
    )
        .prop_map(|(h, w, bars)| {
            let mut ink = vec![0; h * w];
            for (y, x, tall, wide, half) in bars {
                let value = 2 * half;
                let span = |start: f64, size: f64, side: usize| {
                    let first = ((start * side as f64) as usize).max(3);
                    first..(first + 1 + (size * side as f64) as usize).min(side - 3)
                };
                for row in span(y, tall, h) {
                    for column in span(x, wide, w) {
                        ink[row * w + column] = ink[row * w + column].max(value);
                    }
                }
            }
            (h, w, ink)
        })
}

const ALL: [Centring; 3] = [Centring::Mnist, Centring::Emnist, Centring::Kmnist];

/// The bounding box (rows, columns) of what is brighter than `above`, as half-open ranges.
fn extent(image: &[u8], above: u8) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let inked = |y: usize, x: usize| image[y * 28 + x] > above;
    let rows: Vec<usize> = (0..28).filter(|&y| (0..28).any(|x| inked(y, x))).collect();
    let columns: Vec<usize> = (0..28).filter(|&x| (0..28).any(|y| inked(y, x))).collect();
    (
        rows[0]..rows[rows.len() - 1] + 1,
        columns[0]..columns[columns.len() - 1] + 1,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn polarity_and_paper_do_not_matter((height, width, ink) in drawings(), paper in 200u8..=255) {
        let on_black = Gray::new(height, width, ink.clone()).unwrap();
        // Half the contrast, dark on light; the drawings' values are even.
        let on_paper = ink.iter().map(|&value| paper - value / 2).collect();
        let on_paper = Gray::new(height, width, on_paper).unwrap();
        for centring in ALL {
            let (a, b) = (centring.fit(&on_black).unwrap(), centring.fit(&on_paper).unwrap());
            prop_assert!(largest_difference(&a, &b) <= 1);
        }
    }

    #[test]
    fn where_the_ink_is_on_the_page_does_not_matter((height, width, ink) in drawings(), top in 0usize..30, left in 0usize..30) {
        let mut page = vec![0; (height + 40) * (width + 40)];
        for y in 0..height {
            page[(y + top) * (width + 40) + left..][..width].copy_from_slice(&ink[y * width..][..width]);
        }
        let (alone, moved) = (Gray::new(height, width, ink).unwrap(), Gray::new(height + 40, width + 40, page).unwrap());
        for centring in ALL {
            prop_assert_eq!(centring.fit(&alone).unwrap(), centring.fit(&moved).unwrap());
        }
    }

    #[test]
    fn the_ink_lies_as_each_data_sets_does((height, width, ink) in drawings()) {
        let image = Gray::new(height, width, ink).unwrap();
        let mnist = fit_like_mnist(&image).unwrap();
        let (rows, columns) = extent(&mnist, 0);
        prop_assert_eq!(rows.len().max(columns.len()), 20);
        let kmnist = fit_like_kmnist(&image).unwrap();
        let (rows, columns) = extent(&kmnist, 0);
        prop_assert_eq!(rows.len().max(columns.len()), 28);
        let emnist = fit_like_emnist(&image).unwrap();
        let (rows, columns) = extent(&emnist, 25);
        prop_assert!((22..=26).contains(&rows.len().max(columns.len())));
        for image in [mnist, kmnist, emnist] {
            prop_assert_eq!(image.iter().max(), Some(&255));
        }
    }

    #[test]
    fn mnists_centre_of_mass_is_the_middle_unless_the_field_ends((height, width, ink) in drawings()) {
        let mnist = fit_like_mnist(&Gray::new(height, width, ink).unwrap()).unwrap();
        let mass: f64 = mnist.iter().map(|&value| f64::from(value)).sum();
        let centre = |coordinate: fn(usize) -> usize| {
            mnist.iter().enumerate().map(|(i, &v)| f64::from(v) * coordinate(i) as f64).sum::<f64>() / mass
        };
        let (rows, columns) = extent(&mnist, 0);
        for (centre, range) in [(centre(|i| i / 28), rows), (centre(|i| i % 28), columns)] {
            let at_edge = range.start == 0 || range.end == 28;
            // Rounding to bytes moves it by less than a hundredth.
            prop_assert!(at_edge || (13.49..14.51).contains(&centre), "{centre}");
        }
    }
}

#[test]
fn a_blank_page_is_refused() {
    let white = Gray::new(50, 40, vec![255; 2000]).unwrap();
    let grainy = Gray::new(
        50,
        40,
        (0..2000).map(|i| 240 + (i * 7 % 11) as u8).collect(),
    )
    .unwrap();
    for page in [white, grainy, Gray::new(1, 1, vec![0]).unwrap()] {
        for centring in ALL {
            assert!(matches!(centring.fit(&page), Err(DataError::Blank)));
        }
    }
}

#[test]
fn paper_grain_is_not_ink() {
    let golden = golden();
    let grain = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8 % 13;
    let page = golden
        .ink
        .iter()
        .enumerate()
        .map(|(i, &ink)| 240 - ink / 2 - grain(i))
        .collect();
    let fitted = fit_like_mnist(&Gray::new(golden.height, golden.width, page).unwrap()).unwrap();
    assert!(mean_difference(&fitted, &golden.like_mnist) < 4.0);
}

#[test]
fn the_smallest_pictures_are_fitted_too() {
    let dot = Gray::new(3, 3, vec![0, 0, 0, 0, 255, 0, 0, 0, 0]).unwrap();
    for centring in ALL {
        assert_eq!(centring.fit(&dot).unwrap().len(), 784);
    }
    let line = Gray::new(1, 9, vec![0, 0, 0, 0, 255, 0, 0, 0, 0]).unwrap();
    assert_eq!(fit_like_mnist(&line).unwrap().len(), 784);
}

#[test]
fn a_gray_image_must_have_its_pixels() {
    assert!(Gray::new(2, 2, vec![0; 3]).is_err());
    assert!(Gray::new(0, 0, vec![]).is_err());
    assert!(Gray::new(usize::MAX, 2, vec![0; 3]).is_err());
}
