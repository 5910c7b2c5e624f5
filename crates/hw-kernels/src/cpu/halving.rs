//! Maximum pooling with 2x2 windows side by side, the case nearly every network has, in vector
//! instructions.

use super::simd::{Isa, Portable, Vector};

/// Windows worked on at once.
const BLOCK: usize = 16;
/// A code that is no position.
const NOWHERE: u8 = u8::MAX;
/// [`BLOCK`] ones, then zeros: from `BLOCK - count` on, a mask of `count` lanes.
const STEPS: [f32; 2 * BLOCK] = {
    let mut steps = [0.0; 2 * BLOCK];
    let mut i = 0;
    while i < BLOCK {
        steps[i] = 1.0;
        i += 1;
    }
    steps
};

/// One plane's maxima. `plane` holds rows `pitch` apart; `y` and `codes` hold rows of `width`
/// windows. A code is the row-major position (0 to 3) of the first maximum in its window; where
/// nothing exceeds `floor`, the result is `floor` and the code `otherwise`. NaN wins.
///
/// # Panics
/// When `plane` is too short for the windows.
pub(super) fn maxima(
    plane: &[f32],
    pitch: usize,
    y: &mut [f32],
    codes: &mut [u8],
    width: usize,
    floor: f32,
    otherwise: u8,
) {
    // SAFETY (all three): `Isa` names instruction sets this machine has.
    match Isa::current() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { maxima_avx512(plane, pitch, y, codes, width, floor, otherwise) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { maxima_avx2(plane, pitch, y, codes, width, floor, otherwise) },
        _ => unsafe { rows::<Portable>(plane, pitch, y, codes, width, floor, otherwise) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn maxima_avx512(
    plane: &[f32],
    pitch: usize,
    y: &mut [f32],
    codes: &mut [u8],
    width: usize,
    floor: f32,
    otherwise: u8,
) {
    // SAFETY: the features are enabled here.
    unsafe {
        rows::<std::arch::x86_64::__m512>(plane, pitch, y, codes, width, floor, otherwise);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn maxima_avx2(
    plane: &[f32],
    pitch: usize,
    y: &mut [f32],
    codes: &mut [u8],
    width: usize,
    floor: f32,
    otherwise: u8,
) {
    // SAFETY: the features are enabled here.
    unsafe {
        rows::<std::arch::x86_64::__m256>(plane, pitch, y, codes, width, floor, otherwise);
    }
}

/// # Safety
/// `V`'s instruction set.
#[inline(always)]
unsafe fn rows<V: Vector>(
    plane: &[f32],
    pitch: usize,
    y: &mut [f32],
    codes: &mut [u8],
    width: usize,
    floor: f32,
    otherwise: u8,
) {
    let (mut spare, floor) = ([[0.0; 2 * BLOCK]; 2], (floor, f32::from(otherwise)));
    for row in 0..y.len() / width {
        for start in (0..width).step_by(BLOCK) {
            let corner = 2 * (row * pitch + start);
            let [first, second] = &mut spare;
            let upper = whole(&plane[corner..], first);
            let lower = whole(&plane[corner + pitch..], second);
            let (at, count) = (row * width + start, BLOCK.min(width - start));
            let (mut y_end, mut code_end) = ([0.0; BLOCK], [0; BLOCK]);
            // Where there is room, a whole block is written; the rows after it come later.
            let to = y[at..].first_chunk_mut().zip(codes[at..].first_chunk_mut());
            if let Some((y, codes)) = to {
                // SAFETY: as this function's.
                unsafe { block::<V>(upper, lower, floor, y, codes) };
            } else {
                // SAFETY: as this function's.
                unsafe { block::<V>(upper, lower, floor, &mut y_end, &mut code_end) };
                y[at..at + count].copy_from_slice(&y_end[..count]);
                codes[at..at + count].copy_from_slice(&code_end[..count]);
            }
        }
    }
}

/// The first values of `rest`, completed with zeros in `spare` where it ends.
#[inline(always)]
fn whole<'a>(rest: &'a [f32], spare: &'a mut [f32; 2 * BLOCK]) -> &'a [f32; 2 * BLOCK] {
    if let Some(whole) = rest.first_chunk() {
        return whole;
    }
    spare[..rest.len()].copy_from_slice(rest);
    spare[rest.len()..].fill(0.0);
    spare
}

/// # Safety
/// `V`'s instruction set.
#[inline(always)]
unsafe fn block<V: Vector>(
    upper: &[f32; 2 * BLOCK],
    lower: &[f32; 2 * BLOCK],
    floor: (f32, f32),
    y: &mut [f32; BLOCK],
    codes: &mut [u8; BLOCK],
) {
    for part in (0..BLOCK).step_by(V::LANES) {
        // SAFETY: LANES divides BLOCK, so all loads and stores stay inside the arrays.
        unsafe {
            let pair = |line: &[f32; 2 * BLOCK]| {
                let from = line.as_ptr().add(2 * part);
                V::unzip(V::load(from), V::load(from.add(V::LANES)))
            };
            let ((a, b), (c, d)) = (pair(upper), pair(lower));
            let (mut best, mut winner) = (V::splat(floor.0), V::splat(floor.1));
            for (tap, value) in [a, b, c, d].into_iter().enumerate() {
                let wins = value.beats(best);
                best = V::select(wins, value, best);
                winner = V::select(wins, V::splat(tap as f32), winner);
            }
            best.store(y.as_mut_ptr().add(part));
            winner.store_bytes(codes.as_mut_ptr().add(part));
        }
    }
}

/// The gradient of [`maxima`]: writes `dy` where the code says and zeros everywhere else in
/// `plane`, and returns the sum of what it wrote. `output` is the number of windows, down and
/// across.
///
/// # Panics
/// When `plane` is too short for the windows.
pub(super) fn place(
    dy: &[f32],
    codes: &[u8],
    plane: &mut [f32],
    pitch: usize,
    output: [usize; 2],
) -> f32 {
    // SAFETY (all three): `Isa` names instruction sets this machine has.
    match Isa::current() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { place_avx512(dy, codes, plane, pitch, output) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { place_avx2(dy, codes, plane, pitch, output) },
        _ => unsafe { place_rows::<Portable>(dy, codes, plane, pitch, output) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn place_avx512(
    dy: &[f32],
    codes: &[u8],
    plane: &mut [f32],
    pitch: usize,
    output: [usize; 2],
) -> f32 {
    // SAFETY: the features are enabled here.
    unsafe { place_rows::<std::arch::x86_64::__m512>(dy, codes, plane, pitch, output) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn place_avx2(
    dy: &[f32],
    codes: &[u8],
    plane: &mut [f32],
    pitch: usize,
    output: [usize; 2],
) -> f32 {
    // SAFETY: the features are enabled here.
    unsafe { place_rows::<std::arch::x86_64::__m256>(dy, codes, plane, pitch, output) }
}

/// # Safety
/// `V`'s instruction set.
#[inline(always)]
unsafe fn place_rows<V: Vector>(
    dy: &[f32],
    codes: &[u8],
    plane: &mut [f32],
    pitch: usize,
    [height, width]: [usize; 2],
) -> f32 {
    // SAFETY: as this function's.
    let mut sum = unsafe { V::splat(0.0) };
    // What the blocks do not reach.
    plane[2 * height * pitch..].fill(0.0);
    let reached = 2 * width.next_multiple_of(BLOCK);
    for line in 0..2 * height {
        if reached < pitch {
            plane[line * pitch + reached..(line + 1) * pitch].fill(0.0);
        }
        let first = (2 * (line % 2)) as f32;
        for start in (0..width).step_by(BLOCK) {
            let (at, count) = (line / 2 * width + start, BLOCK.min(width - start));
            let (mut gradient_end, mut codes_end) = ([0.0; BLOCK], [NOWHERE; BLOCK]);
            let whole = dy[at..].first_chunk().zip(codes[at..].first_chunk());
            let (gradient, codes) = whole.unwrap_or_else(|| {
                gradient_end[..count].copy_from_slice(&dy[at..at + count]);
                codes_end[..count].copy_from_slice(&codes[at..at + count]);
                (&gradient_end, &codes_end)
            });
            let to = &mut plane[line * pitch + 2 * start..];
            // Where there is room, the zeros past the row are written too; what belongs there
            // comes later, so lines must be written in order.
            if let Some(to) = to.first_chunk_mut() {
                // SAFETY: as this function's.
                unsafe { place_block::<V>(gradient, codes, count, first, to, &mut sum) };
                continue;
            }
            let mut cells = [0.0; 2 * BLOCK];
            // SAFETY: as this function's.
            unsafe { place_block::<V>(gradient, codes, count, first, &mut cells, &mut sum) };
            let room = to.len();
            to.copy_from_slice(&cells[..room]);
        }
    }
    // SAFETY: as this function's.
    unsafe { sum.sum() }
}

/// One row of windows: each of the first `count` gradients in its left cell where the code is
/// `first`, in its right cell where it is the next.
///
/// # Safety
/// `V`'s instruction set.
#[inline(always)]
unsafe fn place_block<V: Vector>(
    gradient: &[f32; BLOCK],
    codes: &[u8; BLOCK],
    count: usize,
    first: f32,
    cells: &mut [f32; 2 * BLOCK],
    sum: &mut V,
) {
    for part in (0..BLOCK).step_by(V::LANES) {
        // SAFETY: LANES divides BLOCK, so all loads and stores stay inside the arrays; STEPS holds
        // BLOCK values from BLOCK - count on.
        unsafe {
            let used = V::load(STEPS.as_ptr().add(BLOCK - count.min(BLOCK) + part));
            let gradient = V::load(gradient.as_ptr().add(part));
            let code = V::load_bytes(codes.as_ptr().add(part));
            let code = V::select(used.equals(V::splat(1.0)), code, V::splat(-1.0));
            let [left, right] = [first, first + 1.0]
                .map(|tap| V::select(code.equals(V::splat(tap)), gradient, V::splat(0.0)));
            let one = V::splat(1.0);
            *sum = right.mul_add(one, left.mul_add(one, *sum));
            let (low, high) = V::zip(left, right);
            low.store(cells.as_mut_ptr().add(2 * part));
            high.store(cells.as_mut_ptr().add(2 * part + V::LANES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values with many ties, zeros and NaN.
    fn cells() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => -2i8..3,
            1 => Just(100i8),
        ]
        .prop_map(|x| if x == 100 { f32::NAN } else { f32::from(x) })
    }

    fn plane() -> impl Strategy<Value = (Vec<f32>, usize, [usize; 2])> {
        (1usize..5, 1usize..40, 0usize..6, 0usize..70).prop_flat_map(
            |(height, width, gap, tail)| {
                let pitch = 2 * width + gap;
                let size = 2 * height * pitch + tail;
                let values = prop::collection::vec(cells(), size);
                values.prop_map(move |values| (values, pitch, [height, width]))
            },
        )
    }

    fn instruction_sets() -> impl Strategy<Value = Isa> {
        prop_oneof![Just(Isa::Portable), Just(Isa::Avx2), Just(Isa::Avx512)]
    }

    /// The definition, one window at a time.
    fn expected(plane: &[f32], corner: usize, pitch: usize, floor: f32, code: u8) -> (f32, u8) {
        let cells = [corner, corner + 1, corner + pitch, corner + pitch + 1];
        let mut best = (floor, code);
        for (tap, at) in cells.into_iter().enumerate() {
            if plane[at] > best.0 || plane[at].is_nan() {
                best = (plane[at], tap as u8);
            }
        }
        best
    }

    proptest! {
        #[test]
        fn maxima_and_their_places_follow_the_definition(
            (plane, pitch, [height, width]) in plane(),
            isa in instruction_sets(),
        ) {
            Isa::limit(isa);
            for (floor, otherwise) in [(f32::NEG_INFINITY, 0), (0.0, NOWHERE)] {
                let (mut y, mut codes) = (vec![9.0; height * width], vec![9; height * width]);
                maxima(&plane, pitch, &mut y, &mut codes, width, floor, otherwise);
                let mut back = vec![9.0; plane.len()];
                let dy: Vec<f32> = (1..=y.len()).map(|i| i as f32).collect();
                let sum = place(&dy, &codes, &mut back, pitch, [height, width]);
                let mut truth = vec![0.0; plane.len()];
                for at in 0..y.len() {
                    let corner = 2 * (at / width * pitch + at % width);
                    let (best, code) = expected(&plane, corner, pitch, floor, otherwise);
                    prop_assert!(y[at] == best || (y[at].is_nan() && best.is_nan()));
                    prop_assert_eq!(codes[at], code);
                    if code != NOWHERE {
                        let code = usize::from(code);
                        truth[corner + code / 2 * pitch + code % 2] = dy[at];
                    }
                }
                // Whole numbers: their sum is exact in any order.
                prop_assert_eq!(sum, truth.iter().sum::<f32>());
                prop_assert_eq!(back, truth);
            }
        }
    }
}
