//! What is concluded from runs, and above all what is not.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_eval::statistics::{
    PairedOutcomes, Pooled, Proportion, TwoProportionTest, Variance, holm, paired_t_test,
    welch_t_test,
};
use hw_eval::{
    Alpha, Arm, Comparison, Design, Evidence, Images, Judged, Outcome, Part, Question, Setting,
    Signs, Spending, Test, Verdict, best_of, compare, compare_with_reported, judge_family, overall,
    rank,
};

const BETTER: Question = Question::Greater { margin: 0.0 };

/// Values under the seeds 1, 2, 3, ...
fn arm(name: &str, values: &[f64]) -> Arm {
    Arm::of_values(name, (1..).zip(values.iter().copied())).unwrap()
}

/// Values under seeds that nobody else has.
fn elsewhere(name: &str, values: &[f64]) -> Arm {
    Arm::of_values(name, (1000..).zip(values.iter().copied())).unwrap()
}

fn high() -> Arm {
    arm("high", &[0.9921, 0.9917, 0.9925])
}

fn low() -> Arm {
    arm("low", &[0.9899, 0.9894, 0.9901])
}

fn ask(a: &Arm, b: &Arm, question: Question) -> Comparison {
    compare(a, b, question, &Setting::default()).unwrap()
}

fn judge(comparison: Comparison, reported_gap: Option<f64>) -> Verdict {
    let evidence = Evidence::compared(comparison, reported_gap);
    family(vec![Part::new("", evidence)])[0].verdict.clone()
}

fn family(parts: Vec<Part>) -> Vec<Judged> {
    judge_family(parts, &Design::once(Alpha::default())).unwrap()
}

fn verdict(a: &Arm, b: &Arm, question: Question) -> Verdict {
    judge(ask(a, b, question), None)
}

fn pooled(deviation: f64) -> Option<Pooled> {
    let spread = Variance {
        value: deviation * deviation,
        degrees_of_freedom: 20.0,
    };
    Some(Pooled::fit(&[spread, spread]).unwrap())
}

#[track_caller]
fn too_small(verdict: &Verdict, words: &str) {
    match verdict {
        Verdict::TooSmall { reason } => assert!(reason.contains(words), "{reason}"),
        other => panic!("expected too small, got {other:?}"),
    }
}

/// A run that gets the first `right` of `images` right, but for those `flipped`.
fn run(seed: u64, images: usize, right: usize, flipped: &[usize]) -> Outcome {
    let answers: Vec<bool> = (0..images)
        .map(|image| (image < right) != flipped.contains(&image))
        .collect();
    Outcome::of_answers(seed, answers).unwrap()
}

#[test]
fn a_clear_lead_is_reproduced_and_its_opposite_is_contradicted() {
    let (claim, opposite) = (ask(&high(), &low(), BETTER), ask(&low(), &high(), BETTER));
    assert_eq!(
        (claim.p, claim.p_opposite),
        (opposite.p_opposite, opposite.p)
    );
    assert!(claim.interval.unwrap().low > 0.0 && opposite.interval.unwrap().high < 0.0);
    assert!(claim.detectable.unwrap() < claim.difference);
    let ahead = Signs {
        first: 3,
        ..Signs::default()
    };
    assert_eq!((claim.signs, claim.seeds), (Some(ahead), 3));
    assert_eq!(judge(claim, None), Verdict::Reproduced);
    assert_eq!(judge(opposite, None), Verdict::Contradicted);
}

#[test]
fn runs_that_share_seeds_are_pairs_and_others_are_not() {
    let plain = Images::Ignored;
    let (a, b) = ([5.0, 1.0, 9.0], [4.0, 0.5, 8.2]);
    let paired = ask(&arm("a", &a), &arm("b", &b), BETTER);
    let separate = ask(&arm("a", &a), &elsewhere("b", &b), BETTER);
    let (pooled, images) = (false, plain);
    assert_eq!(paired.test, Some(Test::Paired { pooled, images }));
    assert_eq!(separate.test, Some(Test::Welch { pooled, images }));
    let close = |ours: Option<f64>, theirs: f64| assert!((ours.unwrap() - theirs).abs() < 1e-12);
    close(paired.p, paired_t_test(&a, &b).unwrap().p_greater);
    close(separate.p, welch_t_test(&a, &b).unwrap().p_greater);
    // The seeds differ far more than the recipes do: only pairs can tell.
    assert_eq!(judge(paired, None), Verdict::Reproduced);
    assert!(matches!(judge(separate, None), Verdict::WithinNoise { .. }));
}

