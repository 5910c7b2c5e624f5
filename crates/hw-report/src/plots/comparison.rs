//! Values of several rows side by side, each with its interval and the reported value beside it.

use super::axis::{Axis, Fitted};
use super::legend::{Sign, legend};
use super::{Plot, SIZE, arrow, color, diamond, mark, no_data, usable};
use crate::svg::{Element, PathData, Svg, ellipsis, line, path, rect, text, text_width, wrap};

/// A measured value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
}

impl Estimate {
    /// A value without an interval.
    pub fn exact(value: f64) -> Self {
        Self::interval(value, value, value)
    }

    /// A value with its interval.
    pub fn interval(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high }
    }

    fn has_interval(&self) -> bool {
        self.low < self.high
    }
}

/// How the values of a [`Comparison`] are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars. They always start at zero, or their lengths would lie.
    Bars,
    /// Dots with whiskers on an axis fitted to the values: shows small differences.
    Dots,
}

/// A row of a [`Comparison`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparisonRow {
    label: String,
    values: Vec<Option<Estimate>>,
    reported: Option<f64>,
    strong: bool,
}

impl ComparisonRow {
    /// A row with one value; `None` is shown as "not run".
    pub fn new(label: impl Into<String>, value: Option<Estimate>) -> Self {
        Self {
            label: label.into(),
            values: vec![value],
            ..Self::default()
        }
    }

    /// A row with a value per series, in the order of [`Comparison::series`].
    pub fn of_series(label: impl Into<String>, values: Vec<Option<Estimate>>) -> Self {
        Self {
            label: label.into(),
            values,
            ..Self::default()
        }
    }

    /// The same row with the reported value.
    pub fn reported(mut self, value: f64) -> Self {
        self.reported = Some(value);
        self
    }

    /// The same row with its label in bold.
    pub fn strong(mut self) -> Self {
        self.strong = true;
        self
    }
}

/// Rows with values, intervals and reported values, as bars or as dots with whiskers.
///
/// ```
/// use hw_report::plots::{Axis, Comparison, ComparisonRow, Estimate, Plot, Style};
/// let chart = Comparison::new(Style::Dots, Axis::new("test accuracy").percent())
///     .whiskers("95 % interval")
///     .row(ComparisonRow::new("bn-cnn", Some(Estimate::interval(0.991, 0.989, 0.993))).reported(0.9922))
///     .row(ComparisonRow::new("LeNet-5", None).reported(0.9905));
/// assert!(chart.draw(350.0).body().contains("not run"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    style: Style,
    axis: Axis,
    series: Vec<String>,
    whiskers: String,
    rows: Vec<ComparisonRow>,
}

impl Comparison {
    /// A comparison along an axis, without rows yet.
    pub fn new(style: Style, axis: Axis) -> Self {
        Self {
            style,
            axis,
            series: Vec::new(),
            whiskers: String::new(),
            rows: Vec::new(),
        }
    }

    /// Names the series, for rows with several values.
    pub fn series(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.series = names.into_iter().map(Into::into).collect();
        self
    }

    /// Says what the whiskers show: "lowest to highest of 3 seeds", "95 % interval".
    pub fn whiskers(mut self, meaning: impl Into<String>) -> Self {
        self.whiskers = meaning.into();
        self
    }

    /// Adds a row.
    pub fn row(mut self, row: ComparisonRow) -> Self {
        self.rows.push(row);
        self
    }

    fn estimates(&self) -> impl Iterator<Item = &Estimate> {
        let values = self.rows.iter().flat_map(|row| row.values.iter().flatten());
        values.filter(|estimate| self.axis.shows(estimate.value))
    }

    fn fit(&self) -> Option<Fitted> {
        let ends = self.estimates().flat_map(|e| [e.value, e.low, e.high]);
        let reported = self.rows.iter().filter_map(|row| row.reported);
        match self.style {
            Style::Dots => self.axis.fit_padded(ends.chain(reported), 0.06),
            Style::Bars => {
                let values: Vec<f64> = ends
                    .chain(reported)
                    .filter(|&v| self.axis.shows(v))
                    .collect();
                let low = values.iter().copied().fold(0.0, f64::min);
                let high = values.iter().copied().fold(0.0, f64::max);
                let from_zero = self.axis.clone().range(low * 1.04, high * 1.04);
                if values.is_empty() {
                    None
                } else {
                    from_zero.fit([low, high])
                }
            }
        }
    }

