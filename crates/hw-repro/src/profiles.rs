//! The page over profiles: what became of each claim at each scale that was run, and where these differ.

use super::claims::badge_named;
use anyhow::{Context, Result};
use hw_report::{Block, Cell, Column, Document, Row, RowKind, Section, Table, Text};
use serde_json::Value;
use std::path::Path;

/// Profiles from the smallest to the largest.
const ORDER: [&str; 5] = ["smoke", "quick", "cpu", "sixth", "paper"];

/// A report that lies beside this one.
struct Kept {
    folder: String,
    profile: String,
    synthetic: bool,
    claims: Vec<Value>,
}

/// Writes the page beside the report in `out`, over all reports in the folders beside `out`.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(out: &Path) -> Result<()> {
    let kept = beside(out);
    let document = Document {
        title: "Verdicts by profile".into(),
        subtitle: "What became of each claim at each scale that was run here".into(),
        lead: vec![Block::paragraph(
            "A larger scale decides more. Where two scales say different things, both are shown, and the \
             larger one is to be believed; rows that differ stand out.",
        )],
        sections: sections(&kept),
        footer: Text::new().link("All papers", "index.html"),
        ..Document::default()
    };
    hw_report::write(&document, &out.join("report"), "profiles")
        .context("the page over profiles")?;
    Ok(())
}

/// The reports in the folders beside `out`, in the order of their profiles; what cannot be read is left out.
fn beside(out: &Path) -> Vec<Kept> {
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folders = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut kept: Vec<Kept> = folders.filter_map(|folder| read(&folder.path())).collect();
    let rank = |kept: &Kept| ORDER.iter().position(|name| *name == kept.profile);
    kept.sort_by_key(|kept| (rank(kept), kept.folder.clone()));
    kept
}

fn read(folder: &Path) -> Option<Kept> {
    let text = std::fs::read_to_string(folder.join("report").join("cells.json")).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(Kept {
        folder: folder.file_name()?.to_string_lossy().into_owned(),
        profile: value["profile"].as_str()?.into(),
        synthetic: value["synthetic"].as_bool()?,
        claims: value["claims"].as_array()?.clone(),
    })
}

/// A section a paper.
fn sections(kept: &[Kept]) -> Vec<Section> {
    let mut papers: Vec<&str> = Vec::new();
    for claim in kept.iter().flat_map(|report| &report.claims) {
        let paper = text(claim, "paper");
        if !papers.contains(&paper) {
            papers.push(paper);
        }
    }
    let section = |paper: &&str| Section::new(*paper, vec![Block::Table(table(paper, kept))]);
    papers.iter().map(section).collect()
}

fn table(paper: &str, kept: &[Kept]) -> Table {
    let mut columns = vec![Column::text("claim")];
    for report in kept {
        let data = if report.synthetic { ", glyphs" } else { "" };
        columns.push(Column::text(format!("{}{data}", report.folder)));
    }
    let mut table = Table::new("Each claim at each scale", columns);
    let mut known: Vec<&str> = Vec::new();
    let claims = kept.iter().flat_map(|report| &report.claims);
    for claim in claims.filter(|claim| text(claim, "paper") == paper) {
        let id = text(claim, "claim");
        if !known.contains(&id) {
            known.push(id);
            table.rows.push(row((paper, id), text(claim, "text"), kept));
        }
    }
    table
}

fn row((paper, id): (&str, &str), words: &str, kept: &[Kept]) -> Row {
    let of = |report: &'_ Kept| -> Option<(String, String)> {
        let mut claims = report.claims.iter();
        let claim = claims.find(|c| text(c, "paper") == paper && text(c, "claim") == id)?;
        Some((
            text(claim, "verdict").into(),
            text(claim, "decided_at").into(),
        ))
    };
    let verdicts: Vec<Option<(String, String)>> = kept.iter().map(of).collect();
    let decided = verdicts
        .iter()
        .flatten()
        .map(|(verdict, _)| verdict.as_str());
    let mut decided: Vec<&str> = decided
        .filter(|v| ["reproduced", "contradicted"].contains(v))
        .collect();
    decided.sort_unstable();
    decided.dedup();
    let mut cells = vec![Cell::new(format!("{id}. {words}"))];
    for verdict in &verdicts {
        cells.push(match verdict {
            Some((verdict, at)) => {
                let badge = Text::new().badge(badge_named(verdict), verdict.clone());
                Cell::new(badge).detail(at.as_str())
            }
            None => Cell::new("–"),
        });
    }
    let kind = if decided.len() > 1 {
        RowKind::Emphasized
    } else {
        RowKind::Normal
    };
    Row::new(cells).kind(kind)
}

fn text<'a>(claim: &'a Value, field: &str) -> &'a str {
    claim[field].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(folder: &Path, profile: &str, verdicts: [&str; 2]) {
        let claim = |id: &str, verdict: &str| serde_json::json!({ "paper": "p", "claim": id, "text": "t", "verdict": verdict, "decided_at": "5 images" });
        let claims = [claim("1", verdicts[0]), claim("2", verdicts[1])];
        let cells = serde_json::json!({ "profile": profile, "synthetic": false, "claims": claims });
        let path = folder.join(profile).join("report");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("cells.json"), cells.to_string()).unwrap();
    }

    #[test]
    fn profiles_stand_side_by_side_from_small_to_large_and_differences_stand_out() {
        let home = tempfile::tempdir().unwrap();
        report(home.path(), "cpu", ["contradicted", "reproduced"]);
        report(home.path(), "quick", ["reproduced", "too small to decide"]);
        std::fs::create_dir_all(home.path().join("damaged/report")).unwrap();
        std::fs::write(home.path().join("damaged/report/cells.json"), "{").unwrap();
        let kept = beside(&home.path().join("quick"));
        let names: Vec<&str> = kept.iter().map(|kept| kept.profile.as_str()).collect();
        assert_eq!(names, ["quick", "cpu"]);
        let table = table("p", &kept);
        let kinds: Vec<RowKind> = table.rows.iter().map(|row| row.kind).collect();
        assert_eq!(kinds, [RowKind::Emphasized, RowKind::Normal]);
        write(&home.path().join("quick")).unwrap();
        let page = home.path().join("quick/report/profiles.html");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("contradicted") && page.contains("too small to decide"));
    }
}
