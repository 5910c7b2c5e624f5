//! The same bits on every instruction set, where no multiplication is fused with an addition; else the
//! same numbers but for rounding.
//!
//! One test alone in its process: it changes what all kernels use.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use hw_core::rng::Rng;
use hw_kernels::cpu::simd::Isa;
use hw_kernels::cpu::{activation, dropout, softmax};
use hw_kernels::nhwc::{Conv, Finish, InputGradient, norm, pool};
use hw_kernels::{Activation, Conv2dConfig, Padding, Pool2dConfig, Windows};

const CHANNELS: usize = 13;

/// Every elementwise kernel on the same numbers, as bits.
fn elementwise() -> Vec<Vec<u32>> {
    let mut rng = Rng::stream(3, "instruction sets", 0);
    let mut draw = || -> Vec<f32> { (0..10 * 12 * CHANNELS).map(|_| rng.normal()).collect() };
    let (x, dy) = (draw(), draw());
    let mut results: Vec<Vec<u32>> = Vec::new();
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

/// Forward pass and both gradients of a convolution, by Winograd's algorithm where it can be.
fn convolution([side, c, o, kernel]: [usize; 4]) -> Vec<f32> {
    let config = Conv2dConfig {
        stride: [1, 1],
        padding: Padding::same_for([kernel; 2]),
    };
    let windows = Windows::of_conv([side; 2], [kernel; 2], &config).unwrap();
    let conv = Conv::new(c, o, windows).with_winograd();
    let mut rng = Rng::stream(3, "instruction sets", 1);
    let mut draw = |len| -> Vec<f32> { (0..len).map(|_| rng.normal()).collect() };
    let (x, dy) = (draw(conv.input_len()), draw(conv.output_len()));
    let weights = draw(conv.taps() * o);
    let mut w = vec![0.0; conv.panels().len()];
    conv.panels()
        .fill(&mut w, |row, column| weights[row * o + column]);
    let back = InputGradient::new(&conv);
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    let mut dw = vec![0.0; w.len()];
    let (mut prepared, mut turned) = (vec![0.0; conv.prepared_len()], vec![0.0; back.turned_len()]);
    let needed = [
        conv.forward_scratch(),
        conv.prepared_scratch(),
        conv.weight_scratch(),
    ];
    let needed = needed.into_iter().max().unwrap().max(back.scratch());
    let (mut scratch, finish) = (vec![0.0; needed], Finish::default());
    // SAFETY: one thread, and every slice has the length that the convolution names.
    unsafe {
        for unit in 0..conv.prepare_units() {
            conv.prepare_unit(unit, &w, prepared.as_mut_ptr());
        }
        for unit in 0..back.transpose_units() {
            back.transpose_unit(unit, &w, turned.as_mut_ptr());
        }
        if conv.has_winograd() {
            conv.forward_prepared(&x, &prepared, finish, y.as_mut_ptr(), 1, &mut scratch);
        } else {
            conv.forward(&x, &w, finish, &mut y, 1, &mut scratch);
        }
        let all = 0..conv.weight_blocks();
        conv.weight_gradient(&x, &dy, dw.as_mut_ptr(), false, 1, &mut scratch, all);
    }
    back.run(&dy, &turned, false, &mut dx, 1, &mut scratch);
    // The layout of the weights depends on the registers.
    let element = |i: usize| dw[conv.panels().at(i / o, i % o)];
    let dw: Vec<f32> = (0..weights.len()).map(element).collect();
    [y, dx, dw].concat()
}

#[test]
fn every_instruction_set_gives_the_same_bits_or_where_products_are_fused_the_same_numbers() {
    let shapes = [[9, 3, 20, 5], [14, 64, 64, 3], [4, 100, 100, 3]];
    // SAFETY: here and below, each convolution is made and used under one limit.
    unsafe { Isa::limit(Isa::Portable) };
    let (portable, convolutions) = (elementwise(), shapes.map(convolution));
    for isa in [Isa::Avx2, Isa::Avx512] {
        // SAFETY: as above.
        unsafe { Isa::limit(isa) };
        for (i, (portable, wide)) in portable.iter().zip(elementwise()).enumerate() {
            assert!(*portable == wide, "result {i} with {isa:?}");
        }
        for (shape, portable) in shapes.into_iter().zip(&convolutions) {
            let wide = convolution(shape);
            let scale = portable.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (a, b) in portable.iter().zip(wide) {
                assert!(
                    (a - b).abs() < 1e-5 * scale,
                    "{shape:?} with {isa:?}: {b} for {a}"
                );
            }
        }
    }
}
