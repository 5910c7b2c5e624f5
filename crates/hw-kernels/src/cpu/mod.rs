//! Raw kernels on slices: explicit shapes, outputs and scratch provided by the caller, the same
//! bits for any number of threads.

pub mod activation;
pub mod conv;
pub mod dense;
pub mod dropout;
mod halving;
pub mod math;
pub mod norm;
pub mod parallel;
pub mod pool;
pub mod simd;
pub mod softmax;
pub mod sums;
