//! What there is to choose from: every family of building blocks, from the places that declare them.

use crate::averaging::AVERAGES;
use crate::loss::{Loss, LossKind};
use crate::mixing::MIXES;
use crate::optimizer::Optimizer;
use crate::schedule::{Schedule, WARM_UPS};
use hw_data::augment::{Augment, Change};
use hw_data::{DatasetId, Filter};
use hw_kernels::Activation;
use hw_models::{Initializer, zoo};
use serde::Serialize;

/// A family of building blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Data sets.
    Datasets,
    /// Networks.
    Models,
    /// Nonlinearities.
    Activations,
    /// Rules for the first weights.
    Initialisers,
    /// Update rules.
    Optimizers,
    /// Rules for the learning rate.
    Schedules,
    /// What is minimised.
    Losses,
    /// Gentle beginnings, with any schedule.
    WarmUps,
    /// Averages of the weights.
    Averages,
    /// How images are brought to another size.
    Filters,
    /// Random changes to training images.
    Augmentations,
    /// Pairs of training images made into one.
    Mixes,
}

/// One building block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The name used on the command line and in config files.
    pub name: String,
    /// What it is, in one line.
    pub about: String,
    /// Where it comes from.
    pub source: String,
    /// Its settings or constants with their defaults; empty if it has none.
    pub defaults: String,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 12] = [
        Self::Datasets,
        Self::Models,
        Self::Activations,
        Self::Initialisers,
        Self::Optimizers,
        Self::Schedules,
        Self::Losses,
        Self::WarmUps,
        Self::Averages,
        Self::Filters,
        Self::Augmentations,
        Self::Mixes,
    ];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datasets => "datasets",
            Self::Models => "models",
            Self::Activations => "activations",
            Self::Initialisers => "initialisers",
            Self::Optimizers => "optimizers",
            Self::Schedules => "schedules",
            Self::Losses => "losses",
            Self::WarmUps => "warm-ups",
            Self::Averages => "averages",
            Self::Filters => "filters",
            Self::Augmentations => "augmentations",
            Self::Mixes => "mixes",
        }
    }

    /// How `hw train` is asked for a member.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Datasets => "--dataset NAME",
            Self::Models => "--model NAME",
            Self::Activations => "--activation NAME",
            Self::Initialisers => "--init NAME",
            Self::Optimizers => "--optimizer NAME",
            Self::Schedules => "--schedule NAME",
            Self::Losses => "--loss NAME",
            Self::WarmUps => "--warmup EPOCHS",
            Self::Averages => "--ema DECAY",
            Self::Filters => "--resize N:NAME",
            Self::Augmentations => "--augment NAME=X,NAME=X",
            Self::Mixes => "--mix NAME",
        }
    }

    /// The family's members.
    pub fn blocks(self) -> Vec<Block> {
        match self {
            Self::Datasets => datasets(),
            Self::Models => zoo::CATALOGUE.iter().map(model).collect(),
            Self::Activations => Activation::all().iter().map(activation).collect(),
            Self::Initialisers => Initializer::all().map(initialiser).collect(),
            Self::Optimizers => Optimizer::all()
                .into_iter()
                .map(|rule| block(rule.name(), rule.about(), rule.source(), constants(rule)))
                .collect(),
            Self::Schedules => Schedule::choices()
                .into_iter()
                .map(|s| block(s.name, s.about, s.source, constants(s.value)))
                .collect(),
            Self::Losses => Loss::choices()
                .into_iter()
                .map(|loss| {
                    block(
                        loss.name,
                        loss.about,
                        loss.source,
                        loss_constants(loss.value),
                    )
                })
                .collect(),
            Self::WarmUps => WARM_UPS
                .iter()
                .map(|w| block(w.name, w.about, w.source, format!("epochs={}", w.value)))
                .collect(),
            Self::Averages => AVERAGES
                .iter()
                .map(|a| block(a.name, a.about, a.source, format!("decay={}", a.value)))
                .collect(),
            Self::Filters => Filter::ALL
                .iter()
                .map(|f| block(f.name(), f.about(), f.source(), String::new()))
                .collect(),
            Self::Augmentations => Augment::changes().iter().map(change).collect(),
            Self::Mixes => MIXES
                .iter()
                .map(|mix| block(mix.name, mix.about, mix.source, constants(mix.value)))
                .collect(),
        }
    }
}

