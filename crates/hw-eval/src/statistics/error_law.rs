//! The distribution of an estimate's error: Student's t from few seeds plus a normal distribution from
//! many images.

use super::distributions::{normal_upper_tail, t_quantile, t_upper_tail};
use super::root::decreasing_root;

/// Points of the integral over the unknown variance.
const POINTS: usize = 400;

/// `seeds · T + images · Z` with T of Student's t with `freedom` degrees of freedom and Z normal: what
/// Behrens and Fisher make of two variances of which one is known.
///
/// Satterthwaite's single t is shorter, and errs too often with two seeds: where these happen to agree
/// it takes the many degrees of freedom of the images for the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorLaw {
    pub(crate) seeds: f64,
    pub(crate) freedom: f64,
    pub(crate) images: f64,
}

impl ErrorLaw {
    /// The chance of an error above `x`.
    pub(crate) fn upper_tail(&self, x: f64) -> f64 {
        if self.images == 0.0 {
            return t_upper_tail(x / self.seeds, self.freedom);
        }
        if self.seeds == 0.0 || self.freedom == f64::INFINITY {
            return normal_upper_tail(x / self.seeds.hypot(self.images));
        }
        // Given W = χ²/freedom the error is normal. Over y = ln W the density is
        // exp(freedom/2 (y + 1 - e^y)) up to a factor, analytic and gone at both ends, where the
        // trapezoidal rule is as good as exact; e^-40 bounds what is left out.
        let a = 80.0 / self.freedom;
        let (low, high) = (-a - (2.0 * a).sqrt(), (1.0 + a + (2.0 * a).sqrt()).ln());
        let step = (high - low) / POINTS as f64;
        let (mut sum, mut all) = (0.0, 0.0);
        for point in 0..=POINTS {
            let y = low + step * point as f64;
            let density = (0.5 * self.freedom * (y + 1.0 - y.exp())).exp();
            let deviation = self.images.hypot(self.seeds * (-0.5 * y).exp());
            sum += density * normal_upper_tail(x / deviation);
            all += density;
        }
        sum / all
    }

    /// The error that is exceeded with probability `p`, at most 1/2.
    pub(crate) fn upper_quantile(&self, p: f64) -> f64 {
        if self.images == 0.0 {
            return -self.seeds * t_quantile(p, self.freedom);
        }
        let mut high = self.seeds.hypot(self.images);
        while self.upper_tail(high) > p {
            high *= 2.0;
        }
        decreasing_root(|x| self.upper_tail(x).ln() - p.ln(), 0.0, high)
    }
}
