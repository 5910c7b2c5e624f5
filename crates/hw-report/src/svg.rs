//! A small SVG builder: elements that cannot be malformed, and the finished [`Svg`].
//!
//! Why not the `plotters` crate: its SVG backend writes fixed colors and pixel sizes, so dark mode,
//! classes, halos behind labels, labels at line ends, and one layout for a page and another for a
//! phone would all be work against it, and what it would leave us, axes and ticks, is one short
//! file (`plots/axis.rs`). Colors here are CSS variables: one drawing serves light and dark.

use crate::escape;
use std::fmt::Write as _;

/// The colors of light and dark, shared by page and drawings.
pub(crate) const PALETTE_CSS: &str = include_str!("style/palette.css");
/// How the classes of a drawing look.
pub(crate) const PLOT_CSS: &str = include_str!("style/plot.css");

/// A finished drawing. Its content comes from [`Element`]s only, so it is well-formed, free of
/// scripts and outside addresses, and free of ids (several can stand on one page).
#[derive(Clone, Debug, PartialEq)]
pub struct Svg {
    width: f64,
    height: f64,
    rigid: bool,
    body: String,
}

impl Svg {
    /// A drawing of this size, in CSS pixels, from its elements.
    pub fn new(width: f64, height: f64, elements: impl IntoIterator<Item = Element>) -> Self {
        let mut body = String::new();
        for element in elements {
            element.write(&mut body);
        }
        let size = |value: f64| {
            if value.is_finite() {
                value.clamp(1.0, 20_000.0).ceil()
            } else {
                1.0
            }
        };
        Self {
            width: size(width),
            height: size(height),
            rigid: false,
            body,
        }
    }

    /// The same drawing, never shrunk below its size: a narrow page scrolls it sideways instead.
    pub fn rigid(mut self) -> Self {
        self.rigid = true;
        self
    }

    /// Whether it must not be shrunk.
    pub(crate) fn is_rigid(&self) -> bool {
        self.rigid
    }

    /// Natural width in CSS pixels.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Natural height in CSS pixels.
    pub fn height(&self) -> f64 {
        self.height
    }

    /// The elements, as written.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// For inside an HTML page that carries the plot style; `class` is put beside `plot`.
    pub(crate) fn to_inline(&self, class: &str, alt: &str) -> String {
        let least = if self.rigid {
            format!(";min-width:{}px", number(self.width))
        } else {
            String::new()
        };
        format!(
            "<svg class=\"plot{}{}\" viewBox=\"0 0 {w} {h}\" style=\"max-width:{}px{least}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            if class.is_empty() { "" } else { " " },
            class,
            number(self.width * 1.15),
            escape::html(alt),
            self.body,
            w = number(self.width),
            h = number(self.height),
        )
    }

    /// For a cell of an HTML table, which gives it its width; without words where others say what
    /// it shows.
    pub(crate) fn to_cell(&self, alt: Option<&str>) -> String {
        let spoken = match alt {
            Some(alt) => format!("role=\"img\" aria-label=\"{}\"", escape::html(alt)),
            None => "aria-hidden=\"true\"".to_owned(),
        };
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {} {}\" {spoken}>{}</svg>",
            number(self.width),
            number(self.height),
            self.body,
        )
    }

    /// A file of its own: carries its style for light and dark, and its own background.
    pub fn to_standalone(&self, alt: &str) -> String {
        let margin = 12.0;
        let (width, height) = (self.width + 2.0 * margin, self.height + 2.0 * margin);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{w}\" height=\"{h}\" viewBox=\"{m} {m} {w} {h}\" role=\"img\">\n<title>{}</title>\n<style>{PALETTE_CSS}{PLOT_CSS}</style>\n<rect class=\"page\" x=\"{m}\" y=\"{m}\" width=\"{w}\" height=\"{h}\" rx=\"6\"/>{}</svg>\n",
            escape::html(alt),
            self.body,
            w = number(width),
            h = number(height),
            m = number(-margin),
        )
    }
}

/// One SVG element; whatever text or number it is given, it stays well-formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    name: &'static str,
    attributes: String,
    content: String,
}

