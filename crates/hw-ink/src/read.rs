//! From ink to text: every reasonable way to cut a line into characters is looked at by the network,
//! and the cheapest whole line wins (over-segmentation and dynamic programming, as in LeCun et al.
//! 1998, section VI).

use crate::InkError;
use crate::context::weighed;
use crate::ink::Ink;
use crate::layout::{Bounds, Line, Part, Piece, gap, lines, touch};
use crate::lookalike::look_alikes;
use crate::model::Model;
use crate::net::SIDE;
use crate::render::render;
use crate::stroke::{Stroke, fineness};
use std::ops::Range;

/// What looks at single characters.
pub trait Classifier {
    /// The answers it can give, by column of [`Self::probabilities`].
    fn classes(&self) -> &[String];

    /// One row of calibrated probabilities for each 28x28 image.
    ///
    /// # Errors
    /// [`InkError`] when an image or the network is not what it should be.
    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, InkError>;

    /// How each pixel spoke for `class`, see [`crate::Net::saliency`]; `None` where that is unknown.
    ///
    /// # Errors
    /// As [`Self::probabilities`].
    fn saliency(&self, image: &[u8], class: usize) -> Result<Option<Vec<f32>>, InkError>;

    /// Strokes of one character as the images it learned from were made; `pen` is the pen's width.
    fn image(&self, strokes: &[Stroke], pen: f32) -> Vec<u8> {
        render(strokes, pen, SIDE)
    }
}

impl Classifier for Model {
    fn classes(&self) -> &[String] {
        &self.card.classes
    }

    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, InkError> {
        images
            .iter()
            .map(|image| Self::probabilities(self, image))
            .collect()
    }

    fn saliency(&self, image: &[u8], class: usize) -> Result<Option<Vec<f32>>, InkError> {
        self.net.saliency(image, class).map(Some)
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The text: lines separated by line breaks, words by spaces. Empty when nothing was written.
    pub text: String,
    /// The characters in the order of the text.
    pub characters: Vec<Character>,
}

/// One character that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Character {
    /// Where its ink is.
    pub bounds: Bounds,
    /// Its parts: indices of strokes, or of an image's blots.
    pub parts: Vec<usize>,
    /// Which line of the text it is on, from 0.
    pub line: usize,
    /// Which word of that line it is in, from 0.
    pub word: usize,
    /// The answers, most probable first, at most five.
    pub top: Vec<Candidate>,
    /// Characters of the same shape in other sizes or kinds that the network also knows.
    pub look_alikes: Vec<String>,
    /// What the network saw: 28x28 bytes, ink bright.
    pub image: Vec<u8>,
    /// How each pixel spoke for the answer; only when asked for.
    pub saliency: Option<Vec<f32>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The character.
    pub text: String,
    /// How probable it is, its neighbours considered.
    pub probability: f32,
    /// How probable it is by its shape alone: the network's calibrated word.
    pub alone: f32,
}

/// Answers a character.
const TOP: usize = 5;
/// More characters than are read at once.
pub const MOST_CHARACTERS: usize = 128;
/// Pieces a character is made of at most.
const LONGEST: usize = 4;
/// The pen's width relative to the height of the writing: the middle of what the glyphs vary over.
const PEN: f32 = 0.13;
/// Strokes that touch are taken to overlap by so many line heights.
const TOUCHING: f32 = 0.05;
/// A pen wider than this share of a character would fill it.
const WIDEST: f32 = 0.3;

/// Reads strokes.
///
/// # Errors
/// [`InkError::Strokes`] when there are more than [`MOST_CHARACTERS`]; else the classifier's.
///
/// ```
/// use hw_ink::{Ink, Stroke, builtin, read};
/// let one = Stroke::even(vec![[50.0, 10.0], [50.0, 90.0]]);
/// let seven = Stroke::even(vec![[90.0, 10.0], [140.0, 10.0], [105.0, 90.0]]);
/// let reading = read::strokes(&builtin("digits")?, &Ink::new(&[one, seven])?, false)?;
/// assert_eq!(reading.text, "17");
/// # Ok::<(), hw_ink::InkError>(())
/// ```
pub fn strokes(classifier: &dyn Classifier, ink: &Ink, explain: bool) -> Result<Reading, InkError> {
    let plan = Plan::of_strokes(classifier, ink)?;
    let images: Vec<Vec<u8>> = plan.images().cloned().collect();
    plan.read(classifier, classifier.probabilities(&images)?, explain)
}

