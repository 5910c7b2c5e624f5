//! The whole report from an archive, without training and without data.

use super::known::Known;
use super::proof::{self, Proof};
use super::replay::Replay;
use super::store::Archive;
use crate::command::{self, Finished, in_rounds};
use crate::data::DataCache;
use crate::error::ReproError;
use crate::jobs::{self, Job, Selection};
use crate::maps::MapStore;
use crate::options::{Common, DataChoice, Options};
use crate::paper::Paper;
use crate::report::Report;
use crate::results::JobResult;
use anyhow::Result;
use hw_core::CancelToken;
use hw_data::DataDirs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// An archive with the results that follow from it.
pub(crate) struct Replayed {
    pub(crate) archive: Archive,
    pub(crate) papers: Vec<Paper>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) results: Vec<JobResult>,
    pub(crate) selection: Selection,
    /// As if the archive's reproduction were asked for.
    pub(crate) options: Options,
    pub(crate) data: DataCache,
}

impl Replayed {
    /// Reads the archive in `folder` and makes the results of its runs.
    ///
    /// # Errors
    /// When the archive cannot be read, or is of other papers than those here.
    pub(crate) fn open(folder: &Path, options: &Options, common: &Common) -> Result<Self> {
        let archive = Archive::open(folder).map_err(ReproError::from)?;
        let papers = command::papers(options)?;
        let of = &archive.manifest.of;
        if let Some(sweep) = &of.sweep {
            let folder = folder.display();
            let problem = format!(
                "{folder} is of the sweep {sweep}: hw sweep FILE.toml --from-archive {folder}"
            );
            return Err(ReproError::Usage(problem).into());
        }
        let same = of.check_papers(folder, &papers);
        same.map_err(ReproError::from)?;
        let mut papers = papers;
        papers.retain(|paper| of.papers.contains_key(&paper.slug));
        let mut options = options.clone();
        options.profile = of.profile;
        options.seeds = of.seeds;
        options.only = options.only.or_else(|| of.only.clone());
        if of.synthetic {
            options.data = DataChoice::Glyphs;
        }
        let selection = Selection::parse(options.only.as_deref(), &papers)?;
        let dirs = DataDirs::resolve(common.data_dir.as_deref()).with_edition(of.emnist);
        let data = DataCache::new(dirs, of.synthetic).with_catalog(Known::of(&archive));
        let jobs = jobs::plan(&papers, &selection, &options, &data)?;
        let first = command::first_seeds(&options, &papers, &jobs);
        let replay = Replay::new(&archive, &papers);
        let mut results = in_rounds(&replay, &options, &papers, &jobs, first)?;
        file_rates(&replay, &papers, &jobs, &mut results);
        Ok(Self {
            papers,
            jobs,
            results,
            selection,
            options,
            data,
            archive,
        })
    }

    /// Writes the report to `out`; the summary.
    fn report(&self, out: &Path, common: &Common, started: Instant) -> Result<serde_json::Value> {
        let maps = MapStore::default();
        for record in self.archive.records.values() {
            if let Some(map) = record.tested().and_then(|tested| tested.map.clone()) {
                maps.keep(&record.run, map);
            }
        }
        let report = Report {
            papers: &self.papers,
            results: &self.results,
            options: &self.options,
            common,
            selection: &self.selection,
            started,
            looks: self.archive.looks.clone(),
            maps: &maps,
            runs: None,
        };
        report.write(out, &self.data, self.archive.manifest.of.synthetic)
    }
}

/// Gives the jobs that claims about time compare the rates that were measured.
fn file_rates(replay: &Replay<'_>, papers: &[Paper], jobs: &[Job], results: &mut [JobResult]) {
    for place in command::timed_places(papers, jobs) {
        let first = results[place].seeds.first();
        let record = first.and_then(|seed| replay.find(&seed.config));
        let rates = record.and_then(|record| record.tested()?.rates.clone());
        results[place].rates = rates;
    }
}

/// The report from the archive in `folder`, then the proof, if one is asked for.
///
/// # Errors
/// Whatever keeps the report or the proof from being made.
pub(crate) fn from_archive(
    folder: &Path,
    options: &Options,
    common: &Common,
    cancel: &CancelToken,
) -> Result<Finished> {
    let started = Instant::now();
    let asked = &options.archive;
    let out = options.out.clone();
    let out = out.unwrap_or_else(|| PathBuf::from("results").join("archive"));
    let drawn_from = match asked.budget.filter(|minutes| *minutes > 0.0) {
        Some(_) => Some(proof::choose(folder, options, common)?),
        None => None,
    };
    let replayed = Replayed::open(folder, options, common)?;
    hw_core::files::create_folder(&out).map_err(|error| ReproError::File {
        path: out.clone(),
        problem: hw_core::one_line(&error),
    })?;
    let mut summary = replayed.report(&out, common, started)?;
    if let Some(kept) = &options.publish {
        crate::publish::publish(&out.join("report"), kept)?;
    }
    let index = out.join("report").join("index.html");
    let runs = command::distinct_runs(&replayed.results);
    let took = hw_report::format::duration(started.elapsed().as_secs_f64());
    eprintln!("{runs} archived runs in {took}; nothing was trained");
    eprintln!("report: {}", index.display());
    let mut finished = Finished {
        runs,
        failed: 0,
        different: 0,
        report: Some(index),
    };
    let mut stopped = false;
    if let Some(choice) = drawn_from {
        let other = match choice.folder != folder {
            true => Some(Replayed::open(&choice.folder, options, common)?),
            false => None,
        };
        let proof = Proof {
            replayed: other.as_ref().unwrap_or(&replayed),
            out: out.join("proof"),
            minutes: asked.budget.unwrap_or_default(),
            seed: asked.seed.unwrap_or_else(proof::clock),
            cancel,
            common,
            note: choice.note,
        };
        let proved = proof.run()?;
        finished.different = proved.different();
        stopped = proved.stopped;
        summary["proof"] = proved.json();
    }
    if common.json {
        println!("{summary}");
    }
    match stopped {
        true => Err(ReproError::StoppedProof.into()),
        false => Ok(finished),
    }
}
