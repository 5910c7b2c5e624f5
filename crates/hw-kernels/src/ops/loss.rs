//! Softmax and cross-entropy.

use super::access::{filled, floats, ours, output, slice};
use super::{check_shape, dims2};
use crate::cpu::softmax as kernel;
use crate::error::{KernelError, Result};
use crate::fallback;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use std::sync::OnceLock;

/// Softmax of each row: `[n, k]` to `[n, k]`, rows sum to 1.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    dims2("softmax", "x", x)?;
    softmax_over_channels(x)
}

/// Softmax over axis 1 of two or more.
pub(super) fn softmax_over_channels(x: &Tensor) -> Result<Tensor> {
    if !ours(&[x]) {
        return Ok(fallback::loss::softmax(x, 1)?);
    }
    let (k, inner) = (x.dims()[1], x.dims()[2..].iter().product());
    Ok(x.contiguous()?.apply_op1(Softmax { k, inner })?)
}

/// Logarithm of the softmax of each row: `[n, k]` to `[n, k]`.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let [_, k] = dims2("log_softmax", "x", x)?;
    if !ours(&[x]) {
        return Ok(fallback::loss::log_softmax(x)?);
    }
    Ok(x.contiguous()?.apply_op1(LogSoftmax { k })?)
}

/// Mean over the batch of `-log softmax(logits)[label]`, a scalar; its gradient is
/// `(softmax(logits) - onehot(label)) / n`.
///
/// Shapes: `logits [n, k]`, `labels [n]` of type u32.
///
/// # Errors
/// [`KernelError::LabelOutOfRange`] for a label of `k` or more, [`KernelError::Shape`] for shapes
/// that do not agree or an empty batch.
pub fn softmax_cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let op = "softmax_cross_entropy";
    let [n, classes] = dims2(op, "logits", logits)?;
    if n == 0 || classes == 0 {
        return Err(KernelError::Shape {
            op,
            argument: "logits",
            actual: vec![n, classes],
            expected: "at least one row and one class".into(),
        });
    }
    check_shape(op, "labels", labels, &[n])?;
    let labels = labels.to_dtype(DType::U32)?;
    let values = labels.to_vec1::<u32>()?;
    for (position, &label) in values.iter().enumerate() {
        if label as usize >= classes {
            return Err(KernelError::LabelOutOfRange {
                label,
                position,
                classes,
            });
        }
    }
    if !ours(&[logits]) {
        return Ok(fallback::loss::softmax_cross_entropy(logits, &labels)?);
    }
    let op = CrossEntropy {
        labels: values,
        classes,
        probabilities: OnceLock::new(),
    };
    Ok(logits.contiguous()?.apply_op1(op)?)
}

/// Over the middle axis of `[n, k, inner]`.
struct Softmax {
    k: usize,
    inner: usize,
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut y = vec![0.0; x.len()];
        kernel::softmax(x, &mut y, self.k, self.inner);
        Ok(output(y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (ys, dy) = (floats(y)?, floats(&grad)?);
        filled(x, |dx| {
            kernel::softmax_backward(&ys, &dy, dx, self.k, self.inner)
        })
        .map(Some)
    }
}

struct LogSoftmax {
    k: usize,
}

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut y = vec![0.0; x.len()];
        kernel::log_softmax(x, &mut y, self.k);
        Ok(output(y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (ys, dy) = (floats(y)?, floats(&grad)?);
        filled(x, |dx| kernel::log_softmax_backward(&ys, &dy, dx, self.k)).map(Some)
    }
}

struct CrossEntropy {
    /// All below `classes`.
    labels: Vec<u32>,
    classes: usize,
    /// Left by the forward pass for the backward pass.
    probabilities: OnceLock<Vec<f32>>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut probabilities = vec![0.0; x.len()];
        let loss = kernel::cross_entropy(x, &self.labels, self.classes, &mut probabilities);
        // An operation is applied once, so the cell is empty.
        let _ = self.probabilities.set(probabilities);
        Ok(output(vec![loss], ()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()?;
        let p = self.probabilities.get().map_or(&[][..], |p| p);
        let (labels, k) = (&self.labels, self.classes);
        filled(x, |dx| {
            kernel::cross_entropy_backward(p, labels, k, scale, dx)
        })
        .map(Some)
    }
}
