//! Pooling over the windows of maps whose channels come last.

#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::Isa;
use crate::cpu::simd::vectorised;
use crate::geometry::Windows;

/// A window's cells inside the map: their index in the window and their pixel.
fn cells(windows: &Windows, oy: usize, ox: usize) -> impl Iterator<Item = (u8, usize)> + '_ {
    let [kh, kw] = windows.kernel;
    (0..kh * kw).filter_map(move |cell| {
        let y = (oy * windows.stride[0] + cell / kw).wrapping_sub(windows.padding.top);
        let x = (ox * windows.stride[1] + cell % kw).wrapping_sub(windows.padding.left);
        let inside = y < windows.input[0] && x < windows.input[1];
        inside.then(|| (cell as u8, y * windows.input[1] + x))
    })
}

fn outputs(windows: &Windows) -> impl Iterator<Item = (usize, usize)> + '_ {
    let [oh, ow] = windows.output;
    (0..oh).flat_map(move |y| (0..ow).map(move |x| (y, x)))
}

/// Maxima of one image's windows, and the position of the first maximum in each.
///
/// `x [h, w, c]`, `y` and `winners [oh, ow, c]`; windows of at most 255 cells, each with at least one
/// cell inside the map. NaN wins over everything.
pub fn max_forward(windows: &Windows, c: usize, x: &[f32], y: &mut [f32], winners: &mut [u8]) {
    if is_halving(windows) {
        #[cfg(target_arch = "x86_64")]
        if Isa::current() == Isa::Avx512 {
            // SAFETY: the machine has the instructions; the slices are checked within.
            return unsafe { masked::halve(x, windows.output, c, y, Some(winners)) };
        }
        return halve(x, windows.output, c, y, winners);
    }
    let results = y.chunks_exact_mut(c).zip(winners.chunks_exact_mut(c));
    for ((oy, ox), (y, winners)) in outputs(windows).zip(results) {
        let mut first = true;
        for (cell, pixel) in cells(windows, oy, ox) {
            let x = &x[pixel * c..(pixel + 1) * c];
            if first {
                y.copy_from_slice(x);
                winners.fill(cell);
                first = false;
            } else {
                challenge(x, cell, y, winners);
            }
        }
    }
}

/// Whether the windows are the quarters of maps of even size.
fn is_halving(windows: &Windows) -> bool {
    let even = (0..2).all(|axis| windows.output[axis] * 2 == windows.input[axis]);
    windows.kernel == [2, 2] && windows.stride == [2, 2] && even
}

/// Calls `$body` with `$c` as a constant where it is a common number of channels: short loops of
/// known length become a few vector instructions.
macro_rules! with_channels {
    ($c:expr, $body:ident($($arg:expr),*)) => {
        match $c {
            1 => $body::<1>($($arg),*, 1),
            6 => $body::<6>($($arg),*, 6),
            8 => $body::<8>($($arg),*, 8),
            16 => $body::<16>($($arg),*, 16),
            30 => $body::<30>($($arg),*, 30),
            32 => $body::<32>($($arg),*, 32),
            c => $body::<0>($($arg),*, c),
        }
    };
}

vectorised! {
    /// Maxima of 2 x 2 windows, side by side.
    fn halve(x: &[f32], output: [usize; 2], c: usize, y: &mut [f32], winners: &mut [u8]) {
        #[inline(always)]
        fn rows<const C: usize>(x: &[f32], [oh, ow]: [usize; 2], y: &mut [f32], winners: &mut [u8], c: usize) {
            let c = if C > 0 { C } else { c };
            for oy in 0..oh {
                let (top, bottom) = x[2 * oy * 2 * ow * c..][..4 * ow * c].split_at(2 * ow * c);
                let y = &mut y[oy * ow * c..][..ow * c];
                let winners = &mut winners[oy * ow * c..][..ow * c];
                for ox in 0..ow {
                    let (a, b) = top[2 * ox * c..][..2 * c].split_at(c);
                    let (d, e) = bottom[2 * ox * c..][..2 * c].split_at(c);
                    let y = &mut y[ox * c..][..c];
                    let winners = &mut winners[ox * c..][..c];
                    for i in 0..c {
                        let (mut best, mut at) = (a[i], 0u8);
                        for (value, cell) in [(b[i], 1), (d[i], 2), (e[i], 3)] {
                            let wins = value > best || value.is_nan();
                            best = if wins { value } else { best };
                            at = if wins { cell } else { at };
                        }
                        y[i] = best;
                        winners[i] = at;
                    }
                }
            }
        }
        with_channels!(c, rows(x, output, y, winners));
    }
}

