//! Nadam.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// Adam with Nesterov's momentum (Dozat 2016): `m` and `v` as in [`super::adam::Adam`],
/// `m̂ = µₜ₊₁ m / (1 - µ₁..µₜ₊₁) + (1-µₜ) g / (1 - µ₁..µₜ)`, `w -= lr m̂ / (√v̂ + eps)` at step `t`, counted
/// from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nadam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// How fast the momentum warms up: `µₜ = β₁ (1 - 0.96^(t decay) / 2)` (Keras 1, PyTorch .004).
    pub momentum_decay: f32,
}

impl Default for Nadam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            momentum_decay: 0.004,
        }
    }
}

impl Nadam {
    /// The momentum of step `step`, counted from 1.
    fn momentum(&self, step: u64) -> f64 {
        let warmth = 0.96f64.powf(step as f64 * f64::from(self.momentum_decay));
        f64::from(self.beta1) * (1.0 - 0.5 * warmth)
    }
}

impl UpdateRule<2> for Nadam {
    const NAME: &'static str = "nadam";
    const ABOUT: &'static str = "Adam with Nesterov's momentum";
    const SOURCE: &'static str = "Dozat 2016";
    const LEARNING_RATE: f32 = 1e-3;
    const SLOTS: [&'static str; 2] = ["moment1", "moment2"];

    fn keras() -> Option<Self> {
        Some(Self {
            eps: 1e-7,
            momentum_decay: 1.0,
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
            Constant::not_negative("momentum_decay", self.momentum_decay),
        ]
    }

    fn factor(&self, step: u64) -> f64 {
        self.momentum(step)
    }

    fn update(&self, w: &mut [f32], [m, v]: [&mut [f32]; 2], g: &[f32], step: Step) {
        let (now, next) = (self.momentum(step.number), self.momentum(step.number + 1));
        let lr = f64::from(step.learning_rate);
        let on_moment = (lr * next / (1.0 - step.product * next)) as f32;
        let on_gradient = (lr * (1.0 - now) / (1.0 - step.product)) as f32;
        let second = 1.0 - f64::from(self.beta2).powf(step.number as f64);
        let correction = (1.0 / second.sqrt()) as f32;
        let rates = [on_moment, on_gradient, correction];
        along_both(w, m, v, g, self.beta1, self.beta2, self.eps, rates);
    }
}

vectorised! {
    fn along_both(
        w: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        g: &[f32],
        beta1: f32,
        beta2: f32,
        eps: f32,
        rates: [f32; 3],
    ) {
        let [on_moment, on_gradient, correction] = rates;
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w -= (on_moment * *m + on_gradient * g) / (v.sqrt() * correction + eps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_momentum_warms_up_to_beta1() {
        let rule = Nadam {
            momentum_decay: 1.0,
            ..Nadam::default()
        };
        assert!((rule.factor(1) - 0.9 * 0.52).abs() < 1e-7);
        assert!((rule.factor(1000) - 0.9).abs() < 1e-7);
    }
}
