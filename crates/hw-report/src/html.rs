//! A document as one HTML file that needs nothing else: no script, no font, no outside address.

use crate::answer::Answer;
use crate::badge::BadgeKind;
use crate::document::{
    Align, Block, Cell, CellFigure, Column, Document, Figure, Inline, KeyFigure, Notice,
    NoticeKind, Row, RowKind, Section, Table, Text,
};
use crate::escape;
use crate::ids::{Ids, Outline};
use crate::svg::{PALETTE_CSS, PLOT_CSS, Svg};
use std::fmt::Write as _;

const PAGE_CSS: &str = include_str!("style/page.css");

/// The document as a page. The same document always gives the same bytes.
pub fn to_html(document: &Document) -> String {
    let mut ids = Ids::default();
    let outline = Outline::of(document, &mut ids);
    let mut page = Page {
        ids,
        outline: outline.clone(),
        next_section: 0,
        out: String::new(),
    };
    page.head(document);
    page.put("<body>\n");
    page.sidebar();
    page.put("<main>\n");
    page.opening(document);
    for section in &document.sections {
        page.section(section, 2);
    }
    if !document.footer.is_empty() {
        page.put(&format!("<footer>{}</footer>\n", rich(&document.footer)));
    }
    page.put("</main>\n</body>\n</html>\n");
    page.out
}

struct Page {
    ids: Ids,
    outline: Outline,
    next_section: usize,
    out: String,
}

impl Page {
    fn put(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn head(&mut self, document: &Document) {
        // The policy makes "no outside address, no script" a promise the browser keeps.
        self.put(&format!("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{PALETTE_CSS}{PAGE_CSS}{PLOT_CSS}</style>\n</head>\n",
            escape::html(&document.title)));
    }

    fn contents(&self) -> String {
        let mut out = String::from("<ol>");
        let mut depth = 0;
        for (index, entry) in self.outline.entries.iter().enumerate() {
            match entry.depth.cmp(&depth) {
                std::cmp::Ordering::Greater => out.push_str("<ol>"),
                std::cmp::Ordering::Equal if index > 0 => out.push_str("</li>"),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Less => {
                    out.push_str(&"</li></ol>".repeat(depth - entry.depth));
                    out.push_str("</li>");
                }
            }
            depth = entry.depth;
            let title = escape::html(&entry.title);
            let _ = write!(out, "<li><a href=\"#{}\">{title}</a>", entry.id);
        }
        out.push_str(&"</li></ol>".repeat(depth + 1));
        out
    }

    /// The contents beside the page, where there is room for them.
    fn sidebar(&mut self) {
        if self.outline.entries.len() > 1 {
            let contents = self.contents();
            self.put(&format!(
                "<nav class=\"side\" aria-label=\"Contents\">{contents}</nav>\n"
            ));
        }
    }

    fn opening(&mut self, document: &Document) {
        self.put("<header>\n");
        if let Some(banner) = &document.banner {
            self.notice(banner);
        }
        self.put(&format!("<h1>{}</h1>\n", escape::html(&document.title)));
        if !document.subtitle.is_empty() {
            let subtitle = escape::html(&document.subtitle);
            self.put(&format!("<p class=\"subtitle\">{subtitle}</p>\n"));
        }
        self.put("</header>\n");
        self.blocks(&document.lead);
        if self.outline.entries.len() > 1 {
            let contents = self.contents();
            self.put(&format!("<details class=\"contents\"><summary>Contents</summary><nav aria-label=\"Contents\">{contents}</nav></details>\n"));
        }
    }

    fn section(&mut self, section: &Section, level: usize) {
        let id = self.outline.entries[self.next_section].id.clone();
        self.next_section += 1;
        let heading = level.min(6);
        let title = escape::html(&section.title);
        self.put(&format!("<section id=\"{id}\">\n<h{heading}>{title} <a class=\"anchor\" href=\"#{id}\" aria-label=\"Link to this section\">#</a></h{heading}>\n"));
        self.blocks(&section.blocks);
        for subsection in &section.subsections {
            self.section(subsection, level + 1);
        }
        self.put("</section>\n");
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(text) => {
                self.put(&format!("<p>{}</p>\n", rich(text)));
            }
            Block::Answer(answer) => self.answer(answer),
            Block::Notice(notice) => self.notice(notice),
            Block::Table(table) => self.table(table),
            Block::Figure(figure) => self.figure(figure),
            Block::KeyFigures(figures) => self.key_figures(figures),
            Block::List { ordered, items } => self.list(*ordered, items),
            Block::Code(code) => {
                let code = escape::html(code);
                self.put(&format!("<pre tabindex=\"0\"><code>{code}</code></pre>\n"));
            }
            Block::Details { summary, blocks } => self.details(summary, blocks),
            Block::Columns(figures) => {
                self.put("<div class=\"columns\">\n");
                for figure in figures {
                    self.figure(figure);
                }
                self.put("</div>\n");
            }
        }
    }

