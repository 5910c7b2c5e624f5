//! Claims as pictures: the gap that a paper reports beside the one that we measured.

use super::claims::{JudgedClaim, JudgedPart, badge};
use super::expression::Unit;
use super::front::verdict_cell;
use hw_report::plots::{Axis, Estimate, ForestAxis, ForestRow, LineChart, Point, Series};
use hw_report::{Block, Cell, Figure, Row, Text, format};

/// The axis that the differences of accuracies of some claims share; other quantities have their own.
pub(crate) fn axis(claims: &[JudgedClaim]) -> ForestAxis {
    let parts = claims.iter().flat_map(|claim| &claim.parts);
    let rows: Vec<ForestRow> = parts
        .filter(|part| part.unit == Unit::Points)
        .map(row_of)
        .collect();
    ForestAxis::new("", Unit::Points.word())
        .symlog(1.0)
        .fit(&rows)
}

fn axis_of(part: &JudgedPart, shared: &ForestAxis, row: &ForestRow) -> ForestAxis {
    match part.unit {
        Unit::Points => shared.clone(),
        Unit::Ratio => ForestAxis::ratio("", Unit::Ratio.word()).fit([row]),
        unit => ForestAxis::new("", unit.word()).fit([row]),
    }
}

fn row_of(part: &JudgedPart) -> ForestRow {
    let mut row = ForestRow::new(part.text.as_str(), badge(&part.verdict));
    if let Some((value, decimals)) = part.reported_gap() {
        row = row.reported(value, decimals);
    }
    if let Some((value, low, high)) = part.shown() {
        row = row.ours(Estimate::interval(value, low, high));
    }
    if let Some((low, high)) = part.margin() {
        row = row.margin(low, high);
    }
    row
}

/// A part in words: "reported +1.58, ours +4.0 [+3.6, +4.4] points".
pub(crate) fn words(part: &JudgedPart) -> String {
    let row = row_of(part);
    axis_of(part, &ForestAxis::new("", part.unit.word()), &row).words(&row)
}

/// A claim's row: words, picture, verdict, size; its tests folded away.
pub(crate) fn row(claim: &JudgedClaim, axis: &ForestAxis) -> Row {
    let mut text = Cell::new(format!("{}. {}", claim.id, claim.text));
    if let Some(remark) = &claim.remark {
        text = text.detail(remark.as_str());
    }
    let mut picture = Cell::default();
    for part in &claim.parts {
        let row = row_of(part);
        let figure = axis_of(part, axis, &row).cell(&row);
        picture = picture.figure(figure.captioned());
    }
    let mut blocks = Vec::new();
    for part in &claim.parts {
        let verdict = Text::new().badge(badge(&part.verdict), part.verdict.name());
        let line = verdict
            .plain(format!(" {}: ", part.text))
            .code(part.check.clone());
        blocks.push(Block::Paragraph(line));
        let items = part.lines().into_iter().map(Text::from).collect();
        blocks.push(Block::List {
            ordered: false,
            items,
        });
    }
    let cells = vec![
        text,
        picture,
        verdict_cell(claim),
        Cell::new(claim.decided_at()),
    ];
    let row = Row::new(cells);
    match (&claim.untestable, blocks.is_empty()) {
        (Some(reason), _) => row.details("Why", vec![Block::paragraph(reason.as_str())]),
        (None, true) => row,
        (None, false) => row.details("Tests", blocks),
    }
}

/// How the measured gaps change with the number of training images; nothing where there is one size.
pub(crate) fn trend(claims: &[JudgedClaim]) -> Option<Figure> {
    let mut chart = LineChart::new(
        Axis::new("training images").log(),
        Axis::new("difference, points"),
    );
    let mut lines = 0;
    for claim in claims {
        for part in claim.parts.iter().filter(|part| part.unit == Unit::Points) {
            let points = part.trend();
            if points.len() < 2 {
                continue;
            }
            lines += 1;
            let label = format!("{}: {}", claim.id, part.text);
            let point = |(images, (y, low, high)): (usize, (f64, f64, f64))| Point {
                x: images as f64,
                y,
                low,
                high,
            };
            let points = points.into_iter().map(point);
            chart = chart.series(Series::with_band(label, points).error_bars());
        }
    }
    (lines > 0).then(|| {
        let caption = "How the gaps of the claims change with the number of training images; points of smaller \
                       sizes have one seed.";
        Figure::new("figure-trend", caption, caption, &chart)
    })
}

/// A number with its unit, signed where it is a difference.
pub(crate) fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{} times", format::significant(value, 3)),
        Unit::Count => format::count(value.round() as u64),
        unit => format!("{} {}", format::signed(value, 2), unit.word()),
    }
}
