//! `hw runs compare`: recipes against one another, seed by seed.

use super::found::{Entry, SHORT, entries, filtered};
use super::page;
use crate::args::{Common, RunsCompareArgs};
use crate::failure::Usage;
use crate::output::{Table, answer, counted, note, percent};
use anyhow::Result;
use hw_eval::statistics::holm;
use hw_eval::{Alpha, Arm, Comparison, Outcome, Question, Setting, compare};
use hw_report::format;
use hw_train::recipe::{field, recipe_label, unusual_fields};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Error rate in each direction: intervals are at 95 %.
const ALPHA: f64 = 0.025;

/// What the numbers mean.
pub(crate) const NOTE: &str = "\
Differences are in points, from the first recipe to each other one, over the seeds that both have, whose
runs hold out the same images. Intervals are at 95 %, each for itself; p is two-sided and holds for all
comparisons of a column together (Holm). Recipes that were chosen by a score look better by it than they
are: compare those by test accuracy, or by seeds that chose nothing.";

/// The runs of one recipe.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    /// The recipe's id.
    pub(crate) recipe: String,
    /// What sets it apart from the others, in words.
    pub(crate) label: String,
    /// Its seeds, in order.
    pub(crate) seeds: Vec<u64>,
    /// Mean validation accuracy.
    pub(crate) accuracy: Option<f64>,
    /// Mean test accuracy, if every run has one.
    pub(crate) test: Option<f64>,
    /// Its validation accuracy minus that of the first group; `None` for the first itself.
    pub(crate) validation: Option<Difference>,
    /// The same of test accuracies; `None` also where not all runs of both have one.
    pub(crate) tested: Option<Difference>,
    #[serde(skip)]
    runs: Vec<Entry>,
}

/// A difference of two recipes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    #[serde(flatten)]
    pub(crate) comparison: Comparison,
    /// Two-sided, for all comparisons of this kind together.
    pub(crate) adjusted_p: Option<f64>,
}

pub(crate) fn run(args: &RunsCompareArgs, common: &Common) -> Result<()> {
    let entries = filtered(entries(&args.folders)?, &args.filter)?;
    let in_first = |entry: &&Entry| entry.run.folder.starts_with(&args.folders[0]);
    let first: Vec<String> = match args.folders.len() {
        1 => Vec::new(),
        _ => entries
            .iter()
            .filter(in_first)
            .map(|entry| entry.run.recipe.clone())
            .collect(),
    };
    let unfinished = entries.iter().filter(|entry| !entry.is_finished()).count();
    let entries = entries.into_iter().filter(Entry::is_finished).collect();
    let mut groups = grouped(entries);
    if groups.len() < 2 {
        let problem = format!(
            "there are finished runs of {} to compare; two are needed (a recipe is a configuration \
             without its seed)",
            counted(groups.len(), "recipe")
        );
        return Err(Usage(problem).into());
    }
    lead(&mut groups, args.baseline.as_deref(), &first)?;
    name(&mut groups);
    judge(&mut groups)?;
    let compared = Compared { unfinished, groups };
    if let Some(path) = &args.html {
        page::write(path, &page::compare(&compared))?;
    }
    answer(common.json, &compared)
}

/// The runs by recipe and by what computed them: results of two ways to compute are not mixed.
fn grouped(entries: Vec<Entry>) -> Vec<Group> {
    let mut groups: BTreeMap<(String, String), Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let computed = entry.run.computation.to_string();
        let key = (entry.run.recipe.clone(), computed);
        let runs = groups.entry(key).or_default();
        let seed = entry.run.config.seed;
        if runs.iter().any(|other| other.run.config.seed == seed) {
            let folder = entry.run.folder.display();
            note(format_args!(
                "left out {folder}: its recipe has a run of seed {seed} already"
            ));
            continue;
        }
        runs.push(entry);
    }
    groups.into_values().map(Group::of).collect()
}

impl Group {
    fn of(mut runs: Vec<Entry>) -> Self {
        runs.sort_by_key(|entry| entry.run.config.seed);
        let mean = |value: fn(&Entry) -> Option<f64>| {
            let values: Option<Vec<f64>> = runs.iter().map(value).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            recipe: runs[0].run.recipe.clone(),
            label: String::new(),
            seeds: runs.iter().map(|entry| entry.run.config.seed).collect(),
            accuracy: mean(Entry::accuracy),
            test: mean(|entry| entry.test.as_ref().map(|test| test.accuracy)),
            validation: None,
            tested: None,
            runs,
        }
    }

    /// The first characters of the recipe's id.
    pub(crate) fn id(&self) -> &str {
        self.recipe.get(..SHORT).unwrap_or(&self.recipe)
    }

