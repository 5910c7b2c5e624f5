//! Kernels on images whose channels come last (`[n, h, w, c]`), for planned networks: plain slices,
//! one calling thread, no allocation. Who splits a batch over threads decides how sums over the
//! batch are grouped, and so which bits come out; nothing here depends on the number of threads.

pub mod concat;
mod conv;
pub mod haar;
pub mod norm;
mod panels;
pub mod pool;
pub mod rbf;
mod scatter;
pub mod spread;
mod taps;
#[cfg(test)]
mod tests;
mod tile;
mod transform;
mod winograd;

pub use conv::{Conv, Finish, InputGradient};
pub use panels::Panels;
