//! Seeds crossed with test images: every trained model answers the same images.
//!
//! The mean difference between two recipes then has two noises. Other seeds would give other models,
//! and other images another test set. With the difference on image i under seed s written as
//! `μ + seed(s) + image(i) + rest(s, i)`, S seeds and N images, its variance is
//! `σ²(seed)/S + σ²(image)/N + σ²(rest)/(S·N)`. The sample variance of the S differences, over S,
//! holds the first and the last part; [`Components::images`] is the middle one, free of the rest.
//!
//! [`HierarchicalBootstrap`] draws seeds and images again and needs no such model. In the limit of many
//! resamples it gives `(1 - 1/S)` of the seeds' part and counts the rest up to three times (Owen 2007,
//! "The pigeonhole bootstrap"). The components are the same without these two biases, so verdicts use
//! them, and the bootstrap checks them.

use super::binomial::multinomial;
use crate::error::EvalError;
use hw_core::Rng;
use serde::{Deserialize, Serialize};

/// Most seeds a side: one bit each.
const MOST_SEEDS: usize = 64;

/// Which models of two recipes, or of one, classified which test images correctly; images on which
/// all models did the same are kept once, with their count.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    patterns: Vec<Pattern>,
    images: u64,
    groups: Vec<Group>,
}

/// Seeds of both sides up to which patterns are counted in a table of all there could be; of more,
/// few occur, and sorting finds them.
const COUNTED_BITS: usize = 16;

/// Bit s is set if model s of the side was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    first: u64,
    second: u64,
    count: u64,
}

/// Seeds that are drawn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    kind: Kind,
    seeds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// First minus second, by seed.
    Differences,
    /// The first side alone.
    First,
    /// The second side alone, to be subtracted.
    Second,
}

impl Group {
    /// What seed `s` adds on an image: -1, 0 or 1.
    fn unit(&self, pattern: &Pattern, s: usize) -> i64 {
        let bit = |mask: u64| (mask >> s & 1) as i64;
        match self.kind {
            Kind::Differences => bit(pattern.first) - bit(pattern.second),
            Kind::First => bit(pattern.first),
            Kind::Second => -bit(pattern.second),
        }
    }

    /// The sum over seeds, seed s counted `weights[s]` times.
    fn sum(&self, pattern: &Pattern, weights: &[i64]) -> i64 {
        let seeds = weights.iter().enumerate();
        seeds
            .map(|(s, weight)| weight * self.unit(pattern, s))
            .sum()
    }
}

/// The variance of a mean difference (or mean), by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// Mean share of correct answers of the first side minus that of the second, if there is one.
    pub difference: f64,
    /// Variance of the difference from seeds, these images given: the sample variance of the seeds'
    /// values over their number, for each side (or for the pairs). `None` if a side has one seed.
    pub seeds: Option<f64>,
    /// Variance of the difference from the choice of images, beyond what `seeds` holds already; for a
    /// side of one seed the two cannot be told apart, and this holds both.
    pub images: f64,
    /// Part of `seeds` that comes from single images answered differently under different seeds:
    /// `σ²(rest)/(S·N)`, added over the sides; 0 for a side of one seed.
    pub rest: f64,
}

impl Crossed {
    /// Two recipes under the same seeds: `first[s]` and `second[s]` share their seed. Each entry says
    /// which images were classified correctly, in the test set's order.
    ///
    /// # Errors
    /// No seed, more than 64, not as many on both sides, fewer than two images, or entries that differ
    /// in length.
    pub fn paired(first: &[&[bool]], second: &[&[bool]]) -> Result<Self, EvalError> {
        if first.len() != second.len() {
            return Err(EvalError::Length {
                what: "seeds of the second recipe",
                expected: first.len(),
                got: second.len(),
            });
        }
        Self::new(first, second, &[(Kind::Differences, first.len())])
    }

    /// Two recipes under seeds that have nothing to do with each other, on the same images.
    ///
    /// # Errors
    /// As [`Crossed::paired`], but the sides may have different numbers of seeds.
    pub fn separate(first: &[&[bool]], second: &[&[bool]]) -> Result<Self, EvalError> {
        let groups = [(Kind::First, first.len()), (Kind::Second, second.len())];
        Self::new(first, second, &groups)
    }

    /// One recipe.
    ///
    /// # Errors
    /// As [`Crossed::paired`].
    pub fn alone(first: &[&[bool]]) -> Result<Self, EvalError> {
        Self::new(first, &[], &[(Kind::First, first.len())])
    }

