//! What a report consists of: one model, from which both HTML and Markdown are rendered.

use crate::answer::Answer;
use crate::badge::BadgeKind;
use crate::plots::Plot;
use crate::svg::Svg;

/// A whole report: one page of HTML, or one Markdown file with its figures beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The page's heading and the browser tab's name.
    pub title: String,
    /// One line under the title; empty for none.
    pub subtitle: String,
    /// What a reader must know before anything else ("synthetic data", say): stands above the title.
    pub banner: Option<Notice>,
    /// What stands before the first section.
    pub lead: Vec<Block>,
    /// The sections, in order; the table of contents is made from them.
    pub sections: Vec<Section>,
    /// Where the numbers come from: machine, versions, command. The last line of the page.
    pub footer: Text,
}

/// A part of the report with a heading, an anchor and its own place in the table of contents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The anchor others link to as `#id`; made from the title where empty, and made unique.
    pub id: String,
    /// The heading.
    pub title: String,
    /// What stands under the heading.
    pub blocks: Vec<Block>,
    /// Sections one level deeper.
    pub subsections: Vec<Section>,
}

impl Section {
    /// A section whose anchor is made from its title.
    pub fn new(title: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self {
            title: title.into(),
            blocks,
            ..Self::default()
        }
    }

    /// The same section under an anchor of your choice.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The same section with these below it.
    pub fn with_subsections(mut self, subsections: Vec<Section>) -> Self {
        self.subsections = subsections;
        self
    }
}

/// One thing on the page, from margin to margin.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Running text.
    Paragraph(Text),
    /// How many claims got which verdict: what a reader wants to know first.
    Answer(Answer),
    /// A remark set apart from the running text.
    Notice(Notice),
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// The few numbers that matter most, large.
    KeyFigures(Vec<KeyFigure>),
    /// A list.
    List {
        /// Whether the items are numbered.
        ordered: bool,
        /// The items.
        items: Vec<Text>,
    },
    /// Verbatim lines, such as a command.
    Code(String),
    /// Blocks behind a summary line that opens them.
    Details {
        /// The line that is always seen.
        summary: Text,
        /// What it opens.
        blocks: Vec<Block>,
    },
    /// Figures side by side ("theirs", "ours"); one below the other on a phone.
    Columns(Vec<Figure>),
}

impl Block {
    /// Running text.
    pub fn paragraph(text: impl Into<Text>) -> Self {
        Self::Paragraph(text.into())
    }

    /// A remark set apart.
    pub fn notice(kind: NoticeKind, text: impl Into<Text>) -> Self {
        Self::Notice(Notice::new(kind, text))
    }

    /// Blocks behind a summary line.
    pub fn details(summary: impl Into<Text>, blocks: Vec<Block>) -> Self {
        Self::Details {
            summary: summary.into(),
            blocks,
        }
    }
}

/// A remark set apart from the running text.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// How it is to be taken.
    pub kind: NoticeKind,
    /// What it says.
    pub text: Text,
}

impl Notice {
    /// A remark of this kind.
    pub fn new(kind: NoticeKind, text: impl Into<Text>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

/// How a [`Notice`] is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Good to know.
    Info,
    /// Something is wrong or may mislead.
    Warning,
    /// The results come from generated, not from real, data.
    Synthetic,
}

impl NoticeKind {
    /// The words it is announced with.
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "Note",
            Self::Warning => "Warning",
            Self::Synthetic => "Synthetic data",
        }
    }
}

/// A line of text with emphasis, code, links and badges. Whatever characters it holds, they are
/// shown, never interpreted.
///
/// ```
/// use hw_report::{BadgeKind, Text};
/// let text = Text::from("Claim 1: ").badge(BadgeKind::Good, "reproduced").plain(" in 3 of 3 seeds");
/// assert_eq!(text.to_plain(), "Claim 1: reproduced in 3 of 3 seeds");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text(pub Vec<Inline>);

/// A piece of [`Text`].
#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    /// As it is.
    Plain(String),
    /// Important.
    Strong(String),
    /// Stressed.
    Emphasis(String),
    /// A name or command to be typed.
    Code(String),
    /// A link inside the report or to a file beside it.
    Link {
        /// What is shown.
        text: String,
        /// A relative path or `#anchor`. A target with a scheme or host is not linked, only shown.
        href: String,
    },
    /// A verdict.
    Badge {
        /// Its color and sign.
        kind: BadgeKind,
        /// Its words.
        text: String,
    },
}

