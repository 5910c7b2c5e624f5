//! Fused in-place optimizer steps on raw parameters, for the training loop: one pass over memory,
//! in parallel for large parameters, the same bits for any number of threads.
//!
//! All slices of a call have the length of `w`; the steps panic where they have not.

use crate::cpu::parallel::CHUNK;
use crate::cpu::simd::vectorised;
use rayon::prelude::*;

/// Runs `step(w, state, gradient)` on pieces of all slices, in parallel for large ones.
fn pieces<const N: usize>(
    w: &mut [f32],
    states: [&mut [f32]; N],
    g: &[f32],
    step: impl Fn(&mut [f32], [&mut [f32]; N], &[f32]) + Sync,
) {
    assert!(states.iter().all(|state| state.len() == w.len()) && g.len() == w.len());
    if w.len() <= CHUNK {
        return step(w, states, g);
    }
    let mut states = states.map(|state| state.chunks_mut(CHUNK));
    let pieces: Vec<_> = w
        .chunks_mut(CHUNK)
        .zip(g.chunks(CHUNK))
        .map(|(w, g)| {
            let states = states
                .each_mut()
                .map(|state| state.next().unwrap_or_default());
            (w, states, g)
        })
        .collect();
    pieces
        .into_par_iter()
        .for_each(|(w, states, g)| step(w, states, g));
}

/// Plain gradient descent: `w -= lr g`.
pub fn sgd(w: &mut [f32], g: &[f32], lr: f32) {
    pieces(w, [], g, |w, [], g| sgd_piece(w, g, lr));
}

vectorised! {
    fn sgd_piece(w: &mut [f32], g: &[f32], lr: f32) {
        for (w, g) in w.iter_mut().zip(g) {
            *w -= lr * g;
        }
    }
}

/// Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013), as PyTorch writes it:
/// `v = momentum v + g`, then `w -= lr v`, or with `nesterov` `w -= lr (g + momentum v)`.
pub fn momentum(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32, nesterov: bool) {
    pieces(w, [v], g, |w, [v], g| {
        if nesterov {
            nesterov_piece(w, v, g, lr, momentum);
        } else {
            momentum_piece(w, v, g, lr, momentum);
        }
    });
}

vectorised! {
    fn momentum_piece(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + g;
            *w -= lr * *v;
        }
    }
}

vectorised! {
    fn nesterov_piece(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + g;
            *w -= lr * (g + momentum * *v);
        }
    }
}

/// Gradient descent with momentum as Keras writes it, with the learning rate inside the velocity:
/// `v = momentum v - lr g`, then `w += v`, or with `nesterov` `w += momentum v - lr g`. The same as
/// [`momentum`] while the learning rate stays the same.
pub fn scaled_momentum(
    w: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    lr: f32,
    momentum: f32,
    nesterov: bool,
) {
    pieces(w, [v], g, |w, [v], g| {
        if nesterov {
            scaled_nesterov_piece(w, v, g, lr, momentum);
        } else {
            scaled_momentum_piece(w, v, g, lr, momentum);
        }
    });
}

vectorised! {
    fn scaled_momentum_piece(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v - lr * g;
            *w += *v;
        }
    }
}

vectorised! {
    fn scaled_nesterov_piece(w: &mut [f32], v: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v - lr * g;
            *w += momentum * *v - lr * g;
        }
    }
}

/// Where AdaGrad and RMSprop add their epsilon.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RootEpsilon {
    /// To the root: `sqrt(h) + eps` (PyTorch).
    #[default]
    Outside,
    /// Under the root: `sqrt(h + eps)` (Keras).
    Inside,
}

impl RootEpsilon {
    /// The two places' share of `eps`: under the root and beside it.
    fn split(self, eps: f32) -> (f32, f32) {
        match self {
            Self::Outside => (0.0, eps),
            Self::Inside => (eps, 0.0),
        }
    }
}

/// AdaGrad with Keras's epsilon: `h += g²`, `w -= lr g / sqrt(h + eps)`.
pub fn adagrad_inside(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
    pieces(w, [h], g, |w, [h], g| {
        adagrad_inside_piece(w, h, g, lr, eps)
    });
}

