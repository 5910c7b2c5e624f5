//! Elementwise activation functions and their derivatives.

/// `alpha` of SELU (Klambauer et al. 2017, equation 14).
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// `lambda` of SELU (Klambauer et al. 2017, equation 14).
pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