    fn details(&mut self, summary: &Text, blocks: &[Block]) {
        let summary = rich(summary);
        self.put(&format!("<details><summary>{summary}</summary>\n<div>\n"));
        self.blocks(blocks);
        self.put("</div></details>\n");
    }

    fn answer(&mut self, answer: &Answer) {
        self.put("<div class=\"answer\">\n");
        if !answer.title.is_empty() {
            let title = rich(&answer.title);
            self.put(&format!("<p class=\"title\">{title}</p>\n"));
        }
        let sentence = rich(&answer.sentence);
        self.put(&format!("<p class=\"sentence\">{sentence}</p>\n"));
        if !answer.counts().is_empty() {
            let words = escape::html(&answer.bar_words());
            self.put(&format!(
                "<div class=\"tally\" role=\"img\" aria-label=\"{words}\">"
            ));
            for (kind, count) in answer.counts() {
                let (class, sign) = (kind.class(), sign(*kind));
                self.put(&format!(
                    "<span class=\"{class}\" style=\"flex-grow:{count}\">{sign}{count}</span>"
                ));
            }
            self.put("</div>\n");
        }
        if !answer.note.is_empty() {
            let note = rich(&answer.note);
            self.put(&format!("<p class=\"notes\">{note}</p>\n"));
        }
        self.put("</div>\n");
    }

    fn notice(&mut self, notice: &Notice) {
        let class = match notice.kind {
            NoticeKind::Info => "info",
            NoticeKind::Warning => "warning",
            NoticeKind::Synthetic => "synthetic",
        };
        self.put(&format!(
            "<aside class=\"notice {class}\"><p><strong>{}.</strong> {}</p></aside>\n",
            notice.kind.label(),
            rich(&notice.text)
        ));
    }

    fn key_figures(&mut self, figures: &[KeyFigure]) {
        self.put("<dl class=\"key\">\n");
        for figure in figures {
            self.put(&format!(
                "<div><dt>{}</dt><dd class=\"value\">{}</dd>",
                escape::html(&figure.label),
                escape::html(&figure.value)
            ));
            if !figure.detail.is_empty() {
                self.put(&format!("<dd>{}</dd>", rich(&figure.detail)));
            }
            self.put("</div>\n");
        }
        self.put("</dl>\n");
    }

    fn list(&mut self, ordered: bool, items: &[Text]) {
        let tag = if ordered { "ol" } else { "ul" };
        self.put(&format!("<{tag}>\n"));
        for item in items {
            self.put(&format!("<li>{}</li>\n", rich(item)));
        }
        self.put(&format!("</{tag}>\n"));
    }

    fn figure(&mut self, figure: &Figure) {
        let id = self.ids.claim(&figure.id, "figure");
        let adaptive = figure.narrow.is_some();
        let class = if adaptive {
            "canvas adaptive"
        } else {
            "canvas"
        };
        let scrolls = figure.svg.is_rigid() || figure.narrow.as_ref().is_some_and(Svg::is_rigid);
        let focus = if scrolls { " tabindex=\"0\"" } else { "" };
        self.put(&format!(
            "<figure id=\"{id}\">\n<div class=\"{class}\"{focus}>"
        ));
        let wide = if adaptive { "wide" } else { "" };
        self.put(&figure.svg.to_inline(wide, &figure.alt));
        if let Some(narrow) = &figure.narrow {
            self.put(&narrow.to_inline("narrow", &figure.alt));
        }
        self.put("</div>\n");
        if !figure.caption.is_empty() {
            let caption = rich(&figure.caption);
            self.put(&format!("<figcaption>{caption}</figcaption>\n"));
        }
        self.put("</figure>\n");
    }

