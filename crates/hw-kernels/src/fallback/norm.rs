//! Batch normalisation from candle's operations.

use candle_core::{DType, Result, Tensor};

/// `[1, c]` or `[1, c, 1, 1]`: the shape in which a per-channel vector broadcasts against `x`.
pub(super) fn channel_shape(x: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dims()[1];
    shape
}

fn mean_over_batch(x: &Tensor) -> Result<Tensor> {
    match x.rank() {
        2 => x.mean_keepdim(0),
        _ => x.mean_keepdim((0, 2, 3)),
    }
}

fn as_f32(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}

/// The normalised output with the batch's mean and biased variance per channel.
pub(crate) fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<(Tensor, Vec<f32>, Vec<f32>)> {
    let mean = mean_over_batch(x)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = mean_over_batch(&centred.sqr()?)?;
    let normalised = centred.broadcast_div(&(&variance + eps)?.sqrt()?)?;
    let y = super::conv::channel_scale_shift(&normalised, gamma, beta)?;
    Ok((y, as_f32(&mean)?, as_f32(&variance)?))
}

/// See [`crate::batch_norm_eval`].
pub(crate) fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let shape = channel_shape(x);
    let deviation = (variance.detach() + eps)?.sqrt()?.reshape(shape.clone())?;
    let normalised = x
        .broadcast_sub(&mean.detach().reshape(shape)?)?
        .broadcast_div(&deviation)?;
    super::conv::channel_scale_shift(&normalised, gamma, beta)
}
