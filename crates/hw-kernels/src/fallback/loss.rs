//! Softmax and cross-entropy from candle's operations.

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
