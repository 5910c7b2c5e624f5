//! From a reproduction that was made to its archive.

use super::error::ArchiveError;
use super::known::sizes;
use super::manifest::{Manifest, Reproduction};
use super::merge::join;
use super::record::{CameOfIt, Record, Tested};
use super::store::{Archive, Index, Written};
use super::weights;
use crate::data::DataCache;
use crate::error::ReproError;
use crate::jobs::{Job, Selection, search_run};
use crate::maps::MapStore;
use crate::options::Options;
use crate::paper::Paper;
use crate::results::{JobResult, NOT_RUN_YET, RunResult};
use anyhow::Result;
use hw_data::Split;
use hw_eval::looks::Look;
use hw_train::checkpoint::BEST;
use hw_train::run::{EVENTS, read_run};
use hw_train::{Computation, DataStamp, Machine, TrainConfig};
use std::path::Path;

/// A reproduction whose results are to be kept.
pub(crate) struct Collector<'a> {
    pub(crate) papers: &'a [Paper],
    pub(crate) selection: &'a Selection,
    pub(crate) options: &'a Options,
    pub(crate) data: &'a DataCache,
    /// The folder of the runs' folders.
    pub(crate) runs: &'a Path,
    pub(crate) jobs: &'a [Job],
    pub(crate) results: &'a [JobResult],
    pub(crate) maps: &'a MapStore,
    pub(crate) looks: Vec<Look>,
}

impl Collector<'_> {
    /// Writes the archive to `folder`, with what an archive of the same reproduction there already holds.
    ///
    /// # Errors
    /// When the folder holds something else, or a file cannot be read or written.
    pub(crate) fn keep(self, folder: &Path) -> Result<Written> {
        keep_in(folder, self.collect()?)
    }

    fn collect(&self) -> Result<Archive> {
        let papers: Vec<&Paper> = (self.papers.iter().enumerate())
            .filter(|(index, _)| self.selection.has_paper(*index))
            .map(|(_, paper)| paper)
            .collect();
        let sets = sizes(&papers, self.data);
        let hashes = papers.iter().map(|p| (p.slug.clone(), p.sha256.clone()));
        let of = Reproduction {
            papers: hashes.collect(),
            profile: Some(self.options.profile()),
            sweep: None,
            synthetic: self.data.is_synthetic(),
            only: self.options.only.clone(),
            seeds: self.options.seeds,
            emnist: sets.iter().find_map(|set| set.edition),
        };
        let mut archive = Archive::new(Manifest::new(of, sets));
        for (job, result) in self.jobs.iter().zip(self.results) {
            for record in self.records(job, result)? {
                let joined = match archive.records.remove(&record.run) {
                    Some(known) => known.completed_by(record),
                    None => record,
                };
                archive.records.insert(joined.run.clone(), joined);
            }
        }
        archive.looks.clone_from(&self.looks);
        Ok(archive)
    }

    /// The records of a job: its seeds, its learning rates, its failures.
    fn records(&self, job: &Job, result: &JobResult) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for (place, seed) in result.seeds.iter().enumerate() {
            records.push(self.tested(result, place, seed)?);
        }
        for &(rate, accuracy) in &result.search {
            let config = search_run(&job.configs[0], rate);
            records.push(self.searched(config, accuracy)?);
        }
        for failure in &result.failures {
            let config = job.configs.iter();
            let config = config
                .clone()
                .find(|config| Some(config.seed) == failure.seed);
            let Some(config) = config.filter(|_| failure.problem != NOT_RUN_YET) else {
                continue;
            };
            let mut config = config.clone();
            config.learning_rate = result.chosen_rate().unwrap_or(config.learning_rate);
            records.push(self.failed(config, &failure.problem)?);
        }
        Ok(records)
    }

    fn tested(&self, job: &JobResult, place: usize, seed: &RunResult) -> Result<Record> {
        Ok(Record {
            run: seed.run.clone(),
            config: seed.config.clone(),
            data: seed.data.clone(),
            machine: seed.machine.clone(),
            computation: seed.computation.clone(),
            weights: self.weights(&seed.run)?,
            came_of_it: CameOfIt::Tested(Box::new(Tested {
                result: seed.clone(),
                broken: seed.broken.clone(),
                rates: job.rates.clone().filter(|_| place == 0),
                map: self.maps.get(&seed.run),
            })),
            also: Vec::new(),
        })
    }

    fn searched(&self, config: TrainConfig, accuracy: f64) -> Result<Record> {
        let record = self.failed(config, "its training failed")?;
        let folder = self.runs.join(&record.run);
        let Some(file) = read_run(&folder).filter(|_| folder.join(BEST).exists()) else {
            return Ok(record);
        };
        let events = hw_train::events::read(&folder.join(EVENTS));
        let finished = |event| matches!(event, &hw_train::Event::Finished { .. });
        if !events.last().is_some_and(finished) {
            return Ok(record);
        }
        let mut history = hw_train::events::epochs(&events);
        for epoch in &mut history {
            epoch.last_losses.clear();
        }
        Ok(Record {
            machine: file.machine,
            computation: file.computation,
            weights: self.weights(&record.run)?,
            came_of_it: CameOfIt::Searched { accuracy, history },
            ..record
        })
    }

    fn failed(&self, config: TrainConfig, problem: &str) -> Result<Record> {
        let train = self.data.get(&config.dataset, Split::Train)?;
        Ok(Record {
            run: self.data.run_id(&config)?,
            data: DataStamp::of(&train),
            computation: Computation::of(&config),
            config,
            machine: Machine::current(),
            weights: None,
            came_of_it: CameOfIt::Failed {
                problem: problem.into(),
            },
            also: Vec::new(),
        })
    }

    /// The hash of a run's best weights; none where they are gone.
    fn weights(&self, run: &str) -> Result<Option<String>> {
        let path = self.runs.join(run).join(BEST);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(weights::hash(&path).map_err(ReproError::from)?))
    }
}

/// Writes an archive to `folder`, with what one of the same there already holds.
///
/// # Errors
/// When the folder holds something else, or a file cannot be read or written.
pub(crate) fn keep_in(folder: &Path, mut archive: Archive) -> Result<Written> {
    let refuse = |error: ArchiveError| ReproError::from(error);
    let there = folder.join(super::manifest::MANIFEST).exists();
    if there {
        let mut known = Archive::open(folder).map_err(refuse)?;
        let index = Index::of(&archive);
        let superseded = |record: &Record| index.run(&record.config) != Some(&record.run);
        // What an older computation made, and this one has made again, is of no more use.
        known
            .records
            .retain(|_, record| index.run(&record.config).is_none() || !superseded(record));
        archive = join(archive, known, folder).map_err(refuse)?.0;
    } else if let Some(other) = not_empty(folder) {
        let path = folder.display();
        let problem = format!("--archive {path}: the folder holds other files ({other})");
        return Err(ReproError::Usage(problem).into());
    }
    Ok(archive.write(folder).map_err(refuse)?)
}

/// A file in a folder that is no archive, if there is one.
fn not_empty(folder: &Path) -> Option<String> {
    let first = std::fs::read_dir(folder).ok()?.flatten().next()?;
    Some(first.file_name().to_string_lossy().into_owned())
}
