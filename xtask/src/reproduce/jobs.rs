//! From a paper and a profile to configurations: which runs, on which data, at which scale.

use super::data::DataCache;
use super::paper::{Paper, RunDecl, Scale, TeacherDecl};
use super::scale;
use crate::args::ReproduceArgs;
use anyhow::{Context, Result, bail};
use hw_data::{DatasetId, Preprocess, Split};
use hw_models::ModelSpec;
use hw_train::{Experiment, Monitor, Teacher, TrainConfig};
use serde_json::Value;
use std::collections::HashSet;

/// One declared run at one scale, all its seeds.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) paper: usize,
    pub(crate) decl: RunDecl,
    pub(crate) configs: Vec<TrainConfig>,
    /// Configurations of the learning-rate search, one seed each, validated and never tested.
    pub(crate) search: Vec<TrainConfig>,
    pub(crate) epochs: usize,
    pub(crate) full: bool,
    /// What the profile made smaller, in words.
    pub(crate) shrunk: Vec<String>,
    /// The training images there are, where not all are used.
    pub(crate) of_images: Option<usize>,
    /// The network as the document has it.
    pub(crate) network: Option<ModelSpec>,
    /// The configurations of the run that teaches; none without a teacher.
    pub(crate) teachers: Vec<TrainConfig>,
    /// Seconds that asking the teachers takes for an image on one core of the reference machine.
    pub(crate) teacher_seconds: f64,
    /// Test images at most.
    pub(crate) test_images: Option<usize>,
    /// Why it cannot run, if it cannot.
    pub(crate) problem: Option<String>,
}

/// What `--only` selects.
#[derive(Debug)]
pub(crate) struct Selection {
    paper: Option<usize>,
    item: Option<String>,
}

impl Selection {
    /// Reads `PAPER` or `PAPER/ITEM`.
    ///
    /// # Errors
    /// A line listing the names there are.
    pub(crate) fn parse(only: Option<&str>, papers: &[Paper]) -> Result<Self> {
        let Some(only) = only else {
            return Ok(Self {
                paper: None,
                item: None,
            });
        };
        let (slug, item) = match only.split_once('/') {
            Some((slug, item)) => (slug, Some(item.to_string())),
            None => (only, None),
        };
        let Some(paper) = papers.iter().position(|paper| paper.slug == slug) else {
            let known: Vec<&str> = papers.iter().map(|paper| paper.slug.as_str()).collect();
            bail!(
                "--only: no paper is called \"{slug}\"; known: {}",
                known.join(", ")
            );
        };
        if let Some(item) = &item
            && !papers[paper].items().contains(&item.as_str())
        {
            let known = papers[paper].items().join(", ");
            bail!("--only: {slug} has no table or figure \"{item}\"; known: {known}");
        }
        Ok(Self {
            paper: Some(paper),
            item,
        })
    }

    /// Whether a paper is selected.
    pub(crate) fn has_paper(&self, paper: usize) -> bool {
        self.paper.is_none_or(|chosen| chosen == paper)
    }

    /// The single item selected, if one is.
    pub(crate) fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    fn runs(&self, paper: &Paper) -> HashSet<String> {
        let mut runs = match &self.item {
            Some(item) => paper.runs_of(item),
            None => paper.runs.iter().map(|run| run.id.clone()).collect(),
        };
        // Teachers come before those who learn from them, and may have teachers themselves.
        for run in paper.runs.iter().rev() {
            if let Some(teacher) = &run.teacher
                && runs.contains(&run.id)
            {
                runs.insert(teacher.run.clone());
            }
        }
        runs
    }
}

/// The runs that the selection needs under a profile.
///
/// # Errors
/// When a paper does not declare the profile.
pub(crate) fn plan(
    papers: &[Paper],
    selection: &Selection,
    args: &ReproduceArgs,
    data: &DataCache,
) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    for (index, paper) in papers
        .iter()
        .enumerate()
        .filter(|(i, _)| selection.has_paper(*i))
    {
        let scale = scale_of(paper, args)?;
        let wanted = selection.runs(paper);
        for decl in paper.runs.iter().filter(|run| wanted.contains(&run.id)) {
            let teacher = decl.teacher.as_ref().and_then(|teacher| {
                let mut own = jobs.iter().filter(|job| job.paper == index);
                own.find(|job| job.decl.id == teacher.run)
            });
            let job = job(index, decl, teacher, &scale, data);
            jobs.push(job.unwrap_or_else(|error| Job::broken(index, decl, &error)));
        }
    }
    Ok(jobs)
}

