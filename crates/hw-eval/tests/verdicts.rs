//! What the tests conclude, and above all when they refuse to.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::Rng;
use hw_eval::statistics::{PairedOutcomes, TwoProportionTest, holm, welch_t_test};
use hw_eval::{
    Alpha, BestOf, CellComparison, CellVerdict, Comparison, Runs, Test, Tolerance, Verdict,
    best_of, compare_about, compare_greater, compare_greater_by, compare_greater_than_printed,
    compare_paired_greater, compare_ratio, reproduces_value, wilson_interval,
};

fn alpha() -> Alpha {
    Alpha::default()
}

/// `count` normal values.
fn normals(rng: &mut Rng, count: usize, mean: f64, std: f64) -> Vec<f64> {
    (0..count)
        .map(|_| mean + std * f64::from(rng.normal()))
        .collect()
}

fn high() -> Runs {
    Runs::accuracies([0.9921, 0.9917, 0.9923], 10_000)
}

fn low() -> Runs {
    Runs::accuracies([0.9893, 0.9901, 0.9897], 10_000)
}

#[track_caller]
fn not_tested(verdict: &Verdict, words: &str) {
    match verdict {
        Verdict::NotTested { reason } => assert!(reason.contains(words), "{reason}"),
        other => panic!("expected not tested, got {other:?}"),
    }
}

#[test]
fn a_clear_lead_is_reproduced_and_its_opposite_is_not() {
    let claim = compare_greater(&high(), &low(), alpha());
    let opposite = compare_greater(&low(), &high(), alpha());
    assert_eq!(claim.verdict, Verdict::Reproduced);
    assert_eq!(opposite.verdict, Verdict::NotReproduced);
    assert_eq!(claim.p, opposite.p_opposite);
    let welch = welch_t_test(&high().values, &low().values).unwrap();
    assert_eq!(claim.p, Some(welch.p_greater));
    assert_eq!(claim.p_opposite, Some(welch.p_less));
    assert_eq!(claim.test, Some(Test::Welch));
    assert!(claim.interval.unwrap().low > 0.0 && opposite.interval.unwrap().high < 0.0);
    assert!(claim.detectable.unwrap() < claim.difference.unwrap());
}

#[test]
fn overlapping_seeds_are_within_noise_either_way() {
    let a = Runs::new([0.9921, 0.9917, 0.9923]);
    let b = Runs::new([0.9915, 0.9922, 0.9919]);
    for claim in [
        compare_greater(&a, &b, alpha()),
        compare_greater(&b, &a, alpha()),
    ] {
        assert_eq!(claim.verdict, Verdict::WithinNoise);
        assert!(claim.interval.unwrap().contains(0.0));
    }
}

#[test]
fn without_a_difference_each_false_verdict_comes_at_the_stated_rate() {
    let (mut claimed, mut denied) = (0, 0);
    for index in 0..4000 {
        let mut rng = Rng::stream(5, "null", index);
        let a = Runs::new(normals(&mut rng, 5, 0.99, 0.001));
        let b = Runs::new(normals(&mut rng, 5, 0.99, 0.001));
        match compare_greater(&a, &b, alpha()).verdict {
            Verdict::Reproduced => claimed += 1,
            Verdict::NotReproduced => denied += 1,
            _ => {}
        }
    }
    // 5 % of 4000 is 200, give or take four standard deviations of 13.8; Welch's is near exact.
    assert!((145..=255).contains(&claimed), "{claimed}");
    assert!((145..=255).contains(&denied), "{denied}");
}

#[test]
fn a_true_difference_of_the_detectable_size_is_found_four_times_in_five() {
    // Thirty runs a side, so that the spread is known well and the promise holds closely.
    let (mut found, mut tried) = (0, 0);
    let standard_error = (2.0f64 / 30.0).sqrt();
    let shift = (1.6716 + 0.8480) * standard_error; // t(0.95) + t(0.8) with 58 degrees of freedom
    for index in 0..1500 {
        let mut rng = Rng::stream(6, "power", index);
        let a = Runs::new(normals(&mut rng, 30, shift, 1.0));
        let b = Runs::new(normals(&mut rng, 30, 0.0, 1.0));
        let claim = compare_greater(&a, &b, alpha());
        assert!((claim.detectable.unwrap() / shift - 1.0).abs() < 0.4);
        found += u32::from(claim.verdict == Verdict::Reproduced);
        tried += 1;
    }
    let power = f64::from(found) / f64::from(tried);
    assert!((power - 0.8).abs() < 0.04, "{power}");
}

