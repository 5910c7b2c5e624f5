//! `--status`: how far the work on a folder is, whoever does it.

use super::crew::{FAILED, key};
use super::error::ReproError;
use super::estimate::Estimator;
use super::jobs::Job;
use anyhow::{Result, anyhow};
use hw_core::CancelToken;
use hw_core::shared::{Holder, Store};
use hw_report::format::duration;
use hw_train::run::EVENTS;
use hw_train::{Event, TrainConfig};
use serde::Serialize;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a terminal shows it anew.
const EVERY: Duration = Duration::from_secs(2);
/// A worker is silent when its heartbeat has stood still for so long.
const SILENT: Duration = Duration::from_secs(20);

/// How far the work is.
#[derive(Debug, Serialize)]
struct Status {
    /// Planned runs that are over.
    finished: usize,
    /// Other runs in the folder: learning rates beyond a grid's edge, and those of other plans.
    others: usize,
    /// Runs that cannot be trained.
    failed: usize,
    /// Runs that are needed at least: searches, and the seeds of the first look.
    least: usize,
    /// Runs with all seeds.
    most: usize,
    workers: Vec<Worker>,
    /// Expected seconds of one worker for what is needed at least, less what is done.
    seconds_of_work_left: f64,
    /// The same with as many workers as there are now; `None` while there are none.
    seconds_left: Option<f64>,
}

/// A run in the making.
#[derive(Debug, Serialize)]
struct Worker {
    host: String,
    process: u32,
    run: String,
    name: String,
    epoch: usize,
    epochs: usize,
    images_per_second: f64,
    /// Seconds since its heartbeat was last seen to move; `None` when it was seen only once.
    silent: Option<f64>,
    #[serde(skip)]
    done: f64,
    #[serde(skip)]
    key: String,
}

/// A planned run.
pub(crate) struct Planned {
    /// For people.
    pub(crate) name: String,
    /// Expected seconds.
    pub(crate) seconds: f64,
    /// Whether it is needed in any case.
    pub(crate) needed: bool,
}

/// The planned runs by the [keys](key) of their configurations.
pub(crate) type Plan = HashMap<String, Planned>;

/// When heartbeats were first seen to be at their numbers.
type Heartbeats = HashMap<String, (Option<u64>, Instant, bool)>;

