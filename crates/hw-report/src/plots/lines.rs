//! Line charts: learning curves, accuracy against noise, any quantity over another.

use super::axis::{Axis, Fitted};
use super::legend::{ROW, Sign, legend};
use super::{Plot, SMALL, color, mark, no_data, spread_apart, usable};
use crate::svg::{
    Element, PathData, Svg, bold_width, circle, clipped, ellipsis, line, path, text, text_width,
};

/// A point of a [`Series`]; `low..=high` is the band around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where on the x axis.
    pub x: f64,
    /// The value, usually a mean.
    pub y: f64,
    /// The lower edge of the band.
    pub low: f64,
    /// The upper edge of the band.
    pub high: f64,
}

/// What the band of a series over several seeds shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// From the lowest to the highest seed.
    MinMax,
    /// One sample standard deviation to both sides of the mean.
    StandardDeviation,
}

/// A line with its label and, where it has one, its band.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    label: String,
    points: Vec<Point>,
    dashed: bool,
    color: Option<usize>,
    bars: bool,
}

impl Series {
    /// A line through `(x, y)` points, in the order given.
    pub fn new(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| Point {
            x,
            y,
            low: y,
            high: y,
        });
        Self::with_band(label, points)
    }

    /// A line with a band.
    pub fn with_band(label: impl Into<String>, points: impl IntoIterator<Item = Point>) -> Self {
        Self {
            label: label.into(),
            points: points.into_iter().collect(),
            dashed: false,
            color: None,
            bars: false,
        }
    }

    /// The mean over seeds, one run each, of a value per epoch; the first value is epoch 1. Runs may
    /// have stopped early: each epoch's mean is over the runs that reached it.
    pub fn over_seeds(label: impl Into<String>, runs: &[Vec<f64>], band: Band) -> Self {
        let epochs = runs.iter().map(Vec::len).max().unwrap_or(0);
        let points = (0..epochs).map(|epoch| {
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.get(epoch).copied())
                .collect();
            let (y, low, high) = summary(&values, band);
            Point {
                x: epoch as f64 + 1.0,
                y,
                low,
                high,
            }
        });
        Self::with_band(label, points)
    }

    /// The same line dashed.
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }

    /// The same line with an error bar at each point instead of the band: for the few sizes of a
    /// learning curve. Lines with error bars stand a few pixels apart where they share an x.
    pub fn error_bars(mut self) -> Self {
        self.bars = true;
        self
    }

    /// The same line in the `index`-th color of the palette instead of the one of its position.
    pub fn color(mut self, index: usize) -> Self {
        self.color = Some(index);
        self
    }
}

/// Mean and band of one epoch. A run that diverged makes the mean diverge too.
fn summary(values: &[f64], band: Band) -> (f64, f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    match band {
        Band::MinMax => {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (mean, low, high)
        }
        Band::StandardDeviation if values.len() > 1 => {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / (count - 1.0)).sqrt();
            (mean, mean - deviation, mean + deviation)
        }
        Band::StandardDeviation => (mean, mean, mean),
    }
}

/// Lines over a common x axis, each labelled at its end.
///
/// ```
/// use hw_report::plots::{Axis, Band, LineChart, Plot, Series, Unit};
/// let seeds = [vec![0.96, 0.985, 0.99], vec![0.95, 0.984, 0.991]];
/// let chart = LineChart::new(Axis::new("epoch").unit(Unit::Whole), Axis::new("accuracy").percent())
///     .series(Series::over_seeds("test", &seeds, Band::MinMax))
///     .reference("reported", 0.9922)
///     .mark(3.0, "best epoch");
/// assert!(chart.draw(720.0).body().contains("best epoch"));
/// ```
///
/// A learning curve by size: the number of training images on a logarithmic axis, an interval at
/// each size, and the reported difference as a dashed line.
///
/// ```
/// use hw_report::plots::{Axis, LineChart, Plot, Point, Series, Unit};
/// let sizes = [1000.0, 10_000.0, 60_000.0];
/// let points = sizes.map(|x| Point { x, y: 2.0, low: 1.5, high: 2.5 });
/// let chart = LineChart::new(
///     Axis::new("training images").unit(Unit::Count).log().ticks(sizes),
///     Axis::new("difference, points").signed(),
/// )
/// .series(Series::with_band("with batch norm", points).error_bars())
/// .baseline(0.0)
/// .reference("reported", 1.58);
/// assert!(chart.draw(350.0).body().contains("reported +1.58"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    references: Vec<(String, f64)>,
    baseline: Option<f64>,
    marks: Vec<(f64, String)>,
}

