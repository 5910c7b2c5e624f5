//! Pooling.

use super::access::{filled, floats, ours, output, slice};
use super::dims4;
use crate::cpu::pool;
use crate::error::Result;
use crate::fallback;
use crate::geometry::{Pool2dConfig, Windows};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use std::sync::OnceLock;

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
    if !ours(&[x]) {
        return Ok(fallback::pool::max_pool2d(x, &windows)?);
    }
    let winners = OnceLock::new();
    Ok(x.contiguous()?.apply_op1(MaxPool { windows, winners })?)
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
    if !ours(&[x]) {
        return Ok(fallback::pool::avg_pool2d(x, &windows, count_include_pad)?);
    }
    let divisors = pool::divisors(&windows, count_include_pad);
    Ok(x.contiguous()?
        .apply_op1(AveragePool { windows, divisors })?)
}

/// The mean of each map: `[n, c, h, w]` to `[n, c]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when `x` has not four axes.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    let [_, _, height, width] = dims4("global_avg_pool", "x", x)?;
    if !ours(&[x]) {
        return Ok(fallback::pool::global_avg_pool(x)?);
    }
    let size = height * width;
    Ok(x.contiguous()?.apply_op1(GlobalAverage { size })?)
}

/// `[n, c, oh, ow]` for an input layout `[n, c, h, w]`.
fn pooled_shape(layout: &Layout, windows: &Windows) -> candle_core::Result<Shape> {
    let (n, c, _, _) = layout.shape().dims4()?;
    Ok((n, c, windows.output[0], windows.output[1]).into())
}

struct MaxPool {
    windows: Windows,
    /// Left by the forward pass for the backward pass.
    winners: OnceLock<Vec<u32>>,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = pooled_shape(l, &self.windows)?;
        let mut y = vec![0.0; shape.elem_count()];
        let mut winners = vec![0; y.len()];
        pool::max_forward(slice(x, l)?, &mut y, &mut winners, &self.windows);
        // An operation is applied once, so the cell is empty.
        let _ = self.winners.set(winners);
        Ok(output(y, shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dy = floats(&grad)?;
        let winners = self.winners.get().map_or(&[][..], |winners| winners);
        filled(x, |dx| pool::max_backward(&dy, winners, dx, &self.windows)).map(Some)
    }
}

struct AveragePool {
    windows: Windows,
    divisors: Vec<f32>,
}

impl CustomOp1 for AveragePool {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = pooled_shape(l, &self.windows)?;
        let mut y = vec![0.0; shape.elem_count()];
        pool::average_forward(slice(x, l)?, &mut y, &self.divisors, &self.windows);
        Ok(output(y, shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dy = floats(&grad)?;
        filled(x, |dx| {
            pool::average_backward(&dy, dx, &self.divisors, &self.windows)
        })
        .map(Some)
    }
}

struct GlobalAverage {
    size: usize,
}

impl CustomOp1 for GlobalAverage {
    fn name(&self) -> &'static str {
        "global_avg_pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, c, _, _) = l.shape().dims4()?;
        let mut y = vec![0.0; n * c];
        pool::global_average_forward(slice(x, l)?, &mut y, self.size);
        Ok(output(y, (n, c)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dy = floats(&grad)?;
        filled(x, |dx| pool::global_average_backward(&dy, dx, self.size)).map(Some)
    }
}