    fn table(&mut self, table: &Table) {
        let id = if table.id.is_empty() {
            String::new()
        } else {
            format!(" id=\"{}\"", self.ids.claim(&table.id, "table"))
        };
        let fits = if table_width(table) < 640.0 {
            " fits"
        } else {
            ""
        };
        let drawn = (0..table.width()).any(|index| is_drawn(table, index));
        let drawn = if drawn { " drawn" } else { "" };
        self.put(&format!("<div class=\"table{fits}{drawn}\"{id}>\n"));
        // Not a <caption>: that would scroll sideways with a wide table.
        if !table.caption.is_empty() {
            let caption = rich(&table.caption);
            self.put(&format!("<p class=\"caption\">{caption}</p>\n"));
        }
        if let Some(scale) = &table.scale {
            self.put(&format!("<p class=\"scale\">{}</p>\n", rich(scale)));
        }
        let label = escape::html(&table.caption.to_plain());
        self.put(&format!("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\">\n<table aria-label=\"{label}\">\n"));
        let columns = laid_out(table);
        if !table.columns.is_empty() {
            self.put("<thead><tr>");
            for (column, class) in &columns {
                self.heading(column, class);
            }
            self.put("</tr></thead>\n");
        }
        self.put("<tbody>\n");
        for row in &table.rows {
            self.row(row, &columns, !drawn.is_empty());
        }
        self.put("</tbody>\n</table>\n</div>\n");
        if !table.notes.is_empty() {
            self.put("<div class=\"notes\">");
            for note in &table.notes {
                self.put(&format!("<p>{}</p>", rich(note)));
            }
            self.put("</div>\n");
        }
        self.put("</div>\n");
    }

    fn heading(&mut self, column: &Column, class: &str) {
        let title = escape::html(&column.title);
        self.put(&format!("<th scope=\"col\"{class}>{title}"));
        if !column.unit.is_empty() {
            let unit = escape::html(&column.unit);
            self.put(&format!("<small>{unit}</small>"));
        }
        if let Some(figure) = &column.figure {
            self.put(&cell_figure(figure));
        }
        self.put("</th>");
    }

    /// A row; `named` cells carry their column's heading, for where the headings are not shown.
    fn row(&mut self, row: &Row, columns: &[(Column, &str)], named: bool) {
        let folds = !row.details.is_empty();
        let class = match (row.kind, folds) {
            (RowKind::Header, _) => " class=\"group\"",
            (RowKind::Normal, false) => "",
            (RowKind::Normal, true) => " class=\"folds\"",
            (RowKind::Emphasized, false) => " class=\"strong\"",
            (RowKind::Emphasized, true) => " class=\"strong folds\"",
        };
        self.put(&format!("<tr{class}>"));
        let width = columns.len().max(1);
        if let (RowKind::Header, [only]) = (row.kind, &row.cells[..]) {
            let content = cell_content(only);
            self.put(&format!(
                "<th colspan=\"{width}\" scope=\"colgroup\">{content}</th>"
            ));
        } else {
            let empty = Cell::default();
            for (index, (column, class)) in columns.iter().enumerate() {
                let cell = row.cells.get(index).unwrap_or(&empty);
                let content = cell_content(cell);
                let name = match named && cell.figures.is_empty() && !column.title.is_empty() {
                    true => format!(" data-of=\"{}\"", escape::html(&column.title)),
                    false => String::new(),
                };
                self.put(&if index == 0 {
                    format!("<th scope=\"row\"{class}>{content}</th>")
                } else {
                    format!("<td{class}{name}>{content}</td>")
                });
            }
        }
        self.put("</tr>\n");
        if folds {
            self.put(&format!("<tr class=\"more\"><td colspan=\"{width}\">"));
            self.details(&row.details_summary(), &row.details);
            self.put("</td></tr>\n");
        }
    }
}

/// The table's columns, with nameless ones added where a row has more cells, and the class that
/// aligns each. Columns of words are kept from being squeezed to one word a line.
fn laid_out(table: &Table) -> Vec<(Column, &'static str)> {
    let mut columns = table.columns.clone();
    columns.resize(table.width(), Column::default());
    let wordy = |index: usize| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(index));
        let mut lengths = cells.map(|cell| cell.text.to_plain().chars().count());
        lengths.any(|length| length > 14)
    };
    let class = |index: usize, align: Align| match align {
        _ if is_drawn(table, index) => " class=\"f\"",
        Align::Left if wordy(index) => " class=\"w\"",
        Align::Left => "",
        Align::Center => " class=\"c\"",
        Align::Right => " class=\"r\"",
    };
    let laid = columns.into_iter().enumerate();
    laid.map(|(index, column)| {
        let class = class(index, column.align);
        (column, class)
    })
    .collect()
}

