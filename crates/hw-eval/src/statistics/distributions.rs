//! Tails and quantiles of the normal and Student's t distribution, for arguments already checked.

use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};
use statrs::function::erf::erfc;

/// P(Z > z) of a standard normal Z.
pub(crate) fn normal_upper_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The z with P(Z <= z) = `p`.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// P(T > t) of Student's t with `freedom` > 0 degrees of freedom, which may be infinite.
pub(crate) fn t_upper_tail(t: f64, freedom: f64) -> f64 {
    if freedom == f64::INFINITY {
        return normal_upper_tail(t);
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |student| student.sf(t))
}

/// The t with P(T <= t) = `p` for Student's t with `freedom` > 0 degrees of freedom, which may be
/// infinite.
pub(crate) fn t_quantile(p: f64, freedom: f64) -> f64 {
    if freedom == f64::INFINITY {
        return normal_quantile(p);
    }
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else {
        return f64::NAN;
    };
    let t = student.inverse_cdf(p);
    // statrs inverts to nine digits or so; one step of Newton's method gives the rest.
    let (tail, wanted) = if p < 0.5 {
        (student.sf(-t), p)
    } else {
        (student.sf(t), 1.0 - p)
    };
    let step = (tail - wanted) / student.pdf(t);
    if p < 0.5 { t - step } else { t + step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        distributions: Distributions,
    }

    #[derive(Deserialize)]
    struct Distributions {
        t: Vec<[f64; 3]>,
        t_tail: Vec<[f64; 3]>,
        normal: Vec<[f64; 2]>,
        normal_tail: Vec<[f64; 2]>,
    }

    #[track_caller]
    fn close(ours: f64, theirs: f64, at: &[f64]) {
        let error = (ours - theirs).abs();
        assert!(
            error < 1e-9 * theirs.abs().max(1.0),
            "{at:?}: ours {ours}, SciPy {theirs}"
        );
        assert!(
            error < 1e-7 * theirs.abs().max(1e-30),
            "{at:?}: ours {ours}, SciPy {theirs}"
        );
    }

    #[test]
    fn tails_and_quantiles_are_scipys() {
        let json = include_str!("../../../../fixtures/eval/statistics.json");
        let golden: Golden = serde_json::from_str(json).unwrap();
        let expected = golden.distributions;
        for at @ [p, freedom, t] in expected.t {
            close(t_quantile(p, freedom), t, &at);
            close(t_quantile(1.0 - p, freedom), -t, &at);
        }
        for at @ [t, freedom, p] in expected.t_tail {
            close(t_upper_tail(t, freedom), p, &at);
        }
        for at @ [p, z] in expected.normal {
            close(normal_quantile(p), z, &at);
        }
        for at @ [z, p] in expected.normal_tail {
            close(normal_upper_tail(z), p, &at);
        }
    }
}