    /// How many values a row has at most.
    fn depth(&self) -> usize {
        let most = self.rows.iter().map(|row| row.values.len()).max();
        most.unwrap_or(1).max(1)
    }
}

/// Where things lie in a row.
struct Layout {
    /// The width of the label column; 0 where labels stand above their marks.
    label: f64,
    left: f64,
    right: f64,
    /// The width of the numbers on the right.
    room: f64,
    /// Distance between the marks of one row.
    pitch: f64,
    row: f64,
    above: f64,
}

impl Comparison {
    fn layout(&self, width: f64) -> Layout {
        let widest = |words: Vec<&str>, size: f64| {
            let widths = words.into_iter().map(|word| text_width(word, size));
            widths.fold(0.0, f64::max)
        };
        let labels = self.rows.iter().map(|row| row.label.as_str()).collect();
        let written: Vec<String> = self.estimates().map(|e| self.axis.write(e.value)).collect();
        let values = widest(written.iter().map(String::as_str).collect(), SIZE);
        let values = values.clamp(46.0, width * 0.3);
        let label = (widest(labels, SIZE) * 1.04).min(width * 0.34);
        let pitch = if self.style == Style::Bars {
            16.0
        } else {
            15.0
        };
        let marks = pitch * self.depth() as f64;
        if width < 520.0 {
            Layout {
                label: 0.0,
                left: 10.0,
                right: width - values - 12.0,
                room: values,
                pitch,
                row: marks + 32.0,
                above: 20.0,
            }
        } else {
            Layout {
                label,
                left: label + 24.0,
                right: width - values - 14.0,
                room: values,
                pitch,
                row: (marks + 12.0).max(36.0),
                above: 0.0,
            }
        }
    }

    fn legend(&self, width: f64) -> (Vec<Element>, f64) {
        let mut entries: Vec<(Sign, &str)> = Vec::new();
        let has_printed = self.rows.iter().any(|row| row.reported.is_some());
        if self.series.is_empty() && has_printed {
            entries.push((Sign::Mark(0), "ours"));
        }
        for (index, name) in self.series.iter().enumerate() {
            entries.push((Sign::Mark(index), name));
        }
        if has_printed {
            entries.push((Sign::Diamond, "reported"));
        }
        if !self.whiskers.is_empty() && self.estimates().any(Estimate::has_interval) {
            entries.push((Sign::Whisker("s7 whisker".to_owned()), &self.whiskers));
        }
        legend(&entries, 0.0, width, 0.0)
    }

    fn draw_row(&self, row: &ComparisonRow, top: f64, axis: &Fitted, at: &Layout) -> Vec<Element> {
        let mut out = Vec::new();
        let weight = if row.strong { " bold" } else { "" };
        let middle = top + at.above + (at.row - at.above) / 2.0;
        if at.label > 0.0 {
            let lines = wrap(&row.label, SIZE, at.label, 2);
            let first = middle + 4.5 - 7.5 * (lines.len() as f64 - 1.0);
            for (index, words) in lines.iter().enumerate() {
                let y = first + 15.0 * index as f64;
                out.push(text(at.left - 24.0, y, &format!("end{weight}"), words));
            }
        } else {
            let words = ellipsis(&row.label, SIZE, at.right);
            out.push(text(0.0, top + 16.0, weight.trim(), &words));
        }
        let first = middle - at.pitch * (row.values.len() as f64 - 1.0) / 2.0;
        for (index, value) in row.values.iter().enumerate() {
            let y = first + at.pitch * index as f64;
            out.extend(self.draw_value(index, value.as_ref(), y, axis, at));
        }
        if let Some(reported) = row.reported.filter(|&value| self.axis.shows(value)) {
            out.extend(placed(
                axis,
                reported,
                |x| diamond(x, middle, 5.5),
                middle,
                at,
            ));
        }
        out
    }

