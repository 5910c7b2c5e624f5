//! The figures of a paper, drawn from its runs.

use super::cells::number;
use super::data::DataCache;
use super::expression::{Quantity, Term};
use super::layers::diagram_kind;
use super::maps::{self, MapStore};
use super::paper::{Curve, Figure, FigureKind};
use super::results::{JobResult, Mistake, PaperResults, RunResult};
use hw_data::{Dataset, Split};
use hw_eval::statistics::mean;
use hw_report::plots::{
    Axis, Band, Bin, Comparison, ComparisonRow, ConfusionMatrix, Estimate, GridImage, ImageGrid,
    Layer, LayerDiagram, LayerKind, LineChart, Plot, Point, Reliability, Scatter, ScatterPoint,
    Series, Style, Unit,
};
use hw_report::{BadgeKind, Block, format};
use std::path::Path;
use std::sync::Arc;

/// Where figures get images and trained networks from.
pub(crate) struct Source<'a> {
    pub(crate) data: &'a DataCache,
    /// The folder of the runs' folders; none where results are from an archive.
    pub(crate) runs: Option<&'a Path>,
    /// Images on a t-SNE map.
    pub(crate) points: usize,
    /// Maps that were made before, and those that this report made.
    pub(crate) maps: &'a MapStore,
}

impl Source<'_> {
    pub(crate) fn test(&self, seed: &RunResult) -> Result<Arc<Dataset>, String> {
        let test = self.data.get(&seed.config.dataset, Split::Test);
        let test = test.map_err(|error| match self.runs {
            Some(_) => hw_core::one_line(error.as_ref()),
            None => "its images are not on this machine".into(),
        })?;
        if test.checksum != seed.test.sha256 {
            return Err("the images on this machine are of other data than the run's".into());
        }
        Ok(test)
    }
}

/// The figure as blocks of a report; a paragraph saying why, where it cannot be drawn.
pub(crate) fn draw(figure: &Figure, results: &PaperResults<'_>, source: &Source<'_>) -> Vec<Block> {
    match try_draw(figure, results, source) {
        Ok(blocks) => blocks,
        Err(reason) => {
            vec![Block::paragraph(format!(
                "{} Not drawn: {reason}.",
                figure.caption
            ))]
        }
    }
}

/// The first seed of a run, or why there is none.
fn first_seed(job: &JobResult) -> Result<&RunResult, String> {
    job.seeds.first().ok_or_else(|| match job.failures.first() {
        Some(failure) => failure.problem.clone(),
        None => "its run has no result".to_string(),
    })
}

fn try_draw(
    figure: &Figure,
    results: &PaperResults<'_>,
    source: &Source<'_>,
) -> Result<Vec<Block>, String> {
    let jobs: Vec<&JobResult> = figure.run_ids().filter_map(|id| results.job(id)).collect();
    let first = || {
        let job = *jobs.first().ok_or("its run was not run")?;
        Ok::<_, String>((job, first_seed(job)?))
    };
    match figure.kind {
        FigureKind::Bars => bars(figure, results),
        FigureKind::Samples => all_samples(figure, &jobs, source),
        FigureKind::Layers => {
            let job = *jobs.first().ok_or("its run was not run")?;
            let diagram = diagram(job)?;
            let caption = figure.caption.as_str();
            let alt = "The layers with their output shapes.";
            Ok(vec![Block::Figure(hw_report::Figure::new(
                figure.id.clone(),
                caption,
                alt,
                &diagram,
            ))])
        }
        FigureKind::Curves => curves(figure, &jobs),
        FigureKind::Losses => {
            let (job, seed) = first()?;
            losses(figure, job, seed)
        }
        FigureKind::Confusion => confusions(figure, results),
        FigureKind::Errors => {
            let (job, seed) = first()?;
            let test = source.test(seed)?;
            let grid = ImageGrid::new(seed.mistakes.iter().map(|m| mistake(m, seed, &test)));
            let total = seed.metrics.samples - seed.metrics.correct;
            let alt = format!("The most confident of {total} wrong answers.");
            Ok(vec![picture(figure, job, &alt, &grid)])
        }
        FigureKind::Reliability => {
            let (job, seed) = first()?;
            let bins = seed.metrics.calibration.bins.iter().filter_map(|bin| {
                Some(Bin {
                    confidence: bin.confidence?,
                    accuracy: bin.accuracy?,
                    count: bin.count,
                })
            });
            let ece = format::percent(seed.metrics.calibration.ece, 2);
            let plot = Reliability::new(bins).note(format!("ECE {ece}"));
            let alt = format!("Accuracy against confidence; expected calibration error {ece}.");
            Ok(vec![picture(figure, job, &alt, &plot)])
        }
        FigureKind::Lines => lines(figure, results),
        FigureKind::Pareto => pareto(figure, results),
        FigureKind::ClassCounts => class_counts(figure, source),
        FigureKind::ClassRecall => class_recall(figure, results),
        FigureKind::Map => {
            let (job, seed) = first()?;
            maps::draw(figure, job, seed, source)
        }
        FigureKind::Swish => Ok(vec![swish(figure)]),
    }
}

