//! Reports: one [`Document`] becomes one self-contained HTML page, and Markdown with its figures
//! beside it. Both follow the reader's light or dark setting, need no script and no network, and
//! show whatever text they are given without ever interpreting it.
//!
//! ```
//! use hw_report::plots::{Axis, Band, LineChart, Series, Unit};
//! use hw_report::{BadgeKind, Block, Cell, Column, Document, Figure, Section, Table, Text, format};
//!
//! let seeds = [vec![0.962, 0.985, 0.990], vec![0.958, 0.984, 0.991]];
//! let curve = LineChart::new(Axis::new("epoch").unit(Unit::Whole), Axis::new("accuracy").percent())
//!     .series(Series::over_seeds("test", &seeds, Band::MinMax))
//!     .reference("reported", 0.9922);
//! let table = Table::new("Test accuracy", vec![Column::text("model"), Column::number("ours")])
//!     .row(vec!["bn-cnn".into(), Cell::new(format::percent_spread(0.9905, 0.0005, 2)).detail("2 seeds")])
//!     .note(Text::from("Claim 1: ").badge(BadgeKind::Neutral, "within noise"));
//! let document = Document {
//!     title: "A small report".into(),
//!     sections: vec![Section::new("Results", vec![
//!         Block::Table(table),
//!         Block::Figure(Figure::new("curve", "Accuracy by epoch.", "Accuracy rises to 99 %.", &curve)),
//!     ])],
//!     ..Document::default()
//! };
//! assert!(hw_report::to_html(&document).starts_with("<!doctype html>"));
//! assert_eq!(hw_report::to_markdown(&document, "figures").files[0].0, "figures/curve.svg");
//! ```
#![warn(missing_docs)]

mod answer;
mod badge;
pub mod document;
mod escape;
pub mod format;
mod html;
mod ids;
mod markdown;
pub mod plots;
pub mod svg;
mod write;

pub use answer::Answer;
pub use badge::BadgeKind;
pub use document::{
    Align, Block, Cell, CellFigure, Column, Document, Figure, Inline, KeyFigure, Notice,
    NoticeKind, Row, RowKind, Section, Table, Text,
};
pub use html::to_html;
pub use markdown::{MarkdownBundle, to_markdown};
pub use write::{ReportError, Written, write};
