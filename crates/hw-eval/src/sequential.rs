//! More seeds only where they are needed: looks at the data between batches of seeds, with one error
//! rate over all looks.
//!
//! Lan & DeMets (1983): a spending function says how much of α may be used up to each look, and each
//! look's boundary follows from the chance of crossing it first there, by the recursion of Armitage,
//! McPherson & Rowe (1969). The statistic of the share t of all seeds is taken as Brownian motion:
//! `B(t) = Z·√t`. Noise of the test set is the same at every look, which makes looks more alike than
//! that and the error rate smaller, never larger; so does stopping for the opposite answer.

use crate::error::EvalError;
use crate::statistics::distributions::{normal_quantile, normal_upper_tail};
use crate::statistics::root::decreasing_root;
use crate::verdict::Alpha;
use serde::{Deserialize, Serialize};

/// Intervals of Simpson's rule between `LOWEST` standard deviations and the boundary; even.
const STEPS: usize = 128;
/// Deviations below which a path no longer reaches the upper boundary.
const LOWEST: f64 = -8.0;
/// Halvings that find a boundary: of a range of 32, to well under 1e-12.
const BISECTIONS: usize = 48;
/// Most looks of a design.
const MOST_LOOKS: usize = 20;
/// Smallest p-value whose place in a design is computed.
const SMALLEST_P: f64 = 1e-12;
/// Least share of the seeds between two looks: the integration's grid must resolve it.
const LEAST_STEP: f64 = 0.01;

/// How the error rate is spent over the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// `2 - 2Φ(z(1 - α/2) / √t)`: hardly anything early, almost α at the end (as O'Brien & Fleming
    /// 1979).
    OBrienFleming,
    /// `α ln(1 + (e - 1)t)`: evenly (as Pocock 1977).
    Pocock,
}

impl Spending {
    /// Error spent up to the share `t` of the seeds.
    fn spent(self, alpha: f64, t: f64) -> f64 {
        match self {
            Self::OBrienFleming => {
                2.0 * normal_upper_tail(-normal_quantile(alpha / 2.0) / t.sqrt())
            }
            Self::Pocock => alpha * (1.0 + (std::f64::consts::E - 1.0) * t).ln(),
        }
    }

    /// What it does, in words a report can quote.
    pub fn description(self) -> &'static str {
        match self {
            Self::OBrienFleming => {
                "Lan and DeMets' spending of O'Brien and Fleming's type: early looks stop only for \
                 overwhelming evidence, and the last keeps almost the whole error rate."
            }
            Self::Pocock => {
                "Lan and DeMets' spending of Pocock's type: every look may stop about as easily."
            }
        }
    }
}

/// When to look, and at which level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Plan", into = "Plan")]
pub struct Design {
    plan: Plan,
    levels: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    fractions: Vec<f64>,
    alpha: Alpha,
    spending: Spending,
}

impl Design {
    /// Looks after the `fractions` of the seeds, the last being 1 (1/3, 2/3 and 1, say), at a total
    /// one-sided error rate of `alpha` in each direction.
    ///
    /// # Errors
    /// No look or more than twenty, or fractions that do not rise by at least a hundredth to 1.
    pub fn new(fractions: &[f64], alpha: Alpha, spending: Spending) -> Result<Self, EvalError> {
        Plan {
            fractions: fractions.to_vec(),
            alpha,
            spending,
        }
        .try_into()
    }

    /// One look, at all seeds.
    pub fn once(alpha: Alpha) -> Self {
        Self {
            plan: Plan {
                fractions: vec![1.0],
                alpha,
                spending: Spending::OBrienFleming,
            },
            levels: vec![alpha.rate()],
        }
    }

    /// The error rate of each direction over all looks.
    pub fn alpha(&self) -> Alpha {
        self.plan.alpha
    }

    /// Number of looks.
    pub fn looks(&self) -> usize {
        self.levels.len()
    }

    /// The shares of the seeds at which it looks.
    pub fn fractions(&self) -> &[f64] {
        &self.plan.fractions
    }

    /// How the error rate is spent.
    pub fn spending(&self) -> Spending {
        self.plan.spending
    }

    /// The nominal one-sided level of each look.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The nominal one-sided level of a look, from 1: what α is without a design.
    ///
    /// # Errors
    /// A look that does not exist.
    pub fn nominal(&self, look: usize) -> Result<Alpha, EvalError> {
        self.check(look)?;
        // Extremely early looks may spend less than a double holds.
        Alpha::new(self.levels[look - 1].max(f64::MIN_POSITIVE))
    }

    /// The repeated p-value of a p-value at a look (Jennison & Turnbull 2000, section 9.2): the total
    /// error rate of the design of this kind whose boundary at this look it would just meet. It
    /// is held against the total α, whatever the look, and may enter corrections such as Holm's.
    /// At several looks p-values below 1e-12 count as that; what no rate below 1/2 explains is 1/2,
    /// or the p-value if that is larger.
    ///
    /// # Errors
    /// A look that does not exist, or a p-value outside [0, 1].
    pub fn repeated_p(&self, look: usize, p: f64) -> Result<f64, EvalError> {
        self.check(look)?;
        if !(0.0..=1.0).contains(&p) {
            return Err(EvalError::OutOfRange {
                what: "a p-value",
                value: p,
                expected: "between 0 and 1",
            });
        }
        if self.looks() == 1 || p >= 0.5 {
            return Ok(p);
        }
        let p = p.max(SMALLEST_P);
        let z = -normal_quantile(p);
        let excess = |rate: f64| self.plan.excess(rate.exp(), look, z);
        // No look's level is above the total rate, so the total rate is not below p.
        Ok(decreasing_root(excess, p.ln(), 0.5f64.ln()).exp())
    }

