//! The front page: on one screen, how many cells came out, which claims hold, what was wrong.

use super::cells::{JudgedCell, Standing};
use super::page::{JudgedClaim, badge, claims_tally, synthetic_banner, tally};
use super::paper::Paper;
use super::results::PaperResults;
use hw_report::{
    Block, Cell, Column, Document, KeyFigure, Notice, NoticeKind, Section, Text, format,
};

/// A paper with what came of it.
pub(crate) type Part<'a> = (
    &'a Paper,
    &'a PaperResults<'a>,
    &'a [JudgedCell],
    &'a [JudgedClaim],
);

/// The front page over the papers that were run; `seconds` is what this call took.
pub(crate) fn front(papers: &[Part<'_>], profile: &str, command: &str, seconds: f64) -> Document {
    let cells: Vec<JudgedCell> = papers.iter().flat_map(|part| part.2.to_vec()).collect();
    let claims: Vec<JudgedClaim> = papers.iter().flat_map(|part| part.3.to_vec()).collect();
    Document {
        title: "What held up".into(),
        subtitle: "Published handwriting experiments, rerun from their own descriptions".into(),
        banner: papers
            .iter()
            .find_map(|(_, results, ..)| synthetic_banner(results)),
        lead: lead(papers, &cells, &claims, profile, seconds),
        sections: vec![
            Section::new("Papers", vec![Block::Table(overview(papers))]),
            Section::new("Claims", vec![Block::Table(every_claim(papers))]),
            Section::new("What was wrong", vec![wrong(papers)]),
        ],
        footer: Text::from("Made by ").code(command).plain("."),
    }
}

fn lead(
    papers: &[Part<'_>],
    cells: &[JudgedCell],
    claims: &[JudgedClaim],
    profile: &str,
    seconds: f64,
) -> Vec<Block> {
    let has_number = cells.iter().filter(|cell| cell.mean.is_some()).count();
    let flaws = || papers.iter().flat_map(|(paper, ..)| &paper.flaws);
    let shown = flaws().filter(|flaw| !flaw.tables.is_empty()).count();
    let jobs = papers.iter().flat_map(|(_, results, ..)| &results.jobs);
    let runs: usize = jobs.map(|job| job.seeds.len()).sum();
    let missing = cells.len() - has_number;
    let came_out = KeyFigure::new(
        "cells that came out",
        format!("{has_number} of {}", cells.len()),
        match missing {
            0 => format!("from {runs} runs; none is empty"),
            missing => format!("from {runs} runs; {missing} have no number of ours and say why"),
        },
    );
    let found = KeyFigure::new(
        "flaws demonstrated",
        shown.to_string(),
        format!(
            "in the original evaluations, with the runs that show them; {} more are named",
            flaws().count() - shown
        ),
    );
    let mut blocks = vec![Block::KeyFigures(vec![
        came_out,
        tally(cells),
        claims_tally(claims),
        found,
    ])];
    let edition = papers.iter().any(|(_, results, ..)| {
        let mut jobs = results.jobs.iter();
        jobs.any(|job| job.sixth())
    });
    if edition {
        blocks.push(Block::Notice(Notice::new(
            NoticeKind::Info,
            "EMNIST here is the sixth-scale edition: its printed values stand beside ours and are \
             not judged.",
        )));
    }
    blocks.push(Block::paragraph(
        Text::from("Profile ")
            .strong(profile)
            .plain(format!(
                ", {} for this call (finished runs are kept and not counted). Every number and every \
                 verdict is about the scale and the seeds that stand beside it; all cells are in ",
                format::duration(seconds)
            ))
            .link("cells.json", "cells.json")
            .plain(" and ")
            .link("cells.csv", "cells.csv")
            .plain("."),
    ));
    blocks
}

/// One line a paper.
fn overview(papers: &[Part<'_>]) -> hw_report::Table {
    let columns = vec![
        Column::text("paper"),
        Column::number("cells"),
        Column::number("printed values"),
        Column::text("claims"),
        Column::number("runs"),
    ];
    let mut table = hw_report::Table::new("The documents", columns);
    for (paper, results, cells, claims) in papers {
        let page = format!("{}.html", paper.slug);
        let count = |pick: fn(&Standing) -> bool| cells.iter().filter(|c| pick(&c.verdict)).count();
        let agree = count(|s| matches!(s, Standing::Agrees { .. }));
        let differ = count(|s| matches!(s, Standing::Differs { .. }));
        let printed = cells.iter().filter(|cell| cell.printed.is_some()).count();
        let filled = cells.iter().filter(|cell| cell.mean.is_some()).count();
        let runs: usize = results.jobs.iter().map(|job| job.seeds.len()).sum();
        let failed: usize = results.jobs.iter().map(|job| job.failures.len()).sum();
        let mut verdicts = Text::new();
        for claim in *claims {
            verdicts = verdicts.plain(format!("{} ", claim.id));
            verdicts.0.extend(badge(&claim.verdict).0);
            verdicts = verdicts.plain(" ");
        }
        table = table.row(vec![
            Cell::new(Text::new().link(paper.title.clone(), page)).detail(paper.slug.as_str()),
            Cell::new(format!("{filled} of {}", cells.len())),
            Cell::new(printed.to_string()).detail(format!("{agree} agree, {differ} differ")),
            Cell::new(verdicts),
            Cell::new(runs.to_string()).detail(match failed {
                0 => format!("{} different", results.jobs.len()),
                failed => format!("{} different, {failed} failed", results.jobs.len()),
            }),
        ]);
    }
    table
}

fn every_claim(papers: &[Part<'_>]) -> hw_report::Table {
    let columns = vec![
        Column::text("paper"),
        Column::text("claim"),
        Column::text("verdict"),
    ];
    let mut table = hw_report::Table::new("Every claim", columns);
    for (paper, _, _, claims) in papers {
        let page = format!("{}.html#claims", paper.slug);
        for claim in *claims {
            table = table.row(vec![
                Cell::new(Text::new().link(paper.slug.clone(), page.clone())),
                Cell::new(claim.text.as_str()),
                claim.cell(),
            ]);
        }
    }
    table
}

/// Every flaw in one line, linked to its demonstration.
fn wrong(papers: &[Part<'_>]) -> Block {
    let mut items = Vec::new();
    for (paper, ..) in papers {
        let page = format!(
            "{}.html#what-is-wrong-with-the-original-evaluation",
            paper.slug
        );
        for flaw in &paper.flaws {
            let title = match flaw.title.is_empty() {
                true => flaw.text.clone(),
                false => flaw.title.clone(),
            };
            let name = format!(" ({})", paper.slug);
            items.push(Text::from(title).link(name, page.clone()));
        }
    }
    Block::List {
        ordered: false,
        items,
    }
}
