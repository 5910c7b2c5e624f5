//! Softmax and cross-entropy.

use super::{check_shape, dims2};
use crate::cpu::softmax as kernel;
use crate::error::{KernelError, Result};
use candle_core::{D, DType, Result as TensorResult, Tensor};
use std::sync::Arc;

/// Softmax of each row: `[n, k]` to `[n, k]`, rows sum to 1.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    dims2("softmax", "x", x)?;
    Ok(softmax_over_channels(x)?)
}

/// Softmax over axis 1 of two or more, shifted by the maximum (whose gradient cancels, so it is not
/// tracked).
pub(super) fn softmax_over_channels(x: &Tensor) -> TensorResult<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(1)?)?;
    let exponentials = shifted.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(1)?)
}

/// Logarithm of the softmax of each row: `[n, k]` to `[n, k]`.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    dims2("log_softmax", "x", x)?;
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&log_sum)?)
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
    let labels = checked("softmax_cross_entropy", logits, labels)?;
    let picked = log_softmax(logits)?.gather(&labels, 1)?;
    Ok(picked.mean_all()?.neg()?)
}

/// The labels as `[n, 1]`, after checks of every shape and range.
fn checked(op: &'static str, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
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
    for (position, label) in labels.to_vec1::<u32>()?.into_iter().enumerate() {
        if label as usize >= classes {
            return Err(KernelError::LabelOutOfRange {
                label,
                position,
                classes,
            });
        }
    }
    Ok(labels.unsqueeze(1)?.contiguous()?)
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
    let labels = checked("softmax_loss", logits, labels)?;
    let (n, k) = logits.dims2()?;
    let (device, dtype) = (logits.device(), logits.dtype());
    if let Some(weights) = &terms.class_weights
        && weights.len() != k
    {
        return Err(KernelError::Shape {
            op: "softmax_loss",
            argument: "class weights",
            actual: vec![weights.len()],
            expected: format!("[{k}]"),
        });
    }
    let smoothing = f64::from(terms.smoothing);
    let certain = Tensor::full(1.0 - smoothing, (n, 1), device)?.to_dtype(dtype)?;
    let spread = Tensor::full(smoothing / k as f64, (n, k), device)?.to_dtype(dtype)?;
    let targets = spread.scatter_add(&labels, &certain, 1)?;
    let surprise = log_softmax(logits)?.neg()?;
    let costs = match terms.gamma {
        0.0 => surprise,
        gamma => focal(&surprise, f64::from(gamma))?,
    };
    let mut costs = (targets * costs)?.sum(1)?;
    if let Some(weights) = &terms.class_weights {
        let weights = Tensor::from_slice(weights, k, device)?.to_dtype(dtype)?;
        costs = (costs * weights.index_select(&labels.squeeze(1)?, 0)?)?;
    }
    Ok(costs.mean_all()?)
}

/// `(1-p)^γ s` for `s = -log p`; 0, with a gradient of 0, where `p` is 1.
fn focal(surprise: &Tensor, gamma: f64) -> TensorResult<Tensor> {
    // 1 - exp(-s) = 2t / (1 + t) with t = tanh(s/2), which loses no digits where p is near 1.
    let t = (surprise * 0.5)?.tanh()?;
    let certain = t.le(0f64)?;
    let rest = ((&t * 2.0)? / (&t + 1.0)?)?;
    let rest = certain.where_cond(&rest.ones_like()?, &rest)?;
    let costs = (rest.powf(gamma)? * surprise)?;
    certain.where_cond(&costs.zeros_like()?, &costs)
}
