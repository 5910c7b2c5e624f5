//! Comparisons, pooled spreads, crossed noise and sequential boundaries against SciPy, statsmodels and
//! NumPy: `fixtures/eval/comparisons.json`, made by `make_eval.py` there.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::statistics::{Crossed, HierarchicalBootstrap, Pooled, Variance};
use hw_eval::{
    Alpha, Arm, Comparison, Design, Outcome, Question, Setting, Spending, compare,
    compare_with_reported, difference_variance,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    pools: Vec<PoolCase>,
    comparisons: Vec<ComparisonCase>,
    crossings: Vec<CrossingCase>,
    designs: Vec<DesignCase>,
    needed: Vec<NeededCase>,
}

#[derive(Deserialize)]
struct PoolCase {
    name: String,
    variances: Vec<f64>,
    freedoms: Vec<f64>,
    variance: f64,
    freedom: Option<f64>,
    own: [f64; 2],
    moderated: [f64; 2],
}

#[derive(Deserialize)]
struct ComparisonCase {
    name: String,
    paired: bool,
    a: Vec<f64>,
    b: Vec<f64>,
    difference: f64,
    error: f64,
    freedom: f64,
    interval_90: [f64; 2],
    margin: f64,
    greater: [f64; 2],
    about: [f64; 2],
    ratio: [f64; 2],
    ratio_interval_90: [f64; 2],
}

#[derive(Deserialize)]
struct CrossingCase {
    a: Vec<String>,
    b: Vec<String>,
    paired: Parts,
    separate: Parts,
    prior: [f64; 3],
    error: f64,
    freedom: f64,
    p: f64,
    interval_90: [f64; 2],
}

#[derive(Deserialize)]
struct Parts {
    seeds: f64,
    images: f64,
    rest: f64,
}

#[derive(Deserialize)]
struct DesignCase {
    spending: Spending,
    alpha: f64,
    fractions: Vec<f64>,
    z: Vec<f64>,
}

#[derive(Deserialize)]
struct NeededCase {
    effect: f64,
    pairs: f64,
    an_arm: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../fixtures/eval/comparisons.json")).unwrap()
}

/// Within 1e-9 of its own size.
#[track_caller]
fn close(name: &str, ours: f64, theirs: f64) {
    let error = (ours - theirs).abs() / theirs.abs().max(1e-12);
    assert!(error < 1e-9, "{name}: ours {ours}, reference {theirs}");
}

#[track_caller]
fn p_close(name: &str, ours: &Comparison, theirs: [f64; 2]) {
    for (ours, theirs) in [(ours.p, theirs[0]), (ours.p_opposite, theirs[1])] {
        let error = (ours.unwrap() - theirs).abs() / theirs.max(1e-12);
        assert!(error < 1e-7, "{name}: ours {ours:?}, reference {theirs}");
    }
}

fn arm(name: &str, first_seed: u64, values: &[f64]) -> Arm {
    Arm::of_values(name, (first_seed..).zip(values.iter().copied())).unwrap()
}

#[test]
fn pooled_spreads_are_limmas() {
    for case in golden().pools {
        let freedoms = case.variances.iter().zip(&case.freedoms);
        let variances: Vec<Variance> = freedoms
            .map(|(&value, &degrees_of_freedom)| Variance {
                value,
                degrees_of_freedom,
            })
            .collect();
        let pooled = Pooled::fit(&variances).unwrap();
        close(&case.name, pooled.variance, case.variance);
        match case.freedom {
            None => assert_eq!(pooled.degrees_of_freedom, f64::INFINITY),
            Some(freedom) => close(&case.name, pooled.degrees_of_freedom, freedom),
        }
        let [value, degrees_of_freedom] = case.own;
        let own = Variance {
            value,
            degrees_of_freedom,
        };
        let moderated = pooled.moderated(Some(own));
        close(&case.name, moderated.value, case.moderated[0]);
        close(&case.name, moderated.degrees_of_freedom, case.moderated[1]);
        let json = serde_json::to_string(&pooled).unwrap();
        assert_eq!(serde_json::from_str::<Pooled>(&json).unwrap(), pooled);
    }
}

