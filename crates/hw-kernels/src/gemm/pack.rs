//! Panels: the layout in which the micro-kernel reads its operands, and the sources that fill them.

use std::ops::Range;

use super::packed::Packed;
use super::simd::{Level, Simd};
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Vector};

/// The part of an operand that goes into one panel.
///
/// `lane` numbers the rows of `A` or the columns of `B`, `k` the index that is summed over. The
/// element of `lanes.start + j` and `k.start + p` belongs at `out[p * stride + j]`.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The rows of `A`, or columns of `B`, in the panel.
    pub lanes: Range<usize>,
    /// The indices summed over.
    pub k: Range<usize>,
    /// Distance in `out` from one `k` to the next; at least `lanes.len()`.
    pub stride: usize,
    simd: Simd,
}

/// Something whose elements can be copied into panels: a matrix in memory, or one that only exists
/// while it is packed, such as the patches of an image (`im2col`).
///
/// ```
/// use hw_kernels::gemm::{PackSource, Panel, Product, Strided, Target};
///
/// /// The windows of 3 samples in a signal, as the columns of a matrix.
/// struct Windows<'a>(&'a [f32]);
///
/// impl PackSource for Windows<'_> {
///     fn pack_panel(&self, panel: &Panel, out: &mut [f32]) {
///         for (k, row) in panel.k.clone().zip(out.chunks_mut(panel.stride)) {
///             let samples = &self.0[panel.lanes.start + k..panel.lanes.end + k];
///             row[..samples.len()].copy_from_slice(samples);
///         }
///     }
/// }
///
/// // A convolution with two filters, without a copy of the windows.
/// let filters = [1., 1., 1., -1., 0., 1.];
/// let mut maps = [0.0; 6];
/// let product = Product::new(2, 3, 3);
/// product.run(Strided::lhs(&filters, (3, 1)), Windows(&[1., 2., 4., 8., 16.]), Target::rows(&mut maps, 3));
/// assert_eq!(maps, [7., 14., 28., 3., 6., 12.]);
/// ```
pub trait PackSource: Sync {
    /// Writes the elements of `panel` to `out`, which has `panel.k.len() * panel.stride` floats.
    ///
    /// Every element in `panel.lanes` must be written. What lies between the lanes and the stride
    /// is already zero and should stay so.
    fn pack_panel(&self, panel: &Panel, out: &mut [f32]);

    /// How the operand is kept, where that is of use to the product.
    #[doc(hidden)]
    fn stored(&self) -> Stored<'_> {
        Stored::Nowhere
    }
}

/// See [`PackSource::stored`].
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Stored<'a> {
    /// Only the source itself knows.
    Nowhere,
    /// In memory, with strides.
    Strided(Strided<'a>),
    /// In panels already.
    Packed(&'a Packed),
}

impl<S: PackSource + ?Sized> PackSource for &S {
    fn pack_panel(&self, panel: &Panel, out: &mut [f32]) {
        (**self).pack_panel(panel, out);
    }

    fn stored(&self) -> Stored<'_> {
        (**self).stored()
    }
}

/// A matrix in memory with any strides.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    pub(super) data: &'a [f32],
    pub(super) lane_stride: usize,
    pub(super) k_stride: usize,
}

impl<'a> Strided<'a> {
    /// `A[i, p] = data[i * strides.0 + p * strides.1]`.
    pub fn lhs(data: &'a [f32], strides: (usize, usize)) -> Self {
        Self {
            data,
            lane_stride: strides.0,
            k_stride: strides.1,
        }
    }

    /// `B[p, j] = data[p * strides.0 + j * strides.1]`.
    pub fn rhs(data: &'a [f32], strides: (usize, usize)) -> Self {
        Self {
            data,
            lane_stride: strides.1,
            k_stride: strides.0,
        }
    }

    /// Panics unless `lanes` x `k` elements lie within the data.
    pub(super) fn check(&self, lanes: usize, k: usize, operand: &str) {
        if lanes == 0 || k == 0 {
            return;
        }
        let last = (lanes - 1)
            .checked_mul(self.lane_stride)
            .zip((k - 1).checked_mul(self.k_stride))
            .and_then(|(lane, k)| lane.checked_add(k));
        assert!(
            last.is_some_and(|last| last < self.data.len()),
            "gemm: {operand} has {} elements, too few for {lanes} lanes (stride {}) by k = {k} (stride {})",
            self.data.len(),
            self.lane_stride,
            self.k_stride,
        );
    }
}

