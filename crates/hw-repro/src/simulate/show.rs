//! What a simulation says: as a table, as JSON, as a picture.

use super::machine::Outcome;
use super::work::Work;
use super::{Point, Scenario, SimulateOptions};
use hw_report::format::{count_with, duration};
use hw_report::plots::{Axis, LineChart, Plot, Series, Unit};
use serde_json::{Value, json};
use std::fmt::Write;

/// Pixels of the picture.
const WIDE: f64 = 860.0;
/// Seconds that are marked, as far as they are reached.
const TICKS: [f64; 9] = [1.0, 10.0, 60.0, 600.0, 3.6e3, 3.6e4, 3.6e5, 3.6e6, 3.6e7];
/// How many runs of a chain are named.
const NAMED: usize = 3;

/// A table for each scenario.
pub(super) fn text(work: &Work, scenarios: &[Scenario], options: &SimulateOptions) -> String {
    let mut text = format!(
        "{} runs, {} of work for one worker with one run at a time; runs that must follow one another take {}\n\
         reports and timings are not included\n",
        count_with(work.pieces.len() as u64, ","),
        duration(work.seconds()),
        duration(work.longest_chain()),
    );
    if work.has_rounds() {
        text.push_str(&format!(
            "assumed: {:.0}% of the runs that one seed may decide get all their seeds, one after another\n",
            100.0 * options.simulate_undecided
        ));
    }
    for scenario in scenarios {
        // A string takes whatever is written to it.
        let _ = write!(text, "\n{}\n", scenario.label);
        let _ = writeln!(
            text,
            "{:>7} {:>7} {:>15} {:>15} {:>5} {:>8}  bound by",
            "threads", "workers", "until all done", "ideal", "busy", "failures"
        );
        for &threads in &options.simulate {
            let row = match scenario.on(threads) {
                Some(point) => row(scenario, &point),
                None => format!("{threads:>7}  too few for one worker"),
            };
            let _ = writeln!(text, "{row}");
        }
    }
    text
}

fn row(scenario: &Scenario, point: &Point) -> String {
    let outcome = &point.outcome;
    format!(
        "{:>7} {:>7} {:>15} {:>15} {:>4.0}% {:>8}  {}",
        point.threads,
        outcome.workers,
        duration(outcome.makespan),
        duration(ideal(scenario, outcome)),
        100.0 * outcome.utilization(),
        outcome.failures,
        bound(&scenario.work, outcome),
    )
}

/// Seconds if all workers worked all the time and lost nothing.
fn ideal(scenario: &Scenario, outcome: &Outcome) -> f64 {
    scenario.work.seconds() / outcome.workers as f64
}

/// The runs that the end waited for, in words.
fn bound(work: &Work, outcome: &Outcome) -> String {
    let named = |&piece: &usize| {
        let piece = &work.pieces[piece];
        format!("{} ({})", piece.name, duration(piece.seconds))
    };
    let chain = &outcome.chain;
    let Some(last) = chain.last() else {
        return "nothing".into();
    };
    if outcome.short_of_workers {
        return format!("the number of workers; last was {}", named(last));
    }
    let more = chain.len().saturating_sub(NAMED);
    let mut words: Vec<String> = chain[more..].iter().map(named).collect();
    if more > 0 {
        words.insert(0, format!("{more} runs"));
    }
    words.join(", then ")
}

/// Everything for a script.
pub(super) fn json(work: &Work, scenarios: &[Scenario], options: &SimulateOptions) -> Value {
    let scenarios = scenarios.iter().map(|scenario| {
        let points = options.simulate.iter();
        let points = points.filter_map(|&threads| scenario.on(threads));
        let points: Vec<Value> = points.map(|point| point_json(scenario, &point)).collect();
        json!({ "label": scenario.label, "threads_per_run": scenario.threads, "points": points })
    });
    json!({
        "runs": work.pieces.len(),
        "work_seconds": work.seconds(),
        "longest_chain_seconds": work.longest_chain(),
        "undecided": options.simulate_undecided,
        "seed": options.simulate_seed,
        "scenarios": scenarios.collect::<Vec<Value>>(),
    })
}

