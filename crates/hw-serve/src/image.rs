//! A picture of writing: its blots of ink become the parts that segmentation works on.

use crate::models::Served;
use hw_data::gray::Gray;
use hw_ink::InkError;
use hw_ink::api::Answer;
use hw_ink::layout::{Bounds, Part};
use hw_ink::read::Plan;
use image::ImageReader;
use std::io::Cursor;

/// More pixels than this are refused before any is decoded.
pub const MOST_PIXELS: u64 = 4_000_000;
/// The longer side that blots are looked for on.
const WORKING_SIDE: usize = 1200;
/// Less contrast than this, of 255, is an empty page.
const LEAST_CONTRAST: f32 = 30.0;

/// Decodes a PNG or JPEG file of at most [`MOST_PIXELS`].
///
/// # Errors
/// [`InkError::Image`] when it is none, damaged or too large.
pub fn decode(bytes: &[u8]) -> Result<Gray, InkError> {
    let refuse = |reason: String| InkError::Image(format!("no readable PNG or JPEG: {reason}"));
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| refuse(error.to_string()))?;
    let (width, height) = reader
        .into_dimensions()
        .map_err(|error| refuse(error.to_string()))?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MOST_PIXELS {
        let problem = format!("{width}x{height} are more than {MOST_PIXELS} pixels");
        return Err(InkError::Image(problem));
    }
    Gray::decode(bytes).map_err(|error| refuse(error.to_string()))
}

/// What to look at in a picture of writing.
///
/// # Errors
/// [`InkError::Strokes`] when there is too much on it.
pub fn plan(picture: &Gray, served: &Served) -> Result<Plan, InkError> {
    let page = Page::of(picture);
    let blots = page.blots();
    let part = |blot: &Blot| Part {
        bounds: blot.bounds(),
        line: Vec::new(),
    };
    let parts: Vec<Part> = blots.iter().map(part).collect();
    let image = |members: &[usize], _| {
        let members: Vec<&Blot> = members.iter().map(|&index| &blots[index]).collect();
        let fitted = page
            .alone(&members)
            .and_then(|gray| served.centring.fit(&gray).ok());
        fitted.unwrap_or_else(|| vec![0; hw_ink::net::PIXELS])
    };
    Plan::of_parts(served.classifier.classes(), &parts, &image)
}

/// Reads a PNG or JPEG file of writing.
///
/// # Errors
/// As [`decode`] and [`plan`]; else the classifier's.
pub fn read(bytes: &[u8], served: &Served) -> Result<Answer, InkError> {
    let plan = plan(&decode(bytes)?, served)?;
    let images: Vec<Vec<u8>> = plan.images().cloned().collect();
    let rows = served.classifier.probabilities(&images)?;
    let reading = plan.read(&*served.classifier, rows, false)?;
    Ok(Answer::new(reading, &served.card.name))
}

/// Ink on a page: 255 where it is darkest (or lightest, on dark paper), 0 for paper.
struct Page {
    width: usize,
    height: usize,
    ink: Vec<u8>,
}

/// Connected pixels of ink.
struct Blot {
    pixels: Vec<usize>,
    low: [usize; 2],
    high: [usize; 2],
}

impl Blot {
    fn bounds(&self) -> Bounds {
        Bounds {
            low: self.low.map(|at| at as f32),
            high: self.high.map(|at| (at + 1) as f32),
        }
    }
}

