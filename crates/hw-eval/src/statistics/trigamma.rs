//! The trigamma function and its inverse: how the logarithm of a sample variance varies.

/// Below this the recurrence is used, above it the asymptotic series, whose first term left out is
/// then under 1e-17.
const SERIES_FROM: f64 = 15.0;

/// ψ′(x), the second derivative of ln Γ, for x above 0 (Abramowitz & Stegun 6.4.6 and 6.4.12).
pub(super) fn trigamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < SERIES_FROM {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    // 1/x + 1/(2x²) + the Bernoulli numbers B(2k) / x^(2k+1), innermost first.
    let bernoulli = [
        1.0 / 6.0,
        -1.0 / 30.0,
        1.0 / 42.0,
        -1.0 / 30.0,
        5.0 / 66.0,
        -691.0 / 2730.0,
    ];
    let series = bernoulli.iter().rev().fold(0.0, |rest, b| y * (b + rest));
    sum + (1.0 + 0.5 / x + series) / x
}

/// The x above 0 with ψ′(x) = `value`, for a value above 0. Bisection between 1/√value and
/// 1/2 + 1/value: ψ′(x) lies between 1/x² and 1/(x - 1/2).
pub(super) fn inverse_trigamma(value: f64) -> f64 {
    let (mut low, mut high) = (1.0 / value.sqrt(), 0.5 + 1.0 / value);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if trigamma(middle) > value {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        trigamma: Vec<[f64; 2]>,
    }

    #[test]
    fn it_is_scipys_and_its_inverse_turns_it_round() {
        let json = include_str!("../../../../fixtures/eval/comparisons.json");
        let golden: Golden = serde_json::from_str(json).unwrap();
        assert!(golden.trigamma.len() > 5);
        for [x, expected] in golden.trigamma {
            let ours = trigamma(x);
            assert!(
                (ours / expected - 1.0).abs() < 1e-13,
                "{x}: {ours} {expected}"
            );
            let back = inverse_trigamma(expected);
            assert!((back / x - 1.0).abs() < 1e-10, "{x}: {back}");
        }
    }
}
