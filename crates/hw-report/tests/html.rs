//! The page parses without an error, and no text breaks out of its place.

mod common;

use common::{document, hostile};
use hw_report::plots::{Estimate, ForestAxis, ForestRow};
use hw_report::{
    Answer, BadgeKind, Block, Cell, Column, Document, Row, Section, Table, Text, to_html,
};
use proptest::prelude::*;
use scraper::{ElementRef, Html, Selector};
use std::collections::BTreeSet;

/// The elements a page is made of.
const ELEMENTS: &str = "html head meta title link style body nav main header footer section aside \
    h1 h2 h3 h4 h5 h6 p a strong em code pre small span div ol ul li dl dt dd table thead tbody tr \
    th td details summary figure figcaption svg path line rect circle text image";

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

/// What keeps a page harmless and self-contained.
fn check(source: &str) -> Result<(), TestCaseError> {
    let page = Html::parse_document(source);
    prop_assert!(page.errors.is_empty(), "{:?}", page.errors);
    let mut ids = BTreeSet::new();
    let mut targets = Vec::new();
    for element in all(&page, "*") {
        let name = element.value().name();
        prop_assert!(ELEMENTS.split(' ').any(|known| known == name), "<{name}>");
        for (attribute, value) in element.value().attrs() {
            prop_assert!(!attribute.starts_with("on"), "{attribute}={value}");
            match attribute {
                "id" => prop_assert!(ids.insert(value.to_owned()), "id {value} twice"),
                "href" if name == "link" || name == "image" => {
                    prop_assert!(value.starts_with("data:"), "{value}");
                }
                "href" => {
                    let first = value.split('/').next().unwrap_or_default();
                    prop_assert!(!first.contains(':') && !value.starts_with("//"), "{value}");
                    targets.push(value.to_owned());
                }
                "src" | "srcset" | "action" | "data" => prop_assert!(false, "{attribute}"),
                _ => {}
            }
        }
    }
    for entry in all(&page, "nav a") {
        let target = entry.value().attr("href").unwrap_or_default();
        prop_assert!(
            ids.contains(target.trim_start_matches('#')),
            "{target} leads nowhere"
        );
    }
    Ok(())
}

/// What a browser is to show for a text: line ends as one kind, forbidden characters replaced.
fn shown(text: &str) -> String {
    let permitted = |c: char| {
        let code = c as u32;
        matches!(c, '\t' | '\n')
            || !(code < 0x20
                || (0x7f..=0x9f).contains(&code)
                || (0xfdd0..=0xfdef).contains(&code)
                || code & 0xfffe == 0xfffe)
    };
    let replaced = text.replace('\r', "\n");
    replaced
        .chars()
        .map(|c| if permitted(c) { c } else { '\u{fffd}' })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_text_breaks_out_of_its_place(words in prop::collection::vec(hostile(), 1..7)) {
        let source = to_html(&document(&words));
        prop_assert!(!source.contains("<script"));
        check(&source)?;
    }

    #[test]
    fn every_text_is_shown_as_it_was_given(word in hostile()) {
        let document = Document {
            title: word.clone(),
            lead: vec![Block::Paragraph(Text::new().strong(&word)), Block::Code(word.clone())],
            ..Document::default()
        };
        let page = Html::parse_document(&to_html(&document));
        for place in ["h1", "title", "p strong", "pre code"] {
            let element = all(&page, place)[0];
            prop_assert_eq!(element.text().collect::<String>(), shown(&word), "in {}", place);
        }
    }
}

#[test]
fn an_empty_document_is_a_page() {
    check(&to_html(&Document::default())).unwrap();
}

#[test]
fn the_contents_nest_as_the_sections_do() {
    let section = |title: &str| Section::new(title, Vec::new());
    let deep = section("1.1").with_subsections(vec![section("1.1.1")]);
    let document = Document {
        sections: vec![
            section("1").with_subsections(vec![deep, section("1.2")]),
            section("2"),
        ],
        ..Document::default()
    };
    let source = to_html(&document);
    check(&source).unwrap();
    let page = Html::parse_document(&source);
    let count = |selector: &str| all(&page, selector).len();
    assert_eq!(count(".side > ol > li"), 2);
    assert_eq!(count(".side > ol > li > ol > li"), 2);
    assert_eq!(count(".side > ol > li > ol > li > ol > li"), 1);
}

#[test]
fn a_link_that_leaves_the_report_is_only_shown() {
    let leaving = Text::new()
        .link("there", "https://example.org")
        .link("here", "runs/1/");
    let document = Document {
        lead: vec![Block::Paragraph(leaving)],
        ..Document::default()
    };
    let source = to_html(&document);
    assert!(!source.contains("example.org"));
    assert!(source.contains("there<a href=\"runs/1/\">here</a>"));
}

