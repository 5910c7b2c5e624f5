//! Whether a reported number agrees with ours, by each rule.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::statistics::{Pooled, Variance};
use hw_eval::{
    CellComparison, CellVerdict, TestSets, Tolerance, reproduces_value, wilson_interval,
};

#[test]
fn a_reported_value_agrees_within_the_prediction_interval_of_the_seeds() {
    let ours = [0.9921, 0.9917, 0.9923];
    let rule = |rounding| Tolerance::Seeds {
        level: 0.95,
        rounding,
    };
    let cell = reproduces_value(0.9922, &ours, rule(0.00005));
    assert_eq!(cell.verdict, CellVerdict::Within);
    // mean ± 4.3027 · 0.00030551 · sqrt(4/3), Student's t of 2 degrees of freedom.
    let agreeing = reproduces_value(0.9922, &ours, rule(0.0)).agreeing.unwrap();
    assert!(
        (agreeing.width() / 2.0 - 0.001_517_85).abs() < 1e-7,
        "{agreeing:?}"
    );
    assert!((cell.agreeing.unwrap().width() - agreeing.width() - 0.0001).abs() < 1e-12);
    match reproduces_value(0.98, &ours, rule(0.00005)).verdict {
        CellVerdict::Above { by } => assert!((by - 0.0120333).abs() < 1e-6),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        reproduces_value(0.999, &ours, rule(0.00005)).verdict,
        CellVerdict::Below { .. }
    ));
}

#[test]
fn one_seed_is_judged_by_its_test_set_or_not_at_all() {
    let seeds = Tolerance::Seeds {
        level: 0.95,
        rounding: 0.0,
    };
    match reproduces_value(0.99, &[0.9922], seeds).verdict {
        CellVerdict::NotComparable { reason } => assert!(reason.contains("single seed")),
        other => panic!("{other:?}"),
    }
    let images = Tolerance::TestSet {
        level: 0.95,
        images: 10_000,
        rounding: 0.00005,
    };
    let within =
        |reported| reproduces_value(reported, &[0.9922], images).verdict == CellVerdict::Within;
    assert!(within(0.9922) && within(0.9905) && !within(0.9880) && !within(0.9955));
}

#[test]
fn the_test_set_rule_scales_both_sides_of_wilsons_interval() {
    let rule = Tolerance::TestSet {
        level: 0.95,
        images: 50,
        rounding: 0.01,
    };
    let wilson = wilson_interval(45, 50, 0.95).unwrap();
    let agreeing = reproduces_value(0.9, &[0.9], rule).agreeing.unwrap();
    let root = 2.0f64.sqrt();
    assert!((agreeing.low - (0.9 - root * (0.9 - wilson.low) - 0.01)).abs() < 1e-12);
    assert!((agreeing.high - (0.9 + root * (wilson.high - 0.9) + 0.01)).abs() < 1e-12);
}

#[test]
fn a_count_must_be_equal_and_a_time_about_so() {
    let exact = Tolerance::Absolute(0.0);
    assert_eq!(
        reproduces_value(64_851.0, &[64_851.0], exact).verdict,
        CellVerdict::Within
    );
    assert_eq!(
        reproduces_value(64_851.0, &[64_850.0], exact).verdict,
        CellVerdict::Below { by: 1.0 }
    );
    // A share that no binary fraction hits still equals itself.
    assert_eq!(
        reproduces_value(0.3, &[0.1 + 0.2], exact).verdict,
        CellVerdict::Within
    );
    let tenth = Tolerance::Relative(0.1);
    assert_eq!(
        reproduces_value(20.0, &[21.0], tenth).verdict,
        CellVerdict::Within
    );
    assert!(matches!(
        reproduces_value(20.0, &[25.0], tenth).verdict,
        CellVerdict::Above { .. }
    ));
}

