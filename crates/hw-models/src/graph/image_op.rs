//! Operations that treat each image alone: one trait, both executions.

use candle_core::Tensor;
use std::fmt::Debug;

/// An operation on one image, with its gradient: what a plan runs for everything that has no kernel of
/// its own, and what another crate implements to add an operation ([`super::Op::Custom`]).
///
/// Slices are one image's values with channels last (`[height, width, channels]`); `tensors` are the
/// operation's parameters, in the order that it was given them.
pub trait ImageOp: Debug + Send + Sync {
    /// The shape of the result (`[channels, height, width]` or `[length]`) for inputs of these shapes.
    ///
    /// # Errors
    /// A sentence that says why it cannot take them, "needs maps, gets shape [10]".
    fn output(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Writes all of `y`.
    fn forward(&self, inputs: &[&[f32]], tensors: &[&[f32]], y: &mut [f32]);

    /// Writes the gradient of each input and adds to that of each parameter, given that of `y`.
    fn backward(&self, inputs: &[&[f32]], tensors: &[&[f32]], dy: &[f32], to: Gradients<'_, '_>);

    /// The same on tensors of a batch (`[n, channels, height, width]` or `[n, length]`), with gradients by
    /// candle's tape.
    ///
    /// # Errors
    /// candle's, and why there is none: an operation for plans alone says so.
    fn reference(&self, inputs: &[Tensor], tensors: &[Tensor]) -> candle_core::Result<Tensor>;
}

/// Where [`ImageOp::backward`] leaves its results.
pub struct Gradients<'a, 'b> {
    /// For each input, to be overwritten.
    pub inputs: &'a mut [&'b mut [f32]],
    /// For each parameter, to be added to.
    pub parameters: &'a mut [&'b mut [f32]],
}
