//! Pooling, one tensor per window position.

use super::dims4;
use super::taps::taps;
use crate::error::Result;
use crate::geometry::{Pool2dConfig, Windows};
use candle_core::Tensor;

/// The largest value of each window; padding counts as minus infinity. Of equal values the first
/// in row-major order takes the gradient; NaN propagates. Both as in PyTorch.
///
/// Shapes: `x [n, c, h, w]`, result `[n, c, oh, ow]`.
///
/// # Errors
/// [`crate::KernelError`] when `x` has not four axes or the window does not fit (see [`Windows`]).
pub fn max_pool2d(x: &Tensor, config: &Pool2dConfig) -> Result<Tensor> {
    let [_, _, height, width] = dims4("max_pool2d", "x", x)?;
    let windows = Windows::of_pool("max_pool2d", [height, width], config)?;
    let taps = taps(x, &windows, f64::NEG_INFINITY)?;
    let mut best = taps[0].clone();
    for tap in &taps[1..] {
        let is_nan = tap.ne(tap)?;
        let wins = (tap.gt(&best)? + is_nan)?.gt(0u8)?;
        best = wins.where_cond(tap, &best)?;
    }
    Ok(best)
}

/// The mean of each window; with `count_include_pad` padding counts as zeros, otherwise only the
/// real cells are averaged.
///
/// Shapes: `x [n, c, h, w]`, result `[n, c, oh, ow]`.
///
/// # Errors
/// As [`max_pool2d`].
pub fn avg_pool2d(x: &Tensor, config: &Pool2dConfig, count_include_pad: bool) -> Result<Tensor> {
    let [_, _, height, width] = dims4("avg_pool2d", "x", x)?;
    let windows = Windows::of_pool("avg_pool2d", [height, width], config)?;
    let taps = taps(x, &windows, 0.0)?;
    let mut sum = taps[0].clone();
    for tap in &taps[1..] {
        sum = (sum + tap)?;
    }
    if count_include_pad {
        return Ok((sum / windows.kernel_size() as f64)?);
    }
    let cells = windows.cells_per_window().into_iter();
    let factors: Vec<f64> = cells.map(|cells| 1.0 / cells as f64).collect();
    let [oh, ow] = windows.output;
    let factors = Tensor::from_vec(factors, (1, 1, oh, ow), x.device())?;
    Ok(sum.broadcast_mul(&factors.to_dtype(x.dtype())?)?)
}

/// The mean of each map: `[n, c, h, w]` to `[n, c]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when `x` has not four axes.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    dims4("global_avg_pool", "x", x)?;
    Ok(x.flatten_from(2)?.mean(2)?)
}