#[test]
fn single_seeds_are_judged_by_their_test_sets_and_say_so() {
    let a = Runs::accuracies([0.9922], 10_000);
    let b = Runs::accuracies([0.9905], 10_000);
    let claim = compare_greater(&a, &b, alpha());
    assert_eq!(claim.test, Some(Test::TwoProportion));
    assert_eq!(claim.verdict, Verdict::WithinNoise); // z = 1.30
    assert!(
        claim
            .test
            .unwrap()
            .description()
            .contains("not the spread between seeds")
    );
    assert_eq!(claim.detectable, None);
    let far = compare_greater(&a, &Runs::accuracies([0.9305], 10_000), alpha());
    assert_eq!(far.verdict, Verdict::Reproduced);
    let back = compare_greater(&Runs::accuracies([0.9305], 10_000), &a, alpha());
    assert_eq!(back.verdict, Verdict::NotReproduced);
}

#[test]
fn more_seeds_on_one_side_are_not_counted_as_more_images() {
    let three = compare_greater(&high(), &Runs::accuracies([0.9897], 10_000), alpha());
    let mean = Runs::accuracies([0.9920333], 10_000);
    let one = compare_greater(&mean, &Runs::accuracies([0.9897], 10_000), alpha());
    assert_eq!(three.test, Some(Test::TwoProportion));
    assert_eq!(three.p, one.p);
}

#[test]
fn nothing_is_pretended_about_single_values_without_a_test_set() {
    let claim = compare_greater(&Runs::new([12.0]), &Runs::new([3.0]), alpha());
    not_tested(&claim.verdict, "at least 2 values");
    not_tested(&claim.verdict, "1 against 1 seeds");
    assert_eq!(claim.difference, Some(9.0));
    assert_eq!((claim.p, claim.test), (None, None));
}

#[test]
fn seeds_that_all_agree_are_no_infinite_evidence() {
    let (a, b) = (Runs::new([0.2, 0.2, 0.2]), Runs::new([0.1, 0.1, 0.1]));
    not_tested(&compare_greater(&a, &b, alpha()).verdict, "do not vary");
    // On a known test set of 50 images the difference is well within its noise.
    let (a, b) = (
        Runs::accuracies([0.2; 3], 50),
        Runs::accuracies([0.1; 3], 50),
    );
    let claim = compare_greater(&a, &b, alpha());
    assert_eq!(
        (claim.verdict, claim.test),
        (Verdict::WithinNoise, Some(Test::TwoProportion))
    );
}

#[test]
fn values_that_are_no_numbers_or_no_accuracies_are_not_tested() {
    let nan = Runs::accuracies([0.9, f64::NAN], 100);
    not_tested(
        &compare_greater(&nan, &low(), alpha()).verdict,
        "not a finite number",
    );
    let empty = Runs::new([]);
    not_tested(&compare_greater(&empty, &low(), alpha()).verdict, "got 0");
    let percent = Runs::accuracies([99.2], 100);
    not_tested(
        &compare_greater(&percent, &percent, alpha()).verdict,
        "at least 2",
    );
    let no_images = Runs::accuracies([0.9], 0);
    not_tested(
        &compare_greater(&no_images, &no_images, alpha()).verdict,
        "at least 2",
    );
}

#[test]
fn a_margin_asks_for_more_or_forgives_some() {
    let by = |margin| compare_greater_by(&high(), &low(), margin, alpha()).verdict;
    assert_eq!(by(0.0), Verdict::Reproduced);
    assert_eq!(by(0.002), Verdict::WithinNoise);
    assert_eq!(by(0.01), Verdict::NotReproduced);
    // "a does not improve on b by more than half a point", where it is 0.2 points better.
    let claim = compare_greater_by(&low(), &high(), -0.005, alpha());
    assert_eq!(claim.verdict, Verdict::Reproduced);
}

