//! The data of the runs: real where it is to be had, else generated sets of the same structure.

use anyhow::{Context, Result};
use hw_core::Rng;
use hw_data::class_map::ClassMap;
use hw_data::glyphs::{GlyphConfig, generate};
use hw_data::{DataDirs, Dataset, DatasetId, EmnistEdition, GlyphSet, Split, overlap};
use hw_train::{Experiment, TrainConfig};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Images of the pool that stands in for all of EMNIST: 400 of each of 62 characters.
const POOL: usize = 62 * 400;
/// One image in so many is for testing, as in EMNIST.
const TEST_PART: usize = 7;

/// Which test images are training images, by the checksums of both.
type Shared = HashMap<(String, String), Arc<Vec<bool>>>;
/// A part of a data set in one edition.
type Key = (String, Option<EmnistEdition>, Split);

/// What is known of data sets and runs where the data itself need not be here.
pub(crate) trait Catalog: Send + Sync {
    /// Training and test images.
    fn counts(&self, id: &DatasetId) -> Option<[usize; 2]>;
    /// Which EMNIST it is.
    fn edition(&self, id: &DatasetId) -> Option<EmnistEdition>;
    /// Images of each class.
    fn class_counts(&self, id: &DatasetId) -> Option<ClassCounts>;
    /// The id of the run with that configuration.
    fn run(&self, config: &TrainConfig) -> Option<String>;
}

/// How many images each class of a data set has, training and test together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClassCounts {
    pub(crate) title: String,
    pub(crate) edition: String,
    pub(crate) classes: Vec<String>,
    pub(crate) images: Vec<usize>,
}

/// Data sets, each loaded once, whoever asks.
pub(crate) struct DataCache {
    dirs: DataDirs,
    synthetic: bool,
    catalog: Option<Box<dyn Catalog>>,
    loaded: Mutex<HashMap<Key, Arc<Dataset>>>,
    shared: Mutex<Shared>,
}

impl DataCache {
    /// An empty cache over these folders, or over generated data.
    pub(crate) fn new(dirs: DataDirs, synthetic: bool) -> Self {
        Self {
            dirs,
            synthetic,
            catalog: None,
            loaded: Mutex::default(),
            shared: Mutex::default(),
        }
    }

    /// The same, with what a catalog says in place of what is found here.
    pub(crate) fn with_catalog(self, catalog: impl Catalog + 'static) -> Self {
        Self {
            catalog: Some(Box::new(catalog)),
            ..self
        }
    }

    /// The data set that is used where a paper names `id`.
    pub(crate) fn used(&self, id: &DatasetId) -> DatasetId {
        match (self.synthetic, id) {
            (true, DatasetId::Mnist) => DatasetId::Glyphs(GlyphSet::Digits),
            (true, DatasetId::Kmnist) => DatasetId::Glyphs(GlyphSet::Hiragana),
            _ => id.clone(),
        }
    }

