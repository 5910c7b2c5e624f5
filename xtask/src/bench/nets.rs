//! The networks of the bench, as `peers.py` has them.

use anyhow::Result;
use hw_kernels::Activation;
use hw_models::{Layer, ModelSpec, zoo};
use hw_train::Optimizer;

/// A network with the batch and the optimizer it is trained with.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) name: &'static str,
    pub(crate) side: usize,
    pub(crate) classes: usize,
    pub(crate) batch: usize,
    pub(crate) optimizer: &'static str,
}

pub(crate) const NETS: &[Net] = &[
    net("lenet5", 28, 47, 256, "adam"),
    net("bn-cnn", 28, 10, 100, "momentum"),
    net("residual", 28, 62, 500, "nadam"),
    net("resnet50", 32, 62, 64, "adam"),
    net("custom-vgg", 28, 47, 128, "adam"),
];

const fn net(
    name: &'static str,
    side: usize,
    classes: usize,
    batch: usize,
    optimizer: &'static str,
) -> Net {
    Net {
        name,
        side,
        classes,
        batch,
        optimizer,
    }
}

impl Net {
    /// The network: residual with swish, everything else as the catalogue has it.
    pub(crate) fn spec(&self) -> Result<ModelSpec> {
        let mut spec = zoo::spec(self.name, [1, self.side, self.side], self.classes)?;
        if self.name == "residual" {
            swish(&mut spec.layers);
        }
        Ok(spec)
    }

    pub(crate) fn optimizer(&self) -> Optimizer {
        // Every name above is a rule's; Adam is what a rule that is missing would cost least like.
        self.optimizer.parse().unwrap_or_default()
    }
}

fn swish(layers: &mut [Layer]) {
    for layer in layers {
        match layer {
            Layer::Activation { function } => *function = Activation::Swish,
            Layer::Residual { body, shortcut } => {
                swish(body);
                swish(shortcut);
            }
            _ => {}
        }
    }
}
