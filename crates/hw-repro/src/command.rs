//! The whole of a reproduction: papers in, runs in rounds, a report out.

use super::archive;
use super::claims::{self, JudgedClaim};
use super::crew::{self, Crew, Workers};
use super::data::DataCache;
use super::engine::{self, CommandLine};
use super::error::ReproError;
use super::estimate::Estimator;
use super::execute::Executor;
use super::jobs::{self, Job, Selection};
use super::list::list;
use super::maps::MapStore;
use super::options::{Common, DataChoice, Options, Profile};
use super::paper::{Paper, builtin, template};
use super::progress::Progress;
use super::report::Report;
use super::results::{JobResult, PaperResults};
use super::seeds;
use super::simulate::{self, Work};
use super::status;
use super::stopwatch::{self, Stopwatch};
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_data::{DataDirs, DatasetId};
use hw_eval::looks::{REGISTER, Register};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes of a GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// What a reproduction came to.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Runs that have results, those of earlier calls included.
    pub runs: usize,
    /// Runs that failed; the report says why.
    pub failed: usize,
    /// Archived runs that came out different here.
    pub different: usize,
    /// The report's first page; `None` where none was asked for.
    pub report: Option<PathBuf>,
}

impl Finished {
    /// Where no runs were asked for.
    pub(crate) fn nothing() -> Self {
        Self {
            runs: 0,
            failed: 0,
            different: 0,
            report: None,
        }
    }

    /// Whether every run finished, and none came out different from what is archived.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.different == 0
    }
}

/// What brings jobs to so many seeds: training, or an archive.
pub(crate) trait Rounds {
    /// Brings every job to `seeds[job]` seeds, those of `known` included; whether nothing of it is left.
    fn bring(
        &self,
        jobs: &[Job],
        known: Vec<JobResult>,
        seeds: &[usize],
    ) -> Result<(Vec<JobResult>, bool)>;
    /// Tells the user something.
    fn say(&self, message: &str);
}

impl Rounds for Executor<'_> {
    fn bring(
        &self,
        jobs: &[Job],
        known: Vec<JobResult>,
        seeds: &[usize],
    ) -> Result<(Vec<JobResult>, bool)> {
        self.run(jobs, known, seeds)
    }

    fn say(&self, message: &str) {
        self.crew.note(message);
    }
}

/// Does what is asked for; progress goes to standard error. `cancel` stops it at the next step, and the
/// same call goes on later.
///
/// # Errors
/// Whatever keeps the report from being made; a run that fails does not.
pub fn run(
    options: &Options,
    common: &Common,
    cancel: &CancelToken,
) -> Result<Finished, ReproError> {
    if let Some(path) = &options.new {
        return start_paper(path);
    }
    let asked = &options.archive;
    if let (Some(target), false) = (&asked.archive, asked.merge.is_empty()) {
        return archive::merge(target, &asked.merge);
    }
    if let Some(folder) = &asked.from_archive {
        return Ok(archive::from_archive(folder, options, common, cancel)?);
    }
    if asked.budget.or(asked.seed.map(|_| 0.0)).is_some() {
        let problem = "--budget and --seed are about --from-archive DIR";
        return Err(ReproError::Usage(problem.into()));
    }
    Ok(reproduce(options, common, cancel)?)
}

/// Writes a paper file to start from.
fn start_paper(path: &Path) -> Result<Finished, ReproError> {
    if path.exists() {
        let path = path.display();
        return Err(ReproError::Usage(format!("--new: {path} is there already")));
    }
    hw_core::files::write_whole(path, template().as_bytes()).map_err(|error| ReproError::File {
        path: path.into(),
        problem: hw_core::one_line(&error),
    })?;
    eprintln!("wrote {0}; rerun it with: hw reproduce {0}", path.display());
    Ok(Finished::nothing())
}

