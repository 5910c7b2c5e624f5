//! Every update rule against PyTorch and Keras, step by step, and its state across a stop.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use hw_train::optimizer::RULES;
use hw_train::{Optimizer, OptimizerState};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What `fixtures/train/make_train.py` writes.
#[derive(Deserialize)]
struct Golden {
    shapes: BTreeMap<String, Vec<usize>>,
    initial: HashMap<String, Vec<f32>>,
    gradients: Vec<HashMap<String, Vec<f32>>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    library: String,
    learning_rates: Vec<f32>,
    optimizer: Optimizer,
    /// The name under which these constants, the library's own, can be asked for.
    preset: Option<String>,
    weights: Vec<HashMap<String, Vec<f32>>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../fixtures/train/optimizers.json")).unwrap()
}

fn parameters(golden: &Golden) -> Vec<(String, Var)> {
    golden
        .shapes
        .iter()
        .map(|(name, shape)| (name.clone(), var(&golden.initial[name], shape)))
        .collect()
}

fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_slice(values, shape, &Device::Cpu).unwrap()
}

/// Gradients that are exactly those given: the derivative of `Σ w g` by `w` is `g`.
fn gradients(parameters: &[(String, Var)], given: &HashMap<String, Vec<f32>>) -> GradStore {
    let mut loss = Tensor::new(0f32, &Device::Cpu).unwrap();
    for (name, var) in parameters
        .iter()
        .filter(|(name, _)| given.contains_key(name))
    {
        let g = Tensor::from_slice(&given[name], var.shape(), &Device::Cpu).unwrap();
        let product = var.as_tensor().mul(&g).unwrap().sum_all().unwrap();
        loss = loss.add(&product).unwrap();
    }
    loss.backward().unwrap()
}

fn values(var: &Var) -> Vec<f32> {
    var.flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(parameters: &[(String, Var)]) -> Vec<Vec<u32>> {
    let of = |(_, var): &(String, Var)| values(var).iter().map(|v| v.to_bits()).collect();
    parameters.iter().map(of).collect()
}

#[test]
fn twenty_steps_of_every_rule_are_those_of_pytorch_and_keras() {
    let golden = golden();
    assert_eq!((golden.cases.len(), golden.gradients.len()), (20, 20));
    for case in &golden.cases {
        let parameters = parameters(&golden);
        let mut state = OptimizerState::new(case.optimizer, &parameters);
        for (step, given) in golden.gradients.iter().enumerate() {
            let gradients = gradients(&parameters, given);
            state
                .step(&parameters, &gradients, case.learning_rates[step])
                .unwrap();
            for (name, var) in &parameters {
                let expected = &case.weights[step][name];
                assert_eq!(expected.len(), var.elem_count());
                for (index, (found, wanted)) in values(var).iter().zip(expected).enumerate() {
                    assert!(
                        (found - wanted).abs() < 1e-6,
                        "{:?}, step {}: {name}[{index}] is {found}, {} has {wanted}",
                        case.optimizer,
                        step + 1,
                        case.library
                    );
                }
            }
        }
        assert_eq!(state.steps(), 20);
    }
}

#[test]
fn every_rule_has_the_constants_of_both_libraries() {
    let cases = golden().cases;
    for rule in RULES {
        for library in ["keras", "pytorch"] {
            let name = format!("{library}:{}", rule.name);
            let has_name = |case: &&Case| case.preset.as_deref() == Some(&name);
            let case = cases
                .iter()
                .find(has_name)
                .unwrap_or_else(|| panic!("{name}"));
            assert_eq!(name.parse(), Ok(case.optimizer), "{name}");
        }
    }
}

#[test]
fn a_state_exported_half_way_continues_to_the_same_bits() {
    let golden = golden();
    for case in &golden.cases {
        let rule = case.optimizer;
        let (whole, stopped) = (parameters(&golden), parameters(&golden));
        let mut never_stopped = OptimizerState::new(rule, &whole);
        let mut state = OptimizerState::new(rule, &stopped);
        for (step, given) in golden.gradients.iter().enumerate() {
            if step == 7 {
                let exported = state.export(&stopped);
                state = OptimizerState::import(rule, &stopped, 7, exported).unwrap();
            }
            let rate = case.learning_rates[step];
            never_stopped
                .step(&whole, &gradients(&whole, given), rate)
                .unwrap();
            state
                .step(&stopped, &gradients(&stopped, given), rate)
                .unwrap();
            assert_eq!(bits(&whole), bits(&stopped), "{rule:?}, step {}", step + 1);
        }
        assert_eq!(never_stopped.export(&whole), state.export(&stopped));
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_as_it_is() {
    let mut golden = golden();
    golden.gradients[0].remove("bias");
    for case in &golden.cases {
        let parameters = parameters(&golden);
        let mut state = OptimizerState::new(case.optimizer, &parameters);
        let before = (state.export(&parameters), bits(&parameters));
        let gradients = gradients(&parameters, &golden.gradients[0]);
        state.step(&parameters, &gradients, 0.1).unwrap();
        for (index, (name, _)) in parameters.iter().enumerate() {
            let moved = bits(&parameters)[index] != before.1[index];
            assert_eq!(moved, name == "matrix", "{:?}: {name}", case.optimizer);
        }
        let after = state.export(&parameters);
        let of_bias = |key: &&String| key.ends_with(".bias");
        for key in after.keys().filter(of_bias) {
            assert_eq!(after[key], before.0[key], "{key}");
        }
    }
}

type Slots = BTreeMap<String, Vec<f32>>;

fn adam_state() -> (Vec<(String, Var)>, Slots) {
    let parameters = parameters(&golden());
    let state = OptimizerState::new(Optimizer::default(), &parameters).export(&parameters);
    assert_eq!(state.len(), 4);
    (parameters, state)
}

fn refusal(parameters: &[(String, Var)], state: Slots) -> String {
    OptimizerState::import(Optimizer::default(), parameters, 1, state).unwrap_err()
}

#[test]
fn a_missing_slot_is_refused_by_its_name() {
    let (parameters, mut state) = adam_state();
    state.remove("moment2.matrix");
    let problem = refusal(&parameters, state);
    assert_eq!(problem, "optimizer state 'moment2.matrix' is missing");
}

#[test]
fn a_slot_of_another_length_is_refused_by_its_name_and_both_lengths() {
    let (parameters, mut state) = adam_state();
    state.get_mut("moment1.bias").unwrap().push(0.0);
    let problem = refusal(&parameters, state);
    assert_eq!(
        problem,
        "optimizer state 'moment1.bias' has 3 numbers, not 2"
    );
}

#[test]
fn a_slot_of_no_parameter_is_refused_by_its_name() {
    let (parameters, mut state) = adam_state();
    state.insert("velocity.bias".into(), vec![0.0; 2]);
    let problem = refusal(&parameters, state);
    assert_eq!(
        problem,
        "optimizer state 'velocity.bias' belongs to no parameter"
    );
}
