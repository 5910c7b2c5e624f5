//! `--simulate`: how long the planned runs take on so many workers, and which run bounds it, before anything runs.

mod machine;
mod show;
mod work;

pub(crate) use work::Work;

use crate::error::ReproError;
use machine::{Assumptions, Outcome};
use std::path::PathBuf;

/// How many workers to simulate, and under which assumptions.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[cfg_attr(feature = "clap", command(next_help_heading = "Planning"))]
pub struct SimulateOptions {
    /// Show how long the runs would take on each of these numbers of workers, and do nothing
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            value_name = "N,N,..",
            value_delimiter = ',',
            value_parser = clap::value_parser!(u32).range(1..=100_000),
            conflicts_with_all = ["list", "new", "engine"]
        )
    )]
    pub simulate: Vec<u32>,

    /// Share of the runs whose claims one seed does not decide; they get all their seeds
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "SHARE", default_value_t = THIRD, value_parser = share)
    )]
    pub simulate_undecided: f64,

    /// Workers fail: mean hours between two failures of one worker [default: never]
    #[cfg_attr(feature = "clap", arg(long, value_name = "HOURS", value_parser = hours))]
    pub simulate_failures: Option<f64>,

    /// Share of the workers that are slow
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)
    )]
    pub simulate_stragglers: f64,

    /// How many times as long a slow worker takes
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = factor)
    )]
    pub simulate_slowdown: f64,

    /// Also with so many workers' threads together on each run
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u32).range(2..=1024))
    )]
    pub simulate_threads: Option<u32>,

    /// Share of a run that more threads make faster
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)
    )]
    pub simulate_parallel: f64,

    /// Also with each longer run split into equal parts, on as many workers, that take at most this long
    #[cfg_attr(feature = "clap", arg(long, value_name = "HOURS", value_parser = hours))]
    pub simulate_split: Option<f64>,

    /// What failures, slow workers and undecided claims are drawn from
    #[cfg_attr(feature = "clap", arg(long, value_name = "SEED", default_value_t = 1))]
    pub simulate_seed: u64,

    /// Draw it here too, as an SVG picture
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "FILE", requires = "simulate")
    )]
    pub simulate_plot: Option<PathBuf>,
}

/// So many times failures and slow workers are drawn; the median is shown.
const DRAWS: u64 = 21;
/// The share that `--list` assumes too.
const THIRD: f64 = 1.0 / 3.0;

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            simulate: Vec::new(),
            simulate_undecided: THIRD,
            simulate_failures: None,
            simulate_stragglers: 0.0,
            simulate_slowdown: 2.0,
            simulate_threads: None,
            simulate_parallel: 0.9,
            simulate_split: None,
            simulate_seed: 1,
            simulate_plot: None,
        }
    }
}

#[cfg(feature = "clap")]
fn number(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "expected a number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

#[cfg(feature = "clap")]
fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0..=1.0)
}

#[cfg(feature = "clap")]
fn factor(text: &str) -> Result<f64, String> {
    number(text, 1.0..=1000.0)
}

/// A worker that fails more often than it saves gets nowhere.
#[cfg(feature = "clap")]
fn hours(text: &str) -> Result<f64, String> {
    number(text, 0.1..=1e6)
}

/// The same work under one set of assumptions, on each number of workers.
struct Scenario {
    label: String,
    work: Work,
    assumptions: Assumptions,
    /// Threads of each worker.
    threads: u32,
}

/// What a scenario comes to on so many threads.
struct Point {
    threads: u32,
    outcome: Outcome,
}

impl Scenario {
    /// On so many threads together; `None` where they are too few for one worker.
    fn on(&self, threads: u32) -> Option<Point> {
        let workers = (threads / self.threads) as usize;
        (workers > 0).then(|| Point {
            threads,
            outcome: self.median(workers),
        })
    }

    /// The outcome that takes neither long nor short: one draw alone may have a lucky worker on the longest run.
    fn median(&self, workers: usize) -> Outcome {
        let draws = if self.assumptions.are_drawn() {
            DRAWS
        } else {
            1
        };
        let mut outcomes: Vec<Outcome> = (0..draws)
            .map(|draw| {
                let assumptions = Assumptions {
                    seed: self.assumptions.seed.wrapping_add(draw),
                    ..self.assumptions
                };
                machine::simulate(&self.work, workers, &assumptions)
            })
            .collect();
        outcomes.sort_by(|a, b| a.makespan.total_cmp(&b.makespan));
        outcomes.swap_remove(outcomes.len() / 2)
    }
}

/// The scenarios that are asked for: as planned, and one for each thing that would change it. `at_once` is the same
/// work with all seeds from the start.
fn scenarios(work: &Work, at_once: &Work, options: &SimulateOptions) -> Vec<Scenario> {
    let ideal = Assumptions {
        seed: options.simulate_seed,
        ..Assumptions::default()
    };
    let scenario = |label: String, work: Work, threads| Scenario {
        label,
        work,
        assumptions: ideal,
        threads,
    };
    let mut scenarios = vec![scenario("as planned".into(), work.clone(), 1)];
    if work.has_rounds() {
        let label = "all seeds at once (--seeds)".into();
        scenarios.push(scenario(label, at_once.clone(), 1));
    }
    if options.simulate_failures.is_some() || options.simulate_stragglers > 0.0 {
        let mut troubled = scenario(troubles(options), work.clone(), 1);
        troubled.assumptions.between_failures = options.simulate_failures.map(|h| h * 3600.0);
        troubled.assumptions.stragglers = options.simulate_stragglers;
        troubled.assumptions.slowdown = options.simulate_slowdown;
        scenarios.push(troubled);
    }
    if let Some(threads) = options.simulate_threads {
        let parallel = options.simulate_parallel;
        // Amdahl's law.
        let faster = 1.0 / (1.0 - parallel + parallel / f64::from(threads));
        let label = format!("{threads} threads a run, {faster:.1} times as fast");
        scenarios.push(scenario(label, work.faster(faster), threads));
    }
    if let Some(hours) = options.simulate_split {
        let label = format!("runs above {hours} h split");
        scenarios.push(scenario(label, work.split(hours * 3600.0), 1));
    }
    scenarios
}

fn troubles(options: &SimulateOptions) -> String {
    let mut words = Vec::new();
    if let Some(hours) = options.simulate_failures {
        words.push(format!("a failure every {hours} h of a worker"));
    }
    if options.simulate_stragglers > 0.0 {
        words.push(format!(
            "{:.0}% of the workers {} times as slow",
            100.0 * options.simulate_stragglers,
            options.simulate_slowdown
        ));
    }
    format!("{} (median of {DRAWS} draws)", words.join(", "))
}

/// Simulates and prints what came out: a table, or one JSON object where `json` is set.
///
/// # Errors
/// [`ReproError::File`] when the picture cannot be written.
pub(crate) fn simulate(
    work: &Work,
    at_once: &Work,
    options: &SimulateOptions,
    json: bool,
) -> Result<(), ReproError> {
    let scenarios = scenarios(work, at_once, options);
    if json {
        println!("{}", show::json(work, &scenarios, options));
    } else {
        print!("{}", show::text(work, &scenarios, options));
    }
    if let Some(path) = &options.simulate_plot {
        let most = options.simulate.iter().copied().max().unwrap_or(1);
        let picture = show::picture(work, &scenarios, most);
        hw_core::files::write_whole(path, picture.as_bytes()).map_err(|error| {
            ReproError::File {
                path: path.clone(),
                problem: hw_core::one_line(&error),
            }
        })?;
    }
    Ok(())
}
