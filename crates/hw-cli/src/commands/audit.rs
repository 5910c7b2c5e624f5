//! `hw data audit`: what data sets share that they should not, and what they lack.

use super::{SYNTHETIC, data_dirs};
use crate::args::{AuditArgs, Common};
use crate::output::{Table, answer, counted, grouped, percent};
use crate::progress;
use anyhow::{Result, bail};
use hw_data::audit::{Audit, AuditConfig, Example, Overlap, PairFacts, PartFacts, Place, audit};
use hw_data::{DataDirs, Dataset, DatasetId, catalogue, locate};
use hw_report::plots::{GridImage, ImageGrid, ShareMatrix};
use hw_report::{Block, Cell, Column, Document, Figure, Section, to_html};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn run(args: &AuditArgs, common: &Common) -> Result<ExitCode> {
    let edition = args.emnist.emnist.and_then(|emnist| emnist.edition());
    let dirs = data_dirs(common)?.with_edition(edition);
    let ids = wanted(&args.names, &dirs)?;
    let started = Instant::now();
    let parts = progress::during("loading", common.verbose, || hw_data::load_all(&ids, &dirs))?;
    let load_seconds = started.elapsed().as_secs_f64();
    let config = AuditConfig {
        likeness: (!args.exact).then_some(args.likeness),
    };
    let started = Instant::now();
    let audit = progress::during("comparing", common.verbose, || audit(&parts, &config))?;
    let found = Answer {
        synthetic: parts.iter().any(|part| part.synthetic),
        load_seconds,
        audit_seconds: started.elapsed().as_secs_f64(),
        audit,
        out: args.out.clone(),
    };
    if let Some(out) = &args.out {
        let page = to_html(&page(&found, &parts));
        hw_core::files::write_whole(out, page.as_bytes())?;
    }
    answer(common.json, &found)?;
    Ok(ExitCode::SUCCESS)
}

/// The sets named, each once, or else all that are here.
fn wanted(names: &[DatasetId], dirs: &DataDirs) -> Result<Vec<DatasetId>> {
    let mut ids: Vec<DatasetId> = Vec::new();
    for id in names {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    if ids.is_empty() {
        let published = catalogue::CATALOGUE.iter().map(|(id, _)| id);
        let here = |id: &&DatasetId| locate(id, dirs).is_ok();
        ids = published.filter(here).cloned().collect();
        // A set of which only one part is here is found by edition only.
        let named = |edition| dirs.clone().with_edition(Some(edition));
        let full = named(hw_data::EmnistEdition::Full);
        for (id, _) in catalogue::CATALOGUE {
            if dirs.edition.is_none() && !ids.contains(id) && locate(id, &full).is_ok() {
                ids.push(id.clone());
            }
        }
    }
    if ids.is_empty() {
        bail!("no published data set is here; name a set, folder:PATH say, or see `hw data list`");
    }
    Ok(ids)
}

/// What was found, and how long it took.
#[derive(Debug, Serialize)]
struct Answer {
    /// Whether any of the images were drawn by a program.
    synthetic: bool,
    load_seconds: f64,
    audit_seconds: f64,
    #[serde(flatten)]
    audit: Audit,
    /// The page that was written.
    out: Option<PathBuf>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.synthetic {
            writeln!(f, "Partly {SYNTHETIC}")?;
        }
        writeln!(f, "{}\n", self.scale())?;
        for finding in &self.audit.findings {
            writeln!(f, "{:8} {}", severity(finding), finding.text)?;
        }
        if self.audit.findings.is_empty() {
            writeln!(f, "nothing stands out")?;
        }
        let headings = PART_HEADINGS.map(|(name, number)| match number {
            true => format!(">{name}"),
            false => name.to_string(),
        });
        let mut table = Table::new(&headings.each_ref().map(String::as_str));
        for part in &self.audit.parts {
            table.row(part_cells(part));
        }
        writeln!(f, "\n{table}")?;
        if let Some(out) = &self.out {
            writeln!(f, "page with pictures: {}", out.display())?;
        }
        Ok(())
    }
}

impl Answer {
    /// How much was looked at, for how long and what was passed over.
    fn scale(&self) -> String {
        let audit = &self.audit;
        let near = match audit.likeness {
            Some(least) => format!(
                "; near duplicates from likeness {least}, {} too plain for it (bars, blanks)",
                counted(audit.plain, "picture")
            ),
            None => "; equal images only".into(),
        };
        format!(
            "{} in {}, {} different; loaded in {:.1} s, compared in {:.1} s{near}",
            counted(audit.images, "image"),
            counted(audit.parts.len(), "part"),
            grouped(audit.pictures),
            self.load_seconds,
            self.audit_seconds,
        )
    }
}

fn severity(finding: &hw_data::audit::Finding) -> &'static str {
    use hw_data::audit::Severity;
    match finding.severity {
        Severity::Grave => "GRAVE",
        Severity::Notable => "notable",
        Severity::Minor => "minor",
    }
}

/// The columns of the table of parts, and which are numbers.
const PART_HEADINGS: [(&str, bool); 8] = [
    ("part", false),
    ("edition", false),
    ("images", true),
    ("classes", true),
    ("absent", false),
    ("class sizes", true),
    ("copies", true),
    ("near", true),
];

