//! A paper's page: the answer first, then its tables and figures in its own order, ours beside the
//! reported.

use super::claims::JudgedFlaw;
use super::computed::{self, computed_by};
use super::figures::{self, Source};
use super::forest;
use super::front::{answer, claims_table, effect_cell};
use super::report::Part;
use super::results::{PaperResults, RunResult};
use super::tables;
use super::tally::tally;
use hw_report::{
    BadgeKind, Block, Cell, Column, Document, KeyFigure, Notice, NoticeKind, Section, Text, format,
};

/// What a page is made of.
pub(crate) struct PageInput<'a> {
    pub(crate) part: &'a Part<'a>,
    pub(crate) profile: &'a str,
    pub(crate) command: &'a str,
    pub(crate) only: Option<&'a str>,
}

/// The page.
pub(crate) fn page(input: &PageInput<'_>, source: &Source<'_>) -> Document {
    let Part {
        paper,
        results,
        spreads,
        ..
    } = input.part;
    let mut sections = vec![claims_section(input)];
    for section in &paper.sections {
        let wanted = |id: &str| input.only.is_none_or(|only| only == id);
        let mut blocks = Vec::new();
        for t in section.tables.iter().filter(|t| wanted(&t.id)) {
            blocks.extend(tables::table(t, results, spreads, source));
        }
        for t in section.layers.iter().filter(|t| wanted(&t.id)) {
            blocks.push(Block::Table(tables::layer_table(t, results)));
        }
        for figure in section.figures.iter().filter(|f| wanted(&f.id)) {
            blocks.extend(figures::draw(figure, results, source));
        }
        if !blocks.is_empty() {
            blocks.insert(0, Block::paragraph(section.text.as_str()));
            sections.push(Section::new(section.title.clone(), blocks));
        }
    }
    sections.extend(flaws_section(input, source));
    sections.extend(errata_section(input));
    let jobs = results.jobs.iter().copied();
    sections.push(computed::section(&computed_by(jobs)));
    sections.push(runs_section(input, source.runs.is_some()));
    Document {
        title: paper.title.clone(),
        subtitle: paper.citation.clone(),
        banner: synthetic_banner(results),
        lead: lead(input),
        sections,
        footer: Text::from("Made by ")
            .code(input.command)
            .plain(". ")
            .link("All papers", "index.html"),
    }
}

/// The first line of a report whose numbers are not about real handwriting.
pub(crate) fn synthetic_banner(results: &PaperResults<'_>) -> Option<Notice> {
    results.jobs.iter().any(|job| job.synthetic()).then(|| {
        Notice::new(
            NoticeKind::Synthetic,
            "Every number of ours on this page was measured on synthetic data: glyphs drawn by this \
             program, not handwriting. It shows that everything runs, and says nothing about the paper.",
        )
    })
}

/// The claims, a row each, and where they were run at several sizes, how the gap changes.
fn claims_section(input: &PageInput<'_>) -> Section {
    let mut blocks = vec![Block::Table(claims_table(input.part))];
    blocks.extend(forest::trend(&input.part.claims).map(Block::Figure));
    Section::new("Claims", blocks)
}

/// What is wrong with the original evaluation, each with its measured effect, or only named.
fn flaws_section(input: &PageInput<'_>, source: &Source<'_>) -> Option<Section> {
    let wanted = |id: &str| input.only.is_none_or(|only| only == id);
    let Part {
        paper,
        results,
        spreads,
        flaws,
        ..
    } = input.part;
    let mut parts = Vec::new();
    for (flaw, judged) in paper.flaws.iter().zip(flaws) {
        let mut blocks = vec![Block::paragraph(flaw.text.as_str())];
        for t in flaw.tables.iter().filter(|t| wanted(&t.id)) {
            blocks.extend(tables::table(t, results, spreads, source));
        }
        for figure in flaw.figures.iter().filter(|f| wanted(&f.id)) {
            blocks.extend(figures::draw(figure, results, source));
        }
        if input.only.is_none() || blocks.len() > 1 {
            blocks.insert(1, effect(judged));
            parts.push(Section::new(flaw.title.as_str(), blocks));
        }
    }
    let section = Section::new("What is wrong with the original evaluation", Vec::new());
    (!parts.is_empty()).then(|| section.with_subsections(parts))
}

