//! Convolution and dense layers from candle's operations.

use crate::geometry::Windows;
use candle_core::{Result, Tensor};

/// See [`crate::conv2d`].
pub(crate) fn conv2d(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, g: &Windows) -> Result<Tensor> {
    let padded = super::pad(x, g.padding, 0.0)?;
    let y = if g.stride[0] == g.stride[1] {
        // candle's gradient assumes that the windows reach the last row and column.
        let [rows, columns] = g.reach();
        let exact = padded.narrow(2, 0, rows)?.narrow(3, 0, columns)?;
        exact.contiguous()?.conv2d(w, 0, g.stride[0], 1, 1)?
    } else {
        let dense = padded.contiguous()?.conv2d(w, 0, 1, 1, 1)?;
        every(&every(&dense, 2, g.stride[0])?, 3, g.stride[1])?
    };
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

/// Positions 0, `step`, 2 `step`, ... along `axis`.
pub(super) fn every(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    let indices: Vec<u32> = (0..x.dim(axis)? as u32).step_by(step).collect();
    let count = indices.len();
    x.contiguous()?
        .index_select(&Tensor::from_vec(indices, count, x.device())?, axis)
}

/// See [`crate::linear`].
pub(crate) fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.contiguous()?.matmul(&w.t()?.contiguous()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// See [`crate::channel_scale_shift`].
pub(crate) fn channel_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let shape = super::norm::channel_shape(x);
    x.broadcast_mul(&scale.reshape(shape.clone())?)?
        .broadcast_add(&shift.reshape(shape)?)
}
