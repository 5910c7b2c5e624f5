//! A paper's page: its tables and figures in its own order, ours beside the printed, and a verdict
//! on each claim.

use super::cells::{JudgedCell, Standing, judge_cell};
use super::expression::{Quantity, Term};
use super::figures::{self, Source};
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
    /// Whether every run behind it has the document's own scale, on its data.
    pub(crate) full: bool,
}

impl JudgedClaim {
    /// The verdict, with what it is about where that is less than the document's own scale.
    pub(crate) fn cell(&self) -> Cell {
        let cell = Cell::new(badge(&self.verdict));
        match (&self.verdict, self.full) {
            (Verdict::NotTested { .. }, _) | (_, true) => cell,
            _ => cell.detail("at this scale"),
        }
    }
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
            full: claim
                .checks
                .iter()
                .flat_map(|check| check.terms())
                .all(|term| {
                    let job = results.job(&term.run);
                    let full = job.is_some_and(|job| job.full && !job.sixth() && !job.synthetic());
                    full || term.quantity.is_structural()
                }),
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
pub(crate) fn page(input: &PageInput<'_>, source: &Source<'_>) -> Document {
    let paper = input.paper;
    let mut sections = vec![claims_section(input)];
    for section in &paper.sections {
        let wanted = |id: &str| input.only.is_none_or(|only| only == id);
        let mut blocks = Vec::new();
        for t in section.tables.iter().filter(|t| wanted(&t.id)) {
            blocks.push(Block::Table(table(t, input.results, source)));
        }
        for t in section.layers.iter().filter(|t| wanted(&t.id)) {
            blocks.push(Block::Table(layer_table(t, input.results)));
        }
        for figure in section.figures.iter().filter(|f| wanted(&f.id)) {
            blocks.extend(figures::draw(figure, input.results, source));
        }
        if !blocks.is_empty() {
            blocks.insert(0, Block::paragraph(section.text.as_str()));
            sections.push(Section::new(section.title.clone(), blocks));
        }
    }
    if let Some(section) = flaws_section(input, source) {
        sections.push(section);
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

/// What is wrong with the original evaluation, each with the runs that show it.
fn flaws_section(input: &PageInput<'_>, source: &Source<'_>) -> Option<Section> {
    let wanted = |id: &str| input.only.is_none_or(|only| only == id);
    let mut parts = Vec::new();
    for flaw in &input.paper.flaws {
        let mut blocks = vec![Block::paragraph(flaw.text.as_str())];
        let tables = flaw.tables.iter().filter(|t| wanted(&t.id));
        blocks.extend(tables.map(|t| Block::Table(table(t, input.results, source))));
        for figure in flaw.figures.iter().filter(|f| wanted(&f.id)) {
            blocks.extend(figures::draw(figure, input.results, source));
        }
        if input.only.is_none() || blocks.len() > 1 {
            let title = match flaw.title.is_empty() {
                true => "Also",
                false => flaw.title.as_str(),
            };
            parts.push(Section::new(title, blocks));
        }
    }
    let section = Section::new("What is wrong with the original evaluation", Vec::new());
    (!parts.is_empty()).then(|| section.with_subsections(parts))
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
            let printed = paper.printed_minutes.map_or_else(String::new, |minutes| {
                let minutes = format::fixed(minutes, 0);
                format!("; the document: about {minutes} minutes on its own machine")
            });
            let detail = format!("mean a seed, on {}{printed}", machine(input.results));
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
            "{} of {all} runs are smaller than the document's; each cell says in what, and its printed \
             value stands beside ours but is not judged. --profile paper runs everything as printed.",
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
        let beside = match seed.beside {
            0 => String::new(),
            others => format!(", {} runs at a time", others + 1),
        };
        let processor = &seed.machine.processor;
        format!("{processor}, {threads} thread{plural}{beside}")
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
        table = table.row(vec![text, claim.cell(), Cell::new(checks.join(" "))]);
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

fn table(declared: &Table, results: &PaperResults<'_>, source: &Source<'_>) -> hw_report::Table {
    let mut columns = vec![Column::text(declared.rows_title.clone())];
    for title in &declared.columns {
        columns.push(Column::number(title.clone()));
    }
    let mut table = hw_report::Table::new(declared.caption.as_str(), columns);
    table.id.clone_from(&declared.id);
    let mut rules: Vec<String> = Vec::new();
    for row in &declared.rows {
        let mut cells = vec![Cell::new(row.label.as_str())];
        let mut scales = Vec::new();
        for (cell, column) in row.cells.iter().zip(&declared.columns) {
            cells.push(match (judge_cell(cell, results, source.data), &cell.text) {
                (Some(judged), _) => {
                    if let Standing::Agrees { rule } | Standing::Differs { rule, .. } =
                        &judged.verdict
                        && !rules.contains(rule)
                    {
                        rules.push(rule.clone());
                    }
                    if judged.mean.is_some() && !judged.scale.is_empty() {
                        scales.push(judged.scale.clone());
                    }
                    let quantity = cell.value.as_ref().map(|term| term.quantity);
                    render(&judged, quantity, [column, &row.label])
                }
                (None, Some(text)) => Cell::new(text.as_str()),
                (None, None) => Cell::new("–"),
            });
        }
        say_once(&mut cells, &scales);
        let kind = if row.emphasis {
            RowKind::Emphasised
        } else {
            RowKind::Normal
        };
        table.rows.push(Row { cells, kind });
    }
    if let Some(ranking) = ranking(declared, results) {
        table = table.note(ranking);
    }
    if let Some(note) = &declared.note {
        table = table.note(note.as_str());
    }
    for rule in rules {
        table = table.note(rule);
    }
    for note in assumptions(declared, results) {
        table = table.note(note);
    }
    table
}

/// The ranking of a table's rows, as far as the seeds support one.
fn ranking(declared: &Table, results: &PaperResults<'_>) -> Option<Text> {
    let column = declared.rank?;
    let terms: Vec<(String, &Term)> = declared
        .rows
        .iter()
        .filter_map(|row| Some((row.label.clone(), row.cells[column].value.as_ref()?)))
        .filter(|(_, term)| results.values(term).is_ok())
        .collect();
    let seeds = terms
        .iter()
        .filter_map(|(_, term)| results.values(term).ok());
    let seeds = seeds.map(|values| values.values.len()).min()?;
    if !terms.first()?.1.quantity.higher_is_better() {
        return None;
    }
    let ranked = results.rank(&terms).ok()?;
    let best = ranked.first()?;
    let text = Text::from("Ranking: ").strong(best.name.clone());
    if seeds < 2 {
        return Some(text.plain(" has the highest value, but one seed cannot rank anything."));
    }
    let ties: Vec<&str> = ranked[1..]
        .iter()
        .filter(|other| !other.beaten_by.contains(&best.name))
        .map(|other| other.name.as_str())
        .collect();
    let rest = ranked.len() - 1 - ties.len();
    let level = "Welch's test over seeds, level .05, Holm's correction over all pairs";
    Some(match ties.as_slice() {
        [] => text.plain(format!(" is significantly better than all {rest} others ({level}).")),
        ties => text.plain(format!(
            " has the highest mean, but is not significantly better than {}; {rest} of the others are \
             significantly worse ({level}).",
            ties.join(", ")
        )),
    })
}

/// Where all values of a row have the same scale, it stands under the row's name instead.
fn say_once(cells: &mut [Cell], scales: &[String]) {
    let Some((name, values)) = cells.split_first_mut() else {
        return;
    };
    let Some(scale) = scales.first().filter(|scale| !scale.is_empty()) else {
        return;
    };
    if scales.len() < 2 || scales.iter().any(|other| other != scale) {
        return;
    }
    name.detail = Some(Text::from(scale.as_str()));
    for cell in values {
        let detail = cell.detail.take().map(|detail| detail.to_plain());
        let rest = detail.map(|detail| detail.replacen(scale.as_str(), "", 1));
        let rest = rest.map(|rest| rest.trim_matches([';', ' ']).to_string());
        cell.detail = rest.filter(|rest| !rest.is_empty()).map(Text::from);
    }
}

/// What the runs of a table assume, each once, with the runs it is true of.
fn assumptions(table: &Table, results: &PaperResults<'_>) -> Vec<String> {
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for cell in table.rows.iter().flat_map(|row| &row.cells) {
        let Some(job) = cell.value.as_ref().and_then(|term| results.job(&term.run)) else {
            continue;
        };
        let Some(note) = job.decl.note.as_deref() else {
            continue;
        };
        let label = job.decl.label();
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, labels)) if labels.contains(&label) => {}
            Some((_, labels)) => labels.push(label),
            None => notes.push((note, vec![label])),
        }
    }
    let written = |(note, labels): (&str, Vec<&str>)| match labels.len() {
        0..=4 => format!("{}: {note}", labels.join(", ")),
        many => format!("{} and {} others: {note}", labels[..2].join(", "), many - 2),
    };
    notes.into_iter().map(written).collect()
}

/// `titles` are those of the cell's column and row.
fn render(judged: &JudgedCell, quantity: Option<Quantity>, titles: [&str; 2]) -> Cell {
    let percent_column = titles.iter().any(|title| title.contains('%'));
    let Some(mean) = judged.mean else {
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
    let share = quantity.is_some_and(Quantity::is_share);
    let ours = match quantity {
        Some(quantity) => value_text(mean, spread, quantity, percent_column),
        None => format::count(mean.round() as u64),
    };
    let mut text = Text::new().strong(ours);
    let mut sub = vec![judged.scale.clone()];
    sub.retain(|scale| !scale.is_empty());
    if judged.synthetic {
        sub.insert(0, "synthetic".into());
    }
    if let Some(printed) = &judged.printed {
        text = text.plain(format!(" printed {printed} "));
        text = match &judged.verdict {
            Standing::Agrees { .. } => text.badge(BadgeKind::Good, "agrees"),
            Standing::Differs { by, .. } => {
                let by = match (share, quantity) {
                    (true, _) => format!("{} points", format::signed(by * 100.0, 2)),
                    (false, Some(_)) => format::signed(*by, 2),
                    (false, None) => format::signed(*by, 0),
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
    match sub.is_empty() {
        true => Cell::new(text),
        false => Cell::new(text).detail(sub.join("; ")),
    }
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
        Quantity::Test(_) | Quantity::TrainLoss | Quantity::ValLoss | Quantity::ValLossBest => {
            spread_text(4, 1.0)
        }
        Quantity::LearningRate => format::significant(mean, 3),
        Quantity::TrainSeconds
        | Quantity::BestSeconds
        | Quantity::ImageMicroseconds
        | Quantity::Epochs => spread_text(1, 1.0),
        Quantity::EpochSeconds | Quantity::TestSeconds | Quantity::StepMs => spread_text(2, 1.0),
        Quantity::Latency => spread_text(3, 1.0),
        Quantity::TrainAccuracy | Quantity::ValAccuracy | Quantity::Shared => spread_text(4, 1.0),
        Quantity::TestImages
        | Quantity::TrainRate
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
                .and_then(|job| job.network.as_ref())
                .and_then(|network| Some(layers::paper_layers(&network.resolve().ok()?)));
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
        if printed.is_empty() {
            table = table.row(line(Cell::new(label), Cell::new("built"), &ours));
            continue;
        }
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

/// The settings of a network, in words.
fn options(options: &hw_models::zoo::Settings) -> String {
    let set: Vec<String> = options.iter().map(|(k, v)| format!("{k} {v}")).collect();
    match set.as_slice() {
        [] => String::new(),
        set => format!(" ({})", set.join(", ")),
    }
}

fn rate(seed: &super::results::RunResult) -> Option<f64> {
    let images: usize = seed.history.iter().map(|epoch| epoch.train.images).sum();
    seed.train_seconds.map(|seconds| images as f64 / seconds)
}