#[test]
fn only_the_shared_seeds_are_paired() {
    let a = arm("a", &[9.0, 5.0, 1.0, 9.0, 2.0]);
    let b = Arm::of_values("b", [(7, -50.0), (2, 4.0), (4, 8.2), (3, 0.5)]).unwrap();
    let compared = ask(&a, &b, BETTER);
    assert_eq!(compared.seeds, 3);
    assert!((compared.difference - 2.3 / 3.0).abs() < 1e-12);
    // A single shared seed among several is no pair.
    let other = Arm::of_values("c", [(5, 2.0), (6, 1.0), (7, 3.0)]).unwrap();
    assert!(matches!(
        ask(&a, &other, BETTER).test,
        Some(Test::Welch { .. })
    ));
}

#[test]
fn a_single_run_decides_nothing_about_a_recipe_whose_spread_is_unknown() {
    let a = Arm::new("a", vec![run(1, 10_000, 9_950, &[])]).unwrap();
    let b = Arm::new("b", vec![run(1, 10_000, 9_900, &[])]).unwrap();
    let compared = ask(&a, &b, BETTER);
    // The first trained model is better beyond doubt ...
    assert_eq!(compared.test, Some(Test::McNemarExact));
    let outcomes = PairedOutcomes {
        both: 9_900,
        only_first: 50,
        only_second: 0,
        neither: 50,
    };
    assert_eq!(compared.p, Some(outcomes.test().p_greater));
    assert!(!compared.test.unwrap().decides_recipes());
    // ... but another seed of it might not be.
    too_small(&judge(compared, Some(0.005)), "single run");
    // How much seeds differ may be known from elsewhere.
    let with = |deviation| {
        let setting = Setting {
            differences: pooled(deviation),
            ..Setting::default()
        };
        judge(compare(&a, &b, BETTER, &setting).unwrap(), None)
    };
    assert_eq!(with(0.001), Verdict::Reproduced);
    assert!(matches!(with(0.01), Verdict::WithinNoise { .. }));
}

#[test]
fn single_runs_without_answers_are_compared_by_counts() {
    let on = |value| arm("x", &[value]).on_test_set(10_000).unwrap();
    let two = ask(&on(0.9922), &on(0.9905), BETTER);
    assert_eq!(two.test, Some(Test::TwoProportion));
    let not = ask(
        &on(0.9922),
        &on(0.9905),
        Question::NotGreater { margin: 0.0 },
    );
    assert_eq!((two.p, two.p_opposite), (not.p_opposite, not.p));
    too_small(&judge(two, None), "single run");
    let setting = Setting::default();
    let one = compare_with_reported(&on(0.9922), 0.9905, BETTER, &setting).unwrap();
    assert_eq!(one.test, Some(Test::OneProportion));
    assert!(one.interval.unwrap().low > 0.0 && one.interval.unwrap().contains(0.0017));
    too_small(&judge(one, None), "single run");
    let bare = ask(&arm("a", &[12.0]), &arm("b", &[3.0]), BETTER);
    assert_eq!((bare.difference, bare.p, bare.test), (9.0, None, None));
    // Margins are for recipes.
    let by = ask(&on(0.9922), &on(0.5), Question::Greater { margin: 0.1 });
    assert_eq!((by.p, by.test), (None, None));
}

#[test]
fn seeds_that_all_agree_are_no_infinite_evidence() {
    let (a, b) = (arm("a", &[0.2; 3]), arm("b", &[0.1; 3]));
    too_small(&verdict(&a, &b, BETTER), "do not vary");
    // On a known test set of 50 images the difference is well within its noise.
    let (a, b) = (a.on_test_set(50).unwrap(), b.on_test_set(50).unwrap());
    assert!(matches!(
        verdict(&a, &b, BETTER),
        Verdict::WithinNoise { .. }
    ));
}