fn point_json(scenario: &Scenario, point: &Point) -> Value {
    let outcome = &point.outcome;
    let pieces = &scenario.work.pieces;
    let chain = outcome
        .chain
        .iter()
        .map(|&piece| json!({ "run": pieces[piece].name, "seconds": pieces[piece].seconds }));
    json!({
        "threads": point.threads,
        "workers": outcome.workers,
        "makespan_seconds": outcome.makespan,
        "ideal_seconds": ideal(scenario, outcome),
        "utilization": outcome.utilization(),
        "failures": outcome.failures,
        "lost_seconds": outcome.lost,
        "short_of_workers": outcome.short_of_workers,
        "chain": chain.collect::<Vec<Value>>(),
    })
}

/// How long it takes by number of workers, for each scenario, on logarithmic axes; a file of its own.
pub(super) fn picture(work: &Work, scenarios: &[Scenario], most: u32) -> String {
    let sizes: Vec<u32> = (0..32).map(|power| 1 << power).collect();
    let sizes: Vec<u32> = sizes.into_iter().take_while(|&size| size <= most).collect();
    let x = Axis::new("workers of one thread").log().unit(Unit::Count);
    let x = x.ticks(sizes.iter().map(|&size| f64::from(size)));
    let [shortest, longest] = [work.seconds() / f64::from(most), work.seconds()];
    let ticks = TICKS
        .into_iter()
        .filter(|tick| (shortest..=longest).contains(tick));
    let y = Axis::new("until the last run is over").ticks(ticks);
    let mut chart = LineChart::new(x, y.log().unit(Unit::Seconds));
    for scenario in scenarios {
        let points = sizes.iter().filter_map(|&size| {
            let point = scenario.on(size)?;
            Some((f64::from(size), point.outcome.makespan))
        });
        chart = chart.series(Series::new(&scenario.label, points));
    }
    let ideal = sizes.iter().map(|&size| {
        let size = f64::from(size);
        (size, work.seconds() / size)
    });
    chart = chart
        .series(Series::new("work / workers", ideal).dashed())
        .reference("the longest chain of runs", work.longest_chain());
    let alt = "How long all runs take against the number of workers, simulated";
    chart.draw(WIDE).to_standalone(alt)
}

#[cfg(test)]
mod tests {
    use super::super::work::Piece;
    use super::super::{scenarios, simulate};
    use super::*;

    fn work() -> Work {
        let piece = |name: &str, hours: f64, needs: &[usize]| Piece {
            name: name.into(),
            seconds: hours * 3600.0,
            needs: needs.to_vec(),
            round: 0,
        };
        let pieces = vec![
            piece("teacher", 8.0, &[]),
            piece("pupil", 4.0, &[0]),
            piece("alone", 6.0, &[]),
        ];
        Work { pieces }
    }

    fn options() -> SimulateOptions {
        SimulateOptions {
            simulate: vec![1, 2, 8],
            simulate_threads: Some(4),
            simulate_split: Some(2.0),
            simulate_failures: Some(5.0),
            ..SimulateOptions::default()
        }
    }

    #[test]
    fn the_table_names_what_bounds_each_number_of_workers() {
        let (work, options) = (work(), options());
        let text = text(&work, &scenarios(&work, &work, &options), &options)
            .replace(['\u{2009}', '\u{202f}'], " ");
        let planned = text.split("\n\n").nth(1).unwrap();
        let rows: Vec<&str> = planned.lines().skip(2).collect();
        assert!(
            rows[0].contains("18 h") && rows[0].contains("100%"),
            "{text}"
        );
        assert!(rows[0].contains("the number of workers"), "{text}");
        assert!(rows[2].contains("12 h"), "{text}");
        assert!(
            rows[2].contains("teacher (8 h), then pupil (4 h)"),
            "{text}"
        );
        assert!(text.contains("runs above 2 h split"), "{text}");
        assert!(text.contains("too few for one worker"), "{text}");
    }

    #[test]
    fn json_and_picture_say_the_same() {
        let (work, options) = (work(), options());
        let all = scenarios(&work, &work, &options);
        let json = json(&work, &all, &options);
        let labels = json["scenarios"].as_array().unwrap().len();
        assert_eq!((labels, &json["runs"]), (4, &json!(3)));
        let point = &json["scenarios"][0]["points"][2];
        assert_eq!(point["makespan_seconds"], 12.0 * 3600.0);
        assert_eq!(point["chain"][0]["run"], "teacher");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let options = SimulateOptions {
            simulate_plot: Some(path.clone()),
            ..options
        };
        simulate(&work, &work, &options, true).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        assert!(svg.contains("as planned") && svg.contains("longest chain"));
    }
}
