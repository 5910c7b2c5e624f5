//! From a paper and a profile to configurations: which runs, on which data, at which scale.

use super::paper::{Paper, RunDecl, Scale};
use crate::args::{Profile, ReproduceArgs};
use anyhow::{Context, Result, bail};
use hw_data::{DatasetId, GlyphSet};
use hw_train::{Monitor, TrainConfig};
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
        match &self.item {
            Some(item) => paper.runs_of(item),
            None => paper.runs.iter().map(|run| run.id.clone()).collect(),
        }
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
    synthetic: bool,
) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for (index, paper) in papers
        .iter()
        .enumerate()
        .filter(|(i, _)| selection.has_paper(*i))
    {
        let scale = scale_of(paper, args.profile)?;
        let wanted = selection.runs(paper);
        for decl in paper.runs.iter().filter(|run| wanted.contains(&run.id)) {
            jobs.push(job(index, decl, &scale, synthetic)?);
        }
    }
    Ok(jobs)
}

fn scale_of(paper: &Paper, profile: Profile) -> Result<Scale> {
    let name = profile.name();
    let scale = paper.profiles.get(name);
    scale
        .copied()
        .with_context(|| format!("{}: no profile \"{name}\"", paper.slug))
}

fn job(paper: usize, decl: &RunDecl, scale: &Scale, synthetic: bool) -> Result<Job> {
    let missing = || format!("run {} is not complete", decl.id);
    let declared = decl.epochs.with_context(missing)?;
    let epochs = scale.epochs.map_or(declared, |most| most.min(declared));
    let dataset = decl.dataset.clone().with_context(missing)?;
    let base = TrainConfig {
        model: decl.model.clone().with_context(missing)?,
        dataset: if synthetic {
            stand_in(&dataset)
        } else {
            dataset
        },
        optimizer: decl.optimizer.with_context(missing)?,
        learning_rate: decl.learning_rate.unwrap_or(f32::MIN_POSITIVE),
        batch: decl.batch.with_context(missing)?,
        epochs,
        val_fraction: decl.val_fraction.unwrap_or(0.0),
        limit: scale.images,
        early_stopping: decl.early_stopping,
        init: decl.init,
        preprocess: decl.preprocess.clone().unwrap_or_default(),
        probe: decl.probe,
        ..TrainConfig::default()
    };
    let search = decl
        .tune
        .iter()
        .flatten()
        .map(|&learning_rate| TrainConfig {
            learning_rate,
            seed: 1,
            val_fraction: 0.1,
            monitor: Monitor::ValAccuracy,
            epochs: scale.search_epochs.min(epochs),
            probe: None,
            ..base.clone()
        });
    Ok(Job {
        paper,
        decl: decl.clone(),
        search: search.collect(),
        configs: (1..=scale.seeds)
            .map(|seed| TrainConfig {
                seed,
                ..base.clone()
            })
            .collect(),
        epochs,
        full: scale.images.is_none() && epochs == declared,
    })
}

/// The generated set with the structure of a real one.
fn stand_in(dataset: &DatasetId) -> DatasetId {
    DatasetId::Glyphs(match dataset {
        DatasetId::Mnist | DatasetId::EmnistDigits | DatasetId::EmnistMnist => GlyphSet::Digits,
        DatasetId::Kmnist => GlyphSet::Hiragana,
        DatasetId::EmnistLetters => GlyphSet::Letters,
        DatasetId::Glyphs(set) => *set,
        _ => GlyphSet::All,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(profile: Profile) -> ReproduceArgs {
        ReproduceArgs {
            profile,
            only: None,
            data: crate::args::DataChoice::Auto,
            data_dir: None,
            out: None,
            list: false,
            json: false,
            threads: None,
        }
    }

    fn planned(profile: Profile, only: Option<&str>) -> Result<Vec<Job>> {
        let papers = super::super::paper::all()?;
        plan(
            &papers,
            &Selection::parse(only, &papers)?,
            &args(profile),
            false,
        )
    }

    #[test]
    fn the_paper_profile_is_the_printed_protocol() {
        let jobs = planned(Profile::Paper, Some("simple-cnn-bn")).unwrap();
        let main = jobs.iter().find(|job| job.decl.id == "bn-cnn").unwrap();
        assert!(main.full && main.search.is_empty());
        assert_eq!(main.configs.len(), 3);
        let config = &main.configs[0];
        assert_eq!((config.epochs, config.batch, config.limit), (20, 100, None));
        assert_eq!((config.learning_rate, config.val_fraction), (0.1, 0.0));
        assert_eq!(config.optimizer, "momentum".parse().unwrap());
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
    fn a_smaller_profile_changes_scale_and_nothing_else() {
        let (quick, paper) = (planned(Profile::Quick, None), planned(Profile::Paper, None));
        for (quick, paper) in quick.unwrap().iter().zip(&paper.unwrap()) {
            assert!(!quick.full || quick.configs[0].limit.is_none());
            let (quick, paper) = (&quick.configs[0], &paper.configs[0]);
            let scaled = TrainConfig {
                limit: paper.limit,
                epochs: paper.epochs,
                ..quick.clone()
            };
            assert_eq!(&scaled, paper);
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
