//! What an archive knows of data sets and runs, in place of the data.

use super::manifest::{Manifest, SetSizes};
use super::store::{Archive, Index};
use crate::data::{Catalog, ClassCounts, DataCache};
use crate::paper::{FigureKind, Paper};
use hw_data::{DatasetId, EmnistEdition};
use hw_train::TrainConfig;
use std::collections::BTreeSet;

/// The data sets that papers name, with their sizes; those that are not to be had are left out.
pub(crate) fn sizes(papers: &[&Paper], data: &DataCache) -> Vec<SetSizes> {
    let runs = papers.iter().flat_map(|paper| &paper.runs);
    let mut ids: Vec<DatasetId> = runs.filter_map(|run| run.dataset.clone()).collect();
    let variants = papers.iter().flat_map(|paper| &paper.variants);
    ids.extend(variants.filter_map(|variant| variant.dataset.clone()));
    ids.extend(
        papers
            .iter()
            .flat_map(|paper| crate::cells::counted_sets(paper)),
    );
    let figures = papers.iter().flat_map(|paper| paper.figures());
    let shown = figures.filter(|figure| figure.kind == FigureKind::ClassCounts);
    let shown: Vec<&DatasetId> = shown.flat_map(|figure| &figure.datasets).collect();
    ids.extend(shown.iter().copied().cloned());
    let mut known = BTreeSet::new();
    ids.retain(|id| known.insert(id.to_string()));
    let size = |id: &DatasetId| {
        let [train, test] = data.counts(id)?;
        let classes = shown.contains(&id).then(|| data.class_counts(id).ok());
        Some(SetSizes {
            set: id.to_string(),
            edition: data.edition(id),
            train,
            test,
            classes: classes.flatten(),
        })
    };
    ids.iter().filter_map(size).collect()
}

/// The catalog of an archive.
pub(crate) struct Known {
    sets: Vec<SetSizes>,
    index: Index,
}

impl Known {
    pub(crate) fn of(archive: &Archive) -> Self {
        let Manifest { sets, .. } = &archive.manifest;
        Self {
            sets: sets.clone(),
            index: Index::of(archive),
        }
    }

    fn set(&self, id: &DatasetId) -> Option<&SetSizes> {
        let id = id.to_string();
        self.sets.iter().find(|set| set.set == id)
    }
}

impl Catalog for Known {
    fn counts(&self, id: &DatasetId) -> Option<[usize; 2]> {
        self.set(id).map(|set| [set.train, set.test])
    }

    fn edition(&self, id: &DatasetId) -> Option<EmnistEdition> {
        self.set(id)?.edition
    }

    fn class_counts(&self, id: &DatasetId) -> Option<ClassCounts> {
        self.set(id)?.classes.clone()
    }

    fn run(&self, config: &TrainConfig) -> Option<String> {
        self.index.run(config).map(Into::into)
    }
}
