//! Where the writing lies: lines of text, and within a line the pieces that surely belong to one
//! character (the dot over its i, the bar across its t).

use crate::stroke::{Stroke, distance};

/// An upright rectangle, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left and top.
    pub low: [f32; 2],
    /// Right and bottom.
    pub high: [f32; 2],
}

impl Bounds {
    /// The smallest one around `points`; `None` for no point.
    pub fn of(points: &[[f32; 2]]) -> Option<Self> {
        let first = *points.first()?;
        let start = Self {
            low: first,
            high: first,
        };
        Some(points.iter().fold(start, |bounds, &point| Self {
            low: [0, 1].map(|axis| bounds.low[axis].min(point[axis])),
            high: [0, 1].map(|axis| bounds.high[axis].max(point[axis])),
        }))
    }

    /// The smallest one around both.
    pub fn with(self, other: Self) -> Self {
        Self {
            low: [0, 1].map(|axis| self.low[axis].min(other.low[axis])),
            high: [0, 1].map(|axis| self.high[axis].max(other.high[axis])),
        }
    }

    /// From left to right.
    pub fn width(&self) -> f32 {
        self.high[0] - self.low[0]
    }

    /// From top to bottom.
    pub fn height(&self) -> f32 {
        self.high[1] - self.low[1]
    }

    fn middle(&self) -> f32 {
        0.5 * (self.low[1] + self.high[1])
    }
}

/// A connected bit of ink: a stroke, or a blot in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Around its ink.
    pub bounds: Bounds,
    /// Points on its line; none for a blot.
    pub line: Vec<[f32; 2]>,
}

impl Part {
    /// A stroke; `None` when it has no point.
    pub fn of_stroke(stroke: &Stroke) -> Option<Self> {
        let step = stroke.points.len().div_ceil(MOST_ON_LINE);
        let last = stroke.points.len().saturating_sub(1);
        let kept = stroke.points.iter().enumerate();
        let kept = kept.filter(|(index, _)| index % step == 0 || *index == last);
        Some(Self {
            bounds: Bounds::of(&stroke.points)?,
            line: kept.map(|(_, &point)| point).collect(),
        })
    }
}

/// Parts that surely belong to one character.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Indices of its parts, ascending.
    pub parts: Vec<usize>,
    /// Around all of them.
    pub bounds: Bounds,
}

/// A line of text: its pieces from left to right.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The pieces, left to right.
    pub pieces: Vec<Piece>,
    /// The height of its tall characters.
    pub height: f32,
}

/// A part this much lower than the writing is high is a dot or a bar.
const SMALL: f32 = 0.45;
/// Parts overlapping horizontally by this share of the narrower belong together.
const OVERLAP: f32 = 0.5;
/// Points of a stroke that are looked at to see what it touches.
const MOST_ON_LINE: usize = 24;
/// With more parts than this nobody asks which of them touch: it would take too long.
const MOST_TOUCHING: usize = 400;
/// Strokes nearer than this share of the height touch.
const TOUCH: f32 = 0.06;

/// The lines of text that `parts` make, top to bottom.
pub fn lines(parts: &[Part]) -> Vec<Line> {
    let height = typical_height(parts);
    rows(parts, height)
        .into_iter()
        .map(|row| {
            let tall = row.iter().map(|&index| parts[index].bounds.height());
            let tallest = tall.fold(0.25 * height, f32::max);
            Line {
                pieces: pieces(parts, &row, tallest),
                height: tallest,
            }
        })
        .collect()
}

/// The height that one in five parts exceeds: neither a dot's nor a flourish's.
fn typical_height(parts: &[Part]) -> f32 {
    let high = |size: fn(&Bounds) -> f32| {
        let mut sizes: Vec<f32> = parts.iter().map(|part| size(&part.bounds)).collect();
        sizes.sort_by(f32::total_cmp);
        let index = (sizes.len() * 4 / 5).min(sizes.len().saturating_sub(1));
        sizes.get(index).copied().unwrap_or(0.0)
    };
    // A minus sign, or a lone bar, is not all there is to go by.
    high(Bounds::height)
        .max(0.25 * high(Bounds::width))
        .max(1e-3)
}