vectorised! {
    /// The gradient of [`halve`].
    fn double(dy: &[f32], winners: &[u8], output: [usize; 2], c: usize, dx: &mut [f32]) {
        #[inline(always)]
        fn rows<const C: usize>(dy: &[f32], winners: &[u8], [oh, ow]: [usize; 2], dx: &mut [f32], c: usize) {
            let c = if C > 0 { C } else { c };
            for oy in 0..oh {
                let dy = &dy[oy * ow * c..][..ow * c];
                let winners = &winners[oy * ow * c..][..ow * c];
                let (top, bottom) = dx[2 * oy * 2 * ow * c..][..4 * ow * c].split_at_mut(2 * ow * c);
                for ox in 0..ow {
                    let (a, b) = top[2 * ox * c..][..2 * c].split_at_mut(c);
                    let (d, e) = bottom[2 * ox * c..][..2 * c].split_at_mut(c);
                    let (dy, winners) = (&dy[ox * c..][..c], &winners[ox * c..][..c]);
                    for i in 0..c {
                        // Without a branch: nobody can foresee where a maximum was.
                        let keep = |cell: u8| 0u32.wrapping_sub(u32::from(winners[i] == cell));
                        let take = |cell: u8| f32::from_bits(dy[i].to_bits() & keep(cell));
                        a[i] = take(0);
                        b[i] = take(1);
                        d[i] = take(2);
                        e[i] = take(3);
                    }
                }
            }
        }
        with_channels!(c, rows(dy, winners, output, dx));
    }
}

/// Maxima of one image's windows only.
pub fn max_only(windows: &Windows, c: usize, x: &[f32], y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_halving(windows) && Isa::current() == Isa::Avx512 {
        // SAFETY: the machine has the instructions; the slices are checked within.
        return unsafe { masked::halve(x, windows.output, c, y, None) };
    }
    for ((oy, ox), y) in outputs(windows).zip(y.chunks_exact_mut(c)) {
        let mut first = true;
        for (_, pixel) in cells(windows, oy, ox) {
            let x = &x[pixel * c..(pixel + 1) * c];
            if first {
                y.copy_from_slice(x);
                first = false;
            } else {
                raise(x, y);
            }
        }
    }
}

vectorised! {
    fn challenge(x: &[f32], cell: u8, y: &mut [f32], winners: &mut [u8]) {
        for ((y, winner), x) in y.iter_mut().zip(winners).zip(x) {
            let wins = *x > *y || x.is_nan();
            *y = if wins { *x } else { *y };
            *winner = if wins { cell } else { *winner };
        }
    }
}

vectorised! {
    fn raise(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = if *x > *y || x.is_nan() { *x } else { *y };
        }
    }
}

/// The gradient of one image: each window's gradient goes to its first maximum. `dx` is overwritten.
pub fn max_backward(windows: &Windows, c: usize, winners: &[u8], dy: &[f32], dx: &mut [f32]) {
    if is_halving(windows) {
        #[cfg(target_arch = "x86_64")]
        if Isa::current() == Isa::Avx512 {
            // SAFETY: the machine has the instructions; the slices are checked within.
            return unsafe { masked::double(dy, winners, windows.output, c, dx) };
        }
        return double(dy, winners, windows.output, c, dx);
    }
    let apart = windows.stride[0] >= windows.kernel[0] && windows.stride[1] >= windows.kernel[1];
    let covered = apart
        && windows.stride == windows.kernel
        && (0..2).all(|axis| windows.output[axis] * windows.stride[axis] == windows.input[axis])
        && windows.padding == Default::default();
    if !covered {
        dx.fill(0.0);
    }
    let sources = dy.chunks_exact(c).zip(winners.chunks_exact(c));
    for ((oy, ox), (dy, winners)) in outputs(windows).zip(sources) {
        for (cell, pixel) in cells(windows, oy, ox) {
            let dx = &mut dx[pixel * c..(pixel + 1) * c];
            if apart {
                hand_out(dy, winners, cell, dx);
            } else {
                hand_out_more(dy, winners, cell, dx);
            }
        }
    }
}

vectorised! {
    fn hand_out(dy: &[f32], winners: &[u8], cell: u8, dx: &mut [f32]) {
        for ((dx, dy), winner) in dx.iter_mut().zip(dy).zip(winners) {
            *dx = if *winner == cell { *dy } else { 0.0 };
        }
    }
}

