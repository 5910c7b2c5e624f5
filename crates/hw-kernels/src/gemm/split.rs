//! Even cuts of a range, which depend on its length alone.

use std::ops::Range;

/// `0..total` cut into `count` parts whose lengths differ by at most one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) total: usize,
    pub(super) count: usize,
}

impl Split {
    /// The fewest parts of at most `most` each; one empty part for an empty range.
    pub(super) fn at_most(total: usize, most: usize) -> Self {
        Self {
            total,
            count: total.div_ceil(most).max(1),
        }
    }

    /// Part `index < count`.
    pub(super) fn part(self, index: usize) -> Range<usize> {
        self.start(index)..self.start(index + 1)
    }

    /// All parts in order.
    pub(super) fn parts(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count).map(move |index| self.part(index))
    }

    fn start(self, index: usize) -> usize {
        // Without overflow: index * total / count.
        let (each, extra) = (self.total / self.count, self.total % self.count);
        each * index + extra * index / self.count
    }
}