/// Whether a column holds drawings.
fn is_drawn(table: &Table, index: usize) -> bool {
    let mut cells = table.rows.iter().filter_map(|row| row.cells.get(index));
    cells.any(|cell| !cell.figures.is_empty())
}

/// About how wide the table wants to be, in CSS pixels: narrow ones need no scrolling on a desk.
fn table_width(table: &Table) -> f64 {
    let width_of = |index: usize| {
        let heading = table.columns.get(index).map(|column| column.title.as_str());
        let cells = table.rows.iter().filter_map(|row| row.cells.get(index));
        let words = cells.map(|cell| {
            let figures = cell.figures.iter().map(|figure| figure.svg.width());
            figures.fold(
                crate::svg::text_width(&cell.text.to_plain(), 15.0),
                f64::max,
            )
        });
        let heading = crate::svg::text_width(heading.unwrap_or_default(), 13.0);
        // Running text in a cell wraps; only its longest words matter.
        words.fold(heading, f64::max).min(240.0) + 28.0
    };
    (0..table.width()).map(width_of).sum()
}

fn cell_content(cell: &Cell) -> String {
    let mut out = rich(&cell.text);
    if let Some(detail) = &cell.detail {
        // Short small print stays on one line; long small print wraps, but not to single words.
        let long = detail.to_plain().chars().count() > 22;
        let class = if long { " class=\"long\"" } else { "" };
        let _ = write!(out, "<small{class}>{}</small>", rich(detail));
    }
    for figure in &cell.figures {
        out.push_str(&cell_figure(figure));
    }
    out
}

/// A small drawing; its words are either seen or spoken, not both.
fn cell_figure(figure: &CellFigure) -> String {
    let mut out = String::new();
    if !figure.label.is_empty() {
        let label = escape::html(&figure.label);
        let _ = write!(out, "<small class=\"part\">{label}</small>");
    }
    if figure.captioned {
        out.push_str(&figure.svg.to_cell(None));
        let words = escape::html(&unbroken(&figure.words));
        let _ = write!(out, "<small class=\"long\">{words}</small>");
    } else {
        out.push_str(&figure.svg.to_cell(Some(&figure.words)));
    }
    out
}

/// Words that a line may only end in after a comma outside of brackets, so that a value keeps its
/// interval and its unit beside it.
fn unbroken(words: &str) -> String {
    let (mut depth, mut before) = (0i32, ' ');
    words
        .chars()
        .map(|character| {
            match character {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            let breaks = before == ',' && depth <= 0;
            before = character;
            if character == ' ' && !breaks {
                '\u{a0}'
            } else {
                character
            }
        })
        .collect()
}

/// How the sign of a badge is put on the page.
#[derive(Clone, Copy)]
pub(crate) enum Signs {
    /// As a drawing: fonts differ in which signs they have.
    Drawn,
    /// As a character: inside Markdown, where drawings are taken out.
    Typed,
}

/// Text as HTML for the page.
fn rich(text: &Text) -> String {
    inline(text, Signs::Drawn)
}

/// Text as HTML.
pub(crate) fn inline(text: &Text, signs: Signs) -> String {
    let mut out = String::new();
    for part in &text.0 {
        let words = escape::html(part.words());
        let _ = match part {
            Inline::Plain(_) => write!(out, "{words}"),
            Inline::Strong(_) => write!(out, "<strong>{words}</strong>"),
            Inline::Emphasis(_) => write!(out, "<em>{words}</em>"),
            Inline::Code(_) => write!(out, "<code>{words}</code>"),
            Inline::Link { href, .. } => match escape::relative_href(href) {
                Some(href) => write!(out, "<a href=\"{href}\">{words}</a>"),
                None => write!(out, "{words}"),
            },
            Inline::Badge { kind, .. } => match signs {
                Signs::Drawn => write!(out, "{}", badge(*kind, &words)),
                Signs::Typed => write!(out, "{} {words}", kind.sign()),
            },
        };
    }
    out
}

/// A verdict with its sign drawn.
fn badge(kind: BadgeKind, words: &str) -> String {
    let (class, sign) = (kind.class(), sign(kind));
    format!("<span class=\"badge {class}\">{sign}{words}</span>")
}

/// A verdict's sign as a drawing the size of a letter.
fn sign(kind: BadgeKind) -> String {
    let data = kind.stroke();
    format!("<svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path d=\"{data}\"/></svg>")
}
