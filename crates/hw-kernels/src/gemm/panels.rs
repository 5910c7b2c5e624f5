//! Where the micro-kernel reads its panels: packed before, in place, or packed into scratch.

use std::ops::Range;

use super::drive::Job;
use super::pack::{PackSource, Stored, Strided, pack};
use super::tile::Kernels;

/// An operand is read in place, not packed, when it would be read at most this many times.
const READS_IN_PLACE: usize = 8;
/// Rows of `B` whose distance is a multiple of this many floats share few cache sets, ...
const COMPETING: usize = 256;
/// ... so that no more of them than this are read in place.
const FEW_ROWS: usize = 32;

/// Where one task finds its panels.
pub(super) struct Places<'s> {
    /// The operand in memory, if it is read there.
    pub(super) a_in_place: Option<Strided<'s>>,
    pub(super) b_in_place: Option<Strided<'s>>,
    pub(super) a_scratch: &'s mut [f32],
    pub(super) b_scratch: &'s mut [f32],
    /// Room for one tile of `C`.
    pub(super) tile: &'s mut [f32],
}

/// A panel as the micro-kernel reads it, and the distance to the next of two panels of `B`.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) start: *const f32,
    pub(super) lane_stride: usize,
    pub(super) k_stride: usize,
    pub(super) panel_stride: usize,
}

impl<K: Kernels, A: PackSource, B: PackSource> Job<'_, K, A, B> {
    /// Packs some panels of `A`, one after the other, unless they can be read where they are.
    pub(super) fn pack_rows(
        &self,
        k: &Range<usize>,
        panels: &Range<usize>,
        places: &mut Places<'_>,
    ) {
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
    pub(super) fn rows(
        &self,
        k: &Range<usize>,
        rows: &Range<usize>,
        at: usize,
        places: &Places<'_>,
    ) -> View {
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
    pub(super) fn columns(
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
    pub(super) fn part(&self, panel: usize) -> Range<usize> {
        panel * K::COLS..((panel + 1) * K::COLS).min(self.product.n)
    }

    /// Where the panel of `B` that starts at `column` will be read, if that is known, and the
    /// distance of its rows.
    pub(super) fn ahead(&self, k: &Range<usize>, column: usize) -> Option<(*const f32, usize)> {
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
pub(super) fn a_in_place(a: &impl PackSource, reads: usize) -> Option<Strided<'_>> {
    match a.stored() {
        Stored::Strided(a) if reads <= READS_IN_PLACE => {
            (a.lane_stride == 1 || a.k_stride == 1).then_some(a)
        }
        _ => None,
    }
}

/// As [`a_in_place`], for `B`: unless its rows compete for the same places in the cache.
pub(super) fn b_in_place(b: &impl PackSource, reads: usize, depth: usize) -> Option<Strided<'_>> {
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
