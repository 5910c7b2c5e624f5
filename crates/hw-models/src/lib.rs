//! Handwriting networks as data: a serializable [`ModelSpec`] lists a network's layers, and
//! [`ModelSpec::lower`] makes of it the one [`Graph`] that everything else reads: counts, exports, and two
//! executors, [`Network`] (the reference: candle, any device) and [`plan`] (the CPU, fast).
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use hw_models::{Mode, Network, zoo};
//!
//! // LeNet-5 for the 47 classes of EMNIST bymerge: 64,851 trainable parameters.
//! let spec = zoo::spec("lenet5", [1, 28, 28], 47)?;
//! assert_eq!(spec.lower()?.parameter_count(), 64_851);
//!
//! let network = Network::new(&spec, 1, &Device::Cpu)?;
//! let images = Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?;
//! assert_eq!(network.forward(&images, Mode::Eval)?.dims(), [2, 47]);
//! # Ok::<(), hw_models::ModelError>(())
//! ```
#![warn(missing_docs)]

mod device;
mod error;
mod executor;
mod frozen;
pub mod graph;
pub mod init;
pub mod ink;
pub mod layers;
mod loss;
pub mod plan;
mod reference;
pub mod spec;
pub mod summary;
pub mod weights;
pub mod zoo;

pub use device::{DeviceChoice, DeviceError};
pub use error::{ModelError, Result};
pub use executor::{Executor, Weights, executor};
pub use frozen::Frozen;
pub use graph::{Graph, Tensors};
pub use init::Initializer;
pub use layers::CustomLayer;
pub use loss::{LossFunction, StepResult, cross_entropy};
pub use reference::{Mode, Network, ReferenceTrainer, initial_values};
pub use spec::{Border, Layer, ModelSpec};
pub use summary::Summary;
