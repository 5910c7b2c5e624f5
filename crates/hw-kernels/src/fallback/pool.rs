//! Pooling from candle's operations, one shifted slice per window position.

use crate::geometry::Windows;
use candle_core::{Result, Tensor};

/// The input value at position (`row`, `column`) of every window, `[n, c, oh, ow]`.
fn tap(padded: &Tensor, g: &Windows, row: usize, column: usize) -> Result<Tensor> {
    let span = [0, 1].map(|i| (g.output[i] - 1) * g.stride[i] + 1);
    let slice = padded.narrow(2, row, span[0])?.narrow(3, column, span[1])?;
    super::conv::every(&super::conv::every(&slice, 2, g.stride[0])?, 3, g.stride[1])
}

fn taps(padded: &Tensor, g: &Windows) -> Result<Vec<Tensor>> {
    let positions = (0..g.kernel[0]).flat_map(|row| (0..g.kernel[1]).map(move |c| (row, c)));
    positions.map(|(row, c)| tap(padded, g, row, c)).collect()
}

/// See [`crate::max_pool2d`]: the first maximum of a window, in row-major order, takes the gradient.
pub(crate) fn max_pool2d(x: &Tensor, g: &Windows) -> Result<Tensor> {
    let taps = taps(&super::pad(x, g.padding, f64::NEG_INFINITY)?, g)?;
    let mut best = taps[0].clone();
    for tap in &taps[1..] {
        let is_nan = tap.ne(tap)?;
        let wins = (tap.gt(&best)? + is_nan)?.gt(0u8)?;
        best = wins.where_cond(tap, &best)?;
    }
    Ok(best)
}

/// See [`crate::avg_pool2d`].
pub(crate) fn avg_pool2d(x: &Tensor, g: &Windows, count_include_pad: bool) -> Result<Tensor> {
    let taps = taps(&super::pad(x, g.padding, 0.0)?, g)?;
    let mut sum = taps[0].clone();
    for tap in &taps[1..] {
        sum = (sum + tap)?;
    }
    if count_include_pad {
        return sum / g.kernel_size() as f64;
    }
    let factors: Vec<f64> = crate::cpu::pool::cells_per_window(g)
        .iter()
        .map(|&cells| 1.0 / cells as f64)
        .collect();
    let factors = Tensor::from_vec(factors, (1, 1, g.output[0], g.output[1]), x.device())?;
    sum.broadcast_mul(&factors.to_dtype(x.dtype())?)
}

/// See [`crate::global_avg_pool`].
pub(crate) fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    x.flatten_from(2)?.mean(2)
}
