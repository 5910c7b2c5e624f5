//! `hw data`: which data sets there are, what is in one, and what it looks like.

use super::{SYNTHETIC, data_dirs, load};
use crate::args::{Common, DataCommand, InfoArgs, ListArgs, ShowArgs};
use crate::output::{Table, answer, grouped};
use crate::progress;
use anyhow::Result;
use hw_data::verify::Verdict;
use hw_data::{DataDirs, DataError, Dataset, DatasetId, Split, glyphs, locate};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn run(command: &DataCommand, common: &Common) -> Result<ExitCode> {
    match command {
        DataCommand::List(args) => answer(common.json, &list(args, common)?)?,
        DataCommand::Info(args) => answer(common.json, &info(args, common)?)?,
        DataCommand::Show(args) => answer(common.json, &show(args, common)?)?,
        DataCommand::Fetch(args) => return super::fetch::run(args, common),
        DataCommand::Audit(args) => return super::audit::run(args, common),
    }
    Ok(ExitCode::SUCCESS)
}

/// All data sets.
#[derive(Debug, Serialize)]
struct List {
    looked_in: Vec<PathBuf>,
    datasets: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    about: &'static str,
    classes: usize,
    synthetic: bool,
    /// Training and test images, as far as they are here.
    train: Option<usize>,
    test: Option<usize>,
    edition: Option<String>,
    folder: Option<PathBuf>,
    /// Why it cannot be used.
    problem: Option<String>,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["data set", ">classes", ">train", ">test", "where", "what"]);
        let count = |images: Option<usize>| images.map_or("-".into(), grouped);
        for set in &self.datasets {
            let place = match (&set.folder, &set.problem, &set.edition) {
                (Some(folder), _, Some(edition)) => format!("{} ({edition})", folder.display()),
                (_, Some(problem), _) => problem.clone(),
                _ => "synthetic, drawn when asked for".into(),
            };
            table.row([
                set.name.clone(),
                grouped(set.classes),
                count(set.train),
                count(set.test),
                place,
                set.about.into(),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "folder:PATH is a data set too: a folder of PNG or JPEG images, one folder a class."
        )?;
        let folders: Vec<String> = self
            .looked_in
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        writeln!(f, "Looked in: {}", folders.join(", "))
    }
}

fn list(args: &ListArgs, common: &Common) -> Result<List> {
    let edition = args.emnist.emnist.and_then(|emnist| emnist.edition());
    let dirs = data_dirs(common)?.with_edition(edition);
    let datasets = DatasetId::all().iter().map(|id| line(id, &dirs)).collect();
    Ok(List {
        looked_in: dirs.roots,
        datasets,
    })
}

fn line(id: &DatasetId, dirs: &DataDirs) -> Line {
    let mut line = Line {
        name: id.to_string(),
        about: id.about(),
        classes: id.classes().map_or(0, |classes| classes.len()),
        synthetic: id.is_synthetic(),
        train: None,
        test: None,
        edition: None,
        folder: None,
        problem: None,
    };
    if let DatasetId::Glyphs(set) = id {
        line.train = Some(glyphs::default_count(*set, Split::Train));
        line.test = Some(glyphs::default_count(*set, Split::Test));
        line.edition = Some(glyphs::EDITION.into());
        return line;
    }
    match locate(id, dirs) {
        Ok(located) => {
            let count = |split| located.files(split).map(|files| files.count as usize);
            (line.train, line.test) = (count(Split::Train), count(Split::Test));
            line.edition = Some(located.edition());
            line.folder = located.folder;
        }
        Err(DataError::NotFound { .. }) => line.problem = Some("not found".into()),
        Err(error) => line.problem = Some(error.to_string()),
    }
    line
}

/// One data set.
#[derive(Debug, Serialize)]
struct Info {
    name: String,
    about: &'static str,
    synthetic: bool,
    licence: Option<&'static str>,
    sources: &'static [&'static str],
    folder: Option<PathBuf>,
    classes: Vec<String>,
    parts: Vec<Part>,
    files: Vec<File>,
}

/// One part of a data set, loaded.
#[derive(Debug, Serialize)]
struct Part {
    split: Split,
    edition: String,
    images: usize,
    /// Channels, height, width.
    shape: [usize; 3],
    class_counts: Vec<usize>,
    /// Over shape, pixels and labels.
    sha256: String,
    /// Seconds from the first look to images in memory.
    load_seconds: f64,
}