/// The papers asked for.
pub(crate) fn papers(options: &Options) -> Result<Vec<Paper>, ReproError> {
    if options.papers.is_empty() {
        return Ok(builtin());
    }
    let papers = options.papers.iter().map(|path| Paper::open(path));
    let papers = papers.collect::<Result<Vec<Paper>, _>>()?;
    for (index, paper) in papers.iter().enumerate() {
        if papers[..index].iter().any(|other| other.slug == paper.slug) {
            let slug = &paper.slug;
            return Err(ReproError::Usage(format!(
                "two papers are called \"{slug}\""
            )));
        }
    }
    Ok(papers)
}

fn reproduce(options: &Options, common: &Common, cancel: &CancelToken) -> Result<Finished> {
    let started = Instant::now();
    let papers = papers(options)?;
    let selection = Selection::parse(options.only.as_deref(), &papers)?;
    let dirs = DataDirs::resolve(common.data_dir.as_deref());
    let dirs = dirs.with_edition(options.emnist.edition());
    let synthetic = choose_data(options, &papers, &selection, &dirs)?;
    let data = DataCache::new(dirs, synthetic);
    let jobs = jobs::plan(&papers, &selection, options, &data)?;
    let default = PathBuf::from("results").join(options.profile().name());
    let out = options.out.clone().unwrap_or(default);
    let estimator = Estimator::open(&out, images(&jobs, &data));
    let workers = workers(options.workers, options.memory);
    let first = first_seeds(options, &papers, &jobs);
    if options.list {
        list(&jobs, &estimator, &papers, workers, &first);
        return Ok(Finished::nothing());
    }
    if !options.simulate.simulate.is_empty() {
        let slugs: Vec<&str> = papers.iter().map(Paper::slug).collect();
        let how = &options.simulate;
        let (share, seed) = (how.simulate_undecided, how.simulate_seed);
        let work = |first| Work::of(&jobs, &slugs, first, &estimator, share, seed);
        let all: Vec<usize> = jobs.iter().map(|job| job.configs.len()).collect();
        simulate::simulate(&work(&first), &work(&all), how, common.json)?;
        return Ok(Finished::nothing());
    }
    let sharing = &options.sharing;
    if (sharing.status || sharing.report_only) && !out.join("runs").is_dir() {
        let out = out.display();
        let problem = format!("--out {out}: nothing was run there yet");
        return Err(ReproError::Usage(problem).into());
    }
    // Known before the hours of work, not after them.
    let store = crew::store(&out)?;
    if sharing.status {
        let planned = status::plan(&jobs, &first, &estimator);
        status::show(&store, &planned, common.json, cancel)?;
        return Ok(Finished::nothing());
    }
    let by_engine = options.engine.engine.is_some();
    if sharing.worker || by_engine {
        super::sharing::join(&out, options, &jobs, synthetic)?;
    }
    if by_engine {
        let data_dir = common.data_dir.as_deref();
        let again = CommandLine::of_this_process("hw-reproduce", &out, data_dir)?;
        engine::start(&options.engine, &again, common.json)?;
        return Ok(Finished::nothing());
    }
    if let Some(kept) = &options.publish {
        std::fs::create_dir_all(kept).with_context(|| format!("--publish {}", kept.display()))?;
    }
    let minutes = |minutes: f64| started + Duration::from_secs_f64(minutes * 60.0);
    let executor = Executor {
        papers: &papers,
        out: &out,
        crew: Crew {
            store: &store,
            data: &data,
            cancel: cancel.clone(),
            estimator: Mutex::new(estimator),
            progress: Mutex::new(Progress::new()),
            workers,
            deadline: options.stop_after.map(minutes),
            only_read: sharing.report_only,
        },
    };
    let mut results = in_rounds(&executor, options, &papers, &jobs, first)?;
    let failed = results.iter().map(|job| job.failures.len()).sum();
    let runs = distinct_runs(&results);
    let took = || hw_report::format::duration(started.elapsed().as_secs_f64());
    if sharing.worker {
        eprintln!("{runs} runs are there after {}; nothing is left", took());
        return Ok(Finished {
            runs,
            failed,
            ..Finished::nothing()
        });
    }
    take_times(&executor, options, &papers, &jobs, &mut results)?;
    let (runs_folder, maps) = (out.join("runs"), MapStore::default());
    let report = Report {
        papers: &papers,
        results: &results,
        options,
        common,
        selection: &selection,
        started,
        looks: Register::open(runs_folder.join(REGISTER))
            .context("test looks")?
            .all()?,
        maps: &maps,
        runs: Some(&runs_folder),
    };
    let summary = report.write(&out, &data, synthetic)?;
    if common.json {
        println!("{summary}");
    }
    if let Some(kept) = &options.publish {
        super::publish::publish(&out.join("report"), kept)?;
    }
    if let Some(folder) = &options.archive.archive {
        let collector = archive::Collector {
            looks: report.looks,
            papers: &papers,
            selection: &selection,
            options,
            data: &data,
            runs: &runs_folder,
            jobs: &jobs,
            results: &results,
            maps: &maps,
        };
        let written = collector.keep(folder)?;
        let (path, size) = (folder.display(), hw_report::format::bytes(written.bytes));
        eprintln!("archive: {path}, {} runs, {size}", written.runs);
    }
    let index = out.join("report").join("index.html");
    eprintln!("{runs} runs in {}", took());
    eprintln!("report: {}", index.display());
    Ok(Finished {
        runs,
        failed,
        different: 0,
        report: Some(index),
    })
}

