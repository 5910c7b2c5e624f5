//! Strokes as they come from a page or a request, checked and smoothed.

use crate::InkError;
use crate::stroke::{Stroke, distance};

/// More points than anyone writes at once.
pub const MOST_POINTS: usize = 20_000;
/// More strokes than anyone writes at once.
pub const MOST_STROKES: usize = 1_000;
/// Coordinates lie within plus and minus this.
pub const FARTHEST: f32 = 1e6;

/// Points a stroke's longer side is told by at most; more are jitter.
const STEPS_PER_EXTENT: f32 = 120.0;

/// Strokes that can have been written: finite, near, not too many; smoothed. Their order is kept,
/// so index `i` is the `i`-th stroke given.
#[derive(Clone, Debug, PartialEq)]
pub struct Ink {
    strokes: Vec<Stroke>,
}

impl Ink {
    /// Checks and smooths.
    ///
    /// # Errors
    /// [`InkError::Strokes`] naming the first stroke and point that cannot have been written.
    pub fn new(strokes: &[Stroke]) -> Result<Self, InkError> {
        if strokes.len() > MOST_STROKES {
            let problem = format!("{} strokes are more than {MOST_STROKES}", strokes.len());
            return Err(InkError::Strokes(problem));
        }
        let points: usize = strokes.iter().map(|stroke| stroke.points.len()).sum();
        if points > MOST_POINTS {
            let problem = format!("{points} points are more than {MOST_POINTS}");
            return Err(InkError::Strokes(problem));
        }
        for (index, stroke) in strokes.iter().enumerate() {
            check(index, stroke)?;
        }
        Ok(Self {
            strokes: strokes.iter().map(smoothed).collect(),
        })
    }

    /// The smoothed strokes.
    pub fn strokes(&self) -> &[Stroke] {
        &self.strokes
    }
}

fn check(index: usize, stroke: &Stroke) -> Result<(), InkError> {
    let near = |at: &f32| at.abs() <= FARTHEST; // false for NaN
    if let Some(bad) = stroke.points.iter().position(|at| !at.iter().all(near)) {
        let at = stroke.points[bad];
        let problem =
            format!("point {bad} of stroke {index} is {at:?}; coordinates lie within ±{FARTHEST}");
        return Err(InkError::Strokes(problem));
    }
    let pressed = |value: &f32| (0.0..=1e3).contains(value);
    match stroke.pressure.iter().position(|value| !pressed(value)) {
        None => Ok(()),
        Some(bad) => Err(InkError::Strokes(format!(
            "pressure {bad} of stroke {index} is {}; pressures lie from 0 to 1000",
            stroke.pressure[bad]
        ))),
    }
}

/// The stroke without a mouse's staircase: points closer than a hundredth of its size are dropped,
/// and each of the others but the ends moves halfway to its neighbours' middle. A sharp corner
/// stays, as it is where both neighbours are far.
fn smoothed(stroke: &Stroke) -> Stroke {
    let extent = extent(&stroke.points);
    let mean = match stroke.pressure.len() {
        0 => 1.0,
        count => stroke.pressure.iter().sum::<f32>() / count as f32,
    };
    // A mouse reports a pressure of its own, .5 say: only the differences mean something.
    let pressed = |index: usize| match stroke.pressure.get(index) {
        Some(&value) if mean > 0.0 => (value / mean).clamp(0.5, 1.5),
        _ => 1.0,
    };
    let mut points: Vec<[f32; 2]> = Vec::new();
    let mut pressure = Vec::new();
    let last = stroke.points.len().saturating_sub(1);
    for (index, &point) in stroke.points.iter().enumerate() {
        let far = |&before: &[f32; 2]| distance(before, point) * STEPS_PER_EXTENT >= extent;
        if points.last().is_none_or(far) || index == last {
            points.push(point);
            pressure.push(pressed(index));
        }
    }
    let reach = 4.0 * extent / STEPS_PER_EXTENT;
    let soft: Vec<[f32; 2]> = (0..points.len())
        .map(|index| match points.get(index.wrapping_sub(1)..index + 2) {
            Some(&[a, b, c]) if distance(a, b) < reach && distance(b, c) < reach => {
                [0, 1].map(|axis| 0.5 * b[axis] + 0.25 * (a[axis] + c[axis]))
            }
            _ => points[index],
        })
        .collect();
    Stroke {
        points: soft,
        pressure,
    }
}

fn extent(points: &[[f32; 2]]) -> f32 {
    let side = |axis: usize| {
        let values = || points.iter().map(|point| point[axis]);
        values().fold(f32::MIN, f32::max) - values().fold(f32::MAX, f32::min)
    };
    side(0).max(side(1)).max(0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_nowhere_is_refused_with_its_place() {
        for bad in [f32::NAN, f32::INFINITY, -2e6] {
            let strokes = [
                Stroke::even(vec![[0.0, 0.0]]),
                Stroke::even(vec![[1.0, 1.0], [2.0, bad]]),
            ];
            let error = Ink::new(&strokes).unwrap_err().to_string();
            assert!(error.contains("point 1 of stroke 1"), "{error}");
        }
        let mut stroke = Stroke::even(vec![[1.0, 1.0]]);
        stroke.pressure[0] = f32::NAN;
        assert!(Ink::new(&[stroke]).is_err());
    }

    #[test]
    fn more_than_anyone_writes_is_refused() {
        let long = Stroke::even(vec![[0.0, 0.0]; MOST_POINTS + 1]);
        assert!(Ink::new(&[long]).is_err());
        assert!(Ink::new(&vec![Stroke::even(Vec::new()); MOST_STROKES + 1]).is_err());
    }

    #[test]
    fn smoothing_takes_a_staircase_away_and_leaves_corners_and_ends() {
        let stair = (0..100).map(|i| [i as f32, (i % 2) as f32]);
        let ink = Ink::new(&[Stroke::even(stair.collect())]).unwrap();
        let inner = &ink.strokes()[0].points[2..90];
        assert!(
            inner.iter().all(|[_, y]| (0.2..0.8).contains(y)),
            "{inner:?}"
        );
        let corner = vec![[0.0, 0.0], [0.0, 100.0], [60.0, 100.0]];
        let ink = Ink::new(&[Stroke::even(corner.clone())]).unwrap();
        assert_eq!(ink.strokes()[0].points, corner);
    }

    #[test]
    fn a_mouse_that_always_reports_half_pressure_writes_at_full_width() {
        let mut stroke = Stroke::even(vec![[0.0, 0.0], [9.0, 9.0]]);
        stroke.pressure = vec![0.5, 0.5];
        assert_eq!(
            Ink::new(&[stroke]).unwrap().strokes()[0].pressure,
            [1.0, 1.0]
        );
    }
}
