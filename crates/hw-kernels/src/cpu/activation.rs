//! Elementwise activation functions and their gradients; softmax over channels is in
//! [`super::softmax`].

use super::math::{exp, exp_m1, normal_cdf, normal_density, sigmoid, tanh};
use super::parallel::for_each_chunk;
use super::simd::vectorised;
use crate::activation::{Activation, ActivationFunction};
use hw_core::Member;

/// `alpha` of SELU (Klambauer et al. 2017, equation 14).
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// `lambda` of SELU (Klambauer et al. 2017, equation 14).
pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// Amplitude of the scaled tanh (LeCun et al. 1998, appendix A).
pub const TANH_SCALE: f32 = 1.7159;
/// Slope inside the scaled tanh (LeCun et al. 1998, appendix A).
pub const TANH_SLOPE: f32 = 2.0 / 3.0;

/// A function of one number, and how a gradient passes back through it.
trait Unary: Copy + Sync {
    fn value(self, x: f32) -> f32;
    /// The gradient in `x`, given the one in `y = value(x)`.
    fn gradient(self, x: f32, y: f32, dy: f32) -> f32;
}

vectorised! {
    fn map<F: Unary>(f: F, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y = f.value(*x);
        }
    }
}

vectorised! {
    fn map_back<F: Unary>(f: F, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (((x, y), dy), dx) in x.iter().zip(y).zip(dy).zip(dx) {
            *dx = f.gradient(*x, *y, *dy);
        }
    }
}

/// Calls the generic function `$run` with the [`Unary`] that `$activation` stands for; `$otherwise`
/// for those that are not elementwise.
macro_rules! with_unary {
    ($activation:expr, |$f:ident| $run:expr, $otherwise:expr) => {
        match $activation {
            Activation::Relu => {
                let $f = Relu;
                $run
            }
            Activation::LeakyRelu { slope } => {
                let $f = LeakyRelu(slope);
                $run
            }
            Activation::Elu { alpha } => {
                let $f = Elu { scale: 1.0, alpha };
                $run
            }
            Activation::Selu => {
                let $f = Elu {
                    scale: SELU_SCALE as f32,
                    alpha: SELU_ALPHA as f32,
                };
                $run
            }
            Activation::Sigmoid => {
                let $f = Sigmoid;
                $run
            }
            Activation::Tanh => {
                let $f = Tanh {
                    scale: 1.0,
                    slope: 1.0,
                };
                $run
            }
            Activation::ScaledTanh => {
                let $f = Tanh {
                    scale: TANH_SCALE,
                    slope: TANH_SLOPE,
                };
                $run
            }
            Activation::Softsign => {
                let $f = Softsign;
                $run
            }
            Activation::Swish => {
                let $f = Swish;
                $run
            }
            Activation::Gelu => {
                let $f = Gelu;
                $run
            }
            Activation::Registered(function) => {
                let $f = Registered(function);
                $run
            }
            Activation::Softmax | Activation::Identity => $otherwise,
        }
    };
}

/// `y = f(x)`, elementwise. [`Activation::Softmax`] is not elementwise and, like
/// [`Activation::Identity`], is copied.
///
/// # Panics
/// When the lengths differ.
pub fn forward(activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len());
    for_each_chunk(y, |start, y| {
        let x = &x[start..start + y.len()];
        with_unary!(activation, |f| map(f, x, y), y.copy_from_slice(x));
    });
}

/// `dx = f'(x) dy`, elementwise, given also `y = f(x)`.
///
/// # Panics
/// When the lengths differ.
pub fn backward(activation: Activation, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(
        [x.len(), y.len(), dy.len()]
            .iter()
            .all(|&len| len == dx.len())
    );
    for_each_chunk(dx, |start, dx| {
        let range = start..start + dx.len();
        let (x, y, dy) = (&x[range.clone()], &y[range.clone()], &dy[range]);
        with_unary!(
            activation,
            |f| map_back(f, x, y, dy, dx),
            dx.copy_from_slice(dy)
        );
    });
}

#[derive(Clone, Copy)]
struct Relu;

impl Unary for Relu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x <= 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        if x <= 0.0 { 0.0 } else { dy }
    }
}

#[derive(Clone, Copy)]
struct Registered(Member<dyn ActivationFunction>);

impl Unary for Registered {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        self.0.value(f64::from(x)) as f32
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        dy * self.0.derivative(f64::from(x)) as f32
    }
}

#[derive(Clone, Copy)]
struct LeakyRelu(f32);

impl Unary for LeakyRelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x > 0.0 { x } else { self.0 * x }
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        if x > 0.0 { dy } else { self.0 * dy }
    }
}

#[derive(Clone, Copy)]
struct Elu {
    scale: f32,
    alpha: f32,
}

impl Unary for Elu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        self.scale * if x > 0.0 { x } else { self.alpha * exp_m1(x) }
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        dy * self.scale * if x > 0.0 { 1.0 } else { self.alpha * exp(x) }
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Unary for Sigmoid {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        sigmoid(x)
    }

    #[inline(always)]
    fn gradient(self, _: f32, y: f32, dy: f32) -> f32 {
        dy * (1.0 - y) * y
    }
}

/// `scale tanh(slope x)`
#[derive(Clone, Copy)]
struct Tanh {
    scale: f32,
    slope: f32,
}

impl Unary for Tanh {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        self.scale * tanh(self.slope * x)
    }

    #[inline(always)]
    fn gradient(self, _: f32, y: f32, dy: f32) -> f32 {
        let t = y * (1.0 / self.scale);
        dy * (self.scale * self.slope) * (1.0 - t * t)
    }
}

#[derive(Clone, Copy)]
struct Softsign;

impl Unary for Softsign {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + x.abs())
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        let root = 1.0 / (1.0 + x.abs());
        dy * root * root
    }
}

#[derive(Clone, Copy)]
struct Swish;

impl Unary for Swish {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * sigmoid(x)
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        let s = sigmoid(x);
        dy * s * (1.0 + x * (1.0 - s))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Unary for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * normal_cdf(x)
    }

    #[inline(always)]
    fn gradient(self, x: f32, _: f32, dy: f32) -> f32 {
        dy * (normal_cdf(x) + x * normal_density(x))
    }
}
