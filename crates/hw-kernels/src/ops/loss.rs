//! Softmax and cross-entropy.

use super::access::{filled, floats, ours, output, slice};
use super::{check_shape, dims2};
use crate::cpu::softmax as kernel;
use crate::error::{KernelError, Result};
use crate::fallback;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use std::sync::{Arc, OnceLock};

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
    let (labels, values) = checked("softmax_cross_entropy", logits, labels)?;
    if !ours(&[logits]) {
        return Ok(fallback::loss::softmax_cross_entropy(logits, &labels)?);
    }
    let op = CrossEntropy {
        labels: values,
        classes: logits.dims()[1],
        probabilities: OnceLock::new(),
    };
    Ok(logits.contiguous()?.apply_op1(op)?)
}

/// The labels as numbers, after checks of every shape and range.
fn checked(op: &'static str, logits: &Tensor, labels: &Tensor) -> Result<(Tensor, Vec<u32>)> {
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
    Ok((labels, values))
}

/// What changes a cross-entropy; by default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossTerms {
    /// γ of the focal loss (Lin et al. 2017); 0 for none.
    pub gamma: f32,
    /// The share of the target spread over all classes (Szegedy et al. 2016).
    pub smoothing: f32,
    /// How much each class counts; all the same if absent.
    pub class_weights: Option<Arc<[f32]>>,
}

impl LossTerms {
    /// The terms as the kernel on plain slices takes them.
    pub fn as_slices(&self) -> kernel::Terms<'_> {
        kernel::Terms {
            gamma: self.gamma,
            smoothing: self.smoothing,
            class_weights: self.class_weights.as_deref(),
        }
    }
}

/// Mean over the batch of `-w_y Σ_j t_j (1-p_j)^γ log p_j`, a scalar, where `p` is the softmax of the
/// logits, `y` the label, `t_j = (1-ε) [j = y] + ε/k` the smoothed target and `w` the class weights.
/// Without terms this is [`softmax_cross_entropy`]. As in Keras, weights are not divided by their sum.
///
/// Shapes: `logits [n, k]`, `labels [n]` of type u32, `k` class weights.
///
/// # Errors
/// As [`softmax_cross_entropy`], and [`KernelError::Shape`] unless there is a weight for each class.
pub fn softmax_loss(logits: &Tensor, labels: &Tensor, terms: &LossTerms) -> Result<Tensor> {
    if *terms == LossTerms::default() {
        return softmax_cross_entropy(logits, labels);
    }
    let (labels, values) = checked("softmax_loss", logits, labels)?;
    let classes = logits.dims()[1];
    if let Some(weights) = &terms.class_weights
        && weights.len() != classes
    {
        return Err(KernelError::Shape {
            op: "softmax_loss",
            argument: "class weights",
            actual: vec![weights.len()],
            expected: format!("[{classes}]"),
        });
    }
    if !ours(&[logits]) {
        return Ok(fallback::loss::softmax_loss(logits, &labels, terms)?);
    }
    let op = Loss {
        labels: values,
        classes,
        terms: terms.clone(),
        gradient: OnceLock::new(),
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

struct Loss {
    /// All below `classes`.
    labels: Vec<u32>,
    classes: usize,
    terms: LossTerms,
    /// Left by the forward pass for the backward pass.
    gradient: OnceLock<Vec<f32>>,
}

impl CustomOp1 for Loss {
    fn name(&self) -> &'static str {
        "softmax_loss"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut dx = vec![0.0; x.len()];
        let terms = self.terms.as_slices();
        let loss = kernel::loss(x, &self.labels, self.classes, terms, &mut dx);
        // An operation is applied once, so the cell is empty.
        let _ = self.gradient.set(dx);
        Ok(output(vec![loss], ()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()?;
        let gradient = self.gradient.get().map_or(&[][..], |g| g);
        filled(x, |dx| {
            for (dx, g) in dx.iter_mut().zip(gradient) {
                *dx = scale * g;
            }
        })
        .map(Some)
    }
}
