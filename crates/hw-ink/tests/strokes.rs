//! Characters and words written down stroke by stroke (`fixtures/serve/strokes.txt`), read by the
//! models that come with the crate.
#![allow(clippy::unwrap_used)]

use hw_ink::layout::{self, Part};
use hw_ink::lookalike::{look_alikes, stand};
use hw_ink::read::Reading;
use hw_ink::{Ink, Model, Stroke, builtin, read};

const FIXTURE: &str = include_str!("../../../fixtures/serve/strokes.txt");

/// The strokes of every character of the fixture, joined by smooth curves.
fn written() -> Vec<(char, Vec<Stroke>)> {
    let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
    let character = |line: &str| {
        let (name, strokes) = line.split_once(' ').unwrap();
        let strokes = strokes.split('|').map(stroke).collect();
        (name.chars().next().unwrap(), strokes)
    };
    lines.map(character).collect()
}

fn stroke(text: &str) -> Stroke {
    let point = |word: &str| {
        let numbers = word.trim_end_matches('!').split_once(',').unwrap();
        let at = [numbers.0, numbers.1].map(|number| number.parse::<f32>().unwrap());
        (at, word.ends_with('!'))
    };
    let knots: Vec<([f32; 2], bool)> = text.split_whitespace().map(point).collect();
    let mut points = Vec::new();
    for index in 0..knots.len() - 1 {
        let (from, to) = (knots[index], knots[index + 1]);
        let before = if from.1 || index == 0 {
            from
        } else {
            knots[index - 1]
        };
        let after = if to.1 {
            to
        } else {
            *knots.get(index + 2).unwrap_or(&to)
        };
        for step in 0..8 {
            points.push(curve([before.0, from.0, to.0, after.0], step as f32 / 8.0));
        }
    }
    points.push(knots[knots.len() - 1].0);
    Stroke::even(points)
}

/// Catmull and Rom's curve from the second point to the third.
fn curve(p: [[f32; 2]; 4], t: f32) -> [f32; 2] {
    [0, 1].map(|axis| {
        let [a, b, c, d] = p.map(|point| point[axis]);
        let cubic = 3.0 * (b - c) + d - a;
        0.5 * (2.0 * b + t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * cubic)))
    })
}

/// `text` written from left to right, a capital `size` high.
fn write(text: &str, size: f32) -> Vec<Stroke> {
    let known = written();
    let mut left = 40.0;
    let mut strokes = Vec::new();
    for character in text.chars() {
        if character == ' ' {
            left += 0.7 * size;
            continue;
        }
        let own = &known.iter().find(|(name, _)| *name == character).unwrap().1;
        let xs = || {
            own.iter()
                .flat_map(|stroke| stroke.points.iter().map(|point| point[0]))
        };
        let low = xs().fold(f32::MAX, f32::min);
        let high = xs().fold(f32::MIN, f32::max);
        let place = |&[x, y]: &[f32; 2]| [left + (x - low) * size / 100.0, 50.0 + y * size / 100.0];
        strokes.extend(
            own.iter()
                .map(|s| Stroke::even(s.points.iter().map(place).collect())),
        );
        left += (high - low) * size / 100.0 + 0.2 * size;
    }
    strokes
}

fn reading(model: &Model, strokes: &[Stroke]) -> Reading {
    read::strokes(model, &Ink::new(strokes).unwrap(), false).unwrap()
}

/// The characters of `set` that are read as something else, look-alikes forgiven where `alike` is.
fn misread(model: &str, set: &str, alike: bool) -> Vec<String> {
    let model = builtin(model).unwrap();
    let capital = model.card.name == "letters";
    let mut wrong = Vec::new();
    for character in set.chars() {
        let found = reading(&model, &write(&character.to_string(), 120.0)).text;
        let expected = if capital {
            character.to_ascii_uppercase()
        } else {
            character
        };
        let forgiven = alike && look_alikes(expected).any(|other| found == other.to_string());
        if found != expected.to_string() && !forgiven {
            wrong.push(format!("{character} as {found}"));
        }
    }
    wrong
}

const DIGITS: &str = "0123456789";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
const HIRAGANA: &str = "おきすつなはまやれを";

#[test]
fn every_digit_is_read() {
    assert_eq!(misread("digits", DIGITS, false), [""; 0]);
}

#[test]
fn every_hiragana_is_read() {
    assert_eq!(misread("hiragana", HIRAGANA, false), [""; 0]);
}

