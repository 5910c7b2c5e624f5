//! Softmax and cross-entropy.

use super::{check_shape, dims2};
use crate::error::{KernelError, Result};
use crate::fallback;
use candle_core::{DType, Tensor};

/// Softmax of each row: `[n, k]` to `[n, k]`, rows sum to 1.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    dims2("softmax", "x", x)?;
    Ok(fallback::loss::softmax(x, 1)?)
}

/// Logarithm of the softmax of each row: `[n, k]` to `[n, k]`.
///
/// # Errors
/// [`KernelError::Shape`] unless `x` has two axes.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    dims2("log_softmax", "x", x)?;
    Ok(fallback::loss::log_softmax(x)?)
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
    for (position, label) in labels.to_vec1::<u32>()?.into_iter().enumerate() {
        if label as usize >= classes {
            return Err(KernelError::LabelOutOfRange {
                label,
                position,
                classes,
            });
        }
    }
    Ok(fallback::loss::softmax_cross_entropy(logits, &labels)?)
}
