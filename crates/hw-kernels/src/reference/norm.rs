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
    let mean = mean_over_batch(x)?;
    let centered = per_channel(x, &mean, Tensor::broadcast_sub)?;
    let variance = mean_over_batch(&centered.sqr()?)?;
    let deviation = (&variance + f64::from(eps))?.sqrt()?;
    let normalized = per_channel(&centered, &deviation, Tensor::broadcast_div)?;
    let y = scale_shift(&normalized, gamma, beta)?;
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
    let deviation = (variance.detach() + f64::from(eps))?.sqrt()?;
    let centered = per_channel(x, &mean.detach(), Tensor::broadcast_sub)?;
    let normalized = per_channel(&centered, &deviation, Tensor::broadcast_div)?;
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
    let scaled = per_channel(x, scale, Tensor::broadcast_mul)?;
    per_channel(&scaled, shift, Tensor::broadcast_add)
}

/// `op` of `x [n, c]` or `[n, c, h, w]` and one number a channel. The gradient of a channel's number is
/// summed over each map first: candle adds one number after the other, and long sums lose digits.
pub(super) fn per_channel(
    x: &Tensor,
    numbers: &Tensor,
    op: fn(&Tensor, &Tensor) -> TensorResult<Tensor>,
) -> TensorResult<Tensor> {
    let (n, c) = (x.dim(0)?, x.dim(1)?);
    if x.rank() == 2 {
        return op(x, &numbers.reshape((1, c))?);
    }
    let numbers = numbers.reshape((1, c, 1))?.broadcast_as((n, c, 1))?;
    op(&x.flatten_from(2)?, &numbers.contiguous()?)?.reshape(x.shape())
}

/// `[c]`; means of maps first, as in [`per_channel`].
fn mean_over_batch(x: &Tensor) -> TensorResult<Tensor> {
    match x.rank() {
        2 => x.mean(0),
        _ => x.flatten_from(2)?.mean(2)?.mean(0),
    }
}
