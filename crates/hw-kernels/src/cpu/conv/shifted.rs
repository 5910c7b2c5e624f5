//! The two inner loops of convolution with stride 1, on maps kept at the width of their padded
//! input.
//!
//! At that width ("pitch") the input under tap (i, j) of all windows is one contiguous run: the
//! input map from position `i * pitch + j` on. So a convolution is a matrix product whose right
//! operand need not be built: its row for tap k is the input shifted by `offsets[k]`. The few
//! outputs at the end of each row whose windows wrap around are computed and ignored.

use crate::cpu::parallel::part;
use crate::cpu::simd::{Isa, Portable, Vector};

/// Rows are written, and inputs read, in whole runs of this many floats.
pub(super) const RUN: usize = 16;

/// `out[m][p] = start[m] + Σ_k a[m][k] b[offsets[k] + p]` for all `p < width`.
pub(super) struct Product<'a> {
    /// `[rows, offsets.len()]`
    pub(super) a: &'a [f32],
    pub(super) rows: usize,
    /// Readable up to the largest offset plus `width` rounded up to [`RUN`].
    pub(super) b: &'a [f32],
    pub(super) offsets: &'a [usize],
    pub(super) width: usize,
    /// One value per row, or zeros.
    pub(super) start: Option<&'a [f32]>,
}