/// The pen's width for one character on a line whose tall characters are `height` high.
fn pen(strokes: &[Stroke], height: f32) -> f32 {
    let bounds = strokes
        .iter()
        .filter_map(|stroke| Bounds::of(&stroke.points));
    let extent = bounds
        .reduce(Bounds::with)
        .map_or(0.0, |b| b.width().max(b.height()));
    let width = PEN * height.max(extent) * fineness(strokes);
    // A dot has no extent to be measured by.
    let widest = if extent > 0.0 {
        WIDEST * extent
    } else {
        PEN * height
    };
    width.min(widest).max(1e-3)
}

/// The lines and every reasonable way to cut them, before the network was asked: so that the
/// images of many requests can be looked at together.
#[derive(Debug)]
pub struct Plan {
    lines: Vec<PlannedLine>,
    manner: Manner,
}

#[derive(Debug)]
struct PlannedLine {
    height: f32,
    pieces: usize,
    boundaries: Vec<f32>,
    cuts: Vec<Cut>,
}

impl Plan {
    /// For strokes.
    ///
    /// # Errors
    /// [`InkError::Strokes`] when there are more than [`MOST_CHARACTERS`].
    pub fn of_strokes(classifier: &dyn Classifier, ink: &Ink) -> Result<Self, InkError> {
        // An empty stroke is no part; the others keep their places.
        let given = ink.strokes().iter().enumerate();
        let (places, parts): (Vec<usize>, Vec<Part>) = given
            .filter_map(|(index, stroke)| Some((index, Part::of_stroke(stroke)?)))
            .unzip();
        let image = |members: &[usize], height: f32| {
            let own = members
                .iter()
                .map(|&part| ink.strokes()[places[part]].clone());
            let own: Vec<Stroke> = own.collect();
            classifier.image(&own, pen(&own, height))
        };
        let mut plan = Self::of_parts(classifier.classes(), &parts, &image)?;
        for cut in plan.lines.iter_mut().flat_map(|line| &mut line.cuts) {
            cut.parts.iter_mut().for_each(|part| *part = places[*part]);
        }
        Ok(plan)
    }

    /// For parts of which `image` makes a picture, given a character's parts and the height of its
    /// line.
    ///
    /// # Errors
    /// As [`Self::of_strokes`].
    pub fn of_parts(
        classes: &[String],
        parts: &[Part],
        image: &dyn Fn(&[usize], f32) -> Vec<u8>,
    ) -> Result<Self, InkError> {
        let lines = lines(parts);
        let pieces: usize = lines.iter().map(|line| line.pieces.len()).sum();
        if pieces > MOST_CHARACTERS {
            let problem = format!("{pieces} characters at once are more than {MOST_CHARACTERS}");
            return Err(InkError::Strokes(problem));
        }
        let manner = Manner::of(classes);
        let planned = lines.iter().map(|line| {
            let boundaries = boundaries(parts, line, &manner);
            PlannedLine {
                height: line.height,
                pieces: line.pieces.len(),
                cuts: cuts(line, &boundaries, &manner, image),
                boundaries,
            }
        });
        Ok(Self {
            lines: planned.collect(),
            manner,
        })
    }

    /// The images to be looked at, 28x28 bytes each.
    pub fn images(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.lines
            .iter()
            .flat_map(|line| line.cuts.iter().map(|cut| &cut.image))
    }

    /// The text, given the probabilities of each image's classes. The classifier is asked for
    /// explanations only.
    ///
    /// # Errors
    /// The classifier's.
    pub fn read(
        self,
        classifier: &dyn Classifier,
        rows: Vec<Vec<f32>>,
        explain: bool,
    ) -> Result<Reading, InkError> {
        let mut reading = Reading::default();
        let mut rows = rows.into_iter();
        for (number, mut line) in self.lines.into_iter().enumerate() {
            for cut in &mut line.cuts {
                cut.row = rows.next().unwrap_or_default();
            }
            if number > 0 {
                reading.text.push('\n');
            }
            let asked = explain.then_some(classifier);
            line.read(
                number,
                &self.manner,
                classifier.classes(),
                asked,
                &mut reading,
            )?;
        }
        Ok(reading)
    }
}

