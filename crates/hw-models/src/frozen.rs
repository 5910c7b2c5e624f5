//! A network that is only run, by the fastest way there is for it.

use crate::error::Result;
use crate::network::{Mode, Network};
use crate::plan::InferencePlan;
use candle_core::Tensor;

/// A network as it was when it was frozen: planned where it can be, as tensors where not (other
/// devices, layers that plans do not know).
///
/// ```
/// use candle_core::Device;
/// use hw_models::{Frozen, Network, zoo};
///
/// let network = Network::new(&zoo::spec("lenet5", [1, 28, 28], 10)?, 1, &Device::Cpu)?;
/// let frozen = Frozen::new(&network)?;
/// let logits = frozen.logits(&vec![0.5; 3 * 28 * 28], [3, 1, 28, 28])?;
/// assert_eq!(logits.len(), 3 * 10);
/// # Ok::<(), hw_models::ModelError>(())
/// ```
pub struct Frozen<'a> {
    network: &'a Network,
    plan: Option<InferencePlan>,
}

impl<'a> Frozen<'a> {
    /// Freezes `network`.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be read.
    pub fn new(network: &'a Network) -> Result<Self> {
        let plan = InferencePlan::new(network)?;
        Ok(Self { network, plan })
    }

    /// Logits `[n, classes]`, in a row, of images of `shape` `[n, c, h, w]`, in a row.
    ///
    /// # Errors
    /// As [`Network::forward`], and [`crate::ModelError::Tensor`] when the numbers are not that many.
    pub fn logits(&self, images: &[f32], shape: [usize; 4]) -> Result<Vec<f32>> {
        let [n, c, h, w] = shape;
        if let Some(plan) = &self.plan
            && [c, h, w] == self.network.spec().input
            && images.len() == n * c * h * w
        {
            return Ok(plan.logits(images));
        }
        // Refuses what does not fit, with the reason.
        let images = Tensor::from_slice(images, (n, c, h, w), self.network.device())?;
        let logits = self.network.forward(&images, Mode::Eval)?;
        Ok(logits.flatten_all()?.to_vec1::<f32>()?)
    }
}