    fn check(&self, look: usize) -> Result<(), EvalError> {
        if (1..=self.looks()).contains(&look) {
            return Ok(());
        }
        Err(EvalError::NoSuchLook {
            look,
            looks: self.looks(),
        })
    }
}

impl From<Design> for Plan {
    fn from(design: Design) -> Self {
        design.plan
    }
}

impl TryFrom<Plan> for Design {
    type Error = EvalError;
    fn try_from(plan: Plan) -> Result<Self, EvalError> {
        let looks = plan.fractions.len();
        let refuse = |what, value, expected| {
            Err(EvalError::OutOfRange {
                what,
                value,
                expected,
            })
        };
        if looks == 0 || looks > MOST_LOOKS {
            return refuse("the number of looks", looks as f64, "from 1 to 20");
        }
        let mut before = 0.0;
        for &fraction in &plan.fractions {
            if fraction.is_nan() || fraction - before < LEAST_STEP {
                let expected = "at least 0.01 above the one before";
                return refuse("the fraction of a look", fraction, expected);
            }
            before = fraction;
        }
        if before != 1.0 {
            return refuse("the fraction of the last look", before, "1");
        }
        let rate = plan.alpha.rate();
        let levels = match looks {
            1 => vec![rate],
            _ => plan
                .walk(rate, looks)
                .boundaries
                .into_iter()
                .map(normal_upper_tail)
                .collect(),
        };
        Ok(Self { plan, levels })
    }
}

impl Plan {
    /// The first `looks` looks at a total error rate.
    fn walk(&self, rate: f64, looks: usize) -> Walk {
        let mut walk = Walk {
            boundaries: Vec::with_capacity(looks),
            paths: None,
            at: 0.0,
            spent: 0.0,
        };
        for &t in &self.fractions[..looks] {
            let spent = self.spending.spent(rate, t);
            let boundary = walk.boundary(spent - walk.spent, t);
            walk.paths = Some(Paths::stopped(
                walk.paths.as_ref(),
                boundary,
                t - walk.at,
                t,
            ));
            walk.boundaries.push(boundary / t.sqrt());
            (walk.at, walk.spent) = (t, spent);
        }
        walk
    }

    /// Above 0 if a z-value at a look is below the boundary of a total error rate: the logarithm of
    /// the chance of crossing z first there, over what may be spent there.
    fn excess(&self, rate: f64, look: usize, z: f64) -> f64 {
        let t = self.fractions[look - 1];
        let walk = self.walk(rate, look - 1);
        let allowed = self.spending.spent(rate, t) - walk.spent;
        walk.crossing(z * t.sqrt(), t).ln() - allowed.ln()
    }
}

/// What has happened up to a look.
struct Walk {
    /// As z-values.
    boundaries: Vec<f64>,
    /// `None` before the first look.
    paths: Option<Paths>,
    at: f64,
    spent: f64,
}

impl Walk {
    /// The chance that a path not yet stopped is above `boundary` at `t`.
    fn crossing(&self, boundary: f64, t: f64) -> f64 {
        let deviation = (t - self.at).sqrt();
        match &self.paths {
            None => normal_upper_tail(boundary / deviation),
            Some(paths) => paths
                .places
                .iter()
                .zip(&paths.masses)
                .map(|(x, mass)| mass * normal_upper_tail((boundary - x) / deviation))
                .sum(),
        }
    }

    /// The boundary at `t` that paths not yet stopped cross with probability `chance`.
    fn boundary(&self, chance: f64, t: f64) -> f64 {
        let (mut low, mut high) = (LOWEST * t.sqrt(), -3.0 * LOWEST * t.sqrt());
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            match self.crossing(middle, t) > chance {
                true => low = middle,
                false => high = middle,
            }
        }
        0.5 * (low + high)
    }
}

/// The density of B(t) of the paths that have not crossed yet, on a grid, times Simpson's weights.
struct Paths {
    places: Vec<f64>,
    masses: Vec<f64>,
}

impl Paths {
    /// The paths still below `boundary` at `t`, `step` after `before`.
    fn stopped(before: Option<&Self>, boundary: f64, step: f64, t: f64) -> Self {
        let low = LOWEST * t.sqrt();
        let high = boundary.max(low + step.sqrt());
        let width = (high - low) / STEPS as f64;
        let deviation = step.sqrt();
        let normal = |x: f64| (-0.5 * x * x).exp() / (std::f64::consts::TAU.sqrt() * deviation);
        let density = |x: f64| match before {
            None => normal(x / deviation),
            Some(paths) => {
                let from = paths.places.iter().zip(&paths.masses);
                from.map(|(y, mass)| mass * normal((x - y) / deviation))
                    .sum()
            }
        };
        let places: Vec<f64> = (0..=STEPS).map(|i| low + width * i as f64).collect();
        let simpson = |i: usize| match i {
            0 | STEPS => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let mass = |(i, &x): (usize, &f64)| simpson(i) * width / 3.0 * density(x);
        Self {
            masses: places.iter().enumerate().map(mass).collect(),
            places,
        }
    }
}
