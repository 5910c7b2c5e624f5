//! The learning-rate range test on a real network.

use crate::support::{config, experiment};
use hw_core::CancelToken;
use hw_train::TrainConfig;
use hw_train::range_test::Range;

#[test]
fn a_range_test_learns_breaks_down_and_repeats_to_the_bit() {
    let experiment = experiment(TrainConfig {
        optimizer: "sgd".parse().unwrap(),
        ..config()
    });
    let range = Range {
        from: 1e-4,
        to: 1e4,
        steps: 60,
    };
    let run = || {
        let mut seen = 0;
        let cancel = CancelToken::new();
        let curve = experiment.range_test(range, &cancel, &mut |step| seen = step);
        (curve.unwrap(), seen)
    };
    let (curve, seen) = run();
    assert!(seen > 10 && curve.points.len() >= seen);
    let lowest = curve.points.iter().map(|p| p.smoothed);
    let lowest = lowest.fold(f64::INFINITY, f64::min);
    assert!(lowest < 0.9 * curve.points[0].smoothed, "{curve:?}");
    assert!(curve.steepest.is_some());
    assert_eq!(run().0, curve);
}