impl Page {
    /// Paper is the border's median; ink what differs from it by at least half of what anything does.
    fn of(picture: &Gray) -> Self {
        let step = picture.width().max(picture.height()).div_ceil(WORKING_SIDE);
        let (width, height) = (
            picture.width().div_ceil(step),
            picture.height().div_ceil(step),
        );
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                values.push(mean_of_cell(picture, x * step, y * step, step));
            }
        }
        let mut border: Vec<f32> = (0..width * height)
            .filter(|i| {
                i % width == 0 || i % width == width - 1 || *i < width || i / width == height - 1
            })
            .map(|i| values[i])
            .collect();
        let middle = border.len() / 2;
        let paper = *border.select_nth_unstable_by(middle, f32::total_cmp).1;
        let most = |sign: f32| {
            values
                .iter()
                .map(|v| sign * (v - paper))
                .fold(0.0, f32::max)
        };
        let sign = if most(-1.0) >= most(1.0) { -1.0 } else { 1.0 };
        let contrast = most(sign);
        let ink = |value: &f32| match contrast < LEAST_CONTRAST {
            true => 0,
            false => (sign * (value - paper) / contrast * 255.0).clamp(0.0, 255.0) as u8,
        };
        Self {
            width,
            height,
            ink: values.iter().map(ink).collect(),
        }
    }

    /// Connected ink (by sides or corners), specks left out.
    fn blots(&self) -> Vec<Blot> {
        let mut seen: Vec<bool> = self.ink.iter().map(|&value| value < 128).collect();
        let mut blots: Vec<Blot> = Vec::new();
        for start in 0..seen.len() {
            if !seen[start] {
                blots.push(self.flood(start, &mut seen));
            }
        }
        let tallest = blots
            .iter()
            .map(|blot| blot.high[1] + 1 - blot.low[1])
            .max()
            .unwrap_or(0);
        let least = (tallest / 25).max(2);
        blots.retain(|blot| {
            let sides = [0, 1].map(|axis| blot.high[axis] + 1 - blot.low[axis]);
            sides[0].max(sides[1]) >= least
        });
        blots
    }

    fn flood(&self, start: usize, seen: &mut [bool]) -> Blot {
        let place = |index: usize| [index % self.width, index / self.width];
        let mut blot = Blot {
            pixels: Vec::new(),
            low: place(start),
            high: place(start),
        };
        let mut open = vec![start];
        seen[start] = true;
        while let Some(index) = open.pop() {
            let [x, y] = place(index);
            blot.pixels.push(index);
            blot.low = [blot.low[0].min(x), blot.low[1].min(y)];
            blot.high = [blot.high[0].max(x), blot.high[1].max(y)];
            for near_y in y.saturating_sub(1)..(y + 2).min(self.height) {
                for near_x in x.saturating_sub(1)..(x + 2).min(self.width) {
                    let near = near_y * self.width + near_x;
                    if !seen[near] {
                        seen[near] = true;
                        open.push(near);
                    }
                }
            }
        }
        blot
    }

    /// Only these blots and their soft edges, on paper.
    fn alone(&self, blots: &[&Blot]) -> Option<Gray> {
        let bounds = blots
            .iter()
            .map(|blot| blot.bounds())
            .reduce(Bounds::with)?;
        let margin = 3;
        let low = bounds.low.map(|at| (at as usize).saturating_sub(margin));
        let high = [
            (bounds.high[0] as usize + margin).min(self.width),
            (bounds.high[1] as usize + margin).min(self.height),
        ];
        let (width, height) = (high[0] - low[0] + 2, high[1] - low[1] + 2);
        let mut pixels = vec![0; width * height];
        for &index in blots.iter().flat_map(|blot| &blot.pixels) {
            let (x, y) = (index % self.width, index / self.width);
            for near_y in y.saturating_sub(1).max(low[1])..(y + 2).min(high[1]) {
                for near_x in x.saturating_sub(1).max(low[0])..(x + 2).min(high[0]) {
                    let at = (near_y - low[1] + 1) * width + near_x - low[0] + 1;
                    pixels[at] = self.ink[near_y * self.width + near_x];
                }
            }
        }
        Gray::new(height, width, pixels).ok()
    }
}

fn mean_of_cell(picture: &Gray, left: usize, top: usize, step: usize) -> f32 {
    let right = (left + step).min(picture.width());
    let bottom = (top + step).min(picture.height());
    let rows = (top..bottom).map(|y| &picture.pixels()[y * picture.width()..][left..right]);
    let sum: u32 = rows.flatten().map(|&value| u32::from(value)).sum();
    sum as f32 / ((right - left) * (bottom - top)) as f32
}
