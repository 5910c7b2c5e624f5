//! `cargo xtask bench --scaling`: rates and memory of `hw train` against the size of the set and of
//! the batch.
//!
//! Each point is a run in a process of its own, on generated glyphs of 62 classes, so that only the
//! size changes; points take turns, round by round.

use super::nets::{NETS, Net};
use super::{BenchArgs, median, spread};
use anyhow::{Context, Result, bail, ensure};
use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{DatasetId, GlyphSet, Split};
use hw_report::plots::{Axis, LineChart, Plot, Point, Series, Unit, WIDE};
use hw_train::{Event, Experiment, RunOptions, TrainConfig};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

/// The networks whose steps are short enough for anything around them to matter.
const SHORT: [&str; 2] = ["lenet5", "bn-cnn"];
/// From a few batches to EMNIST ByClass, which has 814,255 images.
const SETS: [usize; 6] = [1_000, 4_000, 15_000, 60_000, 240_000, 800_000];
const BATCHES: [usize; 7] = [16, 32, 64, 128, 256, 512, 1024];
/// The set of the points that differ in batch size.
const USUAL_SET: usize = 60_000;
/// A run sees at least so many images, in as many epochs as that takes.
const LEAST_IMAGES: usize = 60_000;
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// One run to be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    net: String,
    set: usize,
    batch: usize,
}

/// What a run took.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    /// Images a second while an epoch's batches are loaded and learned from.
    in_steps: f64,
    /// Images a second of the whole run, its checkpoints included.
    in_all: f64,
    peak_mb: Option<f64>,
}

/// A question with its answers.
#[derive(Debug, Serialize)]
struct Measurement {
    question: Question,
    /// Median, smallest and largest.
    in_steps: [f64; 3],
    in_all: [f64; 3],
    peak_mb: Option<f64>,
}

pub(crate) fn run(args: &BenchArgs, threads: usize) -> Result<ExitCode> {
    let questions = questions(&super::wanted(args, Some(&SHORT)));
    let mut answers: Vec<Vec<Measured>> = vec![Vec::new(); questions.len()];
    for round in 0..args.rounds {
        for (question, answers) in questions.iter().zip(&mut answers) {
            let Question { net, set, batch } = question;
            let rounds = args.rounds;
            eprintln!(
                "round {}/{rounds}: {net}, {set} images, batch {batch}",
                round + 1
            );
            answers.push(ask(question, threads)?);
        }
    }
    let measured: Vec<Measurement> = questions
        .into_iter()
        .zip(&answers)
        .filter_map(|(question, answers)| summed_up(question, answers))
        .collect();
    draw(&measured, args)?;
    let table = table(&measured);
    if args.json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        print!("{table}");
    }
    if let Some(path) = &args.out {
        hw_core::files::write_whole(path, table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every size of the set with the network's own batch, and every size of the batch with one set.
fn questions(nets: &[&Net]) -> Vec<Question> {
    let mut questions = Vec::new();
    for net in nets {
        let sets = SETS.iter().map(|&set| (set, net.batch));
        let batches = BATCHES.iter().map(|&batch| (USUAL_SET, batch));
        for (set, batch) in sets.chain(batches) {
            let question = Question {
                net: net.name.into(),
                set,
                batch,
            };
            if !questions.contains(&question) {
                questions.push(question);
            }
        }
    }
    questions
}

/// Measures in a process of its own, so that its peak memory is that of this run alone.
fn ask(question: &Question, threads: usize) -> Result<Measured> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "--threads", &threads.to_string()])
        .args(["--scaling-point", &serde_json::to_string(question)?])
        .output()
        .context("cannot start a run")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{question:?}: {problem}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{question:?} has no answer"))
}

/// Answers one question on standard output.
pub(crate) fn measure_point(question: &str) -> Result<ExitCode> {
    let question: Question = serde_json::from_str(question).context("a point to measure")?;
    println!(
        "{}",
        serde_json::to_string(&measure(&question, LEAST_IMAGES)?)?
    );
    Ok(ExitCode::SUCCESS)
}

