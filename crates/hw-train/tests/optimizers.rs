//! Every update rule against PyTorch and Keras, step by step, and its state across a stop.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use hw_train::{Optimizer, OptimizerState};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;
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
        let mut state = OptimizerState::new(case.optimizer.clone(), &parameters);
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
fn a_rule_has_the_constants_of_each_library_that_has_the_rule() {
    let cases = golden().cases;
    for rule in Optimizer::all() {
        for (library, preset) in [("keras", rule.keras()), ("pytorch", rule.pytorch())] {
            let name = format!("{library}:{}", rule.name());
            let has_name = |case: &&Case| case.preset.as_deref() == Some(&name);
            let expected = cases.iter().find(has_name).map(|case| &case.optimizer);
            assert_eq!(preset.as_ref(), expected, "{name}");
            assert_eq!(name.parse().ok().as_ref(), expected, "{name}");
        }
    }
}

#[test]
fn a_state_exported_half_way_continues_to_the_same_bits() {
    let golden = golden();
    for case in &golden.cases {
        let rule = &case.optimizer;
        let (whole, stopped) = (parameters(&golden), parameters(&golden));
        let mut never_stopped = OptimizerState::new(rule.clone(), &whole);
        let mut state = OptimizerState::new(rule.clone(), &stopped);
        for (step, given) in golden.gradients.iter().enumerate() {
            if step == 7 {
                let exported = state.export(&stopped);
                state = OptimizerState::import(rule.clone(), &stopped, 7, exported).unwrap();
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
        let mut state = OptimizerState::new(case.optimizer.clone(), &parameters);
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

/// A case of `fixtures/kernels/make_kernels.py`: the weights' path, and what is kept for each at its end.
struct Recorded<'a> {
    name: &'a str,
    tensors: &'a SafeTensors<'a>,
}

impl Recorded<'_> {
    fn values(&self, key: &str) -> Vec<f32> {
        let tensor = self.tensors.tensor(&format!("{}/{key}", self.name));
        let tensor = tensor.unwrap();
        let words = tensor.data().chunks_exact(4);
        words
            .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    fn close(&self, key: &str, ours: &[f32]) {
        let truth = self.values(key);
        assert_eq!(ours.len(), truth.len());
        for (i, (ours, truth)) in ours.iter().zip(&truth).enumerate() {
            let near = (ours - truth).abs() <= 2e-6 * (truth.abs() + 1.0);
            assert!(near, "{}/{key}[{i}]: {ours} for {truth}", self.name);
        }
    }
}

#[test]
fn what_is_kept_for_each_weight_is_what_pytorch_keeps() {
    let kept = [
        ("velocity", "momentum_buffer"),
        ("accumulator", "sum"),
        ("moment1", "exp_avg"),
        ("moment2", "exp_avg_sq"),
    ];
    let bytes = include_bytes!("../../../fixtures/kernels/golden.safetensors");
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let cases = &header.metadata().as_ref().unwrap()["cases"];
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    let tensors = &SafeTensors::deserialize(bytes).unwrap();
    let ops = ["sgd", "momentum", "adagrad", "adam"];
    let cases = cases
        .iter()
        .filter(|case| ops.iter().any(|op| case["op"] == *op));
    let mut slots_seen = 0;
    for case in cases {
        let mut rule = case["settings"].as_object().unwrap().clone();
        let lr = rule.remove("lr").unwrap().as_f64().unwrap() as f32;
        let name = match rule.remove("nesterov") {
            Some(Value::Bool(true)) => Value::from("nesterov"),
            _ => case["op"].clone(),
        };
        rule.insert("name".into(), name);
        let rule: Optimizer = serde_json::from_value(Value::Object(rule)).unwrap();

        let name = case["name"].as_str().unwrap();
        let recorded = Recorded { name, tensors };
        let (path, gradients) = (recorded.values("path"), recorded.values("gradients"));
        let count = path.len() - gradients.len();
        let mut w = path[..count].to_vec();
        let parameters = [("w".to_string(), var(&w, &[count]))];
        let mut state = OptimizerState::new(rule, &parameters);
        let mut walked = w.clone();
        for gradient in gradients.chunks_exact(count) {
            state.begin_step();
            state.update(0, &mut w, gradient, lr);
            walked.extend(&w);
        }
        recorded.close("path", &walked);
        for (slot, values) in state.export(&parameters) {
            let (_, key) = kept
                .iter()
                .find(|(own, _)| slot == format!("{own}.w"))
                .unwrap();
            recorded.close(key, &values);
            slots_seen += 1;
        }
    }
    assert_eq!(slots_seen, 11);
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