impl Product<'_> {
    /// Computes into `out`, whose rows are `stride` apart and are written up to `width` rounded up
    /// to [`RUN`].
    pub(super) fn run(&self, out: &mut [f32], stride: usize) {
        let reach = self.width.next_multiple_of(RUN);
        let furthest = self.offsets.iter().max().copied().unwrap_or(0);
        assert!(self.rows > 0 && self.a.len() >= self.rows * self.offsets.len());
        assert!(self.b.len() >= furthest + reach && stride >= reach);
        assert!(out.len() >= (self.rows - 1) * stride + reach);
        assert!(self.start.is_none_or(|start| start.len() == self.rows));
        // SAFETY (all three): `Isa` names instruction sets this machine has; the assertions above
        // are what `tiles` asks for.
        match Isa::current() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { product_avx512(self, out, stride) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { product_avx2(self, out, stride) },
            _ => unsafe { self.tiles::<Portable, 3, 2>(out, stride) },
        }
    }

    /// # Safety
    /// `V`'s instruction set, and the lengths [`Product::run`] asserts.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const ROWS: usize, const WIDE: usize>(
        &self,
        out: &mut [f32],
        stride: usize,
    ) {
        let reach = self.width.next_multiple_of(RUN);
        let mut p = 0;
        while p + WIDE * V::LANES <= reach {
            // SAFETY: as this function's.
            unsafe { self.rows_at::<V, ROWS, WIDE>(p, out, stride) };
            p += WIDE * V::LANES;
        }
        while p < reach {
            // SAFETY: as this function's; LANES divides RUN.
            unsafe { self.rows_at::<V, ROWS, 1>(p, out, stride) };
            p += V::LANES;
        }
    }

    /// # Safety
    /// As [`Product::tiles`], with `p + WIDE * LANES` within reach.
    #[inline(always)]
    unsafe fn rows_at<V: Vector, const ROWS: usize, const WIDE: usize>(
        &self,
        p: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let tiles = self.rows.div_ceil(ROWS);
        for tile in 0..tiles {
            let rows = part(self.rows, tiles, tile);
            let (m, out) = (rows.start, &mut out[rows.start * stride + p..]);
            // SAFETY: as this function's, for the rows of this tile.
            unsafe {
                match rows.len() {
                    1 => self.tile::<V, 1, WIDE>(m, p, out, stride),
                    2 => self.tile::<V, 2, WIDE>(m, p, out, stride),
                    3 => self.tile::<V, 3, WIDE>(m, p, out, stride),
                    4 if ROWS > 3 => self.tile::<V, 4, WIDE>(m, p, out, stride),
                    5 if ROWS > 3 => self.tile::<V, 5, WIDE>(m, p, out, stride),
                    6 if ROWS > 3 => self.tile::<V, 6, WIDE>(m, p, out, stride),
                    _ => unreachable!("tiles have one to ROWS rows"),
                }
            }
        }
    }

    /// Rows `m..m + ROWS`, positions `p..p + WIDE * LANES`, all sums in registers.
    ///
    /// # Safety
    /// As [`Product::rows_at`], for these rows; `out` starts at the tile.
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const WIDE: usize>(
        &self,
        m: usize,
        p: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let taps = self.offsets.len();
        // SAFETY: every pointer stays within the lengths `run` asserted.
        unsafe {
            let mut sums: [[V; WIDE]; ROWS] = std::array::from_fn(|row| {
                [V::splat(
                    self.start
                        .map_or(0.0, |start| *start.get_unchecked(m + row)),
                ); WIDE]
            });
            let (a, b) = (self.a.as_ptr().add(m * taps), self.b.as_ptr().add(p));
            for (k, &offset) in self.offsets.iter().enumerate() {
                let inputs: [V; WIDE] =
                    std::array::from_fn(|i| V::load(b.add(offset + i * V::LANES)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.add(row * taps + k));
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = input.mul_add(factor, *sum);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                for (i, sum) in sums.into_iter().enumerate() {
                    sum.store(out.as_mut_ptr().add(row * stride + i * V::LANES));
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn product_avx512(product: &Product, out: &mut [f32], stride: usize) {
    // SAFETY: the features are enabled here, the lengths are the caller's promise.
    unsafe { product.tiles::<std::arch::x86_64::__m512, 6, 4>(out, stride) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn product_avx2(product: &Product, out: &mut [f32], stride: usize) {
    // SAFETY: as above.
    unsafe { product.tiles::<std::arch::x86_64::__m256, 6, 2>(out, stride) }
}

/// `sums[m][k] += Σ_image Σ_p g[image][m][p] b[image][offsets[k] + p]` for all `p < width`.
pub(super) struct Dots<'a> {
    /// Row `m` of image `i` starts at `i * g_image + m * g_stride`; zero from `width` up to the
    /// next multiple of [`RUN`].
    pub(super) g: &'a [f32],
    pub(super) g_image: usize,
    pub(super) g_stride: usize,
    pub(super) rows: usize,
    /// Image `i` starts at `i * b_image`; finite and readable up to the largest offset plus
    /// `width` rounded up to [`RUN`].
    pub(super) b: &'a [f32],
    pub(super) b_image: usize,
    pub(super) offsets: &'a [usize],
    pub(super) width: usize,
    pub(super) images: usize,
}

impl Dots<'_> {
    /// Adds to `sums [rows, offsets.len()]`.
    pub(super) fn run(&self, sums: &mut [f32]) {
        if self.images == 0 {
            return;
        }
        let reach = self.width.next_multiple_of(RUN);
        let furthest = self.offsets.iter().max().copied().unwrap_or(0);
        let last = self.images - 1;
        assert!(self.rows > 0 && !self.offsets.is_empty());
        assert!(self.g.len() >= last * self.g_image + (self.rows - 1) * self.g_stride + reach);
        assert!(self.b.len() >= last * self.b_image + furthest + reach);
        assert!(sums.len() >= self.rows * self.offsets.len());
        // SAFETY (all three): as in `Product::run`.
        match Isa::current() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { dots_avx512(self, sums) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { dots_avx2(self, sums) },
            _ => unsafe { self.tiles::<Portable, 2, 2>(sums) },
        }
    }

    /// # Safety
    /// `V`'s instruction set, and the lengths [`Dots::run`] asserts.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const ROWS: usize, const TAPS: usize>(&self, sums: &mut [f32]) {
        let tiles = self.rows.div_ceil(ROWS);
        for tile in 0..tiles {
            let rows = part(self.rows, tiles, tile);
            let m = rows.start;
            for k in (0..self.offsets.len()).step_by(TAPS) {
                // SAFETY: as this function's.
                unsafe {
                    match rows.len() {
                        1 => self.tile::<V, 1, TAPS>(m, k, sums),
                        2 => self.tile::<V, 2, TAPS>(m, k, sums),
                        3 if ROWS > 2 => self.tile::<V, 3, TAPS>(m, k, sums),
                        4 if ROWS > 3 => self.tile::<V, 4, TAPS>(m, k, sums),
                        5 if ROWS > 3 => self.tile::<V, 5, TAPS>(m, k, sums),
                        _ => unreachable!("tiles have one to ROWS rows"),
                    }
                }
            }
        }
    }

    /// Rows `m..m + ROWS` against taps `k..k + TAPS`; past the last tap, that tap is repeated and
    /// its sum dropped.
    ///
    /// # Safety
    /// As [`Dots::tiles`].
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const TAPS: usize>(
        &self,
        m: usize,
        k: usize,
        sums: &mut [f32],
    ) {
        let count = self.offsets.len();
        let offsets: [usize; TAPS] = std::array::from_fn(|i| self.offsets[(k + i).min(count - 1)]);
        // SAFETY: every pointer stays within the lengths `run` asserted.
        unsafe {
            let mut totals = [[V::splat(0.0); TAPS]; ROWS];
            for image in 0..self.images {
                let g = self
                    .g
                    .as_ptr()
                    .add(image * self.g_image + m * self.g_stride);
                let b = self.b.as_ptr().add(image * self.b_image);
                for p in (0..self.width).step_by(V::LANES) {
                    let inputs: [V; TAPS] = std::array::from_fn(|i| V::load(b.add(offsets[i] + p)));
                    for (row, totals) in totals.iter_mut().enumerate() {
                        let factor = V::load(g.add(row * self.g_stride + p));
                        for (total, input) in totals.iter_mut().zip(inputs) {
                            *total = input.mul_add(factor, *total);
                        }
                    }
                }
            }
            for (row, totals) in totals.into_iter().enumerate() {
                let taps = totals.into_iter().take(count - k);
                for (i, total) in taps.enumerate() {
                    sums[(m + row) * count + k + i] += total.sum();
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn dots_avx512(dots: &Dots, sums: &mut [f32]) {
    // SAFETY: the features are enabled here, the lengths are the caller's promise.
    unsafe { dots.tiles::<std::arch::x86_64::__m512, 5, 5>(sums) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn dots_avx2(dots: &Dots, sums: &mut [f32]) {
    // SAFETY: as above.
    unsafe { dots.tiles::<std::arch::x86_64::__m256, 3, 4>(sums) }
}
