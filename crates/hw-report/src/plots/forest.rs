//! Forest plots: reported and measured differences beside a line of no difference, as a figure and
//! as small drawings in the cells of a table.

use super::axis::{Axis, Fitted};
use super::legend::{Sign, legend};
use super::{
    Estimate, Plot, SIZE, SMALL, arrow, diamond, no_data, plottable, usable, verdict_mark,
};
use crate::badge::BadgeKind;
use crate::document::CellFigure;
use crate::format;
use crate::svg::{Element, PathData, Svg, line, path, rect, text, text_width, wrap};

/// The width of a drawing in a cell, in CSS pixels.
const CELL: f64 = 220.0;
/// The height of a drawing in a cell.
const CELL_HEIGHT: f64 = 34.0;
/// The room at both ends for arrows to values beyond the axis.
const EDGE: f64 = 10.0;
/// How far the reported value stands above, and ours below, the middle of a row.
const APART: f64 = 7.5;

/// The axis of a forest plot: what is compared, in which unit, and the value of "no difference".
#[derive(Clone, Debug, PartialEq)]
pub struct ForestAxis {
    axis: Axis,
    unit: String,
    reference: f64,
    margin: Option<(f64, f64)>,
}

impl ForestAxis {
    /// A linear axis of differences, zero for none. `unit` names what its numbers are: "points",
    /// "seconds", "nats"; empty for none.
    pub fn new(label: impl Into<String>, unit: impl Into<String>) -> Self {
        let mut axis = Self::ratio(label, unit);
        axis.axis = axis.axis.signed();
        axis.reference = 0.0;
        axis
    }

    /// A linear axis of ratios, one for no difference.
    pub fn ratio(label: impl Into<String>, unit: impl Into<String>) -> Self {
        let (label, unit): (String, String) = (label.into(), unit.into());
        let named = match (label.is_empty(), unit.is_empty()) {
            (false, false) => format!("{label}, {unit}"),
            _ => format!("{label}{unit}"),
        };
        Self {
            axis: Axis::new(named),
            unit,
            reference: 1.0,
            margin: None,
        }
    }

    /// The same axis linear within about `±linear` and logarithmic beyond: for differences of very
    /// different sizes. Ignored unless `linear` is above zero.
    pub fn symlog(mut self, linear: f64) -> Self {
        self.axis = self.axis.symlog(linear);
        self
    }

    /// The same axis with a band of differences too small to matter; ignored unless `low < high`.
    pub fn margin(mut self, low: f64, high: f64) -> Self {
        self.margin = Some((low, high));
        self
    }

