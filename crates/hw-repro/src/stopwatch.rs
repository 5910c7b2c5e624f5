//! How fast a run trains, measured on its own: claims about time are judged by this pass, in which one
//! network at a time has the whole machine, never by runs that shared it.

use super::data::DataCache;
use super::jobs::Job;
use super::results::JobResult;
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_data::Split;
use hw_train::{Event, Experiment, Machine, RunOptions, Schedule, TrainConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File of the measured rates, beside the runs.
const FILE: &str = "stopwatch.json";
/// Others may use so much of the machine while a time is taken that is to be judged.
const QUIET: f64 = 0.1;

/// The training rate of one run on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// Microseconds of training an image, one value a repetition.
    pub(crate) microseconds: Vec<f64>,
    /// The largest fraction of the machine that others used meanwhile; `None` where that is not known.
    pub(crate) load: Option<f64>,
    pub(crate) machine: Machine,
}

impl Rates {
    /// Why no claim can be judged by it, if none can.
    pub(crate) fn disturbed(&self) -> Option<String> {
        let load = self.load.filter(|load| *load > QUIET)?;
        Some(format!(
            "other programs used {} % of the machine while the time was taken",
            (load * 100.0).round()
        ))
    }
}

/// What has been measured, by configuration and then by processor.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known(BTreeMap<String, BTreeMap<String, Rates>>);

impl Known {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A rate that was taken on a quiet machine of that kind.
    fn quiet(&self, config: &TrainConfig, processor: &str) -> Option<&Rates> {
        let kept = self.0.get(&key(config))?.get(processor);
        kept.filter(|kept| kept.disturbed().is_none())
    }
}

/// Files in the results of the jobs at these places, all of one paper, what has been measured: on the kind
/// of processor on which most of them were, since times of two kinds are not compared.
pub(crate) fn recall(out: &Path, places: &[usize], results: &mut [JobResult]) {
    let known = Known::read(&out.join(FILE));
    let config = |place: usize, results: &[JobResult]| {
        results[place].seeds.first().map(|seed| seed.config.clone())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for config in places.iter().filter_map(|&place| config(place, results)) {
        for processor in known
            .0
            .get(&key(&config))
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            if known.quiet(&config, processor).is_some() {
                *counts.entry(processor.clone()).or_default() += 1;
            }
        }
    }
    let Some((processor, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
        return;
    };
    for &place in places {
        if let Some(config) = config(place, results) {
            results[place].rates = known.quiet(&config, &processor).cloned();
        }
    }
}

/// Takes the time of runs.
pub(crate) struct Stopwatch<'a> {
    pub(crate) out: &'a Path,
    pub(crate) data: &'a DataCache,
    pub(crate) cancel: &'a CancelToken,
    /// How many times each is measured, one after the other in turns.
    pub(crate) repetitions: usize,
    /// Seconds of each measurement, if so many steps do not take longer.
    pub(crate) seconds: f64,
    /// Steps of each measurement at least.
    pub(crate) steps: usize,
}

