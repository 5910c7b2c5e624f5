//! A picture's signature: its ink, cut out and brought to 16x16, whatever its place and size were.

use hw_core::Rng;

/// Pixels on each side of a signature.
const SIDE: usize = 16;
/// Numbers in a signature.
pub(super) const SIZE: usize = SIDE * SIDE;
/// Random directions a signature is projected on.
pub(super) const DIRECTIONS: usize = 32;
/// A pixel belongs to the ink when it has more than this share of the brightest one.
const INK: u32 = 8;
/// Ink this many times longer than wide is a bar; any two bars are alike.
const BAR: f32 = 25.0;

/// The averages of 16x16 equal fields of the square around the ink, 255 the brightest possible.
pub(super) struct Signature {
    pub(super) values: [u8; SIZE],
    /// Its Euclidean length.
    pub(super) length: f32,
}

impl Signature {
    /// `None` for a picture that is blank or a bar. Of several channels the first is taken.
    pub(super) fn of(image: &[u8], height: usize, width: usize) -> Option<Self> {
        let image = &image[..height * width];
        let brightest = u32::from(*image.iter().max()?);
        if brightest == 0 {
            return None;
        }
        let ink = Ink::of(image, width, brightest / INK)?;
        if ink.is_bar() {
            return None;
        }
        let side = (ink.bottom - ink.top).max(ink.right - ink.left) as f32;
        let rows = fields((ink.top + ink.bottom) as f32 / 2.0, side, height);
        let columns = fields((ink.left + ink.right) as f32 / 2.0, side, width);
        let mut values = [0; SIZE];
        let mut squares = 0u32;
        let mut line = vec![0.0f32; width];
        for (y, row) in rows.iter().enumerate() {
            line.fill(0.0);
            for &(source, weight) in row.cover() {
                let pixels = &image[source * width..][..width];
                for (sum, &pixel) in line.iter_mut().zip(pixels) {
                    *sum += weight * f32::from(pixel);
                }
            }
            for (x, column) in columns.iter().enumerate() {
                let sum: f32 = column.cover().iter().map(|&(s, w)| w * line[s]).sum();
                let value = (sum + 0.5) as u8;
                values[y * SIDE + x] = value;
                squares += u32::from(value).pow(2);
            }
        }
        (squares > 0).then(|| Self {
            values,
            length: (squares as f32).sqrt(),
        })
    }

    /// Where the signature, made to length 1, lies along each of the directions.
    pub(super) fn along(&self, directions: &[[f32; DIRECTIONS]; SIZE]) -> [f32; DIRECTIONS] {
        let mut along = [0.0; DIRECTIONS];
        for (&value, direction) in self.values.iter().zip(directions) {
            if value > 0 {
                let value = f32::from(value) / self.length;
                for (sum, part) in along.iter_mut().zip(direction) {
                    *sum += value * part;
                }
            }
        }
        along
    }

    /// The cosine of two signatures.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        let products = self.values.iter().zip(&other.values);
        let sum: i32 = products
            .map(|(&a, &b)| i32::from(i16::from(a)) * i32::from(i16::from(b)))
            .sum();
        sum as f32 / (self.length * other.length)
    }
}

/// Normal directions: a difference of length d projects to a normal draw of deviation d.
pub(super) fn directions() -> Box<[[f32; DIRECTIONS]; SIZE]> {
    let mut rng = Rng::stream(0, "audit", 0);
    let mut directions = Box::new([[0.0; DIRECTIONS]; SIZE]);
    for number in directions.iter_mut().flatten() {
        *number = rng.normal();
    }
    directions
}

/// The box around the ink, and how it spreads in it.
struct Ink {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
    /// Variance along the longer axis over that along the shorter one.
    slimness: f32,
}

impl Ink {
    fn of(image: &[u8], width: usize, least: u32) -> Option<Self> {
        let (mut top, mut bottom, mut left, mut right) = (usize::MAX, 0, usize::MAX, 0);
        let mut sums = [0.0f32; 6];
        for (y, row) in image.chunks_exact(width).enumerate() {
            for (x, &value) in row.iter().enumerate() {
                if u32::from(value) > least {
                    (top, bottom) = (top.min(y), y + 1);
                    (left, right) = (left.min(x), right.max(x + 1));
                    let (m, x, y) = (f32::from(value), x as f32, y as f32);
                    let terms = [m, m * x, m * y, m * x * x, m * y * y, m * x * y];
                    sums.iter_mut().zip(terms).for_each(|(sum, t)| *sum += t);
                }
            }
        }
        let [mass, x, y, xx, yy, xy] = sums;
        let (mx, my) = (x / mass, y / mass);
        // A pixel is itself a square of variance 1/12.
        let (a, b) = (
            xx / mass - mx * mx + 1.0 / 12.0,
            yy / mass - my * my + 1.0 / 12.0,
        );
        let c = xy / mass - mx * my;
        let (mean, swing) = ((a + b) / 2.0, ((a - b) / 2.0).hypot(c));
        (top < bottom).then(|| Self {
            top,
            bottom,
            left,
            right,
            slimness: (mean + swing) / (mean - swing).max(1e-3),
        })
    }

    fn is_bar(&self) -> bool {
        self.slimness > BAR
    }
}

/// The pixels one of 16 fields covers, with weights that add up to 1 where all are inside the image.
#[derive(Default)]
struct Field {
    pixels: Vec<(usize, f32)>,
}

impl Field {
    fn cover(&self) -> &[(usize, f32)] {
        &self.pixels
    }
}

/// The 16 fields of a line of `side` pixels around `centre`.
fn fields(centre: f32, side: f32, pixels: usize) -> Vec<Field> {
    let step = side / SIDE as f32;
    let field = |index: usize| {
        let start = centre - side / 2.0 + index as f32 * step;
        let end = start + step;
        let inside = start.max(0.0).floor() as usize..(end.max(0.0).ceil() as usize).min(pixels);
        let weight = |x: usize| (end.min(x as f32 + 1.0) - start.max(x as f32)) / step;
        Field {
            pixels: inside
                .map(|x| (x, weight(x)))
                .filter(|p| p.1 > 0.0)
                .collect(),
        }
    };
    (0..SIDE).map(field).collect()
}
