//! The report's files: a page for each paper, the first page, and everything for those who read with
//! programs.

use super::cells::{self, JudgedCell};
use super::claims::{self, JudgedClaim};
use super::command::most_seeds;
use super::data::DataCache;
use super::export;
use super::figures::Source;
use super::front;
use super::jobs::Selection;
use super::maps::MapStore;
use super::options::{Common, DataChoice, Options};
use super::page::{self, PageInput};
use super::paper::Paper;
use super::results::{JobResult, PaperResults};
use anyhow::{Context, Result};
use hw_eval::looks::{Count, Look};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// Everything the report is made of.
pub(crate) struct Report<'a> {
    pub(crate) papers: &'a [Paper],
    pub(crate) results: &'a [JobResult],
    pub(crate) options: &'a Options,
    pub(crate) common: &'a Common,
    pub(crate) selection: &'a Selection,
    pub(crate) started: Instant,
    /// Every look at a test set.
    pub(crate) looks: Vec<Look>,
    /// Maps that are there, and those that are made for the report.
    pub(crate) maps: &'a MapStore,
    /// The folder of the runs' folders; none where results are from an archive.
    pub(crate) runs: Option<&'a Path>,
}

/// A paper with what came of it.
pub(crate) struct Part<'a> {
    pub(crate) paper: &'a Paper,
    pub(crate) results: PaperResults<'a>,
    pub(crate) cells: Vec<JudgedCell>,
    pub(crate) claims: Vec<JudgedClaim>,
    pub(crate) flaws: Vec<claims::JudgedFlaw>,
    pub(crate) spreads: claims::Spreads,
}

/// The results, each with how often the test set was looked at for its recipe.
fn counted(results: &[JobResult], looks: &[Look]) -> Vec<JobResult> {
    let mut results = results.to_vec();
    for job in &mut results {
        if let Some(seed) = job.seeds.first() {
            let recipe = super::measure::recipe(&seed.config, &job.decl);
            job.looks = Count::of(looks, &recipe, &seed.test.sha256).looks;
        }
    }
    results
}

impl Report<'_> {
    /// Writes the report beside the runs in `out`; its summary.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, out: &Path, data: &DataCache, synthetic: bool) -> Result<Value> {
        let folder = out.join("report");
        let profile = self.options.profile().name();
        let command = self.command();
        let results = counted(self.results, &self.looks);
        let parts = self.parts(&results, data);
        for part in &parts {
            let input = PageInput {
                part,
                profile,
                command: &command,
                only: self.selection.item(),
            };
            let source = Source {
                data,
                runs: self.runs,
                maps: self.maps,
                points: self.options.profile().map_points(),
            };
            hw_report::write(&page::page(&input, &source), &folder, &part.paper.slug)?;
        }
        let took = self.started.elapsed().as_secs_f64();
        let front = front::front(&parts, profile, &command, took);
        hw_report::write(&front, &folder, "index")?;
        let summary = self.write_data(&folder, &parts, synthetic)?;
        super::profiles::write(out)?;
        Ok(summary)
    }

    fn parts<'r>(&'r self, results: &'r [JobResult], data: &DataCache) -> Vec<Part<'r>> {
        let mut parts = Vec::new();
        for (index, paper) in self.papers.iter().enumerate() {
            let all = results;
            let results = PaperResults::of(all, index, None);
            if results.jobs.is_empty() || !self.selection.has_paper(index) {
                continue;
            }
            let spreads = claims::Spreads::of(paper, &results);
            let mut cells = cells::judge(paper, &results, &spreads, data);
            if let Some(item) = self.selection.item() {
                cells.retain(|cell| cell.table == item);
            }
            let looks = most_seeds(all, index);
            let mut claims = claims::judge(paper, &results, &spreads, looks);
            let points = claims::points(all, index);
            for point in points {
                let at = PaperResults::of(all, index, Some(point));
                let smaller = claims::judge(paper, &at, &spreads, looks);
                claims::add_trend(&mut claims, smaller, point);
            }
            let flaws = claims::judge_flaws(paper, &results, &spreads);
            parts.push(Part {
                paper,
                results,
                cells,
                claims,
                flaws,
                spreads,
            });
        }
        parts
    }

    fn write_data(&self, folder: &Path, parts: &[Part<'_>], synthetic: bool) -> Result<Value> {
        let profile = self.options.profile().name();
        let summary = export::summary(profile, synthetic, parts, &self.looks);
        let text = serde_json::to_string_pretty(&summary).context("cells as JSON")?;
        hw_core::files::write_whole(&folder.join("cells.json"), text.as_bytes())?;
        let csv = export::csv(parts.iter().flat_map(|part| &part.cells));
        hw_core::files::write_whole(&folder.join("cells.csv"), csv.as_bytes())?;
        Ok(summary)
    }

    /// The command that makes this report again.
    fn command(&self) -> String {
        let options = self.options;
        let mut command = String::from(self.common.program);
        if let Some(folder) = &options.archive.from_archive {
            command.push_str(&format!(" --from-archive {}", folder.display()));
            return command;
        }
        for paper in &options.papers {
            command.push_str(&format!(" {}", paper.display()));
        }
        command.push_str(&format!(" --profile {}", options.profile().name()));
        if let Some(only) = &options.only {
            command.push_str(&format!(" --only {only}"));
        }
        if options.data == DataChoice::Glyphs {
            command.push_str(" --data glyphs");
        }
        if let Some(edition) = options.emnist.edition() {
            command.push_str(&format!(" --emnist {edition}"));
        }
        if let Some(seeds) = options.seeds {
            command.push_str(&format!(" --seeds {seeds}"));
        }
        if let Some(minutes) = options.stop_after {
            command.push_str(&format!(" --stop-after {minutes}"));
        }
        command
    }
}