/// A run that sees at least `least` images.
fn measure(question: &Question, least: usize) -> Result<Measured> {
    let Question { net, set, batch } = question;
    let Some(net) = NETS.iter().find(|known| known.name == net) else {
        bail!("unknown network '{net}'");
    };
    let glyphs = generate(GlyphSet::All, Split::Train, *set, &GlyphConfig::default())?;
    let config = TrainConfig {
        model: net.name.into(),
        dataset: DatasetId::Glyphs(GlyphSet::All),
        optimizer: net.optimizer(),
        learning_rate: 1e-3,
        batch: *batch,
        epochs: least.div_ceil(*set),
        val_fraction: 0.0,
        ..TrainConfig::default()
    };
    let images = (config.epochs * set) as f64;
    let experiment = Experiment::new(config, Arc::new(glyphs), None)?;
    let folder = tempfile::tempdir()?;
    let mut started = Instant::now();
    let mut observe = |event: &Event| {
        if matches!(event, Event::Started { .. }) {
            started = Instant::now();
        }
    };
    let outcome = experiment.start(folder.path(), RunOptions::new(&mut observe))?;
    let in_all = images / started.elapsed().as_secs_f64();
    Ok(Measured {
        in_steps: images / outcome.seconds(),
        in_all,
        peak_mb: super::peak_mb(),
    })
}

fn summed_up(question: Question, answers: &[Measured]) -> Option<Measurement> {
    let all = |get: fn(&Measured) -> f64| spread(&answers.iter().map(get).collect::<Vec<_>>());
    let peaks: Vec<f64> = answers.iter().filter_map(|answer| answer.peak_mb).collect();
    Some(Measurement {
        question,
        in_steps: all(|answer| answer.in_steps)?,
        in_all: all(|answer| answer.in_all)?,
        peak_mb: median(&peaks),
    })
}

/// Megabytes of a set's pixels and labels.
fn set_mb(images: usize) -> f64 {
    (images * (28 * 28 + 2)) as f64 / MEGABYTE
}

fn table(measured: &[Measurement]) -> String {
    let mut text = String::from(
        "| network | images | batch | images/s in steps | images/s in all | peak memory | of it the set |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for Measurement {
        question: Question { net, set, batch },
        in_steps: [steps, low, high],
        in_all: [all, ..],
        peak_mb,
    } in measured
    {
        let peak = peak_mb.map_or_else(|| "-".into(), |peak| format!("{peak:.0} MB"));
        let data = set_mb(*set);
        let _ = writeln!(
            text,
            "| {net} | {set} | {batch} | {steps:.0} ({low:.0} to {high:.0}) | {all:.0} | {peak} | {data:.0} MB |"
        );
    }
    text
}

/// The four figures: rate and memory, against set and batch.
fn draw(measured: &[Measurement], args: &BenchArgs) -> Result<()> {
    let by_set = |point: &Measurement| {
        let Question { net, set, batch } = &point.question;
        let usual = NETS
            .iter()
            .any(|known| known.name == net && known.batch == *batch);
        usual.then_some(*set as f64)
    };
    let by_batch = |point: &Measurement| {
        let Question { set, batch, .. } = point.question;
        (set == USUAL_SET && BATCHES.contains(&batch)).then_some(batch as f64)
    };
    let rate = |point: &Measurement| Some(point.in_steps);
    let memory = |point: &Measurement| point.peak_mb.map(|peak| [peak; 3]);
    let sets = || Axis::new("images in the set").unit(Unit::Count).log();
    let batches = || Axis::new("images a batch").log();
    let rates = || Axis::new("images a second").unit(Unit::Count);
    let memories = || Axis::new("peak memory, MB");
    let data = SETS.map(|set| (set as f64, set_mb(set)));
    let data = Series::new("the set itself", data);
    figure(
        args,
        "rate-by-set",
        measured,
        (sets(), &by_set),
        (rates(), &rate),
        None,
    )?;
    figure(
        args,
        "memory-by-set",
        measured,
        (sets(), &by_set),
        (memories(), &memory),
        Some(data),
    )?;
    figure(
        args,
        "rate-by-batch",
        measured,
        (batches(), &by_batch),
        (rates(), &rate),
        None,
    )?;
    figure(
        args,
        "memory-by-batch",
        measured,
        (batches(), &by_batch),
        (memories(), &memory),
        None,
    )
}