fn scale_of(paper: &Paper, args: &ReproduceArgs) -> Result<Scale> {
    let name = args.profile.name();
    let scale = paper.profiles.get(name);
    let mut scale = scale
        .copied()
        .with_context(|| format!("{}: no profile \"{name}\"", paper.slug))?;
    if let (Some(seconds), Some(factor)) = (&mut scale.seconds, args.time_factor) {
        *seconds *= factor;
    }
    if let Some(seeds) = args.seeds {
        scale.seeds = seeds;
    }
    Ok(scale)
}

impl Job {
    /// A run that cannot even be configured; its cells say why.
    fn broken(paper: usize, decl: &RunDecl, error: &anyhow::Error) -> Self {
        Self {
            paper,
            decl: decl.clone(),
            configs: Vec::new(),
            search: Vec::new(),
            epochs: decl.epochs.unwrap_or(0),
            full: false,
            shrunk: Vec::new(),
            of_images: None,
            network: None,
            teachers: Vec::new(),
            teacher_seconds: 0.0,
            test_images: None,
            problem: Some(hw_core::one_line(error.as_ref())),
        }
    }
}

fn job(
    paper: usize,
    decl: &RunDecl,
    teacher: Option<&Job>,
    scale: &Scale,
    data: &DataCache,
) -> Result<Job> {
    let missing = || format!("run {} is not complete", decl.id);
    let named = decl.dataset.clone().with_context(missing)?;
    let dataset = data.used(&named);
    let [train, test] = data
        .counts(&named)
        .with_context(|| format!("{named} is not to be had here"))?;
    let mut preprocess = decl
        .preprocess
        .clone()
        .unwrap_or_else(|| Value::Object(Default::default()));
    let (network, _) = network(decl, &dataset, &preprocess)?;
    let mut shrunk = Vec::new();
    if let Some(side) = scale.side
        && let Some(old) = scale::shrink_side(&mut preprocess, side)
    {
        shrunk.push(format!("{side}x{side} for {old}x{old}"));
    }
    let (smaller, own) = self::network(decl, &dataset, &preprocess)?;
    let base = TrainConfig {
        // The catalogue's own network needs no copy of its layers in every config file.
        spec: own.then(|| smaller.clone()),
        ..config(decl, dataset, preprocess, data.edition(&named))?
    };
    let images_of =
        |config: &TrainConfig| train - (train as f64 * config.val_fraction).round() as usize;
    let together = decl
        .teacher
        .as_ref()
        .is_some_and(|teacher| teacher.together);
    let each = teacher.and_then(seconds_to_ask).unwrap_or(0.0);
    let teacher_seconds = each * if together { scale.seeds as f64 } else { 1.0 };
    let fitted = scale::Wanted {
        config: base.clone(),
        network: &smaller,
        images: train,
        share: decl.share.unwrap_or(1.0),
        teacher_seconds,
    };
    let (fitted, words) = scale::fit(fitted, scale)?;
    shrunk.extend(words);
    // What comes back after a cycle is not asked about again.
    let asked = fitted.different_epochs() as f64 / fitted.epochs as f64;
    let teacher_seconds = teacher_seconds * asked;
    let of_images = fitted.limit.map(|_| images_of(&base));
    let test_images = scale.test_images.filter(|most| *most < test);
    if let Some(most) = test_images {
        let most = hw_report::format::count_with(most as u64, ",");
        shrunk.push(format!("{most} test images"));
    }
    let search = decl.tune.iter().flatten();
    let search = search.map(|&learning_rate| search_run(&fitted, learning_rate, scale, train));
    let mut configs: Vec<TrainConfig> = (1..=scale.seeds)
        .map(|seed| TrainConfig {
            seed,
            ..fitted.clone()
        })
        .collect();
    let teachers = teacher.map_or(Vec::new(), |job| job.configs.clone());
    if let Some(decl) = &decl.teacher {
        learn_from(&mut configs, &teachers, decl, data)?;
    }
    Ok(Job {
        paper,
        search: search.collect(),
        configs,
        teachers,
        teacher_seconds,
        epochs: fitted.epochs,
        full: fitted == base && test_images.is_none() && shrunk.is_empty(),
        decl: decl.clone(),
        shrunk,
        of_images,
        network: Some(network),
        test_images,
        problem: None,
    })
}

