//! Which images to learn from and which to validate on, chosen by a seed.

use crate::DataError;
use hw_core::Rng;

/// Two disjoint lists of image indices that together are the list they were made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitIndices {
    /// Images to learn from.
    pub train: Vec<u32>,
    /// Images to validate on.
    pub validation: Vec<u32>,
}

/// The first `n` of the seeded shuffle of `indices` (all of them, shuffled, when there are fewer):
/// what `--limit n` means. A larger limit extends a smaller one.
pub fn limit(indices: &[u32], n: usize, seed: u64) -> Vec<u32> {
    let mut order = indices.to_vec();
    Rng::stream(seed, "limit", 0).shuffle(&mut order);
    order.truncate(n);
    order
}

impl SplitIndices {
    /// A random split: `fraction` of `indices`, rounded, becomes the validation set.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when `fraction` is not in `[0, 1)`.
    pub fn random(indices: &[u32], fraction: f64, seed: u64) -> Result<Self, DataError> {
        check_fraction(fraction)?;
        let mut train = indices.to_vec();
        Rng::stream(seed, "split", 0).shuffle(&mut train);
        let validation = train.split_off(train.len() - share(train.len(), fraction));
        Ok(Self { train, validation })
    }

    /// A split in which each class gives its share: class sizes in the validation set follow
    /// `fraction` by the method of largest remainders, so that they add up to the size
    /// [`SplitIndices::random`] would give. `labels` are those of the whole data set.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when `fraction` is not in `[0, 1)` or an index has no label.
    pub fn stratified(
        indices: &[u32],
        labels: &[u16],
        fraction: f64,
        seed: u64,
    ) -> Result<Self, DataError> {
        check_fraction(fraction)?;
        if let Some(bad) = indices.iter().find(|&&i| i as usize >= labels.len()) {
            let problem = format!("index {bad} has no label; there are {}", labels.len());
            return Err(DataError::invalid("stratified split", problem));
        }
        let mut order = indices.to_vec();
        Rng::stream(seed, "split", 0).shuffle(&mut order);
        let mut left = quotas(&order, labels, fraction);
        let mut split = Self {
            train: Vec::new(),
            validation: Vec::new(),
        };
        for index in order {
            let quota = &mut left[usize::from(labels[index as usize])];
            if *quota > 0 {
                *quota -= 1;
                split.validation.push(index);
            } else {
                split.train.push(index);
            }
        }
        Ok(split)
    }

    /// The same split with the training set cut to [`limit`]; the validation set stays.
    pub fn limit(self, n: usize, seed: u64) -> Self {
        Self {
            train: limit(&self.train, n, seed),
            validation: self.validation,
        }
    }
}

fn check_fraction(fraction: f64) -> Result<(), DataError> {
    if (0.0..1.0).contains(&fraction) {
        return Ok(());
    }
    let problem = format!("must be at least 0 and below 1, not {fraction}");
    Err(DataError::invalid("validation fraction", problem))
}

fn share(count: usize, fraction: f64) -> usize {
    (count as f64 * fraction).round() as usize
}

/// How many images of each class go to validation: the floor of each exact share, and one more for
/// the largest remainders (the lower label first among equals) until the total is right.
fn quotas(indices: &[u32], labels: &[u16], fraction: f64) -> Vec<usize> {
    let classes = labels
        .iter()
        .max()
        .map_or(0, |&label| usize::from(label) + 1);
    let mut counts = vec![0usize; classes];
    for &index in indices {
        counts[usize::from(labels[index as usize])] += 1;
    }
    let exact: Vec<f64> = counts.iter().map(|&c| c as f64 * fraction).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|&x| x.floor() as usize).collect();
    let missing = share(indices.len(), fraction).saturating_sub(quotas.iter().sum());
    let mut by_remainder: Vec<usize> = (0..classes).collect();
    by_remainder.sort_by(|&a, &b| {
        exact[b]
            .fract()
            .total_cmp(&exact[a].fract())
            .then(a.cmp(&b))
    });
    for &class in by_remainder.iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}
