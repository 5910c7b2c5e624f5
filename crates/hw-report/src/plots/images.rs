//! A grid of example images, each with its caption.

use super::{Plot, SMALL, no_data, usable};
use crate::badge::BadgeKind;
use crate::svg::{Element, Svg, number, rect, text, wrap};
use base64::Engine as _;

/// A gray image with a caption.
#[derive(Clone, Debug, PartialEq)]
pub struct GridImage {
    /// `height * width` pixels, row by row; 255 is full ink, as in MNIST.
    pub pixels: Vec<u8>,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What stands under it: "true 4, said 9, 98 %".
    pub caption: String,
    /// A verdict shown as a sign at its corner.
    pub verdict: Option<BadgeKind>,
}

impl GridImage {
    /// An image of this size without a verdict.
    pub fn new(
        pixels: impl Into<Vec<u8>>,
        width: usize,
        height: usize,
        caption: impl Into<String>,
    ) -> Self {
        Self {
            pixels: pixels.into(),
            width,
            height,
            caption: caption.into(),
            verdict: None,
        }
    }

    /// The same image with a verdict.
    pub fn verdict(mut self, verdict: BadgeKind) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// The image as a PNG in a data URI; `None` where pixels and size do not agree.
    fn data_uri(&self) -> Option<String> {
        if self.pixels.is_empty() || self.width.checked_mul(self.height) != Some(self.pixels.len())
        {
            return None;
        }
        let (width, height) = (
            u32::try_from(self.width).ok()?,
            u32::try_from(self.height).ok()?,
        );
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.pixels).ok()?;
        writer.finish().ok()?;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        Some(format!("data:image/png;base64,{encoded}"))
    }
}

/// Images in rows, as many in each as fit. On a light page they are drawn as dark ink on paper, on
/// a dark one as they are.
///
/// ```
/// use hw_report::plots::{GridImage, ImageGrid, Plot};
/// let grid = ImageGrid::new([GridImage::new(vec![0; 28 * 28], 28, 28, "true 4, said 9, 98 %")]);
/// assert!(grid.draw(350.0).body().contains("data:image/png;base64,"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ImageGrid {
    images: Vec<GridImage>,
    tile: f64,
}

impl ImageGrid {
    /// A grid of these images, in order.
    pub fn new(images: impl IntoIterator<Item = GridImage>) -> Self {
        Self {
            images: images.into_iter().collect(),
            tile: 84.0,
        }
    }

    /// The same grid with tiles of this many CSS pixels (84 unless set, between 16 and 400).
    pub fn tile(mut self, pixels: f64) -> Self {
        if pixels.is_finite() {
            self.tile = pixels.clamp(16.0, 400.0);
        }
        self
    }
}

impl Plot for ImageGrid {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        if self.images.is_empty() {
            return no_data(width, 100.0);
        }
        let gap = 14.0;
        // Signs stand out a little over the corners of their images.
        let (width, above) = (width - SIGN, if self.signed() { SIGN } else { 0.0 });
        let columns = (((width + gap) / (self.tile + gap)) as usize).max(1);
        // Columns share the whole width; the images keep their size.
        let pitch = ((width + gap) / columns as f64).min(self.tile * 1.6 + gap);
        let mut out = Vec::new();
        let mut y = above + 0.5;
        for row in self.images.chunks(columns) {
            let captions: Vec<Vec<String>> = row
                .iter()
                .map(|image| wrap(&image.caption, SMALL, pitch - gap + 8.0, 3))
                .collect();
            for (column, (image, caption)) in row.iter().zip(&captions).enumerate() {
                let x = pitch * column as f64 + 0.5;
                out.extend(self.draw_tile(image, x, y));
                for (line, words) in caption.iter().enumerate() {
                    let baseline = y + self.tile + 15.0 + 14.0 * line as f64;
                    out.push(text(x, baseline, "small quiet", words));
                }
            }
            let lines = captions.iter().map(Vec::len).max().unwrap_or(0);
            y += self.tile + 14.0 * lines as f64 + 18.0;
        }
        let used = pitch * columns.min(self.images.len()) as f64 - gap;
        Svg::new(used.max(self.tile) + SIGN, y - 8.0, out)
    }
}

/// How far a sign reaches over its image.
const SIGN: f64 = 9.0;

impl ImageGrid {
    fn signed(&self) -> bool {
        self.images.iter().any(|image| image.verdict.is_some())
    }

    fn draw_tile(&self, image: &GridImage, x: f64, y: f64) -> Vec<Element> {
        let mut out = Vec::new();
        match image.data_uri() {
            Some(uri) => out.push(
                Element::new("image")
                    .class("print")
                    .num("x", x)
                    .num("y", y)
                    .num("width", self.tile)
                    .num("height", self.tile)
                    .attr("href", &uri),
            ),
            None => {
                let (x, y) = (x + self.tile / 2.0, y + self.tile / 2.0 + 4.0);
                out.push(text(x, y, "small mid faint", "no image"));
            }
        }
        out.push(rect(x, y, self.tile, self.tile, "frame"));
        if let Some(verdict) = image.verdict {
            out.extend(sign(verdict, x + self.tile - 1.0, y + 1.0));
        }
        out
    }
}

/// A verdict's sign in a disc centered on a corner.
fn sign(verdict: BadgeKind, x: f64, y: f64) -> [Element; 2] {
    let class = verdict.class();
    let disc = crate::svg::circle(x, y, 7.5, &format!("{class} ring")).attr("stroke-width", "1.5");
    let stroke = Element::new("path")
        .class(&format!("{class} line"))
        .attr("d", verdict.stroke())
        .attr(
            "transform",
            &format!("translate({} {})", number(x - 6.0), number(y - 6.0)),
        );
    [disc, stroke]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::WIDE;

    #[test]
    fn the_embedded_png_holds_the_pixels_it_was_given() {
        let pixels: Vec<u8> = (0..=255).cycle().take(28 * 28).collect();
        let uri = GridImage::new(pixels.clone(), 28, 28, "")
            .data_uri()
            .unwrap();
        let encoded = uri.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut decoded = vec![0; 28 * 28];
        reader.next_frame(&mut decoded).unwrap();
        assert_eq!(decoded, pixels);
    }

    #[test]
    fn an_image_whose_size_is_wrong_leaves_an_empty_tile() {
        let svg = ImageGrid::new([GridImage::new(vec![1, 2, 3], 28, 28, "x")]).draw(WIDE);
        assert!(svg.body().contains("no image") && !svg.body().contains("data:"));
        assert!(ImageGrid::new([]).draw(WIDE).body().contains("no data"));
    }
}