    fn new(
        first: &[&[bool]],
        second: &[&[bool]],
        groups: &[(Kind, usize)],
    ) -> Result<Self, EvalError> {
        for &(_, seeds) in groups {
            if seeds == 0 || seeds > MOST_SEEDS {
                return Err(EvalError::OutOfRange {
                    what: "the number of seeds crossed with images",
                    value: seeds as f64,
                    expected: "from 1 to 64",
                });
            }
        }
        let images = first[0].len();
        if images < 2 {
            return Err(EvalError::TooFew {
                what: "the noise of a test set",
                needed: 2,
                got: images,
            });
        }
        let masks = (masks(first, images)?, masks(second, images)?);
        let group = |&(kind, seeds): &(Kind, usize)| Group { kind, seeds };
        Ok(Self {
            patterns: patterns(&masks.0, &masks.1, first.len(), second.len()),
            images: images as u64,
            groups: groups.iter().map(group).collect(),
        })
    }

    /// Number of images.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// The variance of the mean difference, by where it comes from.
    pub fn components(&self) -> Components {
        let n = self.images as f64;
        let groups: Vec<GroupSums> = self.groups.iter().map(|group| self.sums(group)).collect();
        // The images' means over seeds, both sides together.
        let mean = |pattern: &Pattern| -> f64 {
            let parts = self.groups.iter().map(|group| {
                (0..group.seeds)
                    .map(|s| group.unit(pattern, s))
                    .sum::<i64>() as f64
                    / group.seeds as f64
            });
            parts.sum()
        };
        let difference: f64 = groups.iter().map(|group| group.mean).sum();
        let square = |p: &Pattern| p.count as f64 * (mean(p) - difference).powi(2);
        let between: f64 = self.patterns.iter().map(square).sum();
        let rest: f64 = groups.iter().filter_map(|group| group.rest).sum();
        let seeds: Option<f64> = groups.iter().map(|group| group.seeds).sum();
        Components {
            difference,
            seeds,
            images: (between / (n * (n - 1.0)) - rest).max(0.0),
            rest,
        }
    }

    fn sums(&self, group: &Group) -> GroupSums {
        let (n, count) = (self.images as f64, group.seeds as f64);
        let over_images = |value: &dyn Fn(&Pattern) -> f64| {
            let weighted = |power| {
                let parts = self.patterns.iter();
                parts
                    .map(|p| p.count as f64 * value(p).powi(power))
                    .sum::<f64>()
            };
            let mean = weighted(1) / n;
            (mean, weighted(2) - n * mean * mean)
        };
        let seeds: Vec<(f64, f64)> = (0..group.seeds)
            .map(|s| over_images(&|p: &Pattern| group.unit(p, s) as f64))
            .collect();
        let ones = vec![1; group.seeds];
        let (mean, of_means) = over_images(&|p: &Pattern| group.sum(p, &ones) as f64 / count);
        let several = group.seeds > 1;
        let spread: f64 = seeds.iter().map(|(m, _)| (m - mean).powi(2)).sum();
        let within: f64 = seeds.iter().map(|(_, squares)| squares).sum();
        // Squares that neither the seed nor the image explains.
        let left = (within - count * of_means).max(0.0);
        GroupSums {
            mean,
            seeds: several.then(|| spread / (count - 1.0) / count),
            rest: several.then(|| left / ((count - 1.0) * (n - 1.0)) / (count * n)),
        }
    }
}

struct GroupSums {
    mean: f64,
    /// Variance of the mean from seeds; `None` for one seed.
    seeds: Option<f64>,
    /// σ²(rest)/(S·N); `None` for one seed.
    rest: Option<f64>,
}

fn masks(side: &[&[bool]], images: usize) -> Result<Vec<u64>, EvalError> {
    let mut masks = vec![0u64; images];
    for (s, correct) in side.iter().enumerate() {
        if correct.len() != images {
            return Err(EvalError::Length {
                what: "answers of a model to the test images",
                expected: images,
                got: correct.len(),
            });
        }
        for (mask, &right) in masks.iter_mut().zip(*correct) {
            *mask |= u64::from(right) << s;
        }
    }
    Ok(masks)
}

/// The different patterns and how many images have each, in their order.
fn patterns(first: &[u64], second: &[u64], bits: usize, more_bits: usize) -> Vec<Pattern> {
    let pairs = first.iter().copied().zip(second.iter().copied());
    if bits + more_bits <= COUNTED_BITS {
        let mut table = vec![0u64; 1 << (bits + more_bits)];
        for (first, second) in pairs {
            table[(first << more_bits | second) as usize] += 1;
        }
        let filled = (0u64..).zip(table).filter(|(_, count)| *count > 0);
        let pattern = |(both, count): (u64, u64)| Pattern {
            first: both >> more_bits,
            second: both & ((1 << more_bits) - 1),
            count,
        };
        return filled.map(pattern).collect();
    }
    let mut pairs: Vec<(u64, u64)> = pairs.collect();
    pairs.sort_unstable();
    let pattern = |same: &[(u64, u64)]| Pattern {
        first: same[0].0,
        second: same[0].1,
        count: same.len() as u64,
    };
    pairs.chunk_by(|a, b| a == b).map(pattern).collect()
}

