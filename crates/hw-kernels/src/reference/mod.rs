//! What is right: every operation by candle's own operations, for every type and device, with exact
//! gradients on candle's tape. Images are `[n, c, h, w]`.
//!
//! Where candle 0.11 has a gradient wrong, slow or rounded, another way is taken: its maximum pooling
//! hands gradients to the wrong cells, its average pooling loses them on odd sizes, its ReLU passes
//! them at 0, its GELU is rounded, and its convolution goes back through a loop per product.

mod activation;
mod conv;
mod dropout;
mod loss;
mod norm;
mod pool;
mod rbf;
mod taps;
mod with_gradient;

pub use activation::activate;
pub use conv::{conv2d, linear};
pub use dropout::{apply_mask, dropout, dropout_mask};
pub use loss::{LossTerms, log_softmax, softmax, softmax_cross_entropy, softmax_loss};
pub use norm::{BatchStats, batch_norm_eval, batch_norm_train, channel_scale_shift};
pub use pool::{avg_pool2d, global_avg_pool, max_pool2d};
pub use rbf::rbf;

use crate::error::{KernelError, Result};
use candle_core::Tensor;

fn dims2(op: &'static str, argument: &'static str, t: &Tensor) -> Result<[usize; 2]> {
    t.dims().try_into().map_err(|_| KernelError::Shape {
        op,
        argument,
        actual: t.dims().to_vec(),
        expected: "two axes".into(),
    })
}

fn dims4(op: &'static str, argument: &'static str, t: &Tensor) -> Result<[usize; 4]> {
    t.dims().try_into().map_err(|_| KernelError::Shape {
        op,
        argument,
        actual: t.dims().to_vec(),
        expected: "[batch, channels, height, width]".into(),
    })
}

fn check_shape(op: &'static str, argument: &'static str, t: &Tensor, want: &[usize]) -> Result<()> {
    if t.dims() == want {
        return Ok(());
    }
    Err(KernelError::Shape {
        op,
        argument,
        actual: t.dims().to_vec(),
        expected: format!("{want:?}"),
    })
}

/// The channels of `[n, c]` or `[n, c, h, w]`.
fn channels(op: &'static str, x: &Tensor) -> Result<usize> {
    match *x.dims() {
        [_, c] | [_, c, _, _] => Ok(c),
        _ => Err(KernelError::Shape {
            op,
            argument: "x",
            actual: x.dims().to_vec(),
            expected: "[batch, channels] or [batch, channels, height, width]".into(),
        }),
    }
}
