//! `C` as raw memory that the tasks of one product share.

use std::ops::Range;

use super::product::Target;

/// A checked [`Target`], of which each task writes its own tiles.
#[derive(Clone, Copy)]
pub(super) struct Output {
    start: *mut f32,
    pub(super) row_stride: usize,
    /// No columns when all of `C` is one image: that spares a division per tile.
    columns_per_image: usize,
    image_stride: usize,
}

// SAFETY: tasks write disjoint tiles of `C`, and the exclusive borrow of it outlives them.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Output {
    /// The target of a product of `n` columns.
    pub(super) fn new(target: Target<'_>, n: usize) -> Self {
        let one_image = n <= target.columns_per_image;
        Self {
            start: target.data.as_mut_ptr(),
            row_stride: target.row_stride,
            columns_per_image: if one_image {
                0
            } else {
                target.columns_per_image
            },
            image_stride: target.image_stride,
        }
    }

    /// Where row 0 of some columns lies, if they are all in one image.
    pub(super) fn columns(&self, columns: &Range<usize>) -> Option<*mut f32> {
        let width = self.columns_per_image;
        if width == 0 {
            return Some(self.start.wrapping_add(columns.start));
        }
        let (image, column) = (columns.start / width, columns.start % width);
        let start = self.start.wrapping_add(image * self.image_stride + column);
        (column + columns.len() <= width).then_some(start)
    }

    /// Copies a tile out of `C`, row after row.
    ///
    /// # Safety
    /// The tile lies within `C`, and no other task has it.
    pub(super) unsafe fn gather(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        out: &mut [f32],
    ) {
        self.pieces(rows, columns, |start, range| {
            let out = &mut out[range];
            // SAFETY: `start` is the first of `range.len()` elements of C.
            unsafe { out.as_mut_ptr().copy_from_nonoverlapping(start, out.len()) }
        });
    }

    /// Copies a tile into `C`.
    ///
    /// # Safety
    /// As [`Output::gather`].
    pub(super) unsafe fn scatter(&self, rows: &Range<usize>, columns: &Range<usize>, tile: &[f32]) {
        self.pieces(rows, columns, |start, range| {
            let tile = &tile[range];
            // SAFETY: `start` is the first of `range.len()` elements of C.
            unsafe { start.copy_from_nonoverlapping(tile.as_ptr(), tile.len()) }
        });
    }

    /// Visits each run of a tile's elements that is contiguous in `C`: its start there, and its
    /// place in the tile.
    fn pieces(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        mut visit: impl FnMut(*mut f32, Range<usize>),
    ) {
        let width = self.columns_per_image;
        let mut column = columns.start;
        while column < columns.end {
            let end = columns.end.min((column / width + 1) * width);
            let first = (column / width) * self.image_stride + column % width;
            for row in rows.clone() {
                let start = self.start.wrapping_add(first + row * self.row_stride);
                let at = (row - rows.start) * columns.len() + column - columns.start;
                visit(start, at..at + end - column);
            }
            column = end;
        }
    }
}
