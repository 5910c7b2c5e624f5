//! Proof by sampling: archived runs, drawn at random, rerun from scratch on this machine, and what came out
//! held against what is archived.

mod draw;
mod judge;
mod rerun;
mod show;

use super::manifest::Manifest;
use super::report::Replayed;
use crate::error::ReproError;
use crate::options::{Common, Options};
use anyhow::Result;
use draw::Pool;
use hw_core::CancelToken;
use hw_data::DataDirs;
use judge::{Proved, Verdict};
use rerun::Rerunner;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A run that was begun may take so much longer than the budget.
const GRACE: f64 = 0.25;

/// The archive to draw from.
pub(crate) struct Choice {
    pub(crate) folder: PathBuf,
    /// What is to be said of it.
    pub(crate) note: Option<String>,
}

/// The archive in `folder`, if the data of its runs is here, else the one on glyphs; said at once.
///
/// # Errors
/// When neither can be rerun.
pub(crate) fn choose(folder: &Path, options: &Options, common: &Common) -> Result<Choice> {
    let manifest = Manifest::read(folder).map_err(ReproError::from)?;
    let own = |note: Option<String>| Choice {
        folder: folder.into(),
        note,
    };
    let choice = match missing(&manifest, common) {
        None if manifest.of.synthetic => own(Some(
            "The archived runs are on glyphs drawn by this program".into(),
        )),
        None => own(None),
        Some(missing) => {
            let Some(glyphs) = &options.archive.on_glyphs else {
                let problem = format!(
                    "--budget: {missing}, so that no archived run can be rerun; the report alone needs no data: \
                     --budget 0"
                );
                return Err(ReproError::Usage(problem).into());
            };
            Choice {
                folder: glyphs.clone(),
                note: Some(format!(
                    "Here is {missing}: the report is of the archived runs on real data, and those rerun here are \
                     archived runs on glyphs drawn by this program"
                )),
            }
        }
    };
    if let Some(note) = &choice.note {
        eprintln!("{note}");
    }
    Ok(choice)
}

/// The first data set of the archive that is not here.
fn missing(manifest: &Manifest, common: &Common) -> Option<String> {
    if manifest.of.synthetic {
        return None;
    }
    let dirs = DataDirs::resolve(common.data_dir.as_deref()).with_edition(manifest.of.emnist);
    manifest.sets.iter().find_map(|set| {
        let located = hw_data::locate(&set.set.parse().ok()?, &dirs);
        let found = located.is_ok_and(|located| located.train.is_some() && located.test.is_some());
        let name = &set.set;
        (!found).then(|| {
            format!("no real data ({name} is not to be found; set HW_DATA_DIR or --data-dir)")
        })
    })
}

/// A seed from the clock.
pub(crate) fn clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs())
}

/// What is to be proved, and how.
pub(crate) struct Proof<'a> {
    pub(crate) replayed: &'a Replayed,
    /// Where it is made and reported.
    pub(crate) out: PathBuf,
    pub(crate) minutes: f64,
    pub(crate) seed: u64,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) common: &'a Common,
    pub(crate) note: Option<String>,
}

/// What the proof came to.
pub(crate) struct Outcome {
    proved: Vec<Proved>,
    /// Runs that could not be rerun, and why.
    failed: Vec<(String, String)>,
    seed: u64,
    minutes: f64,
    seconds: f64,
    /// Archived runs that could have been drawn.
    of: usize,
    note: Option<String>,
    /// Whether the user stopped it.
    pub(crate) stopped: bool,
}

impl Outcome {
    /// Runs that came out different, those that could not be rerun included.
    pub(crate) fn different(&self) -> usize {
        let different = self.proved.iter();
        let different = different.filter(|proved| proved.verdict == Verdict::Different);
        different.count() + self.failed.len()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        show::json(self)
    }
}

impl Proof<'_> {
    /// Draws, reruns and compares until the time is up or every run was drawn, then shows it.
    ///
    /// # Errors
    /// When no folder can be written or the archive holds nothing to rerun.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let budget = self.minutes * 60.0;
        let mut pool = Pool::of(self.replayed, self.seed);
        eprintln!(
            "proof: archived runs drawn at random with --seed {}, rerun from scratch for {} min",
            self.seed, self.minutes
        );
        let mut rerunner = Rerunner::new(
            self.replayed,
            &self.out,
            self.common,
            self.cancel,
            started + Duration::from_secs_f64(budget * (1.0 + GRACE)),
        )?;
        let mut outcome = Outcome {
            proved: Vec::new(),
            failed: Vec::new(),
            seed: self.seed,
            minutes: self.minutes,
            seconds: 0.0,
            of: pool.len(),
            note: self.note.clone(),
            stopped: false,
        };
        while let Some(candidate) = pool.draw(budget - started.elapsed().as_secs_f64()) {
            let begun = Instant::now();
            let left = budget - started.elapsed().as_secs_f64();
            match rerunner.rerun(&candidate, pool.cost(&candidate), left) {
                Ok(Some(here)) => {
                    let proved = judge::judge(self.replayed, &candidate, &here);
                    eprintln!("{}", show::line(&proved));
                    outcome.proved.push(proved);
                }
                Ok(None) => {
                    outcome.stopped = !rerunner.time_is_up();
                    break;
                }
                Err(error) => {
                    let (name, problem) =
                        (candidate.name.clone(), hw_core::one_line(error.as_ref()));
                    eprintln!(
                        "{}",
                        show::red(&format!("could not be rerun: {name}: {problem}"))
                    );
                    outcome.failed.push((name, problem));
                }
            }
            pool.took(&candidate, begun.elapsed().as_secs_f64());
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        show::table(&outcome);
        let page = show::write(&outcome, &self.out)?;
        eprintln!("proof: {}", page.display());
        Ok(outcome)
    }
}