#[test]
fn the_noise_of_the_test_set_joins_that_of_the_seeds() {
    let images = 1_000;
    let side = |right: usize, flips: [&[usize]; 3]| {
        let runs = (1..).zip(flips);
        runs.map(|(seed, flipped)| run(seed, images, right, flipped))
            .collect::<Vec<_>>()
    };
    // One side is better on twelve images, under every seed but for a few answers.
    let a = Arm::new("a", side(912, [&[3], &[999], &[5]])).unwrap();
    let b = Arm::new("b", side(900, [&[3, 4], &[998], &[7]])).unwrap();
    let compared = ask(&a, &b, BETTER);
    let noise = compared.noise.unwrap();
    let images_alone = (0.012 * 0.988 / 999.0f64).sqrt();
    assert!(
        (noise.images.unwrap() / images_alone - 1.0).abs() < 0.03,
        "{noise:?}"
    );
    assert!(noise.standard_error > noise.seeds && noise.seeds > 0.0);
    let expected = Test::Paired {
        pooled: false,
        images: Images::Answers,
    };
    assert_eq!(compared.test, Some(expected));
    // Without the answers the images count as independent: far more noise.
    let counts = |arm: &Arm| {
        let values = arm.outcomes().iter().map(|run| (run.seed, run.value));
        Arm::of_values("counts", values)
            .unwrap()
            .on_test_set(1_000)
            .unwrap()
    };
    let binomial = ask(&counts(&a), &counts(&b), BETTER).noise.unwrap();
    assert!(binomial.images.unwrap() > 3.0 * noise.images.unwrap());
    assert_eq!(binomial.seeds, noise.seeds);
    // On different images their noises add up.
    let longer = Arm::new(
        "longer",
        (1..=3)
            .map(|seed| run(seed, 1_200, 1_080, &[seed as usize]))
            .collect(),
    );
    let apart = ask(&a, &longer.unwrap(), BETTER).noise.unwrap();
    assert!(apart.images.unwrap() > 3.0 * noise.images.unwrap());
    // A loss has no count to be noisy.
    assert_eq!(ask(&high(), &low(), BETTER).noise.unwrap().images, None);
}

#[test]
fn a_margin_asks_for_more_or_forgives_some() {
    let by = |margin| verdict(&high(), &low(), Question::Greater { margin });
    assert_eq!(by(0.0), Verdict::Reproduced);
    assert!(matches!(by(0.0022), Verdict::WithinNoise { .. }));
    assert_eq!(by(0.01), Verdict::Contradicted);
    assert_eq!(
        verdict(&low(), &high(), Question::Greater { margin: -0.005 }),
        Verdict::Reproduced
    );
}

#[test]
fn no_improvement_must_be_shown_and_is_not_what_remains() {
    let claim = Question::NotGreater { margin: 0.001 };
    assert_eq!(verdict(&low(), &high(), claim), Verdict::Reproduced);
    assert_eq!(verdict(&high(), &low(), claim), Verdict::Contradicted);
    let loose = arm("loose", &[0.9880, 0.9935, 0.9905]);
    // Not significantly better, and not shown to be no better either.
    assert!(matches!(
        verdict(&loose, &low(), claim),
        Verdict::WithinNoise { .. }
    ));
}

#[test]
fn reaching_means_equal_within_a_margin_and_not_merely_untold_apart() {
    let a = arm("a", &[0.880, 0.882, 0.881, 0.8805]);
    let near = arm("near", &[0.881, 0.8815, 0.880, 0.882]);
    let far = arm("far", &[0.780, 0.785, 0.778, 0.781]);
    let loose = arm("loose", &[0.80, 0.95, 0.85, 0.92]);
    let reaches = Question::About {
        expected: 0.0,
        margin: 0.01,
    };
    assert_eq!(verdict(&a, &near, reaches), Verdict::Reproduced);
    assert_eq!(verdict(&a, &far, reaches), Verdict::Contradicted);
    assert_eq!(verdict(&far, &a, reaches), Verdict::Contradicted);
    assert!(matches!(
        verdict(&a, &loose, reaches),
        Verdict::WithinNoise { .. }
    ));
    let ten = Question::About {
        expected: 0.1,
        margin: 0.01,
    };
    assert_eq!(verdict(&a, &far, ten), Verdict::Reproduced);
}

