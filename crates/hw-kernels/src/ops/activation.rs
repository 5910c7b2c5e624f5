//! Activation functions.

use super::channels;
use crate::activation::Activation;
use crate::error::Result;
use crate::fallback;
use candle_core::Tensor;

/// Applies `activation`; the result is shaped as `x`. Only [`Activation::Softmax`] needs a
/// particular shape (`[n, c]` or `[n, c, h, w]`).
///
/// # Errors
/// [`crate::KernelError`] for a shape softmax cannot take, and candle's errors.
pub fn activate(x: &Tensor, activation: &Activation) -> Result<Tensor> {
    if *activation == Activation::Softmax {
        channels("softmax", x)?;
    }
    Ok(fallback::activation::activate(x, activation)?)
}