    /// Its runs.
    pub(crate) fn runs(&self) -> &[Entry] {
        &self.runs
    }

    /// The runs' validation accuracies.
    fn validated(&self) -> Option<Arm> {
        let outcome = |entry: &Entry| Some(Outcome::new(entry.run.config.seed, entry.accuracy()?));
        let outcomes: Option<Vec<Outcome>> = self.runs.iter().map(outcome).collect();
        Arm::new(self.label.clone(), outcomes?).ok()
    }

    /// The runs' test accuracies, with every answer where those were kept, and the test set.
    fn on_test_set(&self) -> Option<(Arm, &str)> {
        let first = self.runs.first()?.test.as_ref()?;
        let outcome = |entry: &Entry| {
            let test = entry.test.as_ref()?;
            let same = (&test.test_sha256, test.images) == (&first.test_sha256, first.images);
            let seed = entry.run.config.seed;
            let outcome = match &test.correct {
                Some(correct) => Outcome::of_answers(seed, correct.clone()).ok()?,
                None => Outcome::new(seed, test.accuracy),
            };
            same.then_some(outcome)
        };
        let outcomes: Option<Vec<Outcome>> = self.runs.iter().map(outcome).collect();
        let arm = Arm::new(self.label.clone(), outcomes?).ok()?;
        Some((arm.on_test_set(first.images).ok()?, &first.test_sha256))
    }

    /// Whether both hold out the same images for the same seed.
    fn holds_out_as(&self, other: &Self) -> bool {
        let parts = |group: &Self| {
            let config = &group.runs[0].run.config;
            let data = (config.dataset.clone(), config.edition);
            (
                data,
                config.val_fraction,
                config.stratified,
                config.val_limit,
            )
        };
        parts(self) == parts(other)
    }
}

/// Puts the group that the others are compared with first, the others by validation accuracy.
fn lead(groups: &mut [Group], asked: Option<&str>, first: &[String]) -> Result<()> {
    let merit = |group: &Group| group.accuracy.unwrap_or(f64::NEG_INFINITY);
    groups.sort_by(|a, b| merit(b).total_cmp(&merit(a)));
    let found = match asked {
        Some(id) => groups.iter().position(|group| {
            let run = |entry: &Entry| entry.run.run.starts_with(id);
            group.recipe.starts_with(id) || group.runs.iter().any(run)
        }),
        None => Some(
            groups
                .iter()
                .position(|group| first.contains(&group.recipe))
                .unwrap_or(0),
        ),
    };
    let Some(found) = found else {
        let id = asked.unwrap_or_default();
        let problem =
            format!("--baseline: no recipe or finished run has an id that begins with {id}");
        return Err(Usage(problem).into());
    };
    groups[..=found].rotate_right(1);
    Ok(())
}

/// Labels each group with the fields in which they differ.
fn name(groups: &mut [Group]) {
    let fields: Vec<BTreeMap<String, String>> = groups
        .iter()
        .map(|group| {
            unusual_fields(&group.runs[0].run.config)
                .into_iter()
                .collect()
        })
        .collect();
    let differs = |field: &String| {
        let value = fields[0].get(field);
        field != "seed" && fields.iter().any(|other| other.get(field) != value)
    };
    let mut names: Vec<&String> = fields.iter().flat_map(BTreeMap::keys).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| differs(name));
    // Where names are not enough, with all their constants.
    let short: Vec<String> = groups.iter().map(|group| named(group, &names)).collect();
    let told_apart = (1..short.len()).all(|index| !short[..index].contains(&short[index]));
    for ((group, fields), short) in groups.iter_mut().zip(&fields).zip(short) {
        let words = names
            .iter()
            .filter_map(|name| Some(format!("{name}={}", fields.get(*name)?)));
        let words: Vec<String> = words.collect();
        group.label = match (names.is_empty(), told_apart) {
            (true, _) => {
                let run = &group.runs[0].run;
                format!("{}, {}", recipe_label(&run.config), run.computation)
            }
            (false, true) => short,
            (false, false) => words.join(" "),
        };
    }
}