fn effect(flaw: &JudgedFlaw) -> Block {
    let Cell { text, detail, .. } = effect_cell(flaw);
    let mut line = text.plain(" ");
    line.0.extend(detail.unwrap_or_default().0);
    Block::Paragraph(line)
}

/// Where the paper contradicts itself.
fn errata_section(input: &PageInput<'_>) -> Option<Section> {
    let errata = &input.part.paper.errata;
    if errata.is_empty() || input.only.is_some() {
        return None;
    }
    let item = |erratum: &super::paper::Erratum| {
        Text::new()
            .strong(erratum.place.clone())
            .plain(format!(": {}", erratum.text))
    };
    let list = Block::List {
        ordered: false,
        items: errata.iter().map(item).collect(),
    };
    Some(Section::new("Errata inside the paper", vec![list]))
}

fn lead(input: &PageInput<'_>) -> Vec<Block> {
    let Part { paper, results, .. } = input.part;
    let other = computed::notice(&computed_by(results.jobs.iter().copied()));
    let mut blocks: Vec<Block> = other.map(Block::Notice).into_iter().collect();
    blocks.push(Block::Answer(answer(input.part)));
    blocks.push(Block::paragraph(paper.about.as_str()));
    let mut figures = Vec::new();
    if !paper.aims {
        let tally = tally(&input.part.cells);
        figures.push(KeyFigure::new(
            "reported accuracies that agree",
            tally.accuracies.text(),
            format!("distinct values; {}", tally.accuracies.rest()),
        ));
    }
    figures.extend(main_figures(input));
    blocks.push(Block::KeyFigures(figures));
    blocks.push(Block::paragraph(scale_sentence(results, input.profile)));
    blocks
}

/// Accuracy and time of the run that the paper is about.
fn main_figures(input: &PageInput<'_>) -> Vec<KeyFigure> {
    let Part { paper, results, .. } = input.part;
    let Some(main) = results.job(&paper.main_run) else {
        return Vec::new();
    };
    let mut figures = Vec::new();
    let values: Vec<f64> = main
        .seeds
        .iter()
        .map(|seed| seed.metrics.accuracy)
        .collect();
    if let Ok(average) = hw_eval::statistics::mean(&values) {
        let spread = hw_eval::statistics::sample_std(&values).unwrap_or(f64::NAN);
        let label = format!("test accuracy, {}", main.decl.label());
        let value = format::percent_spread(average, spread, 2);
        figures.push(KeyFigure::new(label, value, main.scale()));
    }
    let seconds: Vec<f64> = main
        .seeds
        .iter()
        .filter_map(|seed| seed.train_seconds)
        .collect();
    if let Ok(seconds) = hw_eval::statistics::mean(&seconds) {
        let reported = paper.reported_minutes.map_or_else(String::new, |minutes| {
            let minutes = format::fixed(minutes, 0);
            format!("; the paper: about {minutes} minutes on its own machine")
        });
        let detail = format!("mean a seed, on {}{reported}", machine(results));
        let value = format::duration(seconds);
        figures.push(KeyFigure::new("training time", value, detail));
    }
    figures
}

fn scale_sentence(results: &PaperResults<'_>, profile: &str) -> String {
    let full = results.jobs.iter().filter(|job| job.full).count();
    let all = results.jobs.len();
    let scale = if full == all {
        "Every run has the paper's own scale: every training image and every epoch.".to_string()
    } else {
        format!(
            "{} of {all} runs have fewer training images or epochs than the paper's; their networks, \
             batches and rates are the paper's. Reported accuracies stand beside theirs and are not judged; \
             comparisons of runs are, where these reached their plateau.",
            all - full
        )
    };
    format!("Profile {profile}. {scale}")
}

