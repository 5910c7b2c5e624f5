//! The loops around the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015):
//! which panels are packed when, and which tiles a task computes.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::output::Output;
use super::pack::PackSource;
use super::panels::{Places, View, a_in_place, b_in_place};
use super::product::{Product, SPLIT_K, Target};
use super::scratch::with_scratch;
use super::split::Split;
use super::tile::{Kernels, Tile};

/// Rows of `A` packed at a time: with [`SPLIT_K`] they take a part of a second-level cache.
const ROWS_AT_ONCE: usize = 448;
/// Columns of `B` packed at a time when several blocks of `A` need them.
const COLUMNS_AT_ONCE: usize = 2048;
/// A parallel task computes at least about this many multiplications.
const TASK_WORK: usize = 1 << 20;
const TASKS_PER_THREAD: usize = 4;
/// Packing an element takes the time of about this many multiplications.
const PACKING: f64 = 16.0;
/// The part of a task's time by which threads are expected to end at different times.
const UNEVENNESS: f64 = 0.1;

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
        c: Output::new(c, product.n),
        row_panels: Split::at_most(product.m, K::ROWS),
        column_panels: product.n.div_ceil(K::COLS),
        kernels: PhantomData,
    };
    let alone = !parallel || rayon::current_num_threads() == 1;
    let (rows, columns) = if alone { (1, 1) } else { job.grid() };
    let rows = Split::into(job.row_panels.count, rows);
    let columns = Split::into(job.column_panels, columns);
    let task = |index: usize| {
        let (row, column) = (index / columns.count, index % columns.count);
        // SAFETY: the caller's contract; the tasks' tiles are disjoint.
        unsafe { job.block(rows.part(row), columns.part(column)) };
    };
    match rows.count * columns.count {
        1 => task(0),
        tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
    }
}

/// A product and how it is cut into panels.
pub(super) struct Job<'a, K, A, B> {
    pub(super) product: &'a Product<'a>,
    pub(super) a: &'a A,
    pub(super) b: &'a B,
    c: Output,
    pub(super) row_panels: Split,
    column_panels: usize,
    kernels: PhantomData<fn(K)>,
}

/// What a sweep over the columns does with the slots for packed panels of `B`.
#[derive(Clone, Copy, PartialEq)]
enum Slots {
    /// Packs each panel into the first slots, which stay in the nearest cache.
    Reused,
    /// Packs each panel into a slot of its own, for later sweeps.
    Filled,
    /// Finds the panels of an earlier sweep.
    Ready,
}