/// Examples of each run's test set, one picture a data set.
fn all_samples(
    figure: &Figure,
    jobs: &[&JobResult],
    source: &Source<'_>,
) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let test = source.test(first_seed(job)?)?;
        let mut part = hw_report::Figure::new(
            format!("{}-{}", figure.id, index + 1),
            format!("{} {}.", figure.caption, test.id),
            "Example images of each class.",
            &samples(&test),
        );
        if jobs.len() == 1 {
            part.id.clone_from(&figure.id);
        }
        blocks.push(Block::Figure(part));
    }
    Ok(blocks)
}

/// One confusion matrix for each `run` or `run@variant`.
fn confusions(figure: &Figure, results: &PaperResults<'_>) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    for (index, name) in figure.runs.iter().enumerate() {
        let (run, variant) = match name.split_once('@') {
            Some((run, variant)) => (run, Some(variant)),
            None => (name.as_str(), None),
        };
        let job = results.job(run).ok_or("its run was not run")?;
        let seed = first_seed(job)?;
        let (metrics, classes, tested) = match variant {
            None => (&seed.metrics, &seed.classes, seed.test.dataset.as_str()),
            Some(id) => {
                let found = seed.variants.iter().find(|variant| variant.id == id);
                let found = found.ok_or_else(|| format!("{name} was not measured"))?;
                (&found.metrics, &found.classes, found.test.dataset.as_str())
            }
        };
        let counts = (0..classes.len()).map(|truth| metrics.confusion.row(truth).to_vec());
        let matrix = ConfusionMatrix::new(classes.clone(), counts.collect());
        let worst = matrix.worst(1);
        let alt = match worst.first() {
            Some(w) => format!(
                "Confusion matrix; the most frequent error is {} taken for {}, {} times.",
                classes[w.truth], classes[w.predicted], w.count
            ),
            None => "Confusion matrix without any error.".into(),
        };
        let what = match figure.runs.len() {
            1 => String::new(),
            _ => format!(" {} / {tested}{}", seed.data.dataset, noted(variant)),
        };
        let mut part = Figure {
            id: format!("{}-{}", figure.id, index + 1),
            caption: format!("{}{what}", figure.caption),
            ..Figure::like(figure)
        };
        if figure.runs.len() == 1 {
            part.id.clone_from(&figure.id);
        }
        blocks.push(picture(&part, job, &alt, &matrix));
    }
    Ok(blocks)
}

fn noted(variant: Option<&str>) -> String {
    variant.map_or_else(String::new, |variant| format!(" ({variant})"))
}

/// How many images each class has, one picture a data set.
fn class_counts(figure: &Figure, source: &Source<'_>) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    for id in &figure.datasets {
        let counted = source.data.class_counts(id);
        let counted = counted.map_err(|error| hw_core::one_line(error.as_ref()))?;
        let axis = Axis::new("images").unit(Unit::Count);
        let mut chart = Comparison::new(Style::Bars, axis);
        for (name, images) in counted.classes.iter().zip(&counted.images) {
            let count = Estimate::exact(*images as f64);
            chart = chart.row(ComparisonRow::new(name.clone(), Some(count)));
        }
        let (title, edition) = (&counted.title, &counted.edition);
        let part = hw_report::Figure::new(
            format!("{}-{id}", figure.id),
            format!("{} {title} ({edition}), training and test.", figure.caption),
            "Images of each class.",
            &chart,
        );
        let title = format!("{title}: images a class");
        blocks.push(Block::details(title, vec![Block::Figure(part)]));
    }
    Ok(blocks)
}