#[derive(Debug, Serialize)]
struct File {
    path: PathBuf,
    verdict: &'static str,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}, {} classes",
            self.name,
            self.about,
            self.classes.len()
        )?;
        if self.synthetic {
            writeln!(f, "{SYNTHETIC}")?;
        }
        if let Some(folder) = &self.folder {
            writeln!(f, "in {}", folder.display())?;
        }
        if let Some(licence) = self.licence {
            writeln!(f, "licence {licence}")?;
        }
        for part in &self.parts {
            let [channels, height, width] = part.shape;
            let (split, images, edition) = (part.split, grouped(part.images), &part.edition);
            writeln!(
                f,
                "{split}: {images} images of {channels}x{height}x{width}, {edition}, loaded in {:.3} s",
                part.load_seconds
            )?;
            writeln!(f, "  sha256 {}", part.sha256)?;
        }
        for file in &self.files {
            writeln!(f, "{}: {}", file.path.display(), file.verdict)?;
        }
        let headings = self.parts.iter().map(|part| format!(">{}", part.split));
        let headings: Vec<String> = ["class".to_string()].into_iter().chain(headings).collect();
        let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
        for (label, class) in self.classes.iter().enumerate() {
            let counts = self
                .parts
                .iter()
                .map(|part| grouped(part.class_counts[label]));
            table.row([class.clone()].into_iter().chain(counts));
        }
        write!(f, "\n{table}")
    }
}

fn info(args: &InfoArgs, common: &Common) -> Result<Info> {
    let edition = args.emnist.emnist.and_then(|emnist| emnist.edition());
    let dirs = data_dirs(common)?.with_edition(edition);
    let id = &args.name;
    let located = locate(id, &dirs)?;
    let mut classes = Vec::new();
    let mut parts = Vec::new();
    for split in [Split::Train, Split::Test] {
        if id.entry().is_none() || located.files(split).is_some() {
            let started = Instant::now();
            let dataset = load(id, split, &dirs, common)?;
            parts.push(part(&dataset, started.elapsed().as_secs_f64()));
            classes = dataset.classes.to_vec();
        }
    }
    let files = progress::during("comparing checksums", common.verbose, || {
        hw_data::verify(id, &dirs)
    })?;
    let entry = id.entry();
    Ok(Info {
        name: id.to_string(),
        about: id.about(),
        synthetic: id.is_synthetic(),
        licence: entry.map(|entry| entry.licence),
        sources: entry.map_or(&[], |entry| entry.sources),
        folder: located.folder,
        classes,
        parts,
        files: files
            .into_iter()
            .map(|f| File {
                path: f.path,
                verdict: words(f.verdict),
            })
            .collect(),
    })
}

fn part(dataset: &Dataset, load_seconds: f64) -> Part {
    Part {
        split: dataset.split,
        edition: dataset.edition.clone(),
        images: dataset.len(),
        shape: dataset.images.shape(),
        class_counts: dataset.class_counts(),
        sha256: dataset.checksum.clone(),
        load_seconds,
    }
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Published => "the published file",
        Verdict::Content => "the published content, packed anew",
        Verdict::Different => "NOT the published content: another file, or damaged",
        Verdict::Unlisted => "no checksum is known for it",
    }
}

/// A picture of a data set.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    split: Split,
    synthetic: bool,
    out: PathBuf,
    classes: Vec<String>,
    per_class: u16,
    seed: u64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, name, split) = (self.out.display(), &self.name, self.split);
        let kind = if self.synthetic { "SYNTHETIC " } else { "" };
        writeln!(
            f,
            "{out}: {kind}{name}, {split} images, one row a class: {}",
            self.classes.join(" ")
        )
    }
}

fn show(args: &ShowArgs, common: &Common) -> Result<Shown> {
    let edition = args.emnist.emnist.and_then(|emnist| emnist.edition());
    let dirs = data_dirs(common)?.with_edition(edition);
    let split = args.split.into();
    let dataset = load(&args.name, split, &dirs, common)?;
    let png = hw_data::grid::grid_png(&dataset, usize::from(args.per_class), args.seed)?;
    hw_core::files::write_whole(&args.out, &png)?;
    Ok(Shown {
        name: args.name.to_string(),
        split,
        synthetic: dataset.synthetic,
        out: args.out.clone(),
        classes: dataset.classes.to_vec(),
        per_class: args.per_class,
        seed: args.seed,
    })
}
