//! What must hold for any predictions and any samples.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::Rng;
use hw_eval::statistics::{
    Bootstrap, BootstrapMethod, PairedOutcomes, Proportion, Summary, TwoProportionTest, holm,
    paired_t_test, quantile, spearman, welch_t_test,
};
use hw_eval::{
    Alpha, Arm, Design, Evidence, Outcome, Part, Question, Setting, Verdict, compare, judge_family,
};
use hw_eval::{ConfusionMatrix, Predictions, auroc, evaluate, top_k_accuracy, wilson_interval};
use proptest::prelude::*;

/// Predictions of 1 to 60 samples over 2 to 8 classes, coarse enough to be full of ties.
fn predictions() -> impl Strategy<Value = Predictions> {
    (2usize..9, 1usize..60).prop_flat_map(|(classes, samples)| {
        let weights = prop::collection::vec(0u8..6, classes * samples);
        let labels = prop::collection::vec(0..classes as u32, samples);
        (weights, labels).prop_map(move |(weights, labels)| {
            let rows = weights.chunks(classes).flat_map(|row| {
                let sum: f32 = row.iter().map(|&w| f32::from(w)).sum();
                let even = 1.0 / classes as f32;
                row.iter()
                    .map(move |&w| if sum == 0.0 { even } else { f32::from(w) / sum })
            });
            Predictions::new(rows.collect(), labels, classes).unwrap()
        })
    })
}

fn sample() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-100.0..100.0f64, 2..20)
}

