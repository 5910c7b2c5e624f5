//! Activation functions.

use super::{channels, loss};
use crate::activation::Activation;
use crate::cpu::activation::{SELU_ALPHA, SELU_SCALE};
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};

/// Applies `activation`; the result is shaped as `x`. Only [`Activation::Softmax`] needs a
/// particular shape (`[n, c]` or `[n, c, h, w]`).
///
/// # Errors
/// [`crate::KernelError`] for a shape softmax cannot take, and candle's errors.
pub fn activate(x: &Tensor, activation: &Activation) -> Result<Tensor> {
    let y = match *activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => positive_or(x, &x.zeros_like()?),
        Activation::LeakyRelu { slope } => positive_or(x, &(x * f64::from(slope))?),
        Activation::Elu { alpha } => positive_or(x, &exponential_side(x, f64::from(alpha))?),
        Activation::Selu => positive_or(x, &exponential_side(x, SELU_ALPHA)?)? * SELU_SCALE,
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::ScaledTanh => (x * (2.0 / 3.0))?.tanh()? * 1.7159,
        Activation::Softsign => x / (x.abs()? + 1.0)?,
        Activation::Swish => x * sigmoid(x)?,
        Activation::Gelu => {
            let phi = (((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?;
            x * phi
        }
        Activation::Softmax => {
            channels("softmax", x)?;
            loss::softmax_over_channels(x)
        }
    };
    Ok(y?)
}

/// `x` where positive, else `negative(x)`; NaN stays NaN.
fn positive_or(x: &Tensor, negative: &Tensor) -> TensorResult<Tensor> {
    x.le(0f64)?.where_cond(negative, x)
}

fn sigmoid(x: &Tensor) -> TensorResult<Tensor> {
    // σ(x) = (1 + tanh(x/2)) / 2 overflows nowhere and stays differentiable.
    ((x * 0.5)?.tanh()? * 0.5)? + 0.5
}

/// `alpha (exp(x) - 1)` for the negative side; large positive `x` must not overflow into the
/// gradient of the unselected branch.
fn exponential_side(x: &Tensor, alpha: f64) -> TensorResult<Tensor> {
    // (candle's `minimum` would halve the gradient at 0.)
    let negative = x.le(0f64)?.where_cond(x, &x.zeros_like()?)?;
    (negative.exp()? - 1.0)? * alpha
}
