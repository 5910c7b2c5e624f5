//! Plain gradient descent.

use super::{Constant, Step, UpdateRule};
use hw_kernels::vectorised;
use serde::{Deserialize, Serialize};

/// `w -= lr g`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {}

impl UpdateRule<0> for Sgd {
    const NAME: &'static str = "sgd";
    const ABOUT: &'static str = "w -= lr g";
    const SOURCE: &'static str = "Robbins & Monro 1951";
    const LEARNING_RATE: f32 = 0.1;
    const SLOTS: [&'static str; 0] = [];

    fn keras() -> Option<Self> {
        Some(Self {})
    }

    fn pytorch() -> Option<Self> {
        Some(Self {})
    }

    fn constants(&self) -> Vec<Constant> {
        vec![]
    }

    fn update(&self, w: &mut [f32], []: [&mut [f32]; 0], g: &[f32], step: Step) {
        descend(w, g, step.learning_rate);
    }
}

vectorised! {
    fn descend(w: &mut [f32], g: &[f32], lr: f32) {
        for (w, g) in w.iter_mut().zip(g) {
            *w -= lr * g;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_goes_down_the_gradient() {
        let mut w = [1.0, 2.0];
        Sgd {}.update(&mut w, [], &[4.0, -2.0], Step::first(0.25));
        assert_eq!(w, [0.0, 2.5]);
    }
}