#[test]
fn every_question_over_seeds_is_scipys_and_statsmodels() {
    let (mut paired, mut separate) = (0, 0);
    for case in golden().comparisons {
        let a = arm("a", 1, &case.a);
        let b = arm("b", if case.paired { 1 } else { 100 }, &case.b);
        let setting = Setting::default();
        let ask = |question| compare(&a, &b, question, &setting).unwrap();
        let greater = ask(Question::Greater {
            margin: case.margin,
        });
        close(&case.name, greater.difference, case.difference);
        let noise = greater.noise.unwrap();
        close(&case.name, noise.standard_error, case.error);
        close(&case.name, noise.degrees_of_freedom, case.freedom);
        let interval = greater.interval.unwrap();
        close(&case.name, interval.low, case.interval_90[0]);
        close(&case.name, interval.high, case.interval_90[1]);
        p_close(&case.name, &greater, case.greater);
        let not_greater = ask(Question::NotGreater {
            margin: case.margin,
        });
        p_close(&case.name, &not_greater, [case.greater[1], case.greater[0]]);
        let about = Question::About {
            expected: 0.0,
            margin: case.margin,
        };
        p_close(&case.name, &ask(about), case.about);
        let ratio = ask(Question::Ratio {
            ratio: 1.01,
            factor: 1.02,
        });
        p_close(&case.name, &ratio, case.ratio);
        let interval = ratio.interval.unwrap();
        close(&case.name, interval.low, case.ratio_interval_90[0]);
        close(&case.name, interval.high, case.ratio_interval_90[1]);
        *(if case.paired {
            &mut paired
        } else {
            &mut separate
        }) += 1;
    }
    assert!(paired >= 4 && separate >= 4);
}

#[test]
fn a_reported_number_is_a_second_side_without_spread() {
    // A paired comparison with constants is a one-sample test.
    for case in golden().comparisons.iter().filter(|case| case.paired) {
        let a = arm("a", 1, &case.a);
        let constant = arm("b", 1, &vec![case.b[0]; case.b.len()]);
        let question = Question::Greater {
            margin: case.margin,
        };
        let setting = Setting::default();
        let ours = compare_with_reported(&a, case.b[0], question, &setting).unwrap();
        let theirs = compare(&a, &constant, question, &setting).unwrap();
        p_close(
            &case.name,
            &ours,
            [theirs.p.unwrap(), theirs.p_opposite.unwrap()],
        );
    }
}

fn bits(rows: &[String]) -> Vec<Vec<bool>> {
    let row = |row: &String| row.bytes().map(|bit| bit == b'1').collect();
    rows.iter().map(row).collect()
}

fn answered(name: &str, rows: &[Vec<bool>]) -> Arm {
    let runs = (1..).zip(rows);
    let runs = runs.map(|(seed, row)| Outcome::of_answers(seed, row.as_slice()).unwrap());
    Arm::new(name, runs.collect()).unwrap()
}

#[test]
fn the_noise_of_seeds_and_images_is_that_of_the_analysis_of_variance() {
    for case in golden().crossings {
        let (a, b) = (bits(&case.a), bits(&case.b));
        let rows = |side: &[Vec<bool>]| side.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(rows(&a), rows(&b));
        let (first, second): (Vec<&[bool]>, Vec<&[bool]>) = (
            a.iter().map(Vec::as_slice).collect(),
            b.iter().map(Vec::as_slice).collect(),
        );
        for (crossed, parts) in [
            (Crossed::paired(&first, &second), &case.paired),
            (Crossed::separate(&first, &second), &case.separate),
        ] {
            let ours = crossed.unwrap().components();
            close("seeds", ours.seeds.unwrap(), parts.seeds);
            close("images", ours.images, parts.images);
            close("rest", ours.rest, parts.rest);
        }
        let (a, b) = (answered("a", &a), answered("b", &b));
        let [variance, degrees_of_freedom, total_degrees_of_freedom] = case.prior;
        let setting = Setting {
            differences: Some(Pooled {
                variance,
                degrees_of_freedom,
                total_degrees_of_freedom,
                count: 9,
            }),
            ..Setting::default()
        };
        let question = Question::Greater { margin: 0.0 };
        let ours = compare(&a, &b, question, &setting).unwrap();
        let noise = ours.noise.unwrap();
        close("error", noise.standard_error, case.error);
        close("freedom", noise.degrees_of_freedom, case.freedom);
        p_close("p", &ours, [case.p, 1.0 - case.p]);
        let interval = ours.interval.unwrap();
        close("interval", interval.low, case.interval_90[0]);
        close("interval", interval.high, case.interval_90[1]);
        let parts = noise.seeds.powi(2) + noise.images.unwrap().powi(2);
        close("parts", parts.sqrt(), case.error);
    }
}

