//! Inputs that cannot be evaluated are refused with the place and the reason, never with a panic.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::Rng;
use hw_eval::statistics::{
    Bootstrap, BootstrapMethod, Crossed, HierarchicalBootstrap, PairedOutcomes, Pooled, Proportion,
    Summary, TwoProportionTest, Variance, holm, one_sample_t_test, paired_t_test, quantile,
    sample_std, spearman, welch_t_test,
};
use hw_eval::{
    Alpha, Arm, Calibration, ConfusionMatrix, Design, EvalError, Evidence, Metric, Outcome, Part,
    Predictions, Question, Setting, Spending, Timing, auroc, best_of, compare,
    compare_with_reported, evaluate, judge_family, time_inference, top_k_accuracy, wilson_interval,
};
use std::time::Duration;

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, EvalError>, words: &str) {
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains(words), "{message}");
}

fn three() -> Predictions {
    let rows = vec![0.5, 0.25, 0.25, 0.0, 0.5, 0.5, 0.25, 0.25, 0.5];
    Predictions::new(rows, vec![0, 2, 2], 3).unwrap()
}

#[test]
fn predictions_that_are_none_are_refused() {
    let new = Predictions::new;
    refused(new(vec![], vec![], 3), "list of labels is empty");
    refused(new(vec![1.0], vec![0], 1), "at least 2");
    refused(new(vec![], vec![0], 0), "at least 2");
    refused(new(vec![0.5; 5], vec![0, 1], 3), "expected 6 values, got 5");
    refused(new(vec![0.5; 5], vec![0, 1], usize::MAX), "got 5");
    refused(
        new(vec![0.5; 4], vec![0, 2], 2),
        "label of sample 1 is 2, but there are 2 classes (0..=1)",
    );
    refused(
        new(vec![0.5, 0.5, 1.5, -0.5], vec![0, 1], 2),
        "class 0 for sample 1 is 1.5",
    );
    refused(
        new(vec![0.5, 0.5, f32::NAN, 0.5], vec![0, 1], 2),
        "class 0 for sample 1 is NaN",
    );
    refused(
        new(vec![0.5, 0.5, 0.5, 0.4], vec![0, 1], 2),
        "sample 1 sum to 0.9",
    );
    refused(
        new(vec![0.5, 0.5, 0.5, 0.4], vec![0, 1], 2),
        "apply softmax",
    );
    refused(
        Predictions::from_logits(vec![0.0, f32::INFINITY], vec![0], 2),
        "value 1 is inf",
    );
}

