//! Merging classes: 62 characters into 47, either into 26 letters, and any such map.
//!
//! Maps go downwards only: an image can lose a distinction (C and c become C) but never gain one.
//!
//! ```
//! use hw_data::class_map::ClassMap;
//!
//! let map = ClassMap::byclass_to_bymerge();
//! assert_eq!((map.from().len(), map.to().len()), (62, 47));
//! let label = |name: &str| map.from().iter().position(|class| class == name).unwrap() as u16;
//! assert_eq!(map.get(label("c")), map.get(label("C"))); // look alike: one class
//! assert_ne!(map.get(label("a")), map.get(label("A"))); // do not: two classes
//! ```

use crate::catalogue::{BYCLASS, BYMERGE, LETTERS, names};
use crate::dataset::checksum_of;
use crate::{DataError, Dataset};
use std::sync::Arc;

/// A map from the classes of one set to the fewer classes of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    from: Arc<[String]>,
    to: Arc<[String]>,
    map: Vec<Option<u16>>,
}

impl ClassMap {
    /// The map that sends label `i` of `from` to label `map[i]` of `to`, or drops its images
    /// (`None`).
    ///
    /// # Errors
    /// [`DataError::Invalid`] when `map` has not one entry a class of `from`, names a label `to` does
    /// not have, or leaves a class of `to` without any source.
    pub fn new(
        from: Arc<[String]>,
        to: Arc<[String]>,
        map: Vec<Option<u16>>,
    ) -> Result<Self, DataError> {
        let refuse = |problem| Err(DataError::invalid("class map", problem));
        if map.len() != from.len() {
            return refuse(format!(
                "has {} entries for {} classes",
                map.len(),
                from.len()
            ));
        }
        if let Some(label) = map.iter().flatten().find(|&&l| usize::from(l) >= to.len()) {
            return refuse(format!("label {label} is not one of {} classes", to.len()));
        }
        let mut reached = vec![false; to.len()];
        map.iter()
            .flatten()
            .for_each(|&label| reached[usize::from(label)] = true);
        if let Some(missed) = reached.iter().position(|&reached| !reached) {
            return refuse(format!(
                "no class becomes \"{}\"; maps only merge",
                to[missed]
            ));
        }
        Ok(Self { from, to, map })
    }

    /// The map between sets of single characters: each character becomes itself where `to` has it,
    /// else itself in the other case, else its images are dropped. This one rule gives 62 to 47
    /// (where `to` lacks a small letter, it was merged with its capital) and both to 26 letters.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when some class of `to` would stay empty: the map would go upwards.
    pub fn by_character(from: Arc<[String]>, to: Arc<[String]>) -> Result<Self, DataError> {
        let Self { from, to, map } = Self::matched(from, to);
        Self::new(from, to, map)
    }

    /// As [`ClassMap::by_character`], but classes of `to` may stay empty.
    pub(crate) fn matched(from: Arc<[String]>, to: Arc<[String]>) -> Self {
        let label_of = |name: &str| to.iter().position(|class| class == name);
        let other_case = |name: &str| match name.to_uppercase() {
            upper if upper == name => name.to_lowercase(),
            upper => upper,
        };
        let map = from
            .iter()
            .map(|name| label_of(name).or_else(|| label_of(&other_case(name))))
            .map(|label| label.map(|label| label as u16))
            .collect();
        Self { from, to, map }
    }

    /// EMNIST ByClass to ByMerge: the small letters c i j k l m o p s u v w x y z join their
    /// capitals (Cohen et al. 2017, section II-C).
    pub fn byclass_to_bymerge() -> Self {
        Self::matched(names(BYCLASS), names(BYMERGE))
    }

    /// EMNIST ByClass to the 26 letters, case folded; digits are dropped.
    pub fn byclass_to_letters() -> Self {
        Self::matched(names(BYCLASS), names(LETTERS))
    }

    /// EMNIST ByMerge or Balanced to the 26 letters, case folded; digits are dropped.
    pub fn bymerge_to_letters() -> Self {
        Self::matched(names(BYMERGE), names(LETTERS))
    }

    /// The classes of the set to map.
    pub fn from(&self) -> &Arc<[String]> {
        &self.from
    }

    /// The classes of the result.
    pub fn to(&self) -> &Arc<[String]> {
        &self.to
    }

    /// What `label` becomes; `None` when its images are dropped or it is not a label of the set.
    pub fn get(&self, label: u16) -> Option<u16> {
        self.map.get(usize::from(label)).copied().flatten()
    }

    /// The set with its labels mapped and dropped images left out. Pixels are shared, not copied,
    /// when no image is dropped.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when the set has other classes than [`ClassMap::from`].
    pub fn apply(&self, dataset: &Dataset) -> Result<Dataset, DataError> {
        if dataset.classes != self.from {
            let problem = format!(
                "maps {} classes, but {} has {} or others",
                self.from.len(),
                dataset.id,
                dataset.classes.len()
            );
            return Err(DataError::invalid("class map", problem));
        }
        let keeps = |index: &u32| self.get(dataset.labels[*index as usize]).is_some();
        let kept: Vec<u32> = (0..dataset.len() as u32).filter(keeps).collect();
        let mut mapped = match kept.len() == dataset.len() {
            true => dataset.clone(),
            false => dataset.subset(&kept),
        };
        mapped.labels = mapped
            .labels
            .iter()
            .filter_map(|&label| self.get(label))
            .collect();
        mapped.classes = self.to.clone();
        mapped.checksum = checksum_of(&mapped.images, &mapped.labels);
        Ok(mapped)
    }
}
