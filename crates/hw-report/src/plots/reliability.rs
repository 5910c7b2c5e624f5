//! Reliability diagrams: is a model right as often as it says it is?

use super::axis::Axis;
use super::{Plot, SMALL, no_data, plottable, usable};
use crate::format;
use crate::svg::{Element, PathData, Svg, circle, ellipsis, line, path, rect, text, text_width};

/// A bin of predictions with similar confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Mean confidence of the bin, in `[0, 1]`.
    pub confidence: f64,
    /// Share of the bin that was right, in `[0, 1]`.
    pub accuracy: f64,
    /// Predictions in the bin.
    pub count: u64,
}

/// Accuracy against confidence, with the number of predictions per bin below.
///
/// ```
/// use hw_report::plots::{Bin, Plot, Reliability};
/// let bins = [Bin { confidence: 0.55, accuracy: 0.5, count: 20 }, Bin { confidence: 0.97, accuracy: 0.98, count: 900 }];
/// let plot = Reliability::new(bins).note("ECE 0.9 %");
/// assert!(plot.draw(350.0).body().contains("ECE"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    bins: Vec<Bin>,
    note: String,
}

impl Reliability {
    /// A diagram of these bins; empty ones are left out.
    pub fn new(bins: impl IntoIterator<Item = Bin>) -> Self {
        Self {
            bins: bins.into_iter().collect(),
            note: String::new(),
        }
    }

    /// The same diagram with a remark in it, such as the expected calibration error.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn shown(&self) -> impl Iterator<Item = &Bin> {
        self.bins
            .iter()
            .filter(|bin| bin.count > 0 && plottable(bin.confidence) && plottable(bin.accuracy))
    }
}

impl Plot for Reliability {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width).min(440.0);
        if self.shown().next().is_none() {
            return no_data(width, 160.0);
        }
        let whole = |label: &str| Axis::new(label).percent().range(0.0, 1.0).fit([]);
        let Some((x, y)) = whole("confidence").zip(whole("accuracy")) else {
            return no_data(width, 160.0);
        };
        let (top, right) = (28.0, width - 20.0);
        let y = y.onto(top + 100.0, top);
        let left = y.left_width();
        let side = right - left;
        let (x, y) = (x.onto(left, right), y.onto(top + side, top));
        let strip = (top + side + 12.0, top + side + 62.0);
        let mut out = y.left(left, right, top - 14.0);
        out.extend(x.bottom(strip.1, top));
        out.push(line(left, top + side, right, top + side, "axis"));
        out.push(line(left, top + side, right, top, "guide"));
        out.push(text(
            right - 6.0,
            top + side - 26.0,
            "small end faint",
            "overconfident",
        ));
        out.push(text(
            left + 8.0,
            top + 18.0,
            "small faint",
            "underconfident",
        ));
        let note = ellipsis(&self.note, SMALL, side - 16.0);
        let note_y = top + side - 10.0;
        out.push(text(right - 6.0, note_y, "small end bold halo", &note));
        let point = |bin: &Bin| (x.at(bin.confidence), y.at(bin.accuracy));
        out.extend(draw_points(self.shown().map(point)));
        out.extend(self.draw_counts(strip, left, right));
        Svg::new(width, strip.1 + 42.0, out)
    }
}

fn draw_points(points: impl Iterator<Item = (f64, f64)>) -> Vec<Element> {
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut data = PathData::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 {
            data.move_to(x, y);
        } else {
            data.line_to(x, y);
        }
    }
    let mut out = vec![path(&data, "s1 line")];
    out.extend(points.iter().map(|&(x, y)| circle(x, y, 4.5, "s1 mark")));
    out
}

impl Reliability {
    /// How many predictions each bin holds, as bars on a square-root scale: in a good model the
    /// last bin would otherwise be the only one to be seen.
    fn draw_counts(&self, (top, bottom): (f64, f64), left: f64, right: f64) -> Vec<Element> {
        let most = self.shown().map(|bin| bin.count).max().unwrap_or(1) as f64;
        let wide = ((right - left) / self.bins.len().max(10) as f64 - 2.0).clamp(2.0, 24.0);
        let mut out = Vec::new();
        for bin in self.shown() {
            let middle = left + bin.confidence.clamp(0.0, 1.0) * (right - left);
            let high = (bin.count as f64 / most).sqrt() * (bottom - top);
            let told = format!(
                "{} predictions, confidence {}, accuracy {}",
                format::count(bin.count),
                format::percent(bin.confidence, 1),
                format::percent(bin.accuracy, 1)
            );
            let start = (middle - wide / 2.0).clamp(left, right - wide);
            out.push(rect(start, bottom - high, wide, high, "s7 bar").tooltip(&told));
        }
        let words = "predictions per bin (square root)";
        if text_width(words, SMALL) < (right - left) * 0.8 {
            out.push(text(left + 6.0, top + 12.0, "small faint halo", words));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::WIDE;

    #[test]
    fn empty_bins_are_left_out() {
        let bin = |count, accuracy| Bin {
            confidence: 0.5,
            accuracy,
            count,
        };
        let plot = Reliability::new([bin(0, 0.1), bin(3, f64::NAN)]);
        assert!(plot.draw(WIDE).body().contains("no data"));
        let plot = Reliability::new([bin(0, 0.1), bin(3, 0.9)]);
        assert_eq!(plot.draw(WIDE).body().matches("<circle").count(), 1);
    }
}
