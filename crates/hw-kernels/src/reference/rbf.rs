//! Radial basis function units.

use super::{check_shape, dims2};
use crate::error::Result;
use candle_core::Tensor;

/// Squared Euclidean distances `y[n, k] = Σ_d (x[n, d] - centers[k, d])²` (LeCun et al. 1998,
/// equation 7).
///
/// Shapes: `x [n, d]`, `centers [k, d]`, result `[n, k]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when shapes do not agree.
pub fn rbf(x: &Tensor, centers: &Tensor) -> Result<Tensor> {
    let [_, d] = dims2("rbf", "x", x)?;
    let [k, _] = dims2("rbf", "centers", centers)?;
    check_shape("rbf", "centers", centers, &[k, d])?;
    let away = x.unsqueeze(1)?.broadcast_sub(&centers.unsqueeze(0)?)?;
    Ok(away.sqr()?.sum(2)?)
}