/// Seconds that the network of a job takes to answer an image.
fn seconds_to_ask(job: &Job) -> Option<f64> {
    let config = job.configs.first()?;
    let network = config.spec.as_ref().or(job.network.as_ref())?;
    // A step of training costs three passes.
    Some(scale::seconds_an_image(network, config.batch)? / 3.0)
}

impl Job {
    /// Who teaches the run of this seed.
    pub(crate) fn teachers_of(&self, seed: u64) -> impl Iterator<Item = &TrainConfig> {
        teachers_of(self.decl.teacher.as_ref(), &self.teachers, seed)
    }
}

fn teachers_of<'a>(
    decl: Option<&TeacherDecl>,
    teachers: &'a [TrainConfig],
    seed: u64,
) -> impl Iterator<Item = &'a TrainConfig> {
    let together = decl.is_some_and(|decl| decl.together);
    let all = teachers.iter();
    all.filter(move |teacher| together || teacher.seed == seed)
}

/// Names to each configuration the runs of its teachers.
fn learn_from(
    configs: &mut [TrainConfig],
    teachers: &[TrainConfig],
    decl: &TeacherDecl,
    data: &DataCache,
) -> Result<()> {
    let id = |teacher: &TrainConfig| -> Result<String> {
        let train = data.get(&teacher.dataset, Split::Train)?;
        let test = match teacher.probe {
            Some(_) => Some(data.get(&teacher.dataset, Split::Test)?),
            None => None,
        };
        Ok(Experiment::new(teacher.clone(), train, test)?.id().into())
    };
    for config in configs {
        let runs = teachers_of(Some(decl), teachers, config.seed).map(id);
        let runs = runs.collect::<Result<Vec<String>>>()?;
        if runs.is_empty() {
            bail!("its teacher {} cannot run", decl.run);
        }
        config.teacher = Some(Teacher {
            runs,
            weight: decl.weight,
            temperature: decl.temperature,
        });
        config.check()?;
    }
    Ok(())
}

/// One learning rate of a search: one seed, validated and never tested.
fn search_run(base: &TrainConfig, learning_rate: f32, scale: &Scale, images: usize) -> TrainConfig {
    let held_out = match scale.test_images {
        Some(most) => (most as f64 / images as f64).min(0.1),
        None => 0.1,
    };
    TrainConfig {
        learning_rate,
        seed: 1,
        val_fraction: if base.val_fraction > 0.0 {
            base.val_fraction
        } else {
            held_out
        },
        monitor: Monitor::ValAccuracy,
        epochs: scale.search_epochs.min(base.epochs),
        probe: None,
        ..base.clone()
    }
}

/// The network of a run, and whether it differs from the catalogue's own.
fn network(decl: &RunDecl, dataset: &DatasetId, preprocess: &Value) -> Result<(ModelSpec, bool)> {
    let preprocess: Preprocess =
        serde_json::from_value(preprocess.clone()).context("preprocess")?;
    let input = preprocess.output_shape([1, 28, 28])?;
    let classes = dataset
        .classes()
        .context("a folder has no fixed classes")?
        .len();
    let model = decl.model.as_deref().context("no model")?;
    let entry = hw_models::zoo::find(model)?;
    let spec = entry.spec_with(input, classes, &decl.options)?;
    spec.resolve()?;
    let own = !decl.options.is_empty();
    Ok((spec, own))
}