impl<K: Kernels, A: PackSource, B: PackSource> Job<'_, K, A, B> {
    /// Into how many tasks the panels of rows and of columns are cut, for the current pool. No
    /// element's bits depend on it.
    fn grid(&self) -> (usize, usize) {
        let threads = rayon::current_num_threads();
        let (rows, columns) = (self.row_panels.count, self.column_panels);
        let work = self
            .product
            .m
            .saturating_mul(self.product.n)
            .saturating_mul(self.product.k);
        let most = (work / TASK_WORK).clamp(1, TASKS_PER_THREAD * threads);
        let grids =
            (1..=most.min(rows)).flat_map(|r| (1..=columns.min(most / r)).map(move |c| (r, c)));
        // The time until the last task ends, in multiplications of one `k`.
        let time = |&(r, c): &(usize, usize)| {
            let height = (rows.div_ceil(r) * K::ROWS) as f64;
            let width = (columns.div_ceil(c) * K::COLS) as f64;
            let waves = (r * c).div_ceil(threads) as f64 + UNEVENNESS;
            waves * (height * width + PACKING * (height + width))
        };
        grids
            .min_by(|x, y| time(x).total_cmp(&time(y)))
            .unwrap_or((1, 1))
    }

    /// Computes the tiles of some panels of rows and columns, over all of `k`.
    ///
    /// # Safety
    /// As [`run`]; no one else touches these tiles of `C`.
    unsafe fn block(&self, rows: Range<usize>, columns: Range<usize>) {
        let row_blocks = Split::at_most(rows.len(), (ROWS_AT_ONCE / K::ROWS).max(1));
        // Panels of `B` are kept only if a second block of rows will need them.
        let (kept, at_once) = match row_blocks.count {
            1 => (2, columns.len()),
            _ => (COLUMNS_AT_ONCE / K::COLS, COLUMNS_AT_ONCE / K::COLS),
        };
        let column_blocks = Split::at_most(columns.len(), at_once);
        let depth = self.product.k.min(SPLIT_K);
        let a_len = (ROWS_AT_ONCE.min(rows.len() * K::ROWS) * depth).next_multiple_of(16);
        let b_len = kept.min(columns.len()) * K::COLS * depth;
        with_scratch(a_len + b_len + K::TILE, |scratch| {
            let (a_scratch, rest) = scratch.split_at_mut(a_len);
            let (b_scratch, tile) = rest.split_at_mut(b_len);
            let mut places = Places {
                a_in_place: a_in_place(self.a, columns.len()),
                b_in_place: b_in_place(self.b, rows.len(), depth),
                a_scratch,
                b_scratch,
                tile,
            };
            for k in Split::at_most(self.product.k, SPLIT_K).parts() {
                for column_block in column_blocks.parts() {
                    let column_block = shifted(&column_block, columns.start);
                    for (pass, row_block) in row_blocks.parts().enumerate() {
                        let row_block = shifted(&row_block, rows.start);
                        let b = match (pass, row_blocks.count) {
                            (_, 1) => Slots::Reused,
                            (0, _) => Slots::Filled,
                            _ => Slots::Ready,
                        };
                        self.pack_rows(&k, &row_block, &mut places);
                        // SAFETY: the caller's contract; the panels of `A` are ready.
                        unsafe { self.sweep(&k, &row_block, &column_block, b, &mut places) };
                    }
                }
            }
        });
    }

    /// Computes the tiles of a block of rows with a block of columns, for one block of `k`.
    ///
    /// # Safety
    /// As [`Job::block`]; the panels of `A` are where [`Job::rows`] finds them.
    unsafe fn sweep(
        &self,
        k: &Range<usize>,
        rows: &Range<usize>,
        columns: &Range<usize>,
        slots: Slots,
        places: &mut Places<'_>,
    ) {
        let mut panel = columns.start;
        while panel < columns.end {
            let slot = if slots == Slots::Reused {
                0
            } else {
                panel - columns.start
            };
            let panels = panel..self.next_panel(panel, columns.end);
            panel = panels.end;
            let b = self.columns(k, panels.clone(), slot, slots != Slots::Ready, places);
            // SAFETY: the caller's contract; the panels of `B` were just made ready.
            unsafe { self.tiles(k, rows, panels, b, places) };
        }
    }

    /// The end of the panels of `B` that are used together: low tiles take two full ones.
    fn next_panel(&self, panel: usize, end: usize) -> usize {
        let two = panel + 2;
        let wide = self.product.m <= K::WIDE_ROWS && two <= end && two * K::COLS <= self.product.n;
        if wide { two } else { panel + 1 }
    }

    /// All tiles of some panels of `A` with one or two of `B`.
    ///
    /// # Safety
    /// As [`Job::block`]; the panels are where [`Job::rows`] finds them and `b` says.
    unsafe fn tiles(
        &self,
        k: &Range<usize>,
        row_panels: &Range<usize>,
        column_panels: Range<usize>,
        b: View,
        places: &mut Places<'_>,
    ) {
        let Product {
            alpha,
            beta,
            relu,
            row_bias,
            column_bias,
            ..
        } = *self.product;
        let columns = self.part(column_panels.start).start..self.part(column_panels.end - 1).end;
        let last = k.end == self.product.k;
        let bias = |bias: Option<&[f32]>, start: usize| match bias {
            Some(bias) if last => bias[start..].as_ptr(),
            _ => std::ptr::null(),
        };
        let (mut ahead, mut ahead_stride) = self.ahead(k, columns.end).unwrap_or((b.start, 0));
        let target = self.c.columns(&columns);
        let first = self.row_panels.part(row_panels.start).start;
        for panel in row_panels.clone() {
            let rows = self.row_panels.part(panel);
            let a = self.rows(k, &rows, (rows.start - first) * k.len(), places);
            let mut tile = Tile {
                depth: k.len(),
                a: a.start,
                a_strides: (a.lane_stride, a.k_stride),
                b: b.start,
                b_stride: b.k_stride,
                b_panel: b.panel_stride,
                ahead,
                ahead_stride,
                c: std::ptr::null_mut(),
                c_stride: self.c.row_stride,
                rows: rows.len(),
                cols: columns.len(),
                alpha,
                beta: if k.start == 0 { beta } else { 1.0 },
                row_bias: bias(row_bias, rows.start),
                col_bias: bias(column_bias, columns.start),
                relu: relu && last,
            };
            // SAFETY: the tile lies within C, its operands were made ready by the caller, and
            // `places.tile` holds a whole tile.
            unsafe {
                match target {
                    Some(target) => {
                        tile.c = target.add(rows.start * self.c.row_stride);
                        K::tile(&tile);
                    }
                    None => {
                        tile.c = places.tile.as_mut_ptr();
                        tile.c_stride = columns.len();
                        if tile.beta != 0.0 {
                            self.c.gather(&rows, &columns, places.tile);
                        }
                        K::tile(&tile);
                        self.c.scatter(&rows, &columns, places.tile);
                    }
                }
            }
            (ahead, ahead_stride) = (b.start, 0);
        }
    }
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
