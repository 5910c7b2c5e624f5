//! A network as a strip of its layers, each with the shape that leaves it.

use super::{Plot, SMALL, no_data, usable};
use crate::format;
use crate::svg::{Element, PathData, Svg, path, rect, text, text_width, wrap};

/// What a layer does; decides its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// The image or the answer.
    Data,
    /// Convolution.
    Convolution,
    /// Pooling or subsampling.
    Pooling,
    /// Affine, fully connected.
    Dense,
    /// Normalisation.
    Normalization,
    /// Activation, dropout, softmax.
    Activation,
}

impl LayerKind {
    fn class(self) -> &'static str {
        match self {
            Self::Data | Self::Activation => "s7",
            Self::Convolution => "s1",
            Self::Pooling => "s6",
            Self::Dense => "s3",
            Self::Normalization => "s5",
        }
    }
}

/// A layer of a [`LayerDiagram`].
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    kind: LayerKind,
    name: String,
    detail: String,
    shape: Vec<usize>,
    parameters: u64,
}

impl Layer {
    /// A layer and the shape it gives out: `[channels, height, width]` or `[features]`.
    pub fn new(kind: LayerKind, name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            kind,
            name: name.into(),
            detail: String::new(),
            shape: shape.to_vec(),
            parameters: 0,
        }
    }

    /// The same layer with its settings: "30 at 5×5", "2×2, stride 2".
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same layer with its number of trainable parameters.
    pub fn parameters(mut self, count: u64) -> Self {
        self.parameters = count;
        self
    }

    fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        sizes.join("×")
    }

    /// The lines under the picture, with their classes.
    fn captions(&self, width: f64) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let mut add = |class: &'static str, words: &str, lines: usize| {
            let broken = wrap(words, SMALL, width, lines);
            out.extend(broken.into_iter().map(|line| (class, line)));
        };
        add("small mid bold", &self.name, 2);
        add("small mid quiet", &self.detail, 2);
        add("small mid quiet", &self.shape_text(), 1);
        if self.parameters > 0 {
            let words = format!("{} par.", format::compact(self.parameters as f64));
            add("small mid faint", &words, 1);
        }
        out
    }
}

/// Layers in reading order, as many in a row as fit: maps as stacked sheets, features as columns.
///
/// ```
/// use hw_report::plots::{Layer, LayerDiagram, LayerKind, Plot};
/// let diagram = LayerDiagram::new([
///     Layer::new(LayerKind::Data, "image", &[1, 28, 28]),
///     Layer::new(LayerKind::Convolution, "conv", &[30, 24, 24]).detail("30 at 5×5").parameters(780),
/// ]);
/// assert!(diagram.draw(720.0).body().contains("30×24×24"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDiagram {
    layers: Vec<Layer>,
}

impl LayerDiagram {
    /// A diagram of these layers, in order.
    pub fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self {
            layers: layers.into_iter().collect(),
        }
    }

    /// The width of a layer's place: its widest caption line, within reason.
    fn pitch(&self, width: f64) -> (usize, f64) {
        let words = self.layers.iter().flat_map(|layer| {
            let names = layer.name.split(' ').chain(layer.detail.split(' '));
            let names = names.map(str::to_owned);
            names.chain([layer.shape_text()]).collect::<Vec<_>>()
        });
        let widest = words
            .map(|word| text_width(&word, SMALL))
            .fold(60.0, f64::max);
        let wanted = (widest + 10.0).min(130.0);
        let most = ((width / wanted) as usize).max(1);
        // As many rows as needed, then the layers shared evenly among them.
        let rows = self.layers.len().div_ceil(most).max(1);
        let columns = self.layers.len().div_ceil(rows).max(1);
        (columns, (width / columns as f64).min(150.0))
    }
}

/// The height of the pictures above the captions.
const PICTURE: f64 = 84.0;
const LINE: f64 = 15.0;