impl Stopwatch<'_> {
    /// Measures the jobs at these places, in turns, and files what came out in their results; what was
    /// measured on this kind of processor before is kept.
    ///
    /// # Errors
    /// When a run cannot be made, or the user stopped it.
    pub(crate) fn measure(
        &self,
        jobs: &[Job],
        places: &[usize],
        results: &mut [JobResult],
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let path = self.out.join(FILE);
        let known = Known::read(&path);
        let machine = Machine::current();
        let mut open: Vec<(usize, TrainConfig, usize)> = Vec::new();
        for &place in places {
            let Some(config) = results[place].seeds.first().map(|seed| seed.config.clone()) else {
                continue;
            };
            let kept = known.quiet(&config, &machine.processor);
            let kept = kept.filter(|kept| kept.machine == machine);
            match kept {
                Some(kept) => results[place].rates = Some(kept.clone()),
                None => open.push((place, config, 0)),
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let mut taken: Vec<Rates> = open
            .iter()
            .map(|_| Rates {
                microseconds: Vec::new(),
                load: None,
                machine: machine.clone(),
            })
            .collect();
        for repetition in 1..=self.repetitions {
            for ((place, config, images), rates) in open.iter_mut().zip(&mut taken) {
                let name = jobs[*place].name();
                say(&format!(
                    "{name}, timed alone, {repetition} of {}",
                    self.repetitions
                ));
                if *images == 0 {
                    *images = self.images(config)?;
                }
                let (microseconds, load) = self.once(config, *images)?;
                rates.microseconds.push(microseconds);
                rates.load = rates.load.into_iter().chain(load).reduce(f64::max);
            }
        }
        // Another machine may have measured meanwhile.
        let mut known = Known::read(&path);
        for ((place, config, _), rates) in open.iter().zip(taken) {
            let kept = known.0.entry(key(config)).or_default();
            kept.insert(machine.processor.clone(), rates.clone());
            results[*place].rates = Some(rates);
        }
        let text = serde_json::to_string_pretty(&known).context("training rates as JSON")?;
        hw_core::files::write_whole(&path, text.as_bytes())?;
        Ok(())
    }

    /// How many images fill the seconds of a measurement.
    fn images(&self, config: &TrainConfig) -> Result<usize> {
        let few = config.batch * self.steps;
        if self.repetitions == 1 {
            return Ok(few);
        }
        let (microseconds, _) = self.once(config, few)?;
        let fill = (self.seconds * 1e6 / microseconds) as usize;
        Ok(fill.max(few) / config.batch * config.batch)
    }

    /// Microseconds of training an image in the second of two epochs of so many, and what others used
    /// of the machine.
    fn once(&self, config: &TrainConfig, images: usize) -> Result<(f64, Option<f64>)> {
        let train = self.data.get(&config.dataset, Split::Train)?;
        let folder = self.folder(config);
        let short = TrainConfig {
            limit: Some(images.min(train.len())),
            epochs: 2,
            val_fraction: 0.0,
            val_limit: None,
            early_stopping: None,
            schedule: Schedule::default(),
            probe: None,
            teacher: None,
            ..config.clone()
        };
        // What an earlier call was killed over.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let experiment = Experiment::new(short, train, None)?;
        let mut ignore = |_: &Event| {};
        let mut options = RunOptions::new(&mut ignore);
        options.cancel = self.cancel.clone();
        let outcome = experiment.complete(&folder, options);
        // Whatever came of it, a measurement leaves nothing behind.
        let removed = std::fs::remove_dir_all(&folder);
        let outcome = outcome.with_context(|| format!("timing {}", config.model))?;
        removed.with_context(|| format!("cannot remove {}", folder.display()))?;
        if !outcome.finished {
            return Err(anyhow::anyhow!(super::error::ReproError::Stopped));
        }
        let last = outcome.history.last().context("no epoch was timed")?;
        let each = last.seconds * 1e6 / last.train.images.max(1) as f64;
        Ok((each, last.load))
    }

    fn folder(&self, config: &TrainConfig) -> PathBuf {
        let id = &hw_core::files::sha256_hex(key(config).as_bytes())[..16];
        self.out.join("stopwatch").join(id)
    }
}

/// What decides a training rate: the configuration without its seed and its length.
fn key(config: &TrainConfig) -> String {
    let bare = TrainConfig {
        seed: 0,
        epochs: 1,
        limit: None,
        val_limit: None,
        val_fraction: 0.0,
        early_stopping: None,
        learning_rate: 0.0,
        schedule: Schedule::default(),
        probe: None,
        teacher: None,
        ..config.clone()
    };
    serde_json::to_string(&bare).expect("a configuration is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;
    use crate::execute::tests::executor;
    use crate::jobs::{Selection, plan, tests::options};
    use crate::options::Profile;
    use crate::paper::{Paper, template};
    use crate::results::PaperResults;
    use hw_data::DataDirs;

    fn rates(load: Option<f64>) -> Rates {
        Rates {
            microseconds: vec![10.0, 11.0],
            load,
            machine: Machine::current(),
        }
    }

    #[test]
    fn a_time_is_judged_only_where_the_machine_was_quiet() {
        assert_eq!(rates(None).disturbed(), None);
        assert_eq!(rates(Some(0.09)).disturbed(), None);
        let disturbed = rates(Some(0.4)).disturbed().unwrap();
        assert!(disturbed.contains("40 %"), "{disturbed}");
    }

    #[test]
    fn seed_and_length_do_not_change_what_is_timed_and_the_network_does() {
        let config = TrainConfig::default();
        let other = TrainConfig {
            seed: 9,
            epochs: 77,
            limit: Some(5),
            ..config.clone()
        };
        assert_eq!(key(&config), key(&other));
        let wider = TrainConfig {
            batch: 2,
            ..config.clone()
        };
        assert_ne!(key(&config), key(&wider));
    }

    #[test]
    fn runs_are_timed_in_turns_once_and_leave_nothing_behind() {
        let papers = [Paper::parse(template()).unwrap()];
        let selection = Selection::parse(None, &papers).unwrap();
        let data = DataCache::new(DataDirs::default(), true);
        let jobs = plan(&papers, &selection, &options(Profile::Smoke), &data).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = crate::crew::store(folder.path()).unwrap();
        let executor = executor(&papers, folder.path(), &store, &data);
        let new = jobs.iter().map(JobResult::new).collect();
        let mut results = executor.run(&jobs, new, &[1, 1]).unwrap().0;
        let cancel = CancelToken::new();
        let stopwatch = Stopwatch {
            out: folder.path(),
            data: &data,
            cancel: &cancel,
            repetitions: 2,
            seconds: 0.0,
            steps: 1,
        };
        let mut said = Vec::new();
        let mut measure = |results: &mut [JobResult]| {
            let mut say = |message: &str| said.push(message.to_string());
            stopwatch
                .measure(&jobs, &[0, 1], results, &mut say)
                .unwrap();
            said.len()
        };
        assert_eq!(measure(&mut results), 4);
        let first: Vec<_> = results.iter().map(|job| job.rates.clone()).collect();
        assert!(
            first
                .iter()
                .all(|r| r.as_ref().is_some_and(|r| r.microseconds.len() == 2))
        );
        let left = std::fs::read_dir(folder.path().join("stopwatch")).unwrap();
        assert_eq!(left.count(), 0);
        // A quiet measurement is kept; a time is then what a run had to do at that rate.
        for job in &mut results {
            job.rates = Some(rates(None));
        }
        let own = PaperResults::of(&results, 0, None);
        let values = |term: &str| own.arm(&term.parse().unwrap()).unwrap().values();
        assert_eq!(values("large.image_us"), [10.0, 11.0]);
        let images = own.job("large").unwrap().seeds[0].history[0].train.images as f64;
        assert_eq!(values("large.epoch_seconds")[0], images * 10.0 * 1e-6);
        assert_eq!(values("large.step_ms"), [0.64, 0.704]);
        // Untimed, or timed beside others, it decides nothing.
        let term = "large.image_us".parse().unwrap();
        assert_eq!(own.too_small(&term), None);
        results[0].rates = Some(rates(Some(0.5)));
        assert!(
            PaperResults::of(&results, 0, None)
                .too_small(&term)
                .is_some()
        );
        results[0].rates = None;
        let small = PaperResults::of(&results, 0, None).too_small(&term);
        assert!(small.unwrap().contains("not taken alone"));
        // What another kind of processor measured is kept beside it, and only one kind is recalled.
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        let mut known: Known = serde_json::from_str(&text).unwrap();
        for rates in known.0.values_mut().flat_map(BTreeMap::values_mut) {
            rates.load = None;
        }
        let elsewhere = |rates: &Rates| Rates {
            machine: Machine {
                processor: "another".into(),
                ..rates.machine.clone()
            },
            ..rates.clone()
        };
        let keys: Vec<String> = known.0.keys().cloned().collect();
        for (key, kinds) in &mut known.0 {
            let own = kinds.values().next().unwrap().clone();
            kinds.insert("another".into(), elsewhere(&own));
            if *key == keys[0] {
                kinds.retain(|processor, _| processor == "another");
            }
        }
        let text = serde_json::to_string(&known).unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        recall(folder.path(), &[0, 1], &mut results);
        let processor = |job: &JobResult| job.rates.as_ref().map(|r| r.machine.processor.clone());
        let processors: Vec<_> = results.iter().map(processor).collect();
        assert_eq!(processors, [Some("another".into()), Some("another".into())]);
    }
}