#[test]
fn a_ratio_is_judged_on_logarithms_and_shown_as_a_ratio() {
    let (slow, fast) = (
        arm("slow", &[100.0, 104.0, 99.0]),
        arm("fast", &[10.1, 9.9, 10.3]),
    );
    let about = |ratio| Question::Ratio { ratio, factor: 1.5 };
    let ten = ask(&slow, &fast, about(10.0));
    assert!((ten.difference - 10.0).abs() < 0.1 && ten.interval.unwrap().contains(10.0));
    assert!(ten.detectable.unwrap() > 1.0);
    assert_eq!(judge(ten, None), Verdict::Reproduced);
    assert_eq!(verdict(&slow, &fast, about(3.0)), Verdict::Contradicted);
    let setting = Setting::default();
    let reported = compare_with_reported(&slow, 10.0, about(10.0), &setting).unwrap();
    assert!((reported.difference - 10.1).abs() < 0.1);
    let zero = compare(&slow, &arm("zero", &[0.0, 1.0]), about(3.0), &setting);
    assert!(zero.unwrap_err().to_string().contains("above 0"));
}

#[test]
fn a_reported_number_is_beaten_or_missed_by_seeds() {
    let against = |reported, question| {
        let setting = Setting::default();
        judge(
            compare_with_reported(&high(), reported, question, &setting).unwrap(),
            None,
        )
    };
    assert_eq!(against(0.9905, BETTER), Verdict::Reproduced);
    assert_eq!(against(0.995, BETTER), Verdict::Contradicted);
    // "The reported number is above ours."
    let below = Question::NotGreater { margin: 0.0 };
    assert_eq!(against(0.995, below), Verdict::Reproduced);
}

#[test]
fn a_pooled_spread_moderates_lucky_and_unlucky_ones() {
    // Two pairs that agree by chance: alone they seem sure.
    let (a, b) = (arm("a", &[0.9921, 0.9931]), arm("b", &[0.9911, 0.99205]));
    assert_eq!(verdict(&a, &b, BETTER), Verdict::Reproduced);
    let setting = Setting {
        differences: pooled(0.001),
        ..Setting::default()
    };
    let compared = compare(&a, &b, BETTER, &setting).unwrap();
    assert!((compared.noise.unwrap().seed_deviation - 0.001).abs() < 1e-12);
    assert!(compared.test.unwrap().description().contains("pooled"));
    assert!(matches!(judge(compared, None), Verdict::WithinNoise { .. }));
    // Two that disagree by chance: alone they say nothing, though they are far apart.
    let (a, b) = (arm("a", &[0.9921, 0.9951]), arm("b", &[0.9881, 0.9891]));
    assert!(matches!(
        verdict(&a, &b, BETTER),
        Verdict::WithinNoise { .. }
    ));
    let compared = compare(&a, &b, BETTER, &setting).unwrap();
    assert_eq!(judge(compared, None), Verdict::Reproduced);
    // Welch's test takes the spread of single runs.
    let setting = Setting {
        runs: pooled(0.001),
        ..Setting::default()
    };
    let b = elsewhere("b", &[0.9801]);
    let compared = compare(&a, &b, BETTER, &setting).unwrap();
    let noise = compared.noise.unwrap();
    assert!((noise.standard_error - 0.001 * 1.5f64.sqrt()).abs() < 1e-12);
    assert!((noise.single_run - 0.001 * 2.0f64.sqrt()).abs() < 1e-12);
}

#[test]
fn a_gap_that_single_runs_cannot_show_is_undecidable_as_reported() {
    let (a, b) = (
        arm("a", &[0.9921, 0.9917, 0.9923, 0.9915]),
        elsewhere("b", &[0.9915, 0.9922, 0.9919, 0.9917]),
    );
    let setting = Setting {
        runs: pooled(0.001),
        ..Setting::default()
    };
    let compared = compare(&a, &b, BETTER, &setting).unwrap();
    match judge(compared.clone(), Some(0.0004)) {
        Verdict::UndecidableAsReported { gap, noise, seeds } => {
            assert_eq!(gap, 0.0004);
            assert!((noise - 0.001 * 2.0f64.sqrt()).abs() < 1e-12);
            // 2 (1.645 + 0.842)² (0.001 / 0.0004)² = 77.3, and Student's t asks for one more or two.
            assert!((78..=79).contains(&seeds.unwrap()), "{seeds:?}");
        }
        other => panic!("{other:?}"),
    }
    match judge(compared.clone(), Some(0.0001)) {
        Verdict::UndecidableAsReported { seeds, .. } => {
            assert!((1236..=1239).contains(&seeds.unwrap()), "{seeds:?}");
        }
        other => panic!("{other:?}"),
    }
    // 1.645 deviations of the difference of two runs, 0.0023, are decidable: ours was in vain.
    let vain = judge(compared.clone(), Some(0.0024));
    assert!(matches!(
        vain,
        Verdict::WithinNoise {
            detectable: Some(_)
        }
    ));
    assert!(matches!(judge(compared, None), Verdict::WithinNoise { .. }));
    // Our own data come first.
    let clear = compare(
        &high(),
        &elsewhere("low", &low().values()),
        BETTER,
        &Setting::default(),
    );
    assert_eq!(judge(clear.unwrap(), Some(1e-9)), Verdict::Reproduced);
}

