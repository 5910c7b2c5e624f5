//! The Markdown says what the document says, read by an independent parser.

mod common;

use common::{document, hostile};
use hw_report::plots::{Estimate, ForestAxis, ForestRow};
use hw_report::{Answer, BadgeKind, Block, Cell, Column, Document, Row, Table, Text, to_markdown};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn parse(source: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(
        source,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH,
    )
}

/// HTML that the renderer writes itself; anything else came out of a text.
fn is_ours(html: &str) -> bool {
    let html = html.trim();
    let plain = ["strong", "em", "code", "sub", "details"];
    let tag = |name: &&str| html == format!("<{name}>") || html == format!("</{name}>");
    let anchor = html
        .strip_prefix("<a id=\"")
        .and_then(|rest| rest.strip_suffix("\">"));
    let slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    plain.iter().any(tag)
        || matches!(html, "<br>" | "</a>" | "<!-- -->" | "")
        || anchor.is_some_and(|id| id.chars().all(slug))
        || (html.starts_with("<summary>") && html.ends_with("</summary>"))
}

/// What is read: line ends as spaces, forbidden characters replaced, outer spaces gone.
fn shown(text: &str) -> String {
    let space = |c: char| matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let forbidden = |c: char| {
        let code = c as u32;
        c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
    };
    let replace = |c| match c {
        c if space(c) => ' ',
        c if forbidden(c) => '\u{fffd}',
        c => c,
    };
    squeezed(&text.chars().map(replace).collect::<String>())
}

