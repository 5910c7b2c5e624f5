//! How much the drawn characters vary, checked before anything is drawn.

use crate::DataError;
use serde::{Deserialize, Serialize};

/// How glyphs are drawn. Ranges are `[low, high]`, drawn from evenly. Lengths are in heights of a
/// capital letter; y grows downwards.
///
/// The default imitates MNIST, with a hand that is now careful, now hasty: the digits' mean pixel is
/// 31 (MNIST's 34), and 86 % of them are nearest to their own class's mean image (MNIST's 82 %).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlyphConfig {
    /// Side of the square image in pixels, 8 to 512. The glyph fills 20/28 of it, as in MNIST.
    pub size: usize,
    /// The seed of every draw; another seed gives another set of images.
    pub seed: u64,
    /// Width of the pen, within 0.01 to 0.5.
    pub pen: [f32; 2],
    /// Slant: how far the top leans to the right per height, within -1 to 1.
    pub slant: [f32; 2],
    /// Rotation in degrees, clockwise, within -45 to 45.
    pub rotation: [f32; 2],
    /// Width over height, as a factor on the shape's own, within 0.25 to 4.
    pub aspect: [f32; 2],
    /// Standard deviation of the pen around each point it should pass through, 0 to 0.2.
    pub wobble: f32,
    /// Root mean square of the elastic displacement, 0 to 0.3.
    pub elastic_alpha: f32,
    /// Distance over which the elastic displacement changes, 0.1 to 10 (more is smoother).
    pub elastic_sigma: f32,
    /// Standard deviation of the pen's width along a stroke, relative to the pen, 0 to 1.
    pub pressure: f32,
}

impl Default for GlyphConfig {
    fn default() -> Self {
        Self {
            size: 28,
            seed: 0,
            pen: [0.085, 0.2],
            slant: [-0.2, 0.45],
            rotation: [-12.0, 12.0],
            aspect: [0.75, 1.3],
            wobble: 0.022,
            elastic_alpha: 0.04,
            elastic_sigma: 0.4,
            pressure: 0.2,
        }
    }
}

/// A [`GlyphConfig`] that cannot be wrong; what draws takes this.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a>(pub(super) &'a GlyphConfig);

impl GlyphConfig {
    /// Whether glyphs can be drawn this way.
    ///
    /// # Errors
    /// [`DataError::Invalid`] naming the first field outside its documented range.
    pub fn check(&self) -> Result<(), DataError> {
        let size = self.size as f32;
        let fields = [
            ("size", [size, size], [8.0, 512.0]),
            ("pen", self.pen, [0.01, 0.5]),
            ("slant", self.slant, [-1.0, 1.0]),
            ("rotation", self.rotation, [-45.0, 45.0]),
            ("aspect", self.aspect, [0.25, 4.0]),
            ("wobble", [self.wobble; 2], [0.0, 0.2]),
            ("elastic_alpha", [self.elastic_alpha; 2], [0.0, 0.3]),
            ("elastic_sigma", [self.elastic_sigma; 2], [0.1, 10.0]),
            ("pressure", [self.pressure; 2], [0.0, 1.0]),
        ];
        fields
            .iter()
            .try_for_each(|&(name, value, allowed)| within(name, value, allowed))
    }

    pub(super) fn checked(&self) -> Result<Checked<'_>, DataError> {
        self.check().map(|()| Checked(self))
    }
}

fn within(name: &str, [low, high]: [f32; 2], allowed: [f32; 2]) -> Result<(), DataError> {
    // Written so that NaN, which compares false with everything, is refused.
    if allowed[0] <= low && low <= high && high <= allowed[1] {
        return Ok(());
    }
    let [least, most] = allowed;
    let problem = if low == high {
        format!("{low} is not between {least} and {most}")
    } else {
        format!("[{low}, {high}] is not a range from low to high between {least} and {most}")
    };
    Err(DataError::invalid(format!("glyphs {name}"), problem))
}
