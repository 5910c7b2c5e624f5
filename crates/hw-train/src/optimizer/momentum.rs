//! Gradient descent with momentum, and Nesterov's form of it.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013): `v = µ v + g`, `w -= lr v`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Momentum {
    /// µ.
    pub momentum: f32,
    /// Whether the velocity sums gradients or steps.
    #[serde(skip_serializing_if = "Velocity::is_of_gradients")]
    pub velocity: Velocity,
}

/// Nesterov's momentum (Sutskever et al. 2013): `v = µ v + g`, `w -= lr (g + µ v)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nesterov {
    /// µ.
    pub momentum: f32,
    /// Whether the velocity sums gradients or steps.
    #[serde(skip_serializing_if = "Velocity::is_of_gradients")]
    pub velocity: Velocity,
}

/// What a velocity is a decaying sum of. The two differ only once the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Velocity {
    /// Of gradients (PyTorch): a new learning rate also scales old gradients.
    #[default]
    Gradients,
    /// Of steps (Keras): `v = µ v - lr g`, then `w += v`, or after Nesterov `w += µ v - lr g`; old
    /// gradients keep the rate of their time.
    Steps,
}

impl Velocity {
    fn is_of_gradients(&self) -> bool {
        *self == Self::Gradients
    }
}

const MOMENTUM: f32 = 0.9;

impl Default for Momentum {
    fn default() -> Self {
        Self {
            momentum: MOMENTUM,
            velocity: Velocity::Gradients,
        }
    }
}

impl Default for Nesterov {
    fn default() -> Self {
        Self {
            momentum: MOMENTUM,
            velocity: Velocity::Gradients,
        }
    }
}

impl UpdateRule<1> for Momentum {
    const NAME: &'static str = "momentum";
    const ABOUT: &'static str = "gradient descent along a decaying sum of gradients";
    const SOURCE: &'static str = "Polyak 1964";
    const LEARNING_RATE: f32 = 0.05;
    const SLOTS: [&'static str; 1] = ["velocity"];

    fn keras() -> Option<Self> {
        Some(Self {
            velocity: Velocity::Steps,
            ..Self::default()
        })
    }

    fn pytorch() -> Option<Self> {
        Some(Self::default())
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::fraction("momentum", self.momentum)]
    }

    fn update(&self, w: &mut [f32], [v]: [&mut [f32]; 1], g: &[f32], step: Step) {
        match self.velocity {
            Velocity::Gradients => of_gradients(w, v, g, step.learning_rate, self.momentum),
            Velocity::Steps => of_steps(w, v, g, step.learning_rate, self.momentum),
        }
    }
}

impl UpdateRule<1> for Nesterov {
    const NAME: &'static str = "nesterov";
    const ABOUT: &'static str = "momentum that looks one step ahead";
    const SOURCE: &'static str = "Nesterov 1983; Sutskever et al. 2013";
    const LEARNING_RATE: f32 = 0.05;
    const SLOTS: [&'static str; 1] = ["velocity"];

    fn keras() -> Option<Self> {
        Some(Self {
            velocity: Velocity::Steps,
            ..Self::default()
        })
    }

    fn pytorch() -> Option<Self> {
        Some(Self::default())
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::fraction("momentum", self.momentum)]
    }

    fn update(&self, w: &mut [f32], [v]: [&mut [f32]; 1], g: &[f32], step: Step) {
        match self.velocity {
            Velocity::Gradients => ahead_of_gradients(w, v, g, step.learning_rate, self.momentum),
            Velocity::Steps => ahead_of_steps(w, v, g, step.learning_rate, self.momentum),
        }
    }
}

vectorised! {
    fn of_gradients(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + g;
            *w -= lr * *v;
        }
    }
}

vectorised! {
    fn ahead_of_gradients(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + g;
            *w -= lr * (g + momentum * *v);
        }
    }
}

vectorised! {
    fn of_steps(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v - lr * g;
            *w += *v;
        }
    }
}

vectorised! {
    fn ahead_of_steps(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v - lr * g;
            *w += momentum * *v - lr * g;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_velocities_take_the_same_steps_while_the_learning_rate_stays() {
        let walk = |velocity, rates: [f32; 2]| {
            let rule = Momentum {
                momentum: 0.5,
                velocity,
            };
            let (mut w, mut v) = ([1.0], [0.0]);
            for rate in rates {
                rule.update(&mut w, [&mut v], &[2.0], Step::first(rate));
            }
            w
        };
        let [gradients, steps] = [Velocity::Gradients, Velocity::Steps];
        assert_eq!(walk(gradients, [0.25, 0.25]), [-0.25]);
        assert_eq!(walk(steps, [0.25, 0.25]), [-0.25]);
        assert_ne!(walk(steps, [0.25, 0.5]), walk(gradients, [0.25, 0.5]));
    }

    #[test]
    fn nesterov_steps_to_where_the_velocity_leads() {
        let (mut w, mut v) = ([1.0], [1.0]);
        let rule = Nesterov {
            momentum: 0.5,
            ..Nesterov::default()
        };
        rule.update(&mut w, [&mut v], &[2.0], Step::first(0.25));
        assert_eq!((w, v), ([1.0 - 0.25 * (2.0 + 0.5 * 2.5)], [2.5]));
    }
}
