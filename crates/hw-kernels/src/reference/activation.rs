//! Activation functions.

use super::{channels, loss};
use crate::activation::{Activation, ActivationFunction};
use crate::cpu::activation::{SELU_ALPHA, SELU_SCALE};
use crate::error::Result;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result as TensorResult, Shape, Tensor};
use hw_core::Member;

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
        Activation::Registered(function) => x.contiguous()?.apply_op1(Registered {
            function,
            evaluate: |function, x| function.value(x),
        }),
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

/// A function of another crate, or its derivative, on the CPU.
struct Registered {
    function: Member<dyn ActivationFunction>,
    evaluate: fn(&dyn ActivationFunction, f64) -> f64,
}

impl CustomOp1 for Registered {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        let Some((start, end)) = l.contiguous_offsets() else {
            candle_core::bail!("{}: the input is not contiguous", self.name())
        };
        let f = |x: f64| (self.evaluate)(&*self.function, x);
        let y = match x {
            CpuStorage::F32(x) => {
                let y = x[start..end].iter().map(|x| f(f64::from(*x)) as f32);
                CpuStorage::F32(y.collect())
            }
            CpuStorage::F64(x) => CpuStorage::F64(x[start..end].iter().map(|x| f(*x)).collect()),
            other => candle_core::bail!("{}: no {:?}", self.name(), other.dtype()),
        };
        Ok((y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> TensorResult<Option<Tensor>> {
        let slope = x.apply_op1_no_bwd(&Self {
            function: self.function,
            evaluate: |function, x| function.derivative(x),
        })?;
        Ok(Some((grad * slope)?))
    }
}
