//! The transforms of Winograd's `F(2x2, 3x3)`: sums and differences of a tile's pixels, for as many
//! channels at a time as a register has lanes.

use super::conv::Finish;
use crate::cpu::simd::Isa;
use crate::cpu::simd::vector::Vector;
use std::ops::Range;

/// Places of a transformed tile.
pub(super) const PLACES: usize = 16;

/// An image's maps, channels last.
#[derive(Clone, Copy)]
pub(super) struct Map {
    pub(super) floats: *mut f32,
    /// Height and width.
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
}

impl Map {
    /// # Safety
    /// The pixel exists.
    #[inline(always)]
    unsafe fn at(&self, y: usize, x: usize, channel: usize) -> *mut f32 {
        // SAFETY: the pixel exists, so its floats lie within the map.
        unsafe {
            self.floats
                .add((y * self.size[1] + x) * self.channels + channel)
        }
    }
}

/// Transformed tiles: 16 places, `step` floats apart, with tile after tile in each.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub(super) floats: *mut f32,
    pub(super) step: usize,
}

/// An instruction set's transforms. All are unsafe to call: the processor has the instructions, the
/// pointers are valid for all tiles and places, and channels are a multiple of `lanes`.
#[derive(Clone, Copy)]
pub(super) struct Transforms {
    /// `Bᵀ d B` of some tiles of a padded image with `across` tiles in a row.
    pub(super) input: unsafe fn(Map, usize, Range<usize>, Places),
    /// `Aᵀ m A` of some tiles, to an image.
    pub(super) output: unsafe fn(Places, usize, Range<usize>, Finish<'_>, Map),
    /// `A dY Aᵀ` of some tiles of an image's gradient.
    pub(super) gradient: unsafe fn(Map, usize, Range<usize>, Places),
    /// `G g Gᵀ` of the nine weights at these offsets, to 16 places this far apart.
    pub(super) kernel: unsafe fn(*const f32, [usize; 9], *mut f32, usize),
    /// `Gᵀ u G`, written or added to the nine weights' gradients at these offsets.
    pub(super) weight: unsafe fn(Places, *mut f32, [usize; 9], bool),
    /// Floats in a register.
    pub(super) lanes: usize,
}

impl std::fmt::Debug for Transforms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transforms({})", self.lanes)
    }
}

impl Transforms {
    /// Those of the instruction set in use.
    pub(super) fn best() -> Self {
        match Isa::current() {
            Isa::Portable => portable::ALL,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::ALL,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::ALL,
        }
    }
}