/// Some neighbouring pieces taken for one character.
#[derive(Debug)]
struct Cut {
    pieces: Range<usize>,
    bounds: Bounds,
    parts: Vec<usize>,
    image: Vec<u8>,
    row: Vec<f32>,
    /// What joining its pieces costs, before the network is asked.
    joins: f32,
}

impl PlannedLine {
    fn read(
        self,
        number: usize,
        manner: &Manner,
        classes: &[String],
        explainer: Option<&dyn Classifier>,
        reading: &mut Reading,
    ) -> Result<(), InkError> {
        let chosen = cheapest(self.cuts, self.pieces, &self.boundaries);
        let words = words(&chosen, self.height, manner);
        let bounds: Vec<Bounds> = chosen.iter().map(|cut| cut.bounds).collect();
        let rows = chosen.iter().map(|cut| cut.row.clone()).collect();
        let rows = weighed(rows, &bounds, &words, &manner.characters);
        for (index, (cut, row)) in chosen.into_iter().zip(rows).enumerate() {
            let word = words
                .iter()
                .position(|word| word.contains(&index))
                .unwrap_or(0);
            if word > 0 && words[word].start == index {
                reading.text.push(' ');
            }
            let character = character(cut, &row, (number, word), classes, explainer)?;
            reading.text += character.top.first().map_or("", |best| best.text.as_str());
            reading.characters.push(character);
        }
        Ok(())
    }
}

/// How probable it is that each pair of neighbouring pieces belongs to one character, by the space
/// between them alone.
fn boundaries(parts: &[Part], line: &Line, manner: &Manner) -> Vec<f32> {
    let joined = |pair: &[Piece]| {
        let space = gap(&pair[0].bounds, &pair[1].bounds) / line.height;
        let touching = touch(parts, &pair[0], &pair[1], 0.05 * line.height);
        let space = if touching {
            space.min(0.0) - TOUCHING
        } else {
            space
        };
        let odds = (manner.usual_gap - space) / manner.softness;
        1.0 / (1.0 + libm::expf(-odds))
    };
    line.pieces.windows(2).map(joined).collect()
}

/// Every reasonable character of the line.
fn cuts(
    line: &Line,
    boundaries: &[f32],
    manner: &Manner,
    image: &dyn Fn(&[usize], f32) -> Vec<u8>,
) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for start in 0..line.pieces.len() {
        let mut joins = 0.0;
        for end in start + 1..=(start + LONGEST).min(line.pieces.len()) {
            let pieces = &line.pieces[start..end];
            let bounds = pieces.iter().map(|piece| piece.bounds).reduce(Bounds::with);
            let Some(bounds) = bounds else { break };
            if let Some(last) = end.checked_sub(2).filter(|_| pieces.len() > 1) {
                let wide = bounds.width() / line.height - manner.widest;
                if boundaries[last] < 0.01 || wide > 0.5 {
                    break;
                }
                joins += 6.0 * wide.max(0.0) - libm::logf(boundaries[last]);
            }
            let mut parts: Vec<usize> = pieces.iter().flat_map(|p| p.parts.clone()).collect();
            parts.sort_unstable();
            cuts.push(Cut {
                pieces: start..end,
                bounds,
                image: image(&parts, line.height),
                parts,
                row: Vec::new(),
                joins,
            });
        }
    }
    cuts
}

fn character(
    cut: Cut,
    row: &[f32],
    (line, word): (usize, usize),
    classes: &[String],
    explainer: Option<&dyn Classifier>,
) -> Result<Character, InkError> {
    let mut order: Vec<usize> = (0..classes.len().min(row.len())).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    let candidate = |&class: &usize| Candidate {
        text: classes[class].clone(),
        probability: row[class],
        alone: cut.row[class],
    };
    let top: Vec<Candidate> = order.iter().take(TOP).map(candidate).collect();
    let alike = |best: &Candidate| -> Vec<String> {
        let single = best.text.chars().next().into_iter();
        let alike = single.flat_map(look_alikes).map(String::from);
        alike.filter(|other| classes.contains(other)).collect()
    };
    let saliency = match (explainer, order.first()) {
        (Some(explainer), Some(&best)) => explainer.saliency(&cut.image, best)?,
        _ => None,
    };
    Ok(Character {
        bounds: cut.bounds,
        parts: cut.parts,
        line,
        word,
        look_alikes: top.first().map(alike).unwrap_or_default(),
        top,
        image: cut.image,
        saliency,
    })
}

