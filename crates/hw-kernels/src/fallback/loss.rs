//! Softmax and cross-entropy from candle's operations.

use crate::ops::LossTerms;
use candle_core::{D, Result, Tensor};

/// Softmax over `axis`, shifted by the maximum (whose gradient cancels, so it is not tracked).
pub(crate) fn softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(axis)?)?;
    let exponentials = shifted.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(axis)?)
}

/// See [`crate::log_softmax`].
pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}

/// See [`crate::softmax_cross_entropy`]; `labels` are known to be in range.
pub(crate) fn softmax_cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let picked = log_softmax(logits)?.gather(&labels.unsqueeze(1)?.contiguous()?, 1)?;
    picked.mean_all()?.neg()
}

/// See [`crate::softmax_loss`]; `labels` are known to be in range.
pub(crate) fn softmax_loss(logits: &Tensor, labels: &Tensor, terms: &LossTerms) -> Result<Tensor> {
    let (device, dtype) = (logits.device(), logits.dtype());
    let (n, k) = logits.dims2()?;
    let labels = labels.unsqueeze(1)?.contiguous()?;
    let smoothing = f64::from(terms.smoothing);
    let certain = Tensor::full(1.0 - smoothing, (n, 1), device)?.to_dtype(dtype)?;
    let spread = Tensor::full(smoothing / k as f64, (n, k), device)?.to_dtype(dtype)?;
    let targets = spread.scatter_add(&labels, &certain, 1)?;
    let log_p = log_softmax(logits)?;
    let mut costs = (targets * &log_p)?.neg()?;
    if terms.gamma != 0.0 {
        let rest = (1.0 - log_p.exp()?)?;
        costs = (costs * rest.powf(f64::from(terms.gamma))?)?;
    }
    let mut costs = costs.sum(1)?;
    if let Some(weights) = &terms.class_weights {
        let weights = Tensor::from_slice(weights, k, device)?.to_dtype(dtype)?;
        costs = (costs * weights.index_select(&labels.squeeze(1)?, 0)?)?;
    }
    costs.mean_all()
}