impl Element {
    /// An element of this name without attributes.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: String::new(),
            content: String::new(),
        }
    }

    /// Adds an attribute.
    pub fn attr(mut self, name: &'static str, value: &str) -> Self {
        let _ = write!(self.attributes, " {name}=\"{}\"", escape::html(value));
        self
    }

    /// Adds a number, rounded to a hundredth; 0 where it is not finite.
    pub fn num(self, name: &'static str, value: f64) -> Self {
        self.attr(name, &number(value))
    }

    /// Sets the classes that give the element its look (`style/plot.css`).
    pub fn class(self, classes: &str) -> Self {
        self.attr("class", classes)
    }

    /// Adds text.
    pub fn text(mut self, text: &str) -> Self {
        self.content.push_str(&escape::html(text));
        self
    }

    /// Adds what a pointer resting on the element is shown.
    pub fn tooltip(self, text: &str) -> Self {
        self.child(Element::new("title").text(text))
    }

    /// Adds an element inside this one.
    pub fn child(mut self, child: Element) -> Self {
        child.write(&mut self.content);
        self
    }

    /// Adds elements inside this one.
    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        for child in children {
            child.write(&mut self.content);
        }
        self
    }

    fn write(&self, out: &mut String) {
        let _ = if self.content.is_empty() {
            write!(out, "<{}{}/>", self.name, self.attributes)
        } else {
            write!(
                out,
                "<{name}{}>{}</{name}>",
                self.attributes,
                self.content,
                name = self.name
            )
        };
    }
}

/// A straight line.
pub fn line(x1: f64, y1: f64, x2: f64, y2: f64, class: &str) -> Element {
    Element::new("line")
        .class(class)
        .num("x1", x1)
        .num("y1", y1)
        .num("x2", x2)
        .num("y2", y2)
}

/// A rectangle.
pub fn rect(x: f64, y: f64, width: f64, height: f64, class: &str) -> Element {
    Element::new("rect")
        .class(class)
        .num("x", x)
        .num("y", y)
        .num("width", width.max(0.0))
        .num("height", height.max(0.0))
}

/// A circle.
pub fn circle(x: f64, y: f64, radius: f64, class: &str) -> Element {
    Element::new("circle")
        .class(class)
        .num("cx", x)
        .num("cy", y)
        .num("r", radius.max(0.0))
}

/// A path from SVG path data made by [`PathData`].
pub fn path(data: &PathData, class: &str) -> Element {
    Element::new("path").class(class).attr("d", &data.0)
}

/// Text; classes `end` and `mid` anchor it at its end or middle instead of its start.
pub fn text(x: f64, y: f64, class: &str, words: &str) -> Element {
    Element::new("text")
        .class(class)
        .num("x", x)
        .num("y", y)
        .text(words)
}

/// A group whose content is cut off outside a rectangle, in the coordinates of its parent.
pub fn clipped(
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    content: impl IntoIterator<Item = Element>,
) -> Element {
    // A nested svg clips by itself; a clipPath would need an id unique on the page.
    let view = [x, y, width.max(1.0), height.max(1.0)].map(number);
    Element::new("svg")
        .attr("x", &view[0])
        .attr("y", &view[1])
        .attr("width", &view[2])
        .attr("height", &view[3])
        .attr("viewBox", &view.join(" "))
        .children(content)
}

/// SVG path data under construction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathData(String);

impl PathData {
    /// An empty path.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new part at a point.
    pub fn move_to(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "M{} {}", number(x), number(y));
    }

    /// Draws a straight line to a point.
    pub fn line_to(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "L{} {}", number(x), number(y));
    }

    /// A closed square with its corner at a point.
    pub fn square(&mut self, x: f64, y: f64, side: f64) {
        let side = number(side);
        let _ = write!(
            self.0,
            "M{} {}h{side}v{side}h-{side}z",
            number(x),
            number(y)
        );
    }

    /// A closed part through these corners.
    pub fn polygon(corners: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut data = Self::new();
        for (index, (x, y)) in corners.into_iter().enumerate() {
            if index == 0 {
                data.move_to(x, y);
            } else {
                data.line_to(x, y);
            }
        }
        data.close();
        data
    }

    /// Closes the part.
    pub fn close(&mut self) {
        self.0.push('Z');
    }

    /// Whether nothing was drawn.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A coordinate: at most two decimals, no trailing zeros, always finite.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{:.2}", value.clamp(-1e7, 1e7));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// How wide a text is about to be in a sans-serif system font of `size` pixels. The fonts differ
