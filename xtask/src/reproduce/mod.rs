//! `cargo xtask reproduce-all`: papers as data in, runs in the middle, a report out.

mod cells;
mod data;
mod estimate;
mod execute;
mod export;
mod expression;
mod figures;
mod front;
mod jobs;
mod layers;
mod maps;
mod measure;
mod page;
mod paper;
mod publish;
mod results;
mod scale;

use crate::args::{DataChoice, ReproduceArgs};
use crate::progress::Progress;
use anyhow::{Context, Result};
use cells::JudgedCell;
use data::DataCache;
use estimate::Estimator;
use execute::{Executor, Stopped, Workers};
use figures::Source;
use hw_core::CancelToken;
use hw_data::{DataDirs, DatasetId};
use jobs::{Job, Selection};
use page::{JudgedClaim, PageInput};
use paper::Paper;
use results::{JobResult, PaperResults};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes of a GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// Runs the command.
///
/// # Errors
/// Whatever keeps the report from being made; a failed run is none of it.
pub(crate) fn run(args: &ReproduceArgs) -> Result<ExitCode> {
    let started = Instant::now();
    set_threads(args)?;
    let papers = paper::all()?;
    let selection = match Selection::parse(args.only.as_deref(), &papers) {
        Ok(selection) => selection,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let dirs = DataDirs::resolve(args.data_dir.as_deref()).with_edition(args.emnist.edition());
    let synthetic = choose_data(args, &papers, &selection, &dirs)?;
    let data = DataCache::new(dirs, synthetic);
    let jobs = jobs::plan(&papers, &selection, args, &data)?;
    let default = PathBuf::from("results").join(args.profile.name());
    let out = args.out.clone().unwrap_or(default);
    let estimator = Estimator::open(&out, images(&jobs, &data));
    let workers = workers(args);
    if args.list {
        list(&jobs, &estimator, &papers, workers);
        return Ok(ExitCode::SUCCESS);
    }
    // Known before the hours of work, not after them.
    if let Some(kept) = &args.publish {
        std::fs::create_dir_all(kept).with_context(|| format!("--publish {}", kept.display()))?;
    }
    let cancel = CancelToken::new();
    stop_on_ctrl_c(&cancel)?;
    let minutes = |minutes: f64| started + Duration::from_secs_f64(minutes * 60.0);
    let executor = Executor {
        papers: &papers,
        out: &out,
        data: &data,
        cancel,
        estimator: Mutex::new(estimator),
        progress: Mutex::new(Progress::new()),
        workers,
        deadline: args.stop_after.map(minutes),
    };
    let results = match executor.run(&jobs) {
        Ok(results) => results,
        Err(error) if error.is::<Stopped>() => {
            eprintln!("stopped; run the same command again to go on");
            return Ok(ExitCode::from(130));
        }
        Err(error) => return Err(error),
    };
    let report = Report {
        papers: &papers,
        results: &results,
        args,
        selection: &selection,
        started,
    };
    let failed = results.iter().any(|job| !job.failures.is_empty());
    report.write(&out, &data, synthetic)?;
    if let Some(kept) = &args.publish {
        publish::publish(&out.join("report"), kept)?;
    }
    let took = hw_report::format::duration(started.elapsed().as_secs_f64());
    eprintln!(
        "{} runs in {took}",
        results.iter().map(|job| job.seeds.len()).sum::<usize>()
    );
    eprintln!(
        "report: {}",
        out.join("report").join("index.html").display()
    );
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// How the runs share the machine: small networks gain little from a second thread, so each of a
/// few runs at a time gets its part of the processor.
fn workers(args: &ReproduceArgs) -> Workers {
    let threads = rayon::current_num_threads();
    let usual = if threads <= 4 { threads } else { threads / 2 };
    let count = args.workers.map_or(usual.clamp(1, 8), usize::from);
    let memory = args.memory.map(|gib| (gib * GIB) as u64);
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

fn set_threads(args: &ReproduceArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global()
            .context("cannot set the number of threads")?;
    }
    Ok(())
}

pub(crate) fn stop_on_ctrl_c(cancel: &CancelToken) -> Result<()> {
    let cancel = cancel.clone();
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        eprintln!("stopping at the next step; once more to stop at once");
        cancel.cancel();
    })
    .context("cannot watch for Ctrl-C")
}

