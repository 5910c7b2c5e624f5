//! Raw kernels on slices: explicit shapes, outputs and scratch provided by the caller, the same
//! bits for any number of threads.

pub mod activation;
pub mod dropout;
pub mod pool;