#[test]
fn every_letter_is_read_in_either_case() {
    let wrong = [
        misread("letters", CAPITALS, false),
        misread("letters", SMALL, true),
    ]
    .concat();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_digit_and_letter_alone_is_read_as_itself_or_one_of_its_shape() {
    let all = [DIGITS, CAPITALS, SMALL].concat();
    assert_eq!(misread("all", &all, true), [""; 0]);
}

#[test]
fn words_and_numbers_are_read_whatever_their_size() {
    let model = builtin("all").unwrap();
    for text in [
        "cat",
        "Hello",
        "2026",
        "WORLD",
        "jump",
        "fig",
        "pen and ink",
        "I am 7",
    ] {
        for size in [40.0, 130.0] {
            assert_eq!(reading(&model, &write(text, size)).text, text, "{size}");
        }
    }
    let hiragana = builtin("hiragana").unwrap();
    assert_eq!(
        reading(&hiragana, &write("はなつきまや", 100.0)).text,
        "はなつきまや"
    );
}

/// The strokes of one character written again: `size` high, every `stride`-th point kept, as a fast
/// hand on a busy machine leaves them, and the strokes `spread` times as far apart.
fn loosely(strokes: &[Stroke], size: f32, stride: usize, spread: f32) -> Vec<Stroke> {
    let again = |stroke: &Stroke| {
        let last = stroke.points.len() - 1;
        let kept = (0..=last).filter(|&index| index % stride == 0 || index == last);
        let ys = || stroke.points.iter().map(|point| point[1]);
        let middle = 0.5 * (ys().fold(f32::MAX, f32::min) + ys().fold(f32::MIN, f32::max));
        let moved = (spread - 1.0) * (middle - 50.0);
        let point = |index: usize| {
            let [x, y] = stroke.points[index];
            [x, y + moved].map(|at| at * size / 100.0)
        };
        Stroke::even(kept.map(point).collect())
    };
    strokes.iter().map(again).collect()
}

#[test]
fn the_strokes_of_one_character_are_one_line_however_large_hasty_or_loose() {
    for (character, strokes) in written() {
        for size in [15.0, 60.0, 130.0, 500.0] {
            for stride in [1, 3, 5, 8] {
                for spread in [0.85, 1.0, 1.1, 1.2] {
                    let again = loosely(&strokes, size, stride, spread);
                    let ink = Ink::new(&again).unwrap();
                    let parts: Vec<Part> =
                        ink.strokes().iter().filter_map(Part::of_stroke).collect();
                    let lines = layout::lines(&parts).len();
                    assert_eq!(lines, 1, "{character} {size} {stride} {spread}");
                }
            }
        }
    }
}

#[test]
fn one_character_below_another_is_two_lines() {
    let known = written();
    let named = |name: char| &known.iter().find(|(known, _)| *known == name).unwrap().1;
    for (above, below) in [
        ('き', 'つ'),
        ('A', 'B'),
        ('ま', 'き'),
        ('1', '7'),
        ('i', 'j'),
    ] {
        let mut strokes = named(above).clone();
        for stroke in named(below) {
            let lower = stroke.points.iter().map(|&[x, y]| [x, y + 150.0]);
            strokes.push(Stroke::even(lower.collect()));
        }
        let parts: Vec<Part> = strokes.iter().filter_map(Part::of_stroke).collect();
        assert_eq!(layout::lines(&parts).len(), 2, "{above} {below}");
    }
}

#[test]
fn reading_one_character_more_does_not_change_the_place_of_the_others() {
    let model = builtin("all").unwrap();
    let strokes = write("cat", 100.0);
    let all = reading(&model, &strokes);
    let boxes = |reading: &Reading| {
        reading
            .characters
            .iter()
            .map(|c| c.bounds)
            .collect::<Vec<_>>()
    };
    let fewer = reading(&model, &strokes[..strokes.len() - 2]);
    assert_eq!(boxes(&fewer)[..2], boxes(&all)[..2]);
}

#[test]
fn every_character_that_stands_on_a_line_is_in_the_fixture() {
    for (character, strokes) in written() {
        let Some([top, bottom]) = stand(character) else {
            continue;
        };
        let ys = || {
            strokes
                .iter()
                .flat_map(|stroke| stroke.points.iter().map(|point| point[1]))
        };
        let (low, high) = (ys().fold(f32::MAX, f32::min), ys().fold(f32::MIN, f32::max));
        assert!(
            (low / 100.0 - top).abs() < 0.12,
            "{character} begins at {low}"
        );
        assert!(
            (high / 100.0 - bottom).abs() < 0.17,
            "{character} ends at {high}"
        );
    }
}