/// The share of each class that is recognised, one series a run.
fn class_recall(figure: &Figure, results: &PaperResults<'_>) -> Result<Vec<Block>, String> {
    let mut classes: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut columns: Vec<Vec<Option<Estimate>>> = Vec::new();
    let mut jobs = Vec::new();
    for name in &figure.runs {
        let (run, variant) = match name.split_once('@') {
            Some((run, variant)) => (run, Some(variant)),
            None => (name.as_str(), None),
        };
        let Some(job) = results.job(run) else {
            continue;
        };
        let mut of_seeds: Vec<Vec<Option<f64>>> = Vec::new();
        for seed in &job.seeds {
            let found = variant.map(|id| seed.variants.iter().find(|known| known.id == id));
            let (metrics, names) = match found {
                None => (&seed.metrics, &seed.classes),
                Some(Some(found)) => (&found.metrics, &found.classes),
                Some(None) => continue,
            };
            classes.clone_from(names);
            let recall =
                |class: &hw_eval::ClassScores| (class.support > 0).then_some(class.scores.recall);
            of_seeds.push(metrics.report.per_class.iter().map(recall).collect());
        }
        let column = (0..classes.len()).map(|class| {
            let values: Vec<f64> = of_seeds.iter().filter_map(|seed| seed[class]).collect();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Some(Estimate::interval(mean(&values).ok()?, low, high))
        });
        columns.push(column.collect());
        names.push(format!("{}{}", job.decl.label(), noted(variant)));
        jobs.push(job);
    }
    if jobs.is_empty() {
        return Err("its runs were not run".into());
    }
    let axis = Axis::new("share recognised").percent();
    let mut chart = Comparison::new(Style::Dots, axis).series(names);
    for (class, name) in classes.iter().enumerate() {
        let values = columns
            .iter()
            .map(|column| column.get(class).copied().flatten());
        chart = chart.row(ComparisonRow::of_series(name.clone(), values.collect()));
    }
    let caption = format!("{} ({})", figure.caption, scales(&jobs));
    let alt = "The share of each class that is recognised; a class without images has no mark.";
    Ok(vec![Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        &chart,
    ))])
}

/// x times the logistic function of x (Ramachandran et al. 2017).
fn swish(figure: &Figure) -> Block {
    let points = (-60..=60).map(|i| f64::from(i) / 10.0);
    let points = points.map(|x| (x, x / (1.0 + (-x).exp())));
    let chart = LineChart::new(Axis::new("x"), Axis::new("x / (1 + exp(-x))"))
        .series(Series::new("swish", points));
    let alt =
        "Swish: nearly 0 for negative x with a dip below 0 near -1.3, nearly x for positive x.";
    Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        figure.caption.as_str(),
        alt,
        &chart,
    ))
}

pub(crate) fn picture(figure: &Figure, job: &JobResult, alt: &str, plot: &dyn Plot) -> Block {
    let data = if job.synthetic() {
        "synthetic data, "
    } else {
        ""
    };
    let caption = format!("{} ({data}{})", figure.caption, job.scale());
    Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        plot,
    ))
}

/// The scale of several runs in words.
fn scales(jobs: &[&JobResult]) -> String {
    let mut scales: Vec<String> = jobs.iter().map(|job| job.scale()).collect();
    scales.dedup();
    let synthetic = if jobs.iter().any(|job| job.synthetic()) {
        "synthetic data; "
    } else {
        ""
    };
    match scales.as_slice() {
        [one] => format!("{synthetic}{one}"),
        _ => format!("{synthetic}scales as in the tables"),
    }
}

fn estimate(results: &PaperResults<'_>, term: &Term) -> Option<Estimate> {
    let values = results.values(term).ok()?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(Estimate::interval(mean(&values).ok()?, low, high))
}

fn metric_term(figure: &Figure, run: &str) -> Result<Term, String> {
    format!("{run}.{}", figure.metric.as_deref().unwrap_or("accuracy")).parse()
}

fn bars(figure: &Figure, results: &PaperResults<'_>) -> Result<Vec<Block>, String> {
    let axis = Axis::new("test accuracy").percent();
    let mut chart = Comparison::new(Style::Dots, axis).whiskers("lowest to highest seed");
    let mut jobs = Vec::new();
    for (index, run) in figure.runs.iter().enumerate() {
        let Some(job) = results.job(run) else {
            continue;
        };
        let term = metric_term(figure, run)?;
        let mut row = ComparisonRow::new(job.decl.label(), estimate(results, &term));
        if let Some((value, _)) = figure
            .reported
            .get(index)
            .and_then(|text| number(text, true))
        {
            row = row.reported(value);
        }
        jobs.push(job);
        chart = chart.row(row);
    }
    let caption = format!("{} ({})", figure.caption, scales(&jobs));
    let alt = "Mean and range of each run beside the reported value.";
    Ok(vec![Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        &chart,
    ))])
}