fn html(block: Block) -> Html {
    let document = Document {
        lead: vec![block],
        ..Document::default()
    };
    let source = to_html(&document);
    check(&source).expect("a harmless page");
    Html::parse_document(&source)
}

fn words(page: &Html, selector: &str) -> Vec<String> {
    let elements = all(page, selector).into_iter();
    elements.map(|element| element.text().collect()).collect()
}

#[test]
fn the_bar_of_an_answer_is_as_long_as_its_counts_and_says_them() {
    let answer = Answer::new([
        (BadgeKind::Good, 3),
        (BadgeKind::Bad, 1),
        (BadgeKind::Neutral, 0),
    ]);
    let page = html(Block::Answer(answer));
    let bar = all(&page, ".tally")[0].value();
    assert_eq!(bar.attr("role"), Some("img"));
    assert_eq!(bar.attr("aria-label"), Some("3 reproduced, 1 contradicted"));
    let parts: Vec<_> = all(&page, ".tally > span")
        .iter()
        .map(|part| (part.value().attr("class"), part.value().attr("style")))
        .collect();
    assert_eq!(
        parts,
        [
            (Some("good"), Some("flex-grow:3")),
            (Some("bad"), Some("flex-grow:1"))
        ]
    );
    assert_eq!(
        words(&page, ".sentence .badge"),
        ["3 reproduced", "1 contradicted"]
    );
    let empty = html(Block::Answer(Answer::new([])));
    assert!(all(&empty, ".tally").is_empty());
    assert_eq!(words(&empty, ".sentence"), ["No claim was checked."]);
}

#[test]
fn the_details_of_a_row_are_folded_away_right_under_it_across_the_table() {
    let nested = Table::new("inside", vec![Column::text("n")]).with_id("inside");
    let mut table = Table::new("", vec![Column::text("a"), Column::text("b")]);
    table.rows = vec![
        Row::new(vec!["first".into()]).details("tests", vec![Block::Table(nested)]),
        Row::new(vec!["second".into()]),
    ];
    let page = html(Block::Table(table));
    let rows = ".table > .scroll > table > tbody > tr";
    assert_eq!(all(&page, rows).len(), 3);
    let more = all(&page, "tr.folds + tr.more > td")[0];
    assert_eq!(more.value().attr("colspan"), Some("2"));
    assert_eq!(words(&page, ".more > td > details > summary"), ["tests"]);
    assert!(all(&page, "details[open]").is_empty());
    assert_eq!(all(&page, ".more #inside").len(), 1);
}

#[test]
fn a_drawing_in_a_cell_is_either_spoken_or_captioned() {
    let row = ForestRow::new("part <b>", BadgeKind::Bad)
        .reported(1.58, 2)
        .ours(Estimate::interval(4.02, 3.61, 4.43));
    let axis = ForestAxis::new("difference", "points").range(-3.0, 6.0);
    let spoken = Cell::default().figure(axis.cell(&row));
    let captioned = Cell::default().figure(axis.cell(&row).captioned());
    let columns = vec![
        Column::text("claim"),
        Column::text("spoken"),
        Column::text("seen").figure(axis.heading()),
        Column::text("verdict"),
    ];
    let table = Table::new("", columns).scale("1000 images").row(vec![
        "first".into(),
        spoken,
        captioned,
        "bad".into(),
    ]);
    let page = html(Block::Table(table));
    let expected = "reported +1.58, ours +4.0 [+3.6, +4.4] points";
    let drawings = all(&page, "td svg");
    assert_eq!(drawings[0].value().attr("aria-label"), Some(expected));
    assert_eq!(drawings[1].value().attr("aria-label"), None);
    assert_eq!(drawings[1].value().attr("aria-hidden"), Some("true"));
    let captions = words(&page, "td small.long");
    assert_eq!(captions.len(), 1);
    assert_eq!(captions[0].replace('\u{a0}', " "), expected);
    // A line may end after "reported +1.58," and nowhere else.
    assert_eq!(captions[0].matches(' ').count(), 1);
    assert_eq!(words(&page, "td small.part"), ["part <b>", "part <b>"]);
    assert_eq!(words(&page, "p.scale"), ["1000 images"]);
    let axis = all(&page, "thead svg")[0].value().attr("aria-label");
    assert_eq!(axis, Some("difference, points: −2.5 to +5.0"));
    // Where a phone hides the headings, a cell without a drawing says its own.
    let named = all(&page, "td[data-of]");
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].value().attr("data-of"), Some("verdict"));
}
