//! RMSprop.

use super::adagrad::RootEpsilon;
use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// RMSprop (Tieleman & Hinton 2012): `v = ρ v + (1-ρ) g²`, `w -= lr g / (√v + eps)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rmsprop {
    /// Decay of the mean square (Keras .9, PyTorch .99).
    pub rho: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added: PyTorch's place or Keras's.
    pub epsilon: RootEpsilon,
}

impl Default for Rmsprop {
    fn default() -> Self {
        Self {
            rho: 0.99,
            eps: 1e-8,
            epsilon: RootEpsilon::Outside,
        }
    }
}

impl UpdateRule<1> for Rmsprop {
    const NAME: &'static str = "rmsprop";
    const ABOUT: &'static str = "gradients over the root of their decaying mean square";
    const SOURCE: &'static str = "Tieleman & Hinton 2012";
    const LEARNING_RATE: f32 = 1e-3;
    const SLOTS: [&'static str; 1] = ["mean_square"];

    fn keras() -> Option<Self> {
        Some(Self {
            rho: 0.9,
            eps: 1e-7,
            epsilon: RootEpsilon::Inside,
        })
    }

    fn pytorch() -> Option<Self> {
        Some(Self::default())
    }

    fn constants(&self) -> Vec<Constant> {
        vec![
            Constant::fraction("rho", self.rho),
            Constant::positive("eps", self.eps),
        ]
    }

    fn update(&self, w: &mut [f32], [v]: [&mut [f32]; 1], g: &[f32], step: Step) {
        let (inside, outside) = match self.epsilon {
            RootEpsilon::Outside => (0.0, self.eps),
            RootEpsilon::Inside => (self.eps, 0.0),
        };
        scaled_by_root(w, v, g, step.learning_rate, self.rho, inside, outside);
    }
}

vectorised! {
    fn scaled_by_root(
        w: &mut [f32],
        v: &mut [f32],
        g: &[f32],
        lr: f32,
        rho: f32,
        inside: f32,
        outside: f32,
    ) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = rho * *v + (1.0 - rho) * g * g;
            *w -= lr * g / ((*v + inside).sqrt() + outside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_that_stays_ends_in_steps_of_the_learning_rate() {
        let (mut w, mut v) = ([0.0], [0.0]);
        let rule = Rmsprop {
            rho: 0.5,
            ..Rmsprop::default()
        };
        let mut before = 0.0;
        for _ in 0..40 {
            before = w[0];
            rule.update(&mut w, [&mut v], &[-3.0], Step::first(0.125));
        }
        assert!((w[0] - before - 0.125).abs() < 1e-5, "{w:?}");
    }
}
