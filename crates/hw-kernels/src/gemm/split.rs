//! Even cuts of a range, which depend on its length alone.

use std::ops::Range;

/// A range from 0 cut into `count` parts whose lengths differ by at most one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    each: usize,
    /// The first parts that are one longer than `each`.
    longer: usize,
    pub(super) count: usize,
}

impl Split {
    /// `0..total` in `count > 0` parts.
    pub(super) fn into(total: usize, count: usize) -> Self {
        Self {
            each: total / count,
            longer: total % count,
            count,
        }
    }

    /// `0..total` in the fewest parts of at most `most` each; one empty part for an empty range.
    pub(super) fn at_most(total: usize, most: usize) -> Self {
        Self::into(total, total.div_ceil(most).max(1))
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
        self.each * index + self.longer.min(index)
    }
}