/// A group's values in these fields, in a few words.
fn named(group: &Group, names: &[&String]) -> String {
    let config = &group.runs[0].run.config;
    let words = names.iter().map(|name| {
        let value = field(config, name).unwrap_or_else(|| "none".into());
        format!("{name}={value}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Compares every group with the first.
fn judge(groups: &mut [Group]) -> Result<()> {
    let Some((first, others)) = groups.split_first_mut() else {
        return Ok(());
    };
    let (mut validation, mut tested) = (Vec::new(), Vec::new());
    for other in others.iter() {
        let arms = first.validated().zip(other.validated());
        let arms = arms.filter(|_| first.holds_out_as(other));
        validation.push(arms.map(|(a, b)| difference(&b, &a)).transpose()?);
        let arms = first.on_test_set().zip(other.on_test_set());
        let arms = arms.filter(|((_, one), (_, two))| one == two);
        tested.push(
            arms.map(|((a, _), (b, _))| difference(&b, &a))
                .transpose()?,
        );
    }
    let [validation, tested] = [adjusted(validation)?, adjusted(tested)?];
    for ((other, validation), tested) in others.iter_mut().zip(validation).zip(tested) {
        (other.validation, other.tested) = (validation, tested);
    }
    Ok(())
}

fn difference(a: &Arm, b: &Arm) -> Result<Comparison> {
    let setting = Setting::once(Alpha::new(ALPHA)?);
    Ok(compare(a, b, Question::Greater { margin: 0.0 }, &setting)?)
}

/// The two-sided p of a comparison, where it says something about recipes.
fn two_sided(comparison: &Comparison) -> Option<f64> {
    let (p, opposite) = comparison.p.zip(comparison.p_opposite)?;
    let decides = comparison.blocked.is_none();
    decides.then_some((2.0 * p.min(opposite)).min(1.0))
}

/// Comparisons with their p-values adjusted as one family.
fn adjusted(comparisons: Vec<Option<Comparison>>) -> Result<Vec<Option<Difference>>> {
    let of_one = |comparison: &Option<Comparison>| comparison.as_ref().and_then(two_sided);
    let p: Vec<Option<f64>> = comparisons.iter().map(of_one).collect();
    let known: Vec<f64> = p.iter().copied().flatten().collect();
    let mut all = holm(&known)?.into_iter();
    let with = |(comparison, p): (Option<Comparison>, Option<f64>)| {
        let adjusted_p = p.and_then(|_| all.next());
        comparison.map(|comparison| Difference {
            comparison,
            adjusted_p,
        })
    };
    Ok(comparisons.into_iter().zip(p).map(with).collect())
}

/// Recipes compared.
#[derive(Serialize)]
pub(crate) struct Compared {
    /// Runs left out because they are not finished.
    pub(crate) unfinished: usize,
    /// The recipes; all are compared with the first.
    pub(crate) groups: Vec<Group>,
}

/// The table's headings; those with a leading `>` head numbers.
pub(crate) const HEADINGS: [&str; 9] = [
    "recipe",
    ">seeds",
    ">accuracy",
    ">difference",
    ">p",
    ">test",
    ">difference",
    ">p",
    "setting",
];

/// A group's cells, in the order of [`HEADINGS`].
pub(crate) fn cells(group: &Group) -> [String; 9] {
    let share = |value: Option<f64>| value.map_or_else(|| "-".into(), percent);
    let [validation, p] = told(group.validation.as_ref());
    let [tested, test_p] = told(group.tested.as_ref());
    [
        group.id().into(),
        group.seeds.len().to_string(),
        share(group.accuracy),
        validation,
        p,
        share(group.test),
        tested,
        test_p,
        group.label.clone(),
    ]
}

/// A difference with its interval, and its p.
fn told(difference: Option<&Difference>) -> [String; 2] {
    let Some(Difference {
        comparison,
        adjusted_p,
    }) = difference
    else {
        return ["-".into(), "-".into()];
    };
    let points = comparison.difference * 100.0;
    let interval = comparison.interval.filter(|_| comparison.blocked.is_none());
    let text = match interval {
        Some(of) => format::interval(points, of.low * 100.0, of.high * 100.0, true),
        None => format::signed(points, 2),
    };
    let p = adjusted_p.map_or_else(|| "?".into(), |p| format!("{p:.3}"));
    [text, p]
}

impl Compared {
    /// Why some differences have no interval, each reason once.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let both = |group: &Group| [group.validation.clone(), group.tested.clone()];
        let all = self.groups.iter().flat_map(both).flatten();
        let mut reasons: Vec<String> = all.filter_map(|d| d.comparison.blocked).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let reason = |reason| format!("differences without an interval: {reason}");
        reasons.into_iter().map(reason).collect()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&HEADINGS);
        for group in &self.groups {
            table.row(cells(group));
        }
        writeln!(f, "{table}")?;
        if self.unfinished > 0 {
            let runs = counted(self.unfinished, "run");
            writeln!(f, "left out, not finished: {runs}")?;
        }
        for reason in self.reasons() {
            writeln!(f, "{reason}")?;
        }
        writeln!(f, "{NOTE}")
    }
}
