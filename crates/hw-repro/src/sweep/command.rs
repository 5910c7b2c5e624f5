//! The whole of a sweep: a file in, runs, a report out.

use super::agenda::{SweepAgenda, settle};
use super::archive;
use super::list::list;
use super::options::{SweepMachine, SweepOptions};
use super::plan::{Shape, Sweep, label};
use super::report::Report;
use super::results::{Kept, Results};
use crate::command::workers;
use crate::crew::{self, Crew, key};
use crate::data::DataCache;
use crate::engine::{self, CommandLine};
use crate::error::ReproError;
use crate::estimate::Estimator;
use crate::options::Common;
use crate::progress::Progress;
use crate::status::{self, Plan, Planned};
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_data::{DataDirs, Split};
use hw_eval::looks::{Look, REGISTER, Register};
use hw_models::ModelSpec;
use hw_train::TrainConfig;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// File that says which sweep a folder belongs to.
const SWEEP: &str = "sweep.json";

/// What a sweep came to.
#[derive(Clone, Debug)]
pub struct Swept {
    /// Runs that have a score, those of earlier calls included.
    pub finished: usize,
    /// Runs that failed: those that diverged, mostly.
    pub failed: usize,
    /// Runs that are open; more may follow from them.
    pub open: usize,
    /// Whether the winner was scored on the test set with all its seeds.
    pub decided: bool,
    /// The report's page; `None` where none was asked for.
    pub report: Option<PathBuf>,
}

/// A sweep file to start from, every part explained.
pub fn sweep_template() -> &'static str {
    include_str!("template.toml")
}

/// Does what is asked for; progress goes to standard error. `cancel` stops it at the next step, and the
/// same call goes on later.
///
/// # Errors
/// Whatever keeps the report from being made; a run that fails does not.
pub fn sweep(
    options: &SweepOptions,
    common: &Common,
    cancel: &CancelToken,
) -> Result<Swept, ReproError> {
    match (&options.new, &options.file) {
        (Some(path), _) => start_file(path),
        (None, Some(file)) => Ok(run(file, options, common, cancel)?),
        (None, None) => Err(ReproError::Usage(
            "name a sweep file, or start one with --new".into(),
        )),
    }
}

/// Nothing was run and nothing is reported.
const NOTHING: Swept = Swept {
    finished: 0,
    failed: 0,
    open: 0,
    decided: true,
    report: None,
};

fn start_file(path: &Path) -> Result<Swept, ReproError> {
    if path.exists() {
        let path = path.display();
        return Err(ReproError::Usage(format!("--new: {path} is there already")));
    }
    let text = sweep_template().as_bytes();
    hw_core::files::write_whole(path, text).map_err(|error| ReproError::File {
        path: path.into(),
        problem: hw_core::one_line(&error),
    })?;
    eprintln!("wrote {0}; run it with: hw sweep {0}", path.display());
    Ok(NOTHING)
}

fn run(
    file: &Path,
    options: &SweepOptions,
    common: &Common,
    cancel: &CancelToken,
) -> Result<Swept> {
    let started = Instant::now();
    let dirs = DataDirs::resolve(common.data_dir.as_deref());
    let shapes = Shapes {
        dirs: dirs.clone(),
        known: OnceLock::new(),
    };
    let sweep = Sweep::open(file, &|config| shapes.of(config))?;
    let first = &sweep.trials[0].config;
    let dataset = &first.dataset;
    let data = DataCache::new(dirs.with_edition(first.edition), false);
    let default = PathBuf::from("results/sweeps").join(&sweep.name);
    let out = options.out.clone().unwrap_or(default);
    let counts = data.counts(dataset);
    let images = counts.map(|[train, _]| (dataset.to_string(), train));
    let estimator = Estimator::open(&out, BTreeMap::from_iter(images));
    let SweepMachine {
        workers: at_a_time,
        memory,
        stop_after,
    } = options.machine;
    let workers = workers(at_a_time, memory);
    let network = |config: &TrainConfig| shapes.network(config);
    if options.list {
        list(&sweep, workers, &|config| {
            estimator.seconds_alone(config, network(config).as_ref(), 0)
        });
        return Ok(NOTHING);
    }
    let command = format!("hw sweep {}", file.display());
    if let Some(folder) = &options.from_archive {
        let (kept, looks) = archive::read(folder, &sweep)?;
        let mut results = Results::default();
        settle(&sweep, &kept, &mut results);
        return report(&sweep, &results, (command, looks), &out, common);
    }
    let store = crew::store(&out)?;
    claim(&out, &sweep)?;
    if options.engine.engine.is_some() {
        let name = format!("hw-sweep-{}", sweep.name);
        let again = CommandLine::of_this_process(name, &out, common.data_dir.as_deref())?;
        engine::start(&options.engine, &again, common.json)?;
        return Ok(NOTHING);
    }
    if options.status {
        let planned = planned(&sweep, &|config| {
            estimator.seconds_alone(config, network(config).as_ref(), 0)
        });
        status::show(&store, &planned, common.json, cancel)?;
        return Ok(NOTHING);
    }
    let kept = Kept::read(&out)?;
    if options.report_only {
        let mut results = Results::default();
        settle(&sweep, &kept, &mut results);
        let looks = keep(options, &sweep, &results, &data, &out)?;
        return report(&sweep, &results, (command, looks), &out, common);
    }
    // Known before the hours of work, not after them.
    data.get(dataset, Split::Train)?;
    data.get(dataset, Split::Test)?;
    let minutes = |minutes: f64| started + Duration::from_secs_f64(minutes * 60.0);
    let crew = Crew {
        store: &store,
        data: &data,
        cancel: cancel.clone(),
        estimator: Mutex::new(estimator),
        progress: Mutex::new(Progress::new()),
        workers,
        deadline: stop_after.map(minutes),
        only_read: false,
    };
    let test_images = counts.map_or(0, |[_, test]| test);
    let agenda = SweepAgenda::new(&sweep, &crew, &out, &kept, &network, test_images);
    crew.run(&agenda, agenda.open())?;
    let results = agenda.results();
    if options.worker {
        eprintln!(
            "nothing is left to run; report with: {command} --report-only --out {}",
            out.display()
        );
        let (finished, failed) = results.counts();
        return Ok(Swept {
            finished,
            failed,
            ..NOTHING
        });
    }
    let looks = keep(options, &sweep, &results, &data, &out)?;
    report(&sweep, &results, (command, looks), &out, common)
}