impl LineChart {
    /// An empty chart with these axes.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            series: Vec::new(),
            references: Vec::new(),
            baseline: None,
            marks: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds a dashed horizontal line at a value to compare with, such as the reported one.
    pub fn reference(mut self, label: impl Into<String>, y: f64) -> Self {
        self.references.push((label.into(), y));
        self
    }

    /// Draws a solid line at the value that means "no difference", and keeps it in sight.
    pub fn baseline(mut self, y: f64) -> Self {
        self.baseline = Some(y);
        self
    }

    /// Marks a place on the x axis, such as the best epoch, on every line that has a point there.
    pub fn mark(mut self, x: f64, label: impl Into<String>) -> Self {
        self.marks.push((x, label.into()));
        self
    }

    fn shows(&self, point: &Point) -> bool {
        self.x.shows(point.x) && self.y.shows(point.y)
    }

    /// The points of a series in unbroken runs: a value that cannot be shown breaks the line.
    fn runs<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = &'a [Point]> {
        series
            .points
            .split(|point| !self.shows(point))
            .filter(|run| !run.is_empty())
    }

    fn axes(&self) -> Option<(Fitted, Fitted)> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let shown = || points().filter(|point| self.shows(point));
        shown().next()?;
        let xs = shown().map(|point| point.x);
        let x = self
            .x
            .fit_padded(xs.chain(self.marks.iter().map(|mark| mark.0)), 0.015)?;
        let ys = shown().flat_map(|point| [point.y, point.low, point.high]);
        let lines = self.references.iter().map(|reference| reference.1);
        let y = self.y.fit(ys.chain(lines).chain(self.baseline))?;
        Some((x, y))
    }

    /// What a reader would otherwise not know is missing.
    fn omission(&self) -> Option<String> {
        let hidden = |test: fn(f64) -> bool| {
            let points = self.series.iter().flat_map(|series| &series.points);
            points
                .filter(|point| !self.shows(point) && test(point.y))
                .count()
        };
        let endless = hidden(|y| !y.is_finite());
        let rest = hidden(f64::is_finite);
        let parts: Vec<String> = [
            (endless, "not finite"),
            (rest, "without a place on these axes"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        (!parts.is_empty()).then(|| format!("Not drawn: {}.", parts.join(", ")))
    }
}

/// Where the plotting area lies and how its lines are labelled.
struct Layout {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    direct: bool,
}

impl Plot for LineChart {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        let height = (width * 0.47).clamp(260.0, 360.0);
        let Some((x, y)) = self.axes() else {
            return no_data(width, height / 2.0);
        };
        let mut out = Vec::new();
        let labels: Vec<&str> = self
            .series
            .iter()
            .map(|series| series.label.as_str())
            .collect();
        let direct = direct_labels(&labels, width);
        let mut top = 28.0;
        if !direct {
            let entries: Vec<(Sign, &str)> = (0..labels.len())
                .map(|index| (Sign::Line(self.line_class(index)), labels[index]))
                .collect();
            let (elements, rows) = legend(&entries, 0.0, width, 0.0);
            out.extend(elements);
            top += rows + 4.0;
        }
        let label_y = top - 14.0;
        if !self.marks.is_empty() {
            top += ROW - 4.0;
        }
        let note = self.omission();
        let height = height + top - 28.0 + if note.is_some() { ROW } else { 0.0 };
        let bottom = height - 42.0 - if note.is_some() { ROW } else { 0.0 };
        let y = y.onto(bottom, top);
        let left = y.left_width().min(width / 3.0);
        let room = if direct { widest(&labels) + 14.0 } else { 20.0 };
        let right = width - room;
        let x = x.onto(left, right);
        let layout = Layout {
            left,
            right,
            top,
            bottom,
            direct,
        };
        out.extend(y.left(left, right, label_y));
        out.extend(x.bottom(bottom, top));
        out.extend(self.draw_marks(&x, &layout));
        if let Some(zero) = self.baseline.filter(|&at| self.y.shows(at) && y.holds(at)) {
            out.push(line(left, y.at(zero), right, y.at(zero), "axis"));
        }
        let lines = (0..self.series.len()).flat_map(|index| self.draw_line(index, &x, &y));
        let area = (
            left - 6.0,
            top - 6.0,
            right - left + 12.0,
            bottom - top + 12.0,
        );
        out.push(clipped(
            area.0,
            area.1,
            area.2,
            area.3,
            lines.collect::<Vec<_>>(),
        ));
        out.extend(self.draw_references(&x, &y, &layout));
        if layout.direct {
            out.extend(self.draw_labels(&x, &y, &layout));
        }
        if let Some(note) = note {
            let note = ellipsis(&note, SMALL, width);
            out.push(text(0.0, height - 5.0, "small faint", &note));
        }
        Svg::new(width, height, out)
    }
}

