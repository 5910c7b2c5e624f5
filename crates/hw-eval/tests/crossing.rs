//! Models against test sets of other label spaces, with and without the images they were trained
//! on; and rankings that seeds support.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::Rng;
use hw_eval::statistics::{Bootstrap, BootstrapMethod};
use hw_eval::{
    Alpha, Answers, Arm, CrossInput, Metric, Predictions, Setting, bootstrap, cross_cell, duels,
    evaluate, rank,
};
use proptest::prelude::*;

/// Answers of `n` images over `classes`, and labels below it.
fn answers(n: usize, classes: usize, seed: u64) -> (Answers, Vec<u32>) {
    let mut rng = Rng::stream(seed, "answers", 0);
    let labels: Vec<u32> = (0..n).map(|_| rng.below(classes) as u32).collect();
    let mut logits: Vec<f32> = (0..n * classes).map(|_| rng.normal()).collect();
    for (row, &label) in labels.iter().enumerate() {
        logits[row * classes + label as usize] += 1.5;
    }
    (Answers::from_logits(logits, classes).unwrap(), labels)
}

fn known(labels: &[u32]) -> Vec<Option<u32>> {
    labels.iter().map(|&label| Some(label)).collect()
}

#[test]
fn merging_classes_adds_their_probabilities() {
    let rows = vec![0.25, 0.35, 0.4, 0.1, 0.2, 0.7];
    let answers = Answers::from_probabilities(rows, 3).unwrap();
    let merged = answers.merged(&[Some(0), Some(0), Some(1)], 2).unwrap();
    let predictions = merged.labelled(&[Some(0), Some(1)]).unwrap();
    assert_eq!(predictions.predicted(), [0, 1]);
    assert!((predictions.rows().next().unwrap()[0] - 0.6).abs() < 1e-6);
}

#[test]
fn an_impossible_answer_leaves_the_others_conditional_on_it_not_being_given() {
    let answers = Answers::from_probabilities(vec![0.9, 0.06, 0.04], 3).unwrap();
    let merged = answers.merged(&[None, Some(0), Some(1)], 2).unwrap();
    let predictions = merged.labelled(&[Some(0)]).unwrap();
    assert!((predictions.probabilities()[0] - 0.6).abs() < 1e-6);
    // Nothing is left of a certain but impossible answer.
    let sure = Answers::from_probabilities(vec![1.0, 0.0, 0.0], 3).unwrap();
    let even = sure.merged(&[None, Some(0), Some(1)], 2).unwrap();
    assert_eq!(
        even.labelled(&[Some(1)]).unwrap().probabilities(),
        [0.5, 0.5]
    );
}

#[test]
fn the_leak_free_column_is_measured_on_the_unseen_images_alone() {
    let (answers, labels) = answers(200, 4, 1);
    let seen: Vec<bool> = (0..200).map(|i| i % 5 != 0).collect();
    let map: Vec<Option<u32>> = (0..4).map(Some).collect();
    let input = CrossInput {
        answers: &answers,
        of_model: &map,
        labels: &known(&labels),
        classes: 4,
        seen: &seen,
    };
    let cell = cross_cell(&input).unwrap();
    let whole = answers.labelled(&known(&labels)).unwrap();
    let unseen: Vec<u32> = (0..200).filter(|i| i % 5 == 0).collect();
    assert_eq!(cell.all, evaluate(&whole));
    assert_eq!(
        cell.leak_free,
        Some(evaluate(&whole.select(&unseen).unwrap()))
    );
    assert_eq!((cell.shared, cell.left_out), (160, 0));
    let all_seen = CrossInput {
        seen: &[true; 200],
        ..input
    };
    assert_eq!(cross_cell(&all_seen).unwrap().leak_free, None);
}

#[test]
fn images_without_a_common_label_are_left_out() {
    let (answers, labels) = answers(60, 3, 2);
    let labels: Vec<Option<u32>> = labels
        .into_iter()
        .map(|l| Some(l).filter(|l| *l < 2))
        .collect();
    let asked = labels.iter().flatten().count() as u64;
    let cell = cross_cell(&CrossInput {
        answers: &answers,
        of_model: &[Some(0), Some(1), None],
        labels: &labels,
        classes: 2,
        seen: &[false; 60],
    })
    .unwrap();
    assert_eq!((cell.all.samples, cell.left_out), (asked, 60 - asked));
}

