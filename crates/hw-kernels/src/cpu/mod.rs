//! Kernels on plain slices that know no layout: elementwise functions, softmax and the losses on it,
//! dropout; and what all kernels are made with, vector instructions and threads.

pub mod activation;
pub mod dropout;
pub mod math;
pub(crate) mod parallel;
pub mod simd;
pub mod softmax;