    /// The same axis showing exactly this range: values beyond it become arrows at its ends.
    /// Ignored unless finite and `low < high`.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.axis = self.axis.range(low, high);
        self
    }

    /// The same axis with the range of these rows, to be shared by several cells. Every reported and
    /// measured value has its place on it. An interval that reaches further beyond them than they
    /// are apart is cut: a few wide ones would leave no room for the rest.
    pub fn fit<'a>(mut self, rows: impl IntoIterator<Item = &'a ForestRow>) -> Self {
        let rows: Vec<&ForestRow> = rows.into_iter().collect();
        let margins = rows.iter().filter_map(|row| self.margin_of(row));
        let edges = margins.flat_map(|(low, high)| [low, high]);
        let values = rows.iter().flat_map(|row| {
            let ours = row.ours.map(|ours| ours.value);
            row.reported.map(|(value, _)| value).into_iter().chain(ours)
        });
        let points = edges.chain(values).chain([self.reference]);
        let (low, high) = extremes(points.filter(|&value| plottable(value)));
        let (least, most) = (low - (high - low), high + (high - low));
        let intervals = rows.iter().filter_map(|row| row.ours);
        let ends = intervals.flat_map(|ours| [ours.low.max(least), ours.high.min(most)]);
        let (low, high) = extremes(ends.filter(|&value| plottable(value)).chain([low, high]));
        let room = (high - low) * 0.03;
        if high > low {
            self.axis = self.axis.range(low - room, high + room);
        }
        self
    }

    fn margin_of(&self, row: &ForestRow) -> Option<(f64, f64)> {
        let margin = row.margin.or(self.margin);
        margin.filter(|&(low, high)| plottable(low) && plottable(high) && low < high)
    }

    fn onto(&self, left: f64, right: f64) -> Option<Fitted> {
        // Without a range there is still the line of no difference.
        Some(self.axis.fit([self.reference])?.onto(left, right))
    }

    fn write(&self, value: f64, decimals: usize) -> String {
        if self.reference == 0.0 {
            format::signed(value, decimals)
        } else {
            format::fixed(value, decimals)
        }
    }

    fn reported(&self, row: &ForestRow) -> Option<String> {
        let (value, decimals) = row.reported?;
        Some(self.write(value, decimals))
    }

    fn ours(&self, row: &ForestRow) -> Option<String> {
        let Estimate { value, low, high } = row.ours?;
        Some(format::interval(value, low, high, self.reference == 0.0))
    }

    /// A row in words: "reported +1.58, ours +4.0 [+3.6, +4.4] points".
    pub fn words(&self, row: &ForestRow) -> String {
        let unit = match self.unit.is_empty() {
            true => String::new(),
            false => format!(" {}", self.unit),
        };
        match (self.reported(row), self.ours(row)) {
            (Some(reported), Some(ours)) => format!("reported {reported}, ours {ours}{unit}"),
            (Some(reported), None) => format!("reported {reported}{unit}, {}", missing(row)),
            (None, Some(ours)) => format!("nothing reported, ours {ours}{unit}"),
            (None, None) => format!("nothing reported, {}", missing(row)),
        }
    }

    /// A row as a small drawing for a table's cell, on this axis: give it a range with
    /// [`fit`](Self::fit) first. The row's label stands above the drawing.
    pub fn cell(&self, row: &ForestRow) -> CellFigure {
        let mut out = Vec::new();
        if let Some(axis) = self.onto(EDGE, CELL - EDGE) {
            let band = self.margin_of(row).map(|margin| (axis.clone(), margin));
            out.extend(band.map(|(axis, margin)| area(&axis, margin, 0.0, CELL_HEIGHT)));
            out.extend(self.reference_line(&axis, 0.0, CELL_HEIGHT));
            out.extend(self.marks(&axis, row, CELL_HEIGHT / 2.0));
        }
        let svg = Svg::new(CELL, CELL_HEIGHT, out);
        CellFigure::new(svg, self.words(row)).label(row.label.as_str())
    }

    /// The axis itself as a small drawing, for the heading of the column whose cells share it.
    pub fn heading(&self) -> CellFigure {
        let mut out = Vec::new();
        let mut words = self.axis.label().to_owned();
        if let Some(axis) = self.onto(EDGE, CELL - EDGE) {
            let ticks = axis.bottom_ticks();
            if let [(_, first), .., (_, last)] = &ticks[..] {
                words = format!("{words}: {first} to {last}");
            }
            for (value, label) in ticks {
                let (x, half) = (axis.at(value), text_width(&label, SMALL) / 2.0);
                out.push(line(x, 15.0, x, 20.0, "axis"));
                let x = x.min(CELL - half).max(half);
                out.push(text(x, 11.0, "small mid quiet", &label));
            }
            out.push(line(EDGE, 20.0, CELL - EDGE, 20.0, "axis"));
        }
        CellFigure::new(Svg::new(CELL, 21.0, out), words)
    }

    fn reference_line(&self, axis: &Fitted, top: f64, bottom: f64) -> Option<Element> {
        let x = axis.at(self.reference);
        axis.holds(self.reference)
            .then(|| line(x, top, x, bottom, "axis"))
    }

    /// The reported value over ours with its interval, about the height `middle`.
    fn marks(&self, axis: &Fitted, row: &ForestRow, middle: f64) -> Vec<Element> {
        let mut out = Vec::new();
        let (above, below) = (middle - APART, middle + APART);
        if let Some((value, _)) = row.reported.filter(|&(value, _)| plottable(value)) {
            out.push(match axis.beyond(value) {
                Some((edge, side)) => arrow(edge, above, 8.0 * side, "diamond"),
                None => diamond(axis.at(value), above, 5.0),
            });
        }
        if let Some(ours) = row.ours.filter(|ours| plottable(ours.value)) {
            let class = row.verdict.class();
            if ours.low < ours.high {
                out.push(whisker(axis, &ours, below, &format!("{class} whisker")));
            }
            out.push(match axis.beyond(ours.value) {
                Some((edge, side)) => arrow(edge, below, 9.0 * side, &format!("{class} point")),
                None => verdict_mark(row.verdict, axis.at(ours.value), below, 4.2),
            });
        }
        out
    }
}

/// The lowest and the highest of some values; infinite and crossed where there are none.
fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// What stands in place of our value.
fn missing(row: &ForestRow) -> &'static str {
    match row.verdict {
        BadgeKind::Muted => "not run",
        _ => "no value of ours",
    }
}

/// A range of values as an area between two heights.
fn area(axis: &Fitted, (low, high): (f64, f64), top: f64, bottom: f64) -> Element {
    let (from, to) = (axis.clamped(low), axis.clamped(high));
    rect(from, top, to - from, bottom - top, "margin")
}