vectorised! {
    fn hand_out_more(dy: &[f32], winners: &[u8], cell: u8, dx: &mut [f32]) {
        for ((dx, dy), winner) in dx.iter_mut().zip(dy).zip(winners) {
            *dx += if *winner == cell { *dy } else { 0.0 };
        }
    }
}

/// Means of one image's windows; cells outside the map are not counted.
pub fn mean_forward(windows: &Windows, c: usize, x: &[f32], y: &mut [f32]) {
    for ((oy, ox), y) in outputs(windows).zip(y.chunks_exact_mut(c)) {
        y.fill(0.0);
        let mut count = 0;
        for (_, pixel) in cells(windows, oy, ox) {
            super::norm::add(&x[pixel * c..(pixel + 1) * c], y);
            count += 1;
        }
        scale(y, 1.0 / count.max(1) as f32);
    }
}

/// The gradient of [`mean_forward`] for one image; `dx` is overwritten.
pub fn mean_backward(windows: &Windows, c: usize, dy: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    for ((oy, ox), dy) in outputs(windows).zip(dy.chunks_exact(c)) {
        let share = 1.0 / cells(windows, oy, ox).count().max(1) as f32;
        for (_, pixel) in cells(windows, oy, ox) {
            add_scaled(dy, share, &mut dx[pixel * c..(pixel + 1) * c]);
        }
    }
}

vectorised! {
    fn scale(y: &mut [f32], factor: f32) {
        for y in y {
            *y *= factor;
        }
    }
}

vectorised! {
    fn add_scaled(from: &[f32], factor: f32, to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from * factor;
        }
    }
}

/// Halving and its gradient where registers have masks: maps of 6 or 30 channels fill no whole
/// number of registers, and no compiler makes masked instructions of a loop that short.
#[cfg(target_arch = "x86_64")]
mod masked {
    use std::arch::x86_64::{
        _CMP_GT_OQ, _CMP_UNORD_Q, _mm_cmpeq_epi8_mask, _mm_mask_blend_epi8, _mm_mask_storeu_epi8,
        _mm_maskz_loadu_epi8, _mm_set1_epi8, _mm512_cmp_ps_mask, _mm512_mask_blend_ps,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps,
    };

    /// Registers of a pixel: where each starts, and which of its lanes exist.
    #[inline(always)]
    fn registers(c: usize) -> impl Iterator<Item = (usize, u16)> {
        (0..c).step_by(16).map(move |start| {
            let lanes = (c - start).min(16);
            (start, ((1u32 << lanes) - 1) as u16)
        })
    }

    /// The four pixels of a window, as offsets of floats from its first.
    fn corners(ow: usize, c: usize) -> [usize; 4] {
        [0, c, 2 * ow * c, (2 * ow + 1) * c]
    }