/// The crossed bootstrap over seeds and images: seeds are drawn again, images are drawn again, one
/// draw of images for all seeds. The deviation that the seeds bring is widened by `sqrt(S/(S-1))`,
/// without which three seeds would look a third less noisy than they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HierarchicalBootstrap {
    /// Number of resamples; 1000 give the standard error to about 2 %.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl HierarchicalBootstrap {
    /// The difference in each resample, in order.
    pub fn replicates(&self, crossed: &Crossed) -> Vec<f64> {
        let ones: Vec<Vec<i64>> = crossed.groups.iter().map(|g| vec![1; g.seeds]).collect();
        let whole = Bins::of(crossed, &ones);
        let means = whole.group_means(&whole.counts, crossed);
        let mut rng = Rng::stream(self.seed, "hierarchical bootstrap", 0);
        let mut drawn = Vec::new();
        (0..self.resamples)
            .map(|_| {
                let weights: Vec<Vec<i64>> = crossed
                    .groups
                    .iter()
                    .map(|group| draw_seeds(&mut rng, group.seeds))
                    .collect();
                let bins = Bins::of(crossed, &weights);
                multinomial(&mut rng, &bins.counts, &mut drawn);
                let on_all = bins.group_means(&bins.counts, crossed);
                let on_drawn = bins.group_means(&drawn, crossed);
                let parts = crossed.groups.iter().enumerate().map(|(g, group)| {
                    let widen = match group.seeds {
                        1 => 1.0,
                        s => (s as f64 / (s as f64 - 1.0)).sqrt(),
                    };
                    means[g] + widen * (on_all[g] - means[g]) + (on_drawn[g] - on_all[g])
                });
                parts.sum()
            })
            .collect()
    }

    /// The standard deviation of the resampled differences: the standard error of the difference.
    ///
    /// # Errors
    /// Fewer than two resamples.
    pub fn standard_error(&self, crossed: &Crossed) -> Result<f64, EvalError> {
        super::sample_std(&self.replicates(crossed))
    }
}

/// How often each of `seeds` seeds is drawn.
fn draw_seeds(rng: &mut Rng, seeds: usize) -> Vec<i64> {
    let mut weights = vec![0; seeds];
    for _ in 0..seeds {
        weights[rng.below(seeds)] += 1;
    }
    weights
}

/// Images by the sums of their weighted seeds: given the seeds drawn there are few different ones,
/// which makes drawing images cheap.
struct Bins {
    /// The sum of each group, bin by bin.
    sums: Vec<Vec<i64>>,
    counts: Vec<u64>,
}

impl Bins {
    fn of(crossed: &Crossed, weights: &[Vec<i64>]) -> Self {
        // A group's sum lies in -seeds..=seeds.
        let sizes: Vec<usize> = crossed.groups.iter().map(|g| 2 * g.seeds + 1).collect();
        let mut table = vec![0u64; sizes.iter().product()];
        for pattern in &crossed.patterns {
            let place = crossed
                .groups
                .iter()
                .zip(weights)
                .fold(0, |place, (group, w)| {
                    let sum = group.sum(pattern, w) + group.seeds as i64;
                    place * (2 * group.seeds + 1) + sum as usize
                });
            table[place] += pattern.count;
        }
        let filled = table.iter().enumerate().filter(|(_, count)| **count > 0);
        let (mut sums, mut counts) = (Vec::new(), Vec::new());
        for (place, &count) in filled {
            let (mut place, mut of_groups) = (place, vec![0; sizes.len()]);
            for (g, size) in sizes.iter().enumerate().rev() {
                of_groups[g] = (place % size) as i64 - crossed.groups[g].seeds as i64;
                place /= size;
            }
            sums.push(of_groups);
            counts.push(count);
        }
        Self { sums, counts }
    }

    /// Each group's mean over images counted `counts` times.
    fn group_means(&self, counts: &[u64], crossed: &Crossed) -> Vec<f64> {
        let mean = |(g, group): (usize, &Group)| {
            let weighted = self.sums.iter().zip(counts);
            let sum: i64 = weighted.map(|(sums, &count)| sums[g] * count as i64).sum();
            sum as f64 / (group.seeds as f64 * crossed.images as f64)
        };
        crossed.groups.iter().enumerate().map(mean).collect()
    }
}
