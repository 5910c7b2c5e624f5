//! Activation functions.

use super::access::{filled, floats, ours, output, slice};
use super::{channels, loss::softmax_over_channels};
use crate::activation::Activation;
use crate::cpu::activation::{backward, forward};
use crate::error::Result;
use crate::fallback;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

/// Applies `activation`; the result is shaped as `x`. Only [`Activation::Softmax`] needs a
/// particular shape (`[n, c]` or `[n, c, h, w]`).
///
/// # Errors
/// [`crate::KernelError`] for a shape softmax cannot take, and candle's errors.
pub fn activate(x: &Tensor, activation: &Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Softmax => {
            channels("softmax", x)?;
            softmax_over_channels(x)
        }
        _ if ours(&[x]) => Ok(x.contiguous()?.apply_op1(Activate(*activation))?),
        _ => Ok(fallback::activation::activate(x, activation)?),
    }
}

struct Activate(Activation);

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut y = vec![0.0; x.len()];
        forward(self.0, x, &mut y);
        Ok(output(y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (xs, ys, dy) = (floats(x)?, floats(y)?, floats(&grad)?);
        filled(x, |dx| backward(self.0, &xs, &ys, &dy, dx)).map(Some)
    }
}