/// An interval as a line; an end that lies beyond the axis is an open arrow there.
fn whisker(axis: &Fitted, ours: &Estimate, y: f64, class: &str) -> Element {
    let mut data = PathData::new();
    let ends = [(ours.low, -1.0), (ours.high, 1.0)];
    let [from, to] = ends.map(|(end, _)| axis.clamped(end));
    data.move_to(from, y);
    data.line_to(to, y);
    for (x, (end, side)) in [from, to].into_iter().zip(ends) {
        let back = if axis.holds(end) { 0.0 } else { 4.0 * side };
        // Taller than the mark, so that the ends of an interval shorter than it are seen.
        data.move_to(x - back, y - 5.5);
        data.line_to(x, y);
        data.line_to(x - back, y + 5.5);
    }
    path(&data, class)
}

/// A claim, or a part of one: the reported value, ours with its interval, and the verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    label: String,
    verdict: BadgeKind,
    reported: Option<(f64, usize)>,
    ours: Option<Estimate>,
    margin: Option<(f64, f64)>,
}

impl ForestRow {
    /// A row with a label (empty for none) and a verdict, which decides color and shape of our mark.
    pub fn new(label: impl Into<String>, verdict: BadgeKind) -> Self {
        Self {
            label: label.into(),
            verdict,
            reported: None,
            ours: None,
            margin: None,
        }
    }

    /// The same row with the reported value, written with as many decimals as the paper has.
    pub fn reported(mut self, value: f64, decimals: usize) -> Self {
        self.reported = Some((value, decimals));
        self
    }

    /// The same row with our value and its interval; an end may be infinite.
    pub fn ours(mut self, ours: Estimate) -> Self {
        self.ours = Some(ours);
        self
    }

    /// The same row with its own band of differences too small to matter instead of the axis's.
    pub fn margin(mut self, low: f64, high: f64) -> Self {
        self.margin = Some((low, high));
        self
    }
}

/// A forest plot as a figure: a labeled row for each claim.
///
/// ```
/// use hw_report::BadgeKind;
/// use hw_report::plots::{Estimate, Forest, ForestAxis, ForestRow, Plot};
/// let row = ForestRow::new("batch norm over none", BadgeKind::Good)
///     .reported(1.58, 2)
///     .ours(Estimate::interval(4.0, 3.6, 4.4));
/// let axis = ForestAxis::new("accuracy difference", "points").margin(-0.2, 0.2);
/// assert_eq!(axis.words(&row), "reported +1.58, ours +4.0 [+3.6, +4.4] points");
/// let forest = Forest::new(axis.clone()).row(row.clone());
/// assert!(forest.draw(350.0).body().contains("batch norm over none"));
/// // The same row in a table's cell, on an axis shared with other rows.
/// let shared = axis.fit([&row]);
/// assert!(shared.cell(&row).svg.body().len() < 1500);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    axis: ForestAxis,
    rows: Vec<ForestRow>,
    whiskers: String,
}

impl Forest {
    /// A plot without rows yet. Its axis is fitted to the rows, as [`ForestAxis::fit`] does, unless
    /// it has a range.
    pub fn new(axis: ForestAxis) -> Self {
        Self {
            axis,
            rows: Vec::new(),
            whiskers: "interval".to_owned(),
        }
    }

    /// Says what the intervals are: "95 % interval over 5 seeds".
    pub fn whiskers(mut self, meaning: impl Into<String>) -> Self {
        self.whiskers = meaning.into();
        self
    }

    /// Adds a row.
    pub fn row(mut self, row: ForestRow) -> Self {
        self.rows.push(row);
        self
    }

    /// The whole plot in words, for those who do not see it: a row after the other.
    pub fn words(&self) -> String {
        let row = |row: &ForestRow| {
            let words = self.axis.words(row);
            format!("{}: {words} ({}).", row.label, row.verdict.label())
        };
        self.rows.iter().map(row).collect::<Vec<_>>().join(" ")
    }

    fn legend(&self, width: f64) -> (Vec<Element>, f64) {
        let mut entries: Vec<(Sign, &str)> = Vec::new();
        if self.rows.iter().any(|row| row.reported.is_some()) {
            entries.push((Sign::Diamond, "reported"));
        }
        for kind in BadgeKind::ALL {
            let mut measured = self.rows.iter().filter(|row| row.ours.is_some());
            if measured.any(|row| row.verdict == kind) {
                entries.push((Sign::Verdict(kind), kind.label()));
            }
        }
        let interval = |row: &ForestRow| row.ours.is_some_and(|ours| ours.low < ours.high);
        if self.rows.iter().any(interval) {
            entries.push((Sign::Whisker("muted whisker".to_owned()), &self.whiskers));
        }
        if self
            .rows
            .iter()
            .any(|row| self.axis.margin_of(row).is_some())
        {
            entries.push((Sign::Area("margin"), "too small a difference to matter"));
        }
        legend(&entries, 0.0, width, 0.0)
    }
}

