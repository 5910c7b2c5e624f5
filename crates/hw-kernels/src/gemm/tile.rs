//! The micro-kernel: one register tile of `C`, summed over one block of `k`.

#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Vector};

/// Shortest sum during which it pays to fetch the tile of `C` before it is needed.
const FETCH_DEPTH: usize = 96;

/// One tile's operands: `C = alpha A B + beta C`, then bias and ReLU.
pub(super) struct Tile {
    /// Length of this block of `k`.
    pub(super) depth: usize,
    /// Panel of `A`: `a[i * a_strides.0 + p * a_strides.1]`, of which one stride is 1.
    pub(super) a: *const f32,
    pub(super) a_strides: (usize, usize),
    /// Panel of `B`: `b[p * b_stride + j]`, readable up to whole vectors in `j`.
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    /// In a tile of two panels, from the first to the second.
    pub(super) b_panel: usize,
    /// What will be needed next: rows of a full tile's width, fetched one for each `k`.
    pub(super) ahead: *const f32,
    pub(super) ahead_stride: usize,
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
    /// Vectors in a row of a panel of `B`.
    const VECTORS: usize;
    /// Columns of a panel of `B`.
    const COLS: usize = Self::VECTORS * Self::V::LANES;
    /// Most rows in a tile that is two panels wide; 0 if there are none.
    const WIDE_ROWS: usize = 0;
    /// Most elements in a tile.
    const TILE: usize = 2 * Self::ROWS * Self::COLS;

    /// Computes one tile.
    ///
    /// # Safety
    /// The processor has the instructions, `1 <= rows <= ROWS`, `1 <= cols <= COLS` (or
    /// `rows <= WIDE_ROWS` and `cols == 2 * COLS`), and the pointers of the tile are valid as
    /// documented there.
    unsafe fn tile(tile: &Tile);
}

/// Defines `tile` of a set of kernels: for each `vectors => rows...`, the instances of the
/// micro-kernel on the vector type `$vector`, compiled for `$features`.
macro_rules! kernels {
    ($vector:ident, $panel:literal $(, $features:literal)?; $($vectors:literal => $($rows:literal)*;)*) => {
        unsafe fn tile(tile: &Tile) {
            $(#[target_feature(enable = $features)])?
            unsafe fn run<const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
                // SAFETY: the caller's contract.
                unsafe {
                    if tile.a_strides.0 == 1 {
                        compute::<$vector, ROWS, VECTORS, $panel, true>(tile)
                    } else {
                        compute::<$vector, ROWS, VECTORS, $panel, false>(tile)
                    }
                }
            }
            // SAFETY: the caller's contract; the instance has the tile's shape.
            unsafe {
                match (tile.cols.div_ceil($vector::LANES), tile.rows) {
                    $($(($vectors, $rows) => run::<$rows, $vectors>(tile),)*)*
                    (vectors, rows) => unreachable!("a tile of {rows} rows, {vectors} vectors"),
                }
            }
        }
    };
}

pub(super) struct PortableKernels;

impl Kernels for PortableKernels {
    type V = Portable;
    const ROWS: usize = 4;
    const VECTORS: usize = 2;
    kernels!(Portable, 2; 1 => 1 2 3 4; 2 => 1 2 3 4;);
}

#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2Kernels;

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx2Kernels {
    type V = Avx2;
    const ROWS: usize = 6;
    const VECTORS: usize = 2;
    kernels!(Avx2, 2, "avx2,fma"; 1 => 1 2 3 4 5 6; 2 => 1 2 3 4 5 6;);
}

#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512Kernels;

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx512Kernels {
    type V = Avx512;
    const ROWS: usize = 14;
    const VECTORS: usize = 2;
    const WIDE_ROWS: usize = 6;
    kernels!(Avx512, 2, "avx512f";
        1 => 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
        2 => 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
        4 => 1 2 3 4 5 6;
    );
}

/// The micro-kernel itself. Each element of the tile is summed over `k` in order, in one
/// accumulator, so its bits depend neither on its place in the tile nor on the tile's shape.
///
/// A panel of `B` has `PANEL` vectors in a row; `BY_K` says that the rows of `A` at one `k` are
/// next to each other, else the `k` of one row are.
///
/// # Safety
/// As [`Kernels::tile`], with `tile.rows == ROWS` and `tile.cols` in the last of `VECTORS`.
#[inline(always)]
unsafe fn compute<
    V: Vector,
    const ROWS: usize,
    const VECTORS: usize,
    const PANEL: usize,
    const BY_K: bool,
>(
    tile: &Tile,
) {
    // SAFETY: the caller's contract; all pointers stay inside the tile's operands.
    unsafe {
        fetch_target::<V, ROWS, VECTORS>(tile);
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let (mut a, mut b, mut ahead) = (tile.a, tile.b, tile.ahead);
        let (a_row, a_k) = if BY_K {
            (1, tile.a_strides.1)
        } else {
            (tile.a_strides.0, 1)
        };
        for _ in 0..tile.depth {
            let mut row = [V::splat(0.0); VECTORS];
            for v in 0..VECTORS {
                row[v] = V::load(b.add(v / PANEL * tile.b_panel + v % PANEL * V::LANES));
                V::fetch(ahead.wrapping_add((v + 1) * V::LANES - 1), VECTORS > PANEL);
            }
            for i in 0..ROWS {
                let factor = V::splat(*a.add(i * a_row));
                for v in 0..VECTORS {
                    sums[i][v] = factor.mul_add(row[v], sums[i][v]);
                }
            }
            if V::IN_MEMORY {
                std::hint::black_box(&mut sums);
            }
            // One step beyond the end in the last round, where nothing is read.
            a = a.wrapping_add(a_k);
            b = b.wrapping_add(tile.b_stride);
            ahead = ahead.wrapping_add(tile.ahead_stride);
        }
        finish::<V, ROWS, VECTORS>(tile, sums);
    }
}

/// Asks for the tile of `C` when there is time enough for it to come.
#[inline(always)]
fn fetch_target<V: Vector, const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
    if tile.depth >= FETCH_DEPTH {
        for i in 0..ROWS {
            for v in 0..VECTORS {
                // The last float of each vector: the first lies in the line of the tile before.
                V::fetch(
                    tile.c
                        .wrapping_add(i * tile.c_stride + (v + 1) * V::LANES - 1),
                    true,
                );
            }
        }
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
