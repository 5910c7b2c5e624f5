//! Lion.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// Lion (Chen et al. 2023, algorithm 2): `c = β₁m + (1-β₁)g`, `w -= lr (sign(c) + decay w)`,
/// `m = β₂m + (1-β₂)g`. Every weight moves by the learning rate, so that it wants to be smaller than
/// Adam's, and the decay larger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// The momentum's part in the direction of a step.
    pub beta1: f32,
    /// Decay of the momentum.
    pub beta2: f32,
    /// Fraction of a weight lost in a step, times the learning rate.
    pub weight_decay: f32,
}

impl Default for Lion {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
        }
    }
}

impl UpdateRule<1> for Lion {
    const NAME: &'static str = "lion";
    const ABOUT: &'static str = "the sign of a momentum, every weight by the learning rate";
    const SOURCE: &'static str = "Chen et al. 2023";
    const LEARNING_RATE: f32 = 1e-4;
    const SLOTS: [&'static str; 1] = ["moment"];

    fn constants(&self) -> Vec<Constant> {
        vec![
            Constant::fraction("beta1", self.beta1),
            Constant::fraction("beta2", self.beta2),
            Constant::not_negative("weight_decay", self.weight_decay),
        ]
    }

    fn update(&self, w: &mut [f32], [m]: [&mut [f32]; 1], g: &[f32], step: Step) {
        let betas = [self.beta1, self.beta2];
        along_signs(w, m, g, step.learning_rate, betas, self.weight_decay);
    }
}

vectorised! {
    fn along_signs(
        w: &mut [f32],
        m: &mut [f32],
        g: &[f32],
        lr: f32,
        betas: [f32; 2],
        weight_decay: f32,
    ) {
        let [beta1, beta2] = betas;
        for ((w, m), g) in w.iter_mut().zip(m).zip(g) {
            let direction = beta1 * *m + (1.0 - beta1) * g;
            // `signum` has no 0, and a weight without any gradient must stay.
            let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
            *w -= lr * (sign + weight_decay * *w);
            *m = beta2 * *m + (1.0 - beta2) * g;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Tensors = BTreeMap<String, Vec<f32>>;

    /// What `fixtures/train/make_train.py` and `make_lion.py` write.
    #[derive(Deserialize)]
    struct Problem {
        initial: Tensors,
        gradients: Vec<Tensors>,
    }

    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        learning_rates: Vec<f32>,
        optimizer: crate::Optimizer,
        weights: Vec<Tensors>,
    }

    #[test]
    fn twenty_steps_are_those_of_the_paper() {
        let problem = include_str!("../../../../fixtures/train/optimizers.json");
        let problem: Problem = serde_json::from_str(problem).unwrap();
        let golden = include_str!("../../../../fixtures/train/lion.json");
        let golden: Golden = serde_json::from_str(golden).unwrap();
        assert_eq!((golden.cases.len(), problem.gradients.len()), (2, 20));
        for case in golden.cases {
            for (name, start) in &problem.initial {
                let mut w = start.clone();
                let mut state = crate::OptimizerState::flat(case.optimizer.clone(), w.len());
                for (step, gradients) in problem.gradients.iter().enumerate() {
                    state.begin_step();
                    state.update(0, &mut w, &gradients[name], case.learning_rates[step]);
                    for (found, wanted) in w.iter().zip(&case.weights[step][name]) {
                        let near = (found - wanted).abs() < 1e-6;
                        assert!(near, "step {step}, {name}: {found} for {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_weight_that_never_had_a_gradient_stays() {
        let (mut w, mut m) = ([1.0, 1.0], [0.0; 2]);
        Lion::default().update(&mut w, [&mut m], &[0.0, -0.0], Step::first(0.5));
        assert_eq!(w, [1.0, 1.0]);
    }
}
