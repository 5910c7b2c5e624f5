//! The front page: on one screen, how many cells came out and which claims hold.

use super::cells::JudgedCell;
use super::page::{JudgedClaim, badge, claims_tally, synthetic_banner, tally};
use super::paper::Paper;
use super::results::PaperResults;
use hw_report::{Block, Cell, Column, Document, Section, Text};

/// The front page over the papers that were run.
pub(crate) fn front(
    papers: &[(&Paper, &PaperResults<'_>, &[JudgedCell], &[JudgedClaim])],
    profile: &str,
    command: &str,
) -> Document {
    let cells: Vec<JudgedCell> = papers
        .iter()
        .flat_map(|(_, _, cells, _)| cells.to_vec())
        .collect();
    let claims: Vec<JudgedClaim> = papers
        .iter()
        .flat_map(|(_, _, _, claims)| claims.to_vec())
        .collect();
    let columns = vec![
        Column::text("paper"),
        Column::text("claim"),
        Column::text("verdict"),
    ];
    let mut table = hw_report::Table::new("Every claim", columns);
    for (paper, _, _, claims) in papers {
        let page = format!("{}.html", paper.slug);
        for claim in *claims {
            table = table.row(vec![
                Cell::new(Text::new().link(paper.slug.clone(), page.clone())),
                Cell::new(claim.text.as_str()),
                Cell::new(badge(&claim.verdict)),
            ]);
        }
    }
    let pages = papers.iter().map(|(paper, ..)| {
        Text::new()
            .link(paper.title.clone(), format!("{}.html", paper.slug))
            .plain(format!(" – {}", paper.about))
    });
    Document {
        title: "What held up".into(),
        subtitle: "Published handwriting experiments, rerun from their own descriptions".into(),
        banner: papers.iter().find_map(|(_, results, ..)| synthetic_banner(results)),
        lead: vec![
            Block::KeyFigures(vec![tally(&cells), claims_tally(&claims)]),
            Block::paragraph(
                Text::from("Profile ")
                    .strong(profile)
                    .plain(". Every number stands with the scale and the seeds it was measured at; all \
                            cells are in ")
                    .link("cells.json", "cells.json")
                    .plain(" and ")
                    .link("cells.csv", "cells.csv")
                    .plain("."),
            ),
        ],
        sections: vec![
            Section::new("Claims", vec![Block::Table(table)]),
            Section::new("Papers", vec![Block::List { ordered: false, items: pages.collect() }]),
        ],
        footer: Text::from("Made by ").code(command).plain("."),
    }
}
