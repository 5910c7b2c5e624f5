//! Dropout.

use crate::cpu::dropout::factor;
use crate::error::{KernelError, Result};
use candle_core::Tensor;

/// Inverted dropout (Srivastava et al. 2014): each element becomes 0 with probability `rate`, the
/// others are scaled by `1 / (1 - rate)`. Element `i`'s fate depends on `seed` and `i` alone, so
/// the same seed drops the same elements on any number of threads.
///
/// # Errors
/// [`KernelError::Rate`] unless `0 <= rate < 1`.
pub fn dropout(x: &Tensor, rate: f32, seed: u64) -> Result<Tensor> {
    if !(0.0..1.0).contains(&rate) {
        return Err(KernelError::Rate(rate));
    }
    if rate == 0.0 {
        return Ok(x.clone());
    }
    let mask: Vec<f32> = (0..x.elem_count() as u64)
        .map(|index| factor(seed, index, rate))
        .collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok((x * mask)?)
}
