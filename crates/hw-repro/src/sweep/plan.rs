//! A sweep file, checked: which configurations are tried, for how long, and by what they are judged.

use super::axis::{Axis, axes};
use super::words::{self, Fields, advise, canonical, plain};
use crate::error::ReproError;
use crate::toml_error::at_line;
use hw_train::{Monitor, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// More trials than anybody would wait for are a mistake in the file.
const MOST_TRIALS: usize = 10_000;
/// Draws for each trial before a search space counts as too small.
const DRAWS: usize = 100;
/// The share of trials that goes on from a rung, unless the file says otherwise: one in so many.
const ETA: usize = 3;
/// Options that decide on which images a trial is scored; scores on different images do not compare.
const HELD_OUT: [&str; 5] = [
    "dataset",
    "edition",
    "val_fraction",
    "val_limit",
    "stratified",
];

/// A sweep that can run: every configuration is whole and sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sweep {
    /// Its name, part of its folder's.
    pub(crate) name: String,
    /// How trials are made, in words.
    pub(crate) method: String,
    /// What varies.
    pub(crate) axes: Vec<Axis>,
    /// What is tried.
    pub(crate) trials: Vec<Trial>,
    /// How long, and how many go on; the last rung is the whole length.
    pub(crate) rungs: Vec<Rung>,
    /// The seeds of each trial.
    pub(crate) seeds: Vec<u64>,
    /// The score that decides.
    pub(crate) select: Select,
    /// The seeds of the winner on the test set.
    pub(crate) final_seeds: Vec<u64>,
}

/// One point of the search space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    /// Its value on each axis.
    pub(crate) settings: Vec<(String, Value)>,
    /// Everything, at its whole length; each run puts its own seed and epochs in.
    pub(crate) config: TrainConfig,
}

/// A stage of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Rung {
    /// Epochs of each run.
    pub(crate) epochs: usize,
    /// Trials that take part at most.
    pub(crate) trials: usize,
}

/// What is known of a data set before it is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Channels, height, width.
    pub(crate) images: [usize; 3],
    pub(crate) classes: usize,
}

/// A validation score that can decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Select {
    /// The share of correct answers.
    #[default]
    ValAccuracy,
    /// The mean cross-entropy.
    ValLoss,
}