    fn draw_value(
        &self,
        index: usize,
        value: Option<&Estimate>,
        y: f64,
        axis: &Fitted,
        at: &Layout,
    ) -> Vec<Element> {
        let Some(estimate) = value else {
            let words = text(at.right + 12.0, y + 4.5, "small faint", "not run");
            return vec![words];
        };
        let number = ellipsis(&self.axis.write(estimate.value), SIZE, at.room);
        let mut out = vec![text(at.right + 12.0, y + 4.5, "", &number)];
        if !self.axis.shows(estimate.value) {
            return out;
        }
        let name = color(index);
        if self.style == Style::Bars {
            let (zero, end) = (axis.at(0.0), axis.at(estimate.value));
            let (start, wide) = (zero.min(end), (end - zero).abs());
            out.push(rect(start, y - 6.0, wide, 12.0, &format!("{name} bar")).num("rx", 1.0));
        }
        if estimate.has_interval() {
            let class = match self.style {
                Style::Bars => "barwhisker".to_owned(),
                Style::Dots => format!("{name} whisker"),
            };
            out.push(whisker(axis, estimate, y, &class, at));
        }
        if self.style == Style::Dots {
            out.extend(placed(
                axis,
                estimate.value,
                |x| mark(index, x, y, 5.0),
                y,
                at,
            ));
        }
        out
    }
}

/// An interval as a line with ends, cut at the plot's edges.
fn whisker(axis: &Fitted, estimate: &Estimate, y: f64, class: &str, at: &Layout) -> Element {
    let inside = |value: f64, beyond: f64| {
        if value.is_finite() {
            axis.at(value).clamp(at.left, at.right)
        } else {
            beyond
        }
    };
    let (from, to) = (
        inside(estimate.low, at.left),
        inside(estimate.high, at.right),
    );
    let mut data = PathData::new();
    data.move_to(from, y);
    data.line_to(to, y);
    for end in [from, to] {
        data.move_to(end, y - 4.0);
        data.line_to(end, y + 4.0);
    }
    path(&data, class)
}

/// A mark at its value or, where that lies outside the range shown, an arrow at the edge.
fn placed(
    axis: &Fitted,
    value: f64,
    mark: impl FnOnce(f64) -> Element,
    y: f64,
    at: &Layout,
) -> Option<Element> {
    if axis.holds(value) {
        return Some(mark(axis.at(value)));
    }
    Some(if axis.at(value) < at.left {
        arrow(at.left - 1.0, y, -7.0, "diamond")
    } else {
        arrow(at.right + 1.0, y, 7.0, "diamond")
    })
}

impl Plot for Comparison {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        let Some(axis) = self.fit() else {
            return no_data(width, 120.0);
        };
        let at = self.layout(width);
        let (mut out, legend) = self.legend(width);
        let top = if legend > 0.0 { legend + 8.0 } else { 4.0 };
        let bottom = top + at.row * self.rows.len() as f64 + 6.0;
        let axis = axis.onto(at.left, at.right);
        out.extend(axis.bottom(bottom, top));
        if self.style == Style::Bars && axis.holds(0.0) {
            out.push(line(axis.at(0.0), top, axis.at(0.0), bottom, "axis"));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let row_top = top + at.row * index as f64;
            if index > 0 {
                out.push(line(0.0, row_top, width, row_top, "grid"));
            }
            out.extend(self.draw_row(row, row_top, &axis, &at));
        }
        Svg::new(width, bottom + 42.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::WIDE;

    #[test]
    fn bars_start_at_zero_even_if_asked_not_to() {
        let axis = Axis::new("accuracy").percent().range(0.9, 1.0);
        let chart = Comparison::new(Style::Bars, axis)
            .row(ComparisonRow::new("a", Some(Estimate::exact(0.99))));
        assert!(chart.fit().unwrap().holds(0.0));
    }

    #[test]
    fn a_row_that_was_not_run_says_so_and_keeps_its_reported_value() {
        let chart = Comparison::new(Style::Dots, Axis::new("accuracy").percent())
            .row(ComparisonRow::new("a", None).reported(0.99));
        let svg = chart.draw(WIDE);
        assert!(svg.body().contains("not run") && svg.body().contains("diamond"));
    }

    #[test]
    fn without_any_value_there_is_no_data() {
        let chart = Comparison::new(Style::Bars, Axis::new("accuracy"));
        let row = ComparisonRow::new("a", Some(Estimate::exact(f64::NAN)));
        assert!(chart.row(row).draw(WIDE).body().contains("no data"));
    }
}