/// Labels at line ends need room; without it there is a legend.
fn direct_labels(labels: &[&str], width: f64) -> bool {
    labels.len() <= 9 && widest(labels) <= width * 0.3
}

fn widest(labels: &[&str]) -> f64 {
    let widths = labels.iter().map(|label| bold_width(label, SMALL));
    widths.fold(0.0, f64::max)
}

impl LineChart {
    /// The place of a series' color in the palette.
    fn hue(&self, index: usize) -> usize {
        self.series[index].color.unwrap_or(index)
    }

    fn line_class(&self, index: usize) -> String {
        let dash = match () {
            () if self.series[index].dashed => " dash",
            // The palette has seven colors; beyond, the same colors come dotted.
            () if self.hue(index) >= 7 => " dots",
            () => "",
        };
        format!("{} line{dash}", color(self.hue(index)))
    }

    fn draw_line(&self, index: usize, x: &Fitted, y: &Fitted) -> Vec<Element> {
        let series = &self.series[index];
        let (mut line, mut band) = (PathData::new(), PathData::new());
        let mut bars = PathData::new();
        let mut dots = Vec::new();
        let few = series.points.len() <= 12;
        let aside = self.aside(index);
        for run in self.runs(series) {
            let run = thin(run, 800);
            for (step, point) in run.iter().enumerate() {
                let (px, py) = (x.at(point.x) + aside, y.at(point.y));
                if step == 0 {
                    line.move_to(px, py);
                } else {
                    line.line_to(px, py);
                }
                if few || run.len() == 1 {
                    dots.push(mark(self.hue(index), px, py, 3.5));
                }
            }
            if series.bars {
                for point in run.iter().filter(|point| point.low < point.high) {
                    self.add_bar(&mut bars, point, x.at(point.x) + aside, y);
                }
            } else if run.iter().any(|point| point.low < point.high) {
                self.add_band(&mut band, &run, x, y);
            }
        }
        let mut out = Vec::new();
        if !band.is_empty() {
            out.push(path(&band, &format!("{} band", color(self.hue(index)))));
        }
        out.push(path(&line, &self.line_class(index)));
        if !bars.is_empty() {
            let class = format!("{} whisker", color(self.hue(index)));
            out.push(path(&bars, &class));
        }
        out.extend(dots);
        out.extend(self.rings(index, x, y));
        out
    }

    /// How many pixels a series with error bars stands beside its place, so that the bars of
    /// several do not cover each other.
    fn aside(&self, index: usize) -> f64 {
        if !self.series[index].bars {
            return 0.0;
        }
        let with_bars = |series: &[Series]| series.iter().filter(|series| series.bars).count();
        let (before, all) = (with_bars(&self.series[..index]), with_bars(&self.series));
        // Beyond a handful, they would wander off their place.
        let step = (20.0 / all as f64).min(7.0);
        step * (before as f64 - (all as f64 - 1.0) / 2.0)
    }

    fn add_bar(&self, bars: &mut PathData, point: &Point, px: f64, y: &Fitted) {
        let ends = [point.low, point.high].map(|end| self.edge(end, point, y));
        bars.move_to(px, ends[0]);
        bars.line_to(px, ends[1]);
        for end in ends {
            bars.move_to(px - 3.5, end);
            bars.line_to(px + 3.5, end);
        }
    }

    /// Where an end of a band is. On a logarithmic axis it may lie below zero: it is then drawn
    /// to the edge.
    fn edge(&self, value: f64, point: &Point, y: &Fitted) -> f64 {
        if self.y.shows(value) {
            y.at(value)
        } else if value < point.y {
            y.at(point.y) + 4000.0
        } else {
            y.at(point.y)
        }
    }

