//! Group normalization (Wu & He 2018): the one file of an operation that no other can say.

use super::{Gradients, ImageOp, Lowering, Op, Start, ValueId};
use crate::error::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `y = scale (x - μ) / sqrt(σ² + eps) + shift`, where μ and σ² (biased) are those of one image's cells in
/// the channel's group of neighbors, and each channel has a scale and a shift.
#[derive(Debug)]
struct GroupNorm {
    groups: usize,
    eps: f32,
}

/// The operation of [`crate::Layer::GroupNorm`], with its tensors.
pub(super) fn lower(
    lowering: &mut Lowering,
    groups: usize,
    eps: f32,
    x: ValueId,
) -> Result<ValueId> {
    let channels = lowering.shape(x)[0];
    if !channels.is_multiple_of(groups) {
        let problem = format!("{channels} channels are no {groups} groups of the same size");
        return Err(lowering.refuse(problem));
    }
    if !(eps.is_finite() && eps > 0.0) {
        return Err(lowering.refuse(format!("eps {eps} must be above 0")));
    }
    let scale = lowering.parameter("weight", vec![channels], Start::Constant(1.0))?;
    let shift = lowering.parameter("bias", vec![channels], Start::Constant(0.0))?;
    let op = Op::Custom {
        op: Arc::new(GroupNorm { groups, eps }),
        parameters: vec![scale, shift],
    };
    lowering.add(op, vec![x])
}

impl GroupNorm {
    /// The means over each group's cells of two functions of a cell's place.
    fn means(&self, x: &[f32], channels: usize, of: impl Fn(usize) -> [f32; 2]) -> Vec<[f32; 2]> {
        let each = channels / self.groups;
        let mut sums = vec![[0f64; 2]; self.groups];
        for at in 0..x.len() {
            let (sum, [a, b]) = (&mut sums[at % channels / each], of(at));
            *sum = [sum[0] + f64::from(a), sum[1] + f64::from(b)];
        }
        let cells = (x.len() / self.groups) as f64;
        let mean = |sum: [f64; 2]| sum.map(|sum| (sum / cells) as f32);
        sums.into_iter().map(mean).collect()
    }

    /// For each channel its group's mean and `1 / sqrt(σ² + eps)`.
    fn moments(&self, x: &[f32], channels: usize) -> Vec<[f32; 2]> {
        let each = channels / self.groups;
        let means = self.means(x, channels, |at| [x[at], 0.0]);
        let spreads = self.means(x, channels, |at| {
            let off = x[at] - means[at % channels / each][0];
            [off * off, 0.0]
        });
        let of_group = |channel: usize| {
            let group = channel / each;
            [means[group][0], 1.0 / (spreads[group][0] + self.eps).sqrt()]
        };
        (0..channels).map(of_group).collect()
    }
}

impl ImageOp for GroupNorm {
    fn output(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }

    fn forward(&self, inputs: &[&[f32]], tensors: &[&[f32]], y: &mut [f32]) {
        let (x, scale, shift) = (inputs[0], tensors[0], tensors[1]);
        let channels = scale.len();
        let moments = self.moments(x, channels);
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for c in 0..channels {
                let [mean, inverse] = moments[c];
                y[c] = scale[c] * ((x[c] - mean) * inverse) + shift[c];
            }
        }
    }

    /// With `n` the normalized cells and `g = scale dy`: `dx = (g - mean(g) - n mean(g n)) / sqrt(σ² + eps)`.
    fn backward(&self, inputs: &[&[f32]], tensors: &[&[f32]], dy: &[f32], to: Gradients<'_, '_>) {
        let (x, scale) = (inputs[0], tensors[0]);
        let channels = scale.len();
        let each = channels / self.groups;
        let moments = self.moments(x, channels);
        let normal = |at: usize| {
            let [mean, inverse] = moments[at % channels];
            (x[at] - mean) * inverse
        };
        let means = self.means(x, channels, |at| {
            let g = scale[at % channels] * dy[at];
            [g, g * normal(at)]
        });
        let [dscale, dshift] = to.parameters else {
            unreachable!("it was given a scale and a shift")
        };
        for (at, dx) in to.inputs[0].iter_mut().enumerate() {
            let c = at % channels;
            let ([all, along], n) = (means[c / each], normal(at));
            *dx = (scale[c] * dy[at] - all - n * along) * moments[c][1];
            dscale[c] += dy[at] * n;
            dshift[c] += dy[at];
        }
    }

    fn reference(&self, inputs: &[Tensor], tensors: &[Tensor]) -> candle_core::Result<Tensor> {
        let x = &inputs[0];
        let grouped = x.reshape((x.dim(0)?, self.groups, ()))?;
        let off = grouped.broadcast_sub(&grouped.mean_keepdim(2)?)?;
        let deviation = (off.sqr()?.mean_keepdim(2)? + f64::from(self.eps))?.sqrt()?;
        let normal = off.broadcast_div(&deviation)?.reshape(x.shape())?;
        hw_kernels::channel_scale_shift(&normal, &tensors[0], &tensors[1])
            .map_err(candle_core::Error::wrap)
    }
}