#[test]
fn predictions_read_from_json_are_checked_too() {
    let read = |json: &str| serde_json::from_str::<Predictions>(json);
    assert!(read(r#"{"probabilities":[0.5,0.5],"labels":[1],"classes":2}"#).is_ok());
    let wrong = read(r#"{"probabilities":[0.5,0.5],"labels":[2],"classes":2}"#);
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("label of sample 0 is 2")
    );
    let matrix = serde_json::from_str::<ConfusionMatrix>(r#"{"classes":2,"counts":[1,2,3]}"#);
    assert!(
        matrix
            .unwrap_err()
            .to_string()
            .contains("expected 4 values, got 3")
    );
}

#[test]
fn the_first_of_equal_probabilities_wins() {
    let given = three();
    assert_eq!(given.predicted(), [0, 1, 2]);
    assert_eq!(given.confidence(), [0.5, 0.5, 0.5]);
    assert_eq!(given.correct(), [true, false, true]);
    assert_eq!(top_k_accuracy(&given, 1).unwrap(), 2.0 / 3.0);
    assert_eq!(top_k_accuracy(&given, 2).unwrap(), 1.0);
}

#[test]
fn a_subset_keeps_its_samples_in_the_order_asked_for() {
    let subset = three().select(&[2, 0]).unwrap();
    assert_eq!(subset.labels(), [2, 0]);
    assert_eq!(subset.probabilities(), [0.25, 0.25, 0.5, 0.5, 0.25, 0.25]);
    refused(three().select(&[]), "empty");
    refused(three().select(&[3]), "below the number of samples");
}

#[test]
fn a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower() {
    let rows = vec![0.5, 0.5, 0.25, 0.75, 0.0, 1.0, 0.625, 0.375];
    let given = Predictions::new(rows, vec![1, 1, 1, 0], 2).unwrap();
    let bins = Calibration::of(&given, 4).unwrap().bins;
    let counts: Vec<u64> = bins.iter().map(|bin| bin.count).collect();
    assert_eq!(counts, [0, 1, 2, 1]);
    let middle = (
        bins[2].low,
        bins[2].high,
        bins[2].confidence,
        bins[2].accuracy,
    );
    assert_eq!(middle, (0.5, 0.75, Some(0.6875), Some(1.0)));
    assert_eq!(bins[0].gap(), None);
}

#[test]
fn mistakes_are_listed_most_frequent_first() {
    let matrix =
        ConfusionMatrix::from_labels(&[0, 0, 0, 1, 1, 1, 2, 2], &[1, 1, 0, 0, 2, 1, 1, 2], 3)
            .unwrap();
    let listed: Vec<_> = matrix
        .top_confusions(3)
        .iter()
        .map(|m| (m.truth, m.predicted, m.count, m.share))
        .collect();
    assert_eq!(
        listed,
        [
            (0, 1, 2, 2.0 / 3.0),
            (1, 0, 1, 1.0 / 3.0),
            (1, 2, 1, 1.0 / 3.0)
        ]
    );
    refused(
        ConfusionMatrix::from_labels(&[0], &[], 2),
        "expected 1 values, got 0",
    );
    refused(
        ConfusionMatrix::from_labels(&[0], &[7], 2),
        "prediction of sample 0 is 7",
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    refused(top_k_accuracy(&three(), 0), "at least 1");
    refused(Calibration::of(&three(), 0), "at least 1");
    refused(wilson_interval(1, 0, 0.95), "empty");
    refused(wilson_interval(2, 1, 0.95), "at most the number of trials");
    refused(wilson_interval(1, 2, 1.0), "between 0 and 1");
    refused(wilson_interval(1, 2, f64::NAN), "between 0 and 1");
    refused(auroc(&[0.1], &[]), "expected 1 values, got 0");
    refused(auroc(&[0.1, f32::NAN], &[true, false]), "value 1 is NaN");
    assert_eq!(auroc(&[], &[]).unwrap(), None);
    refused("f1".parse::<Metric>(), "f1_macro");
    refused(quantile(&[1.0], 1.5), "between 0 and 1");
    refused(quantile(&[], 0.5), "empty");
}

#[test]
fn samples_too_small_or_without_spread_are_refused() {
    refused(Summary::of(&[]), "empty");
    let single = Summary::of(&[0.5]).unwrap();
    assert_eq!(
        (single.std, single.interval, single.prediction_interval()),
        (None, None, None)
    );
    refused(Summary::of(&[1.0, f64::INFINITY]), "value 1 is inf");
    refused(Summary::with_level(&[1.0, 2.0], 0.0), "between 0 and 1");
    refused(sample_std(&[1.0]), "at least 2 values, got 1");
    refused(
        welch_t_test(&[1.0, 2.0], &[1.0]),
        "at least 2 values, got 1",
    );
    refused(welch_t_test(&[0.1; 3], &[0.7; 3]), "do not vary");
    refused(paired_t_test(&[1.0, 2.0], &[2.0, 3.0]), "do not vary");
    refused(
        paired_t_test(&[1.0, 2.0], &[2.0]),
        "expected 2 values, got 1",
    );
    refused(one_sample_t_test(&[1.0, 2.0], f64::NAN), "expected mean");
    refused(spearman(&[1.0, 2.0], &[1.0, 2.0]), "at least 3");
    refused(spearman(&[1.0, 2.0, 3.0], &[1.0; 3]), "do not vary");
    refused(
        spearman(&[1.0, 2.0, 3.0], &[1.0; 4]),
        "expected 3 values, got 4",
    );
    refused(holm(&[0.1, 1.1]), "between 0 and 1");
    refused(holm(&[f64::NAN]), "not a finite number");
    let (none, one) = (
        Proportion {
            successes: 0,
            total: 0,
        },
        Proportion {
            successes: 1,
            total: 1,
        },
    );
    refused(TwoProportionTest::of(one, none), "empty");
}

#[test]
fn models_tested_on_different_images_are_not_paired() {
    let other = Predictions::new(three().probabilities().to_vec(), vec![0, 2, 1], 3).unwrap();
    refused(PairedOutcomes::of(&three(), &other), "sample 2");
    refused(
        PairedOutcomes::of(&three(), &three().select(&[0]).unwrap()),
        "expected 3 values, got 1",
    );
}

#[test]
fn a_bootstrap_without_draws_or_sense_is_refused() {
    let bootstrap = |resamples, level| Bootstrap {
        resamples,
        level,
        seed: 1,
        method: BootstrapMethod::Bca,
    };
    let first = |sample: &[f64]| sample[0];
    refused(
        bootstrap(0, 0.95).interval(&[1.0, 2.0], first),
        "number of resamples",
    );
    refused(bootstrap(9, 0.95).interval(&[1.0], first), "at least 2");
    refused(
        bootstrap(9, 2.0).interval(&[1.0, 2.0], first),
        "between 0 and 1",
    );
    refused(
        bootstrap(9, 0.95).interval(&[1.0, f64::NAN], first),
        "value 1 is NaN",
    );
    refused(
        bootstrap(9, 0.95).interval(&[1.0, 2.0], |_| f64::NAN),
        "statistic",
    );
    let longest = |drawn: &[u32]| if drawn.is_sorted() { 1.0 } else { 0.0 };
    refused(
        bootstrap(9, 0.95).interval_over(40, longest),
        "use the percentile interval",
    );
    let constant = bootstrap(9, 0.95).interval(&[2.0; 5], first).unwrap();
    assert_eq!((constant.low, constant.high), (2.0, 2.0));
}

#[test]
fn a_bootstrap_of_a_mean_agrees_with_students_t() {
    let mut rng = Rng::stream(3, "sample", 0);
    let values: Vec<f64> = (0..200).map(|_| f64::from(rng.normal())).collect();
    let expected = Summary::of(&values).unwrap().interval.unwrap();
    for method in [BootstrapMethod::Percentile, BootstrapMethod::Bca] {
        let bootstrap = Bootstrap {
            resamples: 4000,
            level: 0.95,
            seed: 11,
            method,
        };
        let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
        let ours = bootstrap.interval(&values, mean).unwrap();
        // A tenth of the half width of 0.14, several times the noise of 4000 resamples.
        assert!(
            (ours.low - expected.low).abs() < 0.014,
            "{ours:?} {expected:?}"
        );
        assert!(
            (ours.high - expected.high).abs() < 0.014,
            "{ours:?} {expected:?}"
        );
    }
}

#[test]
fn timing_counts_only_the_measured_calls() {
    let mut calls = 0;
    let timing = time_inference(256, 3, 5, || {
        calls += 1;
        Ok::<_, std::io::Error>(calls)
    });
    let timing = timing.unwrap();
    assert_eq!((calls, timing.batch, timing.repeats), (8, 256, 5));
    assert!(timing.images_per_second.is_finite());
}

#[test]
fn a_timing_is_the_median_and_spread_of_its_calls() {
    let durations: Vec<Duration> = [5u64, 1, 4, 2, 3].map(Duration::from_millis).to_vec();
    let timing = Timing::from_durations(6, &durations).unwrap();
    assert_eq!(timing.median_ms, 3.0);
    assert!((timing.p05_ms - 1.2).abs() < 1e-12 && (timing.p95_ms - 4.8).abs() < 1e-12);
    assert!((timing.iqr_ms - 2.0).abs() < 1e-12);
    assert!((timing.images_per_second - 2000.0).abs() < 1e-9);
    let instant = Timing::from_durations(1, &[Duration::ZERO]).unwrap();
    assert!(instant.images_per_second.is_finite());
    let json = serde_json::to_string(&timing).unwrap();
    assert_eq!(serde_json::from_str::<Timing>(&json).unwrap(), timing);
}

#[test]
fn timing_refuses_nothing_and_passes_failures_on() {
    let nothing = || Ok::<_, std::io::Error>(());
    refused(time_inference(0, 0, 1, nothing), "batch size");
    refused(time_inference(1, 0, 0, nothing), "timed calls");
    refused(Timing::from_durations(1, &[]), "timed calls");
    let mut left = 2;
    let failing = time_inference(1, 1, 5, || {
        left -= 1;
        if left > 0 {
            Ok(())
        } else {
            Err(std::io::Error::other("out of memory"))
        }
    });
    let error = failing.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "out of memory");
}

#[test]
fn every_metric_has_a_name_that_reads_back_and_a_meaning() {
    let mut names = std::collections::HashSet::new();
    for &metric in Metric::ALL {
        assert!(names.insert(metric.name()));
        assert_eq!(metric.name().parse::<Metric>().unwrap(), metric);
        let json = serde_json::to_string(&metric).unwrap();
        assert_eq!(json, format!("\"{metric}\""));
        assert!(metric.description().ends_with('.'));
    }
    let better = [Metric::Accuracy, Metric::AurocMacro].map(Metric::higher_is_better);
    let worse = [Metric::LogLoss, Metric::ErrorRate].map(Metric::higher_is_better);
    assert_eq!((better, worse), ([true; 2], [false; 2]));
}

/// The size of EMNIST's byclass test set: counts must not overflow, areas must stay exact.
#[test]
fn a_set_of_116323_images_in_62_classes_is_evaluated_exactly() {
    let (samples, classes) = (116_323usize, 62usize);
    let mut rng = Rng::stream(4, "large", 0);
    let labels: Vec<u32> = (0..samples).map(|_| rng.below(classes) as u32).collect();
    let mut logits: Vec<f32> = (0..samples * classes)
        .map(|_| rng.range(-1.0, 1.0))
        .collect();
    for (row, &label) in logits.chunks_mut(classes).zip(&labels) {
        row[label as usize] += 1.0;
    }
    let given = Predictions::from_logits(logits, labels, classes).unwrap();
    let metrics = evaluate(&given);
    assert_eq!(metrics.samples, samples as u64);
    assert!(metrics.auroc.undefined.is_empty());
    // The true class's logit is uniform on [0, 2], another's on [-1, 1]: it is lower with
    // probability 1/8, before the small change that the shared softmax denominator makes.
    let macro_average = metrics.auroc.macro_average.unwrap();
    assert!((macro_average - 0.875).abs() < 0.01, "{macro_average}");
    let class: Vec<f32> = given.rows().map(|row| row[7]).collect();
    let is_seven: Vec<bool> = given.labels().iter().map(|&label| label == 7).collect();
    assert_eq!(
        metrics.auroc.per_class[7],
        auroc(&class, &is_seven).unwrap()
    );
}

#[test]
fn runs_that_contradict_themselves_are_refused() {
    let of = |values: &[(u64, f64)]| Arm::of_values("bn", values.iter().copied());
    refused(of(&[]), "list of a recipe's runs is empty");
    refused(of(&[(1, 0.5), (2, f64::NAN)]), "value 1 is NaN");
    refused(
        of(&[(3, 0.5), (1, 0.5), (3, 0.6)]),
        "two runs of \"bn\" have seed 3",
    );
    refused(
        of(&[(1, 99.2)]).unwrap().on_test_set(100),
        "accuracy is 99.2",
    );
    refused(of(&[(1, 0.9)]).unwrap().on_test_set(0), "test set");
    refused(of(&[(1, 0.0)]).unwrap().logarithms(), "above 0");
    refused(Outcome::of_answers(1, Vec::new()), "empty");
    let run = |seed, answers: &[bool]| Outcome::of_answers(seed, answers).unwrap();
    let lengths = vec![run(1, &[true, false]), run(2, &[true])];
    refused(Arm::new("bn", lengths), "expected 2 values, got 1");
    let mut lie = run(4, &[true, false]);
    lie.value = 0.75;
    refused(Arm::new("bn", vec![lie]), "seed 4 is 0.75, but 0.5");
}

#[test]
fn questions_without_sense_are_refused() {
    let a = Arm::of_values("a", [(1, 1.0), (2, 2.0)]).unwrap();
    let ask = |question| compare(&a, &a, question, &Setting::default());
    let about = |expected, margin| Question::About { expected, margin };
    refused(ask(Question::Greater { margin: f64::NAN }), "finite");
    refused(
        ask(Question::NotGreater {
            margin: f64::INFINITY,
        }),
        "finite",
    );
    refused(ask(about(0.0, 0.0)), "margin");
    refused(ask(about(f64::NAN, 1.0)), "expected difference");
    refused(
        ask(Question::Ratio {
            ratio: 0.0,
            factor: 2.0,
        }),
        "ratio",
    );
    refused(
        ask(Question::Ratio {
            ratio: 1.0,
            factor: 1.0,
        }),
        "factor",
    );
    let reported =
        |number, question| compare_with_reported(&a, number, question, &Setting::default());
    refused(
        reported(f64::NAN, Question::Greater { margin: 0.0 }),
        "reported number",
    );
    refused(
        reported(
            -1.0,
            Question::Ratio {
                ratio: 1.0,
                factor: 2.0,
            },
        ),
        "above 0",
    );
    refused(
        best_of(&a, &[], &Setting::default()),
        "list of rivals is empty",
    );
}

#[test]
fn looks_and_designs_without_sense_are_refused() {
    let design = |fractions: &[f64]| Design::new(fractions, Alpha::default(), Spending::Pocock);
    refused(design(&[]), "number of looks is 0");
    refused(design(&[0.05; 21]), "number of looks is 21");
    refused(design(&[0.5, 0.5, 1.0]), "above the one before");
    refused(design(&[f64::NAN, 1.0]), "above the one before");
    refused(design(&[0.5, 0.9]), "last look is 0.9");
    let two = design(&[0.5, 1.0]).unwrap();
    refused(
        two.nominal(0),
        "look 0 does not exist; the design has looks 1 to 2",
    );
    refused(Setting::at(&two, 3), "look 3");
    refused(two.repeated_p(3, 0.5), "look 3");
    refused(two.repeated_p(1, 1.5), "between 0 and 1");
    assert!(
        serde_json::from_str::<Design>(r#"{"fractions":[2.0],"alpha":0.05,"spending":"pocock"}"#)
            .is_err()
    );
    // A comparison of a later look than the design has.
    let a = Arm::of_values("a", [(1, 1.0), (2, 2.0)]).unwrap();
    let b = Arm::of_values("b", [(1, 1.5), (2, 1.0)]).unwrap();
    let comparison = compare(
        &a,
        &b,
        Question::Greater { margin: 0.0 },
        &Setting::at(&two, 2).unwrap(),
    );
    let evidence = Evidence::compared(comparison.unwrap(), None);
    let once = Design::once(Alpha::default());
    refused(
        judge_family(vec![Part::new("part", evidence)], &once),
        "look 2",
    );
}

#[test]
fn spreads_and_crossings_that_say_nothing_are_refused() {
    let spread = |value, degrees_of_freedom| Variance {
        value,
        degrees_of_freedom,
    };
    let one = spread(1.0, 2.0);
    refused(Pooled::fit(&[one]), "at least 2 values, got 1");
    refused(
        Pooled::fit(&[one, spread(-1.0, 2.0)]),
        "variance to pool is -1",
    );
    refused(Pooled::fit(&[one, spread(1.0, 0.0)]), "degrees of freedom");
    refused(
        Pooled::fit(&[one, spread(0.0, 2.0), spread(0.0, 2.0)]),
        "do not vary",
    );
    refused(Variance::of(&[1.0]), "at least 2");
    let (two, three): (&[bool], &[bool]) = (&[true, false], &[true; 3]);
    refused(
        Crossed::paired(&[two], &[two, two]),
        "expected 1 values, got 2",
    );
    refused(
        Crossed::separate(&[two], &[three]),
        "expected 2 values, got 3",
    );
    refused(Crossed::alone(&[&[true]]), "at least 2 values, got 1");
    refused(Crossed::alone(&[]), "from 1 to 64");
    refused(Crossed::alone(&[two; 65]), "from 1 to 64");
    let crossed = Crossed::alone(&[two; 64]).unwrap();
    let bootstrap = HierarchicalBootstrap {
        resamples: 1,
        seed: 1,
    };
    refused(bootstrap.standard_error(&crossed), "at least 2");
}
