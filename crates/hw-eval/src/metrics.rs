//! Everything this crate measures about one model on one set, in one serialisable summary.

use crate::accuracy::top_k_accuracy;
use crate::auroc::{Auroc, auroc_ovr};
use crate::calibration::Calibration;
use crate::class_report::ClassReport;
use crate::confusion::{Confusion, ConfusionMatrix};
use crate::error::EvalError;
use crate::interval::{Interval, wilson};
use crate::metric::Metric;
use crate::predictions::Predictions;
use crate::scoring::{brier_score, log_loss};
use crate::statistics::Bootstrap;
use serde::{Deserialize, Serialize};

/// Confidence level of [`Metrics::accuracy_interval`].
pub const ACCURACY_LEVEL: f64 = 0.95;
/// The `k` of the top-k accuracies that are measured.
pub const TOP_KS: [usize; 3] = [2, 3, 5];
/// Most mistakes listed in [`Metrics::top_confusions`].
const CONFUSIONS: usize = 20;

/// Share of samples whose true class is among the k most probable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many classes were allowed.
    pub k: usize,
    /// The share of samples.
    pub accuracy: f64,
}

/// What [`evaluate`] measures. Shares are 0 to 1, never per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of samples.
    pub samples: u64,
    /// Number of classes.
    pub classes: usize,
    /// Samples classified correctly.
    pub correct: u64,
    /// `correct / samples`.
    pub accuracy: f64,
    /// Wilson's 95 % interval of the accuracy: what another test set of this size could have said
    /// about the same weights. It knows nothing of other seeds.
    pub accuracy_interval: Interval,
    /// Top-k accuracy for each k of [`TOP_KS`] below the number of classes.
    pub top_k: Vec<TopK>,
    /// Precision, recall and F1, per class and averaged.
    pub report: ClassReport,
    /// One-vs-rest area under the ROC curve, per class and averaged.
    pub auroc: Auroc,
    /// Calibration error and reliability diagram, 15 bins.
    pub calibration: Calibration,
    /// Brier's score, 0 to 2.
    pub brier: f64,
    /// Mean cross-entropy, nats.
    pub log_loss: f64,
    /// Row = true class, column = predicted class.
    pub confusion: ConfusionMatrix,
    /// The 20 most frequent mistakes.
    pub top_confusions: Vec<Confusion>,
}

/// Measures everything.
pub fn evaluate(predictions: &Predictions) -> Metrics {
    let confusion = ConfusionMatrix::of(predictions);
    let (correct, samples) = (confusion.correct(), confusion.total());
    Metrics {
        samples,
        classes: predictions.classes(),
        correct,
        accuracy: correct as f64 / samples as f64,
        accuracy_interval: wilson(correct as f64, samples as f64, ACCURACY_LEVEL),
        top_k: TOP_KS
            .into_iter()
            .filter(|&k| k < predictions.classes())
            .filter_map(|k| {
                let accuracy = top_k_accuracy(predictions, k).ok()?;
                Some(TopK { k, accuracy })
            })
            .collect(),
        report: ClassReport::of(&confusion),
        auroc: auroc_ovr(predictions),
        calibration: Calibration::binned(predictions, Calibration::BINS),
        brier: brier_score(predictions),
        log_loss: log_loss(predictions),
        top_confusions: confusion.top_confusions(CONFUSIONS),
        confusion,
    }
}

/// The bootstrap interval of a metric over test images: what other test sets of this size would
/// have said about the same weights. For metrics that a confusion matrix decides (accuracy,
/// precision, recall, F1), only the matrix is made anew for each resample.
///
/// # Errors
/// As [`Bootstrap::interval_over`], and for a metric that is undefined here.
pub fn bootstrap(
    predictions: &Predictions,
    metric: Metric,
    method: &Bootstrap,
) -> Result<Interval, EvalError> {
    let (labels, predicted) = (predictions.labels(), predictions.predicted());
    method.interval_over(predictions.len(), |drawn| {
        let pick = |from: &[u32]| {
            drawn
                .iter()
                .map(|&i| from[i as usize])
                .collect::<Vec<u32>>()
        };
        let matrix =
            ConfusionMatrix::from_labels(&pick(labels), &pick(&predicted), predictions.classes());
        let by_matrix = matrix.ok().and_then(|matrix| of_matrix(&matrix, metric));
        by_matrix.unwrap_or_else(|| {
            let drawn = predictions.select(drawn).ok();
            // Not a number is refused by the bootstrap with its own words.
            drawn
                .and_then(|p| evaluate(&p).get(metric))
                .unwrap_or(f64::NAN)
        })
    })
}

/// A metric that the confusion matrix alone decides.
fn of_matrix(matrix: &ConfusionMatrix, metric: Metric) -> Option<f64> {
    let accuracy = || matrix.correct() as f64 / matrix.total() as f64;
    let report = || ClassReport::of(matrix);
    Some(match metric {
        Metric::Accuracy => accuracy(),
        Metric::ErrorRate => 1.0 - accuracy(),
        Metric::PrecisionMacro => report().macro_average.precision,
        Metric::RecallMacro => report().macro_average.recall,
        Metric::F1Macro => report().macro_average.f1,
        Metric::PrecisionWeighted => report().weighted_average.precision,
        Metric::RecallWeighted => report().weighted_average.recall,
        Metric::F1Weighted => report().weighted_average.f1,
        _ => return None,
    })
}

impl Metrics {
    /// What [`Metrics::accuracy_interval`] is, in a sentence a report can quote.
    pub fn accuracy_interval_description() -> &'static str {
        "Wilson's 95 % score interval: the noise of a finite test set about these trained weights, \
         not the spread between seeds."
    }

    /// One number by its name; `None` where it is undefined: AUROC of a set with a single class,
    /// top-k with no more than k classes.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let report = &self.report;
        let top = |k| Some(self.top_k.iter().find(|top| top.k == k)?.accuracy);
        match metric {
            Metric::Accuracy => Some(self.accuracy),
            Metric::ErrorRate => Some((self.samples - self.correct) as f64 / self.samples as f64),
            Metric::Top2Accuracy => top(2),
            Metric::Top3Accuracy => top(3),
            Metric::Top5Accuracy => top(5),
            Metric::PrecisionMacro => Some(report.macro_average.precision),
            Metric::RecallMacro => Some(report.macro_average.recall),
            Metric::F1Macro => Some(report.macro_average.f1),
            Metric::PrecisionWeighted => Some(report.weighted_average.precision),
            Metric::RecallWeighted => Some(report.weighted_average.recall),
            Metric::F1Weighted => Some(report.weighted_average.f1),
            Metric::AurocMacro => self.auroc.macro_average,
            Metric::AurocWeighted => self.auroc.weighted_average,
            Metric::Ece => Some(self.calibration.ece),
            Metric::Mce => Some(self.calibration.mce),
            Metric::Brier => Some(self.brier),
            Metric::LogLoss => Some(self.log_loss),
        }
    }
}
