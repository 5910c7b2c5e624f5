//! Ten training steps of every network of the catalogue, against PyTorch's.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod golden;

use candle_core::DType;
use golden::{Case, Golden, LEARNED, LEAST_CHANGE_F32, LEAST_CHANGE_F64, LOSSES, Outcome};
use golden::{LEARNED_F64, TOLERANCE_F64, WEIGHTS};
use hw_models::zoo;

fn golden() -> Golden {
    Golden::read(env!("CARGO_MANIFEST_DIR")).unwrap()
}

fn assert_close(case: &Case, executor: &str, ours: &Outcome) {
    let off = ours.deviation(&case.f32, LEAST_CHANGE_F32);
    println!("{} {executor}: {off:?}", case.name);
    println!(
        "  from f64: {:?}",
        ours.deviation(&case.f64, LEAST_CHANGE_F32)
    );
    let close = off.losses < LOSSES && off.weights.0 < WEIGHTS && off.learned.0 < LEARNED;
    assert!(close, "{} by {executor}: {off:?}", case.name);
}

#[test]
fn every_network_of_the_catalogue_has_its_ten_steps() {
    let golden = golden();
    let cases: Vec<&str> = golden
        .networks
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    for entry in zoo::CATALOGUE {
        assert!(cases.contains(&entry.name), "{} is missing", entry.name);
    }
}

#[test]
fn ten_steps_by_plan_are_those_of_pytorch() {
    let golden = golden();
    for case in &golden.networks {
        assert_close(case, "plan", &golden.by_plan(case).unwrap());
    }
}

#[test]
fn ten_steps_by_the_reference_are_those_of_pytorch() {
    let golden = golden();
    for case in &golden.networks {
        let outcome = golden.by_reference(case, DType::F32).unwrap();
        assert_close(case, "reference", &outcome);
    }
}

#[test]
fn ten_steps_by_the_reference_in_f64_are_those_of_pytorch() {
    let golden = golden();
    for case in &golden.networks {
        let outcome = golden.by_reference(case, DType::F64).unwrap();
        let off = outcome.deviation(&case.f64, LEAST_CHANGE_F64);
        println!("{}: {off:?}", case.name);
        let close = off.weights.0 < TOLERANCE_F64 && off.losses < TOLERANCE_F64;
        let close = close && off.learned.0 < LEARNED_F64;
        assert!(close, "{}: {off:?}", case.name);
    }
}

/// What the tolerance is worth: nine steps instead of ten are far outside it.
#[test]
fn a_step_too_few_is_no_rounding() {
    let mut golden = golden();
    golden.steps -= 1;
    for case in golden
        .networks
        .iter()
        .filter(|case| case.name.starts_with("lenet5"))
    {
        let mut outcome = golden.by_reference(case, DType::F32).unwrap();
        outcome.losses.clone_from(&case.f32.losses);
        let off = outcome.deviation(&case.f32, LEAST_CHANGE_F32);
        assert!(off.learned.0 > 10.0 * LEARNED, "{}: {off:?}", case.name);
    }
}
