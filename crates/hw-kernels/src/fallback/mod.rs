//! Every operation written with candle's own operations, for devices and types our kernels do not
//! serve (anything but f32 on the CPU). Only operations whose gradients candle has right are used.

pub(crate) mod activation;
pub(crate) mod conv;
pub(crate) mod loss;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod rbf;

use candle_core::{Result, Tensor};

/// `x` surrounded by `padding` cells of `value`; the gradient of the padding is dropped.
fn pad(x: &Tensor, padding: crate::Padding, value: f64) -> Result<Tensor> {
    let x = pad_axis(x, 2, padding.top, padding.bottom, value)?;
    pad_axis(&x, 3, padding.left, padding.right, value)
}

fn pad_axis(x: &Tensor, axis: usize, before: usize, after: usize, value: f64) -> Result<Tensor> {
    let block = |size: usize| -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        shape[axis] = size;
        Tensor::full(value, shape, x.device())?.to_dtype(x.dtype())
    };
    match (before, after) {
        (0, 0) => Ok(x.clone()),
        (0, after) => Tensor::cat(&[x, &block(after)?], axis),
        (before, 0) => Tensor::cat(&[&block(before)?, x], axis),
        (before, after) => Tensor::cat(&[&block(before)?, x, &block(after)?], axis),
    }
}
