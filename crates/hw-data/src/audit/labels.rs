//! When two labels of one picture contradict each other.

use super::exact::Pictures;
use super::{All, EXAMPLES, Example, pairs};
use crate::Dataset;
use crate::class_map::ClassMap;
use std::collections::BTreeMap;

/// For every two parts, how the classes of one become those of the other.
pub(super) struct Reconciled {
    maps: Vec<Vec<ClassMap>>,
}

impl Reconciled {
    pub(super) fn new(parts: &[Dataset]) -> Self {
        let into = |from: &Dataset, to: &Dataset| {
            ClassMap::matched(from.classes.clone(), to.classes.clone())
        };
        let maps = parts
            .iter()
            .map(|from| parts.iter().map(|to| into(from, to)).collect())
            .collect();
        Self { maps }
    }

    /// Whether `(part, label)` and another cannot both be right: neither becomes the other when
    /// classes are merged, as c becomes C between ByClass and ByMerge.
    pub(super) fn contradict(&self, a: (usize, u16), b: (usize, u16)) -> bool {
        if a.0 == b.0 {
            return a.1 != b.1;
        }
        let becomes = |x: (usize, u16), y: (usize, u16)| self.maps[x.0][y.0].get(x.1) == Some(y.1);
        !becomes(a, b) && !becomes(b, a)
    }

    /// Images of a part whose picture is in it with another label too.
    pub(super) fn conflicting_within(
        &self,
        all: &All<'_>,
        pictures: &Pictures,
        part: usize,
    ) -> usize {
        let mut images = 0;
        for picture in 0..pictures.len() {
            if pictures.images(picture).len() < 2 || !pictures.is_in(picture, part) {
                continue;
            }
            let here = |image: &&u32| all.range(part).contains(&(**image as usize));
            let labels: Vec<u16> = pictures
                .images(picture)
                .iter()
                .filter(here)
                .map(|&image| all.label(image as usize))
                .collect();
            if labels.iter().any(|&label| label != labels[0]) {
                images += labels.len();
            }
        }
        images
    }

    /// Every picture whose labels contradict each other.
    pub(super) fn conflicts(&self, all: &All<'_>, pictures: &Pictures) -> Conflicts {
        let mut conflicts = Conflicts::default();
        for picture in 0..pictures.len() {
            let images = pictures.images(picture);
            if images.len() > 1 {
                self.add_conflicts(all, images, &mut conflicts);
            }
        }
        conflicts
    }

    fn add_conflicts(&self, all: &All<'_>, images: &[u32], conflicts: &mut Conflicts) {
        // One image speaks for all that have its part and label.
        let voices: BTreeMap<(usize, u16), u32> = images
            .iter()
            .rev()
            .map(|&image| {
                let part = all.place(image as usize).0;
                ((part, all.label(image as usize)), image)
            })
            .collect();
        let voices: Vec<_> = voices.into_iter().collect();
        let mut between: Vec<(usize, usize)> = Vec::new();
        for (i, j) in pairs(voices.len()) {
            let ((a, first), (b, second)) = (voices[i], voices[j]);
            if self.contradict(a, b) {
                between.push((a.0, b.0));
                if conflicts.shown.len() < EXAMPLES {
                    conflicts.shown.push((first, second));
                }
            }
        }
        between.sort_unstable();
        between.dedup();
        for pair in between {
            *conflicts.pictures.entry(pair).or_default() += 1;
        }
    }

    /// Total variation distance of the class shares of two parts once the classes of the one are
    /// merged into those of the other; `None` when neither's classes all become the other's.
    pub(super) fn class_distance(
        &self,
        parts: &[Dataset],
        first: usize,
        second: usize,
    ) -> Option<f64> {
        let merged = |from: usize, to: usize| {
            let map = &self.maps[from][to];
            let whole = (0..parts[from].classes.len()).all(|label| map.get(label as u16).is_some());
            let mut counts = vec![0; parts[to].classes.len()];
            for (label, count) in parts[from].class_counts().into_iter().enumerate() {
                counts[usize::from(map.get(label as u16)?)] += count;
            }
            whole.then_some(counts)
        };
        let (a, b) = match merged(first, second) {
            Some(counts) => (counts, parts[second].class_counts()),
            None => (parts[first].class_counts(), merged(second, first)?),
        };
        let share = |counts: &[usize], label: usize| {
            counts[label] as f64 / counts.iter().sum::<usize>().max(1) as f64
        };
        let distance = |label: usize| (share(&a, label) - share(&b, label)).abs();
        Some((0..a.len()).map(distance).sum::<f64>() / 2.0)
    }
}

/// Pictures whose labels contradict each other.
#[derive(Default)]
pub(super) struct Conflicts {
    pictures: BTreeMap<(usize, usize), usize>,
    shown: Vec<(u32, u32)>,
}

impl Conflicts {
    /// How many pictures two parts name differently.
    pub(super) fn between(&self, first: usize, second: usize) -> usize {
        self.pictures.get(&(first, second)).copied().unwrap_or(0)
    }

    pub(super) fn examples(&self, all: &All<'_>, most: usize) -> Vec<Example> {
        let shown = self.shown.iter().take(most);
        shown
            .map(|&(first, second)| Example {
                first: all.named(first as usize),
                second: all.named(second as usize),
                likeness: 1.0,
            })
            .collect()
    }
}