proptest! {
    #[test]
    fn the_order_of_the_samples_does_not_matter(given in predictions(), seed: u64) {
        let order = Rng::stream(seed, "order", 0).permutation(given.len());
        let shuffled = evaluate(&given.select(&order).unwrap());
        let metrics = evaluate(&given);
        prop_assert_eq!(&shuffled.confusion, &metrics.confusion);
        prop_assert_eq!(&shuffled.report, &metrics.report);
        prop_assert_eq!(&shuffled.auroc, &metrics.auroc);
        prop_assert_eq!(&shuffled.top_k, &metrics.top_k);
        prop_assert!((shuffled.brier - metrics.brier).abs() < 1e-12);
        prop_assert!((shuffled.log_loss - metrics.log_loss).abs() < 1e-12);
        prop_assert!((shuffled.calibration.ece - metrics.calibration.ece).abs() < 1e-12);
    }

    #[test]
    fn accuracy_is_the_trace_over_the_total_and_the_micro_f1(given in predictions()) {
        let metrics = evaluate(&given);
        let matrix = &metrics.confusion;
        let trace: u64 = (0..matrix.classes()).map(|c| matrix.row(c)[c]).sum();
        prop_assert_eq!(matrix.total(), given.len() as u64);
        prop_assert_eq!(metrics.accuracy, trace as f64 / matrix.total() as f64);
        prop_assert_eq!(metrics.report.micro_average.f1, metrics.accuracy);
        prop_assert!((metrics.report.weighted_average.recall - metrics.accuracy).abs() < 1e-12);
        prop_assert_eq!(top_k_accuracy(&given, 1).unwrap(), metrics.accuracy);
        prop_assert!(metrics.accuracy_interval.contains(metrics.accuracy));
    }

    #[test]
    fn allowing_more_classes_never_lowers_top_k(given in predictions()) {
        let by_k: Vec<f64> = (1..=given.classes())
            .map(|k| top_k_accuracy(&given, k).unwrap())
            .collect();
        prop_assert!(by_k.is_sorted());
        prop_assert_eq!(by_k[given.classes() - 1], 1.0);
    }

    #[test]
    fn every_score_stays_in_its_range(given in predictions()) {
        let metrics = evaluate(&given);
        let unit = 0.0..=1.0;
        for class in &metrics.report.per_class {
            let s = class.scores;
            prop_assert!(unit.contains(&s.precision) && unit.contains(&s.recall));
            // Between the two it is the harmonic mean of.
            prop_assert!(s.f1 >= s.precision.min(s.recall) - 1e-12);
            prop_assert!(s.f1 <= s.precision.max(s.recall) + 1e-12);
        }
        prop_assert!(metrics.auroc.per_class.iter().flatten().all(|area| unit.contains(area)));
        prop_assert!(metrics.calibration.ece <= metrics.calibration.mce + 1e-12);
        prop_assert!(unit.contains(&metrics.calibration.mce));
        prop_assert!((0.0..=2.0).contains(&metrics.brier));
        prop_assert!((0.0..=16.0).contains(&metrics.log_loss));
        let samples: u64 = metrics.calibration.bins.iter().map(|bin| bin.count).sum();
        prop_assert_eq!(samples, metrics.samples);
        let mistakes: u64 = metrics.confusion.top_confusions(usize::MAX).iter().map(|m| m.count).sum();
        prop_assert_eq!(mistakes, metrics.samples - metrics.correct);
    }

    #[test]
    fn a_confusion_matrix_of_swapped_roles_is_the_transpose(given in predictions()) {
        let (truth, guess) = (given.labels(), given.predicted());
        let classes = given.classes();
        let matrix = ConfusionMatrix::from_labels(truth, &guess, classes).unwrap();
        let swapped = ConfusionMatrix::from_labels(&guess, truth, classes).unwrap();
        for row in 0..classes {
            for column in 0..classes {
                prop_assert_eq!(matrix.row(row)[column], swapped.row(column)[row]);
            }
        }
        prop_assert_eq!(matrix.true_totals(), swapped.predicted_totals());
    }

    #[test]
    fn auroc_is_the_share_of_ordered_pairs(
        pairs in prop::collection::vec((-4i8..5, any::<bool>()), 1..80)
    ) {
        // Quarters of both signs, zero of both signs, many ties.
        let scores: Vec<f32> = pairs.iter().map(|&(s, yes)| {
            let score = f32::from(s) / 4.0;
            if score == 0.0 && yes { -0.0 } else { score }
        }).collect();
        let positive: Vec<bool> = pairs.iter().map(|&(_, yes)| yes).collect();
        let (mut wins, mut count) = (0.0, 0.0);
        for (i, &yes) in positive.iter().enumerate().filter(|&(_, &yes)| yes) {
            for (j, &other) in positive.iter().enumerate() {
                if yes && !other {
                    wins += if scores[i] > scores[j] { 1.0 } else if scores[i] == scores[j] { 0.5 } else { 0.0 };
                    count += 1.0;
                }
            }
        }
        let area = auroc(&scores, &positive).unwrap();
        prop_assert_eq!(area, (count > 0.0).then(|| wins / count));
        // Negated scores, or the opposite question, turn the area round; both leave it.
        let negated: Vec<f32> = scores.iter().map(|s| -s).collect();
        let opposite: Vec<bool> = positive.iter().map(|yes| !yes).collect();
        if let Some(area) = area {
            prop_assert!((auroc(&negated, &positive).unwrap().unwrap() - (1.0 - area)).abs() < 1e-12);
            prop_assert!((auroc(&scores, &opposite).unwrap().unwrap() - (1.0 - area)).abs() < 1e-12);
            prop_assert!((auroc(&negated, &opposite).unwrap().unwrap() - area).abs() < 1e-12);
        }
    }

    #[test]
    fn softmax_does_not_change_the_order_of_logits(
        logits in prop::collection::vec(-1e4..1e4f32, 5..50),
        shift in -100.0..100.0f32,
    ) {
        let rows = logits.len() / 5;
        let logits = &logits[..rows * 5];
        let labels = vec![0; rows];
        let given = Predictions::from_logits(logits.to_vec(), labels.clone(), 5).unwrap();
        for (row, raw) in given.rows().zip(logits.chunks(5)) {
            let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-6);
            for (p, x) in row.iter().zip(raw) {
                for (q, y) in row.iter().zip(raw) {
                    prop_assert!(x > y || p <= q);
                }
            }
        }
        // Whatever softmax gives passes the checks of `new`.
        prop_assert!(Predictions::new(given.probabilities().to_vec(), labels.clone(), 5).is_ok());
        let small: Vec<f32> = logits.iter().map(|x| x / 1e4).collect();
        let moved: Vec<f32> = small.iter().map(|x| x + shift).collect();
        let a = Predictions::from_logits(small, labels.clone(), 5).unwrap();
        let b = Predictions::from_logits(moved, labels, 5).unwrap();
        for (p, q) in a.probabilities().iter().zip(b.probabilities()) {
            prop_assert!((p - q).abs() < 1e-4);
        }
    }

    #[test]
    fn wilsons_interval_holds_the_share_and_shrinks_with_the_sample(
        total in 1u64..100_000, share in 0.0..=1.0f64, level in 0.5..0.999f64
    ) {
        let successes = (share * total as f64) as u64;
        let interval = wilson_interval(successes, total, level).unwrap();
        prop_assert!(interval.contains(successes as f64 / total as f64));
        prop_assert!(0.0 <= interval.low && interval.high <= 1.0);
        let larger = wilson_interval(successes * 4, total * 4, level).unwrap();
        prop_assert!(larger.width() < interval.width());
        let surer = wilson_interval(successes, total, (1.0 + level) / 2.0).unwrap();
        prop_assert!(surer.width() > interval.width());
        let failures = wilson_interval(total - successes, total, level).unwrap();
        prop_assert!((failures.low - (1.0 - interval.high)).abs() < 1e-12);
    }

    #[test]
    fn a_summary_holds_its_mean_and_a_prediction_reaches_further(values in sample()) {
        let summary = Summary::of(&values).unwrap();
        let (mean, next) = (summary.interval.unwrap(), summary.prediction_interval().unwrap());
        prop_assert!(mean.contains(summary.mean));
        prop_assert!(next.low <= mean.low && mean.high <= next.high);
        prop_assert!(summary.minimum <= summary.mean + 1e-9 && summary.mean <= summary.maximum + 1e-9);
        prop_assert_eq!(quantile(&values, 0.0).unwrap(), summary.minimum);
        prop_assert_eq!(quantile(&values, 1.0).unwrap(), summary.maximum);
    }

    #[test]
    fn t_tests_turn_round_when_the_sides_are_swapped(a in sample(), b in sample()) {
        let (test, swapped) = (welch_t_test(&a, &b).unwrap(), welch_t_test(&b, &a).unwrap());
        prop_assert!((test.p_greater - swapped.p_less).abs() < 1e-12);
        prop_assert!((test.p_two_sided - swapped.p_two_sided).abs() < 1e-12);
        prop_assert!((test.p_greater + test.p_less - 1.0).abs() < 1e-9);
        prop_assert!((test.p_two_sided - 2.0 * test.p_greater.min(test.p_less)).abs() < 1e-9);
        // The 90 % interval excludes 0 exactly when one side is significant at 5 %.
        let outside = !test.interval(0.9).unwrap().contains(0.0);
        let significant = test.p_greater.min(test.p_less) < 0.05;
        prop_assert!(outside == significant || (test.p_two_sided - 0.1).abs() < 1e-9);
        let n = a.len().min(b.len());
        if let (Ok(pair), Ok(turned)) = (paired_t_test(&a[..n], &b[..n]), paired_t_test(&b[..n], &a[..n])) {
            prop_assert!((pair.p_greater - turned.p_less).abs() < 1e-12);
        }
    }

    #[test]
    fn proportions_turn_round_when_the_sides_are_swapped(
        n in 1u64..500, m in 1u64..500, x in 0.0..=1.0f64, y in 0.0..=1.0f64
    ) {
        let a = Proportion { successes: (x * n as f64) as u64, total: n };
        let b = Proportion { successes: (y * m as f64) as u64, total: m };
        let (test, swapped) = (TwoProportionTest::of(a, b).unwrap(), TwoProportionTest::of(b, a).unwrap());
        prop_assert!((test.p_greater - swapped.p_less).abs() < 1e-12);
        let (i, j) = (test.interval(0.95).unwrap(), swapped.interval(0.95).unwrap());
        prop_assert!((i.low + j.high).abs() < 1e-12 && i.contains(test.difference));
    }

    #[test]
    fn mcnemar_counts_each_image_once_and_turns_round(given in predictions(), seed: u64) {
        let mut rng = Rng::stream(seed, "second model", 0);
        let logits = (0..given.len() * given.classes()).map(|_| rng.normal()).collect();
        let other = Predictions::from_logits(logits, given.labels().to_vec(), given.classes()).unwrap();
        let outcomes = PairedOutcomes::of(&given, &other).unwrap();
        prop_assert_eq!(outcomes.total(), given.len() as u64);
        let difference = evaluate(&given).accuracy - evaluate(&other).accuracy;
        prop_assert!((outcomes.difference() - difference).abs() < 1e-12);
        prop_assert!(outcomes.interval(0.95).unwrap().contains(outcomes.difference()));
        let swapped = PairedOutcomes::of(&other, &given).unwrap().test();
        let test = outcomes.test();
        prop_assert_eq!(test.p_greater, swapped.p_less);
        prop_assert_eq!(test.p_two_sided, swapped.p_two_sided);
        prop_assert!((0.0..=1.0).contains(&test.p_two_sided));
    }

    #[test]
    fn holm_never_lowers_a_p_value_nor_changes_their_order(
        p in prop::collection::vec(0.0..=1.0f64, 0..12)
    ) {
        let adjusted = holm(&p).unwrap();
        for (i, &q) in adjusted.iter().enumerate() {
            prop_assert!(p[i] <= q && q <= (p[i] * p.len() as f64).min(1.0).max(q.min(1.0)));
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || q <= adjusted[j]);
            }
        }
        let smallest = p.iter().copied().fold(1.0, f64::min);
        let first = adjusted.iter().copied().fold(1.0, f64::min);
        prop_assert!((first - (smallest * p.len().max(1) as f64).min(1.0)).abs() < 1e-12);
    }

    #[test]
    fn rank_correlation_sees_order_only(x in prop::collection::vec(-50i32..50, 3..30), seed: u64) {
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let mut rng = Rng::stream(seed, "y", 0);
        let y: Vec<f64> = x.iter().map(|_| rng.below(9) as f64).collect();
        if let Ok(plain) = spearman(&x, &y) {
            let bent: Vec<f64> = x.iter().map(|v| v.powi(3) + v).collect();
            let turned: Vec<f64> = x.iter().map(|v| -v).collect();
            prop_assert!((spearman(&bent, &y).unwrap().rho - plain.rho).abs() < 1e-12);
            prop_assert!((spearman(&turned, &y).unwrap().rho + plain.rho).abs() < 1e-12);
            prop_assert!((spearman(&x, &x).unwrap().rho - 1.0).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&plain.p_two_sided));
        }
    }

    #[test]
    fn comparisons_turn_round_and_their_interval_tells_their_verdict(
        runs in prop::collection::vec(prop::collection::vec(any::<bool>(), 12), 4..9),
        margin in -0.3..0.3f64,
    ) {
        let arm = |side: usize| {
            let answers = runs.iter().skip(side).step_by(2);
            let run = |(seed, row): (u64, &Vec<bool>)| Outcome::of_answers(seed, row.as_slice()).unwrap();
            Arm::new("arm", (1..).zip(answers).map(run).collect()).unwrap()
        };
        let (a, b) = (arm(0), arm(1));
        let setting = Setting::default();
        let yes = compare(&a, &b, Question::Greater { margin }, &setting).unwrap();
        let no = compare(&b, &a, Question::NotGreater { margin: -margin }, &setting).unwrap();
        prop_assert_eq!(yes.difference, -no.difference);
        if let (Some(p), Some(turned)) = (yes.p, no.p) {
            prop_assert!((p - turned).abs() < 1e-9);
            prop_assert!((p + yes.p_opposite.unwrap() - 1.0).abs() < 1e-9);
            let interval = yes.interval.unwrap();
            prop_assert!(interval.contains(yes.difference));
            prop_assert!((p < 0.05) == (interval.low > margin) || (p - 0.05).abs() < 1e-9);
            // Significantly inside a margin exactly when the interval is.
            let about = Question::About { expected: 0.0, margin: 0.5 };
            let inside = compare(&a, &b, about, &setting).unwrap().p.unwrap();
            let within = interval.low > -0.5 && interval.high < 0.5;
            prop_assert!((inside < 0.05) == within || (inside - 0.05).abs() < 1e-9);
        }
    }

    #[test]
    fn a_family_never_decides_more_than_its_parts_alone(
        p in prop::collection::vec(prop::collection::vec(-3.0..4.0f64, 6), 1..6)
    ) {
        let design = Design::once(Alpha::default());
        let part = |values: &Vec<f64>| {
            let arm = |from: usize| Arm::of_values("arm", (1..).zip(values[from..from + 3].to_vec())).unwrap();
            let question = Question::Greater { margin: 0.0 };
            let comparison = compare(&arm(0), &arm(3), question, &Setting::default()).unwrap();
            Part::new("part", Evidence::compared(comparison, None))
        };
        let parts: Vec<Part> = p.iter().map(part).collect();
        let together = judge_family(parts.clone(), &design).unwrap();
        for (part, judged) in parts.into_iter().zip(together) {
            let alone = judge_family(vec![part], &design).unwrap().remove(0);
            prop_assert!(alone.verdict == judged.verdict || !judged.verdict.decided());
            prop_assert!(judged.p_adjusted >= alone.p_adjusted);
            let decided = matches!(alone.verdict, Verdict::Reproduced | Verdict::Contradicted);
            prop_assert_eq!(decided, alone.verdict.decided());
        }
    }

    #[test]
    fn a_bootstrap_is_its_seed(values in prop::collection::vec(-5.0..5.0f64, 3..12), seed: u64) {
        let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for method in [BootstrapMethod::Percentile, BootstrapMethod::Bca] {
            let bootstrap = Bootstrap { resamples: 60, level: 0.9, seed, method };
            let first = bootstrap.interval(&values, mean).unwrap();
            prop_assert_eq!(one.install(|| bootstrap.interval(&values, mean)).unwrap(), first);
            let (low, high) = (quantile(&values, 0.0).unwrap(), quantile(&values, 1.0).unwrap());
            prop_assert!(first.low <= first.high);
            // A mean of equal values may round away from them.
            prop_assert!(low - 1e-12 <= first.low && first.high <= high + 1e-12);
        }
    }
}
