//! Whether a stated confidence is kept: 90 % sure should be right nine times in ten.

use crate::error::EvalError;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// The samples whose confidence lies in `(low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end of the confidences, excluded (but 0 belongs to the first bin).
    pub low: f64,
    /// Upper end of the confidences, included.
    pub high: f64,
    /// Samples in the bin.
    pub count: u64,
    /// Their mean confidence; `None` in an empty bin.
    pub confidence: Option<f64>,
    /// The share of them classified correctly; `None` in an empty bin.
    pub accuracy: Option<f64>,
}

/// Reliability of the confidences (the probability of the predicted class), after Guo et al. 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the mean over samples of their bin's |accuracy - confidence|.
    pub ece: f64,
    /// Maximum calibration error: the largest |accuracy - confidence| of a bin with samples.
    pub mce: f64,
    /// The bins, equally wide, from confidence 0 to 1: the reliability diagram.
    pub bins: Vec<ReliabilityBin>,
}

impl Calibration {
    /// Bins that the literature uses, and [`crate::evaluate`] too.
    pub const BINS: usize = 15;

    /// Bins the confidences into `bins` bins of equal width.
    ///
    /// # Errors
    /// No bin at all.
    pub fn of(predictions: &Predictions, bins: usize) -> Result<Self, EvalError> {
        if bins == 0 {
            return Err(EvalError::OutOfRange {
                what: "the number of reliability bins",
                value: 0.0,
                expected: "at least 1",
            });
        }
        Ok(Self::binned(predictions, bins))
    }

    pub(crate) fn binned(predictions: &Predictions, bins: usize) -> Self {
        let mut tallies = vec![(0u64, 0u64, 0.0f64); bins];
        let samples = predictions
            .confidence()
            .into_iter()
            .zip(predictions.correct());
        for (confidence, correct) in samples {
            let confidence = f64::from(confidence);
            let bin = (confidence * bins as f64).ceil() as usize;
            let (count, hits, sum) = &mut tallies[bin.clamp(1, bins) - 1];
            *count += 1;
            *hits += u64::from(correct);
            *sum += confidence;
        }
        let width = 1.0 / bins as f64;
        let bins: Vec<ReliabilityBin> = tallies
            .into_iter()
            .enumerate()
            .map(|(index, (count, hits, sum))| ReliabilityBin {
                low: index as f64 * width,
                high: (index + 1) as f64 * width,
                count,
                confidence: (count > 0).then(|| sum / count as f64),
                accuracy: (count > 0).then(|| hits as f64 / count as f64),
            })
            .collect();
        let gaps = || bins.iter().filter_map(|bin| Some((bin.gap()?, bin.count)));
        let weighted: f64 = gaps().map(|(gap, count)| gap * count as f64).sum();
        Self {
            ece: weighted / predictions.len() as f64,
            mce: gaps().map(|(gap, _)| gap).fold(0.0, f64::max),
            bins,
        }
    }
}

impl ReliabilityBin {
    /// |accuracy - confidence|; `None` in an empty bin.
    pub fn gap(&self) -> Option<f64> {
        Some((self.accuracy? - self.confidence?).abs())
    }
}