/// The bootstrap's variance is known: the seeds' part with its correction, the images' part
/// with the rest that belongs to seeds counted again, and the rest once more (Owen 2007).
#[test]
fn the_hierarchical_bootstrap_agrees_with_the_components() {
    for case in golden().crossings {
        let (a, b) = (bits(&case.a), bits(&case.b));
        let (first, second): (Vec<&[bool]>, Vec<&[bool]>) = (
            a.iter().map(Vec::as_slice).collect(),
            b.iter().map(Vec::as_slice).collect(),
        );
        for crossed in [
            Crossed::paired(&first, &second).unwrap(),
            Crossed::separate(&first, &second).unwrap(),
            Crossed::alone(&first).unwrap(),
        ] {
            let parts = crossed.components();
            assert!(
                parts.images > 0.0,
                "the reference below holds without cutting off at 0"
            );
            let bootstrap = HierarchicalBootstrap {
                resamples: 4_000,
                seed: 4,
            };
            let drawn = bootstrap.standard_error(&crossed).unwrap();
            let n = crossed.images() as f64;
            let shrink = (n - 1.0) / n;
            let s = a.len() as f64;
            // Var of the resampled mean for fixed data: between seeds, between images, and what is left.
            let left = shrink * (s - 1.0) / s * parts.rest;
            let widened = parts.seeds.unwrap() + shrink * (parts.images + parts.rest) + left;
            // Its own error is 1.1 %; without the correction three seeds would be ten off.
            let ratio = drawn / widened.sqrt();
            assert!((ratio - 1.0).abs() < 0.045, "{ratio} {parts:?}");
            let replicates = bootstrap.replicates(&crossed);
            let mean = replicates.iter().sum::<f64>() / replicates.len() as f64;
            assert!((mean - parts.difference).abs() < 4.0 * drawn / 63.0);
        }
    }
}

#[test]
fn boundaries_are_those_of_the_multivariate_normal_distribution() {
    for case in golden().designs {
        let alpha = Alpha::new(case.alpha).unwrap();
        let design = Design::new(&case.fractions, alpha, case.spending).unwrap();
        for (look, (&level, &z)) in design.levels().iter().zip(&case.z).enumerate() {
            let theirs = normal_tail(z);
            assert!((level / theirs - 1.0).abs() < 2e-5, "{level} {theirs}");
            // The repeated p-value of a boundary is the total error rate.
            let repeated = design.repeated_p(look + 1, level).unwrap();
            assert!((repeated / case.alpha - 1.0).abs() < 1e-6, "{repeated}");
        }
    }
}

/// P(Z > z) of a standard normal Z.
fn normal_tail(z: f64) -> f64 {
    0.5 * statrs::function::erf::erfc(z / std::f64::consts::SQRT_2)
}

#[test]
fn boundaries_are_those_that_lan_and_demets_published() {
    let looks = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    let alpha = Alpha::new(0.025).unwrap();
    let design = Design::new(&looks, alpha, Spending::OBrienFleming).unwrap();
    for (level, z) in design.levels().iter().zip([3.7103, 2.5114, 1.9930]) {
        let expected = normal_tail(z);
        assert!((level / expected - 1.0).abs() < 3e-4, "{level} {expected}");
    }
    let once = Design::once(alpha);
    assert_eq!((once.levels(), once.looks()), ([0.025].as_slice(), 1));
    assert_eq!(once.repeated_p(1, 0.3).unwrap(), 0.3);
}

#[test]
fn needed_seeds_are_statsmodels() {
    for case in golden().needed {
        // A spread of 1 and a difference of 0; the deviation of two single runs is the square root of 2.
        let noise = |same: bool| {
            let a = arm("a", 1, &[-1.0, 0.0, 1.0]);
            let b = arm("b", if same { 1 } else { 9 }, &[0.0, 0.0, 0.0]);
            let spread = Variance {
                value: 1.0,
                degrees_of_freedom: 9.0,
            };
            let pooled = Some(Pooled::fit(&[spread, spread]).unwrap());
            let setting = Setting {
                differences: pooled,
                runs: pooled,
                ..Setting::default()
            };
            let question = Question::Greater { margin: 0.0 };
            compare(&a, &b, question, &setting).unwrap().noise.unwrap()
        };
        let alpha = Alpha::default();
        for (same, theirs) in [(true, case.pairs), (false, case.an_arm)] {
            let ours = noise(same).runs_needed(case.effect, alpha).unwrap();
            // Student's quantiles added up are an approximation of the noncentral distribution.
            assert!(
                (ours as f64 - theirs.ceil()).abs() <= 1.0,
                "{ours} {theirs}"
            );
        }
    }
}

#[test]
fn the_variance_of_differences_is_over_the_shared_seeds() {
    let a = arm("a", 1, &[1.0, 2.0, 4.0, 8.0]);
    let b = arm("b", 2, &[1.0, 1.0, 1.0, 77.0]);
    let shared = difference_variance(&a, &b).unwrap();
    // 2 - 1, 4 - 1, 8 - 1
    assert_eq!(shared.degrees_of_freedom, 2.0);
    assert!((shared.value - 28.0 / 3.0).abs() < 1e-12);
    assert_eq!(difference_variance(&a, &arm("c", 4, &[1.0, 2.0])), None);
}
