//! Scatter plots with labelled points, such as accuracy against time with the Pareto front.

use super::axis::{Axis, Fitted};
use super::legend::{Sign, legend};
use super::{Plot, SMALL, diamond, mark, no_data, usable};
use crate::svg::{Element, PathData, Svg, ellipsis, path, text, text_width};

/// A labelled point of a [`Scatter`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPoint {
    label: String,
    x: f64,
    y: f64,
    series: usize,
    reported: bool,
}

impl ScatterPoint {
    /// A point of the first series.
    pub fn new(label: impl Into<String>, x: f64, y: f64) -> Self {
        Self {
            label: label.into(),
            x,
            y,
            series: 0,
            reported: false,
        }
    }

    /// The same point in another series (see [`Scatter::series`]).
    pub fn series(mut self, index: usize) -> Self {
        self.series = index;
        self
    }

    /// The same point as a reported, not a measured one: a hollow diamond, never on the front.
    pub fn reported(mut self) -> Self {
        self.reported = true;
        self
    }
}

/// Points with labels that keep clear of each other and of the points.
///
/// ```
/// use hw_report::plots::{Axis, Plot, Scatter, ScatterPoint, Unit};
/// let cost = Axis::new("training time").unit(Unit::Seconds).log();
/// let chart = Scatter::new(cost, Axis::new("accuracy").percent())
///     .front()
///     .point(ScatterPoint::new("lenet5", 12.0, 0.989))
///     .point(ScatterPoint::new("bn-cnn", 45.0, 0.992));
/// assert!(chart.draw(720.0).body().contains("lenet5"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    x: Axis,
    y: Axis,
    series: Vec<String>,
    points: Vec<ScatterPoint>,
    front: bool,
}

impl Scatter {
    /// An empty plot with these axes.
    pub fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            series: Vec::new(),
            points: Vec::new(),
            front: false,
        }
    }

    /// Names the series.
    pub fn series(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.series = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a point.
    pub fn point(mut self, point: ScatterPoint) -> Self {
        self.points.push(point);
        self
    }

    /// Draws the Pareto front of the measured points: no other is both further left and higher.
    pub fn front(mut self) -> Self {
        self.front = true;
        self
    }

    fn shown(&self) -> impl Iterator<Item = &ScatterPoint> {
        let on_axes = |point: &&ScatterPoint| self.x.shows(point.x) && self.y.shows(point.y);
        self.points.iter().filter(on_axes)
    }

    fn legend(&self, width: f64) -> (Vec<Element>, f64) {
        let mut entries: Vec<(Sign, &str)> = Vec::new();
        let has_printed = self.shown().any(|point| point.reported);
        if self.series.is_empty() && has_printed {
            entries.push((Sign::Mark(0), "ours"));
        }
        for (index, name) in self.series.iter().enumerate() {
            entries.push((Sign::Mark(index), name));
        }
        if has_printed {
            entries.push((Sign::Diamond, "reported"));
        }
        if self.front {
            entries.push((
                Sign::Line("guide".to_owned()),
                "no other is both cheaper and better",
            ));
        }
        legend(&entries, 0.0, width, 0.0)
    }
}

impl Plot for Scatter {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        let xs = self.shown().map(|point| point.x);
        let ys = self.shown().map(|point| point.y);
        let axes = self.x.fit_padded(xs, 0.1).zip(self.y.fit_padded(ys, 0.1));
        let Some((x, y)) = axes.filter(|_| self.shown().next().is_some()) else {
            return no_data(width, 160.0);
        };
        let (mut out, rows) = self.legend(width);
        let top = rows + 30.0;
        let bottom = top + (width * 0.5).clamp(240.0, 340.0);
        let y = y.onto(bottom, top);
        let left = y.left_width().min(width / 3.0);
        let right = width - 20.0;
        let x = x.onto(left, right);
        out.extend(y.left(left, right, top - 14.0));
        out.extend(x.bottom(bottom, top));
        if self.front {
            out.push(path(&self.front_line(&x, &y, right), "guide"));
        }
        let places: Vec<Place> = self.shown().map(|point| Place::of(point, &x, &y)).collect();
        let area = Area {
            left,
            top: top - 8.0,
            right,
            bottom,
        };
        out.extend(draw_labels(&places, &area));
        for place in &places {
            out.push(if place.reported {
                diamond(place.x, place.y, 5.5)
            } else {
                mark(place.series, place.x, place.y, 5.0)
            });
        }
        Svg::new(width, bottom + 42.0, out)
    }
}

impl Scatter {
    /// The front as steps: what is reached at least at each cost.
    fn front_line(&self, x: &Fitted, y: &Fitted, right: f64) -> PathData {
        let mut points: Vec<&ScatterPoint> = self.shown().filter(|point| !point.reported).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
        let mut data = PathData::new();
        let mut best = f64::NEG_INFINITY;
        let mut level = 0.0;
        for point in points {
            if point.y <= best {
                continue;
            }
            let (px, py) = (x.at(point.x), y.at(point.y));
            if data.is_empty() {
                data.move_to(px, py);
            } else {
                data.line_to(px, level);
                data.line_to(px, py);
            }
            (best, level) = (point.y, py);
        }
        if !data.is_empty() {
            data.line_to(right, level);
        }
        data
    }
}

/// A point in pixels, with its label cut to a readable length.
struct Place {
    x: f64,
    y: f64,
    label: String,
    series: usize,
    reported: bool,
}

impl Place {
    fn of(point: &ScatterPoint, x: &Fitted, y: &Fitted) -> Self {
        Self {
            x: x.at(point.x),
            y: y.at(point.y),
            label: ellipsis(&point.label, SMALL, 150.0),
            series: point.series,
            reported: point.reported,
        }
    }
}

