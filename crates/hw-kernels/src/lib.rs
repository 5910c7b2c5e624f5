//! The layers of our networks as candle operations with exact gradients: fast kernels for f32 on
//! the CPU, candle's own operations on every other device and type.
//!
//! [`cpu`] holds those kernels on plain slices, for code that wants no tensors; [`optim`] what the
//! optimizers' steps are made of. What either computes depends neither on the number of threads nor on chance:
//! random choices take a seed. A network's gradients flow only into tracked arguments, so an input
//! image costs none.
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

pub mod activation;
pub mod cpu;
pub mod error;
mod fallback;
pub mod gemm;
pub mod geometry;
pub mod nhwc;
mod ops;
pub mod optim;
pub mod peak;

pub use activation::Activation;
pub use error::{KernelError, Result};
pub use geometry::{Conv2dConfig, Padding, Pool2dConfig, Windows};
pub use ops::{
    BatchStats, LossTerms, activate, avg_pool2d, batch_norm_eval, batch_norm_train,
    channel_scale_shift, conv2d, conv2d_relu_max_pool2d, dropout, global_avg_pool, linear,
    log_softmax, max_pool2d, rbf, softmax, softmax_cross_entropy, softmax_loss,
};
pub use optim::pieces;
