//! Dropout.

use super::access::{filled, floats, ours, output, slice};
use crate::cpu::dropout::{apply, factor};
use crate::error::{KernelError, Result};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

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
    if ours(&[x]) {
        return Ok(x.contiguous()?.apply_op1(Dropout { rate, seed })?);
    }
    let indices = 0..x.elem_count() as u64;
    let mask: Vec<f32> = indices.map(|index| factor(seed, index, rate)).collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok((x * mask)?)
}

/// The mask is not stored: the seed makes it again.
struct Dropout {
    rate: f32,
    seed: u64,
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut y = vec![0.0; x.len()];
        apply(x, &mut y, self.rate, self.seed);
        Ok(output(y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let dy = floats(&grad)?;
        filled(x, |dx| apply(&dy, dx, self.rate, self.seed)).map(Some)
    }
}
