//! A document as Markdown (CommonMark with GitHub's tables), its figures as SVG files beside it.

use crate::answer::Answer;
use crate::document::{
    Align, Block, Cell, CellFigure, Document, Figure, Inline, KeyFigure, Notice, Row, RowKind,
    Section, Table, Text,
};
use crate::escape;
use crate::html;
use crate::ids::{Ids, Outline};

/// A Markdown file and the files it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkdownBundle {
    /// The Markdown.
    pub text: String,
    /// Path relative to the Markdown file, and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The document as Markdown with its figures in the folder `figures` beside it (a plain name; other
/// characters are replaced). The same document always gives the same bytes.
pub fn to_markdown(document: &Document, figures: &str) -> MarkdownBundle {
    let mut ids = Ids::default();
    let outline = Outline::of(document, &mut ids);
    let mut writer = Writer {
        ids,
        outline,
        next_section: 0,
        folder: escape::slug(figures),
        out: String::new(),
        files: Vec::new(),
    };
    writer.opening(document);
    for section in &document.sections {
        writer.section(section, 2);
    }
    if !document.footer.is_empty() {
        writer.push("---");
        writer.push(&paragraph(&document.footer));
    }
    MarkdownBundle {
        text: writer.out,
        files: writer.files,
    }
}

struct Writer {
    ids: Ids,
    outline: Outline,
    next_section: usize,
    folder: String,
    out: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Writer {
    /// Adds a block, an empty line after it.
    fn push(&mut self, block: &str) {
        if !block.is_empty() {
            self.out.push_str(block);
            self.out.push_str("\n\n");
        }
    }

    fn opening(&mut self, document: &Document) {
        if let Some(notice) = &document.banner {
            self.notice(notice);
        }
        self.push(&format!("# {}", heading(&document.title)));
        let subtitle = escape::markdown(&document.subtitle);
        self.push(&escape::markdown_block(&subtitle));
        self.blocks(&document.lead);
        if self.outline.entries.len() > 1 {
            let entries = self.outline.entries.iter().map(|entry| {
                let indent = "  ".repeat(entry.depth);
                format!("{indent}- [{}](#{})", heading(&entry.title), entry.id)
            });
            let contents = entries.collect::<Vec<_>>().join("\n");
            self.push(&contents);
        }
    }

    fn section(&mut self, section: &Section, level: usize) {
        let id = self.outline.entries[self.next_section].id.clone();
        self.next_section += 1;
        self.push(&format!("<a id=\"{id}\"></a>"));
        let signs = "#".repeat(level.min(6));
        self.push(&format!("{signs} {}", heading(&section.title)));
        self.blocks(&section.blocks);
        for subsection in &section.subsections {
            self.section(subsection, level + 1);
        }
    }

    fn blocks(&mut self, blocks: &[Block]) {
        let mut after_list = false;
        for block in blocks {
            let list = matches!(block, Block::List { .. });
            if list && after_list {
                // Two lists after each other would otherwise become one.
                self.push("<!-- -->");
            }
            self.block(block);
            after_list = list;
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(text) => self.push(&paragraph(text)),
            Block::Answer(answer) => self.answer(answer),
            Block::Notice(notice) => self.notice(notice),
            Block::Table(table) => self.table(table),
            Block::Figure(figure) => self.figure(figure),
            Block::KeyFigures(figures) => self.key_figures(figures),
            Block::List { ordered, items } => {
                let line = |(index, item): (usize, &Text)| match ordered {
                    true => format!("{}. {}", index + 1, paragraph(item)),
                    false => format!("- {}", paragraph(item)),
                };
                let list = items
                    .iter()
                    .enumerate()
                    .map(line)
                    .collect::<Vec<_>>()
                    .join("\n");
                self.push(&list);
            }
            Block::Code(code) => self.push(&code_block(code)),
            Block::Details { summary, blocks } => self.details(summary, blocks),
            Block::Columns(figures) => self.columns(figures),
        }
    }

    fn details(&mut self, summary: &Text, blocks: &[Block]) {
        let summary = escape::one_line(&html::inline(summary, html::Signs::Typed));
        self.push(&format!("<details>\n<summary>{summary}</summary>"));
        self.blocks(blocks);
        self.push("</details>");
    }

    /// The bar becomes a line of signs, one a claim.
    fn answer(&mut self, answer: &Answer) {
        self.push(&strong(&inline(&answer.title, false)));
        self.push(&paragraph(&answer.sentence));
        self.push(&answer.bar_signs().unwrap_or_default());
        self.push(&paragraph(&answer.note));
    }

    fn notice(&mut self, notice: &Notice) {
        let text = inline(&notice.text, false);
        self.push(format!("> **{}.** {text}", notice.kind.label()).trim_end());
    }

    fn key_figures(&mut self, figures: &[KeyFigure]) {
        if figures.is_empty() {
            return;
        }
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let cells = |cell: fn(&KeyFigure) -> String| figures.iter().map(cell).collect();
        let rows = [
            line(cells(|figure| escape::markdown(&figure.label))),
            line(cells(|_| ":---".to_owned())),
            line(cells(|figure| strong(&escape::markdown(&figure.value)))),
            line(cells(|figure| small(&figure.detail))),
        ];
        self.push(&rows.join("\n"));
    }

    fn table(&mut self, table: &Table) {
        if !table.id.is_empty() {
            let id = self.ids.claim(&table.id, "table");
            self.push(&format!("<a id=\"{id}\"></a>"));
        }
        self.push(&strong(&inline(&table.caption, false)));
        if let Some(scale) = &table.scale {
            self.push(&paragraph(scale));
        }
        let width = table.width();
        if width == 0 {
            return;
        }
        let mut lines = vec![String::from("|"), String::from("|")];
        for index in 0..width {
            let column = table.columns.get(index).cloned().unwrap_or_default();
            let mut title = escape::markdown(&column.title);
            if !column.unit.is_empty() {
                title = format!("{title}<br><sub>{}</sub>", escape::markdown(&column.unit));
            }
            if let Some(figure) = &column.figure {
                title = format!("{title}<br><sub>{}</sub>", escape::markdown(&figure.words));
            }
            lines[0].push_str(&format!(" {title} |"));
            lines[1].push_str(match column.align {
                Align::Left => " :--- |",
                Align::Center => " :---: |",
                Align::Right => " ---: |",
            });
        }
        lines.extend(table.rows.iter().map(|row| table_row(row, width)));
        self.push(&lines.join("\n"));
        for note in &table.notes {
            self.push(&paragraph(note));
        }
        for row in table.rows.iter().filter(|row| !row.details.is_empty()) {
            // Below the table, the line that opens them has to say whose details they are.
            let mut summary = row.details_summary();
            let name = row.cells.first().map(|cell| &cell.text);
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                summary = summary.plain(": ");
                summary.0.extend(name.0.clone());
            }
            self.details(&summary, &row.details);
        }
    }