    /// # Safety
    /// The machine has AVX-512 F, VL, BW and DQ.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
    pub(super) unsafe fn halve(
        x: &[f32],
        [oh, ow]: [usize; 2],
        c: usize,
        y: &mut [f32],
        winners: Option<&mut [u8]>,
    ) {
        let len = oh * ow * c;
        assert!(
            x.len() >= 4 * len && y.len() >= len,
            "pool: a slice is short"
        );
        assert!(
            winners.as_ref().is_none_or(|w| w.len() >= len),
            "pool: winners"
        );
        let corners = corners(ow, c);
        let winners = winners.map(<[u8]>::as_mut_ptr);
        for window in 0..oh * ow {
            let (oy, ox) = (window / ow, window % ow);
            let (from, to) = ((2 * oy * 2 * ow + 2 * ox) * c, (oy * ow + ox) * c);
            for (start, lanes) in registers(c) {
                // SAFETY: a pixel's channels, within slices whose lengths were checked.
                unsafe {
                    let first = x.as_ptr().add(from + start);
                    let mut best = _mm512_maskz_loadu_ps(lanes, first);
                    let mut at = _mm_set1_epi8(0);
                    for (cell, corner) in corners.iter().enumerate().skip(1) {
                        let value = _mm512_maskz_loadu_ps(lanes, first.add(*corner));
                        let wins = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, best)
                            | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
                        best = _mm512_mask_blend_ps(wins, best, value);
                        at = _mm_mask_blend_epi8(wins, at, _mm_set1_epi8(cell as i8));
                    }
                    _mm512_mask_storeu_ps(y.as_mut_ptr().add(to + start), lanes, best);
                    if let Some(winners) = winners {
                        _mm_mask_storeu_epi8(winners.add(to + start).cast(), lanes, at);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`halve`].
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
    pub(super) unsafe fn double(
        dy: &[f32],
        winners: &[u8],
        [oh, ow]: [usize; 2],
        c: usize,
        dx: &mut [f32],
    ) {
        let len = oh * ow * c;
        assert!(
            dy.len() >= len && winners.len() >= len,
            "pool: a slice is short"
        );
        assert!(dx.len() >= 4 * len, "pool: dx is short");
        let corners = corners(ow, c);
        for window in 0..oh * ow {
            let (oy, ox) = (window / ow, window % ow);
            let (to, from) = ((2 * oy * 2 * ow + 2 * ox) * c, (oy * ow + ox) * c);
            for (start, lanes) in registers(c) {
                // SAFETY: a pixel's channels, within slices whose lengths were checked.
                unsafe {
                    let g = _mm512_maskz_loadu_ps(lanes, dy.as_ptr().add(from + start));
                    let at = _mm_maskz_loadu_epi8(lanes, winners.as_ptr().add(from + start).cast());
                    let first = dx.as_mut_ptr().add(to + start);
                    for (cell, corner) in corners.iter().enumerate() {
                        let won = _mm_cmpeq_epi8_mask(at, _mm_set1_epi8(cell as i8));
                        let share = _mm512_maskz_mov_ps(won, g);
                        _mm512_mask_storeu_ps(first.add(*corner), lanes, share);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use hw_core::Rng;

    #[test]
    fn halving_and_its_gradient_are_the_same_with_and_without_masks_and_by_definition() {
        let mut rng = Rng::stream(3, "test", 0);
        for c in (1..40).chain([64, 100]) {
            let (oh, ow) = (1 + c % 3, 1 + c % 4);
            let pooled = crate::geometry::Pool2dConfig {
                kernel: [2, 2],
                stride: [2, 2],
                padding: Default::default(),
            };
            let windows = Windows::of_pool("max_pool2d", [2 * oh, 2 * ow], &pooled).unwrap();
            assert!(is_halving(&windows));
            // Ties and NaNs among them.
            let value = |draw: f32| {
                if draw < 0.05 {
                    f32::NAN
                } else {
                    (draw * 6.0).floor()
                }
            };
            let x: Vec<f32> = (0..4 * oh * ow * c).map(|_| value(rng.uniform())).collect();
            let dy: Vec<f32> = (0..oh * ow * c).map(|_| rng.normal()).collect();
            let len = oh * ow * c;
            let (mut y, mut winners) = (vec![0.0; len], vec![9u8; len]);
            max_forward(&windows, c, &x, &mut y, &mut winners);
            let (mut plain, mut plain_winners) = (vec![0.0; len], vec![9u8; len]);
            halve(&x, windows.output, c, &mut plain, &mut plain_winners);
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!((bits(&y), &winners), (bits(&plain), &plain_winners), "{c}");
            let mut only = vec![0.0; len];
            max_only(&windows, c, &x, &mut only);
            assert_eq!(bits(&only), bits(&y));
            let (mut dx, mut plain) = (vec![7.0; 4 * len], vec![8.0; 4 * len]);
            max_backward(&windows, c, &winners, &dy, &mut dx);
            double(&dy, &winners, windows.output, c, &mut plain);
            assert_eq!(dx, plain);
            for (index, winner) in winners.iter().enumerate() {
                let (pixel, channel) = (index / c, index % c);
                let at = |cell: usize| {
                    let (oy, ox) = (pixel / ow, pixel % ow);
                    ((2 * oy + cell / 2) * 2 * ow + 2 * ox + cell % 2) * c + channel
                };
                let first_nan_or_most = (0..4).rev().max_by(|&a, &b| {
                    let key = |cell: usize| match x[at(cell)] {
                        v if v.is_nan() => f32::INFINITY,
                        v => v,
                    };
                    key(a).total_cmp(&key(b))
                });
                let is_nan = (0..4).any(|cell| x[at(cell)].is_nan());
                assert!(is_nan || first_nan_or_most == Some(usize::from(*winner)));
                for cell in 0..4 {
                    let share = if cell == usize::from(*winner) {
                        dy[index]
                    } else {
                        0.0
                    };
                    assert_eq!(dx[at(cell)], share);
                }
            }
        }
    }
}
