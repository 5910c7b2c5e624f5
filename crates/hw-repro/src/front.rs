//! The first page: one sentence a paper, then each claim with the gap that the paper reports and the one
//! that we measured, then what was wrong.

use super::claims::{JudgedClaim, JudgedFlaw, Standing as FlawStanding};
use super::command::distinct_runs;
use super::computed::{self, computed_by};
use super::forest;
use super::page::synthetic_banner;
use super::report::Part;
use super::results::JobResult;
use super::tally::{Tally, tally};
use hw_report::{
    Answer, BadgeKind, Block, Cell, Column, Document, KeyFigure, Notice, NoticeKind, Section,
    Table, Text, format,
};

/// The first page over the papers that were run; `seconds` is what this call took.
pub(crate) fn front(parts: &[Part<'_>], profile: &str, command: &str, seconds: f64) -> Document {
    let (papers, aims): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
        parts.iter().partition(|part| !part.paper.aims);
    let mut sections = Vec::new();
    for part in &papers {
        sections.push(claims_section(part));
    }
    for part in &aims {
        sections.push(claims_section(part));
    }
    sections.push(Section::new("What was wrong", wrong(parts)));
    sections.push(computed::section(&computed_by(jobs_of(parts))));
    sections.push(Section::new(
        "Counts",
        vec![counts(parts, profile, seconds)],
    ));
    Document {
        title: "What held up".into(),
        subtitle:
            "Published experiments on handwriting recognition, rerun from their own descriptions"
                .into(),
        banner: parts
            .iter()
            .find_map(|part| synthetic_banner(&part.results)),
        lead: lead(parts),
        sections,
        footer: Text::from("Made by ")
            .code(command)
            .plain(". ")
            .link("All cells as JSON", "cells.json")
            .plain(", ")
            .link("as CSV", "cells.csv")
            .plain("; ")
            .link("verdicts by profile", "profiles.html")
            .plain("."),
    }
}

fn jobs_of<'a>(parts: &'a [Part<'a>]) -> impl Iterator<Item = &'a JobResult> {
    parts
        .iter()
        .flat_map(|part| part.results.jobs.iter().copied())
}

/// The answer first: how many claims of each paper got which verdict.
fn lead(parts: &[Part<'_>]) -> Vec<Block> {
    let linked = |part: &Part<'_>| {
        let page = format!("{}.html", part.paper.slug);
        let title = Text::new().link(part.paper.title.clone(), page);
        Block::Answer(answer(part).title(title))
    };
    let mut blocks: Vec<Block> = parts.iter().map(linked).collect();
    let other = computed::notice(&computed_by(jobs_of(parts)));
    blocks.splice(0..0, other.map(Block::Notice));
    let edition = parts
        .iter()
        .flat_map(|part| &part.results.jobs)
        .any(|job| job.sixth());
    if edition {
        blocks.push(Block::Notice(Notice::new(
            NoticeKind::Info,
            "EMNIST here is the sixth-scale edition: the papers' accuracies on EMNIST stand beside ours and \
             are not judged; comparisons of networks are.",
        )));
    }
    blocks
}

/// One sentence about a paper.
pub(crate) fn answer(part: &Part<'_>) -> Answer {
    let count = |kind: BadgeKind| {
        let of_kind = part
            .claims
            .iter()
            .filter(|claim| claim.verdict.badge() == kind);
        (kind, of_kind.count())
    };
    let counts: Vec<(BadgeKind, usize)> = BadgeKind::ALL.into_iter().map(count).collect();
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let what = match (part.paper.aims, all) {
        (false, 1) => "claim",
        (false, _) => "claims",
        (true, 1) => "aim of our own",
        (true, _) => "aims of our own",
    };
    let named: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| {
            let word = match (part.paper.aims, kind) {
                (true, BadgeKind::Good) => "met",
                (true, BadgeKind::Bad) => "missed",
                (_, kind) => kind.label(),
            };
            format!("{count} {word}")
        })
        .collect();
    Answer::new(counts)
        .sentence(format!("Of {all} {what} {}.", named.join(", ")))
        .note(scale_note(part))
}

/// Data, sizes and seeds in one line.
fn scale_note(part: &Part<'_>) -> String {
    let seeds = part.results.jobs.iter().map(|job| job.seeds.len());
    let (least, most) = (seeds.clone().filter(|n| *n > 0).min(), seeds.max());
    let seeds = match (least.unwrap_or(0), most.unwrap_or(0)) {
        (least, most) if least == most => format!("{most} seed{}", plural(most)),
        (least, most) => format!("{least} to {most} seeds, more where one does not decide"),
    };
    let images = part
        .results
        .jobs
        .iter()
        .map(|job| job.images())
        .max()
        .unwrap_or(0);
    let unfinished = part
        .results
        .jobs
        .iter()
        .filter(|job| job.too_small().is_some())
        .count();
    let plateau = match unfinished {
        0 => "every run trained to its end".to_string(),
        some => format!(
            "{some} of {} runs stopped while still learning",
            part.results.jobs.len()
        ),
    };
    format!(
        "Up to {} training images, {seeds}; {plateau}.",
        format::count(images as u64)
    )
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn claims_section(part: &Part<'_>) -> Section {
    let table = claims_table(part);
    Section::new(part.paper.title.clone(), vec![Block::Table(table)])
        .with_id(format!("claims-{}", part.paper.slug))
}

/// A row a claim: what it says, the reported gap and ours as a picture, the verdict, and at which size
/// it was decided; tests are folded away.
pub(crate) fn claims_table(part: &Part<'_>) -> Table {
    let axis = forest::axis(&part.claims);
    let columns = vec![
        Column::text("claim"),
        Column::text("difference")
            .unit("diamond: reported, mark: ours")
            .figure(axis.heading()),
        Column::text("verdict"),
        Column::text("decided at"),
    ];
    let caption = if part.paper.aims {
        "Our own aims"
    } else {
        "The claims"
    };
    let mut table = Table::new(caption, columns).scale(scale_note(part));
    for claim in &part.claims {
        table.rows.push(forest::row(claim, &axis));
    }
    table.note(
        "Intervals account for seeds and test images. Claims of one paper share one error rate (Holm). How \
         each verdict is made: docs/papers.md.",
    )
}

/// Flaws that were demonstrated, with their effect, then those that are only named.
fn wrong(parts: &[Part<'_>]) -> Vec<Block> {
    let columns = vec![
        Column::text("paper"),
        Column::text("flaw"),
        Column::text("measured effect"),
    ];
    let mut table = Table::new("Flaws whose effect was measured", columns);
    let mut named = Vec::new();
    for part in parts {
        let page = format!(
            "{}.html#what-is-wrong-with-the-original-evaluation",
            part.paper.slug
        );
        for flaw in &part.flaws {
            let link = Text::new().link(part.paper.slug.clone(), page.clone());
            match flaw.standing {
                FlawStanding::Named => {
                    let title = Text::from(flaw.title.as_str()).plain(" (");
                    let mut title = title;
                    title.0.extend(link.0);
                    named.push(title.plain(")"));
                }
                _ => {
                    table = table.row(vec![
                        Cell::new(link),
                        Cell::new(flaw.title.as_str()),
                        effect_cell(flaw),
                    ]);
                }
            }
        }
    }
    let mut blocks = Vec::new();
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    if !named.is_empty() {
        blocks.push(Block::paragraph(
            "Named, because nothing was measured that shows their effect:",
        ));
        blocks.push(Block::List {
            ordered: false,
            items: named,
        });
    }
    blocks
}

/// What a flaw does to a number.
pub(crate) fn effect_cell(flaw: &JudgedFlaw) -> Cell {
    let word = match flaw.standing {
        FlawStanding::Demonstrated => Text::new().badge(BadgeKind::Bad, "demonstrated"),
        FlawStanding::NoEffect => Text::new().badge(BadgeKind::Neutral, "no effect shown"),
        FlawStanding::TooSmall => Text::new().badge(BadgeKind::TooSmall, "too small to decide"),
        FlawStanding::Named => Text::new().badge(BadgeKind::Muted, "named"),
    };
    let effects: Vec<String> = flaw
        .effects
        .iter()
        .map(|part| format!("{}: {}", part.text, forest::words(part)))
        .collect();
    Cell::new(word).detail(effects.join("; "))
}

/// How many cells and values there are, each counted once.
fn counts(parts: &[Part<'_>], profile: &str, seconds: f64) -> Block {
    let of_papers: Vec<&Part<'_>> = parts.iter().filter(|part| !part.paper.aims).collect();
    let cells = of_papers.iter().flat_map(|part| &part.cells);
    let Tally {
        accuracies,
        counts,
        others,
        filled,
        cells,
    } = tally(cells);
    let runs = distinct_runs(jobs_of(parts));
    let mut figures = vec![
        KeyFigure::new(
            "reported accuracies that agree",
            accuracies.text(),
            format!("distinct values; {}", accuracies.rest()),
        ),
        KeyFigure::new(
            "reported counts that agree",
            counts.text(),
            format!("files, classes and parameters; {}", counts.rest()),
        ),
        KeyFigure::new(
            "other reported values that agree",
            others.text(),
            format!("losses and F1; {}", others.rest()),
        ),
        KeyFigure::new(
            "cells with a number of ours",
            format!("{filled} of {cells}"),
            format!("from {runs} different runs"),
        ),
    ];
    figures.push(KeyFigure::new(
        "this call",
        format::duration(seconds),
        format!("profile {profile}; finished runs are kept and not counted"),
    ));
    Block::KeyFigures(figures)
}

/// A claim's verdict as a badge with how many of its parts say so.
pub(crate) fn verdict_cell(claim: &JudgedClaim) -> Cell {
    let badge = claim.verdict.badge();
    let cell = Cell::new(Text::new().badge(badge, claim.verdict.name()));
    match claim.verdict.detail() {
        Some(detail) => cell.detail(detail),
        None => cell,
    }
}