/// Whether glyphs stand in for the real data, said before anything else.
fn choose_data(
    args: &ReproduceArgs,
    papers: &[Paper],
    selection: &Selection,
    dirs: &DataDirs,
) -> Result<bool> {
    let glyphs = match args.data {
        DataChoice::Glyphs => true,
        DataChoice::Real | DataChoice::Auto => {
            let missing = needed(papers, selection)
                .into_iter()
                .find_map(|id| missing(&id, dirs).map(|error| (id, error)));
            match (missing, args.data) {
                (None, _) => false,
                (Some((id, error)), DataChoice::Real) => {
                    return Err(error)
                        .with_context(|| format!("--data real, but {id} cannot be had"));
                }
                (Some((id, _)), _) => {
                    eprintln!(
                        "no real data ({id} is not to be found; set HW_DATA_DIR or --data-dir)"
                    );
                    true
                }
            }
        }
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

fn missing(id: &DatasetId, dirs: &DataDirs) -> Option<hw_data::DataError> {
    hw_data::locate(id, dirs).err()
}

fn list(jobs: &[Job], estimator: &Estimator, papers: &[Paper], workers: Workers) {
    let mut total = 0.0;
    println!(
        "{:<18} {:<28} {:>8} {:>6} {:>5}  about",
        "paper", "run", "images", "epochs", "seeds"
    );
    let mut known = std::collections::HashSet::new();
    for job in jobs {
        let configs = job.search.iter().chain(&job.configs);
        let new = configs.filter(|c| known.insert(serde_json::to_string(c).unwrap_or_default()));
        let time: f64 = new.map(|c| estimator.seconds(c, job)).sum();
        total += time;
        let images = job.configs.first().and_then(|config| config.limit);
        let images = images.map_or_else(|| "all".to_string(), |limit| limit.to_string());
        let mut notes = match job.search.len() {
            0 => String::new(),
            rates => format!(", after trying {rates} learning rates"),
        };
        for word in &job.shrunk {
            notes.push_str(&format!(", {word}"));
        }
        if let Some(problem) = &job.problem {
            notes = format!("  cannot run: {problem}");
        } else if time == 0.0 {
            notes = ", the same as a run above".into();
        }
        println!(
            "{:<18} {:<28} {images:>8} {:>6} {:>5}  {}{notes}",
            papers[job.paper].slug,
            job.decl.id,
            job.epochs,
            job.configs.len(),
            hw_report::format::duration(time)
        );
    }
    println!(
        "in all about {} ({} runs at a time, {} threads each)",
        hw_report::format::duration(total / workers.count as f64),
        workers.count,
        workers.threads
    );
}

/// Everything the report is made of.
struct Report<'a> {
    papers: &'a [Paper],
    results: &'a [JobResult],
    args: &'a ReproduceArgs,
    selection: &'a Selection,
    started: Instant,
}

impl Report<'_> {
    fn write(&self, out: &Path, data: &DataCache, synthetic: bool) -> Result<()> {
        let folder = out.join("report");
        let profile = self.args.profile.name();
        let command = self.command();
        let mut all_cells: Vec<JudgedCell> = Vec::new();
        let mut all_claims: Vec<(String, Vec<JudgedClaim>)> = Vec::new();
        let mut parts = Vec::new();
        for (index, paper) in self.papers.iter().enumerate() {
            let jobs: Vec<&JobResult> = self.results.iter().filter(|j| j.paper == index).collect();
            if jobs.is_empty() || !self.selection.has_paper(index) {
                continue;
            }
            let results = PaperResults { jobs };
            let mut cells = cells::judge(paper, &results, data);
            if let Some(item) = self.selection.item() {
                cells.retain(|cell| cell.table == item);
            }
            let claims = page::judge_claims(paper, &results);
            let input = PageInput {
                paper,
                results: &results,
                cells: &cells,
                claims: &claims,
                profile,
                command: &command,
                only: self.selection.item(),
            };
            let source = Source {
                data,
                runs: &out.join("runs"),
                points: self.args.profile.map_points(),
            };
            hw_report::write(&page::page(&input, &source), &folder, &paper.slug)?;
            all_cells.extend(cells.iter().cloned());
            all_claims.push((paper.slug.clone(), claims.clone()));
            parts.push((paper, results, cells, claims));
        }
        let parts: Vec<_> = parts
            .iter()
            .map(|(p, r, c, k)| (*p, r, c.as_slice(), k.as_slice()))
            .collect();
        let took = self.started.elapsed().as_secs_f64();
        let front = front::front(&parts, profile, &command, took);
        hw_report::write(&front, &folder, "index")?;
        let summary = export::summary(profile, synthetic, &all_cells, &all_claims);
        let text = serde_json::to_string_pretty(&summary).context("cells as JSON")?;
        hw_core::files::write_whole(&folder.join("cells.json"), text.as_bytes())?;
        let csv = export::csv(&all_cells);
        hw_core::files::write_whole(&folder.join("cells.csv"), csv.as_bytes())?;
        if self.args.json {
            println!("{summary}");
        }
        Ok(())
    }

    fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask reproduce-all --profile {}",
            self.args.profile.name()
        );
        if let Some(only) = &self.args.only {
            command.push_str(&format!(" --only {only}"));
        }
        if self.args.data == DataChoice::Glyphs {
            command.push_str(" --data glyphs");
        }
        if let Some(edition) = self.args.emnist.edition() {
            command.push_str(&format!(" --emnist {edition}"));
        }
        if let Some(factor) = self.args.time_factor {
            command.push_str(&format!(" --time-factor {factor}"));
        }
        if let Some(seeds) = self.args.seeds {
            command.push_str(&format!(" --seeds {seeds}"));
        }
        if let Some(minutes) = self.args.stop_after {
            command.push_str(&format!(" --stop-after {minutes}"));
        }
        command
    }
}
