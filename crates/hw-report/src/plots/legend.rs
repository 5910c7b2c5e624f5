//! A legend in rows above a plot, for where labels at the data have no room.

use super::{SMALL, diamond, mark, verdict_mark};
use crate::badge::BadgeKind;
use crate::svg::{Element, ellipsis, line, rect, text, text_width};

/// What a legend entry's sign looks like.
pub(super) enum Sign {
    /// A line; its classes.
    Line(String),
    /// The mark of this series.
    Mark(usize),
    /// The hollow diamond of reported values.
    Diamond,
    /// A short whisker; its classes.
    Whisker(String),
    /// The mark of a value with this verdict.
    Verdict(BadgeKind),
    /// A patch of an area; its class.
    Area(&'static str),
}

const SIGN: f64 = 22.0;
/// The height of one row.
pub(super) const ROW: f64 = 18.0;

/// The entries flowing from `left` to `right` in rows, and how many pixels high they are.
pub(super) fn legend(
    entries: &[(Sign, &str)],
    left: f64,
    right: f64,
    top: f64,
) -> (Vec<Element>, f64) {
    let mut out = Vec::new();
    let (mut x, mut y) = (left, top + ROW / 2.0);
    for (sign, label) in entries {
        let label = ellipsis(label, SMALL, right - left - SIGN - 4.0);
        let width = SIGN + text_width(&label, SMALL) + 16.0;
        if x > left && x + width - 16.0 > right {
            (x, y) = (left, y + ROW);
        }
        out.push(match sign {
            Sign::Line(class) => line(x, y, x + 16.0, y, class),
            Sign::Whisker(class) => line(x, y, x + 16.0, y, class),
            Sign::Mark(index) => mark(*index, x + 8.0, y, 4.5),
            Sign::Verdict(kind) => verdict_mark(*kind, x + 8.0, y, 4.5),
            Sign::Area(class) => rect(x, y - 5.0, 16.0, 10.0, class),
            Sign::Diamond => diamond(x + 8.0, y, 5.0),
        });
        out.push(text(x + SIGN, y + 4.0, "small quiet", &label));
        x += width;
    }
    let height = if entries.is_empty() {
        0.0
    } else {
        y + ROW / 2.0 - top
    };
    (out, height)
}
