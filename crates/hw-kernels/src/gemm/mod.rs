//! Single-precision matrix products (`C = alpha A B + beta C`) for small networks on CPUs.
//!
//! Packed panels, cache blocks and a register-tiled micro-kernel after Goto & van de Geijn
//! (*Anatomy of High-Performance Matrix Multiplication*, 2008) and BLIS (Van Zee & van de Geijn
//! 2015), with micro-kernels for AVX-512, AVX2 with FMA, and plain Rust, chosen at run time.
//!
//! - [`sgemm`] and [`par_sgemm`] multiply matrices with any strides.
//! - [`Product`] adds a bias and ReLU to the last step, writes batches of images
//!   ([`Target::images`]), and takes operands that were packed before ([`Packed`]) or that only
//!   exist while they are packed ([`PackSource`]: convolution without an `im2col` buffer).
//!
//! # Which bits
//! Each element is the sum of its products in the order of `k`, in blocks whose lengths depend on
//! `k` alone. So its bits depend on the operands' values, and not on the other rows and columns,
//! the strides, the packing, the number of threads, or the choice of AVX2 or AVX-512. (Processors
//! without fused multiply-add round twice per step and give slightly different sums.)
//!
//! ```
//! use hw_kernels::gemm::{Packed, Product, Strided, Target, sgemm};
//!
//! let a = [1., 2., 3., 4., 5., 6.]; // 2 x 3
//! let b = [1., 0., 0., 1., 1., 1.]; // 3 x 2
//! let mut c = [0.0; 4];
//! sgemm(2, 2, 3, 1.0, &a, (3, 1), &b, (2, 1), 0.0, &mut c, 2);
//! assert_eq!(c, [4., 5., 10., 11.]);
//!
//! // The same with `A` packed once, and a fused bias and ReLU.
//! let a = Packed::lhs(2, 3, &Strided::lhs(&a, (3, 1)));
//! let product = Product::new(2, 2, 3).row_bias(&[-5., 1.]).relu();
//! product.run(&a, Strided::rhs(&b, (2, 1)), Target::rows(&mut c, 2));
//! assert_eq!(c, [0., 0., 11., 12.]);
//! ```

mod drive;
mod output;
mod pack;
mod packed;
mod panels;
mod product;
mod scratch;
pub(crate) mod simd;
mod split;
#[cfg(test)]
mod tests;
mod tile;
pub(crate) mod vector;

pub use pack::{PackSource, Panel, Strided};
pub use packed::Packed;
pub use product::{Product, Target};
pub use simd::Simd;

/// `C[m, n] = alpha * A[m, k] * B[k, n] + beta * C`, on the calling thread.
///
/// `a_strides` and `b_strides` are (row, column) strides in elements, so a transposed operand costs
/// nothing. `C` is row-major with `c_row_stride` elements from one row to the next. With
/// `beta == 0`, `C` is only written, never read.
///
/// # Panics
/// When a slice is too short for its shape and strides, or `c_row_stride < n`.
pub fn sgemm(
    m: usize,
    n: usize,
    k: usize,
    alpha: f32,
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    beta: f32,
    c: &mut [f32],
    c_row_stride: usize,
) {
    Product::new(m, n, k).alpha(alpha).beta(beta).run(
        Strided::lhs(a, a_strides),
        Strided::rhs(b, b_strides),
        Target::rows(c, c_row_stride),
    );
}

/// As [`sgemm`], bit for bit, on the current rayon pool.
///
/// # Panics
/// As [`sgemm`].
pub fn par_sgemm(
    m: usize,
    n: usize,
    k: usize,
    alpha: f32,
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    beta: f32,
    c: &mut [f32],
    c_row_stride: usize,
) {
    Product::new(m, n, k).alpha(alpha).beta(beta).par_run(
        Strided::lhs(a, a_strides),
        Strided::rhs(b, b_strides),
        Target::rows(c, c_row_stride),
    );
}
