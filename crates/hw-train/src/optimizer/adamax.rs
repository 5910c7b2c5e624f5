//! Adamax.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// Adam with the infinity norm (Kingma & Ba 2015, algorithm 2): `m = β₁m + (1-β₁)g`, `u = max(β₂u, |g|)`,
/// `w -= lr m / ((1-β₁ᵗ) u)` at step `t`, counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamax {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the infinity norm.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added: PyTorch's place or Keras's.
    pub epsilon: AdamaxEpsilon,
}

/// Where Adamax adds its epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdamaxEpsilon {
    /// To the size of each gradient: `u = max(β₂u, |g| + eps)` (PyTorch).
    Gradient,
    /// To the norm: `w -= ... / (u + eps)` (Keras).
    Norm,
}

impl Default for Adamax {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            epsilon: AdamaxEpsilon::Gradient,
        }
    }
}

impl UpdateRule<2> for Adamax {
    const NAME: &'static str = "adamax";
    const ABOUT: &'static str = "Adam with the infinity norm";
    const SOURCE: &'static str = "Kingma & Ba 2015, algorithm 2";
    const LEARNING_RATE: f32 = 2e-3;
    const SLOTS: [&'static str; 2] = ["moment1", "norm"];

    fn keras() -> Option<Self> {
        Some(Self {
            eps: 1e-7,
            epsilon: AdamaxEpsilon::Norm,
            ..Self::default()
        })
    }

    fn pytorch() -> Option<Self> {
        Some(Self::default())
    }

    fn constants(&self) -> Vec<Constant> {
        vec![
            Constant::fraction("beta1", self.beta1),
            Constant::fraction("beta2", self.beta2),
            Constant::positive("eps", self.eps),
        ]
    }

    fn update(&self, w: &mut [f32], [m, u]: [&mut [f32]; 2], g: &[f32], step: Step) {
        let first = 1.0 - f64::from(self.beta1).powf(step.number as f64);
        let rate = (f64::from(step.learning_rate) / first) as f32;
        let (on_gradient, on_norm) = match self.epsilon {
            AdamaxEpsilon::Gradient => (self.eps, 0.0),
            AdamaxEpsilon::Norm => (0.0, self.eps),
        };
        let betas = [self.beta1, self.beta2];
        over_norm(w, m, u, g, betas, rate, on_gradient, on_norm);
    }
}

vectorised! {
    fn over_norm(
        w: &mut [f32],
        m: &mut [f32],
        u: &mut [f32],
        g: &[f32],
        betas: [f32; 2],
        rate: f32,
        on_gradient: f32,
        on_norm: f32,
    ) {
        let [beta1, beta2] = betas;
        for (((w, m), u), g) in w.iter_mut().zip(m).zip(u).zip(g) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            let (old, new) = (beta2 * *u, g.abs() + on_gradient);
            // The unusual comparison lets NaN through.
            *u = if new <= old { old } else { new };
            *w -= rate * *m / (*u + on_norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_the_largest_of_the_decaying_gradients_and_never_hides_nan() {
        let (mut w, mut m, mut u) = ([0.0; 3], [0.0; 3], [4.0; 3]);
        let rule = Adamax {
            beta2: 0.5,
            epsilon: AdamaxEpsilon::Norm,
            ..Adamax::default()
        };
        let g = [1.0, -3.0, f32::NAN];
        rule.update(&mut w, [&mut m, &mut u], &g, Step::first(0.1));
        assert_eq!(u[..2], [2.0, 3.0]);
        assert!(u[2].is_nan() && w[2].is_nan());
    }
}
