//! From a paper and a profile to configurations: which runs, on which data, at which scale.

use super::data::DataCache;
use super::error::ReproError;
use super::estimate::seconds_an_image;
use super::options::Options;
use super::paper::{Paper, RunDecl, Scale, TeacherDecl};
use super::scale;
use anyhow::{Context, Result, bail};
use hw_data::{DatasetId, Preprocess};
use hw_models::ModelSpec;
use hw_train::{Monitor, Teacher, TrainConfig};
use serde_json::Value;
use std::collections::HashSet;

/// The seed of every run of a learning-rate search; reported runs count from 1.
const SEARCH_SEED: u64 = 1001;
/// Share of the training set that a search holds out where the run itself holds out nothing.
const SEARCH_HELD_OUT: f64 = 0.1;

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
    /// What the profile made smaller beside images and epochs, in words.
    pub(crate) shrunk: Vec<String>,
    /// The number of training images, where this is a point of a learning curve and not the run itself.
    pub(crate) point: Option<usize>,
    /// Epochs that runs with early stopping usually take.
    pub(crate) usual_epochs: Option<usize>,
    /// The training images there are, where not all are used.
    pub(crate) of_images: Option<usize>,
    /// The network as the paper has it.
    pub(crate) network: Option<ModelSpec>,
    /// The same network for the images that it gets here, which may be smaller.
    pub(crate) used: Option<ModelSpec>,
    /// The configurations of the run that teaches; none without a teacher.
    pub(crate) teachers: Vec<TrainConfig>,
    /// Seconds that asking the teachers takes for an image on one core of the reference machine.
    pub(crate) teacher_seconds: f64,
    /// Test images at most.
    pub(crate) test_images: Option<usize>,
    /// Test images, those of variants included, for the estimate of the time.
    pub(crate) tested: usize,
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
            let known = known.join(", ");
            bail!(ReproError::Usage(format!(
                "--only: no paper is called \"{slug}\"; known: {known}"
            )));
        };
        if let Some(item) = &item
            && !papers[paper].items().contains(&item.as_str())
        {
            let known = papers[paper].items().join(", ");
            bail!(ReproError::Usage(format!(
                "--only: {slug} has no table or figure \"{item}\"; known: {known}"
            )));
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
    options: &Options,
    data: &DataCache,
) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    for (index, paper) in papers
        .iter()
        .enumerate()
        .filter(|(i, _)| selection.has_paper(*i))
    {
        let scale = scale_of(paper, options)?;
        let wanted = selection.runs(paper);
        let first = jobs.len();
        let runs = paper.runs.iter().filter(|run| wanted.contains(&run.id));
        for decl in runs {
            let teacher = decl.teacher.as_ref().and_then(|teacher| {
                let mut own = jobs[first..].iter();
                own.find(|job| job.decl.id == teacher.run)
            });
            let planner = Planner {
                paper: index,
                variants: paper.variants_of(&decl.id).len(),
                decl,
                scale: &scale,
                data,
                point: None,
            };
            let job = planner.job(teacher);
            jobs.push(job.unwrap_or_else(|error| Job::broken(index, decl, &error)));
        }
        let points = points(paper, &jobs[first..], &scale, data);
        jobs.extend(points);
    }
    Ok(jobs)
}

/// The runs behind claims once more with fewer images: a learning curve. A run without a validation
/// set has no plateau to compare at; one with a search or a teacher would have to repeat it.
fn points(paper: &Paper, jobs: &[Job], scale: &Scale, data: &DataCache) -> Vec<Job> {
    let claimed: HashSet<&str> = paper
        .claims
        .iter()
        .flat_map(|claim| &claim.parts)
        .flat_map(|part| part.check.terms())
        .map(|term| term.run.as_str())
        .collect();
    let mut points = Vec::new();
    for &size in &scale.smaller {
        let fits = |job: &&Job| {
            let config = job.configs.first();
            claimed.contains(job.decl.id.as_str())
                && job.search.is_empty()
                && job.teachers.is_empty()
                && config.is_some_and(|c| c.val_fraction > 0.0 && c.limit.is_none_or(|l| l > size))
        };
        for job in jobs.iter().filter(fits) {
            let planner = Planner {
                paper: job.paper,
                variants: paper.variants_of(&job.decl.id).len(),
                decl: &job.decl,
                scale,
                data,
                point: Some(size),
            };
            points.extend(planner.job(None));
        }
    }
    points
}