/// from machine to machine; this is the width in Helvetica with a margin for wider ones.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(character_width).sum::<f64>() * size * 1.06
}

/// As [`text_width`], for text in bold.
pub(crate) fn bold_width(text: &str, size: f64) -> f64 {
    text_width(text, size) * 1.16
}

fn character_width(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' | ' ' | 'I' => 0.28,
        'f' | 't' | 'r' | '-' | '/' | '·' | '"' | '\u{202f}' => 0.34,
        '(' | ')' | '[' | ']' => 0.37,
        '0'..='9' => 0.6,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' | '…' => 0.88,
        '±' | '×' | '≈' | '→' | '−' | '<' | '>' | '=' | '+' => 0.79,
        'A'..='Z' | '&' => 0.69,
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' => 0.0,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{ffef}' | '\u{1f000}'.. => 1.0,
        _ => 0.56,
    }
}

/// The text, cut with an ellipsis where it would be wider than `available`.
pub fn ellipsis(text: &str, size: f64, available: f64) -> String {
    let text = escape::one_line(text);
    if text_width(&text, size) <= available {
        return text;
    }
    let room = available - text_width("…", size);
    let mut used = 0.0;
    let mut out = String::new();
    for character in text.chars() {
        used += text_width(character.encode_utf8(&mut [0; 4]), size);
        if used > room {
            break;
        }
        out.push(character);
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// The text broken at spaces into at most `lines` lines; what is left over is cut with an ellipsis.
pub fn wrap(text: &str, size: f64, available: f64, lines: usize) -> Vec<String> {
    let text = escape::one_line(text);
    let mut out: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let joined = match out.last() {
            Some(last) => format!("{last} {word}"),
            None => word.to_owned(),
        };
        let fits = text_width(&joined, size) <= available;
        let full = out.len() == lines;
        match out.last_mut() {
            Some(last) if fits || full => *last = joined,
            _ => out.push(word.to_owned()),
        }
    }
    out.iter()
        .map(|line| ellipsis(line, size, available))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_finite() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.3456), "12.35");
        assert_eq!(number(f64::NAN), "0");
        assert_eq!(number(f64::INFINITY), "0");
    }

    #[test]
    fn a_huge_label_is_cut_to_its_room() {
        let label = ellipsis(&"wide ".repeat(100), 12.0, 100.0);
        assert!(
            label.ends_with('…') && text_width(&label, 12.0) <= 100.0,
            "{label}"
        );
        assert_eq!(ellipsis("short", 12.0, 100.0), "short");
        assert_eq!(ellipsis("anything", 12.0, -5.0), "…");
    }

    #[test]
    fn wrapping_keeps_every_word_that_has_room() {
        assert_eq!(
            wrap("true 4, said 9, 98 %", 11.0, 70.0, 3),
            ["true 4, said", "9, 98 %"]
        );
        let cut = wrap("one two three four five six", 11.0, 40.0, 2);
        assert_eq!(cut.len(), 2);
        assert!(cut[1].ends_with('…'), "{cut:?}");
        assert!(wrap("", 11.0, 40.0, 2).is_empty());
    }

    #[test]
    fn an_element_cannot_be_broken_by_its_content() {
        let svg = Svg::new(
            10.0,
            10.0,
            [text(
                0.0,
                f64::NAN,
                "a\"b",
                "</text><script>alert(1)</script>\u{0}",
            )
            .tooltip("<![CDATA[")],
        );
        let file = svg.to_standalone("\"><script>");
        let parsed = roxmltree::Document::parse(&file).unwrap();
        assert!(!parsed.descendants().any(|node| node.has_tag_name("script")));
    }
}
