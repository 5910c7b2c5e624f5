//! The losses against PyTorch and Keras, with their gradients, and at the limits of f32.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{DType, Device, Tensor, Var};
use hw_kernels::{KernelError, LossTerms};
use serde::Deserialize;

/// What `fixtures/kernels/make_losses.py` writes.
#[derive(Deserialize)]
struct Case {
    gamma: f32,
    smoothing: f32,
    class_weights: Option<Vec<f32>>,
    library: String,
    logits: Vec<Vec<f32>>,
    labels: Vec<u32>,
    loss: f64,
    gradient: Vec<Vec<f64>>,
}

fn loss_and_gradient(logits: &Tensor, labels: &[u32], terms: &LossTerms) -> (f64, Vec<Vec<f64>>) {
    let logits = Var::from_tensor(logits).unwrap();
    let labels = Tensor::new(labels, &Device::Cpu).unwrap();
    let loss = hw_kernels::softmax_loss(&logits, &labels, terms).unwrap();
    let gradients = (&loss * 2.0).unwrap().backward().unwrap();
    let gradient = (gradients.get(&logits).unwrap() / 2.0).unwrap();
    let value = loss.to_dtype(DType::F64).unwrap().to_scalar().unwrap();
    let gradient = gradient.to_dtype(DType::F64).unwrap().to_vec2().unwrap();
    (value, gradient)
}

#[test]
fn every_loss_and_its_gradient_are_those_of_pytorch_and_keras_in_both_precisions() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../fixtures/kernels/losses.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for case in &cases {
        let terms = LossTerms {
            gamma: case.gamma,
            smoothing: case.smoothing,
            class_weights: case.class_weights.clone().map(Into::into),
        };
        let what = format!("{terms:?}, {}", case.library);
        for dtype in [DType::F32, DType::F64] {
            let logits = Tensor::new(case.logits.clone(), &Device::Cpu).unwrap();
            let logits = logits.to_dtype(dtype).unwrap();
            let (loss, gradient) = loss_and_gradient(&logits, &case.labels, &terms);
            assert!(
                (loss - case.loss).abs() < 1e-6 * (1.0 + case.loss),
                "{what}: {loss}"
            );
            for (ours, theirs) in gradient.concat().iter().zip(case.gradient.concat()) {
                assert!((ours - theirs).abs() < 1e-6, "{what}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn without_terms_the_loss_has_the_bits_of_cross_entropy() {
    let logits = Tensor::new(&[[0.5f32, -2.0, 3.0], [1.0, 1.0, -40.0]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[2u32, 2], &Device::Cpu).unwrap();
    let bits = |loss: Tensor| loss.to_scalar::<f32>().unwrap().to_bits();
    let plain = hw_kernels::softmax_cross_entropy(&logits, &labels).unwrap();
    let with = hw_kernels::softmax_loss(&logits, &labels, &LossTerms::default()).unwrap();
    assert_eq!(bits(plain), bits(with));
}

#[test]
fn a_certain_answer_has_a_finite_loss_and_gradient_whatever_gamma_is() {
    let logits = Tensor::new(&[[1e4f32, -1e4, 0.0], [-1e4, 1e4, 0.0]], &Device::Cpu).unwrap();
    for gamma in [0.25, 1.0, 5.0] {
        let terms = LossTerms {
            gamma,
            ..LossTerms::default()
        };
        let (loss, gradient) = loss_and_gradient(&logits, &[0, 0], &terms);
        assert!(loss.is_finite(), "{gamma}: {loss}");
        assert!(gradient.concat().iter().all(|g| g.is_finite()), "{gamma}");
        assert_eq!(gradient[0], [0.0; 3]);
    }
}

#[test]
fn class_weights_of_another_number_of_classes_are_refused() {
    let logits = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32], &Device::Cpu).unwrap();
    let terms = LossTerms {
        class_weights: Some([1.0f32, 2.0][..].into()),
        ..LossTerms::default()
    };
    let error = hw_kernels::softmax_loss(&logits, &labels, &terms).unwrap_err();
    assert!(matches!(error, KernelError::Shape { .. }), "{error}");
}
