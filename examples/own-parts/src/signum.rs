//! An optimizer: its constants, its mathematics and nothing else.

use hw_train::optimizer::{Constant, Step, UpdateRule};
use serde::{Deserialize, Serialize};

/// Sign descent with momentum (Bernstein et al. 2018, algorithm 2): `m = β m + (1-β) g`, `w -= lr sign(m)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signum {
    /// Decay of the momentum.
    pub beta: f32,
}

impl Default for Signum {
    fn default() -> Self {
        Self { beta: 0.9 }
    }
}

impl UpdateRule<1> for Signum {
    const NAME: &'static str = "signum";
    const ABOUT: &'static str = "the sign of a momentum";
    const SOURCE: &'static str = "Bernstein, Wang, Azizzadenesheli & Anandkumar 2018";
    const LEARNING_RATE: f32 = 1e-3;
    const SLOTS: [&'static str; 1] = ["momentum"];

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::fraction("beta", self.beta)]
    }

    fn update(&self, w: &mut [f32], [m]: [&mut [f32]; 1], g: &[f32], step: Step) {
        for ((w, m), g) in w.iter_mut().zip(m).zip(g) {
            *m = self.beta * *m + (1.0 - self.beta) * g;
            // `signum` has no 0, and a weight without any gradient stays where it is.
            if *m != 0.0 {
                *w -= step.learning_rate * m.signum();
            }
        }
    }
}