fn block(name: &str, about: &str, source: &str, defaults: String) -> Block {
    Block {
        name: name.into(),
        about: about.into(),
        source: source.into(),
        defaults,
    }
}

fn model(entry: &zoo::Entry) -> Block {
    let settings = entry.settings().into_iter();
    let settings: Vec<String> = settings
        .map(|setting| format!("{}={}", setting.name, setting.default))
        .collect();
    block(entry.name, entry.about, entry.source, settings.join(", "))
}

fn activation(function: &Activation) -> Block {
    let written = function.to_string();
    let defaults = match written.split_once('(') {
        Some((_, constant)) => constant.trim_end_matches(')').to_string(),
        None => String::new(),
    };
    block(
        function.name(),
        function.about(),
        function.source(),
        defaults,
    )
}

fn initialiser(rule: Initializer) -> Block {
    let written = rule.to_string();
    let number = written.split_once(':').map_or("", |(_, number)| number);
    block(rule.name(), rule.about(), rule.source(), number.into())
}

/// A change, with what "standard" takes of it.
fn change(change: &Change) -> Block {
    let standard = Augment::standard();
    let shown = |name: &&str| standard.get(name).map(|value| format!("{name}={value}"));
    let names = std::iter::once(&change.name).chain(change.constants);
    let defaults: Vec<String> = names.filter_map(shown).collect();
    block(
        change.name,
        change.about,
        change.source,
        defaults.join(", "),
    )
}

/// Those with files and those of other crates; the glyphs need neither.
fn datasets() -> Vec<Block> {
    let source = |id: &DatasetId| match id {
        DatasetId::Registered(own) => Some(own.source()),
        other => other.entry().map(|entry| entry.licence),
    };
    let known = DatasetId::all().into_iter();
    let known = known.filter_map(|id| source(&id).map(|source| (id, source)));
    known
        .map(|(id, source)| block(&id.to_string(), id.about(), source, String::new()))
        .collect()
}

fn loss_constants(loss: LossKind) -> String {
    match loss {
        LossKind::Registered(_) => String::new(),
        ours => constants(ours),
    }
}

/// The numbers and words of a member's JSON form, but its name.
fn constants<T: Serialize>(value: T) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    let fields = json.as_object().into_iter().flatten();
    let words: Vec<String> = fields
        .filter(|(key, _)| *key != "name")
        .map(|(key, value)| match value {
            serde_json::Value::String(word) => format!("{key}={word}"),
            // Single precision, in the digits it was written with.
            serde_json::Value::Number(n) if n.is_f64() => {
                format!("{key}={}", n.as_f64().unwrap_or(0.0) as f32)
            }
            other => format!("{key}={other}"),
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_members_with_names_of_their_own() {
        for family in Family::ALL {
            let blocks = family.blocks();
            let mut names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
            assert!(!names.is_empty(), "{}", family.name());
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), blocks.len(), "{}", family.name());
            assert!(
                blocks
                    .iter()
                    .all(|b| !b.about.is_empty() && !b.source.is_empty())
            );
        }
    }

    #[test]
    fn a_listed_change_is_one_that_can_be_asked_for() {
        let blocks = Family::Augmentations.blocks();
        let (values, changes): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| block.name == "interpolation");
        assert_eq!(values.len(), 1);
        let cubic: Augment = "interpolation=cubic".parse().unwrap();
        assert!(cubic.is_none() && cubic != Augment::default());
        for block in changes {
            let asked: Augment = format!("{}=0.5", block.name).parse().unwrap();
            assert_eq!(asked.get(&block.name), Some(0.5));
            assert!(!asked.is_none(), "{}", block.name);
        }
        let elastic = &Family::Augmentations.blocks()[4];
        assert_eq!(elastic.defaults, "elastic=1, sigma=4");
    }

    #[test]
    fn constants_are_shown_as_they_are_written() {
        let adam = &Family::Optimizers.blocks()[5];
        assert_eq!(adam.name, "adam");
        assert!(
            adam.defaults.contains("beta1=0.9, beta2=0.999"),
            "{}",
            adam.defaults
        );
    }
}
