//! Confusion matrices, from ten classes to sixty-two.

use super::{Plot, SIZE, SMALL, TINY, no_data, usable};
use crate::format;
use crate::svg::{Element, PathData, Svg, ellipsis, path, rect, text, text_width};

/// Counts of true against predicted classes. The share of its row shades each cell; the diagonal
/// and the errors have scales of their own, or the errors of a good model could not be seen.
///
/// ```
/// use hw_report::plots::{ConfusionMatrix, Plot};
/// let matrix = ConfusionMatrix::new(["a", "b"], vec![vec![98, 2], vec![1, 99]]);
/// assert_eq!(matrix.worst(1)[0].count, 2);
/// assert!(matrix.draw(350.0).body().contains(">98<"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<Vec<u64>>,
}

/// A kind of error: how often one class was taken for another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confusion {
    /// The true class.
    pub truth: usize,
    /// The class it was taken for.
    pub predicted: usize,
    /// How often.
    pub count: u64,
    /// How often, as a share of the true class.
    pub share: f64,
}

impl ConfusionMatrix {
    /// A matrix from `counts[true][predicted]`. Missing counts are zero; a class without a name is
    /// called by its index.
    pub fn new(
        classes: impl IntoIterator<Item = impl Into<String>>,
        counts: Vec<Vec<u64>>,
    ) -> Self {
        let mut classes: Vec<String> = classes.into_iter().map(Into::into).collect();
        let widest = counts.iter().map(Vec::len).max().unwrap_or(0);
        for index in classes.len()..widest.max(counts.len()) {
            classes.push(index.to_string());
        }
        Self { classes, counts }
    }

    /// The `most` most frequent kinds of error by count, the most frequent first.
    pub fn worst(&self, most: usize) -> Vec<Confusion> {
        let size = self.classes.len();
        let mut errors: Vec<Confusion> = (0..size)
            .flat_map(|truth| (0..size).map(move |predicted| (truth, predicted)))
            .filter(|(truth, predicted)| truth != predicted && self.count(*truth, *predicted) > 0)
            .map(|(truth, predicted)| Confusion {
                truth,
                predicted,
                count: self.count(truth, predicted),
                share: self.share(truth, predicted),
            })
            .collect();
        errors.sort_by_key(|error| (std::cmp::Reverse(error.count), error.truth, error.predicted));
        errors.truncate(most);
        errors
    }

    fn count(&self, truth: usize, predicted: usize) -> u64 {
        let row = self.counts.get(truth);
        row.and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    fn total(&self, truth: usize) -> u64 {
        let row = self.counts.get(truth).map(Vec::as_slice).unwrap_or(&[]);
        row.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// A cell's share of its row; 0 in an empty row.
    fn share(&self, truth: usize, predicted: usize) -> f64 {
        match self.total(truth) {
            0 => 0.0,
            total => self.count(truth, predicted) as f64 / total as f64,
        }
    }

    /// The lowest and highest share on the diagonal, and the highest off it.
    fn scales(&self) -> Scales {
        let size = self.classes.len();
        let filled = || (0..size).filter(|&row| self.total(row) > 0);
        let right = || filled().map(|row| self.share(row, row));
        let wrong = filled().flat_map(|row| (0..size).map(move |column| (row, column)));
        Scales {
            lowest: right().fold(1.0, f64::min),
            highest: right().fold(0.0, f64::max),
            worst: wrong
                .filter(|(row, column)| row != column)
                .map(|(row, column)| self.share(row, column))
                .fold(0.0, f64::max),
        }
    }
}

struct Scales {
    lowest: f64,
    highest: f64,
    worst: f64,
}

impl Scales {
    /// How opaque a cell is, in `0..=1`; 0 for an empty one.
    fn shade(&self, diagonal: bool, share: f64) -> f64 {
        if share <= 0.0 {
            return 0.0;
        }
        if diagonal {
            let span = self.highest - self.lowest;
            let place = if span > 0.0 {
                (share - self.lowest) / span
            } else {
                1.0
            };
            return 0.3 + 0.7 * place;
        }
        // Less than proportional: keeps rare errors visible beside the most frequent one.
        0.08 + 0.92 * (share / self.worst).powf(0.6)
    }
}

/// Where the cells lie.
struct Layout {
    left: f64,
    top: f64,
    cell: f64,
    /// Room for the column labels, which stand upright where they are wider than a cell.
    upright: bool,
    label_size: f64,
}

/// Up to this many classes a pointer resting on a cell is told its numbers.
const TOOLTIPS: usize = 26;

impl Plot for ConfusionMatrix {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        if (0..self.classes.len()).all(|row| self.total(row) == 0) {
            return no_data(width, 160.0);
        }
        let at = self.layout(width);
        let scales = self.scales();
        let side = at.cell * self.classes.len() as f64;
        let mut out = self.draw_labels(&at);
        out.push(rect(at.left, at.top, side, side, "frame"));
        out.extend(self.draw_cells(&scales, &at));
        let (key, key_height) = scale_key(&scales, at.left, at.top + side + 14.0, side);
        out.extend(key);
        let (total_width, height) = (at.left + side + 1.0, at.top + side + 14.0 + key_height);
        let svg = Svg::new(total_width, height, out);
        if total_width > width + 1.0 {
            svg.rigid()
        } else {
            svg
        }
    }
}

impl ConfusionMatrix {
    fn layout(&self, width: f64) -> Layout {
        let size = self.classes.len() as f64;
        let widest = |font: f64| {
            let widths = self.classes.iter().map(|name| text_width(name, font));
            widths.fold(0.0, f64::max).min(96.0)
        };
        let label_size = match () {
            () if size <= 16.0 => SIZE,
            () if size <= 30.0 => SMALL,
            () => TINY,
        };
        let label = widest(label_size);
        let left = 24.0 + label;
        // Below 11 pixels the labels of neighbouring cells would touch.
        let cell = ((width - left - 1.0) / size).clamp(11.0, 46.0).floor();
        let upright = label > cell - 1.0;
        let top = 26.0 + if upright { label } else { label_size };
        Layout {
            left,
            top,
            cell,
            upright,
            label_size,
        }
    }

