//! stub
pub mod gemm;
