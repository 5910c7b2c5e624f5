//! Whether a reported number agrees with ours.

use crate::interval::{Interval, wilson};
use crate::statistics::distributions::t_quantile;
use crate::statistics::{Summary, mean};
use serde::{Deserialize, Serialize};

/// Room for the rounding of decimal fractions in binary, relative to the larger value.
const BINARY_ROUNDING: f64 = 1e-12;

/// Images of two different test sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSets {
    /// Images of ours.
    pub ours: u64,
    /// Images of the one behind the reported number.
    pub theirs: u64,
}

/// How far a reported number may be from ours and still agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// It lies in the prediction interval of our seeds, `mean ± t · std · sqrt(1 + 1/n)`, widened
    /// by the rounding: what one more run of ours might have given. Needs two seeds.
    Seeds {
        /// Level of the interval, 0.95 for instance.
        level: f64,
        /// Half a unit of the last digit reported.
        rounding: f64,
    },
    /// It lies in the prediction interval of one more run, with a spread over seeds that is pooled
    /// over comparable recipes: `mean ± t · sqrt(deviation² (1 + 1/n) + images)`, widened by the
    /// rounding. `images` is 0 if both were tested on the same images, whose noise they share; else it
    /// is the binomial noise of both test sets at our mean accuracy p, `p(1 - p)(1/ours + 1/theirs)`.
    /// Student's t has Satterthwaite's degrees of freedom.
    Pooled {
        /// Level of the interval, 0.95 for instance.
        level: f64,
        /// Deviation of a single run over seeds: the root of [`crate::statistics::Pooled::moderated`].
        deviation: f64,
        /// Its degrees of freedom.
        degrees_of_freedom: f64,
        /// For accuracies (shares, 0 to 1) on different test sets: their images. `None` if the images
        /// are the same.
        test_sets: Option<TestSets>,
        /// Half a unit of the last digit reported.
        rounding: f64,
    },
    /// For accuracies (shares, 0 to 1): it lies in Wilson's interval of our mean accuracy on one
    /// test set of `images`, its sides scaled by √2 because the reported number was measured on a
    /// finite test set too, and widened by the rounding.
    TestSet {
        /// Level of the interval, 0.95 for instance.
        level: f64,
        /// Images in the test set.
        images: u64,
        /// Half a unit of the last digit reported.
        rounding: f64,
    },
    /// It is at most this far from our mean; 0 for counts, which must be equal.
    Absolute(f64),
    /// It is at most this share of our mean away from it.
    Relative(f64),
}

impl Tolerance {
    /// The rule, in words a report can quote.
    pub fn description(&self) -> String {
        let percent = |share: f64| format!("{} %", (share * 1e4).round() / 1e2);
        match *self {
            Self::Seeds { level, .. } => format!(
                "The reported value agrees if it lies in the {} prediction interval of our seeds \
                 (Student's t), widened by half a unit of its last reported digit.",
                percent(level)
            ),
            Self::Pooled {
                level, test_sets, ..
            } => format!(
                "The reported value agrees if it lies in the {} prediction interval of one more run of \
                 ours (Student's t, the spread over seeds pooled over comparable recipes{}), widened by \
                 half a unit of its last reported digit.",
                percent(level),
                match test_sets {
                    None => "",
                    Some(_) => ", and the binomial noise of both test sets",
                }
            ),
            Self::TestSet { level, images, .. } => format!(
                "The reported value agrees if it lies in the {} Wilson interval of our accuracy on \
                 {images} test images, scaled by the square root of 2 for the noise of the reported \
                 value's own test set and widened by half a unit of its last digit; the spread between \
                 seeds is not part of it.",
                percent(level)
            ),
            Self::Absolute(0.0) => "The reported value agrees if it equals ours.".to_owned(),
            Self::Absolute(by) => {
                format!("The reported value agrees if it is at most {by} from our mean.")
            }
            Self::Relative(by) => format!(
                "The reported value agrees if it is at most {} of our mean away from it.",
                percent(by)
            ),
        }
    }
}

/// How our number stands to the reported one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellVerdict {
    /// The reported value agrees with ours.
    Within,
    /// Ours is above the reported value.
    Above {
        /// Our mean minus the reported value, above 0.
        by: f64,
    },
    /// Ours is below the reported value.
    Below {
        /// The reported value minus our mean, above 0.
        by: f64,
    },
    /// The rule cannot be applied.
    NotComparable {
        /// Why not.
        reason: String,
    },
}

impl CellVerdict {
    /// The verdict in the report's words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Within => "agrees",
            Self::Above { .. } => "ours is higher",
            Self::Below { .. } => "ours is lower",
            Self::NotComparable { .. } => "not comparable",
        }
    }
}

/// A reported value beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellComparison {
    /// How they stand.
    pub verdict: CellVerdict,
    /// The value that was reported.
    pub reported: f64,
    /// Mean of our values; `None` if there is none.
    pub ours: Option<f64>,
    /// The reported values that would have agreed.
    pub agreeing: Option<Interval>,
    /// The rule applied.
    pub rule: Tolerance,
}