    fn draw_labels(&self, at: &Layout) -> Vec<Element> {
        let side = at.cell * self.classes.len() as f64;
        let font = match at.label_size {
            size if size == SIZE => "",
            size if size == SMALL => " small",
            _ => " tiny",
        };
        let middle = at.top + side / 2.0;
        let mut out = vec![
            text(at.left + side / 2.0, 11.0, "small mid quiet", "predicted"),
            text(0.0, 0.0, "small mid quiet", "true").attr(
                "transform",
                &format!("translate(11 {}) rotate(-90)", crate::svg::number(middle)),
            ),
        ];
        for (index, name) in self.classes.iter().enumerate() {
            let name = ellipsis(name, at.label_size, 96.0);
            let center = at.cell * (index as f64 + 0.5);
            let baseline = at.top + center + at.label_size * 0.36;
            out.push(text(at.left - 6.0, baseline, &format!("end{font}"), &name));
            let x = at.left + center;
            out.push(if at.upright {
                let place = format!(
                    "translate({} {}) rotate(-90)",
                    crate::svg::number(x + at.label_size * 0.36),
                    crate::svg::number(at.top - 6.0)
                );
                text(0.0, 0.0, font.trim(), &name).attr("transform", &place)
            } else {
                text(x, at.top - 7.0, &format!("mid{font}"), &name)
            });
        }
        out
    }

    fn draw_cells(&self, scales: &Scales, at: &Layout) -> Vec<Element> {
        let size = self.classes.len();
        if size > TOOLTIPS {
            return self.draw_by_shade(scales, at);
        }
        let mut out = Vec::new();
        for truth in 0..size {
            for predicted in 0..size {
                let count = self.count(truth, predicted);
                if count > 0 {
                    out.extend(self.draw_cell(truth, predicted, scales, at));
                }
            }
        }
        out
    }

    fn draw_cell(
        &self,
        truth: usize,
        predicted: usize,
        scales: &Scales,
        at: &Layout,
    ) -> Vec<Element> {
        let (count, share) = (self.count(truth, predicted), self.share(truth, predicted));
        let shade = scales.shade(truth == predicted, share);
        let (x, y) = (
            at.left + at.cell * predicted as f64,
            at.top + at.cell * truth as f64,
        );
        let series = if truth == predicted { "s1" } else { "s2" };
        let told = format!(
            "true {}, predicted {}: {} ({})",
            self.classes[truth],
            self.classes[predicted],
            format::count(count),
            format::percent(share, 2)
        );
        let side = at.cell - 1.0;
        let cell = rect(x + 0.5, y + 0.5, side, side, &format!("{series} cell"))
            .attr("opacity", &format!("{shade:.2}"))
            .tooltip(&told);
        let words = count.to_string();
        let (font, font_size) = if text_width(&words, SMALL) < at.cell - 4.0 {
            ("small", SMALL)
        } else {
            ("tiny", TINY)
        };
        let mut out = vec![cell];
        // Numbers in smaller cells would run into one grey texture.
        if at.cell >= 16.0 && text_width(&words, font_size) < at.cell - 1.0 {
            // From these shades on, the page's ink would be hard to read on the cell.
            let ink = match shade {
                shade if truth == predicted && shade > 0.82 => " on",
                shade if shade > 0.68 => " onmid",
                _ => "",
            };
            let (x, y) = (x + at.cell / 2.0, y + at.cell / 2.0 + font_size * 0.36);
            // The cell under the number has the tooltip; the number must not hide it.
            let number = text(x, y, &format!("mid {font}{ink}"), &words);
            out.push(number.attr("pointer-events", "none"));
        }
        out
    }