fn scale_of(paper: &Paper, options: &Options) -> Result<Scale> {
    let name = options.profile().name();
    let scale = paper.profiles.get(name).cloned();
    let mut scale = scale.with_context(|| {
        let known: Vec<&str> = paper.profiles.keys().map(String::as_str).collect();
        let (slug, known) = (&paper.slug, known.join(", "));
        format!("{slug}: it has no profile \"{name}\"; it has {known}")
    })?;
    if let Some(seeds) = options.seeds {
        scale.seeds = seeds;
        for exception in scale.runs.values_mut() {
            exception.seeds = None;
        }
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
            point: None,
            usual_epochs: None,
            tested: 0,
            of_images: None,
            network: None,
            used: None,
            teachers: Vec::new(),
            teacher_seconds: 0.0,
            test_images: None,
            problem: Some(hw_core::one_line(error.as_ref())),
        }
    }
}

/// What a job is made of.
struct Planner<'a> {
    paper: usize,
    decl: &'a RunDecl,
    /// Variants that it is tested on.
    variants: usize,
    scale: &'a Scale,
    data: &'a DataCache,
    point: Option<usize>,
}

impl Planner<'_> {
    fn job(&self, teacher: Option<&Job>) -> Result<Job> {
        let Self {
            decl, scale, data, ..
        } = *self;
        let missing = || format!("run {} is not complete", decl.id);
        let named = decl.dataset.clone().with_context(missing)?;
        let dataset = data.used(&named);
        let [train, test] = data
            .counts(&named)
            .with_context(|| format!("{named} is not to be had here"))?;
        let exception = scale.runs.get(&decl.id);
        let mut preprocess = decl
            .preprocess
            .clone()
            .unwrap_or_else(|| Value::Object(Default::default()));
        let (network, own) = self::network(decl, &dataset, &preprocess)?;
        let mut shrunk = Vec::new();
        if let Some(side) = &scale.side
            && let Some(old) = scale::shrink_side(&mut preprocess, side.most)
        {
            let most = side.most;
            shrunk.push(format!("{most}x{most} for {old}x{old}"));
        }
        let (used, _) = self::network(decl, &dataset, &preprocess)?;
        let base = TrainConfig {
            // The catalog's own network needs no copy of its layers in every config file.
            spec: own.then(|| used.clone()),
            ..config(decl, dataset, preprocess, data.edition(&named))?
        };
        let fitted = scale::fit(base.clone(), train, scale, exception, self.point);
        let whole = exception.is_some_and(|exception| exception.whole);
        let most = exception.and_then(|exception| exception.test_images);
        let most = most.or(scale.test_images);
        let test_images = most.filter(|most| *most < test && !whole);
        if let Some(most) = test_images {
            let most = hw_report::format::count_with(most as u64, ",");
            shrunk.push(format!("{most} test images"));
        }
        let search = decl.tune.iter().flatten();
        let search = search.map(|&learning_rate| search_run(&fitted, learning_rate));
        let seeds = exception.and_then(|exception| exception.seeds);
        // A point of a learning curve shows a trend; the run itself decides.
        let seeds = if self.point.is_some() {
            1
        } else {
            seeds.unwrap_or(scale.seeds)
        };
        let mut configs: Vec<TrainConfig> = (1..=seeds)
            .map(|seed| TrainConfig {
                seed,
                ..fitted.clone()
            })
            .collect();
        let teachers = teacher.map_or(Vec::new(), |job| job.configs.clone());
        if let Some(decl) = &decl.teacher {
            learn_from(&mut configs, &teachers, decl, data)?;
        }
        let full = fitted == base && test_images.is_none() && shrunk.is_empty();
        Ok(Job {
            paper: self.paper,
            search: search.collect(),
            teacher_seconds: teacher_seconds(decl, teacher, &fitted, seeds),
            configs,
            teachers,
            epochs: fitted.epochs,
            full,
            decl: decl.clone(),
            shrunk,
            point: self.point,
            usual_epochs: scale.plateau.map(|plateau| plateau.usual_epochs),
            of_images: fitted.limit.map(|_| scale::training_images(&base, train)),
            network: Some(network),
            used: Some(used),
            test_images,
            tested: test_images.unwrap_or(test) * (1 + self.variants),
            problem: None,
        })
    }
}