/// The configuration as the document has it.
fn config(
    decl: &RunDecl,
    dataset: DatasetId,
    preprocess: Value,
    edition: Option<hw_data::EmnistEdition>,
) -> Result<TrainConfig> {
    let missing = || format!("run {} is not complete", decl.id);
    let base = TrainConfig {
        model: decl.model.clone().with_context(missing)?,
        dataset,
        edition,
        learning_rate: decl.learning_rate.unwrap_or(f32::MIN_POSITIVE),
        batch: decl.batch.with_context(missing)?,
        epochs: decl.epochs.with_context(missing)?,
        val_fraction: decl.val_fraction.unwrap_or(0.0),
        early_stopping: decl.early_stopping,
        init: decl.init,
        probe: decl.probe,
        ..TrainConfig::default()
    };
    let Value::Object(mut fields) = serde_json::to_value(base)? else {
        bail!("a configuration is no object");
    };
    fields.insert(
        "optimizer".into(),
        decl.optimizer.clone().with_context(missing)?,
    );
    fields.insert("preprocess".into(), preprocess);
    fields.extend(decl.train.clone());
    let config: TrainConfig = serde_json::from_value(Value::Object(fields))?;
    if decl.tune.is_none() {
        config.check()?;
    }
    Ok(config)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::args::Profile;
    use hw_data::DataDirs;

    pub(in crate::reproduce) fn args(profile: Profile) -> ReproduceArgs {
        ReproduceArgs {
            profile,
            only: None,
            data: crate::args::DataChoice::Glyphs,
            data_dir: None,
            emnist: crate::args::Emnist::Auto,
            out: None,
            list: false,
            json: false,
            threads: None,
            workers: None,
            memory: None,
            stop_after: None,
            publish: None,
            time_factor: None,
            seeds: None,
        }
    }

    fn planned(profile: Profile, only: Option<&str>) -> Result<Vec<Job>> {
        let papers = super::super::paper::all()?;
        plan(
            &papers,
            &Selection::parse(only, &papers)?,
            &args(profile),
            &DataCache::new(DataDirs::default(), true),
        )
    }

    #[test]
    fn the_paper_profile_is_the_printed_protocol() {
        let jobs = planned(Profile::Paper, Some("simple-cnn-bn")).unwrap();
        let main = jobs.iter().find(|job| job.decl.id == "bn-cnn").unwrap();
        assert!(main.full && main.search.is_empty() && main.shrunk.is_empty());
        assert_eq!(main.configs.len(), 3);
        let config = &main.configs[0];
        assert_eq!((config.epochs, config.batch, config.limit), (20, 100, None));
        assert_eq!((config.learning_rate, config.val_fraction), (0.1, 0.0));
        assert_eq!(config.optimizer, "momentum".parse().unwrap());
    }

    #[test]
    fn every_run_of_every_paper_can_be_configured() {
        for job in planned(Profile::Paper, None).unwrap() {
            assert_eq!(job.problem, None, "{}", job.decl.id);
        }
    }

    #[test]
    fn learning_rates_are_searched_on_validation_only() {
        let jobs = planned(Profile::Quick, None).unwrap();
        for job in jobs.iter().filter(|job| job.decl.tune.is_some()) {
            assert!(!job.search.is_empty());
            assert!(
                job.search
                    .iter()
                    .all(|c| c.val_fraction > 0.0 && c.probe.is_none())
            );
        }
    }

    #[test]
    fn whatever_a_profile_makes_smaller_is_said() {
        let (quick, paper) = (planned(Profile::Quick, None), planned(Profile::Paper, None));
        for (quick, paper) in quick.unwrap().iter().zip(&paper.unwrap()) {
            let (Some(small), Some(large)) = (quick.configs.first(), paper.configs.first()) else {
                continue;
            };
            let said = quick.shrunk.join(", ");
            assert_eq!(small.limit.is_some(), quick.of_images.is_some());
            for (changed, word) in [
                (small.batch != large.batch, "batch "),
                (small.spec != large.spec, "width 1/"),
                (small.preprocess != large.preprocess, " for "),
            ] {
                assert!(!changed || said.contains(word), "{}: {said}", quick.decl.id);
            }
            assert!(!quick.full || small == large);
        }
    }

    #[test]
    fn only_selects_a_table_and_its_runs() {
        let jobs = planned(Profile::Quick, Some("simple-cnn-bn/table-init")).unwrap();
        let ids: Vec<&str> = jobs.iter().map(|job| job.decl.id.as_str()).collect();
        assert_eq!(ids, ["bn-cnn", "bn-cnn-he", "bn-cnn-xavier"]);
        for wrong in ["no-such-paper", "simple-cnn-bn/table-99"] {
            let message = planned(Profile::Quick, Some(wrong))
                .unwrap_err()
                .to_string();
            assert!(message.contains("known:"), "{message}");
        }
    }
}
