//! Parts of your own: an optimizer and a layer that the workbench does not have, added by its public
//! interface alone. Copy this crate and change it.
//!
//! 1. **An optimizer** is a type with its constants as fields that implements [`hw_train::optimizer::UpdateRule`]:
//!    its name, what its constants may be, what it keeps for each weight, and how a slice of weights moves.
//!    Checkpoints, resuming and threads come for free. Here: [`Signum`].
//! 2. **A layer** implements [`hw_models::CustomLayer`]: it is given its settings and a graph in the making, and
//!    adds tensors and operations. Layers of ours are parts of it ([`Lowering::part`]); what no operation can
//!    say is an [`ImageOp`], written twice: for one image with channels last, which the fast plans run, and on
//!    candle's tensors, which is the reference and runs on GPUs. Here: [`SqueezeExcite`], three layers of ours and one
//!    operation.
//! 3. **Register both** when the program starts; from then on they are found by name: in declarations of networks
//!    (`{"type": "custom", "name": "squeeze-excite", "settings": {"reduction": 4}}`), in configurations, in checkpoints.
//!    Activations ([`hw_kernels::activation`](../hw_kernels/activation/index.html)), losses
//!    ([`hw_train::loss`]), schedules ([`hw_train::schedule`]), augmentations and data sets
//!    ([`hw_data`](../hw_data/index.html)) are added in the same way.
//! 4. **Test them**: that both executions give the same gradients, that training learns, and that a stopped run
//!    goes on to the same bits. `tests/training.rs` does.
//!
//! ```
//! own_parts::register()?;
//! let optimizer: hw_train::Optimizer = "signum:beta=0.8".parse()?;
//! assert_eq!(optimizer.name(), "signum");
//!
//! let spec = own_parts::network([1, 28, 28], 10);
//! println!("{}", spec.lower()?.summary());
//!
//! let config = hw_train::TrainConfig {
//!     spec: Some(spec),
//!     optimizer,
//!     ..Default::default()
//! };
//! assert!(serde_json::to_string(&config)?.contains("squeeze-excite"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Lowering::part`]: hw_models::graph::Lowering::part
//! [`ImageOp`]: hw_models::graph::ImageOp
#![warn(missing_docs)]

mod signum;
mod squeeze_excite;

pub use signum::Signum;
pub use squeeze_excite::SqueezeExcite;

use hw_core::RegisterError;
use hw_models::{Border, Initializer, Layer, ModelSpec};

/// Makes both parts known by their names. To be called once, when the program starts.
///
/// # Errors
/// [`RegisterError`] when something else has one of the names.
pub fn register() -> Result<(), RegisterError> {
    hw_train::optimizer::register(Signum::default())?;
    hw_models::layers::register(&SqueezeExcite)
}

/// A small network with the layer, for images `[channels, height, width]`.
pub fn network(input: [usize; 3], classes: usize) -> ModelSpec {
    ModelSpec {
        name: "squeezed".into(),
        input,
        classes,
        init: Initializer::HeNormal,
        layers: vec![
            Layer::conv(8, 5, Border::Valid),
            Layer::activation("relu".parse().expect("it is one of ours")),
            Layer::max_pool(2),
            SqueezeExcite::layer(4),
            Layer::Flatten,
            Layer::dense(classes),
        ],
    }
}
