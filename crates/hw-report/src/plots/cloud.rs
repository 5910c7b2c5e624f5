//! Maps of many labelled points, such as t-SNE's: each point is drawn as its class.

use super::{Plot, no_data, plottable, usable};
use crate::svg::{Element, Svg, text};

/// Points on a plane, each shown as the name of its class in the class's color, and each class's
/// name once more, large, in the middle (the median) of its points. There are no axes: the
/// coordinates of such maps mean nothing by themselves.
///
/// ```
/// use hw_report::plots::{Cloud, Plot};
/// let map = Cloud::new(["0", "a"]).point(0.0, 1.0, 0).point(3.0, -1.0, 1);
/// assert!(map.draw(350.0).body().contains(">a<"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    classes: Vec<String>,
    points: Vec<(f64, f64, usize)>,
}

impl Cloud {
    /// An empty map of these classes.
    pub fn new(classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            classes: classes.into_iter().map(Into::into).collect(),
            points: Vec::new(),
        }
    }

    /// Adds a point of a class; one that is not finite or of no class is left out.
    pub fn point(mut self, x: f64, y: f64, class: usize) -> Self {
        if plottable(x) && plottable(y) && class < self.classes.len() {
            self.points.push((x, y, class));
        }
        self
    }

    fn range(&self, of: fn(&(f64, f64, usize)) -> f64) -> (f64, f64) {
        let values = self.points.iter().map(of);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        (low, (high - low).max(f64::MIN_POSITIVE))
    }
}

impl Plot for Cloud {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        if self.points.is_empty() {
            return no_data(width, 160.0);
        }
        let height = width * 0.8;
        let (left, wide) = self.range(|point| point.0);
        let (low, tall) = self.range(|point| point.1);
        let margin = 14.0;
        let x = |value: f64| margin + (value - left) / wide * (width - 2.0 * margin);
        let y = |value: f64| height - margin - (value - low) / tall * (height - 2.0 * margin);
        let mut out: Vec<Element> = Vec::new();
        for &(px, py, class) in &self.points {
            let style = format!("tiny mid label s{}", class % 7 + 1);
            out.push(text(x(px), y(py) + 3.0, &style, &self.classes[class]));
        }
        for (class, name) in self.classes.iter().enumerate() {
            let of_class = || self.points.iter().filter(move |point| point.2 == class);
            let middle = |of: fn(&(f64, f64, usize)) -> f64| {
                let mut values: Vec<f64> = of_class().map(of).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).copied()
            };
            if let (Some(px), Some(py)) = (middle(|p| p.0), middle(|p| p.1)) {
                out.push(text(x(px), y(py) + 5.0, "bold mid halo", name));
            }
        }
        Svg::new(width, height, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_and_every_class_is_written_once() {
        let map = Cloud::new(["p", "q"])
            .point(0.0, 0.0, 0)
            .point(1.0, 1.0, 0)
            .point(2.0, 2.0, 1)
            .point(f64::NAN, 0.0, 1)
            .point(0.0, 0.0, 7);
        let drawn = map.draw(400.0);
        let count = |what: &str| drawn.body().matches(what).count();
        assert_eq!((count(">p<"), count(">q<")), (3, 2));
    }

    #[test]
    fn a_single_point_and_none_are_drawn_too() {
        assert!(
            Cloud::new(["a"])
                .point(1.0, 1.0, 0)
                .draw(400.0)
                .body()
                .contains(">a<")
        );
        assert!(!Cloud::new(["a"]).draw(400.0).body().contains(">a<"));
    }
}
