//! The loops around the micro-kernel (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015):
//! which panels are packed when, and which tiles a task computes.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::output::Output;
use super::pack::{PackSource, Stored, Strided, pack};
use super::product::{Product, SPLIT_K, Target};
use super::scratch::with_scratch;
use super::split::Split;
use super::tile::{Kernels, Tile};

/// Rows of `A` packed at a time: with [`SPLIT_K`] they take a part of a second-level cache.
const ROWS_AT_ONCE: usize = 448;
/// Columns of `B` packed at a time when several blocks of `A` need them.
const COLUMNS_AT_ONCE: usize = 2048;
/// An operand is read in place, not packed, when it would be read at most this many times.
const READS_IN_PLACE: usize = 8;
/// Rows of `B` whose distance is a multiple of this many floats share few cache sets, ...
const COMPETING: usize = 256;
/// ... so that no more of them than this are read in place.
const FEW_ROWS: usize = 32;
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

struct Job<'a, K, A, B> {
    product: &'a Product<'a>,
    a: &'a A,
    b: &'a B,
    c: Output,
    row_panels: Split,
    column_panels: usize,
    kernels: PhantomData<fn(K)>,
}

/// Where one task finds its panels.
struct Places<'s> {
    /// The operand in memory, if it is read there.
    a_in_place: Option<Strided<'s>>,
    b_in_place: Option<Strided<'s>>,
    a_scratch: &'s mut [f32],
    b_scratch: &'s mut [f32],
    tile: &'s mut [f32],
}

/// A panel as the micro-kernel reads it, and the distance to the next of two panels of `B`.
#[derive(Clone, Copy)]
struct View {
    start: *const f32,
    lane_stride: usize,
    k_stride: usize,
    panel_stride: usize,
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
                        self.pack_rows(&k, &row_block, &mut places);
                        let mut panel = column_block.start;
                        while panel < column_block.end {
                            let slot = if row_blocks.count > 1 {
                                panel - column_block.start
                            } else {
                                0
                            };
                            let end = self.next_panel(panel, column_block.end);
                            let b = self.columns(&k, panel..end, slot, pass == 0, &mut places);
                            // SAFETY: the caller's contract; the panels were just made ready.
                            unsafe { self.tiles(&k, &row_block, panel..end, b, &mut places) };
                            panel = end;
                        }
                    }
                }
            }
        });
    }

    /// The end of the panels of `B` that are used together: low tiles take two full ones.
    fn next_panel(&self, panel: usize, end: usize) -> usize {
        let two = panel + 2;
        let wide = self.product.m <= K::WIDE_ROWS && two <= end && two * K::COLS <= self.product.n;
        if wide { two } else { panel + 1 }
    }

    /// Packs some panels of `A`, one after the other, unless they can be read where they are.
    fn pack_rows(&self, k: &Range<usize>, panels: &Range<usize>, places: &mut Places<'_>) {
        if places.a_in_place.is_some() || matches!(self.a.stored(), Stored::Packed(_)) {
            return;
        }
        let mut rest = &mut *places.a_scratch;
        for panel in panels.clone() {
            let rows = self.row_panels.part(panel);
            let (out, after) = rest.split_at_mut(rows.len() * k.len());
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

    /// A panel of `A`, which is `at` floats into the scratch if it was packed there.
    fn rows(&self, k: &Range<usize>, rows: &Range<usize>, at: usize, places: &Places<'_>) -> View {
        let panel = match (self.a.stored(), places.a_in_place) {
            (Stored::Packed(packed), _) => packed.panel(rows, k, rows.len()),
            (_, Some(a)) => return a.view(rows.start, k.start, 0),
            _ => &places.a_scratch[at..],
        };
        View {
            start: panel.as_ptr(),
            lane_stride: 1,
            k_stride: rows.len(),
            panel_stride: 0,
        }
    }

    /// One or two panels of `B`, packed into their slot if they are `fresh` and need it.
    fn columns(
        &self,
        k: &Range<usize>,
        panels: Range<usize>,
        slot: usize,
        fresh: bool,
        places: &mut Places<'_>,
    ) -> View {
        let full = panels.end * K::COLS <= self.product.n;
        let packed = match (self.b.stored(), places.b_in_place) {
            (Stored::Packed(packed), _) => {
                packed.panel(&self.part(panels.start), k, panels.len() * K::COLS)
            }
            (_, Some(b)) if full => return b.view(panels.start * K::COLS, k.start, K::COLS),
            _ => {
                let size = k.len() * K::COLS;
                let slots = &mut places.b_scratch[slot * size..][..panels.len() * size];
                if fresh {
                    for (index, panel) in panels.enumerate() {
                        let out = &mut slots[index * size..][..size];
                        pack(
                            self.b,
                            self.product.simd,
                            self.part(panel),
                            k.clone(),
                            K::COLS,
                            out,
                        );
                    }
                }
                slots
            }
        };
        View {
            start: packed.as_ptr(),
            lane_stride: 1,
            k_stride: K::COLS,
            panel_stride: k.len() * K::COLS,
        }
    }

    /// The columns of a panel of `B`.
    fn part(&self, panel: usize) -> Range<usize> {
        panel * K::COLS..((panel + 1) * K::COLS).min(self.product.n)
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

    /// Where the panel of `B` that starts at `column` will be read, if that is known, and the
    /// distance of its rows.
    fn ahead(&self, k: &Range<usize>, column: usize) -> Option<(*const f32, usize)> {
        match self.b.stored() {
            Stored::Strided(b) if b.lane_stride == 1 => {
                let next = b.data.as_ptr().wrapping_add(k.start * b.k_stride + column);
                Some((next, b.k_stride))
            }
            _ => None,
        }
    }
}

/// `A`, if it is in memory in a form that the micro-kernel reads, and will be read so rarely that
/// packing would not pay.
fn a_in_place(a: &impl PackSource, reads: usize) -> Option<Strided<'_>> {
    match a.stored() {
        Stored::Strided(a) if reads <= READS_IN_PLACE => {
            (a.lane_stride == 1 || a.k_stride == 1).then_some(a)
        }
        _ => None,
    }
}

/// As [`a_in_place`], for `B`: unless its rows compete for the same places in the cache.
fn b_in_place(b: &impl PackSource, reads: usize, depth: usize) -> Option<Strided<'_>> {
    match b.stored() {
        Stored::Strided(b) if reads <= READS_IN_PLACE && b.lane_stride == 1 => {
            (depth <= FEW_ROWS || b.k_stride % COMPETING != 0).then_some(b)
        }
        _ => None,
    }
}

impl Strided<'_> {
    fn view(&self, lane: usize, k: usize, panel_stride: usize) -> View {
        View {
            start: self
                .data
                .as_ptr()
                .wrapping_add(lane * self.lane_stride + k * self.k_stride),
            lane_stride: self.lane_stride,
            k_stride: self.k_stride,
            panel_stride,
        }
    }
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
