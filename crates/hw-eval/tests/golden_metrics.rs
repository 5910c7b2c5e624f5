//! Every metric against scikit-learn: `fixtures/eval/metrics.json`, made by `make_eval.py` there.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::{
    Metric, Metrics, Predictions, Scores, accuracy, auroc_ovr, evaluate, top_k_accuracy,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    probabilities: Vec<f32>,
    labels: Vec<u32>,
    predicted: Vec<u32>,
    accuracy: f64,
    wilson: [f64; 2],
    top_k: Vec<f64>,
    confusion: Vec<u64>,
    normalised: Vec<f64>,
    report: Report,
    auroc: Areas,
    calibration: Reliability,
    brier: f64,
    log_loss: f64,
}

#[derive(Deserialize)]
struct Report {
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    #[serde(rename = "macro")]
    macro_average: Scores,
    macro_seen: Scores,
    weighted: Scores,
    micro: Scores,
}

#[derive(Deserialize)]
struct Areas {
    per_class: Vec<Option<f64>>,
    #[serde(rename = "macro")]
    macro_average: Option<f64>,
    weighted: Option<f64>,
}

#[derive(Deserialize)]
struct Reliability {
    counts: Vec<u64>,
    accuracy: Vec<f64>,
    confidence: Vec<f64>,
    ece: f64,
    mce: f64,
}

impl Case {
    fn predictions(&self) -> Predictions {
        Predictions::new(
            self.probabilities.clone(),
            self.labels.clone(),
            self.classes,
        )
        .unwrap()
    }
}

fn cases() -> Vec<Case> {
    let json = include_str!("../../../fixtures/eval/metrics.json");
    let golden: Golden = serde_json::from_str(json).unwrap();
    assert!(golden.cases.len() >= 9);
    golden.cases
}

/// Runs `check` on the metrics of each case.
fn each(check: impl Fn(&Case, &Predictions, &Metrics)) {
    for case in cases() {
        let predictions = case.predictions();
        check(&case, &predictions, &evaluate(&predictions));
    }
}

#[track_caller]
fn close(name: &str, ours: f64, theirs: f64) {
    assert!(
        (ours - theirs).abs() < 1e-9,
        "{name}: ours {ours}, scikit-learn {theirs}"
    );
}

#[track_caller]
fn all_close(name: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (a, b) in ours.iter().zip(theirs) {
        close(name, *a, *b);
    }
}

#[track_caller]
fn scores_close(name: &str, ours: Scores, theirs: Scores) {
    close(name, ours.precision, theirs.precision);
    close(name, ours.recall, theirs.recall);
    close(name, ours.f1, theirs.f1);
}

#[test]
fn accuracy_and_its_interval_are_the_references() {
    each(|case, predictions, metrics| {
        assert_eq!(predictions.predicted(), case.predicted, "{}", case.name);
        close(&case.name, accuracy(predictions), case.accuracy);
        close(&case.name, metrics.accuracy, case.accuracy);
        close(&case.name, metrics.accuracy_interval.low, case.wilson[0]);
        close(&case.name, metrics.accuracy_interval.high, case.wilson[1]);
    });
}

#[test]
fn top_k_accuracy_is_the_references_for_every_k() {
    each(|case, predictions, metrics| {
        for (expected, k) in case.top_k.iter().zip(1..) {
            close(
                &case.name,
                top_k_accuracy(predictions, k).unwrap(),
                *expected,
            );
        }
        for top in &metrics.top_k {
            assert!(top.k < case.classes);
            close(&case.name, top.accuracy, case.top_k[top.k - 1]);
        }
    });
}

#[test]
fn the_confusion_matrix_is_the_references() {
    each(|case, _, metrics| {
        assert_eq!(metrics.confusion.counts(), case.confusion, "{}", case.name);
        all_close(
            &case.name,
            &metrics.confusion.normalised_rows(),
            &case.normalised,
        );
    });
}

#[test]
fn precision_recall_and_f1_are_the_references() {
    each(|case, _, metrics| {
        let (ours, theirs) = (&metrics.report, &case.report);
        let column = |pick: fn(&Scores) -> f64| -> Vec<f64> {
            ours.per_class
                .iter()
                .map(|class| pick(&class.scores))
                .collect()
        };
        all_close(&case.name, &column(|s| s.precision), &theirs.precision);
        all_close(&case.name, &column(|s| s.recall), &theirs.recall);
        all_close(&case.name, &column(|s| s.f1), &theirs.f1);
        let support: Vec<u64> = ours.per_class.iter().map(|class| class.support).collect();
        assert_eq!(support, theirs.support, "{}", case.name);
        scores_close(&case.name, ours.macro_average, theirs.macro_average);
        scores_close(&case.name, ours.macro_seen, theirs.macro_seen);
        scores_close(&case.name, ours.weighted_average, theirs.weighted);
        scores_close(&case.name, ours.micro_average, theirs.micro);
    });
}