    fn figure(&mut self, figure: &Figure) {
        let (id, image) = self.image(figure);
        self.push(&format!("<a id=\"{id}\"></a>"));
        self.push(&image);
        self.push(&paragraph(&figure.caption));
    }

    /// Figures side by side are a table without headings.
    fn columns(&mut self, figures: &[Figure]) {
        if figures.is_empty() {
            return;
        }
        let images: Vec<String> = figures
            .iter()
            .map(|figure| {
                // Half a page wide: the drawing made for a phone is the readable one.
                let half = Figure {
                    svg: figure.narrow.clone().unwrap_or_else(|| figure.svg.clone()),
                    ..figure.clone()
                };
                let (id, image) = self.image(&half);
                format!("<a id=\"{id}\"></a>{image}")
            })
            .collect();
        let captions: Vec<String> = figures
            .iter()
            .map(|figure| inline(&figure.caption, true))
            .collect();
        let rule = vec![":---"; figures.len()].join(" | ");
        let blank = vec![" "; figures.len()].join(" | ");
        let lines = [blank, rule, images.join(" | "), captions.join(" | ")];
        let lines: Vec<String> = lines.iter().map(|line| format!("| {line} |")).collect();
        self.push(&lines.join("\n"));
    }

    /// Puts the drawing beside the Markdown; its anchor and the image that shows it.
    fn image(&mut self, figure: &Figure) -> (String, String) {
        let id = self.ids.claim(&figure.id, "figure");
        let path = format!("{}/{id}.svg", self.folder);
        let content = figure.svg.to_standalone(&figure.alt).into_bytes();
        self.files.push((path.clone(), content));
        let alt = escape::markdown(&figure.alt);
        (id, format!("![{}]({path})", alt.trim()))
    }
}

