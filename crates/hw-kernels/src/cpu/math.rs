//! Elementary functions the compiler can vectorise: no branches, no library calls. Accurate to a
//! few units in the last place; the coefficients come from `fixtures/kernels/fit_polynomials.py`.

// The coefficients stand as the script prints them.
#![allow(clippy::excessive_precision)]

const EXP: [f32; 5] = [
    4.999999404e-01,
    1.666651666e-01,
    4.166810587e-02,
    8.369140327e-03,
    1.383671421e-03,
];
const TANH: [f32; 5] = [
    -3.333328366e-01,
    1.333148330e-01,
    -5.374277383e-02,
    2.064806223e-02,
    -5.714063533e-03,
];
const ERF_NEAR: [f32; 7] = [
    1.283791661e-01,
    -3.761262894e-01,
    1.128362417e-01,
    -2.685556002e-02,
    5.191753153e-03,
    -8.039752720e-04,
    7.943100354e-05,
];
const ERF_FAR: [f32; 8] = [
    -1.692038932e-04,
    1.129488349e+00,
    6.334010959e-01,
    1.082199588e-01,
    -2.508025058e-02,
    4.156096838e-03,
    -4.313633253e-04,
    2.082694482e-05,
];

/// ln 2 in two parts; the first has few enough bits that its multiples are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

#[inline(always)]
fn horner<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum * x + coefficients[i];
    }
    sum
}

/// `x = n ln 2 + r` with integer `n` and `|r| <= ln 2 / 2`; returns `exp(r) - 1` and `2^n` as a
/// product of two factors, each a normal number.
#[inline(always)]
fn reduced_exp(x: f32) -> (f32, f32, f32) {
    // Comparisons written so that NaN stays NaN.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let whole = shifted - ROUND;
    let r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let below = r + r * r * horner(&EXP, r);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    (below, power(half), power(n.wrapping_sub(half)))
}

/// `exp(x)`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (below, first, second) = reduced_exp(x);
    (1.0 + below) * first * second
}

/// `exp(x) - 1`, accurate near 0.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let (below, first, second) = reduced_exp(x);
    let power = first * second;
    let result = below * power + (power - 1.0);
    // inf - inf, when the power itself overflows
    if x > 88.8 { f32::INFINITY } else { result }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let z = x * x;
    let near = x + x * (z * horner(&TANH, z));
    let size = x.abs();
    let far = (1.0 - 2.0 / (exp(size + size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

/// Distribution function of the standard normal distribution, `(1 + erf(x / √2)) / 2`.
#[inline(always)]
pub fn normal_cdf(x: f32) -> f32 {
    let t = x * std::f32::consts::FRAC_1_SQRT_2;
    let size = t.abs();
    let near = 0.5 + 0.5 * (t + t * horner(&ERF_NEAR, t * t));
    let tail = 0.5 * exp(-horner(&ERF_FAR, size));
    let far = if x < 0.0 { tail } else { 1.0 - tail };
    if size < 0.9 { near } else { far }
}

/// Density of the standard normal distribution.
#[inline(always)]
pub fn normal_density(x: f32) -> f32 {
    const ONE_OVER_ROOT_TAU: f32 = 0.398_942_3;
    ONE_OVER_ROOT_TAU * exp(-0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every representable magnitude class between the bounds, both signs.
    fn points(largest: f32) -> impl Iterator<Item = f32> {
        let steps = 200_000;
        let linear = (0..=steps).map(move |i| (2.0 * i as f32 / steps as f32 - 1.0) * largest);
        let tiny = (0..120).flat_map(|i| [1.37f32, -1.37].map(|x| x * 2f32.powi(-i)));
        linear.chain(tiny)
    }

    fn largest_relative_error(
        largest: f32,
        ours: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) -> f64 {
        points(largest)
            .map(|x| {
                let truth = exact(f64::from(x));
                let scale = truth.abs().max(f64::from(f32::MIN_POSITIVE));
                (f64::from(ours(x)) - truth).abs() / scale
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_functions_are_accurate_to_a_few_units_in_the_last_place() {
        let errors = [
            ("exp", largest_relative_error(87.0, exp, f64::exp)),
            ("exp_m1", largest_relative_error(87.0, exp_m1, f64::exp_m1)),
            ("tanh", largest_relative_error(20.0, tanh, f64::tanh)),
            (
                "sigmoid",
                largest_relative_error(80.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            ),
        ];
        for (name, error) in errors {
            assert!(error < 4e-7, "{name}: {error:e}");
        }
    }

    /// Φ by its Maclaurin series for small `x`, by the continued fraction of its tail beyond.
    fn exact_normal_cdf(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        if x.abs() < 3.0 {
            let (mut term, mut sum) = (x, x);
            for i in 1..200 {
                term *= x * x / f64::from(2 * i + 1);
                sum += term;
            }
            return 0.5 + density * sum;
        }
        let fraction = (1..400)
            .rev()
            .fold(x.abs(), |f, i| x.abs() + f64::from(i) / f);
        let tail = density / fraction;
        if x < 0.0 { tail } else { 1.0 - tail }
    }

    #[test]
    fn the_normal_distribution_does_not_cancel_in_its_lower_tail() {
        // scipy.stats.norm.cdf
        for (x, truth) in [
            (-5.0, 2.866515718791939e-07),
            (-1.0, 0.15865525393145707),
            (0.3, 0.6179114221889526),
            (2.5, 0.9937903346742238),
        ] {
            assert!((exact_normal_cdf(x) / truth - 1.0).abs() < 1e-12);
        }
        let error = largest_relative_error(5.4, normal_cdf, exact_normal_cdf);
        assert!(error < 1e-4, "{error:e}");
        let error = largest_relative_error(2.0, normal_cdf, exact_normal_cdf);
        assert!(error < 1e-6, "{error:e}");
    }

    #[test]
    fn extreme_and_undefined_arguments_give_the_limits() {
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(89.5), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp_m1(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_m1(f32::NEG_INFINITY), -1.0);
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
        assert_eq!(normal_cdf(f32::INFINITY), 1.0);
        assert_eq!(normal_cdf(f32::NEG_INFINITY), 0.0);
        for function in [exp, exp_m1, tanh, sigmoid, normal_cdf, normal_density] {
            assert!(function(f32::NAN).is_nan());
        }
    }
}