#[test]
fn auroc_is_the_references_with_ties_and_absent_classes() {
    each(|case, _, metrics| {
        let (ours, theirs) = (&metrics.auroc, &case.auroc);
        for (class, (a, b)) in ours.per_class.iter().zip(&theirs.per_class).enumerate() {
            assert_eq!(a.is_some(), b.is_some(), "{}", case.name);
            assert_eq!(a.is_none(), ours.undefined.contains(&(class as u32)));
            close(&case.name, a.unwrap_or(0.0), b.unwrap_or(0.0));
        }
        assert_eq!(ours.macro_average.is_some(), theirs.macro_average.is_some());
        close(
            &case.name,
            ours.macro_average.unwrap_or(0.0),
            theirs.macro_average.unwrap_or(0.0),
        );
        close(
            &case.name,
            ours.weighted_average.unwrap_or(0.0),
            theirs.weighted.unwrap_or(0.0),
        );
    });
}

#[test]
fn calibration_is_the_references() {
    each(|case, _, metrics| {
        let (ours, theirs) = (&metrics.calibration, &case.calibration);
        let counts: Vec<u64> = ours.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, theirs.counts, "{}", case.name);
        let filled = || ours.bins.iter().filter(|bin| bin.count > 0);
        let accuracy: Vec<f64> = filled().filter_map(|bin| bin.accuracy).collect();
        let confidence: Vec<f64> = filled().filter_map(|bin| bin.confidence).collect();
        all_close(&case.name, &accuracy, &theirs.accuracy);
        all_close(&case.name, &confidence, &theirs.confidence);
        close(&case.name, ours.ece, theirs.ece);
        close(&case.name, ours.mce, theirs.mce);
    });
}

#[test]
fn brier_score_and_log_loss_are_the_references() {
    each(|case, _, metrics| {
        close(&case.name, metrics.brier, case.brier);
        close(&case.name, metrics.log_loss, case.log_loss);
    });
}

#[test]
fn a_metric_read_by_name_is_the_one_in_the_summary() {
    each(|case, _, metrics| {
        let report = &case.report;
        for (metric, expected) in [
            (Metric::Accuracy, Some(case.accuracy)),
            (Metric::ErrorRate, Some(1.0 - case.accuracy)),
            (
                Metric::Top2Accuracy,
                case.top_k.get(1).copied().filter(|_| case.classes > 2),
            ),
            (
                Metric::Top3Accuracy,
                case.top_k.get(2).copied().filter(|_| case.classes > 3),
            ),
            (
                Metric::Top5Accuracy,
                case.top_k.get(4).copied().filter(|_| case.classes > 5),
            ),
            (Metric::PrecisionMacro, Some(report.macro_average.precision)),
            (Metric::RecallMacro, Some(report.macro_average.recall)),
            (Metric::F1Macro, Some(report.macro_average.f1)),
            (Metric::PrecisionWeighted, Some(report.weighted.precision)),
            (Metric::RecallWeighted, Some(report.weighted.recall)),
            (Metric::F1Weighted, Some(report.weighted.f1)),
            (Metric::AurocMacro, case.auroc.macro_average),
            (Metric::AurocWeighted, case.auroc.weighted),
            (Metric::Ece, Some(case.calibration.ece)),
            (Metric::Mce, Some(case.calibration.mce)),
            (Metric::Brier, Some(case.brier)),
            (Metric::LogLoss, Some(case.log_loss)),
        ] {
            let ours = metrics.get(metric);
            assert_eq!(
                ours.is_some(),
                expected.is_some(),
                "{}: {metric}",
                case.name
            );
            close(metric.name(), ours.unwrap_or(0.0), expected.unwrap_or(0.0));
        }
    });
}

#[test]
fn the_summary_survives_json() {
    each(|case, predictions, metrics| {
        let json = serde_json::to_string(metrics).unwrap();
        let read: Metrics = serde_json::from_str(&json).unwrap();
        assert_eq!(read, *metrics, "{}", case.name);
        let json = serde_json::to_string(predictions).unwrap();
        assert_eq!(
            serde_json::from_str::<Predictions>(&json).unwrap(),
            *predictions
        );
    });
}

#[test]
fn auroc_does_not_depend_on_the_number_of_threads() {
    each(|case, predictions, metrics| {
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let alone = one.install(|| auroc_ovr(predictions));
        assert_eq!(alone, metrics.auroc, "{}", case.name);
    });
}
