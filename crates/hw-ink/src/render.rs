//! How pen strokes become an image made the way MNIST's were (LeCun et al. 1998, section III.A):
//! the ink scaled to fit a box of 20 in 28 pixels with its proportions kept, anti-aliased, and
//! placed so that its centre of mass is the centre of the image.

use crate::stroke::Stroke;

/// The box's share of the image's side.
const BOX: f32 = 20.0 / 28.0;

/// Width of the grey edge between ink and paper, in pixels; MNIST's is a little soft.
const EDGE: f32 = 1.2;

/// Draws `strokes` with a pen of width `pen` (in the units of the points; each point's pressure
/// multiplies it) as a square image of `size` x `size` bytes, row by row, ink bright (255) on a
/// dark ground (0).
///
/// Where the points lie and how large they are does not matter. Points that are not finite are
/// skipped; no ink gives a dark image, and so does ink too small or too large for `f32`.
///
/// ```
/// use hw_ink::{Stroke, render};
/// let bar = Stroke::even(vec![[100.0, 20.0], [100.0, 90.0]]);
/// let image = render(&[bar], 20.0, 28);
/// assert_eq!(image.len(), 28 * 28);
/// assert_eq!((image[14 * 28 + 14], image[14 * 28 + 4]), (255, 0));
/// ```
pub fn render(strokes: &[Stroke], pen: f32, size: usize) -> Vec<u8> {
    let ink = segments(strokes, pen);
    let (Some(bounds), 1..) = (Bounds::of(&ink), size) else {
        return vec![0; size * size];
    };
    let middle = 0.5 * size as f32;
    let mut scale = BOX * size as f32 / bounds.extent();
    loop {
        let page = Page::drawn(&ink, &bounds, scale, size);
        let centre = page.centre_of_mass();
        let shift = centre.map(|c| (middle - c).round() as isize);
        // A long tail (of a J, an L) can stick out once the mass is centred; MNIST then lost a
        // row of it, which we avoid by drawing it smaller.
        let sticks_out = page.overhang(shift);
        if sticks_out == 0 || scale * bounds.extent() < 2.0 {
            return page.shifted(shift);
        }
        scale *= 1.0 - (sticks_out as f32 / middle).min(0.5);
    }
}

/// A straight piece of a stroke: a capsule whose radius goes from `radius[0]` to `radius[1]`.
#[derive(Clone, Copy)]
struct Segment {
    from: [f32; 2],
    to: [f32; 2],
    radius: [f32; 2],
}

fn segments(strokes: &[Stroke], pen: f32) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(strokes.iter().map(|s| s.points.len()).sum());
    for stroke in strokes {
        let pressed = |index: usize| stroke.pressure.get(index).copied().unwrap_or(1.0);
        let mut last = None;
        let mut alone = true;
        for (index, &point) in stroke.points.iter().enumerate() {
            let radius = 0.5 * pen * pressed(index);
            if !(point[0].is_finite() && point[1].is_finite() && radius >= 0.0) {
                continue;
            }
            if let Some((from, from_radius)) = last.replace((point, radius)) {
                alone = false;
                segments.push(Segment {
                    from,
                    to: point,
                    radius: [from_radius, radius],
                });
            }
        }
        if let (Some((at, radius)), true) = (last, alone) {
            segments.push(Segment {
                from: at,
                to: at,
                radius: [radius; 2],
            });
        }
    }
    segments
}

/// The rectangle that the ink fills.
struct Bounds {
    low: [f32; 2],
    high: [f32; 2],
}

impl Bounds {
    /// `None` when there is no ink, or its extent is too small or large to be scaled.
    fn of(ink: &[Segment]) -> Option<Self> {
        let mut bounds = Self {
            low: [f32::INFINITY; 2],
            high: [f32::NEG_INFINITY; 2],
        };
        for segment in ink {
            for (end, radius) in [segment.from, segment.to].iter().zip(segment.radius) {
                for (axis, at) in end.iter().enumerate() {
                    bounds.low[axis] = bounds.low[axis].min(at - radius);
                    bounds.high[axis] = bounds.high[axis].max(at + radius);
                }
            }
        }
        let extent = bounds.extent();
        (1e-30..1e30).contains(&extent).then_some(bounds)
    }

    /// The longer side.
    fn extent(&self) -> f32 {
        (self.high[0] - self.low[0]).max(self.high[1] - self.low[1])
    }
}

/// A square of pixels, each holding how deep inside the ink its centre is, at most: positive
/// inside, in pixels.
struct Page {
    depth: Vec<f32>,
    size: usize,
}

