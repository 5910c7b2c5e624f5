//! Pooling over the windows of maps whose channels come last.

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
                        let take = |cell: u8| if winners[i] == cell { dy[i] } else { 0.0 };
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