#[test]
fn a_printed_number_is_beaten_by_seeds_or_by_test_images() {
    let beaten = compare_greater_than_printed(&high(), 0.9905, alpha());
    assert_eq!(
        (beaten.verdict, beaten.test),
        (Verdict::Reproduced, Some(Test::OneSampleT))
    );
    let missed = compare_greater_than_printed(&high(), 0.995, alpha());
    assert_eq!(missed.verdict, Verdict::NotReproduced);
    let single = compare_greater_than_printed(&Runs::accuracies([0.9922], 10_000), 0.9905, alpha());
    assert_eq!(
        (single.verdict, single.test),
        (Verdict::Reproduced, Some(Test::OneProportion))
    );
    let interval = single.interval.unwrap();
    assert!(interval.low > 0.0 && interval.contains(0.0017));
    let bare = compare_greater_than_printed(&Runs::new([0.9922]), 0.9905, alpha());
    not_tested(&bare.verdict, "at least 2 values");
}

#[test]
fn two_models_on_the_same_images_are_judged_by_their_disagreements() {
    let outcomes = PairedOutcomes {
        both: 9900,
        only_first: 22,
        only_second: 5,
        neither: 73,
    };
    let claim = compare_paired_greater(&outcomes, alpha());
    assert_eq!(
        (claim.verdict, claim.test),
        (Verdict::Reproduced, Some(Test::McNemarExact))
    );
    assert!((claim.difference.unwrap() - 0.0017).abs() < 1e-12);
    assert!(claim.interval.unwrap().low > 0.0);
    let nothing = compare_paired_greater(&PairedOutcomes::default(), alpha());
    not_tested(&nothing.verdict, "empty");
}

#[test]
fn reaching_means_equal_within_a_margin_and_not_merely_untold_apart() {
    let a = Runs::new([0.880, 0.882, 0.881, 0.8805]);
    let near = Runs::new([0.881, 0.8815, 0.880, 0.882]);
    let far = Runs::new([0.780, 0.785, 0.778, 0.781]);
    let loose = Runs::new([0.80, 0.95, 0.85, 0.92]);
    let reaches = |b: &Runs| compare_about(&a, b, 0.0, 0.01, alpha());
    assert_eq!(reaches(&near).verdict, Verdict::Reproduced);
    assert_eq!(reaches(&far).verdict, Verdict::NotReproduced);
    assert_eq!(reaches(&loose).verdict, Verdict::WithinNoise);
    // "beats it by about ten points"
    let ten = compare_about(&a, &far, 0.1, 0.01, alpha());
    assert_eq!(
        (ten.verdict, ten.test),
        (Verdict::Reproduced, Some(Test::WelchEquivalence))
    );
    not_tested(
        &compare_about(&a, &near, 0.0, 0.0, alpha()).verdict,
        "no range",
    );
}

#[test]
fn a_ratio_is_judged_on_logarithms() {
    let (slow, fast) = (
        Runs::new([100.0, 104.0, 99.0]),
        Runs::new([10.1, 9.9, 10.3]),
    );
    let ten = compare_ratio(&slow, &fast, 10.0, 1.5, alpha());
    assert_eq!(ten.verdict, Verdict::Reproduced);
    assert!((ten.difference.unwrap() - 10.0).abs() < 0.1);
    assert!(ten.interval.unwrap().contains(10.0));
    assert_eq!(ten.test, Some(Test::WelchRatioEquivalence));
    assert_eq!(
        compare_ratio(&slow, &fast, 3.0, 1.5, alpha()).verdict,
        Verdict::NotReproduced
    );
    not_tested(
        &compare_ratio(&slow, &Runs::new([0.0, 1.0]), 3.0, 1.5, alpha()).verdict,
        "above 0",
    );
}