/// Sets a `reported` value beside `ours`, one a seed, by a stated rule.
pub fn reproduces_value(reported: f64, ours: &[f64], rule: Tolerance) -> CellComparison {
    let judged = agreeing_values(ours, rule).and_then(|agreeing| {
        if reported.is_finite() {
            return Ok(agreeing);
        }
        Err("the reported value is not a finite number".to_owned())
    });
    let (verdict, agreeing) = match judged {
        Err(reason) => (CellVerdict::NotComparable { reason }, None),
        Ok((mean, agreeing)) => (stand(reported, mean, &agreeing), Some(agreeing)),
    };
    CellComparison {
        verdict,
        reported,
        ours: mean(ours).ok(),
        agreeing,
        rule,
    }
}

fn stand(reported: f64, mean: f64, agreeing: &Interval) -> CellVerdict {
    let slack = BINARY_ROUNDING * reported.abs().max(mean.abs());
    if reported < agreeing.low - slack {
        CellVerdict::Above {
            by: mean - reported,
        }
    } else if reported > agreeing.high + slack {
        CellVerdict::Below {
            by: reported - mean,
        }
    } else {
        CellVerdict::Within
    }
}

/// Our mean, and the reported values that agree with it; or why there are none.
fn agreeing_values(ours: &[f64], rule: Tolerance) -> Result<(f64, Interval), String> {
    let mean = mean(ours).map_err(|error| error.to_string())?;
    let agreeing = match rule {
        Tolerance::Seeds { level, rounding } => {
            let summary = Summary::with_level(ours, level).map_err(|error| error.to_string())?;
            let interval = summary
                .prediction_interval()
                .ok_or("a single seed has no spread to judge by")?;
            widened(interval, rounding)?
        }
        Tolerance::Pooled {
            level,
            deviation,
            degrees_of_freedom,
            test_sets,
            rounding,
        } => {
            crate::error::check_level(level).map_err(|error| error.to_string())?;
            let spread = (deviation, degrees_of_freedom);
            let half = pooled_half_width(mean, ours.len(), level, spread, test_sets)?;
            widened(Interval::around(mean, half), rounding)?
        }
        Tolerance::TestSet {
            level,
            images,
            rounding,
        } => widened(scaled_wilson(mean, images, level)?, rounding)?,
        Tolerance::Absolute(by) => widened(Interval::around(mean, 0.0), by)?,
        Tolerance::Relative(by) => widened(Interval::around(mean, 0.0), by * mean.abs())?,
    };
    Ok((mean, agreeing))
}

/// Half the prediction interval of one more run, for a deviation and its degrees of freedom.
fn pooled_half_width(
    mean: f64,
    runs: usize,
    level: f64,
    (deviation, freedom): (f64, f64),
    test_sets: Option<TestSets>,
) -> Result<f64, String> {
    if !(deviation >= 0.0 && deviation.is_finite() && freedom > 0.0) {
        return Err(format!(
            "a deviation of {deviation} with {freedom} degrees of freedom is no spread"
        ));
    }
    let images = match test_sets {
        None => 0.0,
        Some(TestSets { ours: 0, .. } | TestSets { theirs: 0, .. }) => {
            return Err("a test set has no images".to_owned());
        }
        Some(_) if !(0.0..=1.0).contains(&mean) => {
            return Err(format!("{mean} is no accuracy between 0 and 1"));
        }
        Some(sets) => mean * (1.0 - mean) * (1.0 / sets.ours as f64 + 1.0 / sets.theirs as f64),
    };
    let seeds = deviation * deviation * (1.0 + 1.0 / runs as f64);
    let total = seeds + images;
    if total == 0.0 {
        return Ok(0.0);
    }
    // The noise of images is known as well as a normal distribution is.
    let freedom = freedom * (total / seeds).powi(2);
    Ok(t_quantile(0.5 + level / 2.0, freedom) * total.sqrt())
}

fn widened(interval: Interval, by: f64) -> Result<Interval, String> {
    if by >= 0.0 && by.is_finite() {
        return Ok(Interval {
            low: interval.low - by,
            high: interval.high + by,
        });
    }
    Err(format!("a tolerance of {by} is no range"))
}

fn scaled_wilson(share: f64, images: u64, level: f64) -> Result<Interval, String> {
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("{share} is no accuracy between 0 and 1"));
    }
    if images == 0 {
        return Err("the test set has no images".to_owned());
    }
    crate::error::check_level(level).map_err(|error| error.to_string())?;
    let total = images as f64;
    let wilson = wilson((share * total).round(), total, level);
    let root = std::f64::consts::SQRT_2;
    Ok(Interval {
        low: share - root * (share - wilson.low).max(0.0),
        high: share + root * (wilson.high - share).max(0.0),
    })
}
