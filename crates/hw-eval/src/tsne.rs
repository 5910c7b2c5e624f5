//! t-SNE: points of many dimensions on a plane, near ones near (van der Maaten & Hinton 2008), by
//! the Barnes-Hut approximation (van der Maaten 2014); feature `tsne`.

use crate::error::{EvalError, check_finite};
use hw_core::Rng;
use serde::{Deserialize, Serialize};

/// Settings of [`map`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TsneConfig {
    /// How many neighbours a point roughly has, at least 1.
    pub perplexity: f32,
    /// Steps of gradient descent.
    pub iterations: usize,
    /// Coarseness of the approximation, above 0; .5 is usual.
    pub theta: f32,
    /// Seed of the starting positions.
    pub seed: u64,
}

impl Default for TsneConfig {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 500,
            theta: 0.5,
            seed: 1,
        }
    }
}

/// Two coordinates for each of the points `rows` (`[n, width]` row-major). Distances between far
/// groups mean nothing; which points are together does.
///
/// The same points and settings give the same bits on any number of threads: sums are taken on one.
///
/// ```
/// use hw_eval::tsne::{TsneConfig, map};
///
/// // Two tight groups of 40 points in three dimensions.
/// let rows: Vec<f32> = (0..80)
///     .flat_map(|i| {
///         let (group, jitter) = ((i / 40) as f32, (i % 40) as f32 * 0.01);
///         [group * 10.0 + jitter, jitter, -jitter]
///     })
///     .collect();
/// let config = TsneConfig { perplexity: 10.0, ..TsneConfig::default() };
/// assert_eq!(map(&rows, 3, &config)?.len(), 80);
/// # Ok::<(), hw_eval::EvalError>(())
/// ```
///
/// # Errors
/// Rows that do not divide into points, a value that is not finite, settings out of range, or fewer
/// than three times the perplexity of points.
pub fn map(rows: &[f32], width: usize, config: &TsneConfig) -> Result<Vec<[f32; 2]>, EvalError> {
    let points = check(rows, width, config)?;
    let samples: Vec<&[f32]> = rows.chunks_exact(width).collect();
    let mut rng = Rng::stream(config.seed, "t-sne", 0);
    // Small, so that early exaggeration decides where groups end up.
    let start: Vec<f32> = (0..2 * points).map(|_| 1e-4 * rng.normal()).collect();
    let fit = || {
        let mut tsne = bhtsne::tSNE::<f32, &[f32], 2>::new(&samples);
        tsne.perplexity(config.perplexity)
            .epochs(config.iterations)
            .initial_embedding(start)
            .barnes_hut(config.theta, |a, b| distance(a, b));
        tsne.embedding()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|error| EvalError::Inference(error.into()))?;
    let flat = pool.install(fit);
    Ok(flat.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
}

fn check(rows: &[f32], width: usize, config: &TsneConfig) -> Result<usize, EvalError> {
    let refuse = |what, value: f32, expected| {
        let value = f64::from(value);
        Err(EvalError::OutOfRange {
            what,
            value,
            expected,
        })
    };
    if width == 0 || !rows.len().is_multiple_of(width.max(1)) {
        return Err(EvalError::Length {
            what: "points (whole rows)",
            expected: rows.len().next_multiple_of(width.max(1)),
            got: rows.len(),
        });
    }
    if !(config.perplexity >= 1.0 && config.perplexity.is_finite()) {
        return refuse("t-SNE's perplexity", config.perplexity, "at least 1");
    }
    if !(config.theta > 0.0 && config.theta.is_finite()) {
        return refuse("t-SNE's theta", config.theta, "above 0");
    }
    let values: Vec<f64> = rows.iter().map(|&value| f64::from(value)).collect();
    check_finite("points of a t-SNE map", &values)?;
    let points = rows.len() / width;
    let needed = (3.0 * config.perplexity).ceil() as usize + 2;
    if points < needed {
        return Err(EvalError::TooFew {
            what: "a t-SNE map (three times its perplexity)",
            needed,
            got: points,
        });
    }
    Ok(points)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(x, y)| (x - y) * (x - y));
    squares.sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of `each` points around corners of a cube in ten dimensions.
    fn groups(each: usize) -> Vec<f32> {
        let mut rng = Rng::stream(7, "points", 0);
        let mut rows = Vec::new();
        for index in 0..3 * each {
            for axis in 0..10 {
                let centre = if axis == index / each { 8.0 } else { 0.0 };
                rows.push(centre + rng.normal());
            }
        }
        rows
    }

    fn config() -> TsneConfig {
        TsneConfig {
            perplexity: 10.0,
            iterations: 400,
            ..TsneConfig::default()
        }
    }

    #[test]
    fn points_of_a_group_have_their_nearest_neighbour_in_it() {
        let (each, rows) = (50, groups(50));
        let places = map(&rows, 10, &config()).unwrap();
        let nearest = |i: usize| {
            let others = (0..places.len()).filter(|&j| j != i);
            let far = |&a: &usize, &b: &usize| {
                let d = |j: usize| distance(&places[i], &places[j]);
                d(a).total_cmp(&d(b))
            };
            others.min_by(far).unwrap()
        };
        let right = (0..places.len()).filter(|&i| nearest(i) / each == i / each);
        assert!(right.count() >= 147, "of 150");
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let rows = groups(20);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.unwrap();
            pool.install(|| {
                map(
                    &rows,
                    10,
                    &TsneConfig {
                        perplexity: 5.0,
                        ..config()
                    },
                )
            })
        };
        assert_eq!(on(1).unwrap(), on(3).unwrap());
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let rows = groups(5);
        assert!(map(&rows, 10, &config()).is_err(), "too few points");
        assert!(map(&rows, 7, &config()).is_err(), "no whole rows");
        assert!(map(&[f32::NAN; 400], 4, &config()).is_err(), "not finite");
        let flat = TsneConfig {
            theta: 0.0,
            ..config()
        };
        assert!(map(&groups(20), 10, &flat).is_err(), "theta");
    }
}
