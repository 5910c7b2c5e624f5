//! Near duplicates: pictures whose signatures are alike, looked up in buckets.
//!
//! Bucketing by random projections (Datar, Immorlica, Indyk & Mirrokni 2004): a signature's position
//! along eight random directions, each in steps of one [`STEP`], names its bucket; four such tables.
//! In a bucket only those near each other along one more direction are compared.

use super::exact::Pictures;
use super::labels::Reconciled;
use super::signature::{DIRECTIONS, SIZE, Signature, directions};
use super::{All, Example};
use hw_core::Rng;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tables of buckets.
const TABLES: usize = 4;
/// Directions that name a bucket in one table.
const NAMING: usize = DIRECTIONS / TABLES;
/// Width of the steps along a direction; signatures have length 1.
const STEP: f32 = 0.9;
/// Comparisons a picture gets in one bucket at most, so that a set of one picture in a million
/// variants cannot take for ever.
const MOST_COMPARED: usize = 400;

/// Which pictures have near duplicates.
#[derive(Default)]
pub(super) struct Near {
    /// For each picture the parts with a near duplicate of it, one bit each; empty if not looked for.
    parts: Vec<u64>,
    /// For each picture the likest one, if any is like it enough.
    likest: Vec<Option<(f32, u32)>>,
    plain: usize,
}

impl Near {
    pub(super) fn find(all: &All<'_>, pictures: &Pictures, least: f32) -> Self {
        let directions = directions();
        let signed: Vec<Option<(Signature, [f32; DIRECTIONS])>> = (0..pictures.len())
            .into_par_iter()
            .map(|picture| {
                let image = pictures.images(picture)[0] as usize;
                let [_, height, width] = all.shape(image);
                let signature = Signature::of(all.pixels(image), height, width)?;
                let along = signature.along(&directions);
                Some((signature, along))
            })
            .collect();
        let plain = signed.iter().filter(|signed| signed.is_none()).count();
        let numbered: Vec<u32> = (0..pictures.len() as u32)
            .filter(|&p| signed[p as usize].is_some())
            .collect();
        let signed: Vec<(Signature, [f32; DIRECTIONS])> = signed.into_iter().flatten().collect();

        let search = Search {
            pictures,
            numbered: &numbered,
            signed: &signed,
            least,
            parts: (0..pictures.len()).map(|_| AtomicU64::new(0)).collect(),
            likest: (0..pictures.len()).map(|_| AtomicU64::new(0)).collect(),
        };
        (0..TABLES).for_each(|table| search.table(table));
        Self {
            parts: search
                .parts
                .into_iter()
                .map(AtomicU64::into_inner)
                .collect(),
            likest: search.likest.into_iter().map(unpack).collect(),
            plain,
        }
    }

    /// Whether a near duplicate of the picture is in the part.
    pub(super) fn is_in(&self, picture: usize, part: usize) -> bool {
        self.parts
            .get(picture)
            .is_some_and(|parts| parts >> part & 1 == 1)
    }

    pub(super) fn plain(&self) -> usize {
        self.plain
    }

    /// The likest pairs, those whose labels contradict each other and those whose labels agree; at
    /// most `most` of each, a picture in at most one pair.
    pub(super) fn examples(
        &self,
        all: &All<'_>,
        pictures: &Pictures,
        labels: &Reconciled,
        most: usize,
    ) -> (Vec<Example>, Vec<Example>) {
        let mut pairs: Vec<(f32, u32, u32)> = self
            .likest
            .iter()
            .zip(0u32..)
            .filter_map(|(likest, p)| likest.map(|(likeness, q)| (likeness, p.min(q), p.max(q))))
            .collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut used = BTreeSet::new();
        let (mut contradicting, mut agreeing) = (Vec::new(), Vec::new());
        for (likeness, p, q) in pairs {
            if contradicting.len() == most && agreeing.len() == most {
                break;
            }
            if used.contains(&p) || used.contains(&q) {
                continue;
            }
            used.extend([p, q]);
            let [first, second] = [p, q].map(|p| pictures.images(p as usize)[0] as usize);
            let labelled = |image: usize| (all.place(image).0, all.label(image));
            let list = match labels.contradict(labelled(first), labelled(second)) {
                true => &mut contradicting,
                false => &mut agreeing,
            };
            if list.len() < most {
                list.push(Example {
                    first: all.named(first),
                    second: all.named(second),
                    likeness,
                });
            }
        }
        (contradicting, agreeing)
    }
}

/// What is known while the tables are gone through.
struct Search<'a> {
    pictures: &'a Pictures,
    /// The picture of each signature.
    numbered: &'a [u32],
    signed: &'a [(Signature, [f32; DIRECTIONS])],
    least: f32,
    parts: Vec<AtomicU64>,
    likest: Vec<AtomicU64>,
}