fn samples(test: &Dataset) -> ImageGrid {
    const PER_CLASS: usize = 4;
    let [_, height, width] = test.images.shape();
    let mut grid = Vec::new();
    for (class, name) in test.classes.iter().enumerate() {
        let of_class = (0..test.len()).filter(|&i| usize::from(test.labels[i]) == class);
        for index in of_class.take(PER_CLASS) {
            let pixels = test.images.image(index)[..height * width].to_vec();
            grid.push(GridImage::new(pixels, width, height, name.clone()));
        }
    }
    ImageGrid::new(grid).tile(44.0)
}

fn mistake(mistake: &Mistake, seed: &RunResult, test: &Dataset) -> GridImage {
    let [_, height, width] = test.images.shape();
    let pixels = test.images.image(mistake.index)[..height * width].to_vec();
    let name = |class: u32| seed.classes.get(class as usize).map_or("?", String::as_str);
    let caption = format!(
        "true {}, said {}, {}",
        name(mistake.label),
        name(mistake.predicted),
        format::percent(f64::from(mistake.confidence), 0)
    );
    GridImage::new(pixels, width, height, caption).verdict(BadgeKind::Bad)
}

fn diagram(job: &JobResult) -> Result<LayerDiagram, String> {
    let Some(spec) = &job.network else {
        let failure = job.failures.first();
        return Err(failure.map_or("it has no network".into(), |f| f.problem.clone()));
    };
    let model = spec.lower().map_err(|error| error.to_string())?;
    let mut layers = vec![Layer::new(LayerKind::Data, "input", &spec.input)];
    for layer in &model.layers {
        let description = layer.layer.describe();
        let (name, detail) = match description.split_once(' ') {
            Some((name, detail)) => (name.to_string(), detail.to_string()),
            None => (description, String::new()),
        };
        let parameters = layer.parameters.iter().map(|p| p.count as u64).sum();
        layers.push(
            Layer::new(diagram_kind(&layer.layer), name, &layer.output)
                .detail(detail)
                .parameters(parameters),
        );
    }
    layers.push(Layer::new(
        LayerKind::Activation,
        "softmax",
        &[spec.classes],
    ));
    Ok(LayerDiagram::new(layers))
}

fn curves(figure: &Figure, jobs: &[&JobResult]) -> Result<Vec<Block>, String> {
    let read = |job: &JobResult, what: fn(&hw_train::EpochRecord) -> Option<f64>| {
        let of_seed = |seed: &RunResult| seed.history.iter().filter_map(what).collect::<Vec<f64>>();
        job.seeds.iter().map(of_seed).collect::<Vec<_>>()
    };
    let epochs = Axis::new("epoch").unit(Unit::Whole);
    let accuracy = || Axis::new("accuracy").percent();
    let mut chart = match figure.curve {
        Some(Curve::TrainLoss) => LineChart::new(epochs, Axis::new("training loss").log()),
        Some(Curve::Losses) => LineChart::new(epochs, Axis::new("loss").log()),
        _ => LineChart::new(epochs, accuracy()),
    };
    for job in jobs {
        let label = |suffix: &str| match jobs.len() {
            1 => suffix.to_string(),
            _ => job.decl.label().to_string(),
        };
        let parts: Vec<(String, Vec<Vec<f64>>)> = match figure.curve {
            Some(Curve::TrainLoss) => {
                vec![(label("training"), read(job, |epoch| Some(epoch.train.loss)))]
            }
            Some(Curve::TrainAccuracy) => vec![(
                label("training"),
                read(job, |epoch| Some(epoch.train.accuracy)),
            )],
            Some(Curve::Losses) => vec![
                ("training".into(), read(job, |epoch| Some(epoch.train.loss))),
                (
                    "validation".into(),
                    read(job, |epoch| Some(epoch.validation?.loss)),
                ),
            ],
            Some(Curve::Accuracies) => vec![
                (
                    "training".into(),
                    read(job, |epoch| Some(epoch.train.accuracy)),
                ),
                (
                    "validation".into(),
                    read(job, |epoch| Some(epoch.validation?.accuracy)),
                ),
            ],
            Some(Curve::TestProbeAccuracy) => {
                vec![(
                    label("test"),
                    read(job, |epoch| Some(epoch.test_probe?.accuracy)),
                )]
            }
            _ => vec![
                (
                    "train".into(),
                    read(job, |epoch| Some(epoch.train_probe?.accuracy)),
                ),
                (
                    "test".into(),
                    read(job, |epoch| Some(epoch.test_probe?.accuracy)),
                ),
            ],
        };
        for (name, runs) in parts {
            if runs.iter().all(Vec::is_empty) {
                continue;
            }
            chart = chart.series(Series::over_seeds(name, &runs, Band::MinMax));
        }
    }
    if let Some((value, _)) = figure
        .reference
        .as_deref()
        .and_then(|text| number(text, true))
    {
        chart = chart.reference("reported", value);
    }
    let caption = format!(
        "{} ({}; bands: lowest to highest seed)",
        figure.caption,
        scales(jobs)
    );
    let alt = "Curves by epoch, mean over seeds.";
    Ok(vec![Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        &chart,
    ))])
}