impl Page {
    /// Draws the ink at `scale` with its rectangle in the middle, aligned to whole pixels.
    fn drawn(ink: &[Segment], bounds: &Bounds, scale: f32, size: usize) -> Self {
        let mut page = Self {
            depth: vec![-EDGE; size * size],
            size,
        };
        let corner = [0, 1].map(|axis| {
            let side = (bounds.high[axis] - bounds.low[axis]) * scale;
            (0.5 * (size as f32 - side)).round()
        });
        let place = |at: [f32; 2]| [0, 1].map(|i| (at[i] - bounds.low[i]) * scale + corner[i]);
        for segment in ink {
            page.ink(Segment {
                from: place(segment.from),
                to: place(segment.to),
                radius: segment.radius.map(|r| r * scale),
            });
        }
        page
    }

    fn ink(&mut self, segment: Segment) {
        let Segment { from, to, radius } = segment;
        let reach = radius[0].max(radius[1]) + 0.5 * EDGE;
        let [columns, rows] = [0, 1].map(|axis| {
            let low = from[axis].min(to[axis]) - reach - 0.5;
            let high = from[axis].max(to[axis]) + reach - 0.5;
            // Casts from float saturate, so ink beyond the page gives an empty range.
            (low.ceil() as usize)..(high as usize + 1).min(self.size)
        });
        let along = [to[0] - from[0], to[1] - from[1]];
        let inverse = 1.0 / (along[0] * along[0] + along[1] * along[1]).max(1e-12);
        let widening = radius[1] - radius[0];
        for row in rows {
            let y = row as f32 + 0.5 - from[1];
            let line = &mut self.depth[row * self.size..][..self.size];
            let left = columns.start as f32 + 0.5 - from[0];
            let Some(line) = line.get_mut(columns.clone()) else {
                return;
            };
            for (column, depth) in line.iter_mut().enumerate() {
                let x = left + column as i32 as f32;
                let t = ((x * along[0] + y * along[1]) * inverse).clamp(0.0, 1.0);
                let (dx, dy) = (x - t * along[0], y - t * along[1]);
                let inside = radius[0] + t * widening - (dx * dx + dy * dy).sqrt();
                *depth = depth.max(inside);
            }
        }
    }

    /// A pixel's ink from 0 to 1.
    fn coverage(depth: f32) -> f32 {
        (depth * (1.0 / EDGE) + 0.5).clamp(0.0, 1.0)
    }

    /// Where the ink balances, [x, y] in pixels from the corner.
    fn centre_of_mass(&self) -> [f32; 2] {
        let (mut mass, mut moment) = (0.0, [0.0, 0.0]);
        for (row, line) in self.depth.chunks_exact(self.size).enumerate() {
            let (mut line_mass, mut line_moment) = (0.0, 0.0);
            for (column, &depth) in line.iter().enumerate() {
                let ink = Self::coverage(depth);
                line_mass += ink;
                line_moment += ink * (column as f32 + 0.5);
            }
            mass += line_mass;
            moment[0] += line_moment;
            moment[1] += line_mass * (row as f32 + 0.5);
        }
        if mass > 0.0 {
            moment.map(|m| m / mass)
        } else {
            [0.5 * self.size as f32; 2]
        }
    }

    /// By how many pixels the ink would stick out of the page if shifted.
    fn overhang(&self, shift: [isize; 2]) -> isize {
        let size = self.size as isize;
        let mut most = 0;
        for (index, &depth) in self.depth.iter().enumerate() {
            if depth > -0.5 * EDGE {
                let [x, y] = [index % self.size, index / self.size].map(|i| i as isize);
                for at in [x + shift[0], y + shift[1]] {
                    most = most.max(-at).max(at - size + 1);
                }
            }
        }
        most
    }

    /// The page as bytes, moved by `shift`.
    fn shifted(&self, shift: [isize; 2]) -> Vec<u8> {
        let size = self.size as isize;
        let mut image = vec![0; self.depth.len()];
        for (row, line) in self.depth.chunks_exact(self.size).enumerate() {
            let to = row as isize + shift[1];
            if !(0..size).contains(&to) {
                continue;
            }
            for (column, &depth) in line.iter().enumerate() {
                let x = column as isize + shift[0];
                if depth > -0.5 * EDGE && (0..size).contains(&x) {
                    image[(to * size + x) as usize] = (Self::coverage(depth) * 255.0 + 0.5) as u8;
                }
            }
        }
        image
    }
}