/// How a script is spaced.
#[derive(Debug)]
struct Manner {
    /// Each class as one character, or a space where it is none.
    characters: Vec<char>,
    /// The gap, in line heights, at which joining is as probable as not.
    usual_gap: f32,
    /// Over how much more it becomes improbable.
    softness: f32,
    /// Width, in line heights, that a joined character has at most.
    widest: f32,
    /// A gap between words is at least so wide, in line heights.
    word_gap: f32,
}

impl Manner {
    fn of(classes: &[String]) -> Self {
        let single = |name: &String| {
            let mut letters = name.chars();
            match (letters.next(), letters.next()) {
                (Some(only), None) => only,
                _ => ' ',
            }
        };
        let characters: Vec<char> = classes.iter().map(single).collect();
        let kana = characters
            .iter()
            .any(|c| ('\u{3040}'..='\u{30ff}').contains(c));
        let (usual_gap, softness, word_gap) = if kana {
            (0.26, 0.06, 1.5)
        } else {
            (0.02, 0.03, 0.5)
        };
        Self {
            characters,
            usual_gap,
            softness,
            widest: 1.15,
            word_gap,
        }
    }
}

/// The cuts of the cheapest way through the whole line: each costs what the network doubts (once
/// for each of its pieces, so that few large characters and many small ones compare), and what the
/// spaces in and around it make improbable.
fn cheapest(cuts: Vec<Cut>, pieces: usize, boundaries: &[f32]) -> Vec<Cut> {
    let mut best: Vec<(f32, Option<usize>)> = vec![(f32::INFINITY, None); pieces + 1];
    best[0].0 = 0.0;
    for (index, cut) in cuts.iter().enumerate() {
        let sure = cut.row.iter().copied().fold(1e-6, f32::max);
        let split = boundaries.get(cut.pieces.end - 1).copied().unwrap_or(0.0);
        let cost = best[cut.pieces.start].0 - libm::logf(sure) * cut.pieces.len() as f32
            + cut.joins
            - libm::logf((1.0 - split).max(1e-6));
        if cost < best[cut.pieces.end].0 {
            best[cut.pieces.end] = (cost, Some(index));
        }
    }
    let mut way = Vec::new();
    let mut end = pieces;
    while let (_, Some(index)) = best[end] {
        way.push(index);
        end = cuts[index].pieces.start;
    }
    let mut taken: Vec<Option<Cut>> = cuts.into_iter().map(Some).collect();
    way.into_iter()
        .rev()
        .filter_map(|index| taken[index].take())
        .collect()
}