impl Search<'_> {
    /// Compares what falls into one bucket of one table.
    fn table(&self, table: usize) {
        let mut rng = Rng::stream(0, "audit-table", table as u64);
        let offsets: [f32; NAMING] = std::array::from_fn(|_| rng.range(0.0, STEP));
        // The position along a direction of another table keeps neighbours together in a bucket.
        let beside = (table + 1) % TABLES * NAMING;
        let mut order: Vec<(u64, f32, u32)> = self
            .signed
            .par_iter()
            .zip(0..self.signed.len() as u32)
            .map(|((_, along), index)| {
                let named = &along[table * NAMING..][..NAMING];
                let steps = named.iter().zip(&offsets);
                let bucket = steps.fold(0u64, |name, (position, offset)| {
                    let step = ((position + offset) / STEP).floor() as i64 as u64;
                    (name.rotate_left(8) ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                });
                (bucket, along[beside], index)
            })
            .collect();
        order.par_sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
        });
        // Lengths of a difference of signatures this like: d² = 2 - 2 cos; 2.5 deviations are enough.
        let furthest = 2.5 * (2.0 - 2.0 * self.least).sqrt();
        (0..order.len()).into_par_iter().for_each(|i| {
            let (bucket, position, a) = order[i];
            for &(other, beyond, b) in order[i + 1..].iter().take(MOST_COMPARED) {
                if other != bucket || beyond - position > furthest {
                    break;
                }
                self.compare(a as usize, b as usize, beside);
            }
        });
    }

    fn compare(&self, a: usize, b: usize, beside: usize) {
        let ((one, along_one), (two, along_two)) = (&self.signed[a], &self.signed[b]);
        // The mean square of several projections estimates d² cheaply; four times it is let pass.
        let range = beside..beside + NAMING;
        let squares = along_one[range.clone()].iter().zip(&along_two[range]);
        let estimate: f32 = squares.map(|(p, q)| (p - q).powi(2)).sum::<f32>() / NAMING as f32;
        if estimate > 4.0 * (2.0 - 2.0 * self.least) {
            return;
        }
        let likeness = one.likeness(two);
        if likeness >= self.least {
            let [p, q] = [a, b].map(|index| self.numbered[index]);
            self.note(p, q, likeness);
            self.note(q, p, likeness);
        }
    }

    /// Both are maxima or unions, so the order of threads leaves no trace.
    fn note(&self, picture: u32, other: u32, likeness: f32) {
        let parts = self.pictures.parts(other as usize);
        self.parts[picture as usize].fetch_or(parts, Ordering::Relaxed);
        self.likest[picture as usize].fetch_max(pack(likeness, other), Ordering::Relaxed);
    }
}

/// Likeness above, picture below: positive floats are ordered like their bits, and of equal ones
/// the first picture is the larger number.
fn pack(likeness: f32, picture: u32) -> u64 {
    u64::from(likeness.min(1.0).to_bits()) << 32 | u64::from(!picture)
}

fn unpack(packed: AtomicU64) -> Option<(f32, u32)> {
    let packed = packed.into_inner();
    (packed > 0).then(|| (f32::from_bits((packed >> 32) as u32), !(packed as u32)))
}

const _: () = assert!(SIZE * 255 * 255 < i32::MAX as usize);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::glyphs::{GlyphConfig, generate};
    use crate::{DataDirs, Dataset, DatasetId, GlyphSet, Images, Split, load};

    /// The set, and again with a sensor's noise of deviation 8 in 255: the likeness of the two is near
    /// the default's 0.99, on either side.
    fn with_noisy_copies(set: &Dataset) -> Dataset {
        let mut rng = Rng::stream(4, "noise", 0);
        let mut noisy = |&v: &u8| (f32::from(v) + 8.0 * rng.normal()).clamp(0.0, 255.0) as u8;
        let copies: Vec<u8> = set.images.bytes().iter().map(&mut noisy).collect();
        let [channels, height, width] = set.images.shape();
        let pixels = [set.images.bytes(), &copies].concat();
        let images = Images::new(pixels, 2 * set.len(), channels, height, width).unwrap();
        let labels = set.labels.repeat(2);
        Dataset::new("noisy", set.split, images, labels, set.classes.clone()).unwrap()
    }

    /// Of the pictures that have a near duplicate by comparing every two of them, the share that the
    /// buckets find; and how many they find that have none.
    fn against_every_two(set: &Dataset) -> (f64, usize) {
        let least = 0.99;
        let parts = [with_noisy_copies(set)];
        let all = All::new(&parts);
        let pictures = Pictures::group(&all);
        let found = Near::find(&all, &pictures, least);
        let signatures: Vec<Option<Signature>> = (0..pictures.len())
            .map(|picture| {
                let image = pictures.images(picture)[0] as usize;
                let [_, height, width] = all.shape(image);
                Signature::of(all.pixels(image), height, width)
            })
            .collect();
        let alike = |a: usize, b: usize| match (&signatures[a], &signatures[b]) {
            (Some(one), Some(two)) => a != b && one.likeness(two) >= least,
            _ => false,
        };
        let has = |a: usize| (0..signatures.len()).any(|b| alike(a, b));
        let truth: Vec<bool> = (0..signatures.len()).into_par_iter().map(has).collect();
        let count = |wanted: [bool; 2]| {
            let both = truth.iter().enumerate();
            both.filter(|&(p, &t)| [t, found.is_in(p, 0)] == wanted)
                .count()
        };
        let (hits, missed) = (count([true, true]), count([true, false]));
        println!("{hits} found and {missed} missed of {}", truth.len());
        (hits as f64 / (hits + missed) as f64, count([false, true]))
    }

    #[test]
    fn buckets_find_most_of_what_comparing_every_two_glyphs_finds() {
        let config = GlyphConfig::default();
        let glyphs = generate(GlyphSet::All, Split::Train, 1_000, &config).unwrap();
        let (recall, wrong) = against_every_two(&glyphs);
        assert!(recall >= 0.98 && wrong == 0, "{recall} {wrong}");
    }

    #[test]
    fn buckets_find_most_of_what_comparing_every_two_images_of_mnist_finds() {
        let Some(root) = std::env::var_os("HW_DATA_DIR") else {
            return;
        };
        let dirs = DataDirs::only(root);
        let test = load(&DatasetId::Mnist, Split::Test, &dirs).unwrap();
        let (recall, wrong) = against_every_two(&test.subset(&Vec::from_iter(0..1_000)));
        assert!(recall >= 0.98 && wrong == 0, "{recall} {wrong}");
    }
}
