//! Hostile text, and documents that hold it everywhere a text can stand.
#![allow(dead_code)] // each test file uses its part

use hw_report::plots::{Axis, Estimate, ForestAxis, ForestRow, LineChart, Series};
use hw_report::{
    Align, Answer, BadgeKind, Block, Cell, Column, Document, Figure, KeyFigure, Notice, NoticeKind,
    Row, RowKind, Section, Table, Text,
};
use proptest::prelude::*;

const HOSTILE: [&str; 24] = [
    "<script>alert(1)</script>",
    "</title></style></script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='x",
    "]]>",
    "<!--",
    "-->",
    "&lt;b&gt; &amp; &#0;",
    "a | b \\| c",
    "`code` ``more``",
    "**bold** *it* __u__ ~~s~~",
    "# heading #",
    "1. list",
    "- list",
    "+ list\n- more",
    "> quote",
    "===",
    "    indented",
    "![x](http://example.org/x.png)",
    "[x](javascript:alert(1))",
    "line\r\nbreak\n\n\nparagraph",
    "\u{0}\u{8}\u{b}\u{1f}\u{7f}\u{85}\u{fffe}\u{2028}",
    "tail\\",
    "```\nfence",
];

/// Any string, with a liking for those that break things.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        "[ a-z0-9.*_`|<>&\\\\-]{0,12}",
    ];
    prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

/// A line of text in all its forms, made from these words.
pub(crate) fn text(words: &[String]) -> Text {
    words
        .iter()
        .enumerate()
        .fold(Text::new(), |text, (index, word)| match index % 6 {
            0 => text.plain(word),
            1 => text.strong(word),
            2 => text.emphasis(word),
            3 => text.code(word),
            4 => text.link(word, word),
            _ => text.badge(BadgeKind::Neutral, word),
        })
}

/// A document of every kind of block; `words` (at least one) stand in all places.
pub(crate) fn document(words: &[String]) -> Document {
    let mut next = words.iter().cycle();
    let mut word = || next.next().cloned().unwrap_or_default();
    let line = || text(words);
    let chart = LineChart::new(Axis::new(word()), Axis::new(word()))
        .series(Series::new(word(), [(0.0, 1.0), (1.0, 2.0)]))
        .reference(word(), 1.5)
        .mark(1.0, word());
    let figure = Figure::new(word(), line(), word(), &chart);
    let mut table = Table::new(
        line(),
        vec![Column::text(word()), Column::number(word()).unit(word())],
    )
    .with_id(word())
    .scale(line())
    .row(vec![Cell::new(line()).detail(line()), Cell::new(word())])
    .note(line());
    table.columns[1].align = Align::Center;
    let row = ForestRow::new(word(), BadgeKind::TooSmall)
        .reported(1.58, 2)
        .ours(Estimate::interval(4.0, 3.6, 4.4));
    let axis = ForestAxis::new(word(), word()).fit([&row]);
    table.columns[1].figure = Some(axis.heading());
    let drawn = Cell::new(word())
        .figure(axis.cell(&row))
        .figure(axis.cell(&row).captioned());
    let folded = vec![Block::Paragraph(line()), Block::Figure(figure.clone())];
    table
        .rows
        .push(Row::new(vec![line().into(), drawn]).details(line(), folded));
    for (kind, count) in [
        (RowKind::Header, 1),
        (RowKind::Header, 2),
        (RowKind::Emphasized, 4),
    ] {
        let cells = vec![Cell::new(line()); count];
        table.rows.push(Row::new(cells).kind(kind));
    }
    let items = vec![line(), Text::from(word())];
    let list = |ordered| Block::List {
        ordered,
        items: items.clone(),
    };
    let blocks = vec![
        Block::Paragraph(line()),
        Block::Answer(
            Answer::new(BadgeKind::ALL.map(|kind| (kind, 1)))
                .title(line())
                .note(line()),
        ),
        Block::notice(NoticeKind::Warning, line()),
        Block::Table(table),
        Block::Figure(figure.clone()),
        Block::KeyFigures(vec![KeyFigure::new(word(), word(), line())]),
        list(true),
        list(false),
        Block::Code(word()),
        Block::details(line(), vec![Block::Paragraph(line())]),
        Block::Columns(vec![figure.clone(), figure]),
    ];
    let subsection = Section::new(word(), blocks.clone()).with_id(word());
    Document {
        title: word(),
        subtitle: word(),
        banner: Some(Notice::new(NoticeKind::Synthetic, line())),
        lead: vec![Block::Paragraph(line())],
        sections: vec![
            Section::new(word(), blocks).with_subsections(vec![subsection]),
            Section::new(word(), Vec::new()),
        ],
        footer: line(),
    }
}
