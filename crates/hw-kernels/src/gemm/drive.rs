//! The loops around the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015):
//! which panels are packed when, and which tiles a task computes.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::{PackSource, Stored, pack};
use super::product::{Product, SPLIT_K, Target};
use super::scratch::with_scratch;
use super::split::Split;
use super::tile::{Kernels, Tile};

/// Rows of `A` packed at a time: with [`SPLIT_K`] they take half of a second-level cache.
const ROWS_AT_ONCE: usize = 896;
/// Columns of `B` packed at a time when several blocks of `A` need them.
const COLUMNS_AT_ONCE: usize = 2048;
/// `B` is read in place, not packed, when it is used by at most this many panels of `A`.
const DIRECT_PANELS: usize = 2;
/// A parallel task computes at least about this many multiplications, ...
const TASK_WORK: usize = 1 << 21;
/// ... and no more tasks than this are made.
const MOST_TASKS: usize = 64;

/// Computes the product, in one task or in many.
///
/// # Safety
/// The operands and the target fit the product, none of whose dimensions `m` and `n` is 0, and the
/// processor has the instructions of `K`.
pub(super) unsafe fn run<K: Kernels>(
    product: &Product<'_>,
    a: &impl PackSource,
    b: &impl PackSource,
    c: Target<'_>,
    parallel: bool,
) {
    let job = Job::<K, _, _> {
        product,
        a,
        b,
        c: Output {
            start: c.data.as_mut_ptr(),
            row_stride: c.row_stride,
            columns_per_image: c.columns_per_image,
            image_stride: c.image_stride,
        },
        row_panels: Split::at_most(product.m, K::ROWS),
        column_panels: product.n.div_ceil(K::COLS),
        kernels: std::marker::PhantomData,
    };
    let (rows, columns) = if parallel { job.grid() } else { (1, 1) };
    let rows = Split {
        total: job.row_panels.count,
        count: rows,
    };
    let columns = Split {
        total: job.column_panels,
        count: columns,
    };
    // SAFETY: the caller's contract; the tasks' tiles are disjoint.
    let task = |index: usize| unsafe {
        job.block(
            rows.part(index / columns.count),
            columns.part(index % columns.count),
        );
    };
    match rows.count * columns.count {
        1 => task(0),
        tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
    }
}

/// `C` as the tasks share it: each writes its own tiles.
#[derive(Clone, Copy)]
struct Output {
    start: *mut f32,
    row_stride: usize,
    columns_per_image: usize,
    image_stride: usize,
}

// SAFETY: tasks write disjoint tiles of `C`, and the exclusive borrow of it outlives them.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

struct Job<'a, K, A, B> {
    product: &'a Product<'a>,
    a: &'a A,
    b: &'a B,
    c: Output,
    row_panels: Split,
    column_panels: usize,
    kernels: std::marker::PhantomData<fn(K)>,
}

/// A panel of `B` as the micro-kernel reads it.
#[derive(Clone, Copy)]
struct ColumnPanel {
    start: *const f32,
    stride: usize,
}