impl Select {
    /// Its name in a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ValAccuracy => "validation accuracy",
            Self::ValLoss => "validation loss",
        }
    }

    fn monitor(self) -> Monitor {
        match self {
            Self::ValAccuracy => Monitor::ValAccuracy,
            Self::ValLoss => Monitor::ValLoss,
        }
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    train: Fields,
    vary: Fields,
    #[serde(default)]
    search: Search,
    #[serde(default, rename = "final")]
    last: Final,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Search {
    method: Method,
    trials: Option<usize>,
    seed: Option<u64>,
    eta: Option<usize>,
    start_epochs: Option<usize>,
    seeds: Vec<u64>,
    select: Select,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            method: Method::Grid,
            trials: None,
            seed: None,
            eta: None,
            start_epochs: None,
            seeds: vec![1],
            select: Select::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Grid,
    Random,
    Halving,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Final {
    seeds: Vec<u64>,
}

impl Default for Final {
    fn default() -> Self {
        Self {
            seeds: vec![1, 2, 3],
        }
    }
}

impl Sweep {
    /// Reads and checks a sweep file; `shape` says what the images of a configuration's data set are.
    ///
    /// # Errors
    /// One line that names the file and what is wrong in it.
    pub(crate) fn open(
        path: &Path,
        shape: &dyn Fn(&TrainConfig) -> anyhow::Result<Shape>,
    ) -> Result<Self, ReproError> {
        let text = std::fs::read_to_string(path).map_err(|error| ReproError::File {
            path: path.into(),
            problem: error.to_string(),
        })?;
        Self::parse(&text, shape).map_err(|problem| ReproError::Sweep {
            file: path.display().to_string(),
            problem,
        })
    }

    /// Checks the text of a sweep file.
    ///
    /// # Errors
    /// What is wrong, where.
    pub(crate) fn parse(
        text: &str,
        shape: &dyn Fn(&TrainConfig) -> anyhow::Result<Shape>,
    ) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| problem(text, &error))?;
        check_name(&file.name)?;
        let axes = axes(&file.vary).map_err(|problem| format!("[vary] {problem}"))?;
        check_axes(&axes, &file.search)?;
        check_seeds("[search]", &file.search.seeds)?;
        check_seeds("[final]", &file.last.seeds)?;
        let base = Base::of(&file, &axes)?;
        let points = points(&axes, &file.search)?;
        let trials = points.into_iter().enumerate().map(|(index, settings)| {
            let wrong = |problem| format!("trial {} ({}): {problem}", index + 1, label(&settings));
            let config = base.config(&settings).map_err(wrong)?;
            check(&config, shape).map_err(wrong)?;
            Ok(Trial { config, settings })
        });
        let trials = trials.collect::<Result<Vec<Trial>, String>>()?;
        let rungs = rungs(&file.search, &trials)?;
        Ok(Self {
            method: method(&file.search, trials.len()),
            name: file.name,
            axes,
            trials,
            rungs,
            seeds: file.search.seeds,
            select: file.search.select,
            final_seeds: file.last.seeds,
        })
    }

    /// The configuration of a trial's run in a rung.
    pub(crate) fn config(&self, trial: usize, rung: usize, seed: u64) -> TrainConfig {
        TrainConfig {
            epochs: self.rungs[rung].epochs,
            seed,
            ..self.trials[trial].config.clone()
        }
    }

    /// The configuration of a trial's run on the test set.
    pub(crate) fn final_config(&self, trial: usize, seed: u64) -> TrainConfig {
        self.config(trial, self.rungs.len() - 1, seed)
    }

    /// Runs of each rung at most, all seeds counted.
    pub(crate) fn runs_of(&self, rung: usize) -> usize {
        self.rungs[rung].trials * self.seeds.len()
    }
}

