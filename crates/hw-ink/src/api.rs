//! The JSON that the server answers and the page's WebAssembly answers alike.

use crate::InkError;
use crate::ink::Ink;
use crate::read::{self, Classifier, Reading};
use crate::stroke::Stroke;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What is asked: strokes, or for the server alone an image.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Which model reads; the first one if left out.
    #[serde(default)]
    pub model: Option<String>,
    /// Strokes, each a list of points `[x, y]` or `[x, y, pressure]`, y down, any unit.
    #[serde(default)]
    pub strokes: Option<Vec<Vec<Point>>>,
    /// A PNG or JPEG file in base64.
    #[serde(default)]
    pub image: Option<String>,
    /// Whether to say how each pixel spoke for the answer.
    #[serde(default)]
    pub explain: bool,
}

/// A point of a stroke: x, y and, if the pen knows, its pressure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Point {
    /// x and y.
    Plain([f32; 2]),
    /// x, y and pressure.
    Pressed([f32; 3]),
}

/// What was read, as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; lines are separated by line breaks.
    pub text: String,
    /// Nothing was written.
    pub blank: bool,
    /// The model that read.
    pub model: String,
    /// Each character in the order of the text.
    pub characters: Vec<Letter>,
    /// Milliseconds it took to read.
    pub took_ms: f64,
}

/// One character.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The most probable answer.
    pub text: String,
    /// Left, top, right, bottom.
    #[serde(rename = "box")]
    pub bounds: [f32; 4],
    /// Indices of its strokes (of its blots, in an image).
    pub strokes: Vec<usize>,
    /// The line of the text, from 0.
    pub line: usize,
    /// The word of the line, from 0.
    pub word: usize,
    /// At most five answers, most probable first.
    pub top: Vec<Guess>,
    /// Characters of the same shape in other sizes or kinds.
    pub look_alikes: Vec<String>,
    /// What the network saw: 28x28 bytes in base64, ink bright.
    pub image: String,
    /// 28x28 signed bytes in base64: positive pixels spoke for the answer, negative ones against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saliency: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    /// The character.
    pub text: String,
    /// Its probability, neighbours considered.
    pub probability: f32,
    /// Its probability by shape alone.
    pub alone: f32,
}

/// The checked strokes of a request.
///
/// # Errors
/// [`InkError::Strokes`] as [`Ink::new`].
pub fn ink(strokes: &[Vec<Point>]) -> Result<Ink, InkError> {
    let stroke = |points: &Vec<Point>| {
        let place = |point: &Point| match *point {
            Point::Plain(at) => (at, 1.0),
            Point::Pressed([x, y, pressure]) => ([x, y], pressure),
        };
        let (points, pressure) = points.iter().map(place).unzip();
        Stroke { points, pressure }
    };
    Ink::new(&strokes.iter().map(stroke).collect::<Vec<_>>())
}

/// Reads the strokes of a request.
///
/// # Errors
/// [`InkError`] as [`Ink::new`] and [`read::strokes`]; also when there are none in it.
pub fn read_strokes(
    request: &Request,
    name: &str,
    classifier: &dyn Classifier,
) -> Result<Answer, InkError> {
    let Some(strokes) = &request.strokes else {
        return Err(InkError::Strokes("\"strokes\" is missing".into()));
    };
    let reading = read::strokes(classifier, &ink(strokes)?, request.explain)?;
    Ok(Answer::new(reading, name))
}

impl Answer {
    /// As JSON has it; the time is for the caller to fill in.
    pub fn new(reading: Reading, model: &str) -> Self {
        let letter = |character: read::Character| {
            let guess = |candidate: read::Candidate| Guess {
                text: candidate.text,
                probability: candidate.probability,
                alone: candidate.alone,
            };
            let top: Vec<Guess> = character.top.into_iter().map(guess).collect();
            let [left, top_edge] = character.bounds.low;
            let [right, bottom] = character.bounds.high;
            Letter {
                text: top
                    .first()
                    .map(|best| best.text.clone())
                    .unwrap_or_default(),
                bounds: [left, top_edge, right, bottom],
                strokes: character.parts,
                line: character.line,
                word: character.word,
                top,
                look_alikes: character.look_alikes,
                image: STANDARD.encode(&character.image),
                saliency: character
                    .saliency
                    .map(|values| STANDARD.encode(signed_bytes(&values))),
            }
        };
        Self {
            blank: reading.characters.is_empty(),
            text: reading.text,
            model: model.into(),
            characters: reading.characters.into_iter().map(letter).collect(),
            took_ms: 0.0,
        }
    }
}

/// Scaled so that the strongest is 127.
fn signed_bytes(values: &[f32]) -> Vec<u8> {
    let most = values
        .iter()
        .fold(1e-12f32, |most, value| most.max(value.abs()));
    values
        .iter()
        .map(|value| (value / most * 127.0) as i8 as u8)
        .collect()
}