/// Defines the transforms of one vector type.
macro_rules! transforms {
    ($name:ident, $vector:path $(, $features:literal)?) => {
        mod $name {
            use super::{Finish, Map, Places, Range, Transforms, Vector};
            use $vector as V;

            pub(super) const ALL: Transforms = Transforms {
                input,
                output,
                gradient,
                kernel,
                weight,
                lanes: V::LANES,
            };

            $(#[target_feature(enable = $features)])?
            unsafe fn input(from: Map, across: usize, tiles: Range<usize>, to: Places) {
                // SAFETY: the features of this function are those of `V`; maps and places are the
                // caller's.
                unsafe { super::input::<V>(from, across, tiles, to) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn output(from: Places, across: usize, tiles: Range<usize>, finish: Finish<'_>, to: Map) {
                // SAFETY: as above.
                unsafe { super::output::<V>(from, across, tiles, finish, to) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn gradient(from: Map, across: usize, tiles: Range<usize>, to: Places) {
                // SAFETY: as above.
                unsafe { super::gradient::<V>(from, across, tiles, to) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn kernel(from: *const f32, taps: [usize; 9], to: *mut f32, step: usize) {
                // SAFETY: as above.
                unsafe { super::kernel::<V>(from, taps, to, step) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn weight(from: Places, to: *mut f32, taps: [usize; 9], accumulate: bool) {
                // SAFETY: as above.
                unsafe { super::weight::<V>(from, to, taps, accumulate) }
            }
        }
    };
}

transforms!(portable, crate::cpu::simd::vector::Portable);
#[cfg(target_arch = "x86_64")]
transforms!(avx2, crate::cpu::simd::vector::Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
transforms!(avx512, crate::cpu::simd::vector::Avx512, "avx512f");

/// One axis of `Bᵀ d`.
///
/// # Safety
/// As [`Vector`], like all below.
#[inline(always)]
unsafe fn input_axis<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    // SAFETY: arithmetic on registers that the caller has.
    unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
}

/// One axis of `Aᵀ m`.
#[inline(always)]
unsafe fn output_axis<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    // SAFETY: as in `input_axis`.
    unsafe { [a.add(b).add(c), b.sub(c).sub(d)] }
}

/// One axis of `A dY`.
#[inline(always)]
unsafe fn gradient_axis<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    // SAFETY: as in `input_axis`.
    unsafe { [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)] }
}

/// One axis of `G g`.
#[inline(always)]
unsafe fn kernel_axis<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    // SAFETY: as in `input_axis`.
    unsafe {
        let half = V::splat(0.5);
        let (ends, middle) = (half.mul(a.add(c)), half.mul(b));
        [a, ends.add(middle), ends.sub(middle), c]
    }
}

/// One axis of `Gᵀ u`.
#[inline(always)]
unsafe fn weight_axis<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    // SAFETY: as in `input_axis`.
    unsafe {
        let half = V::splat(0.5);
        let sum = half.mul(b.add(c));
        [a.add(sum), half.mul(b.sub(c)), sum.add(d)]
    }
}

/// Applies an axis' transform to both axes of a tile.
macro_rules! both_axes {
    ($axis:ident, $rows:expr, $from:literal => $to:literal) => {{
        let rows: [[V; $from]; $from] = $rows;
        let mut columns = [[V::splat(0.0); $from]; $to];
        for j in 0..$from {
            let mut column = [V::splat(0.0); $from];
            for i in 0..$from {
                column[i] = rows[i][j];
            }
            let made = $axis(column);
            for i in 0..$to {
                columns[i][j] = made[i];
            }
        }
        let mut tile = [[V::splat(0.0); $to]; $to];
        for i in 0..$to {
            tile[i] = $axis(columns[i]);
        }
        tile
    }};
}

#[inline(always)]
unsafe fn load_places<V: Vector>(from: *const f32, step: usize) -> [[V; 4]; 4] {
    // SAFETY: 16 places, `step` apart, hold a register each, as the caller promised.
    unsafe {
        let mut rows = [[V::splat(0.0); 4]; 4];
        for i in 0..4 {
            for j in 0..4 {
                rows[i][j] = V::load(from.add((4 * i + j) * step));
            }
        }
        rows
    }
}

#[inline(always)]
unsafe fn store_places<V: Vector>(tile: [[V; 4]; 4], to: *mut f32, step: usize) {
    // SAFETY: as in `load_places`, for writing.
    unsafe {
        for i in 0..4 {
            for j in 0..4 {
                tile[i][j].store(to.add((4 * i + j) * step));
            }
        }
    }
}

#[inline(always)]
unsafe fn input<V: Vector>(from: Map, across: usize, tiles: Range<usize>, to: Places) {
    // SAFETY: a padded map has the 4 x 4 pixels of each tile, in whole registers of channels.
    unsafe {
        for (k, tile) in tiles.enumerate() {
            let (top, left) = (tile / across * 2, tile % across * 2);
            for c in (0..from.channels).step_by(V::LANES) {
                let mut rows = [[V::splat(0.0); 4]; 4];
                for i in 0..4 {
                    for j in 0..4 {
                        rows[i][j] = V::load(from.at(top + i, left + j, c));
                    }
                }
                let tile = both_axes!(input_axis, rows, 4 => 4);
                store_places(tile, to.floats.add(k * from.channels + c), to.step);
            }
        }
    }
}

#[inline(always)]
unsafe fn output<V: Vector>(
    from: Places,
    across: usize,
    tiles: Range<usize>,
    finish: Finish<'_>,
    to: Map,
) {
    let [height, width] = to.size;
    // SAFETY: pixels outside the map are skipped; bias, map and places have whole registers of
    // channels.
    unsafe {
        for (k, tile) in tiles.enumerate() {
            let (top, left) = (tile / across * 2, tile % across * 2);
            for c in (0..to.channels).step_by(V::LANES) {
                let rows = load_places::<V>(from.floats.add(k * to.channels + c), from.step);
                let tile = both_axes!(output_axis, rows, 4 => 2);
                for i in 0..2 {
                    for j in 0..2 {
                        if top + i >= height || left + j >= width {
                            continue;
                        }
                        let at = to.at(top + i, left + j, c);
                        let mut value = tile[i][j];
                        if let Some(bias) = finish.bias {
                            value = value.add(V::load(bias.as_ptr().add(c)));
                        }
                        if finish.accumulate {
                            value = value.add(V::load(at));
                        }
                        if finish.relu {
                            value = value.relu();
                        }
                        value.store(at);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn gradient<V: Vector>(from: Map, across: usize, tiles: Range<usize>, to: Places) {
    let [height, width] = from.size;
    // SAFETY: pixels outside the map are skipped; map and places have whole registers of channels.
    unsafe {
        for (k, tile) in tiles.enumerate() {
            let (top, left) = (tile / across * 2, tile % across * 2);
            for c in (0..from.channels).step_by(V::LANES) {
                let mut rows = [[V::splat(0.0); 2]; 2];
                for i in 0..2 {
                    for j in 0..2 {
                        if top + i < height && left + j < width {
                            rows[i][j] = V::load(from.at(top + i, left + j, c));
                        }
                    }
                }
                let tile = both_axes_2(rows);
                store_places(tile, to.floats.add(k * from.channels + c), to.step);
            }
        }
    }
}

/// `A dY Aᵀ`: unlike the others it makes a tile larger.
#[inline(always)]
unsafe fn both_axes_2<V: Vector>(rows: [[V; 2]; 2]) -> [[V; 4]; 4] {
    // SAFETY: arithmetic on registers that the caller has.
    unsafe {
        let first = gradient_axis([rows[0][0], rows[1][0]]);
        let second = gradient_axis([rows[0][1], rows[1][1]]);
        let mut tile = [[V::splat(0.0); 4]; 4];
        for i in 0..4 {
            tile[i] = gradient_axis([first[i], second[i]]);
        }
        tile
    }
}

#[inline(always)]
unsafe fn kernel<V: Vector>(from: *const f32, taps: [usize; 9], to: *mut f32, step: usize) {
    // SAFETY: nine registers at these offsets are the caller's weights.
    unsafe {
        let mut columns = [[V::splat(0.0); 3]; 4];
        for j in 0..3 {
            let mut column = [V::splat(0.0); 3];
            for i in 0..3 {
                column[i] = V::load(from.add(taps[3 * i + j]));
            }
            let made = kernel_axis(column);
            for i in 0..4 {
                columns[i][j] = made[i];
            }
        }
        let mut tile = [[V::splat(0.0); 4]; 4];
        for i in 0..4 {
            tile[i] = kernel_axis(columns[i]);
        }
        store_places(tile, to, step);
    }
}

#[inline(always)]
unsafe fn weight<V: Vector>(from: Places, to: *mut f32, taps: [usize; 9], accumulate: bool) {
    // SAFETY: 16 places hold a register each, and nine registers at these offsets are the caller's.
    unsafe {
        let rows = load_places::<V>(from.floats, from.step);
        let tile = both_axes!(weight_axis, rows, 4 => 3);
        for i in 0..3 {
            for j in 0..3 {
                let at = to.add(taps[3 * i + j]);
                let mut value = tile[i][j];
                if accumulate {
                    value = value.add(V::load(at));
                }
                value.store(at);
            }
        }
    }
}