impl Text {
    /// No text yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Continues as it is.
    pub fn plain(self, text: impl Into<String>) -> Self {
        self.push(Inline::Plain(text.into()))
    }

    /// Continues with important words.
    pub fn strong(self, text: impl Into<String>) -> Self {
        self.push(Inline::Strong(text.into()))
    }

    /// Continues with stressed words.
    pub fn emphasis(self, text: impl Into<String>) -> Self {
        self.push(Inline::Emphasis(text.into()))
    }

    /// Continues with something to be typed.
    pub fn code(self, text: impl Into<String>) -> Self {
        self.push(Inline::Code(text.into()))
    }

    /// Continues with a link to a relative path or `#anchor`.
    pub fn link(self, text: impl Into<String>, href: impl Into<String>) -> Self {
        self.push(Inline::Link {
            text: text.into(),
            href: href.into(),
        })
    }

    /// Continues with a verdict.
    pub fn badge(self, kind: BadgeKind, text: impl Into<String>) -> Self {
        self.push(Inline::Badge {
            kind,
            text: text.into(),
        })
    }

    /// The words alone.
    pub fn to_plain(&self) -> String {
        self.0.iter().map(Inline::words).collect()
    }

    fn push(mut self, inline: Inline) -> Self {
        self.0.push(inline);
        self
    }
}

impl Inline {
    /// What is read, whatever its form.
    pub fn words(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Strong(text) | Self::Emphasis(text) | Self::Code(text) => {
                text
            }
            Self::Link { text, .. } | Self::Badge { text, .. } => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new().plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new().plain(text)
    }
}

impl From<Inline> for Text {
    fn from(inline: Inline) -> Self {
        Self(vec![inline])
    }
}

impl From<Vec<Inline>> for Text {
    fn from(inlines: Vec<Inline>) -> Self {
        Self(inlines)
    }
}

/// One of the few numbers that matter most.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFigure {
    /// What it counts or measures.
    pub label: String,
    /// The number as it is to be read: "99.22 %", "14 of 17".
    pub value: String,
    /// Its scale, spread or comparison, small.
    pub detail: Text,
}

impl KeyFigure {
    /// A number with its label and the small print.
    pub fn new(
        label: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<Text>,
    ) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
            detail: detail.into(),
        }
    }
}

/// A table. Rows may be shorter than the columns (padded) or hold a single cell of kind
/// [`RowKind::Header`] (a heading across the table).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The anchor others link to as `#id`; none where empty.
    pub id: String,
    /// What it shows; stands above it.
    pub caption: Text,
    /// The scale of all its numbers (images, epochs, seeds) in one line under the caption.
    pub scale: Option<Text>,
    /// The columns; the first one names the row.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The small print under it.
    pub notes: Vec<Text>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(caption: impl Into<Text>, columns: Vec<Column>) -> Self {
        Self {
            caption: caption.into(),
            columns,
            ..Self::default()
        }
    }

    /// The same table under an anchor.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The same table with one more row.
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(Row::new(cells));
        self
    }

    /// The same table with the scale of all its numbers in one line under the caption.
    pub fn scale(mut self, text: impl Into<Text>) -> Self {
        self.scale = Some(text.into());
        self
    }

    /// The same table with one more line of small print.
    pub fn note(mut self, text: impl Into<Text>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Columns needed: those declared, or more where a row has more cells.
    pub(crate) fn width(&self) -> usize {
        let widest = self.rows.iter().map(|row| row.cells.len()).max();
        widest.unwrap_or(0).max(self.columns.len())
    }
}

/// A column of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// How its cells are aligned.
    pub align: Align,
    /// The unit of its numbers, small under the heading; empty for none.
    pub unit: String,
    /// A small drawing in the heading, such as the axis that the figures of its cells share.
    pub figure: Option<CellFigure>,
}

impl Column {
    /// A column of words.
    pub fn text(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// A column of numbers, aligned on the right.
    pub fn number(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            align: Align::Right,
            ..Self::default()
        }
    }

