//! One of many: several processes, on one machine or many, work on one output folder.
//!
//! Each plans the same runs, takes what nobody else is making, and decides alike from the same results. So
//! all of them must be asked for the same; the first one writes down what that is.

use super::error::ReproError;
use super::jobs::Job;
use super::options::Options;
use anyhow::{Context, Result};
use hw_train::{Computation, TrainConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// File that says what the folder's workers are asked for.
const FILE: &str = "plan.json";

/// Working with others on one folder.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Sharing {
    /// Be one of many workers on OUT, on any machines that share it: make what nobody else is making until
    /// nothing is left, and write no report; may be stopped or killed and started again at any time
    #[cfg_attr(
        feature = "clap",
        arg(long, help_heading = "Many workers", conflicts_with_all = ["list", "publish", "new"])
    )]
    pub worker: bool,

    /// Run nothing, and report what is there
    #[cfg_attr(
        feature = "clap",
        arg(long, help_heading = "Many workers", conflicts_with_all = ["list", "worker", "new"])
    )]
    pub report_only: bool,

    /// Show how far the work on OUT is, who works on it, how fast and for how long; live on a terminal
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            help_heading = "Many workers",
            conflicts_with_all = ["list", "worker", "report_only", "publish", "new"]
        )
    )]
    pub status: bool,
}

/// What workers of a folder must have in common.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    /// In words, for people.
    asked: String,
    /// SHA-256 over all configurations.
    runs: String,
    computation: Computation,
}

impl Plan {
    fn of(options: &Options, jobs: &[Job], synthetic: bool) -> Self {
        let mut asked = format!("--profile {}", options.profile().name());
        for paper in &options.papers {
            asked = format!("{} {asked}", paper.display());
        }
        if let Some(only) = &options.only {
            asked.push_str(&format!(" --only {only}"));
        }
        if let Some(seeds) = options.seeds {
            asked.push_str(&format!(" --seeds {seeds}"));
        }
        asked.push_str(if synthetic {
            " on glyphs"
        } else {
            " on real data"
        });
        let all: Vec<[&[TrainConfig]; 2]> = jobs
            .iter()
            .map(|job| [job.search.as_slice(), &job.configs])
            .collect();
        let all = serde_json::to_vec(&all).expect("configurations are JSON");
        Self {
            asked,
            runs: hw_core::files::sha256_hex(&all),
            computation: Computation::of(&TrainConfig::default()),
        }
    }
}

/// Joins the workers of a folder.
///
/// # Errors
/// [`ReproError::Usage`] when they are asked for something else than this one.
pub(crate) fn join(out: &Path, options: &Options, jobs: &[Job], synthetic: bool) -> Result<()> {
    let path = out.join(FILE);
    let plan = Plan::of(options, jobs, synthetic);
    if path.exists() {
        let text = hw_core::files::read_text(&path)?;
        let known: Plan = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; remove it", path.display()))?;
        if known == plan {
            return Ok(());
        }
        let folder = out.display();
        let problem = if known.asked != plan.asked {
            format!(
                "its workers are asked for {}, and this one for {}",
                known.asked, plan.asked
            )
        } else if known.computation != plan.computation {
            format!(
                "its workers compute in {}, and this one in {}",
                known.computation, plan.computation
            )
        } else {
            "its workers have other papers or other data than this one".into()
        };
        return Err(anyhow::anyhow!(ReproError::Usage(format!(
            "--out {folder}: {problem}; choose another --out, or remove {}",
            path.display()
        ))));
    }
    let text = serde_json::to_string_pretty(&plan).context("the plan as JSON")?;
    hw_core::files::write_whole(&path, text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataCache;
    use crate::jobs::{Selection, plan, tests::options};
    use crate::options::Profile;
    use crate::paper::{Paper, template};
    use hw_data::DataDirs;

    #[test]
    fn workers_of_a_folder_are_asked_for_the_same() {
        let papers = [Paper::parse(template()).unwrap()];
        let selection = Selection::parse(None, &papers).unwrap();
        let data = DataCache::new(DataDirs::default(), true);
        let jobs = |options: &Options| plan(&papers, &selection, options, &data).unwrap();
        let out = tempfile::tempdir().unwrap();
        let smoke = options(Profile::Smoke);
        join(out.path(), &smoke, &jobs(&smoke), true).unwrap();
        join(out.path(), &smoke, &jobs(&smoke), true).unwrap();
        let refused = |options: &Options, jobs: &[Job]| {
            let error = join(out.path(), options, jobs, true).unwrap_err();
            error.to_string()
        };
        let quick = options(Profile::Quick);
        let other = refused(&quick, &jobs(&quick));
        assert!(
            other.contains("--profile smoke") && other.contains("--profile quick"),
            "{other}"
        );
        let changed = refused(&smoke, &jobs(&smoke)[1..]);
        assert!(changed.contains("other papers"), "{changed}");
        std::fs::write(out.path().join(FILE), "{").unwrap();
        assert!(refused(&smoke, &jobs(&smoke)).contains("damaged"));
    }
}