    fn add_band(&self, band: &mut PathData, run: &[Point], x: &Fitted, y: &Fitted) {
        for (step, point) in run.iter().enumerate() {
            let (px, py) = (x.at(point.x), self.edge(point.high, point, y));
            if step == 0 {
                band.move_to(px, py);
            } else {
                band.line_to(px, py);
            }
        }
        for point in run.iter().rev() {
            band.line_to(x.at(point.x), self.edge(point.low, point, y));
        }
        band.close();
    }

    /// Rings where a marked place meets a line.
    fn rings(&self, index: usize, x: &Fitted, y: &Fitted) -> Vec<Element> {
        let class = format!("{} ring", color(self.hue(index)));
        let (series, aside) = (&self.series[index], self.aside(index));
        let marked = |point: &&Point| self.marks.iter().any(|mark| mark.0 == point.x);
        let points = series.points.iter().filter(|point| self.shows(point));
        points
            .filter(marked)
            .map(|point| circle(x.at(point.x) + aside, y.at(point.y), 4.5, &class))
            .collect()
    }

    fn draw_marks(&self, x: &Fitted, layout: &Layout) -> Vec<Element> {
        let mut out = Vec::new();
        for (at, label) in self
            .marks
            .iter()
            .filter(|(at, _)| self.x.shows(*at) && x.holds(*at))
        {
            let px = x.at(*at);
            let label = ellipsis(label, SMALL, layout.right - layout.left);
            let half = text_width(&label, SMALL) / 2.0;
            let center = px.min(layout.right - half).max(layout.left + half);
            out.push(line(px, layout.top, px, layout.bottom, "guide"));
            out.push(text(center, layout.top - 7.0, "small mid quiet", &label));
        }
        out
    }

    fn draw_references(&self, x: &Fitted, y: &Fitted, layout: &Layout) -> Vec<Element> {
        let mut out = Vec::new();
        for (label, value) in &self.references {
            if !self.y.shows(*value) || !y.holds(*value) {
                continue;
            }
            let py = y.at(*value);
            let words = format!("{label} {}", self.y.write(*value));
            let words = ellipsis(&words, SMALL, layout.right - layout.left);
            let (left, baseline, anchor) = self.quiet_spot(py, &words, x, y, layout);
            out.push(line(layout.left, py, layout.right, py, "reported"));
            out.push(text(
                left,
                baseline,
                &format!("small halo {anchor}"),
                &words,
            ));
        }
        out
    }

    /// The corner along a reference line where its label covers the fewest points.
    fn quiet_spot(
        &self,
        py: f64,
        words: &str,
        x: &Fitted,
        y: &Fitted,
        layout: &Layout,
    ) -> (f64, f64, &'static str) {
        let wide = text_width(words, SMALL);
        let corners = [
            (layout.left + 6.0, py - 6.0, ""),
            (layout.left + 6.0, py + 15.0, ""),
            (layout.right - 4.0, py - 6.0, "end"),
            (layout.right - 4.0, py + 15.0, "end"),
        ];
        let covered = |&(anchor, baseline, end): &(f64, f64, &str)| {
            let from = if end.is_empty() {
                anchor
            } else {
                anchor - wide
            };
            let inside = self.series.iter().enumerate().flat_map(|(index, series)| {
                let (bars, aside) = (series.bars, self.aside(index));
                let points = series.points.iter().filter(|point| self.shows(point));
                points.filter(move |point| {
                    let px = x.at(point.x) + aside;
                    let ends = if bars {
                        [point.high, point.low]
                    } else {
                        [point.y; 2]
                    };
                    let [top, bottom] = ends.map(|end| self.edge(end, point, y));
                    (from - 8.0..from + wide + 8.0).contains(&px)
                        && top < baseline + 7.0
                        && bottom > baseline - 16.0
                })
            });
            let outside = baseline - 10.0 < layout.top || baseline > layout.bottom;
            inside.count() + if outside { 1_000_000 } else { 0 }
        };
        corners
            .into_iter()
            .min_by_key(covered)
            .unwrap_or(corners[0])
    }

