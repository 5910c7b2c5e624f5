//! A product to compute: shapes, scaling and epilogue, checked before anything runs.

use super::drive;
use super::pack::{PackSource, Stored};
use super::packed::{Packed, Side};
use super::simd::{Level, Simd};
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2Kernels, Avx512Kernels};
use super::tile::{Kernels, PortableKernels};

/// Longest block of `k`. A panel of `B` of this depth stays in the first-level cache. The sums of
/// a product depend on this number and on `k`, and on no other choice.
pub(super) const SPLIT_K: usize = 256;

/// `C = relu(alpha A B + beta C + bias)`, for `A` of `m x k` and `B` of `k x n`.
///
/// Bias and ReLU are left out unless asked for; `alpha` is 1 and `beta` is 0 unless set.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) row_bias: Option<&'a [f32]>,
    pub(super) column_bias: Option<&'a [f32]>,
    pub(super) relu: bool,
    pub(super) simd: Simd,
}

impl<'a> Product<'a> {
    /// The product of an `m x k` and a `k x n` matrix.
    pub fn new(m: usize, n: usize, k: usize) -> Self {
        Self {
            m,
            n,
            k,
            alpha: 1.0,
            beta: 0.0,
            row_bias: None,
            column_bias: None,
            relu: false,
            simd: Simd::detect(),
        }
    }

    /// Multiplies the sums by `alpha`.
    pub fn alpha(self, alpha: f32) -> Self {
        Self { alpha, ..self }
    }

    /// Adds `beta` times the previous `C`; with 0, `C` is only written, never read.
    pub fn beta(self, beta: f32) -> Self {
        Self { beta, ..self }
    }

    /// Adds `bias[i]` to row `i` of `C`.
    pub fn row_bias(self, bias: &'a [f32]) -> Self {
        Self {
            row_bias: Some(bias),
            ..self
        }
    }

    /// Adds `bias[j]` to column `j` of `C`.
    pub fn column_bias(self, bias: &'a [f32]) -> Self {
        Self {
            column_bias: Some(bias),
            ..self
        }
    }

    /// Replaces negative results by 0, after everything else.
    pub fn relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Uses the instructions of `simd` instead of the best there are.
    pub fn simd(self, simd: Simd) -> Self {
        Self { simd, ..self }
    }

    /// Computes the product on the calling thread.
    ///
    /// # Panics
    /// When an operand, a bias or the target does not fit the product's shape, or an operand was
    /// packed for another shape, side or instruction set.
    pub fn run(&self, a: impl PackSource, b: impl PackSource, c: Target<'_>) {
        self.dispatch(&a, &b, c, false);
    }

    /// As [`Product::run`], bit for bit, on the current rayon pool.
    ///
    /// # Panics
    /// As [`Product::run`].
    pub fn par_run(&self, a: impl PackSource, b: impl PackSource, c: Target<'_>) {
        self.dispatch(&a, &b, c, true);
    }

    fn dispatch(&self, a: &impl PackSource, b: &impl PackSource, c: Target<'_>, parallel: bool) {
        self.check(Side::Lhs, self.m, a);
        self.check(Side::Rhs, self.n, b);
        self.check_bias(self.row_bias, self.m);
        self.check_bias(self.column_bias, self.n);
        c.check(self.m, self.n);
        if self.m == 0 || self.n == 0 {
            return;
        }
        // SAFETY: the shapes were checked, and a `Simd` is only made where its instructions exist.
        unsafe {
            match self.simd.level() {
                Level::Portable => drive::run::<PortableKernels>(self, a, b, c, parallel),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => drive::run::<Avx2Kernels>(self, a, b, c, parallel),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => drive::run::<Avx512Kernels>(self, a, b, c, parallel),
            }
        }
    }

    fn check(&self, side: Side, lanes: usize, operand: &impl PackSource) {
        match operand.stored() {
            Stored::Nowhere => {}
            Stored::Strided(strided) => strided.check(lanes, self.k, side.name()),
            Stored::Packed(packed) => self.check_packed(side, lanes, packed),
        }
    }

    fn check_packed(&self, side: Side, lanes: usize, packed: &Packed) {
        let is = (packed.side, packed.lanes, packed.k, packed.simd);
        let should = (side, lanes, self.k, self.simd);
        assert!(
            is == should,
            "gemm: {} packed as {is:?}, the product needs {should:?}",
            side.name()
        );
    }

    fn check_bias(&self, bias: Option<&[f32]>, lanes: usize) {
        if let Some(bias) = bias {
            assert_eq!(bias.len(), lanes, "gemm: a bias for {lanes} lanes");
        }
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Lhs => "A",
            Self::Rhs => "B",
        }
    }
}

/// Where `C` is written: rows with a stride, whose columns may be cut into images.
#[derive(Debug)]
pub struct Target<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) row_stride: usize,
    pub(super) columns_per_image: usize,
    pub(super) image_stride: usize,
}

impl<'a> Target<'a> {
    /// `C[i, j] = data[i * row_stride + j]`.
    pub fn rows(data: &'a mut [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            columns_per_image: usize::MAX,
            image_stride: 0,
        }
    }

    /// Column `j` is column `j % columns` of image `j / columns`, and images are `image_stride`
    /// apart: `C[i, j] = data[(j / columns) * image_stride + i * row_stride + j % columns]`.
    ///
    /// With `row_stride = columns` and `image_stride = m * columns` this is a batch of images in
    /// NCHW order, computed by one product.
    pub fn images(
        data: &'a mut [f32],
        row_stride: usize,
        columns: usize,
        image_stride: usize,
    ) -> Self {
        Self {
            data,
            row_stride,
            columns_per_image: columns,
            image_stride,
        }
    }

    /// Panics unless all elements lie within the data, no two in the same place.
    fn check(&self, m: usize, n: usize) {
        if m == 0 || n == 0 {
            return;
        }
        assert!(
            self.columns_per_image > 0,
            "gemm: images of C without columns"
        );
        let width = n.min(self.columns_per_image);
        let images = n.div_ceil(self.columns_per_image);
        assert!(
            m == 1 || self.row_stride >= width,
            "gemm: rows of C overlap"
        );
        let image = (m - 1)
            .checked_mul(self.row_stride)
            .and_then(|rows| rows.checked_add(width));
        let end = image.zip((images - 1).checked_mul(self.image_stride));
        let end = end.and_then(|(image, images)| image.checked_add(images));
        assert!(
            images == 1 || image.is_some_and(|image| image <= self.image_stride),
            "gemm: images of C overlap"
        );
        assert!(
            end.is_some_and(|end| end <= self.data.len()),
            "gemm: C has {} elements, too few for {m} x {n} (row stride {})",
            self.data.len(),
            self.row_stride,
        );
    }
}

/// Most rows of a panel of `A`.
pub(super) fn rows_per_panel(simd: Simd) -> usize {
    match simd.level() {
        Level::Portable => PortableKernels::ROWS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Avx2Kernels::ROWS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Avx512Kernels::ROWS,
    }
}

/// Columns of a panel of `B`.
pub(super) fn columns_per_panel(simd: Simd) -> usize {
    match simd.level() {
        Level::Portable => PortableKernels::COLS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Avx2Kernels::COLS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Avx512Kernels::COLS,
    }
}