fn table_row(row: &Row, width: usize) -> String {
    let empty = Cell::default();
    let mut out = String::from("|");
    for index in 0..width {
        let cell = row.cells.get(index).unwrap_or(&empty);
        let mut content = inline(&cell.text, true);
        let heading = row.kind == RowKind::Header && index == 0;
        if heading || row.kind == RowKind::Emphasized {
            content = strong(&content);
        }
        if let Some(detail) = &cell.detail {
            content = format!("{content}<br>{}", small(detail));
        }
        for figure in &cell.figures {
            let words = figure_words(figure);
            content = match content.is_empty() {
                true => words,
                false => format!("{content}<br>{words}"),
            };
        }
        out.push_str(&format!(" {content} |"));
    }
    out
}

/// What a small drawing shows, in words.
fn figure_words(figure: &CellFigure) -> String {
    let words = escape::markdown(&figure.words);
    match figure.label.is_empty() {
        true => words,
        false => format!("{}: {words}", escape::markdown(&figure.label)),
    }
}

/// One line of text that starts a block.
fn paragraph(text: &Text) -> String {
    escape::markdown_block(&inline(text, false))
}

/// A heading's words; a trailing `#` cannot close it because it is escaped.
fn heading(title: &str) -> String {
    escape::markdown(title).trim().to_owned()
}

/// A whole cell or line in bold. In HTML tags where stars beside or inside it would be misread.
fn strong(markdown: &str) -> String {
    if markdown.trim().is_empty() {
        String::new()
    } else if markdown.trim() == markdown && !markdown.contains(['*', '<', '\\']) {
        format!("**{markdown}**")
    } else {
        format!("<strong>{markdown}</strong>")
    }
}

fn small(text: &Text) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("<sub>{}</sub>", inline(text, true))
    }
}

/// A fence longer than any run of backticks inside it.
fn code_block(code: &str) -> String {
    let code: String = code.replace("\r\n", "\n").replace('\r', "\n");
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lines: Vec<String> = code.split('\n').map(escape::one_line).collect();
    format!("{fence}\n{}\n{fence}", lines.join("\n"))
}

/// Text as one line of Markdown.
fn inline(text: &Text, in_table: bool) -> String {
    let mut out = String::new();
    for part in &text.0 {
        let words = escape::markdown(part.words());
        // Delimiters are read right beside a letter or digit; elsewhere HTML tags say the same.
        let bare = part.words().starts_with(char::is_alphanumeric)
            && part.words().ends_with(char::is_alphanumeric)
            && !out.ends_with(['*', '`', '_', '!', '\\']);
        let piece = match part {
            Inline::Plain(_) => words,
            Inline::Strong(_) if bare => format!("**{words}**"),
            Inline::Strong(_) => format!("<strong>{words}</strong>"),
            Inline::Emphasis(_) if bare => format!("*{words}*"),
            Inline::Emphasis(_) => format!("<em>{words}</em>"),
            Inline::Code(code) => inline_code(code, bare, in_table),
            Inline::Link { href, .. } => match escape::relative_href(href) {
                Some(href) => format!("[{words}](<{href}>)"),
                None => words,
            },
            Inline::Badge { kind, .. } => format!("{} {words}", kind.sign()),
        };
        out.push_str(&piece);
    }
    out
}

fn inline_code(code: &str, bare: bool, in_table: bool) -> String {
    let code = escape::one_line(code);
    if bare && !code.contains('`') && !(in_table && code.contains('|')) {
        format!("`{code}`")
    } else {
        format!("<code>{}</code>", escape::markdown(&code))
    }
}
