//! Adam.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// Adam (Kingma & Ba 2015): `m = β₁m + (1-β₁)g`, `v = β₂v + (1-β₂)g²`, `w -= lr m̂ / (√v̂ + eps)`, where
/// `m̂ = m / (1-β₁ᵗ)` and `v̂ = v / (1-β₂ᵗ)` at step `t`, counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added: PyTorch's place or Keras's.
    pub epsilon: AdamEpsilon,
}

/// Where Adam adds its epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdamEpsilon {
    /// To the root of the bias-corrected second moment (Kingma & Ba 2015, algorithm 1; PyTorch).
    Corrected,
    /// To the root of the raw second moment ("epsilon hat" of section 2; Keras, TensorFlow).
    Raw,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            epsilon: AdamEpsilon::Corrected,
        }
    }
}

impl UpdateRule<2> for Adam {
    const NAME: &'static str = "adam";
    const ABOUT: &'static str = "momentum and RMSprop, both corrected for their start";
    const SOURCE: &'static str = "Kingma & Ba 2015";
    const LEARNING_RATE: f32 = 1e-3;
    const SLOTS: [&'static str; 2] = ["moment1", "moment2"];

    fn keras() -> Option<Self> {
        Some(Self {
            eps: 1e-7,
            epsilon: AdamEpsilon::Raw,
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

    fn update(&self, w: &mut [f32], [m, v]: [&mut [f32]; 2], g: &[f32], step: Step) {
        let (rate, eps) = self.rate_and_eps(step);
        along_moments(w, m, v, g, self.beta1, self.beta2, rate, eps);
    }
}

impl Adam {
    /// The factor of the raw first moment and the epsilon beside the raw second moment's root:
    /// `lr m/first / (√v/second + eps)  =  lr second/first m / (√v + eps second)`.
    fn rate_and_eps(&self, step: Step) -> (f32, f32) {
        let power = |beta: f32| f64::from(beta).powf(step.number as f64);
        let (first, second) = (1.0 - power(self.beta1), (1.0 - power(self.beta2)).sqrt());
        let rate = (f64::from(step.learning_rate) * second / first) as f32;
        let eps = match self.epsilon {
            AdamEpsilon::Corrected => (f64::from(self.eps) * second) as f32,
            AdamEpsilon::Raw => self.eps,
        };
        (rate, eps)
    }
}

vectorised! {
    fn along_moments(
        w: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        g: &[f32],
        beta1: f32,
        beta2: f32,
        rate: f32,
        eps: f32,
    ) {
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w -= rate * *m / (v.sqrt() + eps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_whatever_the_gradients_size() {
        let (mut w, mut m, mut v) = ([0.0; 3], [0.0; 3], [0.0; 3]);
        let g = [1e-3, 1.0, -1e3];
        Adam::default().update(&mut w, [&mut m, &mut v], &g, Step::first(0.5));
        for (w, expected) in w.iter().zip([-0.5, -0.5, 0.5]) {
            assert!((w - expected).abs() < 1e-4, "{w} {expected}");
        }
    }
}