#[test]
fn no_number_of_seeds_makes_up_for_few_images() {
    let on = |name, values: &[f64]| arm(name, values).on_test_set(100).unwrap();
    let (a, b) = (on("a", &[0.90, 0.91, 0.89]), on("b", &[0.90, 0.90, 0.91]));
    match verdict_with_gap(&a, &b, 0.01) {
        Verdict::UndecidableAsReported { seeds, .. } => assert_eq!(seeds, None),
        other => panic!("{other:?}"),
    }
    // Nor does any show a gap on the wrong side of the claim.
    match verdict_with_gap(&a, &b, -0.01) {
        Verdict::UndecidableAsReported { seeds, .. } => assert_eq!(seeds, None),
        other => panic!("{other:?}"),
    }
}

fn verdict_with_gap(a: &Arm, b: &Arm, gap: f64) -> Verdict {
    judge(ask(a, b, BETTER), Some(gap))
}

fn part(name: &str, a: &Arm, b: &Arm) -> Part {
    let evidence = Evidence::compared(ask(a, b, BETTER), None);
    Part::new(name, evidence)
}

#[test]
fn what_passes_alone_may_not_pass_among_many() {
    let (a, b) = (
        arm("a", &[0.9921, 0.9917, 0.9923]),
        arm("b", &[0.9914, 0.9913, 0.9911]),
    );
    assert_eq!(
        family(vec![part("alone", &a, &b)])[0].verdict,
        Verdict::Reproduced
    );
    let among = family(vec![part("among", &a, &b); 10]);
    assert!(matches!(among[0].verdict, Verdict::WithinNoise { .. }));
    let p: Vec<f64> = vec![ask(&a, &b, BETTER).p.unwrap(); 10];
    assert_eq!(among[3].p_adjusted, Some(holm(&p).unwrap()[3]));
    // What could not be tested is no test to correct for.
    let nothing = || Evidence::NotRun {
        reason: "no time".into(),
    };
    let mut parts = vec![Part::new("nothing", nothing()); 9];
    parts.push(part("tested", &a, &b));
    parts.push(part("single", &arm("x", &[1.0]), &arm("y", &[2.0])));
    let judged = family(parts);
    assert_eq!(judged[9].verdict, Verdict::Reproduced);
    assert_eq!((judged[0].p_adjusted, judged[10].p_adjusted), (None, None));
}

#[test]
fn evidence_for_and_against_are_corrected_separately() {
    let judged = family(vec![
        part("yes", &high(), &low()),
        part("no", &low(), &high()),
    ]);
    let p = ask(&high(), &low(), BETTER).p.unwrap();
    assert_eq!(judged[0].p_adjusted, Some(2.0 * p));
    assert_eq!(judged[1].p_opposite_adjusted, Some(2.0 * p));
    assert_eq!(
        judged[1].p_adjusted,
        Some(1.0 - p).map(|q: f64| q.max(2.0 * p))
    );
    assert_eq!(judged[0].verdict, Verdict::Reproduced);
    assert_eq!(judged[1].verdict, Verdict::Contradicted);
}

fn best(candidate: &Arm, rivals: &[(&Arm, Option<f64>)]) -> Judged {
    let evidence = best_of(candidate, rivals, &Setting::default()).unwrap();
    family(vec![Part::new("best", evidence)]).remove(0)
}

