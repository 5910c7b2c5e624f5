//! A paper's page: its tables and figures in its own order, ours beside the printed, and a verdict
//! on each claim.

use super::cells::{JudgedCell, Standing, judge_cell};
use super::expression::Quantity;
use super::figures::{self, Images};
use super::layers;
use super::paper::{Claim, LayerTable, Paper, Table};
use super::results::{Judgement, PaperResults, overall};
use hw_eval::verdict::{Comparison, Verdict};
use hw_report::{
    BadgeKind, Block, Cell, Column, Document, KeyFigure, Notice, NoticeKind, Row, RowKind, Section,
    Text, format,
};

/// A claim with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct JudgedClaim {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) remark: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) judgements: Vec<Judgement>,
}

/// All claims of a paper, judged.
pub(crate) fn judge_claims(paper: &Paper, results: &PaperResults<'_>) -> Vec<JudgedClaim> {
    let judge = |claim: &Claim| {
        let judgements: Vec<Judgement> = claim.checks.iter().map(|c| results.judge(c)).collect();
        JudgedClaim {
            id: claim.id.clone(),
            text: claim.text.clone(),
            remark: claim.remark.clone(),
            verdict: overall(&judgements),
            judgements,
        }
    };
    paper.claims.iter().map(judge).collect()
}

/// What a page is made of beside the results.
pub(crate) struct PageInput<'a> {
    pub(crate) paper: &'a Paper,
    pub(crate) results: &'a PaperResults<'a>,
    pub(crate) cells: &'a [JudgedCell],
    pub(crate) claims: &'a [JudgedClaim],
    pub(crate) profile: &'a str,
    pub(crate) command: &'a str,
    pub(crate) only: Option<&'a str>,
}