/// Seconds that asking the teachers takes for an image of the run.
fn teacher_seconds(decl: &RunDecl, teacher: Option<&Job>, fitted: &TrainConfig, seeds: u64) -> f64 {
    let each = teacher.and_then(seconds_to_ask).unwrap_or(0.0);
    let together = decl
        .teacher
        .as_ref()
        .is_some_and(|teacher| teacher.together);
    let all = each * if together { seeds as f64 } else { 1.0 };
    // What comes back after a cycle is not asked about again.
    all * fitted.different_epochs() as f64 / fitted.epochs as f64
}

/// Seconds that the network of a job takes to answer an image.
fn seconds_to_ask(job: &Job) -> Option<f64> {
    let config = job.configs.first()?;
    let network = job.used.as_ref()?;
    // A step of training costs three passes.
    Some(seconds_an_image(network, config.batch)? / 3.0)
}

impl Job {
    /// Epochs that a run of it is likely to take.
    pub(crate) fn usual_epochs(&self, config: &TrainConfig) -> usize {
        match (config.early_stopping, self.usual_epochs) {
            (Some(_), Some(usual)) => usual.min(config.epochs),
            _ => config.epochs,
        }
    }

    /// The run's name, with its number of images where it is a point of a learning curve.
    pub(crate) fn name(&self) -> String {
        match self.point {
            Some(images) => format!("{} at {images}", self.decl.id),
            None => self.decl.id.clone(),
        }
    }

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
    for config in configs {
        let runs = teachers_of(Some(decl), teachers, config.seed);
        let runs = runs.map(|teacher| data.run_id(teacher));
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

/// One learning rate of a search: as long as the run itself, with a seed that no reported run has,
/// validated and never tested.
pub(crate) fn search_run(base: &TrainConfig, learning_rate: f32) -> TrainConfig {
    TrainConfig {
        learning_rate,
        seed: SEARCH_SEED,
        val_fraction: if base.val_fraction > 0.0 {
            base.val_fraction
        } else {
            SEARCH_HELD_OUT
        },
        monitor: Monitor::ValAccuracy,
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
    spec.lower()?;
    let own = !decl.options.is_empty();
    Ok((spec, own))
}

/// The configuration as the paper has it.
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
        device: decl.device.unwrap_or_default(),
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
pub(crate) mod tests {
    use super::*;
    use crate::options::Profile;
    use hw_data::DataDirs;

    pub(crate) fn options(profile: Profile) -> Options {
        Options {
            profile: Some(profile),
            data: crate::options::DataChoice::Glyphs,
            ..Options::default()
        }
    }

    fn planned(profile: Profile, only: Option<&str>) -> Result<Vec<Job>> {
        let papers = crate::paper::builtin();
        plan(
            &papers,
            &Selection::parse(only, &papers)?,
            &options(profile),
            &DataCache::new(DataDirs::default(), true),
        )
    }

    #[test]
    fn the_paper_profile_is_the_reported_protocol() {
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
    fn a_run_and_those_like_it_name_their_device_and_all_others_are_configured_as_before() {
        let template = include_str!("../papers/template.toml");
        let with = |line: &str| {
            let text = template.replacen("# device = \"cuda\"", line, 1);
            assert_ne!(text, template);
            Paper::parse(&text)
        };
        let devices = |paper: Paper| -> Vec<String> {
            let papers = [paper];
            let all = Selection::parse(None, &papers).unwrap();
            let data = DataCache::new(DataDirs::default(), true);
            let jobs = plan(&papers, &all, &options(Profile::Smoke), &data).unwrap();
            let configs = jobs.iter().flat_map(|job| &job.configs);
            let written = configs.map(|config| serde_json::to_value(config).unwrap());
            written.map(|config| config["device"].to_string()).collect()
        };
        assert_eq!(
            devices(with("device = \"metal\"").unwrap()),
            ["\"metal\""; 2]
        );
        assert_eq!(devices(Paper::parse(template).unwrap()), ["null"; 2]);
        let problem = format!("{:#}", with("device = \"gpu\"").unwrap_err());
        assert!(problem.contains("unknown device 'gpu'"), "{problem}");
    }

    #[test]
    fn every_run_of_every_paper_can_be_configured() {
        for job in planned(Profile::Paper, None).unwrap() {
            assert_eq!(job.problem, None, "{}", job.decl.id);
        }
    }

    #[test]
    fn learning_rates_are_searched_on_validation_only_at_full_length_with_a_seed_of_their_own() {
        for profile in [Profile::Quick, Profile::Cpu, Profile::Paper] {
            for job in planned(profile, None).unwrap() {
                assert_eq!(
                    job.search.is_empty(),
                    job.decl.tune.is_none() || job.point.is_some()
                );
                for search in &job.search {
                    assert!(search.val_fraction > 0.0 && search.probe.is_none());
                    assert_eq!(search.epochs, job.configs[0].epochs);
                    assert!(job.configs.iter().all(|run| run.seed != search.seed));
                }
            }
        }
    }

    #[test]
    fn no_profile_changes_what_is_compared() {
        let paper = planned(Profile::Paper, None).unwrap();
        for profile in [Profile::Smoke, Profile::Quick, Profile::Cpu, Profile::Sixth] {
            for job in planned(profile, None).unwrap() {
                let own = paper
                    .iter()
                    .find(|p| p.paper == job.paper && p.decl.id == job.decl.id);
                let (Some(small), Some(large)) =
                    (job.configs.first(), own.unwrap().configs.first())
                else {
                    continue;
                };
                let name = format!("{} {}", profile.name(), job.name());
                assert_eq!(small.batch, large.batch, "{name}");
                assert_eq!(small.learning_rate, large.learning_rate, "{name}");
                assert_eq!(small.optimizer, large.optimizer, "{name}");
                assert_eq!(small.model, large.model, "{name}");
                let layers = |c: &TrainConfig| c.spec.as_ref().map(|spec| spec.layers.clone());
                assert_eq!(layers(small), layers(large), "{name}");
                let side = small.preprocess != large.preprocess;
                assert_eq!(
                    side,
                    job.shrunk.iter().any(|word| word.contains("x32 for ")),
                    "{name}"
                );
                assert_eq!(small.limit.is_some(), job.of_images.is_some(), "{name}");
                assert!(!job.full || small == large, "{name}");
            }
        }
    }

    #[test]
    fn a_learning_curve_has_points_for_the_runs_behind_claims_only() {
        let jobs = planned(Profile::Cpu, Some("emnist-ablation")).unwrap();
        let points: Vec<&Job> = jobs.iter().filter(|job| job.point.is_some()).collect();
        let has = |id: &str| points.iter().any(|job| job.decl.id == id);
        assert!(has("residual") && has("lenet5"), "{}", points.len());
        for point in points {
            let whole = jobs.iter().find(|j| j.decl.id == point.decl.id).unwrap();
            let [small, large] = [&point.configs[0], &whole.configs[0]];
            assert!(
                small.limit < large.limit || large.limit.is_none(),
                "{}",
                point.name()
            );
            assert_eq!(point.configs.len(), 1);
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