fn losses(figure: &Figure, job: &JobResult, seed: &RunResult) -> Result<Vec<Block>, String> {
    let last = seed.history.last().ok_or("the run has no epoch")?;
    let reported: Vec<f64> = figure
        .reported
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let shown = reported.len().min(last.last_losses.len());
    let ours = &last.last_losses[last.last_losses.len() - shown..];
    let theirs = &reported[reported.len() - shown..];
    // The last step is 0, those before it are negative.
    let steps = |values: Vec<f64>| {
        let count = values.len() as f64;
        values
            .into_iter()
            .enumerate()
            .map(move |(i, y)| (i as f64 + 1.0 - count, y))
    };
    let ours_line = steps(ours.iter().map(|&loss| f64::from(loss)).collect());
    let chart = LineChart::new(
        Axis::new("steps before the end").unit(Unit::Whole),
        Axis::new("training loss").log(),
    )
    .series(Series::new("ours", ours_line))
    .series(Series::new("reported", steps(theirs.to_vec())).dashed());
    let mut log: Vec<String> = ours
        .iter()
        .map(|loss| format!("train loss:{loss}"))
        .collect();
    log.push("===== Final Test Accuracy =====".into());
    log.push(format!("test acc:{}", seed.metrics.accuracy));
    let alt = "The last training losses of our run and of the paper's.";
    Ok(vec![
        picture(figure, job, alt, &chart),
        Block::details(
            "The same as the paper shows it",
            vec![Block::Code(log.join("\n"))],
        ),
    ])
}

fn lines(figure: &Figure, results: &PaperResults<'_>) -> Result<Vec<Block>, String> {
    let x = Axis::new(figure.x_label.clone().unwrap_or_default());
    let mut chart = LineChart::new(x, Axis::new("test accuracy").percent());
    let mut jobs = Vec::new();
    for line in &figure.lines {
        let points = line.values.iter().zip(&figure.x).filter_map(|(term, &x)| {
            let e = estimate(results, term)?;
            Some(Point {
                x,
                y: e.value,
                low: e.low,
                high: e.high,
            })
        });
        let points: Vec<Point> = points.collect();
        jobs.extend(line.values.first().and_then(|term| results.job(&term.run)));
        chart = chart.series(Series::with_band(line.label.clone(), points));
    }
    let caption = format!("{} ({})", figure.caption, scales(&jobs));
    let alt = "One line a network.";
    Ok(vec![Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        &chart,
    ))])
}

fn pareto(figure: &Figure, results: &PaperResults<'_>) -> Result<Vec<Block>, String> {
    let metric = figure.metric.as_deref().unwrap_or("train_seconds");
    let axis = match metric.parse::<Quantity>()? {
        Quantity::Parameters => Axis::new("trainable parameters").unit(Unit::Count).log(),
        _ => Axis::new("training time").unit(Unit::Seconds).log(),
    };
    let mut chart = Scatter::new(axis, Axis::new("test accuracy").percent()).front();
    let mut jobs = Vec::new();
    for run in &figure.runs {
        let Some(job) = results.job(run) else {
            continue;
        };
        let cost: Term = format!("{run}.{metric}").parse()?;
        let score = figure.curve.map_or("accuracy", |curve| match curve {
            Curve::Accuracies => "val_accuracy",
            _ => "accuracy",
        });
        let score: Term = format!("{run}.{score}").parse()?;
        if let (Some(x), Some(y)) = (estimate(results, &cost), estimate(results, &score)) {
            chart = chart.point(ScatterPoint::new(job.decl.label(), x.value, y.value));
            jobs.push(job);
        }
    }
    let caption = format!("{} ({})", figure.caption, scales(&jobs));
    let alt = "Accuracy against cost.";
    Ok(vec![Block::Figure(hw_report::Figure::new(
        figure.id.clone(),
        caption,
        alt,
        &chart,
    ))])
}
