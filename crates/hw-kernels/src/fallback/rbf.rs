//! Squared distances from candle's operations.

use candle_core::{Result, Tensor};

/// See [`crate::rbf`].
pub(crate) fn rbf(x: &Tensor, centres: &Tensor) -> Result<Tensor> {
    x.unsqueeze(1)?
        .broadcast_sub(&centres.unsqueeze(0)?)?
        .sqr()?
        .sum(2)
}