vectorised! {
    fn adagrad_inside_piece(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
        for ((w, h), g) in w.iter_mut().zip(h).zip(g) {
            *h += g * g;
            *w -= lr * g / (*h + eps).sqrt();
        }
    }
}

/// Settings of [`rmsprop`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Step size.
    pub lr: f32,
    /// Decay of the mean square.
    pub rho: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added.
    pub epsilon: RootEpsilon,
}

/// RMSprop (Tieleman & Hinton 2012): `v = ρ v + (1-ρ) g²`, `w -= lr g / (sqrt(v) + eps)`.
pub fn rmsprop(w: &mut [f32], v: &mut [f32], g: &[f32], settings: &RmsProp) {
    let s = *settings;
    let (inside, outside) = s.epsilon.split(s.eps);
    pieces(w, [v], g, |w, [v], g| {
        rmsprop_piece(w, v, g, s.lr, s.rho, inside, outside);
    });
}

vectorised! {
    fn rmsprop_piece(
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

/// AdaGrad (Duchi et al. 2011): `h += g²`, `w -= lr g / (sqrt(h) + eps)`.
pub fn adagrad(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
    pieces(w, [h], g, |w, [h], g| adagrad_piece(w, h, g, lr, eps));
}

vectorised! {
    fn adagrad_piece(w: &mut [f32], h: &mut [f32], g: &[f32], lr: f32, eps: f32) {
        for ((w, h), g) in w.iter_mut().zip(h).zip(g) {
            *h += g * g;
            *w -= lr * g / (h.sqrt() + eps);
        }
    }
}

/// Where Adam adds its epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdamEpsilon {
    /// To the root of the bias-corrected second moment (Kingma & Ba 2015, algorithm 1; PyTorch).
    Corrected,
    /// To the root of the raw second moment ("epsilon hat" of section 2; Keras, TensorFlow).
    Raw,
}

/// Settings of [`adam`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Adam {
    /// Step size.
    pub lr: f32,
    /// Decay of the first moment, usually 0.9.
    pub beta1: f32,
    /// Decay of the second moment, usually 0.999.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added.
    pub epsilon: AdamEpsilon,
}

impl Adam {
    /// The factor of the raw first moment and the epsilon beside the raw second moment's root:
    /// `lr m/first / (sqrt(v)/second + eps)  =  lr second/first m / (sqrt(v) + eps second)`.
    fn rate_and_eps(&self, step: u64) -> (f32, f32) {
        let power = |beta: f32| f64::from(beta).powf(step.max(1) as f64);
        let (first, second) = (1.0 - power(self.beta1), (1.0 - power(self.beta2)).sqrt());
        let rate = (f64::from(self.lr) * second / first) as f32;
        let eps = match self.epsilon {
            AdamEpsilon::Corrected => (f64::from(self.eps) * second) as f32,
            AdamEpsilon::Raw => self.eps,
        };
        (rate, eps)
    }
}

/// Adam (Kingma & Ba 2015), step number `step` counted from 1: `m = β₁m + (1-β₁)g`,
/// `v = β₂v + (1-β₂)g²`, `w -= lr m̂ / (sqrt(v̂) + eps)`.
pub fn adam(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], step: u64, settings: &Adam) {
    let s = *settings;
    let (rate, eps) = s.rate_and_eps(step);
    pieces(w, [m, v], g, |w, [m, v], g| {
        adam_piece(w, m, v, g, s.beta1, s.beta2, rate, eps);
    });
}

vectorised! {
    fn adam_piece(
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

/// AdamW (Loshchilov & Hutter 2019): `w -= lr decay w`, then as [`adam`].
pub fn adamw(
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    step: u64,
    settings: &Adam,
    weight_decay: f32,
) {
    let s = *settings;
    let (rate, eps) = s.rate_and_eps(step);
    let keep = (1.0 - f64::from(s.lr) * f64::from(weight_decay)) as f32;
    pieces(w, [m, v], g, |w, [m, v], g| {
        w.iter_mut().for_each(|w| *w *= keep);
        adam_piece(w, m, v, g, s.beta1, s.beta2, rate, eps);
    });
}

/// Where Adamax adds its epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdamaxEpsilon {
    /// To the size of each gradient: `u = max(β₂u, |g| + eps)` (PyTorch).
    Gradient,
    /// To the norm: `w -= ... / (u + eps)` (Keras).
    Norm,
}

/// Settings of [`adamax`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    /// Step size.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the infinity norm.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// Where `eps` is added.
    pub epsilon: AdamaxEpsilon,
}