/// The settings of a trial in a line.
pub(crate) fn label(settings: &[(String, Value)]) -> String {
    let words = settings
        .iter()
        .map(|(name, value)| format!("{name}={}", plain(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// What is wrong in the file.
fn problem(text: &str, error: &toml::de::Error) -> String {
    at_line(text, error, &advise(error.message()).replace('\n', " "))
}

fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fine) {
        return Err(format!(
            "name = \"{name}\" is to be a folder's name: letters, digits, \"-\", \"_\" and \".\""
        ));
    }
    Ok(())
}

fn check_axes(axes: &[Axis], search: &Search) -> Result<(), String> {
    if axes.is_empty() {
        return Err("[vary] is empty: nothing is to be tried".into());
    }
    for Axis { name, .. } in axes {
        let top = name.split('.').next().unwrap_or_default();
        if HELD_OUT.contains(&top) {
            return Err(format!(
                "[vary] {name}: it decides which images are held out, and scores on different images do \
                 not compare; put it under [train]"
            ));
        }
        if name == "epochs" && search.method == Method::Halving {
            return Err("[vary] epochs: method = \"halving\" decides how long a trial runs".into());
        }
    }
    Ok(())
}

fn check_seeds(table: &str, seeds: &[u64]) -> Result<(), String> {
    if seeds.is_empty() {
        return Err(format!(
            "{table} seeds = [] leaves nothing to run; write seeds = [1]"
        ));
    }
    for (index, seed) in seeds.iter().enumerate() {
        if seeds[..index].contains(seed) {
            return Err(format!("{table} seeds: {seed} stands there twice"));
        }
    }
    Ok(())
}

/// What all trials have in common.
struct Base {
    /// The fixed options, those with plain names first: `optimizer` before `optimizer.momentum`.
    fixed: Vec<(String, Value)>,
    select: Select,
}

impl Base {
    fn of(file: &File, axes: &[Axis]) -> Result<Self, String> {
        let mut fixed = Vec::new();
        flatten("", &file.train, &mut fixed);
        for (name, _) in &fixed {
            if axes.iter().any(|axis| axis.name == *name) {
                return Err(format!(
                    "[train] {name}: it is under [vary], too; remove one"
                ));
            }
        }
        // Alone, so that the error is not about a trial; what belongs to a varied option is checked there.
        let inside = |name: &str, axis: &Axis| name.starts_with(&format!("{}.", axis.name));
        let mut fields = words::defaults();
        for (name, value) in in_order(&fixed) {
            if axes.iter().any(|axis| inside(name, axis)) {
                continue;
            }
            let wrong = |problem| format!("[train] {name}: {problem}");
            words::set(&mut fields, name, value).map_err(wrong)?;
            words::config(&fields).map_err(wrong)?;
        }
        Ok(Self {
            fixed,
            select: file.search.select,
        })
    }

    /// The configuration of these settings.
    fn config(&self, settings: &[(String, Value)]) -> Result<TrainConfig, String> {
        let mut fields = words::defaults();
        let all: Vec<(String, Value)> = self.fixed.iter().chain(settings).cloned().collect();
        for (name, value) in in_order(&all) {
            let wrong = |problem| format!("{name}: {problem}");
            words::set(&mut fields, name, value).map_err(wrong)?;
            words::config(&fields).map_err(wrong)?;
        }
        let mut config = words::config(&fields)?;
        let given = |field: &str| all.iter().any(|(name, _)| name == field);
        if given("optimizer") && !given("learning_rate") {
            config.learning_rate = config.optimizer.default_learning_rate();
        }
        if !given("monitor") {
            config.monitor = self.select.monitor();
        }
        if given("seed") {
            return Err("seed: the seeds of trials are [search] seeds = [...]".into());
        }
        Ok(config)
    }
}

/// The options of a table by their dotted names; a table with a name is one value.
fn flatten(prefix: &str, table: &Fields, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let name = canonical(&format!("{prefix}{name}"));
        match value {
            Value::Object(inner) if !inner.contains_key("name") => {
                flatten(&format!("{name}."), inner, into);
            }
            value => into.push((name, value.clone())),
        }
    }
}

/// Settings with plain names before those inside of them.
fn in_order(settings: &[(String, Value)]) -> impl Iterator<Item = (&str, &Value)> {
    let depth = |name: &str| name.matches('.').count();
    let mut ordered: Vec<(&str, &Value)> = settings.iter().map(|(n, v)| (n.as_str(), v)).collect();
    ordered.sort_by_key(|(name, _)| depth(name));
    ordered.into_iter()
}

/// Refuses a configuration that could not run, or that would be judged by anything but validation.
fn check(
    config: &TrainConfig,
    shape: &dyn Fn(&TrainConfig) -> anyhow::Result<Shape>,
) -> Result<(), String> {
    let in_words = |error: &(dyn std::error::Error + 'static)| hw_core::one_line(error);
    config.check().map_err(|error| in_words(&error))?;
    if config.val_fraction == 0.0 {
        return Err(
            "val_fraction is 0, but trials are chosen by validation; hold out 0.1, say".into(),
        );
    }
    if config.probe.is_some() {
        return Err(
            "probe scores test images after each epoch; a sweep scores them once, at its end"
                .into(),
        );
    }
    if config.teacher.is_some() {
        return Err("teacher: a sweep's runs learn from labels alone".into());
    }
    let Shape { images, classes } = shape(config).map_err(|error| in_words(error.as_ref()))?;
    let input = config.preprocess.output_shape(images);
    let input = input.map_err(|error| in_words(&error))?;
    let spec = config.model_spec(input, classes);
    spec.map(|_| ()).map_err(|error| in_words(&error))
}

/// The settings of every trial.
fn points(axes: &[Axis], search: &Search) -> Result<Vec<Vec<(String, Value)>>, String> {
    let random = search.method == Method::Random;
    match (search.method, search.trials) {
        (Method::Grid, Some(_)) => {
            Err("[search] trials: a grid tries every combination; write method = \"random\"".into())
        }
        (Method::Grid | Method::Halving, None) => grid(axes),
        (_, None) if random => Err("[search] method = \"random\" needs trials = 20, say".into()),
        (_, trials) => draw(axes, trials.unwrap_or(0), search.seed.unwrap_or(1)),
    }
}

/// Every combination, the last axis changing fastest.
fn grid(axes: &[Axis]) -> Result<Vec<Vec<(String, Value)>>, String> {
    let mut points = vec![Vec::new()];
    for axis in axes {
        let values = axis.grid().map_err(|problem| format!("[vary] {problem}"))?;
        if points.len() * values.len() > MOST_TRIALS {
            return Err(format!(
                "[vary] makes a grid of more than {MOST_TRIALS} trials"
            ));
        }
        let longer = points.iter().flat_map(|point| {
            values.iter().map(move |value| {
                let mut point = point.clone();
                point.push((axis.name.clone(), value.clone()));
                point
            })
        });
        points = longer.collect();
    }
    Ok(points)
}

/// So many different combinations drawn at random (Bergstra & Bengio 2012).
fn draw(axes: &[Axis], trials: usize, seed: u64) -> Result<Vec<Vec<(String, Value)>>, String> {
    if !(2..=MOST_TRIALS).contains(&trials) {
        return Err(format!(
            "[search] trials is {trials}, expected 2 to {MOST_TRIALS}"
        ));
    }
    let counts: Option<Vec<usize>> = axes.iter().map(Axis::count).collect();
    let all = counts.map(|counts| counts.into_iter().fold(1, usize::saturating_mul));
    if let Some(all) = all.filter(|all| *all < trials) {
        return Err(format!(
            "[search] trials is {trials}, but there are only {all} combinations; try them all with \
             method = \"grid\""
        ));
    }
    let mut points: Vec<Vec<(String, Value)>> = Vec::new();
    for number in 0..trials * DRAWS {
        let value = |axis: &Axis| (axis.name.clone(), axis.draw(seed, number as u64));
        let point: Vec<(String, Value)> = axes.iter().map(value).collect();
        if !points.contains(&point) {
            points.push(point);
        }
        if points.len() == trials {
            return Ok(points);
        }
    }
    Err(format!(
        "[search] trials is {trials}, but so many different combinations were not found; try fewer"
    ))
}

/// One rung of the whole length; for successive halving (Jamieson & Talwalkar 2016), rungs that each
/// take `eta` times as long as the one before and let one trial in `eta` go on.
fn rungs(search: &Search, trials: &[Trial]) -> Result<Vec<Rung>, String> {
    let whole = Rung {
        epochs: trials[0].config.epochs,
        trials: trials.len(),
    };
    if search.method != Method::Halving {
        for (name, given) in [("eta", search.eta), ("start_epochs", search.start_epochs)] {
            if given.is_some() {
                return Err(format!("[search] {name} belongs to method = \"halving\""));
            }
        }
        return Ok(vec![whole]);
    }
    let eta = search.eta.unwrap_or(ETA);
    if eta < 2 {
        return Err(format!("[search] eta is {eta}, expected at least 2"));
    }
    let start = search.start_epochs.unwrap_or(1);
    if start == 0 || start >= whole.epochs {
        return Err(format!(
            "[search] start_epochs is {start}, expected at least 1 and below the {} epochs of a whole run",
            whole.epochs
        ));
    }
    let mut rungs = vec![Rung {
        epochs: start,
        trials: trials.len(),
    }];
    while let Some(last) = rungs
        .last()
        .copied()
        .filter(|last| last.epochs < whole.epochs)
    {
        rungs.push(Rung {
            epochs: last.epochs.saturating_mul(eta).min(whole.epochs),
            trials: (last.trials / eta).max(1),
        });
    }
    Ok(rungs)
}

fn method(search: &Search, trials: usize) -> String {
    let seed = search.seed.unwrap_or(1);
    let drawn = match search.trials {
        Some(_) => format!("{trials} combinations drawn at random, seed {seed}"),
        None => format!("all {trials} combinations"),
    };
    match search.method {
        Method::Grid | Method::Random => drawn,
        Method::Halving => format!(
            "{drawn}, by successive halving: the best of each {} go on",
            search.eta.unwrap_or(ETA)
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three rates by two optimizers; `{}` in the search table.
    const FILE: &str = r#"
        name = "small"
        [train]
        model = "lenet5"
        dataset = "glyphs:digits"
        epochs = 9
        [vary]
        learning_rate = { from = 1e-3, to = 1e-1, scale = "log", count = 3 }
        optimizer = ["adam", "sgd"]
        [search]
        {}
    "#;

    pub(crate) fn digits(_: &TrainConfig) -> anyhow::Result<Shape> {
        Ok(Shape {
            images: [1, 28, 28],
            classes: 10,
        })
    }

    pub(crate) fn parse(search: &str) -> Result<Sweep, String> {
        Sweep::parse(&FILE.replace("{}", search), &digits)
    }

    #[test]
    fn a_grid_is_every_combination_of_whole_configurations() {
        let sweep = parse("").unwrap();
        let labels: Vec<String> = sweep.trials.iter().map(|t| label(&t.settings)).collect();
        assert_eq!(labels.len(), 6);
        assert_eq!(labels[0], "learning_rate=0.001 optimizer=adam");
        assert_eq!(labels[5], "learning_rate=0.1 optimizer=sgd");
        let config = &sweep.trials[5].config;
        assert_eq!(
            (config.optimizer.name(), config.learning_rate),
            ("sgd", 0.1)
        );
        assert_eq!(config.monitor, Monitor::ValAccuracy, "as it selects");
        assert_eq!(
            sweep.rungs,
            [Rung {
                epochs: 9,
                trials: 6
            }]
        );
        assert_eq!(
            (sweep.seeds.as_slice(), sweep.final_seeds.as_slice()),
            (&[1][..], &[1, 2, 3][..])
        );
        let run = sweep.config(5, 0, 7);
        assert_eq!((run.seed, run.epochs), (7, 9));
    }

    #[test]
    fn the_learning_rate_follows_the_optimizer_where_nobody_says_it() {
        let text = r#"
            name = "rules"
            [train]
            model = "lenet5"
            [vary]
            optimizer = ["adam", "sgd"]
        "#;
        let sweep = Sweep::parse(text, &digits).unwrap();
        let rates: Vec<f32> = sweep
            .trials
            .iter()
            .map(|t| t.config.learning_rate)
            .collect();
        assert_eq!(rates, [0.001, 0.1]);
    }

    #[test]
    fn what_belongs_to_a_varied_option_is_set_after_it() {
        let text = r#"
            name = "momenta"
            [train]
            model = "residual"
            optimizer.momentum = 0.5
            model_options = { units = 4 }
            early_stopping.patience = 2
            [vary]
            optimizer = ["momentum", "nesterov"]
        "#;
        let sweep = Sweep::parse(text, &digits).unwrap();
        let config = &sweep.trials[1].config;
        let expected: hw_train::Optimizer = "nesterov:momentum=0.5".parse().unwrap();
        assert_eq!(config.optimizer, expected);
        assert_eq!(config.model_options["units"], "4");
        assert_eq!(config.early_stopping.unwrap().patience, 2);
    }

    #[test]
    fn draws_are_different_and_those_of_the_seed() {
        let [first, again, other] = [4, 4, 5].map(|seed| {
            let search = format!("method = \"random\"\ntrials = 5\nseed = {seed}");
            parse(&search).unwrap().trials
        });
        assert_eq!(first, again);
        assert_ne!(first, other);
        let distinct = (1..5).all(|i| !first[..i].contains(&first[i]));
        assert!(distinct && first.len() == 5);
    }

    #[test]
    fn rungs_grow_to_the_whole_length_while_trials_become_few() {
        let sweep = parse("method = \"halving\"\nstart_epochs = 1\neta = 3").unwrap();
        let rungs: Vec<(usize, usize)> = sweep.rungs.iter().map(|r| (r.epochs, r.trials)).collect();
        assert_eq!(rungs, [(1, 6), (3, 2), (9, 1)]);
        let sweep = parse("method = \"halving\"\nstart_epochs = 4\neta = 2\ntrials = 5").unwrap();
        let rungs: Vec<(usize, usize)> = sweep.rungs.iter().map(|r| (r.epochs, r.trials)).collect();
        assert_eq!(
            rungs,
            [(4, 5), (8, 2), (9, 1)],
            "the last is no longer than a whole run"
        );
    }

    #[test]
    fn what_cannot_run_is_refused_before_anything_runs() {
        let wrong = |from: &str, to: &str| {
            let text = FILE.replace("{}", "").replacen(from, to, 1);
            assert!(text.contains(to), "{to}");
            Sweep::parse(&text, &digits).unwrap_err()
        };
        for (from, to, needles) in [
            ("model =", "modle =", &["[train]", "\"model\""][..]),
            ("epochs = 9", "epochs = 0", &["trial 1", "epochs"]),
            ("epochs = 9", "val_fraction = 0", &["val_fraction", "0.1"]),
            ("epochs = 9", "probe = 10", &["probe", "once"]),
            ("epochs = 9", "seed = 3", &["[search] seeds"]),
            (
                "epochs = 9",
                "optimizer.momentum = 0.5",
                &["adam", "momentum"],
            ),
            ("epochs = 9", "lr = 0.5", &["learning_rate", "[vary]"]),
            ("\"lenet5\"", "\"lenet6\"", &["trial 1", "lenet"]),
            (
                "[\"adam\", \"sgd\"]",
                "[\"adam\", \"sdg\"]",
                &["trial 2", "sdg"],
            ),
            ("optimizer = [", "batch = [0, ", &["batch"]),
            ("optimizer =", "optimiser =", &["trial 1", "\"optimizer\""]),
            (
                "optimizer = [\"adam\", \"sgd\"]",
                "val_fraction = [0.1, 0.2]",
                &["held out"],
            ),
            (
                "optimizer = [\"adam\", \"sgd\"]",
                "dataset = [\"mnist\"]",
                &["held out"],
            ),
            ("[search]", "[serch]", &["\"search\""]),
            (
                "[search]",
                "[final]\nseeds = []\n[search]",
                &["[final]", "seeds"],
            ),
            ("name = \"small\"", "name = \"../x\"", &["folder"]),
            ("name = \"small\"", "", &["name"]),
        ] {
            let problem = wrong(from, to);
            for needle in needles {
                assert!(problem.contains(needle), "{to}: {problem}");
            }
            assert!(!problem.contains('\n'), "{problem}");
        }
        for (search, needle) in [
            ("seeds = [1, 1]", "twice"),
            ("method = \"grind\"", "\"grid\""),
            ("method = \"random\"", "trials"),
            ("method = \"random\"\ntrials = 7", "only 6"),
            ("trials = 3", "random"),
            ("eta = 3", "halving"),
            ("method = \"halving\"\nstart_epochs = 9", "below"),
            ("method = \"halving\"\neta = 1", "at least 2"),
            ("select = \"test_accuracy\"", "test_accuracy"),
        ] {
            let problem = parse(search).unwrap_err();
            assert!(problem.contains(needle), "{search}: {problem}");
        }
    }
}
