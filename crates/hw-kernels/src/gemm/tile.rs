//! The micro-kernel: one register tile of `C`, summed over one block of `k`.

#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Vector};

/// One tile's operands: `C = alpha A B + beta C`, then bias and ReLU.
pub(super) struct Tile {
    /// Length of this block of `k`.
    pub(super) depth: usize,
    /// Packed panel of `A`: `a[p * rows + i]`.
    pub(super) a: *const f32,
    /// Panel of `B`: `b[p * b_stride + j]`, readable up to whole vectors in `j`.
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    /// Rows and columns of the tile that exist in `C`.
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) alpha: f32,
    /// With 0, `C` is not read.
    pub(super) beta: f32,
    /// A bias per row, from the tile's first row; or null.
    pub(super) row_bias: *const f32,
    /// A bias per column, from the tile's first column; or null.
    pub(super) col_bias: *const f32,
    pub(super) relu: bool,
}

/// How an instruction set cuts `C` into tiles, and its micro-kernels.
pub(super) trait Kernels {
    type V: Vector;
    /// Most rows in a tile: the accumulators, one row of `B` and a broadcast fill the registers.
    const ROWS: usize;
    /// Vectors in a row of a full tile.
    const VECTORS: usize;
    /// Columns of a full tile.
    const COLS: usize = Self::VECTORS * Self::V::LANES;

    /// Computes one tile.
    ///
    /// # Safety
    /// The processor has the instructions, `1 <= rows <= ROWS`, `1 <= cols <= COLS`, and the
    /// pointers of the tile are valid as documented there.
    unsafe fn tile(tile: &Tile);
}

/// Calls the instance of `$kernel` for the tile's row count.
macro_rules! for_rows {
    ($tile:expr, $kernel:ident, $vectors:literal, $($rows:literal)*) => {
        match $tile.rows {
            $($rows => $kernel::<$rows, $vectors>($tile),)*
            _ => unreachable!("a tile of {} rows", $tile.rows),
        }
    };
}

pub(super) struct PortableKernels;

impl Kernels for PortableKernels {
    type V = Portable;
    const ROWS: usize = 6;
    const VECTORS: usize = 1;

    unsafe fn tile(tile: &Tile) {
        unsafe fn run<const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
            // SAFETY: the caller's contract.
            unsafe { compute::<Portable, ROWS, VECTORS>(tile) }
        }
        // SAFETY: the caller's contract.
        unsafe { for_rows!(tile, run, 1, 1 2 3 4 5 6) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2Kernels;

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx2Kernels {
    type V = Avx2;
    const ROWS: usize = 6;
    const VECTORS: usize = 2;

    unsafe fn tile(tile: &Tile) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn run<const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
            // SAFETY: the caller's contract.
            unsafe { compute::<Avx2, ROWS, VECTORS>(tile) }
        }
        // SAFETY: the caller's contract.
        unsafe {
            if tile.cols <= Avx2::LANES {
                for_rows!(tile, run, 1, 1 2 3 4 5 6)
            } else {
                for_rows!(tile, run, 2, 1 2 3 4 5 6)
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512Kernels;

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx512Kernels {
    type V = Avx512;
    const ROWS: usize = 14;
    const VECTORS: usize = 2;

    unsafe fn tile(tile: &Tile) {
        #[target_feature(enable = "avx512f")]
        unsafe fn run<const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
            // SAFETY: the caller's contract.
            unsafe { compute::<Avx512, ROWS, VECTORS>(tile) }
        }
        // SAFETY: the caller's contract.
        unsafe {
            if tile.cols <= Avx512::LANES {
                for_rows!(tile, run, 1, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
            } else {
                for_rows!(tile, run, 2, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
            }
        }
    }
}

/// The micro-kernel itself. Each element of the tile is summed over `k` in order, in one
/// accumulator, so its bits depend neither on its place in the tile nor on the tile's shape.
///
/// # Safety
/// As [`Kernels::tile`], with `tile.rows == ROWS` and `tile.cols` in the last of `VECTORS`.
#[inline(always)]
unsafe fn compute<V: Vector, const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
    // SAFETY: the caller's contract; all pointers stay inside the tile's operands.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.depth {
            let mut row = [V::splat(0.0); VECTORS];
            for v in 0..VECTORS {
                row[v] = V::load(b.add(v * V::LANES));
            }
            for i in 0..ROWS {
                let factor = V::splat(*a.add(i));
                for v in 0..VECTORS {
                    sums[i][v] = factor.mul_add(row[v], sums[i][v]);
                }
            }
            a = a.add(ROWS);
            b = b.wrapping_add(tile.b_stride);
        }
        finish::<V, ROWS, VECTORS>(tile, sums);
    }
}

/// Scales, accumulates, adds the bias, clips and stores; each step over the whole tile, so that
/// its branch is taken once.
///
/// # Safety
/// As [`compute`].
#[inline(always)]
unsafe fn finish<V: Vector, const ROWS: usize, const VECTORS: usize>(
    tile: &Tile,
    mut sums: [[V; VECTORS]; ROWS],
) {
    let last = tile.cols - (VECTORS - 1) * V::LANES;
    // SAFETY: the caller's contract; the last vector of a row is cut to the existing columns.
    unsafe {
        if tile.alpha != 1.0 {
            let alpha = V::splat(tile.alpha);
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v] = sums[i][v].mul(alpha);
                }
            }
        }
        if tile.beta != 0.0 {
            let beta = V::splat(tile.beta);
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v] = beta.mul_add(
                        load::<V, VECTORS>(tile.c.add(i * tile.c_stride), v, last),
                        sums[i][v],
                    );
                }
            }
        }
        if !tile.row_bias.is_null() {
            for i in 0..ROWS {
                let bias = V::splat(*tile.row_bias.add(i));
                for v in 0..VECTORS {
                    sums[i][v] = sums[i][v].add(bias);
                }
            }
        }
        if !tile.col_bias.is_null() {
            for v in 0..VECTORS {
                let bias = load::<V, VECTORS>(tile.col_bias, v, last);
                for i in 0..ROWS {
                    sums[i][v] = sums[i][v].add(bias);
                }
            }
        }
        if tile.relu {
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v] = sums[i][v].relu();
                }
            }
        }
        for i in 0..ROWS {
            let row = tile.c.add(i * tile.c_stride);
            for v in 0..VECTORS - 1 {
                sums[i][v].store(row.add(v * V::LANES));
            }
            sums[i][VECTORS - 1].store_first(row.add((VECTORS - 1) * V::LANES), last);
        }
    }
}

/// Vector `v` of a tile's row, of which the last has `last` lanes.
#[inline(always)]
unsafe fn load<V: Vector, const VECTORS: usize>(row: *const f32, v: usize, last: usize) -> V {
    // SAFETY: the caller's contract.
    unsafe {
        let at = row.add(v * V::LANES);
        if v + 1 == VECTORS {
            V::load_first(at, last)
        } else {
            V::load(at)
        }
    }
}