    fn draw_labels(&self, x: &Fitted, y: &Fitted, layout: &Layout) -> Vec<Element> {
        let ends: Vec<(usize, &Point)> = (0..self.series.len())
            .filter_map(|index| {
                let points = &self.series[index].points;
                let last = points.iter().rev().find(|point| self.shows(point))?;
                Some((index, last))
            })
            .collect();
        let wanted: Vec<f64> = ends
            .iter()
            .map(|(_, point)| y.at(point.y).clamp(layout.top, layout.bottom))
            .collect();
        let placed = spread_apart(&wanted, 15.0, layout.top, layout.bottom);
        let mut out = Vec::new();
        for (((index, point), from), to) in ends.iter().zip(wanted).zip(placed) {
            let px = (x.at(point.x) + self.aside(*index)).clamp(layout.left, layout.right);
            if (to - from).abs() > 3.0 || layout.right - px > 12.0 {
                let mut leader = PathData::new();
                leader.move_to(px + 4.0, from);
                leader.line_to((layout.right - 2.0).max(px + 4.0), from);
                leader.line_to(layout.right + 8.0, to);
                out.push(path(&leader, "leader"));
            }
            let class = format!("{} small bold label", color(self.hue(*index)));
            let label = &self.series[*index].label;
            out.push(text(layout.right + 10.0, to + 4.0, &class, label));
        }
        out
    }
}

/// At most about `most` points: of each stretch the lowest and the highest, so that no spike is lost.
fn thin(run: &[Point], most: usize) -> Vec<Point> {
    if run.len() <= most {
        return run.to_vec();
    }
    let stretch = (2 * run.len()).div_ceil(most);
    run.chunks(stretch)
        .flat_map(|chunk| {
            let low = chunk
                .iter()
                .map(|point| point.low)
                .fold(f64::INFINITY, f64::min);
            let high = chunk
                .iter()
                .map(|point| point.high)
                .fold(f64::NEG_INFINITY, f64::max);
            let by_y = |a: &(usize, &Point), b: &(usize, &Point)| a.1.y.total_cmp(&b.1.y);
            let lowest = chunk.iter().enumerate().min_by(by_y);
            let highest = chunk.iter().enumerate().max_by(by_y);
            let mut both: Vec<(usize, &Point)> = lowest.into_iter().chain(highest).collect();
            both.sort_by_key(|(index, _)| *index);
            both.dedup_by_key(|(index, _)| *index);
            both.into_iter()
                .map(|(_, point)| Point {
                    low,
                    high,
                    ..*point
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::{NARROW, Unit, WIDE};

    fn chart() -> LineChart {
        LineChart::new(
            Axis::new("epoch").unit(Unit::Whole),
            Axis::new("loss").log(),
        )
    }

    #[test]
    fn the_band_over_seeds_is_what_it_says() {
        let runs = [vec![1.0, 4.0], vec![3.0], vec![2.0]];
        let range = Series::over_seeds("loss", &runs, Band::MinMax);
        assert_eq!(
            (range.points[0].y, range.points[0].low, range.points[0].high),
            (2.0, 1.0, 3.0)
        );
        let spread = Series::over_seeds("loss", &runs, Band::StandardDeviation);
        assert_eq!((spread.points[0].low, spread.points[0].high), (1.0, 3.0));
        assert_eq!((spread.points[1].y, spread.points[1].low), (4.0, 4.0));
    }

    #[test]
    fn values_that_cannot_be_drawn_are_counted_in_the_plot() {
        let points = [(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.0), (4.0, 0.1)];
        let svg = chart().series(Series::new("train", points)).draw(WIDE);
        assert!(
            svg.body().contains("1 not finite, 1 without a place"),
            "{}",
            svg.body()
        );
    }

    #[test]
    fn a_chart_without_a_point_says_no_data() {
        assert!(chart().draw(NARROW).body().contains("no data"));
        let nothing = chart().series(Series::new("train", [(f64::NAN, 1.0)]));
        assert!(nothing.draw(WIDE).body().contains("no data"));
    }

    #[test]
    fn a_long_series_keeps_its_spikes_and_loses_its_weight() {
        let mut points: Vec<(f64, f64)> = (0..50_000).map(|step| (f64::from(step), 1.0)).collect();
        points[31_234].1 = 100.0;
        let series = Series::new("loss", points);
        let thinned = thin(&series.points, 800);
        assert!(thinned.len() <= 802, "{}", thinned.len());
        assert!(
            thinned
                .iter()
                .any(|point| point.y == 100.0 && point.x == 31_234.0)
        );
    }
}
