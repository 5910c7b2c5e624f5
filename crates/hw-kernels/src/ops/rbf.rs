//! Radial basis function units.

use super::access::{floats, gradient, ours, output, slice};
use super::{check_shape, dims2};
use crate::cpu::dense::{distances, distances_backward};
use crate::error::Result;
use crate::fallback;
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

/// Squared Euclidean distances `y[n, k] = Σ_d (x[n, d] - centres[k, d])²` (LeCun et al. 1998,
/// equation 7).
///
/// Shapes: `x [n, d]`, `centres [k, d]`, result `[n, k]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn rbf(x: &Tensor, centres: &Tensor) -> Result<Tensor> {
    let [_, d] = dims2("rbf", "x", x)?;
    let [k, _] = dims2("rbf", "centres", centres)?;
    check_shape("rbf", "centres", centres, &[k, d])?;
    if !ours(&[x, centres]) {
        return Ok(fallback::rbf::rbf(x, centres)?);
    }
    Ok(x.contiguous()?
        .apply_op2(&centres.contiguous()?, Rbf { d })?)
}

struct Rbf {
    d: usize,
}

impl CustomOp2 for Rbf {
    fn name(&self) -> &'static str {
        "rbf"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        centres: &CpuStorage,
        cl: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, k) = (xl.dims()[0], cl.dims()[0]);
        let mut y = vec![0.0; n * k];
        distances(slice(x, xl)?, slice(centres, cl)?, &mut y, self.d);
        Ok(output(y, (n, k)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        centres: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (xs, cs, dy) = (floats(x)?, floats(centres)?, floats(&grad)?);
        let (k, d) = (centres.dim(0)?, self.d);
        let dx = gradient(x, |dx| distances_backward(&xs, &cs, &dy, (k, 1), dx, d))?;
        let dc = gradient(centres, |dc| {
            distances_backward(&cs, &xs, &dy, (1, k), dc, d)
        })?;
        Ok((dx, dc))
    }
}