/// Shows the status: again and again on a terminal, until all is done or `cancel`; else once.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn show(store: &Store, planned: &Plan, json: bool, cancel: &CancelToken) -> Result<()> {
    let mut heartbeats = Heartbeats::new();
    let live = !json && std::io::stdout().is_terminal();
    let mut shown = 0;
    loop {
        let status = Status::of(store, planned, &mut heartbeats)?;
        if json {
            println!("{}", serde_json::to_string(&status)?);
            return Ok(());
        }
        let lines = status.lines();
        if live && shown > 0 {
            // Over what was shown before.
            print!("\x1b[{shown}A\x1b[J");
        }
        println!("{}", lines.join("\n"));
        shown = lines.len();
        if !live || (status.seconds_of_work_left <= 0.0 && status.workers.is_empty()) {
            return Ok(());
        }
        let until = Instant::now() + EVERY;
        while Instant::now() < until {
            if cancel.is_cancelled() {
                return Err(anyhow!(ReproError::Stopped));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What a reproduction runs.
pub(crate) fn plan(jobs: &[Job], first: &[usize], estimator: &Estimator) -> Plan {
    let mut planned = Plan::new();
    for (job, &first) in jobs.iter().zip(first) {
        let rates = job.search.iter().map(|config| {
            let name = format!("{}, trying rate {}", job.name(), config.learning_rate);
            (config, name, true)
        });
        let seeds = job.configs.iter().enumerate().map(|(index, config)| {
            let name = format!("{}, seed {}", job.name(), config.seed);
            (config, name, index < first)
        });
        for (config, name, needed) in rates.chain(seeds) {
            let seconds = estimator.seconds(config, job);
            let searched = !job.search.is_empty() && job.search.iter().all(|rate| rate != config);
            let key = if searched {
                at_any_rate(config)
            } else {
                key(config)
            };
            let run = planned.entry(key).or_insert(Planned {
                name,
                seconds,
                needed,
            });
            run.needed |= needed;
        }
    }
    planned
}

impl Status {
    fn of(store: &Store, planned: &Plan, heartbeats: &mut Heartbeats) -> Result<Self> {
        let (over, failed) = finished(store);
        let is_over = |key: &String| over.iter().any(|(exact, any)| exact == key || any == key);
        let workers: Vec<Worker> = store
            .holders()?
            .iter()
            .filter_map(|holder| worker(holder, planned, heartbeats))
            .collect();
        let finished = planned.keys().filter(|key| is_over(key)).count();
        let needed = planned.iter().filter(|(_, run)| run.needed);
        let open = needed.clone().filter(|(key, _)| !is_over(key));
        let done = |key: &str| {
            let mut own = workers.iter().filter(|worker| worker.key == key);
            own.next().map_or(0.0, |worker| worker.done)
        };
        let left: f64 = open.map(|(key, run)| run.seconds * (1.0 - done(key))).sum();
        let at_work = workers.len();
        Ok(Self {
            finished,
            others: over.len().saturating_sub(finished),
            failed,
            least: needed.count(),
            most: planned.len(),
            seconds_of_work_left: left,
            seconds_left: (at_work > 0).then(|| left / at_work as f64),
            workers,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} runs finished, of {} at least and {} with all seeds{}{}",
            self.finished,
            self.least,
            self.most,
            match self.others {
                0 => String::new(),
                others => format!("; {others} others are in the folder"),
            },
            match self.failed {
                0 => String::new(),
                failed => format!("; {failed} failed"),
            },
        )];
        for worker in &self.workers {
            let silent = worker
                .silent
                .filter(|silent| *silent >= SILENT.as_secs_f64());
            let silent = silent.map_or(String::new(), |silent| {
                format!(", no heartbeat for {}", duration(silent))
            });
            lines.push(format!(
                "  {} {:>7}  {}, epoch {}/{}, {:.0} images/s{silent}",
                worker.host,
                worker.process,
                worker.name,
                worker.epoch,
                worker.epochs,
                worker.images_per_second
            ));
        }
        lines.push(match self.seconds_left {
            Some(left) => format!(
                "about {} left at least with {} runs at a time",
                duration(left),
                self.workers.len()
            ),
            None if self.seconds_of_work_left > 0.0 => format!(
                "nobody is at work; {} left at least for one run at a time",
                duration(self.seconds_of_work_left)
            ),
            None => "nobody is at work, and what is needed at least is done".into(),
        });
        lines
    }
}

/// The key of a configuration whose learning rate is still to be found.
fn at_any_rate(config: &TrainConfig) -> String {
    key(&TrainConfig {
        learning_rate: 0.0,
        ..config.clone()
    })
}

/// The keys of the runs that are over, with their learning rates and at any, and how many of them failed.
fn finished(store: &Store) -> (Vec<(String, String)>, usize) {
    let runs = std::fs::read_dir(store.folder(""))
        .into_iter()
        .flatten()
        .flatten();
    let runs: Vec<PathBuf> = runs.map(|run| run.path()).collect();
    let keys = |run: &PathBuf| {
        let config = hw_train::read_config(run).ok()?;
        Some((key(&config), at_any_rate(&config)))
    };
    let over = runs.iter().filter(|run| run.is_dir()).filter_map(keys);
    let failed = runs.iter().filter(|run| run.join(FAILED).exists());
    (over.collect(), failed.count())
}

/// What the owner of a lease is doing; `None` for anything else than a run.
fn worker(holder: &Holder, planned: &Plan, heartbeats: &mut Heartbeats) -> Option<Worker> {
    let config = hw_train::read_config(&holder.content).ok()?;
    let exact = key(&config);
    let key = match planned.contains_key(&exact) {
        true => exact,
        false => at_any_rate(&config),
    };
    let name = match planned.get(&key) {
        Some(run) => run.name.clone(),
        None => hw_train::recipe_label(&config),
    };
    let owner = holder.owner.clone()?;
    let last = last_step(&holder.content.join(EVENTS));
    let (epoch, images_per_second) = last.unwrap_or((1, 0.0));
    Some(Worker {
        host: owner.host,
        process: owner.process,
        run: holder.name.clone(),
        name,
        epoch,
        epochs: config.epochs,
        images_per_second,
        silent: silent(holder, heartbeats),
        done: (epoch - 1) as f64 / config.epochs.max(1) as f64,
        key,
    })
}

fn silent(holder: &Holder, heartbeats: &mut Heartbeats) -> Option<f64> {
    let now = Instant::now();
    let new = (holder.heartbeat, now, false);
    let known = heartbeats.entry(holder.name.clone()).or_insert(new);
    if known.0 != holder.heartbeat {
        *known = (holder.heartbeat, now, true);
    }
    let (_, since, moved) = *known;
    let silent = (now - since).as_secs_f64();
    (moved || silent > 0.0).then_some(silent)
}

/// Epoch and images a second of the last step in a log.
fn last_step(log: &Path) -> Option<(usize, f64)> {
    let events = hw_train::events::read(log);
    events.iter().rev().find_map(|event| match event {
        Event::Step {
            epoch,
            images_per_second,
            ..
        } => Some((*epoch, *images_per_second)),
        Event::Epoch(record) => Some((record.epoch, record.images_per_second)),
        _ => None,
    })
}