impl<K: Kernels, A: PackSource, B: PackSource> Job<'_, K, A, B> {
    /// Tasks along the rows and along the columns; depends on the product alone. Columns are cut
    /// first: packing `A` again is cheaper than packing `B` again when `A` is the smaller.
    fn grid(&self) -> (usize, usize) {
        let Product { m, n, k, .. } = *self.product;
        let work = m.saturating_mul(n).saturating_mul(k.max(1));
        let tasks = (work / TASK_WORK).clamp(1, MOST_TASKS);
        let (mut rows, mut columns) = (1, 1);
        while rows * columns < tasks {
            let (height, width) = (m / rows, n / columns);
            if width >= height && 2 * columns <= self.column_panels {
                columns *= 2;
            } else if 2 * rows <= self.row_panels.count {
                rows *= 2;
            } else if 2 * columns <= self.column_panels {
                columns *= 2;
            } else {
                break;
            }
        }
        (rows, columns)
    }

    /// Computes the tiles of some panels of rows and columns, over all of `k`.
    ///
    /// # Safety
    /// As [`run`]; no one else touches these tiles of `C`.
    unsafe fn block(&self, rows: Range<usize>, columns: Range<usize>) {
        let row_blocks = Split::at_most(rows.len(), (ROWS_AT_ONCE / K::ROWS).max(1));
        // Only when a second block of rows will need them are more panels of `B` kept than one.
        let kept = if row_blocks.count == 1 {
            1
        } else {
            (COLUMNS_AT_ONCE / K::COLS).max(1)
        };
        let column_blocks = match row_blocks.count {
            1 => Split {
                total: columns.len(),
                count: 1,
            },
            _ => Split::at_most(columns.len(), kept),
        };
        let depth = self.product.k.min(SPLIT_K);
        let a_len = (ROWS_AT_ONCE.min(rows.len() * K::ROWS) * depth).next_multiple_of(16);
        let b_len = kept.min(columns.len()) * K::COLS * depth;
        with_scratch(a_len + b_len + K::ROWS * K::COLS, |scratch| {
            let (a_scratch, rest) = scratch.split_at_mut(a_len);
            let (b_scratch, tile) = rest.split_at_mut(b_len);
            for k in Split::at_most(self.product.k, SPLIT_K).parts() {
                for column_block in column_blocks.parts() {
                    for (pass, row_block) in row_blocks.parts().enumerate() {
                        let panels = shifted(&row_block, rows.start);
                        self.pack_rows(&k, &panels, a_scratch);
                        for (slot, j) in shifted(&column_block, columns.start).enumerate() {
                            let slot = if kept == 1 {
                                0
                            } else {
                                slot * K::COLS * k.len()
                            };
                            let slot = &mut b_scratch[slot..];
                            // SAFETY: the caller's contract.
                            unsafe {
                                let b = self.column_panel(&k, j, slot, pass == 0);
                                self.column_of_tiles(&k, &panels, j, a_scratch, b, tile);
                            }
                        }
                    }
                }
            }
        });
    }

    /// Packs some panels of `A`, one after the other, unless they are packed already.
    fn pack_rows(&self, k: &Range<usize>, panels: &Range<usize>, out: &mut [f32]) {
        if matches!(self.a.stored(), Stored::Packed(_)) {
            return;
        }
        let mut rest = out;
        for panel in panels.clone() {
            let rows = self.row_panels.part(panel);
            let (out, after) = std::mem::take(&mut rest).split_at_mut(rows.len() * k.len());
            pack(
                self.a,
                self.product.simd,
                rows.clone(),
                k.clone(),
                rows.len(),
                out,
            );
            rest = after;
        }
    }

    fn columns(&self, panel: usize) -> Range<usize> {
        panel * K::COLS..((panel + 1) * K::COLS).min(self.product.n)
    }

    /// Panel `panel` of `B`: where it lies if it can be read there, else packed into `slot`.
    fn column_panel(
        &self,
        k: &Range<usize>,
        panel: usize,
        slot: &mut [f32],
        fresh: bool,
    ) -> ColumnPanel {
        let columns = self.columns(panel);
        match self.b.stored() {
            Stored::Packed(packed) => {
                let start = packed.panel(&columns, k, K::COLS).as_ptr();
                return ColumnPanel {
                    start,
                    stride: K::COLS,
                };
            }
            Stored::Strided(b)
                if b.lane_stride == 1
                    && columns.len() == K::COLS
                    && self.row_panels.count <= DIRECT_PANELS =>
            {
                let first = columns.start + k.start * b.k_stride;
                return ColumnPanel {
                    start: b.data[first..].as_ptr(),
                    stride: b.k_stride,
                };
            }
            _ => {}
        }
        let out = &mut slot[..k.len() * K::COLS];
        if fresh {
            pack(self.b, self.product.simd, columns, k.clone(), K::COLS, out);
        }
        ColumnPanel {
            start: out.as_ptr(),
            stride: K::COLS,
        }
    }

    /// All tiles of one panel of `B` with some panels of `A`.
    ///
    /// # Safety
    /// As [`Job::block`]; `a` holds the packed `panels`, if `A` was not packed before.
    unsafe fn column_of_tiles(
        &self,
        k: &Range<usize>,
        panels: &Range<usize>,
        column: usize,
        a: &[f32],
        b: ColumnPanel,
        temporary: &mut [f32],
    ) {
        let first_row = self.row_panels.part(panels.start).start;
        for panel in panels.clone() {
            let rows = self.row_panels.part(panel);
            let a = match self.a.stored() {
                Stored::Packed(packed) => packed.panel(&rows, k, rows.len()),
                _ => &a[(rows.start - first_row) * k.len()..],
            };
            // SAFETY: the caller's contract.
            unsafe { self.tile(k, rows, self.columns(column), a.as_ptr(), b, temporary) };
        }
    }

    /// One tile; by way of `temporary` when its columns lie in different images.
    ///
    /// # Safety
    /// As [`Job::block`].
    unsafe fn tile(
        &self,
        k: &Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
        a: *const f32,
        b: ColumnPanel,
        temporary: &mut [f32],
    ) {
        let product = self.product;
        let last = k.end == product.k;
        let bias = |bias: Option<&[f32]>, start: usize| match bias {
            Some(bias) if last => bias[start..].as_ptr(),
            _ => std::ptr::null(),
        };
        let mut tile = Tile {
            depth: k.len(),
            a,
            b: b.start,
            b_stride: b.stride,
            c: std::ptr::null_mut(),
            c_stride: self.c.row_stride,
            rows: rows.len(),
            cols: columns.len(),
            alpha: product.alpha,
            beta: if k.start == 0 { product.beta } else { 1.0 },
            row_bias: bias(product.row_bias, rows.start),
            col_bias: bias(product.column_bias, columns.start),
            relu: product.relu && last,
        };
        let width = self.c.columns_per_image;
        // SAFETY: the tile lies within C; `temporary` holds a whole tile.
        unsafe {
            if columns.start / width == (columns.end - 1) / width {
                tile.c = self.c.at(rows.start, columns.start);
                K::tile(&tile);
                return;
            }
            tile.c = temporary.as_mut_ptr();
            tile.c_stride = K::COLS;
            if tile.beta != 0.0 {
                self.c.gather(&rows, &columns, temporary, K::COLS);
            }
            K::tile(&tile);
            self.c.scatter(&rows, &columns, temporary, K::COLS);
        }
    }
}

