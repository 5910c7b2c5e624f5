//! Binomial and multinomial draws whose cost does not grow with the number of trials.

use hw_core::Rng;
use statrs::function::factorial::ln_factorial;

/// Expected successes above which rejection is faster than inversion, and valid.
const REJECTION_FROM: f64 = 10.0;

/// How many of `trials` succeed with probability `p` each.
pub(super) fn binomial(rng: &mut Rng, trials: u64, p: f64) -> u64 {
    if p > 0.5 {
        return trials - binomial(rng, trials, 1.0 - p);
    }
    if trials == 0 || p <= 0.0 {
        return 0;
    }
    if (trials as f64) * p < REJECTION_FROM {
        by_inversion(rng, trials, p)
    } else {
        by_rejection(rng, trials, p)
    }
}

/// Walks up the distribution function until it passes a uniform draw.
fn by_inversion(rng: &mut Rng, trials: u64, p: f64) -> u64 {
    let odds = p / (1.0 - p);
    let mut mass = (trials as f64 * (-p).ln_1p()).exp();
    let mut left = rng.uniform_f64();
    for successes in 0..trials {
        if left < mass {
            return successes;
        }
        left -= mass;
        mass *= odds * (trials - successes) as f64 / (successes + 1) as f64;
    }
    trials
}

/// Hörmann's transformed rejection with squeeze, BTRS (1993, "The generation of binomial random
/// variates"), for p up to 1/2 and at least ten expected successes.
fn by_rejection(rng: &mut Rng, trials: u64, p: f64) -> u64 {
    let n = trials as f64;
    let deviation = (n * p * (1.0 - p)).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let centre = n * p + 0.5;
    let squeeze = 0.92 - 4.2 / b;
    let alpha = (2.83 + 5.1 / b) * deviation;
    let log_odds = (p / (1.0 - p)).ln();
    let mode = ((n + 1.0) * p).floor();
    let at = |k: f64| ln_factorial(k as u64) + ln_factorial((n - k) as u64);
    loop {
        let u = rng.uniform_f64() - 0.5;
        let v = rng.uniform_f64();
        let edge = 0.5 - u.abs();
        let k = ((2.0 * a / edge + b) * u + centre).floor();
        if !(0.0..=n).contains(&k) {
            continue;
        }
        let accepted = edge >= 0.07 && v <= squeeze
            || (v * alpha / (a / (edge * edge) + b)).ln()
                <= at(mode) - at(k) + (k - mode) * log_odds;
        if accepted {
            return k as u64;
        }
    }
}

/// Draws as many things as `counts` holds, with repetition, from the bins they count: how many came
/// from each bin, written to `drawn`.
pub(super) fn multinomial(rng: &mut Rng, counts: &[u64], drawn: &mut Vec<u64>) {
    let total: u64 = counts.iter().sum();
    let (mut left, mut mass) = (total, total);
    drawn.clear();
    for &count in counts {
        let taken = match mass {
            0 => 0,
            _ => binomial(rng, left, count as f64 / mass as f64),
        };
        drawn.push(taken);
        left -= taken;
        mass -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{Binomial, Discrete};

    /// Pearson's statistic over the values that are not rare, against its 1e-6 quantile or so.
    #[test]
    fn draws_follow_the_binomial_distribution() {
        for (case, (trials, p)) in [(40, 0.03), (40, 0.4), (300, 0.97), (116_323, 0.0004)]
            .into_iter()
            .enumerate()
        {
            let exact = Binomial::new(p, trials).unwrap();
            let mut rng = Rng::stream(1, "binomial", case as u64);
            let draws = 100_000;
            let mut seen = std::collections::BTreeMap::new();
            for _ in 0..draws {
                *seen.entry(binomial(&mut rng, trials, p)).or_insert(0u32) += 1;
            }
            let (mut chi_square, mut bins) = (0.0, 0.0f64);
            for (&value, &count) in &seen {
                let expected = f64::from(draws) * exact.pmf(value);
                if expected >= 20.0 {
                    chi_square += (f64::from(count) - expected).powi(2) / expected;
                    bins += 1.0;
                }
            }
            assert!(bins >= 5.0);
            let bound = bins + 5.0 * (2.0 * bins).sqrt();
            assert!(chi_square < bound, "{trials} x {p}: {chi_square} of {bins}");
        }
    }

    #[test]
    fn a_multinomial_draw_keeps_the_total_and_empty_bins_empty() {
        let mut rng = Rng::stream(2, "multinomial", 0);
        let (counts, mut drawn) = ([9_000, 0, 700, 3, 0], Vec::new());
        let mut sums = [0u64; 5];
        for _ in 0..2_000 {
            multinomial(&mut rng, &counts, &mut drawn);
            assert_eq!(drawn.iter().sum::<u64>(), 9_703);
            assert_eq!((drawn[1], drawn[4]), (0, 0));
            for (sum, bin) in sums.iter_mut().zip(&drawn) {
                *sum += bin;
            }
        }
        for (sum, count) in sums.iter().zip(counts) {
            let mean = *sum as f64 / 2_000.0;
            let error = (count as f64 / 2_000.0).sqrt();
            assert!((mean - count as f64).abs() <= 5.0 * error, "{mean} {count}");
        }
    }
}