    /// The same column with a unit.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// The same column with a small drawing in its heading.
    pub fn figure(mut self, figure: CellFigure) -> Self {
        self.figure = Some(figure);
        self
    }
}

/// How a column is aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Words.
    #[default]
    Left,
    /// Signs.
    Center,
    /// Numbers.
    Right,
}

/// A row of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The cells, one per column.
    pub cells: Vec<Cell>,
    /// Its role.
    pub kind: RowKind,
    /// The line that opens [`details`](Self::details); "Details" where empty.
    pub summary: Text,
    /// What is folded away under the row; nothing where empty.
    pub details: Vec<Block>,
}

impl Row {
    /// A row of these cells.
    pub fn new(cells: Vec<Cell>) -> Self {
        Self {
            cells,
            ..Self::default()
        }
    }

    /// The same row with another role.
    pub fn kind(mut self, kind: RowKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same row with blocks folded away under it, behind a line that opens them.
    pub fn details(mut self, summary: impl Into<Text>, blocks: Vec<Block>) -> Self {
        self.summary = summary.into();
        self.details = blocks;
        self
    }

    /// The line that opens the details.
    pub(crate) fn details_summary(&self) -> Text {
        if self.summary.to_plain().is_empty() {
            Text::from("Details")
        } else {
            self.summary.clone()
        }
    }
}

/// The role of a [`Row`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowKind {
    /// A heading inside the table; with one cell it spans all columns.
    Header,
    /// A row like any other.
    #[default]
    Normal,
    /// The row the reader should find first.
    Emphasized,
}

/// A cell of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Its content.
    pub text: Text,
    /// A second, small line: scale, seeds, what was shrunk.
    pub detail: Option<Text>,
    /// Small drawings under the content, one below the other.
    pub figures: Vec<CellFigure>,
}

impl Cell {
    /// A cell with this content.
    pub fn new(text: impl Into<Text>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same cell with one more small drawing.
    pub fn figure(mut self, figure: CellFigure) -> Self {
        self.figures.push(figure);
        self
    }

    /// The same cell with a small second line.
    pub fn detail(mut self, text: impl Into<Text>) -> Self {
        self.detail = Some(text.into());
        self
    }
}

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A small drawing in a table's cell. Markdown and screen readers get its words instead.
#[derive(Clone, Debug, PartialEq)]
pub struct CellFigure {
    /// What part of the cell it shows, small above it; empty for none.
    pub label: String,
    /// The drawing; scaled down where the column is narrower.
    pub svg: Svg,
    /// The same in words: "reported +1.58, ours +4.0 [+3.6, +4.4] points".
    pub words: String,
    /// Whether the words are also seen, small under the drawing.
    pub captioned: bool,
}

impl CellFigure {
    /// A drawing and the same in words.
    pub fn new(svg: Svg, words: impl Into<String>) -> Self {
        Self {
            label: String::new(),
            svg,
            words: words.into(),
            captioned: false,
        }
    }

    /// The same drawing with a small label above it.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same drawing with its words seen under it.
    pub fn captioned(mut self) -> Self {
        self.captioned = true;
        self
    }
}

/// A figure with what it shows in words, for those who do not see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The anchor others link to as `#id`, and the name of its file beside the Markdown.
    pub id: String,
    /// What the reader is to see in it; stands under it.
    pub caption: Text,
    /// What it shows, for screen readers and where pictures are off.
    pub alt: String,
    /// The drawing for a page's full width.
    pub svg: Svg,
    /// The same drawn for a phone's width or half a page; [`svg`](Self::svg) shrunk where `None`.
    pub narrow: Option<Svg>,
}

impl Figure {
    /// A plot drawn twice, for the page's full width and for a phone's, so that its text is
    /// readable on both.
    pub fn new(
        id: impl Into<String>,
        caption: impl Into<Text>,
        alt: impl Into<String>,
        plot: &dyn Plot,
    ) -> Self {
        let svg = plot.draw(crate::plots::WIDE);
        let narrow = Some(plot.draw(crate::plots::NARROW)).filter(|narrow| *narrow != svg);
        Self {
            id: id.into(),
            caption: caption.into(),
            alt: alt.into(),
            svg,
            narrow,
        }
    }
}
