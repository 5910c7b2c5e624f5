//! Operands packed once for many products.

use std::ops::Range;

use super::pack::{PackSource, Panel, Stored, pack};
use super::product::{SPLIT_K, columns_per_panel, rows_per_panel};
use super::scratch::Aligned;
use super::simd::Simd;
use super::split::Split;

/// Which side of the product an operand is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Lhs,
    Rhs,
}

/// An operand packed once, for use in many products.
///
/// Pass it (or a reference) where a product takes its `A` ([`Packed::lhs`]) or its `B`
/// ([`Packed::rhs`]). The layout belongs to the instruction set it was packed for.
#[derive(Clone)]
pub struct Packed {
    data: Aligned,
    pub(super) side: Side,
    pub(super) lanes: usize,
    pub(super) k: usize,
    pub(super) simd: Simd,
}

impl Packed {
    /// Packs `A[m, k]` of a product.
    ///
    /// # Panics
    /// When `a` is [`Strided`] and too short.
    pub fn lhs(m: usize, k: usize, a: &impl PackSource) -> Self {
        Self::new(Simd::detect(), Side::Lhs, m, k, a)
    }

    /// Packs `B[k, n]` of a product.
    ///
    /// # Panics
    /// When `b` is [`Strided`] and too short.
    pub fn rhs(k: usize, n: usize, b: &impl PackSource) -> Self {
        Self::new(Simd::detect(), Side::Rhs, n, k, b)
    }

    /// The same operand, packed for the instruction set `simd`.
    pub(super) fn new(
        simd: Simd,
        side: Side,
        lanes: usize,
        k: usize,
        source: &impl PackSource,
    ) -> Self {
        if let Stored::Strided(strided) = source.stored() {
            strided.check(lanes, k, "the operand to pack");
        }
        let mut packed = Self {
            data: Aligned::default(),
            side,
            lanes,
            k,
            simd,
        };
        packed.data = Aligned::zeroed(packed.width() * k);
        packed.fill(source);
        packed
    }

    /// Packs again into the same memory: for weights that change between two uses.
    ///
    /// # Panics
    /// When `source` is [`Strided`] and too short.
    pub fn refill(&mut self, source: &impl PackSource) {
        if let Stored::Strided(strided) = source.stored() {
            strided.check(self.lanes, self.k, "the operand to pack");
        }
        self.fill(source);
    }

    fn fill(&mut self, source: &impl PackSource) {
        for k in Split::at_most(self.k, SPLIT_K).parts() {
            for lanes in self.panels() {
                let stride = match self.side {
                    Side::Lhs => lanes.len(),
                    Side::Rhs => columns_per_panel(self.simd),
                };
                let range = self.range(&lanes, &k, stride);
                let out = &mut self.data.as_mut_slice()[range];
                pack(source, self.simd, lanes, k.clone(), stride, out);
            }
        }
    }

    /// Lanes including the padding of the last panel.
    fn width(&self) -> usize {
        match self.side {
            Side::Lhs => self.lanes,
            Side::Rhs => self.lanes.next_multiple_of(columns_per_panel(self.simd)),
        }
    }

    fn panels(&self) -> Vec<Range<usize>> {
        match self.side {
            Side::Lhs => Split::at_most(self.lanes, rows_per_panel(self.simd))
                .parts()
                .collect(),
            Side::Rhs => {
                let step = columns_per_panel(self.simd);
                (0..self.lanes)
                    .step_by(step)
                    .map(|j| j..(j + step).min(self.lanes))
                    .collect()
            }
        }
    }

    fn range(&self, lanes: &Range<usize>, k: &Range<usize>, stride: usize) -> Range<usize> {
        let start = self.width() * k.start + lanes.start * k.len();
        start..start + stride * k.len()
    }

    /// The panel of `lanes` and `k`, which must be one of the operand's own.
    pub(super) fn panel(&self, lanes: &Range<usize>, k: &Range<usize>, stride: usize) -> &[f32] {
        &self.data.as_slice()[self.range(lanes, k, stride)]
    }
}

impl PackSource for Packed {
    /// # Panics
    /// Always: a packed operand is read where it is.
    fn pack_panel(&self, _: &Panel, _: &mut [f32]) {
        unreachable!("gemm: a packed operand is not packed again");
    }

    fn stored(&self) -> Stored<'_> {
        Stored::Packed(self)
    }
}