/// Keeps an archive where one is asked for; the looks at test sets so far.
fn keep(
    options: &SweepOptions,
    sweep: &Sweep,
    results: &Results,
    data: &DataCache,
    out: &Path,
) -> Result<Vec<Look>> {
    let register = Register::open(out.join("runs").join(REGISTER));
    let looks = register.context("test looks")?.all()?;
    if let Some(folder) = &options.archive {
        let written = archive::keep(folder, sweep, results, data, out, looks.clone())?;
        let (path, size) = (folder.display(), hw_report::format::bytes(written.bytes));
        eprintln!("archive: {path}, {} runs, {size}", written.runs);
    }
    Ok(looks)
}

/// The runs of the first rung and of the winner; which ones come between follows from their results.
fn planned(sweep: &Sweep, seconds: &dyn Fn(&TrainConfig) -> f64) -> Plan {
    let trials = 0..sweep.trials.len();
    let trials = trials.flat_map(|trial| sweep.seeds.iter().map(move |&seed| (trial, seed)));
    let runs = trials.map(|(trial, seed)| {
        let config = sweep.config(trial, 0, seed);
        let settings = label(&sweep.trials[trial].settings);
        let run = Planned {
            name: format!("trial {} ({settings}), seed {seed}", trial + 1),
            seconds: seconds(&config),
            needed: true,
        };
        (key(&config), run)
    });
    runs.collect()
}

/// Writes the report, and says where it is.
fn report(
    sweep: &Sweep,
    results: &Results,
    (command, looks): (String, Vec<Look>),
    out: &Path,
    common: &Common,
) -> Result<Swept> {
    let report = Report {
        sweep,
        results,
        command,
        looks,
    };
    let (mut summary, page) = report.write(out)?;
    let (finished, failed) = results.counts();
    if common.json {
        summary["report"] = page.display().to_string().into();
        println!("{summary}");
    } else {
        print!("{}", report.in_words());
    }
    eprintln!("report: {}", page.display());
    Ok(Swept {
        finished,
        failed,
        open: report.open(),
        decided: results.tested().len() == sweep.final_seeds.len(),
        report: Some(page),
    })
}

/// Makes the folder this sweep's, or finds that it is.
fn claim(out: &Path, sweep: &Sweep) -> Result<()> {
    let path = out.join(SWEEP);
    let text = serde_json::to_string_pretty(sweep).context("a sweep as JSON")? + "\n";
    match std::fs::read_to_string(&path) {
        Ok(there) if there == text => Ok(()),
        Ok(_) => {
            let out = out.display();
            Err(ReproError::Usage(format!(
                "{out} holds another sweep, or this one before its file was changed; choose another folder \
                 with --out"
            ))
            .into())
        }
        Err(_) => Ok(hw_core::files::write_whole(&path, text.as_bytes())
            .with_context(|| format!("--out {}", out.display()))?),
    }
}

/// What the images of the sweep's data set are; all its trials have the same.
struct Shapes {
    dirs: DataDirs,
    known: OnceLock<Shape>,
}

impl Shapes {
    /// Without reading files where the catalogue knows it.
    fn of(&self, config: &TrainConfig) -> Result<Shape> {
        if let Some(known) = self.known.get() {
            return Ok(*known);
        }
        let shape = match config.dataset.classes() {
            Some(classes) => Shape {
                images: [1, 28, 28],
                classes: classes.len(),
            },
            None => {
                let data = hw_data::load(&config.dataset, Split::Train, &self.dirs)?;
                Shape {
                    images: data.images.shape(),
                    classes: data.classes.len(),
                }
            }
        };
        Ok(*self.known.get_or_init(|| shape))
    }

    /// The network of a checked configuration.
    fn network(&self, config: &TrainConfig) -> Option<ModelSpec> {
        let Shape { images, classes } = *self.known.get()?;
        let input = config.preprocess.output_shape(images).ok()?;
        config.model_spec(input, classes).ok()
    }
}