#[test]
fn the_best_must_beat_every_rival_after_holms_correction() {
    let second = low();
    let third = Runs::new([0.95, 0.96, 0.955]);
    let all = best_of(&high(), &[("sgd", &second), ("adagrad", &third)], alpha());
    assert_eq!(all.verdict, Verdict::Reproduced);
    let p: Vec<f64> = all
        .rivals
        .iter()
        .map(|rival| rival.comparison.p.unwrap())
        .collect();
    let adjusted: Vec<f64> = all
        .rivals
        .iter()
        .map(|rival| rival.p_adjusted.unwrap())
        .collect();
    assert_eq!(adjusted, holm(&p).unwrap());

    let beaten = best_of(
        &second,
        &[("momentum", &high()), ("adagrad", &third)],
        alpha(),
    );
    assert_eq!(beaten.verdict, Verdict::NotReproduced);
    assert_eq!(beaten.rivals[1].comparison.verdict, Verdict::Reproduced);

    let tie = Runs::new([0.9922, 0.9916, 0.9921]);
    let tied = best_of(&high(), &[("sgd", &second), ("adam", &tie)], alpha());
    assert_eq!(tied.verdict, Verdict::WithinNoise);

    let missing = Runs::new([0.7]);
    let open = best_of(&high(), &[("sgd", &second), ("adam", &missing)], alpha());
    not_tested(&open.verdict, "against adam");
    not_tested(&best_of(&high(), &[], alpha()).verdict, "no rival");
}

#[test]
fn a_p_value_that_passes_alone_may_not_pass_among_many() {
    let a = Runs::new([0.9921, 0.9917, 0.9923]);
    let b = Runs::new([0.9910, 0.9915, 0.9914]);
    let alone = compare_greater(&a, &b, alpha());
    assert_eq!(alone.verdict, Verdict::Reproduced);
    let ten: Vec<(&str, &Runs)> = (0..10).map(|_| ("same", &b)).collect();
    let among = best_of(&a, &ten, alpha());
    assert_eq!(among.verdict, Verdict::WithinNoise);
    assert!(among.rivals[0].p_adjusted > alone.p);
}

#[test]
fn a_printed_value_agrees_within_the_prediction_interval_of_the_seeds() {
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
        |printed| reproduces_value(printed, &[0.9922], images).verdict == CellVerdict::Within;
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
    for (printed, ours, rule) in [
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
        let cell = reproduces_value(printed, &ours, rule);
        assert!(
            matches!(cell.verdict, CellVerdict::NotComparable { .. }),
            "{cell:?}"
        );
    }
}

#[test]
fn an_error_rate_outside_its_range_is_refused() {
    for rate in [0.0, 0.5, -0.1, f64::NAN] {
        assert!(Alpha::new(rate).is_err());
    }
    assert_eq!(Alpha::new(0.01).unwrap().rate(), 0.01);
    assert!(serde_json::from_str::<Alpha>("0.7").is_err());
}

#[test]
fn verdicts_survive_json_and_speak_in_words() {
    let claim = compare_greater(&high(), &low(), alpha());
    let json = serde_json::to_string(&claim).unwrap();
    assert!(json.contains("\"verdict\":\"reproduced\"") && json.contains("\"test\":\"welch\""));
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), claim);
    let best = best_of(
        &high(),
        &[("sgd", &low()), ("none", &Runs::new([0.1]))],
        alpha(),
    );
    let json = serde_json::to_string(&best).unwrap();
    assert_eq!(serde_json::from_str::<BestOf>(&json).unwrap(), best);
    let cell = reproduces_value(0.98, &high().values, Tolerance::Relative(0.001));
    let json = serde_json::to_string(&cell).unwrap();
    assert_eq!(serde_json::from_str::<CellComparison>(&json).unwrap(), cell);
    assert_eq!(best.verdict.name(), "not tested");
    assert!(cell.rule.description().contains("0.1 % of our mean"));
}

#[test]
fn equal_shares_are_no_evidence_even_at_the_ends() {
    use hw_eval::statistics::Proportion;
    let all = Proportion {
        successes: 20,
        total: 20,
    };
    let test = TwoProportionTest::of(all, all).unwrap();
    assert_eq!(
        (test.statistic, test.p_two_sided, test.p_greater),
        (0.0, 1.0, 0.5)
    );
    assert!(test.interval(0.95).unwrap().contains(0.0));
}