/// Different runs that have results: one that serves two papers is one run.
pub(crate) fn distinct_runs<'a>(results: impl IntoIterator<Item = &'a JobResult>) -> usize {
    let seeds = results.into_iter().flat_map(|job| &job.seeds);
    let runs: std::collections::HashSet<&str> = seeds.map(|seed| seed.run.as_str()).collect();
    runs.len()
}

/// How many seeds the runs of a paper may have.
pub(crate) fn most_seeds(results: &[JobResult], paper: usize) -> usize {
    let own = results.iter().filter(|job| job.paper == paper);
    own.map(|job| job.most_seeds).max().unwrap_or(1)
}

/// Seeds of each job at the first look.
pub(crate) fn first_seeds(options: &Options, papers: &[Paper], jobs: &[Job]) -> Vec<usize> {
    seeds::at_first(jobs, papers, options.seeds.is_some())
}

/// One seed everywhere, then one more for the runs of every part of a claim that is not decided yet.
pub(crate) fn in_rounds(
    executor: &dyn Rounds,
    options: &Options,
    papers: &[Paper],
    jobs: &[Job],
    mut seeds: Vec<usize>,
) -> Result<Vec<JobResult>> {
    let mut results: Vec<JobResult> = jobs.iter().map(JobResult::new).collect();
    for round in 1.. {
        let complete;
        (results, complete) = executor.bring(jobs, results, &seeds)?;
        if options.seeds.is_some() || !complete {
            break;
        }
        let judged: Vec<(usize, Vec<JudgedClaim>)> = papers
            .iter()
            .enumerate()
            .map(|(index, paper)| {
                let own = PaperResults::of(&results, index, None);
                let spreads = claims::Spreads::of(paper, &own);
                (
                    index,
                    claims::judge(paper, &own, &spreads, most_seeds(&results, index)),
                )
            })
            .collect();
        if !seeds::after_look(jobs, &results, &judged, &mut seeds) {
            break;
        }
        let open = judged.iter().flat_map(|(_, claims)| claims);
        let open = open.flat_map(|claim| &claim.parts).filter(|part| part.open);
        executor.say(&format!(
            "after {round} seed{}: one more for the runs of {} parts of claims that are not decided",
            if round == 1 { "" } else { "s" },
            open.count()
        ));
    }
    Ok(results)
}