type Place<'a> = (Axis, &'a dyn Fn(&Measurement) -> Option<f64>);
type Value<'a> = (Axis, &'a dyn Fn(&Measurement) -> Option<[f64; 3]>);

/// One line a network, from zero up: flat looks flat. `floor` is drawn dashed.
fn figure(
    args: &BenchArgs,
    name: &str,
    measured: &[Measurement],
    (x_axis, place): Place<'_>,
    (y_axis, value): Value<'_>,
    floor: Option<Series>,
) -> Result<()> {
    let point = |measurement: &Measurement| {
        let [y, low, high] = value(measurement)?;
        let x = place(measurement)?;
        Some(Point { x, y, low, high })
    };
    let alt = format!("{} against {}", y_axis.label(), x_axis.label());
    let shown = measured.iter().filter_map(point);
    let highest = shown.map(|point| point.high).fold(0.0, f64::max);
    let mut chart = LineChart::new(x_axis, y_axis.range(0.0, 1.1 * highest));
    for net in NETS {
        let its = |measurement: &&Measurement| measurement.question.net == net.name;
        let mut points: Vec<Point> = measured.iter().filter(its).filter_map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        if !points.is_empty() {
            chart = chart.series(Series::with_band(net.name, points));
        }
    }
    if let Some(floor) = floor {
        chart = chart.series(floor.dashed());
    }
    let file = args.figures.join(format!("{name}.svg"));
    let drawing = chart.draw(WIDE).to_standalone(&alt);
    Ok(hw_core::files::write_whole(&file, drawing.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_of_the_set_and_of_the_batch_is_measured_once() {
        let net = &NETS[0];
        let questions = questions(&[net]);
        assert_eq!(questions.len(), SETS.len() + BATCHES.len() - 1);
        let usual = |q: &&Question| q.set == USUAL_SET && q.batch == net.batch;
        assert_eq!(questions.iter().filter(usual).count(), 1);
    }

    #[test]
    fn a_point_is_a_run_on_as_many_images_as_it_says() {
        let question = Question {
            net: "lenet5".into(),
            set: 2_000,
            batch: 64,
        };
        let measured = measure(&question, 2_500).unwrap();
        assert!(measured.in_steps >= measured.in_all && measured.in_all > 0.0);
        assert!(
            measured
                .peak_mb
                .is_none_or(|peak| peak > set_mb(question.set))
        );
    }

    #[test]
    fn figures_and_table_hold_every_point() {
        let folder = tempfile::tempdir().unwrap();
        let answer = |in_steps| Measured {
            in_steps,
            in_all: in_steps / 2.0,
            peak_mb: Some(50.0),
        };
        let answers = [answer(100.0), answer(300.0), answer(200.0)];
        let questions = questions(&[&NETS[0], &NETS[1]]);
        let measured: Vec<Measurement> = questions
            .into_iter()
            .filter_map(|question| summed_up(question, &answers))
            .collect();
        let args = arguments(&["--figures", &folder.path().to_string_lossy()]);
        draw(&measured, &args).unwrap();
        let names = [
            "rate-by-set",
            "memory-by-set",
            "rate-by-batch",
            "memory-by-batch",
        ];
        for name in names {
            let file = folder.path().join(format!("{name}.svg"));
            let drawing = std::fs::read_to_string(file).unwrap();
            assert!(
                drawing.contains("lenet5") && drawing.contains("bn-cnn"),
                "{name}"
            );
        }
        let table = table(&measured);
        let row = "| lenet5 | 1000 | 256 | 200 (100 to 300) | 100 | 50 MB | 1 MB |";
        assert!(table.contains(row), "{table}");
        assert_eq!(table.lines().count(), 2 + measured.len());
    }

    fn arguments(options: &[&str]) -> BenchArgs {
        use clap::Parser;
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            bench: BenchArgs,
        }
        Only::parse_from([&["bench"], options].concat()).bench
    }
}
