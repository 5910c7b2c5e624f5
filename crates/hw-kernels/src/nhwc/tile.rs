//! The micro-kernel: one register tile of a sum of products whose operands are read where they lie.
//!
//! `C[i, j] (+)= Σ A[i, k] B[k, j]`, where `k` walks over *segments*: runs in which both operands
//! advance by a constant step. A convolution's window is one segment for each kernel row (channels
//! last make `kw * channels` inputs contiguous), a weight gradient's sum one for each row of a map.

use crate::cpu::simd::Isa;
use crate::cpu::simd::vector::Vector;

/// A run of `len` steps: the offset of its first step from the tile's `a`, in floats, and the row of
/// the tile's `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) len: usize,
}

/// One tile: `rows x cols` elements of `C`.
pub(super) struct Tile<'a> {
    /// `A[i, k]` at `a + segment.a + i * a_row + k * a_k`, of which one step is 1.
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    pub(super) a_k: usize,
    /// `B[k, ..]` at `b + (segment.b + k) * b_k`; where `a_row` is not 1, readable up to whole vectors.
    pub(super) b: *const f32,
    pub(super) b_k: usize,
    pub(super) segments: &'a [Segment],
    /// The segments are walked this often, each time `a_step` and `b_step` further on.
    pub(super) repeat: usize,
    pub(super) a_step: usize,
    pub(super) b_step: usize,
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Whether the sum is added to what `C` holds.
    pub(super) accumulate: bool,
    /// One value a column, or null.
    pub(super) bias: *const f32,
    pub(super) relu: bool,
}

/// An instruction set's micro-kernels.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// Computes one tile.
    ///
    /// Safety: the processor has the instructions, the pointers are valid as [`Tile`] says,
    /// `1 <= rows <= self.rows`, `1 <= cols <= self.columns`.
    pub(super) tile: unsafe fn(&Tile<'_>),
    /// Most rows of a tile.
    pub(super) rows: usize,
    /// Floats in a register.
    pub(super) lanes: usize,
    /// Most columns of a tile: two registers.
    pub(super) columns: usize,
}

impl Kernel {
    /// The kernels of the instruction set in use.
    pub(super) fn best() -> Self {
        let kernel = |tile: unsafe fn(&Tile<'_>), rows, lanes| Self {
            tile,
            rows,
            lanes,
            columns: 2 * lanes,
        };
        match Isa::current() {
            Isa::Portable => kernel(portable, 4, 4),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => kernel(avx2, 6, 8),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => kernel(avx512, 14, 16),
        }
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernel({} x {})", self.rows, self.columns)
    }
}

/// Defines a tile function: its vector type, features, and the shapes it knows.
macro_rules! tile_function {
    ($name:ident, $vector:path $(, $features:literal)?; $($rows:literal)*) => {
        unsafe fn $name(tile: &Tile<'_>) {
            use $vector as V;
            $(#[target_feature(enable = $features)])?
            unsafe fn run<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
                // SAFETY: the features of this function are those of `V`; the tile is the caller's.
                unsafe {
                    if tile.a_row == 1 {
                        compute::<V, ROWS, VECTORS, true>(tile)
                    } else {
                        compute::<V, ROWS, VECTORS, false>(tile)
                    }
                }
            }
            // SAFETY: the processor has the features, as the caller promised; the instance has the
            // tile's shape.
            unsafe {
                match (tile.cols > V::LANES, tile.rows) {
                    $((false, $rows) => run::<$rows, 1>(tile),
                      (true, $rows) => run::<$rows, 2>(tile),)*
                    (_, rows) => unreachable!("a tile of {rows} rows"),
                }
            }
        }
    };
}

tile_function!(portable, crate::cpu::simd::vector::Portable; 1 2 3 4);
#[cfg(target_arch = "x86_64")]
tile_function!(avx2, crate::cpu::simd::vector::Avx2, "avx2,fma"; 1 2 3 4 5 6);
#[cfg(target_arch = "x86_64")]
tile_function!(avx512, crate::cpu::simd::vector::Avx512, "avx512f"; 1 2 3 4 5 6 7 8 9 10 11 12 13 14);

/// The micro-kernel. Each element is summed in the order of `k` in one accumulator, so its bits
/// depend on nothing but its operands. `BY_K` says that the rows of `A` at one `k` are neighbors.
///
/// # Safety
/// As [`Kernel::tile`], with `tile.rows == ROWS` and `tile.cols` in the last of `VECTORS`.
#[inline(always)]
unsafe fn compute<V: Vector, const ROWS: usize, const VECTORS: usize, const BY_K: bool>(
    tile: &Tile<'_>,
) {
    let last = tile.cols - (VECTORS - 1) * V::LANES;
    let (a_row, a_k) = if BY_K { (1, tile.a_k) } else { (tile.a_row, 1) };
    // SAFETY: `Tile` says what its pointers reach: every segment of every turn, for `ROWS` rows and
    // `cols` columns.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for turn in 0..tile.repeat {
            let (start_a, start_b) = (
                tile.a.add(turn * tile.a_step),
                tile.b.add(turn * tile.b_step),
            );
            for segment in tile.segments {
                let (mut a, mut b) = (start_a.add(segment.a), start_b.add(segment.b * tile.b_k));
                for _ in 0..segment.len {
                    let mut row = [V::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        let at = b.add(v * V::LANES);
                        // Where `B` is not packed, nothing may be read beyond its last column.
                        row[v] = if BY_K && v + 1 == VECTORS {
                            V::load_first(at, last)
                        } else {
                            V::load(at)
                        };
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
                    b = b.wrapping_add(tile.b_k);
                }
            }
        }
        finish::<V, ROWS, VECTORS>(tile, sums, last);
    }
}

/// Adds what is to be added, clips and stores.
///
/// # Safety
/// As [`compute`].
#[inline(always)]
unsafe fn finish<V: Vector, const ROWS: usize, const VECTORS: usize>(
    tile: &Tile<'_>,
    mut sums: [[V; VECTORS]; ROWS],
    last: usize,
) {
    // SAFETY: `C` and the bias have `cols` columns, and the last vector of a row is cut to them.
    unsafe {
        let load = |row: *const f32, v: usize| {
            let at = row.add(v * V::LANES);
            if v + 1 == VECTORS {
                V::load_first(at, last)
            } else {
                V::load(at)
            }
        };
        if !tile.bias.is_null() {
            for v in 0..VECTORS {
                let bias = load(tile.bias, v);
                for row in &mut sums {
                    row[v] = row[v].add(bias);
                }
            }
        }
        if tile.accumulate {
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v] = sums[i][v].add(load(tile.c.add(i * tile.c_row), v));
                }
            }
        }
        if tile.relu {
            for row in &mut sums {
                for v in 0..VECTORS {
                    row[v] = row[v].relu();
                }
            }
        }
        for i in 0..ROWS {
            let row = tile.c.add(i * tile.c_row);
            for v in 0..VECTORS - 1 {
                sums[i][v].store(row.add(v * V::LANES));
            }
            sums[i][VECTORS - 1].store_first(row.add((VECTORS - 1) * V::LANES), last);
        }
    }
}
