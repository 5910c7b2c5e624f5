//! The page parses without an error, and no text breaks out of its place.

mod common;

use common::{document, hostile};
use hw_report::{Block, Document, Section, Text, to_html};
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
