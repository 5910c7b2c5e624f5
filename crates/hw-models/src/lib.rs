//! Handwriting networks as data: a serialisable [`ModelSpec`] lists a network's layers, and
//! everything else follows from it: shapes, parameter and multiply-accumulate counts, the runnable
//! [`Network`], its checkpoints.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use hw_models::{Mode, Network, zoo};
//!
//! // LeNet-5 for the 47 classes of EMNIST bymerge: 64,851 trainable parameters.
//! let spec = zoo::spec("lenet5", [1, 28, 28], 47)?;
//! assert_eq!(spec.resolve()?.parameter_count(), 64_851);
//!
//! let network = Network::new(&spec, 1, &Device::Cpu)?;
//! let images = Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?;
//! assert_eq!(network.forward(&images, Mode::Eval)?.dims(), [2, 47]);
//! # Ok::<(), hw_models::ModelError>(())
//! ```
#![warn(missing_docs)]

mod device;
mod error;
pub mod fold;
mod frozen;
pub mod init;
pub mod network;
pub mod plan;
pub mod resolve;
pub mod spec;
pub mod summary;
pub mod weights;
pub mod zoo;

pub use device::{DeviceChoice, DeviceError};
pub use error::{ModelError, Result};
pub use fold::fold;
pub use frozen::Frozen;
pub use init::Initializer;
pub use network::{Mode, Network};
pub use resolve::ResolvedModel;
pub use spec::{Border, Layer, ModelSpec};
pub use summary::Summary;
