//! What many looks come to: a recipe's count on a test set, and a table of everything.

use super::{Look, Purpose};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// How often a recipe was scored on a test set, and among how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Looks of this recipe at this test set, all purposes together.
    pub looks: usize,
    /// Runs of this recipe that were scored on it.
    pub runs: usize,
    /// Different recipes that were scored on this test set: what the best of them was chosen from.
    pub recipes: usize,
}

impl Count {
    /// The count of `recipe` on the test set of that checksum.
    pub fn of(looks: &[Look], recipe: &str, test_sha256: &str) -> Self {
        let here = || looks.iter().filter(|look| look.test_sha256 == test_sha256);
        let own = || here().filter(|look| look.recipe == recipe);
        Self {
            looks: different(own(), |look| look.identity()),
            runs: different(own(), |look| &look.run),
            recipes: different(here(), |look| &look.recipe),
        }
    }
}

/// How many different values `of` has.
fn different<'a, T: std::hash::Hash + Eq>(
    looks: impl Iterator<Item = &'a Look>,
    of: impl Fn(&'a Look) -> T,
) -> usize {
    looks.map(of).collect::<HashSet<T>>().len()
}

/// Everything that was scored on one test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestSetLooks {
    /// The test set's name.
    pub test: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Looks at it.
    pub looks: usize,
    /// Different recipes scored on it.
    pub recipes: usize,
    /// One line a recipe and purpose, by the time of the first look.
    pub lines: Vec<RecipeLooks>,
}

/// The looks of one recipe at one test set for one purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecipeLooks {
    /// The recipe's id.
    pub recipe: String,
    /// The recipe in a few words, as it was last called.
    pub label: Option<String>,
    /// What it was scored for; scores for different purposes are not to be compared.
    pub purpose: Purpose,
    /// Runs scored.
    pub runs: usize,
    /// Looks.
    pub looks: usize,
    /// Time of the first look, UTC.
    pub first: String,
    /// Time of the last look, UTC.
    pub last: String,
    /// The highest accuracy, 0 to 1.
    pub best: f64,
    /// The lowest accuracy, 0 to 1.
    pub worst: f64,
}

/// All looks by test set: sets by name, recipes by the time of their first look.
pub fn by_test_set(looks: &[Look]) -> Vec<TestSetLooks> {
    let mut sets: BTreeMap<&str, Vec<&Look>> = BTreeMap::new();
    for look in looks {
        sets.entry(&look.test_sha256).or_default().push(look);
    }
    let mut sets: Vec<TestSetLooks> = sets
        .into_iter()
        .map(|(sha256, looks)| TestSetLooks {
            test: last(&looks).map_or_else(String::new, |look| look.test.clone()),
            sha256: sha256.into(),
            looks: different(looks.iter().copied(), |look| look.identity()),
            recipes: different(looks.iter().copied(), |look| &look.recipe),
            lines: lines(&looks),
        })
        .collect();
    sets.sort_by(|a, b| (&a.test, &a.sha256).cmp(&(&b.test, &b.sha256)));
    sets
}

/// One line a recipe and purpose.
fn lines(looks: &[&Look]) -> Vec<RecipeLooks> {
    let mut groups: BTreeMap<(&str, &Purpose), Vec<&Look>> = BTreeMap::new();
    for &look in looks {
        let group = groups.entry((&look.recipe, &look.purpose));
        group.or_default().push(look);
    }
    let mut lines: Vec<RecipeLooks> = groups.values().filter_map(|group| line(group)).collect();
    let order = |line: &RecipeLooks| {
        let RecipeLooks {
            first,
            recipe,
            purpose,
            ..
        } = line.clone();
        (first, recipe, purpose)
    };
    lines.sort_by_cached_key(order);
    lines
}

/// The line of one group; `None` for none.
fn line(group: &[&Look]) -> Option<RecipeLooks> {
    let (first, last_look) = (first(group)?, last(group)?);
    let named: Vec<&Look> = group
        .iter()
        .copied()
        .filter(|look| look.label.is_some())
        .collect();
    let accuracies = || group.iter().map(|look| look.accuracy);
    Some(RecipeLooks {
        recipe: first.recipe.clone(),
        label: last(&named).and_then(|look| look.label.clone()),
        purpose: first.purpose.clone(),
        runs: different(group.iter().copied(), |look| &look.run),
        looks: different(group.iter().copied(), |look| look.identity()),
        first: first.time.clone(),
        last: last_look.time.clone(),
        best: accuracies().fold(0.0, f64::max),
        worst: accuracies().fold(1.0, f64::min),
    })
}

fn first<'a>(looks: &[&'a Look]) -> Option<&'a Look> {
    looks.iter().copied().min_by_key(|look| &look.time)
}

/// The latest; of equal times the one written last.
fn last<'a>(looks: &[&'a Look]) -> Option<&'a Look> {
    looks.iter().copied().max_by_key(|look| &look.time)
}
