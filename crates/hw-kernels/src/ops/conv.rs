//! Convolution, dense layers and per-channel affine maps.

use super::{channels, check_shape, dims2, dims4};
use crate::error::{KernelError, Result};
use crate::fallback;
use crate::geometry::{Conv2dConfig, Windows};
use candle_core::Tensor;

/// Two-dimensional cross-correlation: `y[n,o] = bias[o] + Σ_c w[o,c] ⋆ x[n,c]`.
///
/// Shapes: `x [n, c, h, w]`, `w [o, c, kh, kw]`, `bias [o]`, result `[n, o, oh, ow]`.
///
/// # Errors
/// [`KernelError`] when shapes do not agree or the window does not fit (see [`Windows`]).
pub fn conv2d(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    config: &Conv2dConfig,
) -> Result<Tensor> {
    let [_, c, height, width] = dims4("conv2d", "x", x)?;
    let [o, wc, kh, kw] = dims4("conv2d", "w", w)?;
    if wc != c {
        return Err(KernelError::Shape {
            op: "conv2d",
            argument: "w",
            actual: w.dims().to_vec(),
            expected: format!("[outputs, {c}, height, width]"),
        });
    }
    if let Some(bias) = bias {
        check_shape("conv2d", "bias", bias, &[o])?;
    }
    let windows = Windows::of_conv([height, width], [kh, kw], config)?;
    Ok(fallback::conv::conv2d(x, w, bias, &windows)?)
}

/// A dense layer: `y = x wᵀ + bias`.
///
/// Shapes: `x [n, i]`, `w [o, i]`, `bias [o]`, result `[n, o]`.
///
/// # Errors
/// [`KernelError::Shape`] when shapes do not agree.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let [_, i] = dims2("linear", "x", x)?;
    let [o, _] = dims2("linear", "w", w)?;
    check_shape("linear", "w", w, &[o, i])?;
    if let Some(bias) = bias {
        check_shape("linear", "bias", bias, &[o])?;
    }
    Ok(fallback::conv::linear(x, w, bias)?)
}

/// `y = scale[c] x + shift[c]` per channel: with average pooling before it, the trainable
/// subsampling of LeNet-5 (LeCun et al. 1998, section II.B).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, `scale` and `shift [c]`; the result is shaped as `x`.
///
/// # Errors
/// [`KernelError::Shape`] when shapes do not agree.
pub fn channel_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let c = channels("channel_scale_shift", x)?;
    check_shape("channel_scale_shift", "scale", scale, &[c])?;
    check_shape("channel_scale_shift", "shift", shift, &[c])?;
    Ok(fallback::conv::channel_scale_shift(x, scale, shift)?)
}
