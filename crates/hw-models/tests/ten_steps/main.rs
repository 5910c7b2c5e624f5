//! Ten training steps of every network of the catalogue, against PyTorch's.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod golden;

use candle_core::DType;
use golden::{Case, Golden, LEAST_CHANGE_F32, LEAST_CHANGE_F64, Outcome};
use hw_models::zoo;

fn golden() -> Golden {
    Golden::read(env!("CARGO_MANIFEST_DIR")).unwrap()
}

/// How far f32 may be from PyTorch's f32: a tensor, over its norm.
const WEIGHTS: f64 = 1e-4;

/// And what was added to it, over that: the sharper one, since most of a tensor is still what it was. PyTorch's
/// own f32 is up to 1.4e-3 from its f64, in a bias before batch normalization, whose gradient is all rounding.
const LEARNED: f64 = 5e-3;

/// And the losses: PyTorch's own f32 is up to 3e-4 from its f64, in ResNet-50, which normalizes over few cells 53
/// times in a row and so makes rounding large.
const LOSSES: f64 = 1e-3;

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

/// In f64 nothing is left but the order of sums, which ten steps make larger where rounding crosses a kink.
#[test]
fn ten_steps_by_the_reference_in_f64_are_those_of_pytorch() {
    let golden = golden();
    for case in &golden.networks {
        let outcome = golden.by_reference(case, DType::F64).unwrap();
        let off = outcome.deviation(&case.f64, LEAST_CHANGE_F64);
        println!("{}: {off:?}", case.name);
        let close = off.weights.0 < 1e-9 && off.learned.0 < 1e-7 && off.losses < 1e-9;
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
