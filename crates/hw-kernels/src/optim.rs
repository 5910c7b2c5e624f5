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

/// Adam (Kingma & Ba 2015), step number `step` counted from 1: `m = β₁m + (1-β₁)g`,
/// `v = β₂v + (1-β₂)g²`, `w -= lr m̂ / (sqrt(v̂) + eps)`.
pub fn adam(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], step: u64, settings: &Adam) {
    let s = *settings;
    let power = |beta: f32| f64::from(beta).powf(step.max(1) as f64);
    let (first, second) = (1.0 - power(s.beta1), (1.0 - power(s.beta2)).sqrt());
    // lr m/first / (sqrt(v)/second + eps)  =  lr second/first m / (sqrt(v) + eps second)
    let rate = (f64::from(s.lr) * second / first) as f32;
    let eps = match s.epsilon {
        AdamEpsilon::Corrected => (f64::from(s.eps) * second) as f32,
        AdamEpsilon::Raw => s.eps,
    };
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
