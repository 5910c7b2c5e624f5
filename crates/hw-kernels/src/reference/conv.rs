//! Convolution and dense layers.

use super::norm::per_channel;
use super::taps::{every, pad, spread, taps};
use super::with_gradient::with_gradient;
use super::{check_shape, dims2, dims4};
use crate::error::{KernelError, Result};
use crate::geometry::{Conv2dConfig, Windows};
use candle_core::{Result as TensorResult, Tensor};

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
    let windows = check(x, w, bias, config)?;
    let value = correlate(&x.detach(), &w.detach(), &windows)?;
    let y = with_gradient(x, w, value, move |x, w, dy| {
        let dx = x.track_op().then(|| input_gradient(w, dy, &windows));
        let dw = w.track_op().then(|| weight_gradient(x, dy, &windows));
        Ok([dx.transpose()?, dw.transpose()?])
    })?;
    Ok(match bias {
        Some(bias) => per_channel(&y, bias, Tensor::broadcast_add)?,
        None => y,
    })
}

fn check(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, config: &Conv2dConfig) -> Result<Windows> {
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
    Windows::of_conv([height, width], [kh, kw], config)
}

/// What every window sees, one below the other: `[kh * kw * c, n * oh * ow]`.
fn unfold(x: &Tensor, g: &Windows) -> TensorResult<Tensor> {
    let (n, c, ..) = x.dims4()?;
    let taps = taps(&x.transpose(0, 1)?, g, 0.0)?;
    Tensor::cat(&taps, 0)?.reshape((g.kernel_size() * c, n * g.output_size()))
}

/// By candle's forward pass, which has one stride for both axes: where they differ, outputs are picked.
fn correlate(x: &Tensor, w: &Tensor, g: &Windows) -> TensorResult<Tensor> {
    let [down, across] = g.stride;
    let common = if down == across { down } else { 1 };
    let padded = pad(x, g.padding, 0.0)?.contiguous()?;
    let y = padded.conv2d(&w.contiguous()?, 0, common, 1, 1)?;
    every(&every(&y, 2, down / common)?, 3, across / common)
}

fn weight_gradient(x: &Tensor, dy: &Tensor, g: &Windows) -> TensorResult<Tensor> {
    let (o, c) = (dy.dim(1)?, x.dim(1)?);
    let dy = dy.transpose(0, 1)?.contiguous()?.flatten_from(1)?;
    let rows = dy.matmul(&unfold(x, g)?.t()?)?;
    let dw = rows.reshape((o, g.kernel[0], g.kernel[1], c))?;
    dw.permute((0, 3, 1, 2))?.contiguous()
}

/// A cell of the input got from each output what the weights, turned around, say.
fn input_gradient(w: &Tensor, dy: &Tensor, g: &Windows) -> TensorResult<Tensor> {
    let turned = w.contiguous()?.flip(&[2, 3])?.transpose(0, 1)?;
    let dense = Windows {
        input: [0, 1].map(|i| g.input[i] + g.kernel[i] - 1),
        stride: [1, 1],
        padding: Default::default(),
        output: g.input,
        ..*g
    };
    correlate(&spread(dy, g)?, &turned, &dense)?.contiguous()
}

/// A dense layer: `y = x wᵀ + bias`.
///
/// Shapes: `x [n, i]`, `w [o, i]`, `bias [o]`, result `[n, o]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let [_, i] = dims2("linear", "x", x)?;
    let [o, _] = dims2("linear", "w", w)?;
    check_shape("linear", "w", w, &[o, i])?;
    if let Some(bias) = bias {
        check_shape("linear", "bias", bias, &[o])?;
    }
    let y = x.contiguous()?.matmul(&w.t()?.contiguous()?)?;
    Ok(match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}