/// A rectangle in pixels.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn overlap(&self, other: &Area) -> f64 {
        let wide = self.right.min(other.right) - self.left.max(other.left);
        let high = self.bottom.min(other.bottom) - self.top.max(other.top);
        wide.max(0.0) * high.max(0.0)
    }

    fn area(&self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }
}

/// Where a label could go: its box, its anchor, and how far it is from its point.
#[derive(Clone, Copy)]
struct Spot {
    area: Area,
    distance: f64,
}

/// Label positions around a point, the most natural first.
fn spots(place: &Place) -> Vec<Spot> {
    let (wide, high) = (text_width(&place.label, SMALL) + 2.0, 14.0);
    let mut out = Vec::new();
    for distance in [9.0, 20.0, 34.0, 50.0] {
        let slant = distance * 0.75;
        let (right, left) = (place.x + distance, place.x - distance - wide);
        let (middle, above) = (place.y - high / 2.0, place.y - slant - high);
        let below = place.y + slant;
        let corners = [
            (right, middle),
            (left, middle),
            (place.x - wide / 2.0, above),
            (place.x - wide / 2.0, below),
            (place.x + slant, above + slant / 2.0),
            (place.x + slant, below - slant / 2.0),
            (place.x - slant - wide, above + slant / 2.0),
            (place.x - slant - wide, below - slant / 2.0),
        ];
        out.extend(corners.map(|(left, top)| Spot {
            area: Area {
                left,
                top,
                right: left + wide,
                bottom: top + high,
            },
            distance,
        }));
    }
    out
}

/// Chooses a spot for each label: no label over another, over a point or beyond the edge, as far
/// as that is possible; then the nearest. Greedy, then twice improved with all others in place.
fn choose(places: &[Place], edge: &Area) -> Vec<Spot> {
    let options: Vec<Vec<Spot>> = places.iter().map(spots).collect();
    let mut chosen: Vec<Option<Spot>> = vec![None; places.len()];
    for _ in 0..3 {
        for index in 0..places.len() {
            let others: Vec<Area> = (0..places.len())
                .filter(|&other| other != index)
                .filter_map(|other| chosen[other].map(|spot| spot.area))
                .collect();
            let cost = |(rank, spot): &(usize, &Spot)| {
                let outside = spot.area.area() - spot.area.overlap(edge);
                let labels: f64 = others.iter().map(|other| spot.area.overlap(other)).sum();
                let marks: f64 = places
                    .iter()
                    .map(|place| spot.area.overlap(&dot(place)))
                    .sum();
                20.0 * outside + 4.0 * labels + 3.0 * marks + spot.distance + 0.8 * *rank as f64
            };
            let ranked = options[index].iter().enumerate();
            chosen[index] = ranked
                .min_by(|a, b| cost(a).total_cmp(&cost(b)))
                .map(|(_, spot)| *spot);
        }
    }
    chosen.into_iter().flatten().collect()
}

fn dot(place: &Place) -> Area {
    Area {
        left: place.x - 6.0,
        top: place.y - 6.0,
        right: place.x + 6.0,
        bottom: place.y + 6.0,
    }
}

fn draw_labels(places: &[Place], edge: &Area) -> Vec<Element> {
    // Beyond this many, labels would hide the points: the cloud itself is then what is shown.
    if places.len() > 60 {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (place, spot) in places.iter().zip(choose(places, edge)) {
        if spot.distance > 12.0 {
            let mut leader = PathData::new();
            leader.move_to(place.x, place.y);
            let x = place.x.clamp(spot.area.left, spot.area.right);
            let y = place.y.clamp(spot.area.top, spot.area.bottom);
            leader.line_to(x, y);
            out.push(path(&leader, "leader"));
        }
        let (x, y) = (spot.area.left + 1.0, spot.area.bottom - 3.0);
        out.push(text(x, y, "small halo", &place.label));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_crowded_points_do_not_cover_each_other() {
        let places: Vec<Place> = (0..8)
            .map(|index| Place {
                x: 200.0 + f64::from(index) * 6.0,
                y: 150.0 + f64::from(index % 3) * 5.0,
                label: format!("model number {index}"),
                series: 0,
                reported: false,
            })
            .collect();
        let edge = Area {
            left: 0.0,
            top: 0.0,
            right: 600.0,
            bottom: 300.0,
        };
        let chosen = choose(&places, &edge);
        for (index, spot) in chosen.iter().enumerate() {
            for other in &chosen[index + 1..] {
                assert!(spot.area.overlap(&other.area) < 1.0);
            }
            assert!(spot.area.area() - spot.area.overlap(&edge) < 1e-6);
        }
    }

    #[test]
    fn the_front_leaves_out_what_is_beaten() {
        let chart = Scatter::new(Axis::new("cost"), Axis::new("gain"))
            .point(ScatterPoint::new("cheap", 1.0, 1.0))
            .point(ScatterPoint::new("beaten", 2.0, 0.5))
            .point(ScatterPoint::new("best", 3.0, 2.0));
        let x = chart.x.fit([1.0, 3.0]).unwrap().onto(0.0, 100.0);
        let y = chart.y.fit([0.5, 2.0]).unwrap().onto(100.0, 0.0);
        let expected = {
            let mut data = PathData::new();
            data.move_to(x.at(1.0), y.at(1.0));
            data.line_to(x.at(3.0), y.at(1.0));
            data.line_to(x.at(3.0), y.at(2.0));
            data.line_to(100.0, y.at(2.0));
            data
        };
        assert_eq!(chart.front_line(&x, &y, 100.0), expected);
    }
}