fn machine(results: &PaperResults<'_>) -> String {
    let by = computed_by(results.jobs.iter().copied());
    if by.iter().any(|other| other.processor != by[0].processor) {
        return "several machines, which are listed below".into();
    }
    let seed = results.jobs.iter().flat_map(|job| &job.seeds).next();
    seed.map_or_else(String::new, |seed| {
        let threads = seed.machine.threads;
        let plural = if threads == 1 { "" } else { "s" };
        let beside = match seed.beside {
            0 => String::new(),
            others => format!(", {} runs at a time", others + 1),
        };
        let processor = &seed.machine.processor;
        format!("{processor}, {threads} thread{plural}{beside}")
    })
}

/// Every run, with a link to its folder where there is one.
fn runs_section(input: &PageInput<'_>, folders_are_here: bool) -> Section {
    let columns = vec![
        Column::text("run"),
        Column::text("scale"),
        Column::text("settings"),
        Column::number("images/s"),
        Column::number("test looks"),
        Column::text("folders"),
    ];
    let mut table = hw_report::Table::new("Every run behind this page", columns);
    let results = &input.part.results;
    for job in &results.jobs {
        let settings = job.seeds.first().map_or_else(String::new, |seed| {
            let c = &seed.config;
            format!(
                "{}{} on {} ({}), {} lr {}, batch {}",
                c.model,
                options(&job.decl.options),
                seed.data.dataset,
                seed.data.edition,
                c.optimizer.name(),
                c.learning_rate,
                c.batch
            )
        });
        let mut settings = Cell::new(settings);
        if !job.search.is_empty() && !job.seeds.is_empty() {
            let tried: Vec<String> = job
                .search
                .iter()
                .map(|(rate, accuracy)| format!("{rate}: {}", format::percent(*accuracy, 2)))
                .collect();
            settings =
                settings.detail(format!("validation accuracy by rate: {}", tried.join(", ")));
        }
        let mut folders = Text::new();
        for seed in &job.seeds {
            let short = seed.run.get(..8).unwrap_or(&seed.run).to_string();
            folders = match folders_are_here {
                true => folders.link(short, format!("../runs/{}/", seed.run)),
                false => folders.plain(short),
            };
            folders = folders.plain(" ");
        }
        for failure in &job.failures {
            let seed = failure
                .seed
                .map_or_else(String::new, |seed| format!("seed {seed}: "));
            folders = folders
                .badge(BadgeKind::Bad, "failed")
                .plain(format!(" {seed}{}", failure.problem));
        }
        let rates: Vec<f64> = job.seeds.iter().filter_map(rate).collect();
        let rate =
            hw_eval::statistics::mean(&rates).map_or("–".into(), |r| format::count(r as u64));
        table = table.row(vec![
            Cell::new(job.decl.label()).detail(job.decl.id.as_str()),
            Cell::new(job.scale()),
            settings,
            Cell::new(rate),
            Cell::new(job.looks.to_string()),
            Cell::new(folders),
        ]);
    }
    let data = results.jobs.iter().flat_map(|job| &job.seeds).next();
    if let Some(seed) = data {
        table = table.note(format!(
            "Data: {} ({}), {} training images, SHA-256 {}.",
            seed.data.dataset,
            seed.data.edition,
            format::count(seed.data.images as u64),
            &seed.data.sha256
        ));
    }
    table = table.note(
        "Test looks: results that were read off the test set for the run's recipe (its configuration without \
         the seed), each seed and each changed test set one. No choice was made by any of them.",
    );
    let summary = format!("All {} runs", results.jobs.len());
    Section::new(
        "Runs",
        vec![Block::details(summary, vec![Block::Table(table)])],
    )
}

/// The settings of a network, in words.
fn options(options: &hw_models::zoo::Settings) -> String {
    let set: Vec<String> = options.iter().map(|(k, v)| format!("{k} {v}")).collect();
    match set.as_slice() {
        [] => String::new(),
        set => format!(" ({})", set.join(", ")),
    }
}

fn rate(seed: &RunResult) -> Option<f64> {
    let images: usize = seed.history.iter().map(|epoch| epoch.train.images).sum();
    seed.train_seconds.map(|seconds| images as f64 / seconds)
}