/// The words of a line, as ranges of its characters: apart where the gap is wide by itself and
/// much wider than the line's usual one.
fn words(cuts: &[Cut], height: f32, manner: &Manner) -> Vec<Range<usize>> {
    let gaps = cuts
        .windows(2)
        .map(|pair| gap(&pair[0].bounds, &pair[1].bounds) / height);
    let gaps: Vec<f32> = gaps.collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f32::total_cmp);
    // Most gaps of a line lie within words, but a line of short words has many between them.
    let usual = sorted
        .get(sorted.len().saturating_sub(1) / 4)
        .copied()
        .unwrap_or(0.0);
    // Of a single gap nobody can say whether it is wide for this hand.
    let least = if gaps.len() < 2 {
        2.0 * manner.word_gap
    } else {
        manner.word_gap
    };
    let threshold = least.max(usual + 0.35).max(1.6 * usual);
    let mut words = Vec::new();
    let mut start = 0;
    for (index, &gap) in gaps.iter().enumerate() {
        if gap > threshold {
            words.push(start..index + 1);
            start = index + 1;
        }
    }
    words.push(start..cuts.len());
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Knows three characters by the number of bright pixels alone.
    struct ByInk {
        classes: Vec<String>,
    }

    impl Default for ByInk {
        fn default() -> Self {
            Self {
                classes: ["l", "o", "0"].map(String::from).to_vec(),
            }
        }
    }

    impl Classifier for ByInk {
        fn classes(&self) -> &[String] {
            &self.classes
        }
        fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, InkError> {
            let wide = |image: &Vec<u8>| (0..784).any(|i| i % 28 < 9 && image[i] > 0);
            let row = |image: &Vec<u8>| match wide(image) {
                true => vec![0.02, 0.5, 0.48],
                false => vec![0.9, 0.05, 0.05],
            };
            Ok(images.iter().map(row).collect())
        }
        fn saliency(&self, image: &[u8], class: usize) -> Result<Option<Vec<f32>>, InkError> {
            Ok(Some(
                image.iter().map(|&b| f32::from(b) + class as f32).collect(),
            ))
        }
    }

    fn stem(x: f32) -> Stroke {
        Stroke::even(vec![[x, 0.0], [x, 50.0], [x, 100.0]])
    }

    fn ring(x: f32, y: f32, radius: f32) -> Stroke {
        let at = |i: usize| {
            let angle = i as f32 * std::f32::consts::TAU / 24.0;
            [x + radius * angle.cos(), y + radius * angle.sin()]
        };
        Stroke::even((0..=24).map(at).collect())
    }

    fn read(strokes_given: &[Stroke]) -> Reading {
        strokes(&ByInk::default(), &Ink::new(strokes_given).unwrap(), false).unwrap()
    }

    #[test]
    fn nothing_written_reads_as_nothing() {
        assert_eq!(read(&[]), Reading::default());
        assert_eq!(read(&[Stroke::even(Vec::new())]), Reading::default());
    }

    #[test]
    fn characters_come_in_reading_order_whatever_the_order_of_writing() {
        let reading = read(&[
            ring(140.0, 70.0, 30.0),
            stem(0.0),
            Stroke::even(vec![]),
            stem(60.0),
        ]);
        assert_eq!(reading.text, "llo");
        let parts: Vec<_> = reading.characters.iter().map(|c| c.parts.clone()).collect();
        assert_eq!(parts, [[1], [3], [0]]);
    }

    #[test]
    fn a_wide_gap_among_narrow_ones_parts_words_and_height_parts_lines() {
        let words = read(&[stem(0.0), stem(30.0), stem(160.0), stem(190.0)]);
        assert_eq!(words.text, "ll ll");
        assert_eq!(
            words.characters.iter().map(|c| c.word).collect::<Vec<_>>(),
            [0, 0, 1, 1]
        );
        let below = Stroke::even(vec![[0.0, 200.0], [0.0, 300.0]]);
        assert_eq!(read(&[below, stem(0.0), stem(30.0)]).text, "ll\nl");
    }

    #[test]
    fn a_ring_as_high_as_a_stem_is_a_nought_or_capital_and_a_low_one_a_small_letter() {
        let best = |reading: Reading| reading.characters[1].top[0].text.clone();
        assert_eq!(best(read(&[stem(0.0), ring(60.0, 50.0, 50.0)])), "0");
        assert_eq!(best(read(&[stem(0.0), ring(60.0, 72.0, 28.0)])), "o");
    }

    #[test]
    fn look_alikes_that_the_classifier_knows_are_offered() {
        let reading = read(&[ring(0.0, 0.0, 30.0)]);
        assert_eq!(reading.characters[0].look_alikes, ["0"]);
        let top = &reading.characters[0].top;
        assert_eq!((top.len(), top[0].alone), (3, 0.5));
    }

    #[test]
    fn an_explanation_is_given_only_when_asked_for() {
        let ink = Ink::new(&[stem(0.0)]).unwrap();
        assert!(read(&[stem(0.0)]).characters[0].saliency.is_none());
        let explained = strokes(&ByInk::default(), &ink, true).unwrap();
        assert_eq!(
            explained.characters[0].saliency.as_ref().unwrap().len(),
            784
        );
    }

    #[test]
    fn more_characters_than_can_be_read_are_refused() {
        let many: Vec<Stroke> = (0..300).map(|i| stem(30.0 * i as f32)).collect();
        let error = strokes(&ByInk::default(), &Ink::new(&many).unwrap(), false).unwrap_err();
        assert!(error.to_string().contains("128"), "{error}");
    }
}