fn part_cells(part: &PartFacts) -> [String; 8] {
    let [smallest, largest] = part.class_sizes.map(grouped);
    [
        format!("{} {}", part.set, part.split),
        part.edition.clone(),
        grouped(part.images),
        grouped(part.classes),
        part.absent.join(" "),
        format!("{smallest}..{largest}"),
        grouped(part.copies),
        grouped(part.near),
    ]
}

/// The page: findings, the picture of what is shared, tables, and the images in question.
fn page(found: &Answer, parts: &[Dataset]) -> Document {
    let audit = &found.audit;
    let findings = match audit.findings.is_empty() {
        true => vec![Block::paragraph("Nothing stands out.")],
        false => vec![Block::Table(findings_table(audit))],
    };
    let mut sections = vec![
        Section::new("Findings", findings),
        Section::new("What is shared", shared(audit)),
        Section::new("Parts", vec![Block::Table(parts_table(audit))]),
    ];
    let groups = [
        ("Labels that contradict each other", &audit.conflicts),
        ("Near duplicates", &audit.near_duplicates),
    ];
    for (title, examples) in groups {
        if !examples.is_empty() {
            let grid = ImageGrid::new(examples.iter().flat_map(|e| tiles(audit, parts, e)));
            let caption =
                "Two by two: equal images or near duplicates, each with its label and place.";
            let figure = Figure::new(slug(title), caption, title, &grid);
            sections.push(Section::new(title, vec![Block::Figure(figure)]));
        }
    }
    Document {
        title: "Audit of handwriting data".into(),
        subtitle: found.scale(),
        sections,
        ..Document::default()
    }
}

fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn findings_table(audit: &Audit) -> hw_report::Table {
    let columns = vec![Column::text("weight"), Column::text("finding")];
    let table = hw_report::Table::new("What stands out, the gravest first.", columns);
    audit.findings.iter().fold(table, |table, finding| {
        table.row(vec![severity(finding).into(), finding.text.clone().into()])
    })
}

fn parts_table(audit: &Audit) -> hw_report::Table {
    let column = |(name, number): (&str, bool)| match number {
        true => Column::number(name),
        false => Column::text(name),
    };
    let columns = PART_HEADINGS.map(column).to_vec();
    let caption = "Every part by itself. Copies repeat an earlier image of the part; near counts \
                   images with a near duplicate in it.";
    let table = hw_report::Table::new(caption, columns);
    audit.parts.iter().fold(table, |table, part| {
        table.row(part_cells(part).map(Cell::from).to_vec())
    })
}

/// A matrix of shares, and the pairs that have anything in common in numbers.
fn shared(audit: &Audit) -> Vec<Block> {
    let names = audit.parts.iter().map(|part| part.name.clone());
    let mut shares = vec![vec![None; audit.parts.len()]; audit.parts.len()];
    for pair in &audit.pairs {
        shares[pair.first][pair.second] = Some(pair.of_first.share);
        shares[pair.second][pair.first] = Some(pair.of_second.share);
    }
    let matrix = ShareMatrix::new(names, shares);
    let caption =
        "How much of the part of each row is, image for image, in the part of each column.";
    let figure = Figure::new("shared", caption, "Matrix of shared images", &matrix);
    let mut blocks = vec![Block::Figure(figure)];
    let columns = ["part", "other part"].map(Column::text).into_iter();
    let numbers = [
        "of its images in it",
        "share",
        "more by near duplicates",
        "contradictions",
    ];
    let columns = columns.chain(numbers.map(Column::number)).collect();
    let mut table = hw_report::Table::new("Parts that have images in common.", columns);
    let near = |pair: &&PairFacts| pair.shared + pair.of_first.near + pair.of_second.near > 0;
    for pair in audit.pairs.iter().filter(near) {
        table = table.row(pair_cells(
            audit,
            pair,
            pair.first,
            pair.second,
            pair.of_first,
        ));
        table = table.row(pair_cells(
            audit,
            pair,
            pair.second,
            pair.first,
            pair.of_second,
        ));
    }
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    blocks
}

fn pair_cells(
    audit: &Audit,
    pair: &PairFacts,
    of: usize,
    into: usize,
    overlap: Overlap,
) -> Vec<Cell> {
    let cells = [
        audit.parts[of].name.clone(),
        audit.parts[into].name.clone(),
        grouped(overlap.images),
        percent(overlap.share),
        grouped(overlap.near),
        grouped(pair.conflicting),
    ];
    cells.map(Cell::from).to_vec()
}

fn tiles(audit: &Audit, parts: &[Dataset], example: &Example) -> [GridImage; 2] {
    [&example.first, &example.second].map(|place: &Place| {
        let images = &parts[place.part].images;
        let [_, height, width] = images.shape();
        let pixels = &images.image(place.index)[..height * width];
        let (name, index) = (&audit.parts[place.part].name, place.index);
        let caption = format!("{} ({name}, {index})", place.class);
        GridImage::new(pixels, width, height, caption)
    })
}