#[test]
fn maps_and_flags_that_do_not_fit_are_refused() {
    let (answers, labels) = answers(10, 3, 3);
    for map in [
        vec![Some(0), Some(1)],
        vec![Some(0), Some(1), Some(2)],
        vec![None, None, None],
    ] {
        assert!(answers.merged(&map, 2).is_err(), "{map:?}");
    }
    assert!(answers.labelled(&known(&labels[1..])).is_err());
    assert!(answers.labelled(&[None; 10]).is_err());
    let input = CrossInput {
        answers: &answers,
        of_model: &[Some(0), Some(1), Some(2)],
        labels: &known(&labels),
        classes: 3,
        seen: &[false; 9],
    };
    assert!(cross_cell(&input).is_err());
}

#[test]
fn a_duel_counts_only_what_the_two_disagree_on() {
    let first: Vec<bool> = (0..100).map(|i| i < 90).collect();
    let second: Vec<bool> = (0..100).map(|i| i < 70).collect();
    let fought = duels(&[first.clone(), second, first], Alpha::default()).unwrap();
    assert_eq!(fought.len(), 3);
    assert_eq!(
        (
            fought[0].outcomes.only_first,
            fought[0].outcomes.only_second
        ),
        (20, 0)
    );
    // 2 x 2^-20, twice over after Holm's correction (three pairs, two equally small).
    assert!((fought[0].p_adjusted - 3.0 * 2f64.powi(-19)).abs() < 1e-9);
    assert_eq!(fought[1].p_adjusted, 1.0);
    assert!(fought[0].test.exact && fought[0].interval.contains(0.2));
    assert_eq!(fought[0].test.difference, 0.2);
}

#[test]
fn one_seed_alone_separates_nobody() {
    let one = |name, value| Arm::of_values(name, [(1, value)]).unwrap();
    let (a, b) = (one("a", 0.99), one("b", 0.5));
    let ranked = rank(&[&b, &a], &Setting::default()).unwrap();
    assert_eq!(ranked[0].name, "a");
    assert!(ranked.iter().all(|r| r.place == 1));
}

#[test]
fn the_bootstrap_of_accuracy_is_about_its_binomial_interval() {
    let (answers, labels) = answers(2_000, 5, 4);
    let predictions = answers.labelled(&known(&labels)).unwrap();
    let method = Bootstrap {
        resamples: 1_000,
        level: 0.95,
        seed: 1,
        method: BootstrapMethod::Percentile,
    };
    let metrics = evaluate(&predictions);
    let drawn = bootstrap(&predictions, Metric::Accuracy, &method).unwrap();
    let wilson = metrics.accuracy_interval;
    assert!((drawn.low - wilson.low).abs() < 0.004 && (drawn.high - wilson.high).abs() < 0.004);
    let f1 = bootstrap(&predictions, Metric::F1Macro, &method).unwrap();
    assert!(f1.contains(metrics.report.macro_average.f1));
}

proptest! {
    #[test]
    fn merging_never_makes_a_right_class_wrong_by_more_than_it_must(
        seed: u64, n in 1usize..40,
    ) {
        // Merging labels and answers together can only help a model whose answer was right.
        let (answers, labels) = answers(n, 6, seed);
        let map: Vec<Option<u32>> = (0..6).map(|class| Some(class / 2)).collect();
        let fine = answers.labelled(&known(&labels)).unwrap();
        let coarse: Vec<u32> = labels.iter().map(|label| label / 2).collect();
        let merged = answers.merged(&map, 3).unwrap().labelled(&known(&coarse)).unwrap();
        for (row, parts) in merged.rows().zip(fine.rows()) {
            for class in 0..3 {
                let sum = parts[2 * class] + parts[2 * class + 1];
                prop_assert!((row[class] - sum).abs() < 1e-5);
            }
        }
        prop_assert!(Predictions::new(
            merged.probabilities().to_vec(), coarse, 3
        ).is_ok());
    }

    #[test]
    fn a_place_never_contradicts_the_means(values in prop::collection::vec(
        prop::collection::vec(0.0..1.0f64, 1..5), 1..6,
    )) {
        let arms: Vec<Arm> = values.into_iter().enumerate().map(|(i, values)| {
            Arm::of_values(i.to_string(), (0..).zip(values)).unwrap()
        }).collect();
        let entries: Vec<&Arm> = arms.iter().collect();
        let ranked = rank(&entries, &Setting::default()).unwrap();
        prop_assert_eq!(ranked[0].place, 1);
        for pair in ranked.windows(2) {
            prop_assert!(pair[0].mean >= pair[1].mean);
        }
    }
}
