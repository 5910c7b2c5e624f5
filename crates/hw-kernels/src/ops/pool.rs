//! Pooling.

use super::dims4;
use crate::error::Result;
use crate::fallback;
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
    Ok(fallback::pool::max_pool2d(x, &windows)?)
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
    Ok(fallback::pool::avg_pool2d(x, &windows, count_include_pad)?)
}

/// The mean of each map: `[n, c, h, w]` to `[n, c]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when `x` has not four axes.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    dims4("global_avg_pool", "x", x)?;
    Ok(fallback::pool::global_avg_pool(x)?)
}
