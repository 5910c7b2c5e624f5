//! AdamW.

use super::adam::{Adam, AdamEpsilon};
use super::{Constant, Step, UpdateRule};
use serde::{Deserialize, Serialize};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019), on every parameter:
/// `w -= lr decay w`, then as [`Adam`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamw {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added: PyTorch's place or Keras's.
    pub epsilon: AdamEpsilon,
    /// Fraction of a weight lost in a step, times the learning rate (Keras .004, PyTorch .01).
    pub weight_decay: f32,
}

impl Adamw {
    const fn with(adam: Adam, weight_decay: f32) -> Self {
        Self {
            beta1: adam.beta1,
            beta2: adam.beta2,
            eps: adam.eps,
            epsilon: adam.epsilon,
            weight_decay,
        }
    }

    const fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            epsilon: self.epsilon,
        }
    }
}

impl Default for Adamw {
    fn default() -> Self {
        Self::with(Adam::default(), 0.01)
    }
}

impl UpdateRule<2> for Adamw {
    const NAME: &'static str = "adamw";
    const ABOUT: &'static str = "Adam with decoupled weight decay";
    const SOURCE: &'static str = "Loshchilov & Hutter 2019";
    const LEARNING_RATE: f32 = 1e-3;
    const SLOTS: [&'static str; 2] = Adam::SLOTS;

    fn keras() -> Option<Self> {
        Adam::keras().map(|adam| Self::with(adam, 0.004))
    }

    fn pytorch() -> Option<Self> {
        Adam::pytorch().map(|adam| Self::with(adam, 0.01))
    }

    fn constants(&self) -> Vec<Constant> {
        let mut constants = self.adam().constants();
        constants.push(Constant::not_negative("weight_decay", self.weight_decay));
        constants
    }

    fn update(&self, w: &mut [f32], moments: [&mut [f32]; 2], g: &[f32], step: Step) {
        let decay = f64::from(step.learning_rate) * f64::from(self.weight_decay);
        let keep = (1.0 - decay) as f32;
        w.iter_mut().for_each(|w| *w *= keep);
        self.adam().update(w, moments, g, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_gradient_weights_only_decay() {
        let (mut w, mut m, mut v) = ([8.0], [0.0], [0.0]);
        let rule = Adamw {
            weight_decay: 0.5,
            ..Adamw::default()
        };
        rule.update(&mut w, [&mut m, &mut v], &[0.0], Step::first(0.25));
        assert_eq!(w, [7.0]);
    }
}
