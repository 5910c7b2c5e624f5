//! The results of an archive's runs, as if they had just been trained: the same jobs, the same rounds, and
//! a record in place of each training.

use super::known::Known;
use super::record::{CameOfIt, Record, Tested};
use super::store::Archive;
use crate::command::Rounds;
use crate::data::Catalog;
use crate::jobs::{Job, search_run};
use crate::paper::{Paper, Variant};
use crate::results::{Failure, JobResult, RunResult};
use crate::seeds::{Grown, grow};
use anyhow::Result;
use hw_train::TrainConfig;

/// What a cell says whose run is not in the archive.
const MISSING: &str = "not in the archive";

/// Brings jobs to their seeds from records.
pub(crate) struct Replay<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) known: Known,
    pub(crate) papers: &'a [Paper],
}

impl Rounds for Replay<'_> {
    fn bring(
        &self,
        jobs: &[Job],
        mut results: Vec<JobResult>,
        seeds: &[usize],
    ) -> Result<(Vec<JobResult>, bool)> {
        for ((job, result), seeds) in jobs.iter().zip(&mut results).zip(seeds) {
            self.bring_one(job, result, *seeds);
        }
        Ok((results, true))
    }

    fn say(&self, _: &str) {}
}

impl<'a> Replay<'a> {
    pub(crate) fn new(archive: &'a Archive, papers: &'a [Paper]) -> Self {
        Self {
            known: Known::of(archive),
            archive,
            papers,
        }
    }

    /// The record of that configuration.
    pub(crate) fn find(&self, config: &TrainConfig) -> Option<&'a Record> {
        self.archive.records.get(&self.known.run(config)?)
    }

    fn bring_one(&self, job: &Job, result: &mut JobResult, seeds: usize) {
        let fail = |result: &mut JobResult, seed, problem: &str| {
            result.failures.push(Failure {
                seed,
                problem: problem.into(),
            });
        };
        if let Some(problem) = &job.problem {
            if result.failures.is_empty() {
                fail(result, None, problem);
            }
            return;
        }
        let tried = result.attempted();
        let configs: Vec<&TrainConfig> = job.configs.iter().take(seeds).skip(tried).collect();
        if configs.is_empty() {
            return;
        }
        if !job.search.is_empty() && result.search.is_empty() && !self.search(job, result) {
            if result.failures.is_empty() {
                fail(result, None, MISSING);
            }
            return;
        }
        let rate = result.chosen_rate();
        for config in configs {
            let mut config = config.clone();
            config.learning_rate = rate.unwrap_or(config.learning_rate);
            match self.find(&config).map(|record| &record.came_of_it) {
                Some(CameOfIt::Tested(first)) => {
                    let record = self.find(&config);
                    let tested = record.and_then(|record| record.tested_on(job.test_images));
                    result.seeds.push(self.result(job, tested.unwrap_or(first)));
                }
                Some(CameOfIt::Failed { problem }) => fail(result, Some(config.seed), problem),
                // Seeds beyond those that the archive has were not needed, or not reached.
                _ if !result.seeds.is_empty() => {}
                _ if result.failures.is_empty() => fail(result, None, MISSING),
                _ => {}
            }
        }
        // A seed that was found is no longer missing.
        if !result.seeds.is_empty() {
            result.failures.retain(|failure| failure.problem != MISSING);
        }
        result.seeds.sort_by_key(|seed| seed.config.seed);
        result.failures.sort_by_key(|failure| failure.seed);
    }

    /// The grid of learning rates, grown as it was; `false` where the archive lacks a rate.
    fn search(&self, job: &Job, result: &mut JobResult) -> bool {
        let mut open: Vec<TrainConfig> = job.search.clone();
        let mut tried: Vec<(f32, f64)> = Vec::new();
        loop {
            for config in open.drain(..) {
                let accuracy = match self.find(&config).map(|record| &record.came_of_it) {
                    Some(CameOfIt::Searched { accuracy, .. }) => *accuracy,
                    Some(CameOfIt::Failed { .. }) => 0.0,
                    _ => return false,
                };
                tried.push((config.learning_rate, accuracy));
            }
            tried.sort_by(|a, b| a.0.total_cmp(&b.0));
            match grow(&tried, job.search.len()) {
                Grown::Further(rate) => open.push(search_run(&job.configs[0], rate)),
                found => {
                    result.edge = found == Grown::Edge;
                    result.search = tried;
                    return true;
                }
            }
        }
    }

    /// A result with the variants of the job's own paper: another paper may have tested the same run on
    /// others.
    fn result(&self, job: &Job, tested: &Tested) -> RunResult {
        let own = self.papers[job.paper].variants_of(&job.decl.id);
        let declared = |variant: &&Variant| serde_json::to_string(variant).ok();
        let declared: Vec<String> = own.iter().filter_map(declared).collect();
        let mut result = tested.result.clone();
        result
            .variants
            .retain(|variant| declared.contains(&variant.declared));
        let is_own = |id: &String| own.iter().any(|variant| variant.id == *id);
        let broken = tested.broken.iter().filter(|(id, _)| is_own(id));
        result.broken = broken.cloned().collect();
        result
    }
}