/// Part indices by line: tall parts whose middles lie close make a line, and each dot or bar joins
/// the line it is nearest to, rather the one below it.
fn rows(parts: &[Part], height: f32) -> Vec<Vec<usize>> {
    if one_line(parts, height) {
        return vec![(0..parts.len()).collect()];
    }
    let middle = |index: &usize| parts[*index].bounds.middle();
    let tall = |index: &usize| parts[*index].bounds.height() >= SMALL * height;
    let (mut seeds, mut small): (Vec<usize>, Vec<usize>) = (0..parts.len()).partition(tall);
    if seeds.is_empty() {
        seeds = std::mem::take(&mut small);
    }
    seeds.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for index in seeds {
        let mean = |row: &Vec<usize>| row.iter().map(middle).sum::<f32>() / row.len() as f32;
        let bottom = |row: &Vec<usize>| around(parts, row).map_or(0.0, |bounds| bounds.high[1]);
        // Strokes of one kana lie almost as far apart as lines do, but with less paper between.
        let same = |row: &Vec<usize>| {
            let lower = middle(&index) - mean(row);
            let paper = parts[index].bounds.low[1] - bottom(row);
            lower < 0.8 * height || (lower < 1.1 * height && paper < 0.4 * height)
        };
        match rows.last_mut() {
            Some(row) if same(row) => row.push(index),
            _ => rows.push(vec![index]),
        }
    }
    let bands: Vec<Option<Bounds>> = rows.iter().map(|row| around(parts, row)).collect();
    for index in small {
        let at = middle(&index);
        let away = |band: &Option<Bounds>| match band {
            // Above a line is where dots are; below it they are rare.
            Some(band) => (band.low[1] - at).max(2.0 * (at - band.high[1])).max(0.0),
            None => f32::INFINITY,
        };
        let nearest = (0..rows.len()).min_by(|&a, &b| away(&bands[a]).total_cmp(&away(&bands[b])));
        if let Some(row) = nearest {
            rows[row].push(index);
        }
    }
    rows
}

/// Whether everything is too low and narrow for two lines of writing that high: the strokes of one
/// kana lie as far apart as lines do, measured by the strokes.
fn one_line(parts: &[Part], height: f32) -> bool {
    let bounds = parts.iter().map(|part| part.bounds).reduce(Bounds::with);
    bounds.is_some_and(|all| all.height() < 2.1 * height && all.width() < 2.0 * height)
}

fn around(parts: &[Part], row: &[usize]) -> Option<Bounds> {
    let bounds = row.iter().map(|&index| parts[index].bounds);
    bounds.reduce(Bounds::with)
}

/// The pieces of one line, left to right.
fn pieces(parts: &[Part], row: &[usize], height: f32) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for &index in row {
        let mut piece = Piece {
            parts: vec![index],
            bounds: parts[index].bounds,
        };
        // Joining may bring it into reach of others: go on until none is.
        while let Some(found) = pieces
            .iter()
            .position(|p| together(parts, p, &piece, height))
        {
            let other = pieces.swap_remove(found);
            piece.bounds = piece.bounds.with(other.bounds);
            piece.parts.extend(other.parts);
        }
        pieces.push(piece);
    }
    pieces
        .iter_mut()
        .for_each(|piece| piece.parts.sort_unstable());
    let centre = |piece: &Piece| piece.bounds.low[0] + piece.bounds.high[0];
    pieces.sort_by(|a, b| centre(a).total_cmp(&centre(b)));
    pieces
}

/// Whether two pieces surely belong to one character: one above the other, or a bar that touches.
fn together(parts: &[Part], a: &Piece, b: &Piece, height: f32) -> bool {
    // A stem has no width of its own: both are taken with that of a pen.
    let pen = 0.08 * height;
    let narrower = a.bounds.width().min(b.bounds.width()) + pen;
    if pen - gap(&a.bounds, &b.bounds) > OVERLAP * narrower {
        return true;
    }
    let lower = a.bounds.height().min(b.bounds.height());
    parts.len() <= MOST_TOUCHING && lower < SMALL * height && touch(parts, a, b, TOUCH * height)
}