/// Runs of spaces as one: a reader cannot tell them apart.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of each paragraph and table cell.
fn texts(source: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    for event in parse(source) {
        match event {
            Event::Text(text) | Event::Code(text) => current.push_str(&text),
            Event::SoftBreak | Event::HardBreak => current.push(' '),
            Event::InlineHtml(html) if html.trim() == "<br>" => current.push(' '),
            Event::Start(Tag::Paragraph | Tag::TableCell) => current.clear(),
            Event::End(TagEnd::Paragraph | TagEnd::TableCell) => {
                out.push(squeezed(&std::mem::take(&mut current)));
            }
            _ => {}
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_becomes_html_or_structure(words in prop::collection::vec(hostile(), 1..7)) {
        let hostile = to_markdown(&document(&words), "figures");
        let tame = to_markdown(&document(&vec!["x".to_owned(); words.len()]), "figures");
        let mut counts = [[0usize; 6]; 2];
        for (source, count) in [&hostile.text, &tame.text].into_iter().zip(&mut counts) {
            for event in parse(source) {
                match event {
                    Event::Html(html) | Event::InlineHtml(html) => {
                        prop_assert!(is_ours(&html), "{html:?} in\n{source}");
                    }
                    Event::Start(Tag::Heading { .. }) => count[0] += 1,
                    Event::Start(Tag::TableRow | Tag::TableHead) => count[1] += 1,
                    Event::Start(Tag::TableCell) => count[2] += 1,
                    Event::Start(Tag::Item) => count[3] += 1,
                    Event::Start(Tag::Image { .. }) => count[4] += 1,
                    Event::Start(Tag::CodeBlock(_)) => count[5] += 1,
                    _ => {}
                }
            }
        }
        prop_assert_eq!(counts[0], counts[1], "{}", hostile.text);
    }

    #[test]
    fn every_text_reads_as_it_was_given(words in prop::collection::vec(hostile(), 1..7)) {
        let line = common::text(&words);
        let table = Table::new("", vec![Column::text("h")])
            .row(vec![Cell::new(line.clone())]);
        let document = Document {
            lead: vec![Block::Paragraph(line.clone()), Block::Table(table)],
            ..Document::default()
        };
        let source = to_markdown(&document, "figures").text;
        // The sign of a badge is added; everything else is what was given.
        let expected: String = line.0.iter().map(|part| match part {
            hw_report::Inline::Badge { kind, text } => format!("{} {text}", kind.sign()),
            part => part.words().to_owned(),
        }).collect();
        let expected = shown(&expected);
        let read = texts(&source);
        let paragraph = if expected.is_empty() { Some(&expected) } else { read.first() };
        prop_assert_eq!(paragraph, Some(&expected), "{}", source);
        prop_assert_eq!(read.last(), Some(&expected), "{}", source);
    }
}

#[test]
fn a_figure_is_written_beside_the_markdown_and_shown_there() {
    let bundle = to_markdown(&document(&["word".to_owned()]), "My Figures/..");
    assert_eq!(bundle.files.len(), 8);
    for (path, bytes) in &bundle.files {
        assert!(path.starts_with("my-figures/word"), "{path}");
        assert!(bundle.text.contains(&format!("]({path})")), "{path}");
        let svg = std::str::from_utf8(bytes).unwrap();
        roxmltree::Document::parse(svg).unwrap();
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}

#[test]
fn a_verdict_keeps_its_sign_without_color() {
    let text = Text::new().badge(hw_report::BadgeKind::Bad, "not reproduced");
    let document = Document {
        lead: vec![Block::Paragraph(text)],
        ..Document::default()
    };
    assert!(
        to_markdown(&document, "f")
            .text
            .contains("✗ not reproduced")
    );
}

fn markdown(block: Block) -> String {
    let document = Document {
        lead: vec![block],
        ..Document::default()
    };
    to_markdown(&document, "f").text
}

#[test]
fn a_forest_cell_reads_as_its_words() {
    let row = ForestRow::new("MNIST", BadgeKind::Good)
        .reported(1.58, 2)
        .ours(Estimate::interval(4.02, 3.61, 4.43));
    let axis = ForestAxis::new("difference", "points").range(-3.0, 6.0);
    let column = Column::text("gap").figure(axis.heading());
    let table = Table::new("", vec![Column::text("claim"), column]).row(vec![
        "first".into(),
        Cell::default().figure(axis.cell(&row)),
    ]);
    let source = markdown(Block::Table(table));
    assert!(
        source.contains("| MNIST: reported +1.58, ours +4.0 \\[+3.6, +4.4\\] points |"),
        "{source}"
    );
    assert!(
        source.contains("gap<br><sub>difference, points: −2.5 to +5.0</sub>"),
        "{source}"
    );
}

#[test]
fn the_details_of_a_row_follow_the_table_under_the_name_of_the_row() {
    let folded = |word: &str| vec![Block::paragraph(word)];
    let mut table = Table::new("", vec![Column::text("claim")]).note("small print");
    table.rows = vec![
        Row::new(vec!["first".into()]).details("tests", folded("Welch")),
        Row::new(vec!["second".into()]),
        Row::new(vec![]).details("", folded("Holm")),
    ];
    let source = markdown(Block::Table(table));
    let expected = "small print\n\n\
        <details>\n<summary>tests: first</summary>\n\nWelch\n\n</details>\n\n\
        <details>\n<summary>Details</summary>\n\nHolm\n\n</details>";
    assert!(source.contains(expected), "{source}");
}

#[test]
fn the_scale_of_a_table_stands_between_caption_and_table() {
    let table = Table::new("caption", vec![Column::text("a")]).scale("1000 images, 5 seeds");
    let source = markdown(Block::Table(table));
    assert!(
        source.contains("**caption**\n\n1000 images, 5 seeds\n\n| a |"),
        "{source}"
    );
}

#[test]
fn an_answer_is_a_sentence_and_a_sign_for_each_claim() {
    let answer = Answer::new([(BadgeKind::Good, 2), (BadgeKind::TooSmall, 1)])
        .title("Paper")
        .note("on MNIST");
    assert!(markdown(Block::Answer(answer)).contains(
        "**Paper**\n\nOf 3 claims, ✓ 2 reproduced, ◔ 1 too small to decide.\n\n✓✓◔\n\non MNIST"
    ));
}