impl Plot for LayerDiagram {
    fn draw(&self, width: f64) -> Svg {
        let width = usable(width);
        if self.layers.is_empty() {
            return no_data(width, 100.0);
        }
        let (columns, pitch) = self.pitch(width);
        let largest = self.layers.iter().filter(|layer| layer.shape.len() == 3);
        let largest = largest
            .map(|layer| layer.shape[1].max(layer.shape[2]))
            .max();
        let largest = largest.unwrap_or(1).max(1) as f64;
        let mut out = Vec::new();
        let mut top = 0.0;
        for (row, layers) in self.layers.chunks(columns).enumerate() {
            let mut lines = 0;
            for (column, layer) in layers.iter().enumerate() {
                let center = pitch * (column as f64 + 0.5);
                if row + column > 0 {
                    // A row that goes on from the one above starts with an arrow at the edge.
                    let x = (center - pitch / 2.0).max(7.0);
                    out.push(arrow(x, top + PICTURE / 2.0));
                }
                out.extend(picture(layer, center, top + PICTURE / 2.0, largest));
                let captions = layer.captions(pitch - 6.0);
                for (line, (class, words)) in captions.iter().enumerate() {
                    let y = top + PICTURE + 14.0 + LINE * line as f64;
                    out.push(text(center, y, class, words));
                }
                lines = lines.max(captions.len());
            }
            top += PICTURE + LINE * lines as f64 + 22.0;
        }
        Svg::new(pitch * columns as f64, top - 10.0, out)
    }
}

fn arrow(x: f64, y: f64) -> Element {
    let mut data = PathData::new();
    data.move_to(x - 6.0, y);
    data.line_to(x + 5.0, y);
    data.move_to(x + 1.0, y - 4.0);
    data.line_to(x + 5.0, y);
    data.line_to(x + 1.0, y + 4.0);
    path(&data, "arrow")
}

/// Sheets for maps, a column of cells for features.
fn picture(layer: &Layer, x: f64, y: f64, largest: f64) -> Vec<Element> {
    let class = layer.kind.class();
    let sheet = format!("{class} sheet");
    let tint = format!("{class} tint");
    match layer.shape[..] {
        [channels, height, width] => {
            // The square root lets a 4×4 map still be seen beside a 224×224 image.
            let scale = |size: usize| 8.0 + 42.0 * (size as f64 / largest).sqrt();
            let (wide, high) = (scale(width), scale(height));
            let sheets = match channels {
                0 | 1 => 1,
                2..=7 => 3,
                8..=63 => 4,
                _ => 5,
            };
            let offset = 4.0;
            let spread = offset * f64::from(sheets - 1);
            let (left, top) = (x - (wide + spread) / 2.0, y - (high - spread) / 2.0);
            (0..sheets)
                .rev()
                .flat_map(|index| {
                    let shift = offset * f64::from(index);
                    let at = |class: &str| rect(left + shift, top - shift, wide, high, class);
                    [at(&sheet), at(&tint)]
                })
                .collect()
        }
        [features] => {
            let cells = (features.clamp(1, 4096) as f64)
                .log2()
                .ceil()
                .clamp(3.0, 10.0);
            let high = cells * 7.0;
            let (left, top) = (x - 5.0, y - high / 2.0);
            let mut cuts = PathData::new();
            for cell in 1..cells as usize {
                cuts.move_to(left, top + 7.0 * cell as f64);
                cuts.line_to(left + 10.0, top + 7.0 * cell as f64);
            }
            vec![
                rect(left, top, 10.0, high, &sheet),
                rect(left, top, 10.0, high, &tint),
                path(&cuts, &sheet),
            ]
        }
        _ => vec![
            rect(x - 22.0, y - 16.0, 44.0, 32.0, &sheet).num("rx", 3.0),
            rect(x - 22.0, y - 16.0, 44.0, 32.0, &tint).num("rx", 3.0),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plots::{NARROW, WIDE};

    #[test]
    fn layers_wrap_into_rows_that_fit_the_page() {
        let layers = (0..20).map(|_| Layer::new(LayerKind::Dense, "affine", &[100]));
        let diagram = LayerDiagram::new(layers);
        let (wide, narrow) = (diagram.draw(WIDE), diagram.draw(NARROW));
        assert!(wide.width() <= WIDE + 1.0 && narrow.width() <= NARROW + 1.0);
        assert!(narrow.height() > wide.height());
    }

    #[test]
    fn strange_shapes_are_drawn_as_boxes() {
        for shape in [&[][..], &[0], &[0, 0, 0], &[1, 2], &[usize::MAX; 3]] {
            LayerDiagram::new([Layer::new(LayerKind::Data, "x".repeat(500), shape)]).draw(NARROW);
        }
        assert!(LayerDiagram::new([]).draw(WIDE).body().contains("no data"));
    }
}
