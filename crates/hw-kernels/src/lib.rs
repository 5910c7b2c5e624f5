//! The layers of our networks, twice: [`reference`] says what is right, by candle's tensors with exact
//! gradients, for every type and device; [`nhwc`] and [`cpu`] are fast kernels on plain slices of f32,
//! from which planned networks are made.
//!
//! [`optim`] has what optimizers' steps are made of. What a kernel computes depends neither on the number of threads
//! nor on chance: random choices take a seed. A network's gradients flow only into tracked arguments,
//! so an input image costs none.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use hw_kernels::{Activation, Conv2dConfig, Pool2dConfig};
//!
//! # fn main() -> hw_kernels::Result<()> {
//! let images = Tensor::randn(0f32, 1.0, (2, 1, 28, 28), &Device::Cpu)?;
//! let weights = Var::randn(0f32, 0.1, (30, 1, 5, 5), &Device::Cpu)?;
//! let maps = hw_kernels::conv2d(&images, &weights, None, &Conv2dConfig::default())?;
//! let maps = hw_kernels::activate(&maps, &Activation::Relu)?;
//! let maps = hw_kernels::max_pool2d(&maps, &Pool2dConfig::square(2))?;
//! assert_eq!(maps.dims(), [2, 30, 12, 12]);
//!
//! let gradients = maps.sum_all()?.backward()?;
//! assert_eq!(gradients.get(&weights).unwrap().dims(), [30, 1, 5, 5]);
//! # Ok(())
//! # }
//! ```

#![warn(clippy::undocumented_unsafe_blocks)]

pub mod activation;
pub mod cpu;
pub mod error;
pub mod geometry;
pub mod nhwc;
pub mod optim;
pub mod peak;
pub mod reference;

pub use activation::Activation;
pub use error::{KernelError, Result};
pub use geometry::{Conv2dConfig, Padding, Pool2dConfig, Windows};
pub use optim::pieces;
pub use reference::{
    BatchStats, LossTerms, activate, apply_mask, avg_pool2d, batch_norm_eval, batch_norm_train,
    channel_scale_shift, conv2d, dropout, dropout_mask, global_avg_pool, linear, log_softmax,
    max_pool2d, rbf, softmax, softmax_cross_entropy, softmax_loss,
};
