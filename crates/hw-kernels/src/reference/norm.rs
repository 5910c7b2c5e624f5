//! Batch normalization (Ioffe & Szegedy 2015) and affine maps per channel.

use super::{channels, check_shape};
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};

/// What batch normalization measured on one batch, per channel; feeds the running averages. Tensors
/// of the input's type, off the tape.
#[derive(Clone, Debug)]
pub struct BatchStats {
    /// Mean over batch and positions, `[c]`.
    pub mean: Tensor,
    /// Biased variance (divided by `count`) over batch and positions, `[c]`.
    pub variance: Tensor,
    /// Values per channel: batch size times positions.
    pub count: usize,
}

/// Normalizes each channel with the batch's own mean and biased variance, then scales and shifts:
/// `y = gamma (x - mean) / sqrt(variance + eps) + beta` (algorithm 1).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, `gamma` and `beta [c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f32,
) -> Result<(Tensor, BatchStats)> {
    let c = channels("batch_norm_train", x)?;
    check_shape("batch_norm_train", "gamma", gamma, &[c])?;
    check_shape("batch_norm_train", "beta", beta, &[c])?;
    let shape = channel_shape(x);
    let mean = mean_over_batch(x)?;
    let centered = x.broadcast_sub(&mean.reshape(shape.clone())?)?;
    let variance = mean_over_batch(&centered.sqr()?)?;
    let deviation = (&variance + f64::from(eps))?.sqrt()?.reshape(shape)?;
    let y = scale_shift(&centered.broadcast_div(&deviation)?, gamma, beta)?;
    let stats = BatchStats {
        mean: mean.detach(),
        variance: variance.detach(),
        count: x.elem_count() / c.max(1),
    };
    Ok((y, stats))
}

/// Normalizes with given statistics, as at test time: an affine map per channel, differentiable in
/// `x`, `gamma` and `beta` (not in the statistics).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, all others `[c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    eps: f32,
) -> Result<Tensor> {
    let c = channels("batch_norm_eval", x)?;
    check_shape("batch_norm_eval", "gamma", gamma, &[c])?;
    check_shape("batch_norm_eval", "beta", beta, &[c])?;
    check_shape("batch_norm_eval", "mean", mean, &[c])?;
    check_shape("batch_norm_eval", "variance", variance, &[c])?;
    let shape = channel_shape(x);
    let deviation = (variance.detach() + f64::from(eps))?.sqrt()?;
    let normalized = x
        .broadcast_sub(&mean.detach().reshape(shape.clone())?)?
        .broadcast_div(&deviation.reshape(shape)?)?;
    Ok(scale_shift(&normalized, gamma, beta)?)
}

/// `y = scale[c] x + shift[c]` per channel: with average pooling before it, the trainable
/// subsampling of LeNet-5 (LeCun et al. 1998, section II.B).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, `scale` and `shift [c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn channel_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let c = channels("channel_scale_shift", x)?;
    check_shape("channel_scale_shift", "scale", scale, &[c])?;
    check_shape("channel_scale_shift", "shift", shift, &[c])?;
    Ok(scale_shift(x, scale, shift)?)
}

fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> TensorResult<Tensor> {
    let shape = channel_shape(x);
    x.broadcast_mul(&scale.reshape(shape.clone())?)?
        .broadcast_add(&shift.reshape(shape)?)
}

/// `[1, c]` or `[1, c, 1, 1]`: the shape in which a per-channel vector broadcasts against `x`.
fn channel_shape(x: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dims()[1];
    shape
}

/// `[c]`. Means of maps first: candle adds one number after the other, and long sums lose digits.
fn mean_over_batch(x: &Tensor) -> TensorResult<Tensor> {
    match x.rank() {
        2 => x.mean(0),
        _ => x.flatten_from(2)?.mean(2)?.mean(0),
    }
}