impl Output {
    /// Where `C[row, column]` lies.
    unsafe fn at(&self, row: usize, column: usize) -> *mut f32 {
        let (image, column) = (
            column / self.columns_per_image,
            column % self.columns_per_image,
        );
        // SAFETY: the caller asks for an element of C.
        unsafe {
            self.start
                .add(image * self.image_stride + row * self.row_stride + column)
        }
    }

    /// Copies a tile out of `C`.
    unsafe fn gather(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        out: &mut [f32],
        stride: usize,
    ) {
        self.pieces(rows, columns, |i, j, at, len| {
            let out = &mut out[i * stride + j..][..len];
            // SAFETY: `at` is the start of `len` elements of C.
            unsafe { out.as_mut_ptr().copy_from_nonoverlapping(at, len) }
        });
    }

    /// Copies a tile into `C`.
    unsafe fn scatter(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        tile: &[f32],
        stride: usize,
    ) {
        self.pieces(rows, columns, |i, j, at, len| {
            let tile = &tile[i * stride + j..][..len];
            // SAFETY: `at` is the start of `len` elements of C.
            unsafe { at.copy_from_nonoverlapping(tile.as_ptr(), len) }
        });
    }

    /// Calls `visit(row in tile, column in tile, start in C, length)` for each run of elements.
    fn pieces(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        mut visit: impl FnMut(usize, usize, *mut f32, usize),
    ) {
        let mut column = columns.start;
        while column < columns.end {
            let image_end = (column / self.columns_per_image + 1) * self.columns_per_image;
            let end = columns.end.min(image_end);
            for row in rows.clone() {
                // SAFETY: the tile lies within C.
                let at = unsafe { self.at(row, column) };
                visit(row - rows.start, column - columns.start, at, end - column);
            }
            column = end;
        }
    }
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
