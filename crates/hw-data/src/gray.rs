//! A grey image of any size, from a PNG or JPEG file.

use crate::DataError;
use hw_core::FileError;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, Pixel, Rgba, RgbaImage};
use std::io::Cursor;
use std::path::Path;

/// A grey image as seen: 0 is black, 255 white, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gray {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Gray {
    /// An image of `height` rows of `width` pixels.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when that is not the number of pixels, or there are none.
    pub fn new(height: usize, width: usize, pixels: Vec<u8>) -> Result<Self, DataError> {
        if pixels.is_empty() || height.checked_mul(width) != Some(pixels.len()) {
            let problem = format!("{height}x{width} cannot hold {} pixels", pixels.len());
            return Err(DataError::invalid("image", problem));
        }
        Ok(Self {
            height,
            width,
            pixels,
        })
    }

    /// Reads a PNG or JPEG file; the format is told by content.
    ///
    /// # Errors
    /// [`DataError::File`] when the file cannot be read, [`DataError::NotAnImage`] when it cannot be
    /// decoded.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(FileError::at("read", path))?;
        Self::decode(&bytes).map_err(|reason| DataError::NotAnImage {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        })
    }

    /// Decodes the content of a PNG or JPEG file and turns it as its EXIF orientation says, which is
    /// how telephones mark a photograph taken sideways.
    ///
    /// # Errors
    /// The decoder's; also when the image is too large to decode safely.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut decoder = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()?
            .into_decoder()?;
        Limits::default().reserve(decoder.total_bytes())?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        if image.color().has_alpha() {
            image = flatten(image.into_rgba8());
        }
        let gray = image.into_luma8();
        Ok(Self {
            height: gray.height() as usize,
            width: gray.width() as usize,
            pixels: gray.into_raw(),
        })
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Lays a drawing with transparent parts on paper it can be seen on: white, unless what is opaque is
/// itself light.
fn flatten(image: RgbaImage) -> DynamicImage {
    let (weight, light) = image.pixels().fold((0u64, 0u64), |(weight, light), pixel| {
        let alpha = u64::from(pixel[3]);
        (
            weight + alpha,
            light + alpha * u64::from(pixel.to_luma()[0]),
        )
    });
    let paper = if light > weight * 128 { 0 } else { 255 };
    let mut flat = image;
    for pixel in flat.pixels_mut() {
        let mut below = Rgba([paper, paper, paper, 255]);
        below.blend(pixel);
        *pixel = below;
    }
    DynamicImage::ImageRgba8(flat)
}