/// Measures the runs that claims about time compare, one at a time with the whole machine.
fn take_times(
    executor: &Executor<'_>,
    options: &Options,
    papers: &[Paper],
    jobs: &[Job],
    results: &mut [JobResult],
) -> Result<()> {
    if executor.crew.time_is_up() {
        return Ok(());
    }
    if executor.crew.only_read {
        for index in 0..papers.len() {
            let own = |place: &usize| jobs[*place].paper == index;
            let own = timed_places(papers, jobs).into_iter().filter(own);
            stopwatch::recall(executor.out, &own.collect::<Vec<_>>(), results);
        }
        return Ok(());
    }
    let places = timed_places(papers, jobs);
    let (repetitions, seconds, steps) = match options.profile() {
        Profile::Smoke => (1, 0.0, 1),
        Profile::Quick => (3, 0.5, 1),
        _ => (5, 3.0, 3),
    };
    let stopwatch = Stopwatch {
        out: executor.out,
        data: executor.crew.data,
        cancel: &executor.crew.cancel,
        repetitions,
        seconds,
        steps,
    };
    stopwatch.measure(jobs, &places, results, &mut |message| {
        executor.crew.note(message)
    })
}

/// The jobs that claims about time compare.
pub(crate) fn timed_places(papers: &[Paper], jobs: &[Job]) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    for (index, paper) in papers.iter().enumerate() {
        let timed: Vec<&str> = paper
            .checked_terms()
            .filter(|(_, term)| term.quantity.is_training_time())
            .map(|(_, term)| term.run.as_str())
            .collect();
        let own = jobs.iter().enumerate();
        let own = own.filter(|(_, job)| job.paper == index && job.point.is_none());
        let own = own.filter(|(_, job)| timed.contains(&job.decl.id.as_str()));
        places.extend(own.map(|(place, _)| place));
    }
    places
}

/// How the runs share the machine: small networks gain little from a second thread, so each of a
/// few runs at a time gets its part of the processor.
pub(crate) fn workers(at_a_time: Option<u16>, memory: Option<f64>) -> Workers {
    let threads = rayon::current_num_threads();
    let usual = if threads <= 4 { threads } else { threads / 2 };
    let count = at_a_time.map_or(usual.clamp(1, 8), usize::from);
    let memory = memory.map(|gib| (gib * GIB) as u64);
    Workers {
        count,
        threads: (threads / count).max(1),
        memory: memory.unwrap_or_else(|| free_memory() / 3 * 2),
    }
}

/// Bytes that programs can have without swapping; 4 GiB where the system does not say.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(4 << 30, |kib| kib << 10)
}

/// How many training images each data set of the jobs has.
fn images(jobs: &[Job], data: &DataCache) -> BTreeMap<String, usize> {
    let ids = jobs
        .iter()
        .flat_map(|job| &job.configs)
        .map(|config| &config.dataset);
    let mut images = BTreeMap::new();
    for id in ids {
        if !images.contains_key(&id.to_string())
            && let Some([train, _]) = data.counts(id)
        {
            images.insert(id.to_string(), train);
        }
    }
    images
}

/// Whether glyphs stand in for the real data, said before anything else.
fn choose_data(
    options: &Options,
    papers: &[Paper],
    selection: &Selection,
    dirs: &DataDirs,
) -> Result<bool, ReproError> {
    let missing = || {
        let mut ids = needed(papers, selection).into_iter();
        ids.find_map(|id| Some((hw_data::locate(&id, dirs).err()?, id)))
    };
    let glyphs = match options.data {
        DataChoice::Glyphs => true,
        choice => match (missing(), choice) {
            (None, _) => false,
            (Some((error, id)), DataChoice::Real) => {
                return Err(ReproError::Data {
                    set: id.to_string(),
                    problem: hw_core::one_line(&error),
                });
            }
            (Some((_, id)), _) => {
                eprintln!("no real data ({id} is not to be found; set HW_DATA_DIR or --data-dir)");
                true
            }
        },
    };
    if glyphs {
        eprintln!("running on SYNTHETIC data: glyphs drawn by this program stand in for every set");
    }
    Ok(glyphs)
}

fn needed(papers: &[Paper], selection: &Selection) -> Vec<DatasetId> {
    let mut ids: Vec<DatasetId> = Vec::new();
    for (_, paper) in papers
        .iter()
        .enumerate()
        .filter(|(index, _)| selection.has_paper(*index))
    {
        for id in paper.runs.iter().filter_map(|run| run.dataset.clone()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}