/// The page.
pub(crate) fn page(input: &PageInput<'_>, images: Images<'_>) -> Document {
    let paper = input.paper;
    let mut sections = vec![claims_section(input)];
    for section in &paper.sections {
        let wanted = |id: &str| input.only.is_none_or(|only| only == id);
        let mut blocks = Vec::new();
        for t in section.tables.iter().filter(|t| wanted(&t.id)) {
            blocks.push(Block::Table(table(t, input.results)));
        }
        for t in section.layers.iter().filter(|t| wanted(&t.id)) {
            blocks.push(Block::Table(layer_table(t, input.results)));
        }
        for figure in section.figures.iter().filter(|f| wanted(&f.id)) {
            blocks.extend(figures::draw(figure, input.results, &mut *images));
        }
        if !blocks.is_empty() {
            blocks.insert(0, Block::paragraph(section.text.as_str()));
            sections.push(Section::new(section.title.clone(), blocks));
        }
    }
    if !paper.flaws.is_empty() {
        let items = paper
            .flaws
            .iter()
            .map(|flaw| Text::from(flaw.text.as_str()))
            .collect();
        let list = Block::List {
            ordered: false,
            items,
        };
        sections.push(Section::new(
            "What is wrong with the original evaluation",
            vec![list],
        ));
    }
    sections.push(runs_section(input));
    Document {
        title: paper.title.clone(),
        subtitle: paper.citation.clone(),
        banner: synthetic_banner(input.results),
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

fn lead(input: &PageInput<'_>) -> Vec<Block> {
    let paper = input.paper;
    let mut blocks = vec![Block::paragraph(paper.about.as_str())];
    let mut figures = vec![tally(input.cells), claims_tally(input.claims)];
    if let Some(main) = input.results.job(&paper.main_run)
        && let Ok(values) = main_accuracy(paper, input.results)
    {
        let spread = hw_eval::statistics::sample_std(&values).unwrap_or(f64::NAN);
        let average = hw_eval::statistics::mean(&values).unwrap_or(f64::NAN);
        let label = format!("test accuracy, {}", main.decl.label());
        let value = format::percent_spread(average, spread, 2);
        figures.push(KeyFigure::new(label, value, main.scale()));
        let seconds: Vec<f64> = main
            .seeds
            .iter()
            .filter_map(|seed| seed.train_seconds)
            .collect();
        if let Ok(seconds) = hw_eval::statistics::mean(&seconds) {
            let detail = format!(
                "mean a seed, on {}; the document: about {} minutes on its own machine",
                machine(input.results),
                format::fixed(paper.printed_minutes, 0)
            );
            figures.push(KeyFigure::new(
                "training time",
                format::duration(seconds),
                detail,
            ));
        }
    }
    blocks.push(Block::KeyFigures(figures));
    blocks.push(Block::paragraph(scale_sentence(input)));
    blocks
}

fn main_accuracy(paper: &Paper, results: &PaperResults<'_>) -> Result<Vec<f64>, String> {
    Ok(results
        .values(&format!("{}.accuracy", paper.main_run).parse()?)?
        .values)
}

fn scale_sentence(input: &PageInput<'_>) -> String {
    let full = input.results.jobs.iter().filter(|job| job.full).count();
    let all = input.results.jobs.len();
    let scale = if full == all {
        "All runs have the document's own scale: every training image and every epoch.".to_string()
    } else {
        format!(
            "{} of {all} runs are smaller than the document's (fewer training images or epochs), so \
             printed values are shown beside ours but not judged; --profile paper runs the rest.",
            all - full
        )
    };
    format!(
        "Profile {}. {scale} Each number stands with its scale.",
        input.profile
    )
}

fn machine(results: &PaperResults<'_>) -> String {
    let seed = results.jobs.iter().flat_map(|job| &job.seeds).next();
    seed.map_or_else(String::new, |seed| {
        let threads = seed.machine.threads;
        let plural = if threads == 1 { "" } else { "s" };
        format!("{}, {threads} thread{plural}", seed.machine.processor)
    })
}

/// How many printed values agree.
pub(crate) fn tally(cells: &[JudgedCell]) -> KeyFigure {
    let printed: Vec<&JudgedCell> = cells.iter().filter(|cell| cell.printed.is_some()).collect();
    let count = |pick: fn(&Standing) -> bool| printed.iter().filter(|c| pick(&c.verdict)).count();
    let agree = count(|s| matches!(s, Standing::Agrees { .. }));
    let differ = count(|s| matches!(s, Standing::Differs { .. }));
    let other = printed.len() - agree - differ;
    let detail = format!(
        "{differ} differ, {other} not comparable; {} cells in all",
        cells.len()
    );
    KeyFigure::new(
        "printed values that agree",
        format!("{agree} of {}", agree + differ),
        detail,
    )
}

/// How many claims came out.
pub(crate) fn claims_tally(claims: &[JudgedClaim]) -> KeyFigure {
    let count = |verdict: &str| {
        claims
            .iter()
            .filter(|c| c.verdict.name() == verdict)
            .count()
    };
    let detail = format!(
        "{} not reproduced, {} within noise, {} not tested",
        count("not reproduced"),
        count("within noise"),
        count("not tested")
    );
    let value = format!("{} of {}", count("reproduced"), claims.len());
    KeyFigure::new("claims reproduced", value, detail)
}

/// A verdict as a badge.
pub(crate) fn badge(verdict: &Verdict) -> Text {
    let kind = match verdict {
        Verdict::Reproduced => BadgeKind::Good,
        Verdict::NotReproduced => BadgeKind::Bad,
        Verdict::WithinNoise => BadgeKind::Neutral,
        Verdict::NotTested { .. } => BadgeKind::Muted,
    };
    Text::new().badge(kind, verdict.name())
}

fn claims_section(input: &PageInput<'_>) -> Section {
    let columns = vec![
        Column::text("claim"),
        Column::text("verdict"),
        Column::text("test"),
    ];
    let mut table = hw_report::Table::new("The claims, checked", columns);
    for claim in input.claims {
        let mut text = Cell::new(format!("{}. {}", claim.id, claim.text));
        if let Some(remark) = &claim.remark {
            text = text.detail(remark.as_str());
        }
        let checks: Vec<String> = claim.judgements.iter().map(judgement_text).collect();
        table = table.row(vec![
            text,
            Cell::new(badge(&claim.verdict)),
            Cell::new(checks.join(" ")),
        ]);
    }
    for verdict in [
        Verdict::Reproduced,
        Verdict::NotReproduced,
        Verdict::WithinNoise,
    ] {
        table = table.note(badge(&verdict).plain(" ").plain(verdict.description()));
    }
    table = table.note(
        "Level .05 in each direction. Over several seeds: Welch's t-test, or the one-sample t-test \
         against a printed number; against several rivals with Holm's correction. With a single seed: \
         a test on the counts of test images.",
    );
    Section::new("Claims", vec![Block::Table(table)])
}

fn judgement_text(judgement: &Judgement) -> String {
    let mut text = format!("{}: {}", judgement.text, judgement.verdict.name());
    if let Verdict::NotTested { reason } = &judgement.verdict {
        text.push_str(&format!(" ({reason})"));
    }
    for (rival, comparison) in &judgement.comparisons {
        text.push_str(&comparison_text(rival, comparison));
    }
    text + "."
}

fn comparison_text(rival: &str, comparison: &Comparison) -> String {
    let versus = if rival.is_empty() {
        String::new()
    } else {
        format!("against {rival} ")
    };
    let Some(difference) = comparison.difference else {
        return String::new();
    };
    let points = |value: f64| format::signed(value * 100.0, 2);
    let interval = comparison.interval.map_or_else(String::new, |interval| {
        let level = format::percent(comparison.level, 0);
        format!(
            " [{}, {}] at {level}",
            points(interval.low),
            points(interval.high)
        )
    });
    let p = comparison.p.map_or_else(String::new, |p| {
        format!(", p = {}", format::significant(p, 2))
    });
    format!("; {versus}{} points{interval}{p}", points(difference))
}

fn table(declared: &Table, results: &PaperResults<'_>) -> hw_report::Table {
    let mut columns = vec![Column::text(declared.rows_title.clone())];
    for title in &declared.columns {
        columns.push(Column::number(title.clone()));
    }
    let mut table = hw_report::Table::new(declared.caption.as_str(), columns);
    table.id.clone_from(&declared.id);
    let mut rules: Vec<String> = Vec::new();
    for row in &declared.rows {
        let mut cells = vec![Cell::new(row.label.as_str())];
        for (cell, column) in row.cells.iter().zip(&declared.columns) {
            cells.push(match (judge_cell(cell, results), &cell.text) {
                (Some(judged), _) => {
                    if let Standing::Agrees { rule } | Standing::Differs { rule, .. } =
                        &judged.verdict
                        && !rules.contains(rule)
                    {
                        rules.push(rule.clone());
                    }
                    let quantity = cell.value.as_ref().map(|term| term.quantity);
                    render(&judged, quantity, column)
                }
                (None, Some(text)) => Cell::new(text.as_str()),
                (None, None) => Cell::new("–"),
            });
        }
        let kind = if row.emphasis {
            RowKind::Emphasised
        } else {
            RowKind::Normal
        };
        table.rows.push(Row { cells, kind });
    }
    for rule in rules {
        table = table.note(rule);
    }
    for note in assumptions(declared, results) {
        table = table.note(note);
    }
    table
}

/// What the runs of a table assume, once each.
fn assumptions(table: &Table, results: &PaperResults<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for cell in table.rows.iter().flat_map(|row| &row.cells) {
        let Some(job) = cell.value.as_ref().and_then(|term| results.job(&term.run)) else {
            continue;
        };
        if let Some(note) = &job.decl.note {
            let note = format!("{}: {note}", job.decl.label());
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

fn render(judged: &JudgedCell, quantity: Option<Quantity>, column: &str) -> Cell {
    let percent_column = column.contains('%');
    let (Some(mean), Some(quantity)) = (judged.mean, quantity) else {
        let reason = match &judged.verdict {
            Standing::Missing { reason } => reason.as_str(),
            _ => "not measured",
        };
        let mut text = Text::new().badge(BadgeKind::Muted, "no value");
        if let Some(printed) = &judged.printed {
            text = text.plain(format!(" printed {printed}"));
        }
        return Cell::new(text).detail(reason.to_string());
    };
    let spread = judged.std.unwrap_or(f64::NAN);
    let ours = value_text(mean, spread, quantity, percent_column);
    let mut text = Text::new().strong(ours);
    let mut sub = vec![judged.scale.clone()];
    if judged.synthetic {
        sub.insert(0, "synthetic".into());
    }
    if let Some(printed) = &judged.printed {
        text = text.plain(format!(" printed {printed} "));
        text = match &judged.verdict {
            Standing::Agrees { .. } => text.badge(BadgeKind::Good, "agrees"),
            Standing::Differs { by, .. } => {
                let by = if quantity.is_share() {
                    format!("{} points", format::signed(by * 100.0, 2))
                } else {
                    format::signed(*by, 2)
                };
                text.badge(BadgeKind::Bad, format!("differs by {by}"))
            }
            Standing::NotComparable { reason } => {
                sub.push(reason.clone());
                text.badge(BadgeKind::Muted, "not comparable")
            }
            Standing::Ours | Standing::Missing { .. } => text,
        };
    }
    Cell::new(text).detail(sub.join("; "))
}

fn value_text(mean: f64, spread: f64, quantity: Quantity, percent_column: bool) -> String {
    let spread_text = |decimals: usize, scale: f64| {
        let value = format::fixed(mean * scale, decimals);
        if spread.is_finite() && spread > 0.0 {
            format!("{value} ± {}", format::fixed(spread * scale, decimals))
        } else {
            value
        }
    };
    match quantity {
        _ if quantity.is_share() && percent_column => spread_text(2, 100.0),
        _ if quantity.is_share() => spread_text(4, 1.0),
        Quantity::Test(_) | Quantity::TrainLoss => spread_text(4, 1.0),
        Quantity::LearningRate => format::significant(mean, 3),
        Quantity::TrainSeconds => spread_text(1, 1.0),
        Quantity::Latency => spread_text(3, 1.0),
        Quantity::TrainRate
        | Quantity::InferenceRate
        | Quantity::Parameters
        | Quantity::Macs
        | Quantity::Layers => format::count(mean.round() as u64),
    }
}

fn layer_table(declared: &LayerTable, results: &PaperResults<'_>) -> hw_report::Table {
    let rows: Vec<(String, Vec<String>, Vec<String>)> = declared
        .models
        .iter()
        .map(|row| {
            let ours = results
                .job(&row.run)
                .and_then(|job| job.seeds.first())
                .and_then(|seed| {
                    let spec = seed
                        .config
                        .model_spec(seed.input, seed.classes.len())
                        .ok()?;
                    Some(layers::paper_layers(&spec.resolve().ok()?))
                });
            let label = results
                .job(&row.run)
                .map_or(row.run.as_str(), |job| job.decl.label());
            (
                label.to_string(),
                row.printed.clone(),
                ours.unwrap_or_default(),
            )
        })
        .collect();
    let width = rows
        .iter()
        .map(|(_, printed, ours)| printed.len().max(ours.len()))
        .max();
    let width = width.unwrap_or(0);
    let mut columns = vec![Column::text("model"), Column::text("")];
    columns.extend((1..=width).map(|number| Column::text(format!("layer {number}"))));
    let mut table = hw_report::Table::new(declared.caption.as_str(), columns);
    table.id.clone_from(&declared.id);
    for (label, printed, ours) in rows {
        let line = |first: Cell, second: Cell, names: &[String]| {
            let name = |index: usize| names.get(index).map_or("", String::as_str);
            let mut cells = vec![first, second];
            cells.extend((0..width).map(|index| Cell::new(name(index))));
            cells
        };
        let verdict = match layers::agree(&printed, &ours) {
            _ if ours.is_empty() => Text::new().badge(BadgeKind::Muted, "no value"),
            true => Text::from("built ").badge(BadgeKind::Good, "same"),
            false => Text::from("built ").badge(BadgeKind::Bad, "differs"),
        };
        table = table.row(line(Cell::new(label), Cell::new("printed"), &printed));
        table = table.row(line(Cell::new(""), Cell::new(verdict), &ours));
    }
    table.note("A printed list may leave out the final softmax, and writes fc for affine.")
}

fn runs_section(input: &PageInput<'_>) -> Section {
    let columns = vec![
        Column::text("run"),
        Column::text("scale"),
        Column::text("settings"),
        Column::number("images/s"),
        Column::text("folders"),
    ];
    let mut table = hw_report::Table::new("Every run behind this page", columns);
    for job in &input.results.jobs {
        let settings = job.seeds.first().map_or_else(String::new, |seed| {
            let c = &seed.config;
            format!(
                "{} on {} ({}), {} lr {}, batch {}",
                c.model,
                seed.data.dataset,
                seed.data.edition,
                c.optimizer.name(),
                c.learning_rate,
                c.batch
            )
        });
        let mut settings = Cell::new(settings);
        if !job.search.is_empty() {
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
            folders = folders.link(seed.run[..8].to_string(), format!("../runs/{}/", seed.run));
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
            Cell::new(folders),
        ]);
    }
    let data = input.results.jobs.iter().flat_map(|job| &job.seeds).next();
    if let Some(seed) = data {
        table = table.note(format!("Machine: {}.", machine(input.results)));
        table = table.note(format!(
            "Data: {} ({}), {} training images, SHA-256 {}.",
            seed.data.dataset,
            seed.data.edition,
            format::count(seed.data.images as u64),
            &seed.data.sha256
        ));
    }
    Section::new("Runs", vec![Block::Table(table)])
}

fn rate(seed: &super::results::RunResult) -> Option<f64> {
    let images: usize = seed.history.iter().map(|epoch| epoch.train.images).sum();
    seed.train_seconds.map(|seconds| images as f64 / seconds)
}
