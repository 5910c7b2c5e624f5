//! The bits of every update rule: the same on every instruction set, on any number of threads, and for
//! the parts of a tensor by themselves.
//!
//! One test alone in its process: it changes what all kernels use.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use hw_core::Rng;
use hw_kernels::cpu::simd::Isa;
use hw_train::{Optimizer, OptimizerState};
use std::ops::Range;

/// More than two pieces of work.
const WEIGHTS: usize = 40_003;

/// The weights numbered by `range` after a few steps.
fn walked(rule: &Optimizer, range: Range<usize>) -> Vec<u32> {
    let draw = |purpose: u64| -> Vec<f32> {
        let mut rng = Rng::stream(3, "steps", purpose);
        let all: Vec<f32> = (0..WEIGHTS).map(|_| rng.normal()).collect();
        all[range.clone()].to_vec()
    };
    let mut w = draw(0);
    let mut state = OptimizerState::flat(rule.clone(), w.len());
    for step in 1..4 {
        state.begin_step();
        state.update(0, &mut w, &draw(step), 0.01);
    }
    w.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_rules_bits_depend_on_nothing_but_its_inputs() {
    let of = |rule: Optimizer| [rule.keras(), Some(rule)];
    for rule in Optimizer::all().into_iter().flat_map(of).flatten() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| walked(&rule, 0..WEIGHTS))
        };
        // SAFETY: no convolution is laid out in this test.
        unsafe { Isa::limit(Isa::Portable) };
        let portable = on(1);
        for isa in [Isa::Avx2, Isa::Avx512] {
            // SAFETY: as above.
            unsafe { Isa::limit(isa) };
            assert!(portable == on(1), "{rule} with {isa:?}");
        }
        assert!(portable == on(3), "{rule} on three threads");
        let parts = [0..7, 7..20_000, 20_000..WEIGHTS];
        let parts = parts.into_iter().flat_map(|part| walked(&rule, part));
        assert!(portable == parts.collect::<Vec<_>>(), "{rule} in parts");
    }
}
