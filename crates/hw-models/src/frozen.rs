//! A network that is only run, by the fastest way there is for it.

use crate::error::Result;
use crate::graph::{Graph, Tensors};
use crate::plan::InferencePlan;
use crate::reference::{Mode, Network};
use crate::spec::ModelSpec;
use candle_core::{DType, Tensor};

/// A network as it was when it was frozen: planned on the CPU, as tensors on other devices.
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
pub struct Frozen {
    spec: ModelSpec,
    kind: Kind,
}

enum Kind {
    Plan(Box<InferencePlan>),
    Reference(Box<Network>),
}

impl Frozen {
    /// Freezes `network`, which may go on to be trained.
    ///
    /// # Errors
    /// [`crate::ModelError::Tensor`] when a tensor cannot be read.
    pub fn new(network: &Network) -> Result<Self> {
        match network.device().is_cpu() {
            true => Ok(Self::planned(network.graph(), network.tensors()?)),
            false => Ok(Self::of(
                network.graph(),
                Kind::Reference(Box::new(network.copy()?)),
            )),
        }
    }

    /// A plan on the CPU for a network with these tensors.
    pub fn planned(graph: &Graph, tensors: Tensors) -> Self {
        Self::of(
            graph,
            Kind::Plan(Box::new(InferencePlan::new(graph, tensors))),
        )
    }

    fn of(graph: &Graph, kind: Kind) -> Self {
        Self {
            spec: graph.spec.clone(),
            kind,
        }
    }

    /// Logits an image.
    pub fn classes(&self) -> usize {
        self.spec.classes
    }

    /// Logits `[n, classes]`, in a row, of images of `shape` `[n, c, h, w]`, in a row.
    ///
    /// # Errors
    /// [`crate::ModelError::Layer`] when the images do not have the network's input shape, and
    /// [`crate::ModelError::Tensor`] when the numbers are not that many.
    pub fn logits(&self, images: &[f32], shape: [usize; 4]) -> Result<Vec<f32>> {
        let [n, given @ ..] = shape;
        self.spec.check_input(given)?;
        let expected = n * given.iter().product::<usize>();
        if images.len() != expected {
            let problem = format!("{} numbers are no {n} images of {given:?}", images.len());
            return Err(candle_core::Error::msg(problem).into());
        }
        match &self.kind {
            Kind::Plan(plan) => Ok(plan.logits(images)),
            Kind::Reference(network) => {
                let images = Tensor::from_slice(images, shape.as_slice(), network.device())?;
                let logits = network.forward(&images, Mode::Eval)?;
                Ok(logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
            }
        }
    }
}