    /// All cells of one shade as one path: a matrix of 62 classes stays a few kilobytes.
    fn draw_by_shade(&self, scales: &Scales, at: &Layout) -> Vec<Element> {
        const SHADES: usize = 20;
        let size = self.classes.len();
        let mut out = Vec::new();
        for diagonal in [false, true] {
            let mut paths = vec![PathData::new(); SHADES + 1];
            for (truth, predicted) in (0..size).flat_map(|t| (0..size).map(move |s| (t, s))) {
                let shade = scales.shade(truth == predicted, self.share(truth, predicted));
                if (truth == predicted) == diagonal && shade > 0.0 {
                    let step = (shade * SHADES as f64).round() as usize;
                    let (x, y) = (at.cell * predicted as f64, at.cell * truth as f64);
                    paths[step].square(at.left + x, at.top + y, at.cell);
                }
            }
            let series = if diagonal { "s1 cell" } else { "s2 cell" };
            for (step, data) in paths
                .iter()
                .enumerate()
                .filter(|(_, data)| !data.is_empty())
            {
                let opacity = format!("{:.2}", step as f64 / SHADES as f64);
                out.push(path(data, series).attr("opacity", &opacity));
            }
        }
        out
    }
}

/// What the shades of the diagonal and of the errors mean; elements and height.
fn scale_key(scales: &Scales, left: f64, top: f64, side: f64) -> (Vec<Element>, f64) {
    let right = (scales.lowest, scales.highest, "correct", true);
    let wrong = (0.0, scales.worst, "errors", false);
    let mut out = Vec::new();
    let (mut x, mut y) = (left, top);
    for (low, high, name, diagonal) in [right, wrong] {
        let words = format!(
            "{name}: {} to {} of a row",
            format::percent(low, 1),
            format::percent(high, 1)
        );
        let wide = 70.0 + text_width(&words, SMALL) + 18.0;
        if x > left && x + wide - 18.0 > left + side {
            (x, y) = (left, y + 20.0);
        }
        let class = if diagonal { "s1 cell" } else { "s2 cell" };
        for step in 0..8 {
            let place = (step as f64 + 0.5) / 8.0;
            let shade = scales.shade(diagonal, low + (high - low) * place);
            let swatch = rect(x + 8.0 * step as f64, y, 8.0, 12.0, class);
            out.push(swatch.attr("opacity", &format!("{shade:.2}")));
        }
        out.push(text(x + 70.0, y + 10.0, "small quiet", &words));
        x += wide;
    }
    (out, y - top + 18.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::{NARROW, WIDE};

    fn square(size: usize, right: u64, wrong: u64) -> ConfusionMatrix {
        let row = |truth: usize| {
            (0..size).map(move |predicted| if predicted == truth { right } else { wrong })
        };
        let counts = (0..size).map(|truth| row(truth).collect()).collect();
        ConfusionMatrix::new((0..size).map(|index| index.to_string()), counts)
    }

    #[test]
    fn a_rare_error_is_visible_beside_a_strong_diagonal() {
        let mut matrix = square(10, 1000, 0);
        matrix.counts[4][9] = 1;
        let scales = matrix.scales();
        assert!(scales.shade(false, matrix.share(4, 9)) > 0.9);
    }

    #[test]
    fn every_size_of_the_papers_fits_its_page_and_stays_light() {
        for size in [10, 26, 47, 62] {
            let svg = square(size, 400, 1).draw(WIDE);
            assert!(svg.width() <= WIDE + 60.0, "{size}: {}", svg.width());
            assert!(svg.body().len() < 220_000, "{size}: {}", svg.body().len());
        }
    }

    #[test]
    fn sixty_two_classes_on_a_phone_scroll_instead_of_shrinking() {
        let svg = square(62, 400, 1).draw(NARROW);
        assert!(svg.width() > 680.0);
        assert!(svg.to_inline("", "").contains("min-width"));
    }

    #[test]
    fn an_empty_or_ragged_matrix_is_drawn_as_far_as_it_goes() {
        assert!(square(3, 0, 0).draw(WIDE).body().contains("no data"));
        let ragged = ConfusionMatrix::new(["a"], vec![vec![1, 2, 3], vec![]]);
        assert_eq!(ragged.classes, ["a", "1", "2"]);
        assert_eq!(ragged.worst(9).len(), 2);
        ragged.draw(WIDE);
        ConfusionMatrix::new(["huge"], vec![vec![u64::MAX, u64::MAX]]).draw(NARROW);
    }
}
