//! Every test and interval against SciPy and statsmodels: `fixtures/eval/statistics.json`, made by
//! `make_eval.py` there.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::statistics::{
    OneProportionTest, PairedOutcomes, Proportion, Summary, TTest, TwoProportionTest, holm, mean,
    one_sample_t_test, paired_t_test, quantile, sample_std, spearman, welch_t_test,
};
use hw_eval::wilson_interval;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    summaries: Vec<SummaryCase>,
    t_tests: Vec<TCase>,
    proportions: Vec<ProportionCase>,
    mcnemar: Vec<McNemarCase>,
    holm: Vec<HolmCase>,
    spearman: Vec<SpearmanCase>,
}

#[derive(Deserialize)]
struct SummaryCase {
    values: Vec<f64>,
    mean: f64,
    std: f64,
    interval: [f64; 2],
    prediction: [f64; 2],
    shares: Vec<f64>,
    quantiles: Vec<f64>,
}

#[derive(Deserialize)]
struct TCase {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    welch: TResult,
    welch_greater: f64,
    welch_less: f64,
    welch_greater_by_a_tenth: f64,
    detectable: f64,
    paired: Option<TResult>,
    b_against_one_half: Option<TResult>,
}

#[derive(Deserialize)]
struct TResult {
    statistic: f64,
    df: f64,
    p_two_sided: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct ProportionCase {
    a: [u64; 2],
    b: [u64; 2],
    statistic: f64,
    p_two_sided: f64,
    p_greater: f64,
    p_less: f64,
    interval: [f64; 2],
    one_statistic: f64,
    one_greater: f64,
    one_less: f64,
    wilson_90: [f64; 2],
}

#[derive(Deserialize)]
struct McNemarCase {
    counts: [u64; 4],
    interval: [f64; 2],
    exact_two_sided: f64,
    exact_greater: f64,
    exact_less: f64,
    chi_square_two_sided: f64,
}

#[derive(Deserialize)]
struct HolmCase {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct SpearmanCase {
    x: Vec<f64>,
    y: Vec<f64>,
    rho: f64,
    p: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../fixtures/eval/statistics.json")).unwrap()
}

/// Within 1e-9, and within 1e-9 of its size where it is larger than one.
#[track_caller]
fn close(name: &str, ours: f64, theirs: f64) {
    let error = (ours - theirs).abs() / theirs.abs().max(1.0);
    assert!(error < 1e-9, "{name}: ours {ours}, reference {theirs}");
}

/// A tail probability: also right relative to its own size, down to where nobody cares.
#[track_caller]
fn p_close(name: &str, ours: f64, theirs: f64) {
    close(name, ours, theirs);
    let error = (ours - theirs).abs() / theirs.abs().max(1e-12);
    assert!(error < 1e-7, "{name}: ours {ours}, reference {theirs}");
}

#[track_caller]
fn t_close(name: &str, ours: &TTest, theirs: &TResult, level: f64) {
    close(name, ours.statistic, theirs.statistic);
    close(name, ours.degrees_of_freedom, theirs.df);
    p_close(name, ours.p_two_sided, theirs.p_two_sided);
    let interval = ours.interval(level).unwrap();
    close(name, interval.low, theirs.low);
    close(name, interval.high, theirs.high);
}

#[test]
fn means_spreads_and_intervals_are_scipys() {
    for case in golden().summaries {
        let ours = Summary::of(&case.values).unwrap();
        close("mean", ours.mean, case.mean);
        close("mean", mean(&case.values).unwrap(), case.mean);
        close("std", ours.std.unwrap(), case.std);
        close("std", sample_std(&case.values).unwrap(), case.std);
        let (interval, prediction) = (ours.interval.unwrap(), ours.prediction_interval().unwrap());
        close("interval", interval.low, case.interval[0]);
        close("interval", interval.high, case.interval[1]);
        close("prediction", prediction.low, case.prediction[0]);
        close("prediction", prediction.high, case.prediction[1]);
        for (share, expected) in case.shares.iter().zip(&case.quantiles) {
            close(
                "quantile",
                quantile(&case.values, *share).unwrap(),
                *expected,
            );
        }
    }
}

#[test]
fn welchs_test_is_scipys() {
    for case in golden().t_tests {
        let ours = welch_t_test(&case.a, &case.b).unwrap();
        t_close(&case.name, &ours, &case.welch, 0.95);
        p_close(&case.name, ours.p_greater, case.welch_greater);
        p_close(&case.name, ours.p_less, case.welch_less);
        p_close(
            &case.name,
            ours.p_greater_than(0.1),
            case.welch_greater_by_a_tenth,
        );
        p_close(
            &case.name,
            ours.p_less_than(0.1),
            1.0 - case.welch_greater_by_a_tenth,
        );
        let detectable = ours.detectable_difference(0.05, 0.8).unwrap();
        close(&case.name, detectable, case.detectable);
    }
}

#[test]
fn the_paired_and_the_one_sample_t_test_are_scipys() {
    let (mut paired, mut single) = (0, 0);
    for case in golden().t_tests {
        if let Some(expected) = &case.paired {
            t_close(
                &case.name,
                &paired_t_test(&case.a, &case.b).unwrap(),
                expected,
                0.95,
            );
            paired += 1;
        }
        if let Some(expected) = &case.b_against_one_half {
            // SciPy's interval is of the mean, ours of its difference from 0.5.
            let shifted = TResult {
                low: expected.low - 0.5,
                high: expected.high - 0.5,
                ..*expected
            };
            t_close(
                &case.name,
                &one_sample_t_test(&case.b, 0.5).unwrap(),
                &shifted,
                0.9,
            );
            single += 1;
        }
    }
    assert!(paired >= 5 && single >= 5);
}

#[test]
fn tests_of_proportions_are_statsmodels() {
    for case in golden().proportions {
        let [a, b] = [case.a, case.b].map(|[successes, total]| Proportion { successes, total });
        let two = TwoProportionTest::of(a, b).unwrap();
        let name = format!("{a:?} {b:?}");
        close(&name, two.statistic, case.statistic);
        p_close(&name, two.p_two_sided, case.p_two_sided);
        p_close(&name, two.p_greater, case.p_greater);
        p_close(&name, two.p_less, case.p_less);
        let interval = two.interval(0.95).unwrap();
        close(&name, interval.low, case.interval[0]);
        close(&name, interval.high, case.interval[1]);
        let one = OneProportionTest::of(a, 0.9).unwrap();
        close(&name, one.statistic, case.one_statistic);
        p_close(&name, one.p_greater, case.one_greater);
        p_close(&name, one.p_less, case.one_less);
        let wilson = wilson_interval(a.successes, a.total, 0.9).unwrap();
        close(&name, wilson.low, case.wilson_90[0]);
        close(&name, wilson.high, case.wilson_90[1]);
    }
}

#[test]
fn mcnemars_tests_are_statsmodels() {
    for case in golden().mcnemar {
        let [both, only_first, only_second, neither] = case.counts;
        let outcomes = PairedOutcomes {
            both,
            only_first,
            only_second,
            neither,
        };
        let name = format!("{outcomes:?}");
        let interval = outcomes.interval(0.95).unwrap();
        close(&name, interval.low, case.interval[0]);
        close(&name, interval.high, case.interval[1]);
        let exact = outcomes.exact_test();
        p_close(&name, exact.p_two_sided, case.exact_two_sided);
        p_close(&name, exact.p_greater, case.exact_greater);
        p_close(&name, exact.p_less, case.exact_less);
        let chi_square = outcomes.chi_square_test();
        p_close(&name, chi_square.p_two_sided, case.chi_square_two_sided);
        let used = outcomes.test();
        assert_eq!(
            used.exact,
            only_first + only_second <= PairedOutcomes::EXACT_LIMIT
        );
        assert_eq!(used, if used.exact { exact } else { chi_square });
    }
}

#[test]
fn holms_correction_is_statsmodels() {
    for case in golden().holm {
        for (ours, theirs) in holm(&case.p).unwrap().iter().zip(&case.adjusted) {
            p_close("Holm", *ours, *theirs);
        }
    }
}

#[test]
fn spearmans_correlation_is_scipys() {
    for case in golden().spearman {
        let ours = spearman(&case.x, &case.y).unwrap();
        close("rho", ours.rho, case.rho);
        p_close("p", ours.p_two_sided, case.p);
    }
}
