//! Windows taken apart: what each of their positions sees, as whole tensors.

use crate::geometry::{Padding, Windows};
use candle_core::{Result, Tensor};

/// For every position of the windows, row by row, the cells of `x [a, b, h, w]` that it falls on:
/// `[a, b, oh, ow]`. Padding holds `outside`.
pub(super) fn taps(x: &Tensor, g: &Windows, outside: f64) -> Result<Vec<Tensor>> {
    let padded = pad(x, g.padding, outside)?;
    let [rows, columns] = [0, 1].map(|i| (g.output[i] - 1) * g.stride[i] + 1);
    let tap = |row, column| {
        let cells = padded.narrow(2, row, rows)?.narrow(3, column, columns)?;
        every(&every(&cells, 2, g.stride[0])?, 3, g.stride[1])
    };
    let positions = (0..g.kernel[0]).flat_map(|row| (0..g.kernel[1]).map(move |c| (row, c)));
    positions.map(|(row, column)| tap(row, column)).collect()
}

/// Positions 0, `step`, 2 `step`, ... along `axis`.
pub(super) fn every(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let indices: Vec<u32> = (0..x.dim(axis)? as u32).step_by(step).collect();
    let count = indices.len();
    x.contiguous()?
        .index_select(&Tensor::from_vec(indices, count, x.device())?, axis)
}

/// `x` surrounded by `padding` cells of `value`.
pub(super) fn pad(x: &Tensor, padding: Padding, value: f64) -> Result<Tensor> {
    let x = pad_axis(x, 2, padding.top, padding.bottom, value)?;
    pad_axis(&x, 3, padding.left, padding.right, value)
}

/// `x` with cells of `value` before and after it along `axis`.
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

/// `gradient [n, o, oh, ow]` as windows of stride 1 without padding must see it to give, with the
/// weights turned around, the gradient of the input `[n, c, h, w]`: zeros between its cells where
/// the stride is more than 1, and around them what those windows reach.
pub(super) fn spread(gradient: &Tensor, g: &Windows) -> Result<Tensor> {
    let (n, o, oh, ow) = gradient.dims4()?;
    let cells = gradient.reshape((n, o, oh, 1, ow, 1))?;
    let cells = cells
        .pad_with_zeros(3, 0, g.stride[0] - 1)?
        .pad_with_zeros(5, 0, g.stride[1] - 1)?;
    let cells = cells.reshape((n, o, oh * g.stride[0], ow * g.stride[1]))?;
    let before = [g.padding.top, g.padding.left];
    frame(&frame(&cells, 2, before[0], g)?, 3, before[1], g)
}

/// `input + kernel - 1` cells along a spatial axis, so that window 0 ends on the first real cell.
fn frame(x: &Tensor, axis: usize, padding: usize, g: &Windows) -> Result<Tensor> {
    let (kernel, input) = (g.kernel[axis - 2], g.input[axis - 2]);
    let len = input + kernel - 1;
    let (front, cut) = match (kernel - 1).checked_sub(padding) {
        Some(front) => (front, 0),
        None => (0, padding + 1 - kernel),
    };
    let kept = (x.dim(axis)? - cut).min(len - front);
    pad_axis(
        &x.narrow(axis, cut, kept)?,
        axis,
        front,
        len - front - kept,
        0.0,
    )
}
