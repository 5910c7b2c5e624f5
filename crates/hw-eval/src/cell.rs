//! Whether a printed number agrees with ours.

use crate::interval::{Interval, wilson};
use crate::statistics::{Summary, mean};
use serde::{Deserialize, Serialize};

/// Room for the rounding of decimal fractions in binary, relative to the larger value.
const BINARY_ROUNDING: f64 = 1e-12;

/// How far a printed number may be from ours and still agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// It lies in the prediction interval of our seeds, `mean ± t · std · sqrt(1 + 1/n)`, widened
    /// by the rounding: what one more run of ours might have given. Needs two seeds.
    Seeds {
        /// Level of the interval, 0.95 for instance.
        level: f64,
        /// Half a unit of the last digit printed.
        rounding: f64,
    },
    /// For accuracies (shares, 0 to 1): it lies in Wilson's interval of our mean accuracy on one
    /// test set of `images`, its sides scaled by √2 because the printed number was measured on a
    /// finite test set too, and widened by the rounding.
    TestSet {
        /// Level of the interval, 0.95 for instance.
        level: f64,
        /// Images in the test set.
        images: u64,
        /// Half a unit of the last digit printed.
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
                "The printed value agrees if it lies in the {} prediction interval of our seeds \
                 (Student's t), widened by half a unit of its last printed digit.",
                percent(level)
            ),
            Self::TestSet { level, images, .. } => format!(
                "The printed value agrees if it lies in the {} Wilson interval of our accuracy on \
                 {images} test images, scaled by the square root of 2 for the noise of the printed \
                 value's own test set and widened by half a unit of its last digit; the spread between \
                 seeds is not part of it.",
                percent(level)
            ),
            Self::Absolute(0.0) => "The printed value agrees if it equals ours.".to_owned(),
            Self::Absolute(by) => {
                format!("The printed value agrees if it is at most {by} from our mean.")
            }
            Self::Relative(by) => format!(
                "The printed value agrees if it is at most {} of our mean away from it.",
                percent(by)
            ),
        }
    }
}

/// How our number stands to the printed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellVerdict {
    /// The printed value agrees with ours.
    Within,
    /// Ours is above the printed value.
    Above {
        /// Our mean minus the printed value, above 0.
        by: f64,
    },
    /// Ours is below the printed value.
    Below {
        /// The printed value minus our mean, above 0.
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

/// A printed value beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellComparison {
    /// How they stand.
    pub verdict: CellVerdict,
    /// The value that was printed.
    pub printed: f64,
    /// Mean of our values; `None` if there is none.
    pub ours: Option<f64>,
    /// The printed values that would have agreed.
    pub agreeing: Option<Interval>,
    /// The rule applied.
    pub rule: Tolerance,
}

/// Sets a `printed` value beside `ours`, one a seed, by a stated rule.
pub fn reproduces_value(printed: f64, ours: &[f64], rule: Tolerance) -> CellComparison {
    let judged = agreeing_values(ours, rule).and_then(|agreeing| {
        if printed.is_finite() {
            return Ok(agreeing);
        }
        Err("the printed value is not a finite number".to_owned())
    });
    let (verdict, agreeing) = match judged {
        Err(reason) => (CellVerdict::NotComparable { reason }, None),
        Ok((mean, agreeing)) => (stand(printed, mean, &agreeing), Some(agreeing)),
    };
    CellComparison {
        verdict,
        printed,
        ours: mean(ours).ok(),
        agreeing,
        rule,
    }
}

fn stand(printed: f64, mean: f64, agreeing: &Interval) -> CellVerdict {
    let slack = BINARY_ROUNDING * printed.abs().max(mean.abs());
    if printed < agreeing.low - slack {
        CellVerdict::Above { by: mean - printed }
    } else if printed > agreeing.high + slack {
        CellVerdict::Below { by: printed - mean }
    } else {
        CellVerdict::Within
    }
}

/// Our mean, and the printed values that agree with it; or why there are none.
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