/// Adamax (Kingma & Ba 2015, algorithm 2), step number `step` counted from 1:
/// `m = β₁m + (1-β₁)g`, `u = max(β₂u, |g|)`, `w -= lr m / ((1-β₁ᵗ) u)`.
pub fn adamax(
    w: &mut [f32],
    m: &mut [f32],
    u: &mut [f32],
    g: &[f32],
    step: u64,
    settings: &Adamax,
) {
    let s = *settings;
    let first = 1.0 - f64::from(s.beta1).powf(step.max(1) as f64);
    let rate = (f64::from(s.lr) / first) as f32;
    let (on_gradient, on_norm) = match s.epsilon {
        AdamaxEpsilon::Gradient => (s.eps, 0.0),
        AdamaxEpsilon::Norm => (0.0, s.eps),
    };
    pieces(w, [m, u], g, |w, [m, u], g| {
        adamax_piece(w, m, u, g, s.beta1, s.beta2, rate, on_gradient, on_norm);
    });
}

vectorised! {
    fn adamax_piece(
        w: &mut [f32],
        m: &mut [f32],
        u: &mut [f32],
        g: &[f32],
        beta1: f32,
        beta2: f32,
        rate: f32,
        on_gradient: f32,
        on_norm: f32,
    ) {
        for (((w, m), u), g) in w.iter_mut().zip(m).zip(u).zip(g) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            let (old, new) = (beta2 * *u, g.abs() + on_gradient);
            // The unusual comparison lets NaN through.
            *u = if new <= old { old } else { new };
            *w -= rate * *m / (*u + on_norm);
        }
    }
}

/// Settings of [`nadam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
    /// Step size.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division finite.
    pub eps: f32,
    /// How fast the momentum warms up: step `t` has `µₜ = β₁ (1 - 0.96^(t decay) / 2)`.
    pub momentum_decay: f32,
}

impl Nadam {
    /// The momentum of step `step`, counted from 1.
    pub fn momentum(&self, step: u64) -> f64 {
        let warmth = 0.96f64.powf(step as f64 * f64::from(self.momentum_decay));
        f64::from(self.beta1) * (1.0 - 0.5 * warmth)
    }
}

/// Nadam (Dozat 2016), step number `step` counted from 1, given `product = µ₁ µ₂ ... µₜ`:
/// `m` and `v` as in [`adam`], `m̂ = µₜ₊₁ m / (1 - µ₁..µₜ₊₁) + (1-µₜ) g / (1 - µ₁..µₜ)`,
/// `w -= lr m̂ / (sqrt(v̂) + eps)`.
pub fn nadam(
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    step: u64,
    product: f64,
    settings: &Nadam,
) {
    let s = *settings;
    let (now, next) = (s.momentum(step), s.momentum(step + 1));
    let lr = f64::from(s.lr);
    let on_moment = (lr * next / (1.0 - product * next)) as f32;
    let on_gradient = (lr * (1.0 - now) / (1.0 - product)) as f32;
    let second = 1.0 - f64::from(s.beta2).powf(step.max(1) as f64);
    let correction = (1.0 / second.sqrt()) as f32;
    let rates = [on_moment, on_gradient, correction];
    pieces(w, [m, v], g, |w, [m, v], g| {
        nadam_piece(w, m, v, g, s.beta1, s.beta2, s.eps, rates);
    });
}

vectorised! {
    fn nadam_piece(
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

/// Moving average of weights: `average += share (w - average)`.
pub fn average(average: &mut [f32], w: &[f32], share: f32) {
    pieces(average, [], w, |average, [], w| {
        average_piece(average, w, share)
    });
}

vectorised! {
    fn average_piece(average: &mut [f32], w: &[f32], share: f32) {
        for (average, w) in average.iter_mut().zip(w) {
            *average += share * (w - *average);
        }
    }
}