/// The empty space between two rectangles from left to right; negative where they overlap.
pub fn gap(a: &Bounds, b: &Bounds) -> f32 {
    a.low[0].max(b.low[0]) - a.high[0].min(b.high[0])
}

/// Whether any of their lines come within `reach` of each other.
pub fn touch(parts: &[Part], a: &Piece, b: &Piece, reach: f32) -> bool {
    let above = a.bounds.low[1].max(b.bounds.low[1]) - a.bounds.high[1].min(b.bounds.high[1]);
    if gap(&a.bounds, &b.bounds).max(above) > reach {
        return false;
    }
    let near = |&i: &usize, &j: &usize| {
        let (one, other) = (&parts[i].line, &parts[j].line);
        one.iter().any(|&p| near_line(p, other, reach))
            || other.iter().any(|&p| near_line(p, one, reach))
    };
    a.parts.iter().any(|i| b.parts.iter().any(|j| near(i, j)))
}

fn near_line(point: [f32; 2], line: &[[f32; 2]], reach: f32) -> bool {
    let on_segment = |ends: &[[f32; 2]]| {
        let [from, to] = [ends[0], ends[1]];
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = (along[0] * along[0] + along[1] * along[1]).max(1e-12);
        let t = ((point[0] - from[0]) * along[0] + (point[1] - from[1]) * along[1]) / square;
        let t = t.clamp(0.0, 1.0);
        distance(point, [from[0] + t * along[0], from[1] + t * along[1]]) <= reach
    };
    match line {
        [only] => distance(point, *only) <= reach,
        _ => line.windows(2).any(on_segment),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parts(strokes: &[&[[f32; 2]]]) -> Vec<Part> {
        let part = |points: &&[[f32; 2]]| Part::of_stroke(&Stroke::even(points.to_vec())).unwrap();
        strokes.iter().map(part).collect()
    }

    fn grouped(strokes: &[&[[f32; 2]]]) -> Vec<Vec<Vec<usize>>> {
        let line = |line: Line| line.pieces.into_iter().map(|piece| piece.parts).collect();
        lines(&parts(strokes)).into_iter().map(line).collect()
    }

    const STEM: &[[f32; 2]] = &[[0.0, 0.0], [0.0, 100.0]];

    #[test]
    fn a_dot_belongs_to_the_stem_below_it_and_a_bar_to_the_stem_it_crosses() {
        let i: &[&[[f32; 2]]] = &[&[[0.0, 40.0], [0.0, 100.0]], &[[2.0, 15.0], [3.0, 18.0]]];
        assert_eq!(grouped(i), [[[0, 1]]]);
        let t: &[&[[f32; 2]]] = &[STEM, &[[-20.0, 30.0], [20.0, 28.0]]];
        assert_eq!(grouped(t), [[[0, 1]]]);
    }

    #[test]
    fn an_h_of_three_strokes_is_one_piece_once_its_bar_is_there() {
        let right: &[[f32; 2]] = &[[50.0, 0.0], [50.0, 100.0]];
        assert_eq!(grouped(&[STEM, right]), [[[0], [1]]]);
        assert_eq!(
            grouped(&[STEM, right, &[[1.0, 50.0], [49.0, 50.0]]]),
            [[[0, 1, 2]]]
        );
    }

    #[test]
    fn letters_side_by_side_stay_apart_in_the_order_of_reading() {
        let later: &[[f32; 2]] = &[[-60.0, 0.0], [-30.0, 100.0]];
        assert_eq!(grouped(&[STEM, later]), [[[1], [0]]]);
    }

    #[test]
    fn writing_below_writing_is_another_line_and_the_dot_between_belongs_to_the_lower() {
        let below: &[[f32; 2]] = &[[0.0, 190.0], [0.0, 250.0]];
        let dot: &[[f32; 2]] = &[[0.0, 170.0], [1.0, 171.0]];
        assert_eq!(
            grouped(&[STEM, below, dot]),
            [vec![vec![0]], vec![vec![1, 2]]]
        );
    }

    #[test]
    fn a_dot_alone_is_a_line_of_one_piece_and_nothing_is_no_line() {
        assert_eq!(grouped(&[&[[5.0, 5.0]]]), [[[0]]]);
        assert!(lines(&[]).is_empty());
    }
}