/// Where things lie in a figure.
struct Layout {
    left: f64,
    right: f64,
    /// The width of a label; it stands beside its marks or, on a phone, above them.
    label: f64,
    beside: bool,
}

/// The distance between lines of a label.
const LINE: f64 = 15.0;
/// The height of a row's marks.
const MARKS: f64 = 36.0;

impl Layout {
    fn new(forest: &Forest, width: f64) -> Self {
        let widest = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max);
        if width < 520.0 {
            return Self {
                // Half of a tick's label stands beyond the end.
                left: 22.0,
                right: width - 22.0,
                label: width,
                beside: false,
            };
        }
        let rows = || forest.rows.iter();
        let label = widest(&mut rows().map(|row| text_width(&row.label, SIZE)));
        let label = (label + 2.0).min(width * 0.34);
        let numbers = rows().flat_map(|row| forest.numbers(row));
        let numbers = widest(&mut numbers.map(|number| text_width(&number, SMALL)));
        Self {
            left: label + 14.0 + EDGE,
            right: width - numbers.min(width * 0.3) - 10.0 - EDGE,
            label,
            beside: true,
        }
    }

    fn lines(&self, row: &ForestRow) -> Vec<String> {
        wrap(&row.label, SIZE, self.label, 4)
    }

    /// How high a row is, and where in it the middle of its marks is.
    fn row(&self, row: &ForestRow) -> (f64, f64) {
        let label = LINE * self.lines(row).len() as f64;
        if self.beside {
            let height = MARKS.max(label) + 8.0;
            (height, height / 2.0)
        } else {
            let above = label + LINE + 6.0;
            (above + MARKS + 6.0, above + MARKS / 2.0)
        }
    }
}

impl Forest {
    /// The reported value and ours as they stand beside their marks.
    fn numbers(&self, row: &ForestRow) -> [String; 2] {
        let ours = self
            .axis
            .ours(row)
            .unwrap_or_else(|| missing(row).to_owned());
        [self.axis.reported(row).unwrap_or_default(), ours]
    }

    fn draw_row(
        &self,
        row: &ForestRow,
        top: f64,
        width: f64,
        axis: &Fitted,
        at: &Layout,
    ) -> Vec<Element> {
        let mut out = Vec::new();
        let (height, middle) = at.row(row);
        let middle = top + middle;
        let (from, to) = match at.beside {
            true => (top, top + height),
            false => (middle - MARKS / 2.0, top + height),
        };
        if let Some(margin) = self.axis.margin_of(row) {
            out.push(area(axis, margin, from, to));
        }
        out.extend(self.axis.reference_line(axis, from, to));
        out.extend(self.axis.marks(axis, row, middle));
        let lines = at.lines(row);
        let first = match at.beside {
            true => middle + 4.5 - LINE * (lines.len() as f64 - 1.0) / 2.0,
            false => top + 16.0,
        };
        for (index, words) in lines.iter().enumerate() {
            let words = text(0.0, first + LINE * index as f64, "", words);
            let cut = index + 1 == lines.len() && lines[index].ends_with('…');
            out.push(if cut {
                words.tooltip(&row.label)
            } else {
                words
            });
        }
        if at.beside {
            let [reported, ours] = self.numbers(row);
            let room = width - at.right - EDGE;
            for (words, y, class) in [
                (reported, middle - APART, "small end quiet"),
                (ours, middle + APART, "small end"),
            ] {
                let words = crate::svg::ellipsis(&words, SMALL, room);
                if !words.is_empty() {
                    out.push(text(width, y + 4.0, class, &words));
                }
            }
        } else {
            let y = first + LINE * lines.len() as f64;
            let words = crate::svg::ellipsis(&self.axis.words(row), SMALL, width);
            out.push(text(0.0, y, "small quiet", &words));
        }
        out
    }
}

impl Plot for Forest {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        let mut scale = self.axis.clone();
        if !scale.axis.has_range() {
            scale = scale.fit(&self.rows);
        }
        let at = Layout::new(self, width);
        let Some(axis) = scale
            .onto(at.left, at.right)
            .filter(|_| !self.rows.is_empty())
        else {
            return no_data(width, 120.0);
        };
        let (mut out, legend) = self.legend(width);
        let top = if legend > 0.0 { legend + 8.0 } else { 4.0 };
        let heights = self.rows.iter().map(|row| at.row(row).0);
        let bottom = top + heights.sum::<f64>() + 4.0;
        // Grid lines would cross the labels that stand above their marks.
        out.extend(axis.bottom(bottom, if at.beside { top } else { bottom }));
        let mut y = top;
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push(line(0.0, y, width, y, "grid"));
            }
            out.extend(self.draw_row(row, y, width, &axis, &at));
            y += at.row(row).0;
        }
        Svg::new(width, bottom + 42.0, out)
    }
}
