//! What a pen leaves behind: strokes.

/// A line drawn without lifting the pen.
#[derive(Clone, Debug, PartialEq)]
pub struct Stroke {
    /// Where the pen passes, as [x, y], x to the right and y down, to be joined by straight lines.
    pub points: Vec<[f32; 2]>,
    /// The pen's width at each point relative to its full width; 1 where missing.
    pub pressure: Vec<f32>,
}

impl Stroke {
    /// A stroke of even width.
    pub fn even(points: Vec<[f32; 2]>) -> Self {
        Self {
            pressure: vec![1.0; points.len()],
            points,
        }
    }

    /// The length of its line.
    pub fn length(&self) -> f32 {
        let steps = self.points.windows(2);
        steps.map(|pair| distance(pair[0], pair[1])).sum()
    }
}

/// How much finer than others a character is written, from 0 to 1, so that much line in little
/// space (a small e, a hiragana) stays open: full width up to twice the extent of line, then with
/// the square root.
pub fn fineness(strokes: &[Stroke]) -> f32 {
    let (mut low, mut high, mut length) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2], 0.0);
    for stroke in strokes {
        for (index, &point) in stroke.points.iter().enumerate() {
            let before = stroke.points[index.saturating_sub(1)];
            length += distance(before, point);
            low = [low[0].min(point[0]), low[1].min(point[1])];
            high = [high[0].max(point[0]), high[1].max(point[1])];
        }
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]);
    (2.0 * extent / length.max(1e-6)).sqrt().min(1.0)
}

pub(crate) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    let [x, y] = [b[0] - a[0], b[1] - a[1]];
    (x * x + y * y).sqrt()
}
