//! Bringing an image to another size: bilinear, bicubic, or by the area each new pixel covers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How values between pixels are found. Pixel centres are at half numbers, so that the image's edges
/// stay its edges (`align_corners=False` in PyTorch, whose `interpolate` the first two equal).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Between the two nearest pixels along each axis. For enlarging.
    #[default]
    Bilinear,
    /// A cubic through the four nearest (Keys 1981, a = -0.75), clipped to 0..=1. For enlarging.
    Bicubic,
    /// The mean over the area that the new pixel covers. For shrinking.
    Area,
}

impl Filter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bilinear, Self::Bicubic, Self::Area];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Area => "area",
        }
    }

    /// What it does, in one line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Bilinear => "between the two nearest pixels along each axis; for enlarging",
            Self::Bicubic => "a cubic through the four nearest, clipped to 0..=1; for enlarging",
            Self::Area => "the mean over the area that a new pixel covers; for shrinking",
        }
    }

    /// Who proposed it; "-" where it is older than its papers.
    pub fn source(self) -> &'static str {
        match self {
            Self::Bilinear | Self::Area => "-",
            Self::Bicubic => "Keys 1981",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Filter {
    type Err = crate::DataError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|filter| filter.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let problem = format!("\"{name}\" is none of {names}");
            crate::DataError::invalid("resize filter", problem)
        })
    }
}

/// Brings images of one shape to one size.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    input: [usize; 3],
    size: usize,
    rows: Taps,
    columns: Taps,
    clip: bool,
}

/// For each new pixel along an axis, `count` old ones and their weights.
#[derive(Clone, Debug)]
struct Taps {
    count: usize,
    /// (index, weight), `count` a new pixel.
    each: Vec<(usize, f32)>,
}

impl Resampler {
    /// For images of shape `[channels, height, width]`, to `size` x `size`; no side may be 0.
    pub(crate) fn new(filter: Filter, input: [usize; 3], size: usize) -> Self {
        Self {
            input,
            size,
            rows: Taps::new(filter, input[1], size),
            columns: Taps::new(filter, input[2], size),
            clip: filter == Filter::Bicubic,
        }
    }

    pub(crate) fn apply(&self, pixels: &[f32]) -> Vec<f32> {
        let ([channels, height, width], size) = (self.input, self.size);
        let mut out = vec![0.0; channels * size * size];
        let mut wide = vec![0.0; height * size];
        let planes = pixels.chunks_exact(height * width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(size * size)) {
            for (row, wide) in plane.chunks_exact(width).zip(wide.chunks_exact_mut(size)) {
                for (value, taps) in wide.iter_mut().zip(self.columns.each()) {
                    *value = taps.iter().map(|&(x, weight)| row[x] * weight).sum();
                }
            }
            for (out, taps) in out.chunks_exact_mut(size).zip(self.rows.each()) {
                for &(y, weight) in taps {
                    let row = &wide[y * size..][..size];
                    out.iter_mut()
                        .zip(row)
                        .for_each(|(sum, v)| *sum += weight * v);
                }
            }
        }
        if self.clip {
            out.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        }
        out
    }
}

impl Taps {
    fn new(filter: Filter, old: usize, new: usize) -> Self {
        let step = old as f64 / new as f64;
        let each: Vec<Vec<(usize, f32)>> = (0..new)
            .map(|index| match filter {
                Filter::Bilinear => bilinear((index as f64 + 0.5) * step - 0.5, old),
                Filter::Bicubic => bicubic((index as f64 + 0.5) * step - 0.5, old),
                Filter::Area => area(index as f64 * step, step, old),
            })
            .collect();
        let count = each.iter().map(Vec::len).max().unwrap_or(1);
        let padded = each.into_iter().flat_map(|mut taps| {
            taps.resize(count, (0, 0.0));
            taps
        });
        Self {
            count,
            each: padded.collect(),
        }
    }

    fn each(&self) -> impl Iterator<Item = &[(usize, f32)]> {
        self.each.chunks_exact(self.count)
    }
}

fn bilinear(at: f64, old: usize) -> Vec<(usize, f32)> {
    let at = at.max(0.0);
    let first = (at as usize).min(old - 1);
    let far = (at - first as f64) as f32;
    vec![(first, 1.0 - far), ((first + 1).min(old - 1), far)]
}

fn bicubic(at: f64, old: usize) -> Vec<(usize, f32)> {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let t = at - at.floor();
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    let pixel = |i: usize| (at.floor() as isize + i as isize - 1).clamp(0, old as isize - 1);
    (0..4)
        .map(|i| (pixel(i) as usize, weights[i] as f32))
        .collect()
}

fn area(start: f64, step: f64, old: usize) -> Vec<(usize, f32)> {
    let end = start + step;
    let last = (end.ceil() as usize).clamp(1, old);
    let first = (start as usize).min(last - 1);
    let cover = |x: usize| ((end.min(x as f64 + 1.0) - start.max(x as f64)) / step) as f32;
    (first..last).map(|x| (x, cover(x))).collect()
}
