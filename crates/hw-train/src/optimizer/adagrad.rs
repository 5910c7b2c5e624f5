//! AdaGrad.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// AdaGrad (Duchi, Hazan & Singer 2011): `h += g²`, `w -= lr g / (√h + eps)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `h` starts (Keras .1, PyTorch and the original 0).
    pub initial_accumulator: f32,
    /// Where `eps` is added: PyTorch's place or Keras's.
    #[serde(skip_serializing_if = "RootEpsilon::is_outside")]
    pub epsilon: RootEpsilon,
}

/// Where AdaGrad and RMSprop add their epsilon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootEpsilon {
    /// To the root: `√h + eps` (PyTorch).
    #[default]
    Outside,
    /// Under the root: `√(h + eps)` (Keras).
    Inside,
}

impl RootEpsilon {
    fn is_outside(&self) -> bool {
        *self == Self::Outside
    }
}

impl Default for Adagrad {
    fn default() -> Self {
        Self {
            eps: 1e-7,
            initial_accumulator: 0.0,
            epsilon: RootEpsilon::Outside,
        }
    }
}

impl UpdateRule<1> for Adagrad {
    const NAME: &'static str = "adagrad";
    const ABOUT: &'static str = "each weight's rate falls with the gradients it has seen";
    const SOURCE: &'static str = "Duchi, Hazan & Singer 2011";
    const LEARNING_RATE: f32 = 0.01;
    const SLOTS: [&'static str; 1] = ["accumulator"];

    fn keras() -> Option<Self> {
        Some(Self {
            eps: 1e-7,
            initial_accumulator: 0.1,
            epsilon: RootEpsilon::Inside,
        })
    }

    fn pytorch() -> Option<Self> {
        Some(Self {
            eps: 1e-10,
            ..Self::default()
        })
    }

    fn constants(&self) -> Vec<Constant> {
        vec![
            Constant::positive("eps", self.eps),
            Constant::not_negative("initial_accumulator", self.initial_accumulator),
        ]
    }

    fn start(&self) -> [f32; 1] {
        [self.initial_accumulator]
    }

    fn update(&self, w: &mut [f32], [h]: [&mut [f32]; 1], g: &[f32], step: Step) {
        match self.epsilon {
            RootEpsilon::Outside => outside(w, h, g, step.learning_rate, self.eps),
            RootEpsilon::Inside => inside(w, h, g, step.learning_rate, self.eps),
        }
    }
}

vectorised! {
    fn outside(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
        for ((w, h), g) in w.iter_mut().zip(h).zip(g) {
            *h += g * g;
            *w -= lr * g / (h.sqrt() + eps);
        }
    }
}

vectorised! {
    fn inside(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
        for ((w, h), g) in w.iter_mut().zip(h).zip(g) {
            *h += g * g;
            *w -= lr * g / (*h + eps).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilon_lies_outside_or_inside_of_the_root() {
        for (epsilon, divisor) in [(RootEpsilon::Outside, 13.0), (RootEpsilon::Inside, 5.0)] {
            let rule = Adagrad {
                eps: 9.0,
                epsilon,
                ..Adagrad::default()
            };
            let (mut w, mut h) = ([1.0], [0.0]);
            rule.update(&mut w, [&mut h], &[4.0], Step::first(0.5));
            assert_eq!((w, h), ([1.0 - 2.0 / divisor], [16.0]));
        }
    }

    #[test]
    fn the_sum_starts_where_the_constants_say() {
        assert_eq!(Adagrad::default().start(), [0.0]);
        assert_eq!(Adagrad::keras().map(|rule| rule.start()), Some([0.1]));
    }
}
