//! Radial basis function units.

use super::{check_shape, dims2};
use crate::error::Result;
use crate::fallback;
use candle_core::Tensor;

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
    Ok(fallback::rbf::rbf(x, centres)?)
}
