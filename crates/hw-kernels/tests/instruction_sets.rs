//! The same bits on every instruction set, where no multiplication is fused with an addition.
//!
//! One test alone in its process: it changes what all kernels use.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

mod bits;

use bits::optimizer_steps;
use hw_core::rng::Rng;
use hw_kernels::cpu::simd::Isa;
use hw_kernels::cpu::{activation, dropout, softmax};
use hw_kernels::nhwc::{norm, pool};
use hw_kernels::{Activation, Pool2dConfig, Windows};

const CHANNELS: usize = 13;

/// Every elementwise kernel on the same numbers, as bits.
fn elementwise() -> Vec<Vec<u32>> {
    let mut rng = Rng::stream(3, "instruction sets", 0);
    let mut draw = || -> Vec<f32> { (0..10 * 12 * CHANNELS).map(|_| rng.normal()).collect() };
    let (x, dy) = (draw(), draw());
    let mut results = vec![optimizer_steps(0..50_000)];
    let mut keep = |floats: &[f32]| results.push(floats.iter().map(|x| x.to_bits()).collect());
    let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for function in Activation::ALL {
        activation::forward(function, &x, &mut y);
        activation::backward(function, &x, &y, &dy, &mut dx);
        keep(&y);
        keep(&dx);
    }
    softmax::softmax(&x, &mut y, CHANNELS, 1);
    keep(&y);
    dropout::apply(&x, &mut y, 0.4, 5);
    keep(&y);
    let mut moments = norm::Moments::new(CHANNELS);
    moments.add_rows(&x);
    keep(&moments.mean);
    keep(&moments.spread);
    norm::affine_relu(&x, &moments.mean, &moments.spread, &dy, &mut y);
    keep(&y);
    let windows = Windows::of_pool("max_pool2d", [10, 12], &Pool2dConfig::square(2)).unwrap();
    let (mut y, mut winners) = (vec![0.0; x.len() / 4], vec![0; x.len() / 4]);
    pool::max_forward(&windows, CHANNELS, &x, &mut y, &mut winners);
    pool::max_backward(&windows, CHANNELS, &winners, &y, &mut dx);
    keep(&y);
    keep(&dx);
    results
}

#[test]
fn elementwise_loops_give_the_same_bits_on_every_instruction_set() {
    Isa::limit(Isa::Portable);
    let portable = elementwise();
    for isa in [Isa::Avx2, Isa::Avx512] {
        Isa::limit(isa);
        for (i, (portable, wide)) in portable.iter().zip(elementwise()).enumerate() {
            assert!(*portable == wide, "result {i} with {isa:?}");
        }
    }
}
