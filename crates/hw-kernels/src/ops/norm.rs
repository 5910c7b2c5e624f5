//! Batch normalisation (Ioffe & Szegedy 2015) and affine maps per channel.

use super::access::{filled, floats, gradient, ours, output, slice};
use super::{channels, check_shape};
use crate::cpu::norm;
use crate::error::Result;
use crate::fallback;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

/// What batch normalisation measured on one batch, per channel; feeds the running averages.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStats {
    /// Mean over batch and positions.
    pub mean: Vec<f32>,
    /// Biased variance (divided by `count`) over batch and positions.
    pub variance: Vec<f32>,
    /// Values per channel: batch size times positions.
    pub count: usize,
}

/// Normalises each channel with the batch's own mean and biased variance, then scales and shifts:
/// `y = gamma (x - mean) / sqrt(variance + eps) + beta` (algorithm 1).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, `gamma` and `beta [c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f32,
) -> Result<(Tensor, BatchStats)> {
    let c = channels("batch_norm_train", x)?;
    check_shape("batch_norm_train", "gamma", gamma, &[c])?;
    check_shape("batch_norm_train", "beta", beta, &[c])?;
    let count = x.elem_count() / c.max(1);
    if !ours(&[x, gamma, beta]) {
        let (y, mean, variance) = fallback::norm::batch_norm_train(x, gamma, beta, eps.into())?;
        let stats = BatchStats {
            mean,
            variance,
            count,
        };
        return Ok((y, stats));
    }
    let x = x.contiguous()?;
    let (mut mean, mut variance) = (vec![0.0; c], vec![0.0; c]);
    norm::statistics(&floats(&x)?, positions(x.dims()), &mut mean, &mut variance);
    let op = Normalise {
        inverse: norm::inverse_deviation(&variance, eps),
        mean: mean.clone(),
        through_statistics: true,
    };
    let y = x.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?;
    let stats = BatchStats {
        mean,
        variance,
        count,
    };
    Ok((y, stats))
}

/// Normalises with given statistics, as at test time: an affine map per channel, differentiable in
/// `x`, `gamma` and `beta` (not in the statistics).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, all others `[c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    eps: f32,
) -> Result<Tensor> {
    let c = channels("batch_norm_eval", x)?;
    check_shape("batch_norm_eval", "gamma", gamma, &[c])?;
    check_shape("batch_norm_eval", "beta", beta, &[c])?;
    check_shape("batch_norm_eval", "mean", mean, &[c])?;
    check_shape("batch_norm_eval", "variance", variance, &[c])?;
    if !ours(&[x, gamma, beta, mean, variance]) {
        let eps = eps.into();
        return Ok(fallback::norm::batch_norm_eval(
            x, gamma, beta, mean, variance, eps,
        )?);
    }
    let op = Normalise {
        mean: mean.to_vec1()?,
        inverse: norm::inverse_deviation(&variance.to_vec1()?, eps),
        through_statistics: false,
    };
    Ok(x.contiguous()?
        .apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?)
}

/// `y = scale[c] x + shift[c]` per channel: with average pooling before it, the trainable
/// subsampling of LeNet-5 (LeCun et al. 1998, section II.B).
///
/// Shapes: `x [n, c]` or `[n, c, h, w]`, `scale` and `shift [c]`; the result is shaped as `x`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn channel_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let c = channels("channel_scale_shift", x)?;
    check_shape("channel_scale_shift", "scale", scale, &[c])?;
    check_shape("channel_scale_shift", "shift", shift, &[c])?;
    if !ours(&[x, scale, shift]) {
        return Ok(fallback::conv::channel_scale_shift(x, scale, shift)?);
    }
    let op = Normalise {
        mean: vec![0.0; c],
        inverse: vec![1.0; c],
        through_statistics: false,
    };
    Ok(x.contiguous()?
        .apply_op3(&scale.contiguous()?, &shift.contiguous()?, op)?)
}

/// Positions per channel of one example.
fn positions(dims: &[usize]) -> usize {
    dims[2..].iter().product()
}

/// `y = gamma (x - mean) inverse + beta` per channel.
struct Normalise {
    mean: Vec<f32>,
    /// `1 / sqrt(variance + eps)`
    inverse: Vec<f32>,
    /// Whether mean and variance are functions of `x`.
    through_statistics: bool,
}

impl Normalise {
    fn scale(&self, gamma: &[f32]) -> Vec<f32> {
        gamma
            .iter()
            .zip(&self.inverse)
            .map(|(gamma, inverse)| gamma * inverse)
            .collect()
    }

    fn backward(
        &self,
        [x, gamma, beta]: [&Tensor; 3],
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let inner = positions(x.dims());
        let (xs, gammas, dy) = (floats(x)?, floats(gamma)?, floats(grad)?);
        let (mut total, mut moment) = (vec![0.0; self.mean.len()], vec![0.0; self.mean.len()]);
        norm::gradient_sums(&xs, &dy, inner, &self.mean, &mut total, &mut moment);
        let dx = gradient(x, |dx| {
            let (mean, inverse) = (&self.mean, &self.inverse);
            if self.through_statistics {
                norm::backward(&xs, &dy, inner, mean, inverse, &gammas, &total, &moment, dx);
            } else {
                let zeros = vec![0.0; mean.len()];
                norm::affine(&dy, inner, &zeros, &self.scale(&gammas), &zeros, dx);
            }
        })?;
        let dgamma = gradient(gamma, |dgamma| {
            for (c, dgamma) in dgamma.iter_mut().enumerate() {
                *dgamma = moment[c] * self.inverse[c];
            }
        })?;
        let dbeta = filled(beta, |dbeta| dbeta.copy_from_slice(&total))?;
        Ok((dx, dgamma, beta.track_op().then_some(dbeta)))
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        gamma: &CpuStorage,
        gl: &Layout,
        beta: &CpuStorage,
        bl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, gamma, beta) = (slice(x, xl)?, slice(gamma, gl)?, slice(beta, bl)?);
        let mut y = vec![0.0; x.len()];
        norm::affine(
            x,
            positions(xl.dims()),
            &self.mean,
            &self.scale(gamma),
            beta,
            &mut y,
        );
        Ok(output(y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.backward([x, gamma, beta], &grad.contiguous()?)
    }
}
