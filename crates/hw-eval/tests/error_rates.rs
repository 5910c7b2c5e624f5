//! The instrument errs as often as it says, and not only in theory: `examples/error_rates.rs` prints the
//! same for more settings.

mod simulation;

use hw_eval::{Alpha, Design, Question, Spending};
use simulation::{BETTER, DIGITS, World, family_rates, question_rates, rates, sequential_rates};

/// The share expected, give or take three standard errors of `count` experiments. Draws are seeded, so
/// that what passes once passes always.
#[track_caller]
fn about(share: f64, expected: f64, count: f64) {
    let error = 3.0 * (expected * (1.0 - expected) / count).sqrt();
    assert!(
        (share - expected).abs() < error,
        "{share}, expected {expected} +- {error}"
    );
}

#[track_caller]
fn at_most(share: f64, expected: f64, count: f64) {
    let error = 3.0 * (expected * (1.0 - expected) / count).sqrt();
    assert!(
        share < expected + error,
        "{share}, expected {expected} + {error} at most"
    );
}

#[test]
fn three_seeds_and_a_test_set_err_as_stated_and_pairs_find_what_others_do_not() {
    let world = World {
        correlation: 0.9,
        ..DIGITS
    };
    let null = rates(&world, 3, 250);
    at_most(null.moderated, 0.05, 250.0);
    at_most(null.images, 0.05, 250.0);
    at_most(1.0 - null.coverage, 0.1, 250.0);
    // A bootstrap over three seeds claims 90 % and holds 60.
    assert!(null.percentile < 0.75, "{null:?}");
    let apart = World {
        gap: 0.002,
        ..world
    };
    let apart = rates(&apart, 3, 100);
    // Two deviations of a run: pairs with a pooled spread find it, separate runs do not.
    assert!(apart.moderated > 0.8 && apart.welch < 0.6, "{apart:?}");
    assert!(apart.moderated > apart.images + 0.05, "{apart:?}");
}

#[test]
fn two_seeds_do_not_borrow_the_certainty_of_the_images() {
    let null = rates(&DIGITS, 2, 500);
    at_most(null.images, 0.05, 500.0);
    at_most(null.moderated, 0.05, 500.0);
}

#[test]
fn ten_seeds_alone_mistake_these_images_for_all_images() {
    let world = World {
        correlation: 0.9,
        ..DIGITS
    };
    let null = rates(&world, 10, 150);
    assert!(null.paired > 0.09, "{null:?}");
    at_most(null.images, 0.05, 150.0);
}

#[test]
fn the_paired_test_errs_exactly_as_stated() {
    for seeds in [2, 3, 10] {
        let [yes, no] = question_rates(BETTER, seeds, 0.0, 4_000);
        // An unpaired test would err at a third of the rate, or less.
        about(yes, 0.05, 4_000.0);
        about(no, 0.05, 4_000.0);
    }
}

#[test]
fn equivalence_is_claimed_falsely_as_often_as_stated_and_found_with_enough_seeds() {
    let question = Question::About {
        expected: 0.0,
        margin: 1.5,
    };
    let [yes, no] = question_rates(question, 10, 1.5, 4_000);
    about(yes, 0.05, 4_000.0);
    about(no, 0.05, 4_000.0);
    let [yes, no] = question_rates(question, 10, 0.0, 1_000);
    assert!(yes > 0.97 && no < 0.01, "{yes} {no}");
    let [_, no] = question_rates(question, 3, 4.0, 1_000);
    assert!(no > 0.7, "{no}");
}

#[test]
fn a_family_without_any_difference_has_a_false_verdict_at_most_as_often_as_stated() {
    for share in family_rates(3, 4_000) {
        at_most(share, 0.05, 4_000.0);
        assert!(share > 0.02, "{share}: needlessly strict");
    }
}

#[test]
fn three_looks_err_together_as_often_as_one_and_save_seeds() {
    let thirds = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    for spending in [Spending::OBrienFleming, Spending::Pocock] {
        let design = Design::new(&thirds, Alpha::default(), spending).expect("valid");
        let [wrong, _] = sequential_rates(&design, 9, 0.0, 4_000);
        at_most(wrong, 0.05, 4_000.0);
        assert!(wrong > 0.035, "{wrong}: needlessly strict");
        let [power, seeds] = sequential_rates(&design, 9, 1.0, 2_000);
        assert!(power > 0.7 && seeds < 8.2, "{power} {seeds}");
    }
}