    /// Whether generated data stands in for the real.
    pub(crate) fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    /// A part of a data set, loaded at most once.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn get(&self, id: &DatasetId, split: Split) -> Result<Arc<Dataset>> {
        self.get_edition(id, None, split)
    }

    /// As [`Self::get`], of that EMNIST where one is named.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn get_edition(
        &self,
        id: &DatasetId,
        edition: Option<EmnistEdition>,
        split: Split,
    ) -> Result<Arc<Dataset>> {
        let key = (id.to_string(), edition, split);
        let mut loaded = lock(&self.loaded);
        if let Some(data) = loaded.get(&key) {
            return Ok(Arc::clone(data));
        }
        let data = match self.synthetic && is_emnist(id) {
            true => stand_in(id, edition, split).context("generated data")?,
            false => {
                let wanted = edition.or(self.dirs.edition);
                hw_data::load(id, split, &self.dirs.clone().with_edition(wanted))?
            }
        };
        let data = Arc::new(data);
        loaded.insert(key, Arc::clone(&data));
        Ok(data)
    }

    /// For each test image, whether it is a training image.
    pub(crate) fn shared(&self, test: &Dataset, train: &Dataset) -> Arc<Vec<bool>> {
        let key = (test.checksum.clone(), train.checksum.clone());
        let mut known = lock(&self.shared);
        let found = known.entry(key);
        Arc::clone(found.or_insert_with(|| Arc::new(overlap::shared_with(test, train))))
    }

    /// How many training and test images there are, without reading them; `None` if they are not
    /// to be had.
    pub(crate) fn counts(&self, id: &DatasetId) -> Option<[usize; 2]> {
        if let Some(catalog) = &self.catalog {
            return catalog.counts(id);
        }
        if let DatasetId::Glyphs(set) = self.used(id) {
            return Some(
                [Split::Train, Split::Test].map(|s| hw_data::glyphs::default_count(set, s)),
            );
        }
        if self.synthetic {
            let counts = [Split::Train, Split::Test].map(|split| self.get(id, split).ok());
            return match counts {
                [Some(train), Some(test)] => Some([train.len(), test.len()]),
                _ => None,
            };
        }
        let located = hw_data::locate(id, &self.dirs).ok()?;
        let count = |files: &Option<hw_data::locate::SplitFiles>| {
            files.as_ref().map(|files| files.count as usize)
        };
        Some([count(&located.train)?, count(&located.test)?])
    }

    /// Which EMNIST is found, for the sets that have two.
    pub(crate) fn edition(&self, id: &DatasetId) -> Option<EmnistEdition> {
        if let Some(catalog) = &self.catalog {
            return catalog.edition(id);
        }
        if self.synthetic {
            return None;
        }
        let located = hw_data::locate(id, &self.dirs).ok()?;
        let name = located.train.as_ref().or(located.test.as_ref())?.edition;
        let entry = id.entry()?;
        let edition = entry.editions.iter().find(|edition| edition.name == name)?;
        edition.family
    }

    /// How many images each class has.
    ///
    /// # Errors
    /// When the data cannot be had, and no catalog says it.
    pub(crate) fn class_counts(&self, id: &DatasetId) -> Result<ClassCounts> {
        let known = self.catalog.as_ref();
        if let Some(counts) = known.and_then(|catalog| catalog.class_counts(id)) {
            return Ok(counts);
        }
        let (train, test) = (self.get(id, Split::Train)?, self.get(id, Split::Test)?);
        let counts = train.class_counts().into_iter().zip(test.class_counts());
        Ok(ClassCounts {
            title: train.id.clone(),
            edition: train.edition.clone(),
            classes: train.classes.to_vec(),
            images: counts.map(|(train, test)| train + test).collect(),
        })
    }

    /// The id of the run of that configuration.
    ///
    /// # Errors
    /// When the data cannot be had, or the catalog does not know the run.
    pub(crate) fn run_id(&self, config: &TrainConfig) -> Result<String> {
        if let Some(catalog) = &self.catalog {
            return catalog.run(config).context("not in the archive");
        }
        let train = self.get(&config.dataset, Split::Train)?;
        let test = match config.probe {
            Some(_) => Some(self.get(&config.dataset, Split::Test)?),
            None => None,
        };
        Ok(Experiment::new(config.clone(), train, test)?.id().into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_emnist(id: &DatasetId) -> bool {
    let families = id.entry().map(|entry| entry.editions.iter());
    families.is_some_and(|mut editions| editions.any(|edition| edition.family.is_some()))
}

/// Glyphs with EMNIST's structure: one pool of 62 characters, of which ByClass and ByMerge are two
/// independent shuffles, and the other sets parts of the ByMerge split.
fn stand_in(id: &DatasetId, edition: Option<EmnistEdition>, split: Split) -> Result<Dataset> {
    let pool = pool()?;
    let seed = match id {
        DatasetId::EmnistByclass => 1,
        _ => 2,
    };
    let mut order: Vec<u32> = (0..pool.len() as u32).collect();
    Rng::stream(seed, "emnist stand-in", 0).shuffle(&mut order);
    let test = pool.len() / TEST_PART;
    let part = match split {
        Split::Test => &order[..test],
        Split::Train => &order[test..],
    };
    let part = pool.subset(part);
    let mut data = match id {
        DatasetId::EmnistByclass => part,
        DatasetId::EmnistBymerge => ClassMap::byclass_to_bymerge().apply(&part)?,
        DatasetId::EmnistBalanced => balanced(&ClassMap::byclass_to_bymerge().apply(&part)?),
        DatasetId::EmnistLetters => ClassMap::byclass_to_letters().apply(&part)?,
        _ => {
            let digits = GlyphSet::Digits.classes();
            ClassMap::by_character(part.classes.clone(), digits)?.apply(&part)?
        }
    };
    if edition == Some(EmnistEdition::Full) && *id == DatasetId::EmnistLetters {
        data = truncated(&data);
        data.edition.push_str(", cut short");
    }
    data.id = format!("{id} (glyphs)");
    data.split = split;
    Ok(data)
}

/// The pool, drawn once.
fn pool() -> Result<Dataset> {
    static DRAWN: Mutex<Option<Dataset>> = Mutex::new(None);
    let mut drawn = lock(&DRAWN);
    if let Some(pool) = &*drawn {
        return Ok(pool.clone());
    }
    let pool = generate(GlyphSet::All, Split::Train, POOL, &GlyphConfig::default())?;
    Ok(drawn.insert(pool).clone())
}

/// As many images of each class as the smallest has.
fn balanced(data: &Dataset) -> Dataset {
    let least = data.class_counts().into_iter().min().unwrap_or(0);
    let mut left = vec![least; data.classes.len()];
    let mut keep = Vec::new();
    for (index, &label) in data.labels.iter().enumerate() {
        let left = &mut left[usize::from(label)];
        if *left > 0 {
            *left -= 1;
            keep.push(index as u32);
        }
    }
    data.subset(&keep)
}

/// Cut short as the 14,800-image letters file is: sorted by label, the last 29 % missing.
fn truncated(data: &Dataset) -> Dataset {
    let mut order: Vec<u32> = (0..data.len() as u32).collect();
    order.sort_by_key(|&index| data.labels[index as usize]);
    order.truncate(data.len() * 14_800 / 20_800);
    data.subset(&order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(id: &str, split: Split) -> Dataset {
        stand_in(&id.parse().unwrap(), None, split).unwrap()
    }

    #[test]
    fn the_stand_in_leaks_across_splits_as_emnist_does_and_not_within_one() {
        let train = get("emnist-byclass", Split::Train);
        let share = |test: &Dataset| {
            let shared = overlap::shared_with(test, &train);
            shared.iter().filter(|&&shared| shared).count() as f64 / test.len() as f64
        };
        assert_eq!(share(&get("emnist-byclass", Split::Test)), 0.0);
        let bymerge = get("emnist-bymerge", Split::Test);
        assert!(
            (0.83..0.89).contains(&share(&bymerge)),
            "{}",
            share(&bymerge)
        );
        assert_eq!(bymerge.classes.len(), 47);
        assert!(bymerge.synthetic && bymerge.id.contains("glyphs"));
    }

    #[test]
    fn the_truncated_letters_lack_the_end_of_the_alphabet() {
        let id = "emnist-letters".parse().unwrap();
        let cut = stand_in(&id, Some(EmnistEdition::Full), Split::Test).unwrap();
        let counts = cut.class_counts();
        assert!(counts[0] > 0 && counts[25] == 0, "{counts:?}");
        let whole = get("emnist-letters", Split::Test).class_counts();
        assert!(whole.iter().all(|&count| count > 0), "{whole:?}");
    }
}