impl PackSource for Strided<'_> {
    fn pack_panel(&self, panel: &Panel, out: &mut [f32]) {
        let (lanes, depth) = (panel.lanes.len(), panel.k.len());
        if lanes == 0 || depth == 0 {
            return;
        }
        let first = panel.lanes.start * self.lane_stride + panel.k.start * self.k_stride;
        let source = &self.data[first..];
        Self {
            data: source,
            ..*self
        }
        .check(lanes, depth, "the source of a panel");
        assert!(
            lanes <= panel.stride && out.len() >= depth * panel.stride,
            "gemm: panel too small"
        );
        let copy = StridedCopy {
            from: source.as_ptr(),
            lane_stride: self.lane_stride,
            k_stride: self.k_stride,
            to: out.as_mut_ptr(),
            stride: panel.stride,
            lanes,
            depth,
        };
        // SAFETY: source and panel hold `lanes` x `depth` elements (checked above), and a `Simd` is
        // only made on a processor that has its instructions.
        unsafe { copy.run(panel.simd.level()) }
    }

    fn stored(&self) -> Stored<'_> {
        Stored::Strided(*self)
    }
}

/// A strided copy into a panel, by raw pointers: `to[p * stride + j] = from[j, p]`.
struct StridedCopy {
    from: *const f32,
    lane_stride: usize,
    k_stride: usize,
    to: *mut f32,
    stride: usize,
    lanes: usize,
    depth: usize,
}

impl StridedCopy {
    /// # Safety
    /// Both sides hold `lanes` x `depth` elements; the processor has the level's instructions.
    unsafe fn run(&self, level: Level) {
        // SAFETY: passed on.
        unsafe {
            match (level, self.lane_stride, self.k_stride) {
                (Level::Portable, 1, _) => self.rows::<Portable>(),
                #[cfg(target_arch = "x86_64")]
                (Level::Avx2, 1, _) => self.rows_avx2(),
                #[cfg(target_arch = "x86_64")]
                (Level::Avx512, 1, _) => self.rows_avx512(),
                #[cfg(target_arch = "x86_64")]
                (Level::Avx2 | Level::Avx512, _, 1) => self.transpose_avx2(),
                _ => self.elements(),
            }
        }
    }

    /// Any strides.
    unsafe fn elements(&self) {
        for p in 0..self.depth {
            for j in 0..self.lanes {
                // SAFETY: `p < depth` and `j < lanes`.
                unsafe {
                    *self.to.add(p * self.stride + j) =
                        *self.from.add(j * self.lane_stride + p * self.k_stride);
                }
            }
        }
    }

    /// Lanes next to each other: one row after the other.
    #[inline(always)]
    unsafe fn rows<V: Vector>(&self) {
        let whole = self.lanes / V::LANES * V::LANES;
        for p in 0..self.depth {
            // SAFETY: each access is to `lanes` floats of row `p`.
            unsafe {
                let from = self.from.add(p * self.k_stride);
                let to = self.to.add(p * self.stride);
                for j in (0..whole).step_by(V::LANES) {
                    V::load(from.add(j)).store(to.add(j));
                }
                if whole < self.lanes {
                    let rest = self.lanes - whole;
                    V::load_first(from.add(whole), rest).store_first(to.add(whole), rest);
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn rows_avx2(&self) {
        // SAFETY: the caller's contract.
        unsafe { self.rows::<Avx2>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn rows_avx512(&self) {
        // SAFETY: the caller's contract.
        unsafe { self.rows::<Avx512>() }
    }

    /// `k` next to each other: blocks of 8 lanes by 8 `k`, transposed in registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transpose_avx2(&self) {
        for j in (0..self.lanes).step_by(8) {
            let lanes = (self.lanes - j).min(8);
            for p in (0..self.depth).step_by(8) {
                let depth = (self.depth - p).min(8);
                // SAFETY: the block lies within both sides.
                unsafe {
                    let from = self.from.add(j * self.lane_stride + p);
                    let to = self.to.add(p * self.stride + j);
                    let mut rows = [Avx2::splat(0.0); 8];
                    if lanes == 8 && depth == 8 {
                        for r in 0..8 {
                            rows[r] = Avx2::load(from.add(r * self.lane_stride));
                        }
                        let columns = Avx2::transpose(rows);
                        for q in 0..8 {
                            columns[q].store(to.add(q * self.stride));
                        }
                    } else {
                        for r in 0..lanes {
                            rows[r] = Avx2::load_first(from.add(r * self.lane_stride), depth);
                        }
                        let columns = Avx2::transpose(rows);
                        for q in 0..depth {
                            columns[q].store_first(to.add(q * self.stride), lanes);
                        }
                    }
                }
            }
        }
    }
}

/// Fills one panel from `source`, zeros between the lanes and the stride.
pub(super) fn pack(
    source: &impl PackSource,
    simd: Simd,
    lanes: Range<usize>,
    k: Range<usize>,
    stride: usize,
    out: &mut [f32],
) {
    if lanes.len() < stride {
        out.fill(0.0);
    }
    source.pack_panel(
        &Panel {
            lanes,
            k,
            stride,
            simd,
        },
        out,
    );
}
