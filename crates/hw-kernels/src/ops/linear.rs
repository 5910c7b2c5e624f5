//! Dense layers.

use super::access::{floats, gradient, ours, output, slice};
use super::{check_shape, dims2};
use crate::cpu::dense;
use crate::error::Result;
use crate::fallback;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

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
    if !ours(&[x, w, bias.unwrap_or(w)]) {
        return Ok(fallback::conv::linear(x, w, bias)?);
    }
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    Ok(match bias {
        Some(bias) => x.apply_op3(&w, &bias.contiguous()?, Linear)?,
        None => x.apply_op2(&w, Linear)?,
    })
}

struct Linear;

impl Linear {
    fn forward(
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        [n, i]: [usize; 2],
    ) -> (CpuStorage, Shape) {
        let o = w.len() / i;
        let mut y = vec![0.0; n * o];
        dense::forward(x, w, bias, &mut y, i, o);
        output(y, (n, o))
    }

    fn backward(
        x: &Tensor,
        w: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (o, i) = w.dims2()?;
        let (xs, ws, dy) = (floats(x)?, floats(w)?, floats(grad)?);
        let dx = gradient(x, |dx| dense::backward_data(&dy, &ws, dx, i, o))?;
        let dw = gradient(w, |dw| dense::backward_weights(&xs, &dy, dw, i, o))?;
        Ok((dx, dw))
    }
}

fn dims(layout: &Layout) -> candle_core::Result<[usize; 2]> {
    layout.shape().dims2().map(|(n, i)| [n, i])
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok(Self::forward(slice(x, xl)?, slice(w, wl)?, None, dims(xl)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Self::backward(x, w, &grad.contiguous()?)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = slice(bias, bl)?;
        Ok(Self::forward(
            slice(x, xl)?,
            slice(w, wl)?,
            Some(bias),
            dims(xl)?,
        ))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (dx, dw) = Self::backward(x, w, &grad)?;
        let dy = floats(&grad)?;
        let db = gradient(bias, |db| dense::backward_bias(&dy, db))?;
        Ok((dx, dw, db))
    }
}
