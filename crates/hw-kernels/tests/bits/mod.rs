//! Results as bits, to be compared between ways of computing them.

use hw_core::rng::Rng;
use hw_kernels::optim::{self, Adam, AdamEpsilon};
use std::ops::Range;

/// The weights after a few steps of every optimizer, one after the other, for the parameters
/// numbered by `range`.
pub(crate) fn optimizer_steps(range: Range<usize>) -> Vec<u32> {
    let draw = |purpose: u64| -> Vec<f32> {
        let mut rng = Rng::stream(3, "steps", purpose);
        let all: Vec<f32> = (0..range.end).map(|_| rng.normal()).collect();
        all[range.clone()].to_vec()
    };
    let mut w = draw(0);
    let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
    let settings = Adam {
        lr: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        epsilon: AdamEpsilon::Corrected,
    };
    for step in 1..4 {
        let g = draw(step);
        optim::sgd(&mut w, &g, 0.1);
        optim::adam(&mut w, &mut m, &mut v, &g, step, &settings);
    }
    m.fill(0.0);
    for nesterov in [false, true] {
        optim::momentum(&mut w, &mut m, &draw(4), 0.1, 0.9, nesterov);
    }
    optim::adagrad(&mut w, &mut v, &draw(5), 0.1, 1e-8);
    w.into_iter().map(f32::to_bits).collect()
}
