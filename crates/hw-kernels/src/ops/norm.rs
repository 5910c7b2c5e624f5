//! Batch normalisation (Ioffe & Szegedy 2015).

use super::{channels, check_shape};
use crate::error::Result;
use crate::fallback;
use candle_core::Tensor;

/// What batch normalisation measured on one batch, per channel; feeds the running averages.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStats {
    /// Mean over batch and positions.
    pub mean: Vec<f32>,
    /// Biased variance (divided by `count`) over batch and positions.
    pub variance: Vec<f32>,
    /// Values per channel: batch size times positions.
    pub count: usize,
}

/// Normalises each channel with the batch's own mean and biased variance, then scales and shifts:
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
    let (y, mean, variance) = fallback::norm::batch_norm_train(x, gamma, beta, eps.into())?;
    let count = x.elem_count() / c.max(1);
    let stats = BatchStats {
        mean,
        variance,
        count,
    };
    Ok((y, stats))
}

/// Normalises with given statistics, as at test time: an affine map per channel, differentiable in
/// `x`, `gamma` and `beta`.
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
    let eps = eps.into();
    Ok(fallback::norm::batch_norm_eval(
        x, gamma, beta, mean, variance, eps,
    )?)
}