#[test]
fn the_best_must_beat_every_rival_and_loses_to_any() {
    let (second, third) = (low(), arm("third", &[0.950, 0.9615, 0.955]));
    let all = best(&high(), &[(&second, None), (&third, None)]);
    let p = |judged: &Judged, rival: usize| match &judged.part.evidence {
        Evidence::BestOf { rivals } => (
            rivals[rival].comparison.p.unwrap(),
            rivals[rival].comparison.p_opposite.unwrap(),
            rivals[rival].p_opposite_adjusted.unwrap(),
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!(all.verdict, Verdict::Reproduced);
    // The weakest lead counts, uncorrected: all of them must be there.
    assert_eq!(all.p_adjusted, Some(p(&all, 0).0.max(p(&all, 1).0)));

    let beaten = best(&second, &[(&high(), None), (&third, None)]);
    assert_eq!(beaten.verdict, Verdict::Contradicted);
    // The strongest defeat counts, twice: it was picked from two.
    assert_eq!(beaten.p_opposite_adjusted, Some(2.0 * p(&beaten, 0).1));
    assert_eq!(beaten.p_opposite_adjusted, Some(p(&beaten, 0).2));

    let tie = arm("tie", &[0.9922, 0.9916, 0.9926]);
    let tied = best(&high(), &[(&second, Some(0.001)), (&tie, Some(0.0))]);
    assert!(matches!(
        tied.verdict,
        Verdict::UndecidableAsReported { gap: 0.0, .. }
    ));
    let tied = best(&high(), &[(&second, None), (&tie, None)]);
    assert!(matches!(tied.verdict, Verdict::WithinNoise { .. }));

    let single = arm("single", &[0.7]);
    let open = best(&high(), &[(&second, None), (&single, None)]);
    too_small(&open.verdict, "against single");
    // A rival that wins is enough, whatever the others.
    let lost = best(&second, &[(&single, None), (&high(), None)]);
    assert_eq!(lost.verdict, Verdict::Contradicted);
}

fn given(evidence: Evidence) -> Part {
    Part::new("given", evidence)
}

#[test]
fn a_claim_is_as_good_as_its_worst_part_and_says_how_many() {
    let holds = |holds| given(Evidence::Settled { holds });
    let reason = || "because".to_owned();
    let small = given(Evidence::TooSmall { reason: reason() });
    let missing = given(Evidence::NotRun { reason: reason() });
    let noise = part(
        "noise",
        &arm("a", &[1.0, 2.0, 3.0]),
        &arm("b", &[2.0, 2.0, 2.1]),
    );
    let summary = |parts: &[&Part]| {
        let parts = parts.iter().map(|part| (*part).clone()).collect();
        let whole = overall(&family(parts));
        assert_eq!(
            whole.verdict.name(),
            whole.summary().split(" in ").next().unwrap()
        );
        whole.summary()
    };
    let (yes, no) = (holds(true), holds(false));
    assert_eq!(summary(&[&yes]), "reproduced");
    assert_eq!(summary(&[&yes, &yes]), "reproduced in all 2 parts");
    assert_eq!(
        summary(&[&yes, &no, &yes]),
        "contradicted in 1 of 3 parts; 2 reproduced"
    );
    assert_eq!(
        summary(&[&missing, &no, &noise]),
        "contradicted in 1 of 3 parts; 1 within noise, 1 not run"
    );
    assert_eq!(
        summary(&[&yes, &noise, &small, &missing]),
        "not run in 1 of 4 parts; 1 reproduced, 1 within noise, 1 too small to decide"
    );
    assert_eq!(
        summary(&[&noise, &small]),
        "too small to decide in 1 of 2 parts; 1 within noise"
    );
    assert_eq!(
        summary(&[&yes, &noise]),
        "within noise in 1 of 2 parts; 1 reproduced"
    );
    assert_eq!(summary(&[]), "not run");
}

#[test]
fn a_look_holds_its_p_values_against_its_own_level() {
    let looks = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    let design = Design::new(&looks, Alpha::default(), Spending::OBrienFleming).unwrap();
    let at = |look, b: &Arm| {
        let setting = Setting::at(&design, look).unwrap();
        let comparison = compare(&high(), b, BETTER, &setting).unwrap();
        let evidence = Evidence::compared(comparison, None);
        judge_family(vec![Part::new("part", evidence)], &design)
            .unwrap()
            .remove(0)
    };
    let near = arm("near", &[0.9911, 0.9909, 0.9913]);
    let comparison = |judged: &Judged| match &judged.part.evidence {
        Evidence::Compared { comparison, .. } => (**comparison).clone(),
        other => panic!("{other:?}"),
    };
    let first = at(1, &near);
    let p = comparison(&first).p.unwrap();
    assert!(design.levels()[0] < p && p < design.levels()[1], "{p}");
    assert!(!first.verdict.decided() && first.needs_more(&design));
    let level = 1.0 - 2.0 * design.levels()[0];
    assert!((comparison(&first).level - level).abs() < 1e-12);
    assert!(comparison(&first).interval.unwrap().contains(0.0));
    let second = at(2, &near);
    assert_eq!(second.verdict, Verdict::Reproduced);
    assert!(!second.needs_more(&design));
    assert!(comparison(&second).interval.unwrap().low > 0.0);
    let same = arm("same", &[0.9922, 0.9916, 0.9924]);
    assert!(at(2, &same).needs_more(&design) && !at(3, &same).needs_more(&design));
    // The overall rate is what the adjusted p is held against.
    for look in 1..=3 {
        let judged = at(look, &near);
        let significant = judged.p_adjusted.unwrap() < 0.05;
        assert_eq!(significant, p < design.levels()[look - 1]);
    }
}

#[test]
fn a_repeated_p_value_is_no_smaller_and_keeps_the_order() {
    for spending in [Spending::OBrienFleming, Spending::Pocock] {
        let design = Design::new(&[0.3, 0.6, 1.0], Alpha::default(), spending).unwrap();
        for look in 1..=3 {
            let p = [0.0, 1e-9, 1e-5, 0.003, 0.04, 0.9];
            let repeated = p.map(|p| design.repeated_p(look, p).unwrap());
            assert!(repeated.is_sorted(), "{repeated:?}");
            assert!(repeated.iter().zip(p).all(|(repeated, p)| *repeated >= p));
        }
    }
}

#[test]
fn a_ranking_separates_by_pairs_where_seeds_are_shared() {
    let (a, b) = ([5.0, 1.0, 9.0, 3.0], [4.0, 0.1, 8.1, 2.1]);
    let (first, second) = (arm("a", &a), arm("b", &b));
    let places = |arms: &[&Arm]| -> Vec<usize> {
        let ranked = rank(arms, &Setting::default()).unwrap();
        ranked.iter().map(|ranked| ranked.place).collect()
    };
    assert_eq!(places(&[&second, &first]), [1, 2]);
    assert_eq!(places(&[&elsewhere("b", &b), &first]), [1, 1]);
    let setting = Setting {
        runs: pooled(0.01),
        ..Setting::default()
    };
    let ranked = rank(&[&elsewhere("b", &b), &first], &setting).unwrap();
    assert_eq!(ranked[1].beaten_by, ["a"]);
}

#[test]
fn verdicts_survive_json_and_speak_in_words() {
    let part = part("part", &high(), &low());
    let single = best_of(
        &high(),
        &[(&arm("one", &[0.1]), Some(0.2))],
        &Setting::default(),
    );
    let judged = family(vec![part, Part::new("best", single.unwrap())]);
    let json = serde_json::to_string(&judged).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Judged>>(&json).unwrap(), judged);
    for words in [
        r#""verdict":{"verdict":"reproduced"}"#,
        r#""question":{"claim":"greater","margin":0.0}"#,
        r#""test":{"kind":"paired","pooled":false,"images":"ignored"}"#,
        r#""verdict":"too_small""#,
    ] {
        assert!(json.contains(words), "{words} in {json}");
    }
    let whole = overall(&judged);
    let json = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str(&json).ok(), Some(whole));
    let design = Design::new(&[0.5, 1.0], Alpha::default(), Spending::Pocock).unwrap();
    let json = serde_json::to_string(&design).unwrap();
    assert_eq!(serde_json::from_str::<Design>(&json).unwrap(), design);
    let reason = String::new;
    let all = [
        (Verdict::Reproduced, "reproduced"),
        (Verdict::Contradicted, "contradicted"),
        (Verdict::WithinNoise { detectable: None }, "within noise"),
        (
            Verdict::TooSmall { reason: reason() },
            "too small to decide",
        ),
        (Verdict::NotRun { reason: reason() }, "not run"),
    ];
    for (verdict, name) in all {
        assert_eq!(verdict.name(), name);
        assert!(verdict.description().ends_with('.'));
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
fn equal_shares_are_no_evidence_even_at_the_ends() {
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
