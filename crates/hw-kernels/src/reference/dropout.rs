//! Dropout.

use crate::cpu::dropout::factor;
use crate::error::{KernelError, Result};
use candle_core::Tensor;

/// Inverted dropout (Srivastava et al. 2014): each element becomes 0 with probability `rate`, the
/// others are scaled by `1 / (1 - rate)`. Element `i`'s fate depends on `seed` and `i` alone: it is
/// that of [`dropout_mask`] for the indices `0, 1, ...` of `x` as it is shaped.
///
/// # Errors
/// [`KernelError::Rate`] unless `0 <= rate < 1`.
pub fn dropout(x: &Tensor, rate: f32, seed: u64) -> Result<Tensor> {
    let mask = dropout_mask(rate, seed, 0..x.elem_count() as u64)?;
    if rate == 0.0 {
        return Ok(x.clone());
    }
    apply_mask(x, &Tensor::from_vec(mask, x.shape(), x.device())?)
}

/// The factors of the elements numbered by `indices`: 0 with probability `rate`, else `1 / (1 -
/// rate)`. The caller's indices say in which order of axes elements are numbered; planned networks
/// number them channels last.
///
/// # Errors
/// [`KernelError::Rate`] unless `0 <= rate < 1`.
pub fn dropout_mask(
    rate: f32,
    seed: u64,
    indices: impl IntoIterator<Item = u64>,
) -> Result<Vec<f32>> {
    if !(0.0..1.0).contains(&rate) {
        return Err(KernelError::Rate(rate));
    }
    let factors = indices.into_iter().map(|index| factor(seed, index, rate));
    Ok(factors.collect())
}

/// `x` times a mask of its shape and any floating-point type, without a gradient in the mask. What
/// is dropped is 0 even where `x` is not finite.
///
/// # Errors
/// candle's, when the shapes differ.
pub fn apply_mask(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let mask = mask.detach().to_dtype(x.dtype())?;
    let dropped = mask.eq(0f64)?;
    Ok(dropped.where_cond(&x.zeros_like()?, &(x * mask)?)?)
}
