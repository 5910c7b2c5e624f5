//! Drawings of results, each laid out anew for the width it is drawn at.
//!
//! Every plot takes its data as it comes: values that are not finite are left out (and counted
//! where leaving them out could mislead), a plot without data says so, huge labels are cut.

mod axis;
mod cloud;
mod comparison;
mod confusion;
mod forest;
mod images;
mod layers;
mod legend;
mod lines;
mod reliability;
mod scatter;
mod shares;

pub use axis::{Axis, Unit};
pub use cloud::Cloud;
pub use comparison::{Comparison, ComparisonRow, Estimate, Style};
pub use confusion::{Confusion, ConfusionMatrix};
pub use forest::{Forest, ForestAxis, ForestRow};
pub use images::{GridImage, ImageGrid};
pub use layers::{Layer, LayerDiagram, LayerKind};
pub use lines::{Band, LineChart, Point, Series};
pub use reliability::{Bin, Reliability};
pub use scatter::{Scatter, ScatterPoint};
pub use shares::ShareMatrix;

use crate::badge::BadgeKind;
use crate::svg::{Element, PathData, Svg, path, rect, text};

/// The width of a drawing for a page, in CSS pixels.
pub const WIDE: f64 = 720.0;
/// The width of a drawing for a phone or for half a page, in CSS pixels.
pub const NARROW: f64 = 350.0;

/// Text sizes of `style/plot.css`, needed here to know how wide a label is.
const SIZE: f64 = 13.0;
const SMALL: f64 = 11.5;
const TINY: f64 = 9.5;

/// Something that can be drawn at a given width.
pub trait Plot {
    /// The drawing, `width` CSS pixels wide or, where its content needs another width, as wide as
    /// that. The same plot and width always give the same bytes.
    fn draw(&self, width: f64) -> Svg;
}

/// Whether a number can be placed on an axis. Beyond 1e150 differences and products overflow, and
/// no measurement gets there.
fn plottable(value: f64) -> bool {
    value.abs() < 1e150
}

/// The class of the `index`-th color; after seven, colors repeat.
fn color(index: usize) -> String {
    format!("s{}", index % 7 + 1)
}

/// A usable drawing width, whatever was asked for.
fn usable(width: f64) -> f64 {
    if width.is_finite() {
        width.clamp(240.0, 4000.0)
    } else {
        WIDE
    }
}

/// What stands in place of a plot that has nothing to show.
fn no_data(width: f64, height: f64) -> Svg {
    let frame = rect(0.5, 0.5, width - 1.0, height - 1.0, "frame").num("rx", 4.0);
    let words = text(width / 2.0, height / 2.0 + 4.0, "mid quiet", "no data");
    Svg::new(width, height, [frame, words])
}

/// The sign of a reported value: a hollow diamond.
fn diamond(x: f64, y: f64, radius: f64) -> Element {
    let corners = [
        (x, y - radius),
        (x + radius, y),
        (x, y + radius),
        (x - radius, y),
    ];
    path(&PathData::polygon(corners), "diamond")
}

/// The sign of the `index`-th series: shape as well as color tells them apart.
fn mark(index: usize, x: f64, y: f64, radius: f64) -> Element {
    shape(index, x, y, radius, &format!("{} mark", color(index)))
}

/// The sign of a measured value with a verdict: no two verdicts share a shape.
fn verdict_mark(kind: BadgeKind, x: f64, y: f64, radius: f64) -> Element {
    let (index, look) = match kind {
        BadgeKind::Good => (0, "point"),
        BadgeKind::Bad => (1, "point"),
        BadgeKind::Neutral => (2, "point"),
        BadgeKind::Undecidable => (3, "point"),
        BadgeKind::TooSmall => (0, "ring"),
        BadgeKind::Muted => (1, "ring"),
    };
    // An outline adds half its width to a hollow shape.
    let radius = if look == "ring" { radius - 0.5 } else { radius };
    shape(index, x, y, radius, &format!("{} {look}", kind.class()))
}

/// Circle, square, triangle and triangle upside down in turn.
fn shape(index: usize, x: f64, y: f64, radius: f64, class: &str) -> Element {
    let corners: &[(f64, f64)] = match index % 4 {
        0 => return crate::svg::circle(x, y, radius, class),
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        _ => &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
    };
    let corners = corners
        .iter()
        .map(|(dx, dy)| (x + dx * radius, y + dy * radius));
    path(&PathData::polygon(corners), class)
}

/// An arrow that stands at an edge for a value beyond it; `reach` is its length, negative to the
/// left.
fn arrow(edge: f64, y: f64, reach: f64, class: &str) -> Element {
    let corners = [(edge + reach, y), (edge, y - 4.0), (edge, y + 4.0)];
    path(&PathData::polygon(corners), class)
}

/// Moves positions apart until neighbours are at least `gap` apart, keeping their order and, where
/// there is room, staying inside `low..=high`. Returns the new positions in the given order.
fn spread_apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
    let mut placed = wanted.to_vec();
    // Overlapping labels form clusters; a cluster sits centered over what its members wanted.
    let mut clusters: Vec<(f64, usize)> = Vec::new();
    for &index in &order {
        clusters.push((wanted[index], 1));
        while let [.., (before, n), (after, m)] = clusters[..] {
            let reach = gap * (n + m) as f64 / 2.0;
            if after - before >= reach {
                break;
            }
            let total = (n + m) as f64;
            let center = (before * n as f64 + after * m as f64) / total;
            clusters.truncate(clusters.len() - 2);
            clusters.push((center, n + m));
        }
    }
    let mut stacked = clusters
        .into_iter()
        .flat_map(|(center, count)| {
            let first = center - gap * (count as f64 - 1.0) / 2.0;
            (0..count).map(move |step| first + gap * step as f64)
        })
        .collect::<Vec<f64>>();
    // Back inside the bounds from below, and where both bounds press, the lower one wins.
    let mut ceiling = high;
    for position in stacked.iter_mut().rev() {
        *position = position.min(ceiling);
        ceiling = *position - gap;
    }
    let mut floor = low;
    for (index, position) in order.into_iter().zip(stacked) {
        placed[index] = position.max(floor);
        floor = placed[index] + gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::spread_apart;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn labels_that_do_not_touch_stay_where_they_are() {
        let placed = spread_apart(&[50.0, 10.0, 90.0], 14.0, 0.0, 100.0);
        assert_eq!(placed, [50.0, 10.0, 90.0]);
    }

    #[test]
    fn equal_labels_are_stacked_around_their_place() {
        assert_eq!(
            spread_apart(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0),
            [40.0, 50.0, 60.0]
        );
    }

    proptest! {
        #[test]
        fn spread_labels_never_overlap(wanted in proptest::collection::vec(0.0f64..300.0, 0..12)) {
            let mut placed = spread_apart(&wanted, 14.0, 0.0, 300.0);
            placed.sort_by(f64::total_cmp);
            prop_assert!(placed.windows(2).all(|pair| pair[1] - pair[0] > 13.99), "{placed:?}");
            prop_assert!(placed.first().is_none_or(|&first| first > -1e-9));
        }
    }
}