#[test]
fn a_cell_without_numbers_is_not_comparable() {
    let exact = Tolerance::Absolute(0.0);
    for (reported, ours, rule) in [
        (1.0, vec![], exact),
        (f64::NAN, vec![1.0], exact),
        (1.0, vec![f64::NAN], exact),
        (1.0, vec![1.0], Tolerance::Absolute(-1.0)),
        (1.0, vec![1.0], Tolerance::Absolute(f64::INFINITY)),
        (
            1.0,
            vec![99.0],
            Tolerance::TestSet {
                level: 0.95,
                images: 10,
                rounding: 0.0,
            },
        ),
    ] {
        let cell = reproduces_value(reported, &ours, rule);
        assert!(
            matches!(cell.verdict, CellVerdict::NotComparable { .. }),
            "{cell:?}"
        );
    }
}

#[test]
fn a_pooled_spread_makes_three_seeds_as_strict_as_many() {
    let ours = [0.9921, 0.9917, 0.9923];
    let spread = |value| Variance {
        value,
        degrees_of_freedom: 2.0,
    };
    // Ten recipes of three seeds each, all with a deviation of about 0.03 points.
    let pooled = Pooled::fit(&[spread(9e-8); 10]).unwrap();
    let moderated = pooled.moderated(Some(spread(1e-7)));
    let rule = |test_sets| Tolerance::Pooled {
        level: 0.95,
        deviation: moderated.value.sqrt(),
        degrees_of_freedom: moderated.degrees_of_freedom,
        test_sets,
        rounding: 0.0,
    };
    let same = reproduces_value(0.9930, &ours, rule(None));
    // t(0.975) of 20 degrees of freedom is 2.0860; 4.3027 of 2 would have let 0.9930 pass.
    let half = 2.085_963 * 3e-4 * (4.0f64 / 3.0).sqrt();
    assert!((same.agreeing.unwrap().width() / 2.0 - half).abs() < 1e-9);
    assert!(matches!(same.verdict, CellVerdict::Below { .. }));
    let sets = Some(TestSets {
        ours: 10_000,
        theirs: 2_500,
    });
    let other = reproduces_value(0.9930, &ours, rule(sets));
    let p = other.ours.unwrap();
    let variance = p * (1.0 - p) * (1e-4 + 4e-4) + 4.0 / 3.0 * 9e-8;
    // Hardly any of it is the seeds', so that Student's t is nearly normal.
    let z = other.agreeing.unwrap().width() / 2.0 / variance.sqrt();
    assert!((1.9599..1.962).contains(&z), "{z}");
    assert_eq!(other.verdict, CellVerdict::Within);
    assert!(other.rule.description().contains("both test sets"));
    assert!(!same.rule.description().contains("test sets"));
}

#[test]
fn a_pooled_rule_without_sense_is_not_comparable() {
    let rule = |deviation, degrees_of_freedom, test_sets| Tolerance::Pooled {
        level: 0.95,
        deviation,
        degrees_of_freedom,
        test_sets,
        rounding: 0.0,
    };
    let none = Some(TestSets { ours: 0, theirs: 5 });
    let five = Some(TestSets { ours: 5, theirs: 5 });
    for (ours, rule, words) in [
        (0.9, rule(-1.0, 3.0, None), "no spread"),
        (0.9, rule(0.1, 0.0, None), "no spread"),
        (0.9, rule(0.1, 3.0, none), "no images"),
        (99.0, rule(0.1, 3.0, five), "no accuracy"),
    ] {
        match reproduces_value(0.9, &[ours], rule).verdict {
            CellVerdict::NotComparable { reason } => assert!(reason.contains(words), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    // A single run of a known spread can be judged.
    let single = reproduces_value(0.9, &[0.9], rule(0.001, f64::INFINITY, None));
    let half = 1.959_964 * 0.001 * 2.0f64.sqrt();
    assert!((single.agreeing.unwrap().width() / 2.0 - half).abs() < 1e-9);
}

#[test]
fn cells_survive_json_and_speak_in_words() {
    let cell = reproduces_value(0.98, &[0.99, 0.97], Tolerance::Relative(0.001));
    let json = serde_json::to_string(&cell).unwrap();
    assert_eq!(serde_json::from_str::<CellComparison>(&json).unwrap(), cell);
    assert!(cell.rule.description().contains("0.1 % of our mean"));
}
