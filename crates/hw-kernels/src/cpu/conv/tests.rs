//! Both methods of convolution against the definition, in double precision.

use super::*;
use crate::cpu::simd::Isa;
use crate::geometry::{Conv2dConfig, Padding};
use hw_core::rng::Rng;
use proptest::prelude::*;

/// `[n, o, oh, ow]` and the gradients of `Σ y dy`, straight from the definition.
struct Truth {
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
    db: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Case {
    n: usize,
    channels: usize,
    outputs: usize,
    windows: Windows,
}

impl Case {
    fn data(&self) -> [Vec<f32>; 4] {
        let mut rng = Rng::stream(1, "conv", 0);
        let mut draw = |len: usize| (0..len).map(|_| rng.normal()).collect();
        let g = &self.windows;
        [
            draw(self.n * self.channels * g.input_size()),
            draw(self.outputs * self.channels * g.kernel_size()),
            draw(self.outputs),
            draw(self.n * self.outputs * g.output_size()),
        ]
    }

    fn truth(&self, [x, w, bias, dy]: &[Vec<f32>; 4]) -> Truth {
        let g = &self.windows;
        let ([kh, kw], [oh, ow], [h, width]) = (g.kernel, g.output, g.input);
        let mut truth = Truth {
            y: vec![0.0; dy.len()],
            dx: vec![0.0; x.len()],
            dw: vec![0.0; w.len()],
            db: vec![0.0; bias.len()],
        };
        for at in 0..dy.len() {
            let (image, o) = (at / (self.outputs * oh * ow), at / (oh * ow) % self.outputs);
            let (row, column) = (at / ow % oh, at % ow);
            let slope = f64::from(dy[at]);
            truth.y[at] += f64::from(bias[o]);
            truth.db[o] += slope;
            for tap in 0..self.channels * kh * kw {
                let (c, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
                let i = (row * g.stride[0] + i).wrapping_sub(g.padding.top);
                let j = (column * g.stride[1] + j).wrapping_sub(g.padding.left);
                if i < h && j < width {
                    let from = ((image * self.channels + c) * h + i) * width + j;
                    let weight = o * self.channels * kh * kw + tap;
                    truth.y[at] += f64::from(w[weight]) * f64::from(x[from]);
                    truth.dw[weight] += slope * f64::from(x[from]);
                    truth.dx[from] += slope * f64::from(w[weight]);
                }
            }
        }
        truth
    }

    fn check(&self, plan: &ConvPlan, workers: usize) {
        let data = self.data();
        let [x, w, bias, dy] = &data;
        let truth = self.truth(&data);
        let mut y = vec![f32::NAN; dy.len()];
        let mut scratch = vec![f32::NAN; plan.forward_scratch(workers)];
        plan.forward(x, w, Some(bias), self.n, Output::Maps(&mut y), &mut scratch);
        assert_close("y", &y, &truth.y);
        let mut dx = vec![f32::NAN; x.len()];
        let mut dw = vec![f32::NAN; w.len()];
        let mut db = vec![f32::NAN; bias.len()];
        let wanted = Gradients {
            dx: Some(&mut dx),
            dw: Some(&mut dw),
            db: Some(&mut db),
        };
        let mut scratch = vec![f32::NAN; plan.backward_scratch(self.n, workers)];
        plan.backward(x, w, self.n, Source::Maps(dy), wanted, &mut scratch);
        assert_close("dx", &dx, &truth.dx);
        assert_close("dw", &dw, &truth.dw);
        assert_close("db", &db, &truth.db);
    }
}

#[track_caller]
fn assert_close(what: &str, ours: &[f32], truth: &[f64]) {
    for (i, (ours, truth)) in ours.iter().zip(truth).enumerate() {
        let error = (f64::from(*ours) - truth).abs();
        assert!(
            error < 1e-4 * (1.0 + truth.abs()),
            "{what}[{i}]: {ours} for {truth}"
        );
    }
}

fn cases(strides: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let shape = (1usize..4, 1usize..4, 1usize..14);
    let kernel = (1usize..6, 1usize..6);
    let pads = (0usize..4, 0usize..4, 0usize..4, 0usize..4);
    let image = (1usize..12, 1usize..24);
    // Kernels larger than the image are in, where padding makes room for them.
    (shape, kernel, (strides.clone(), strides), pads, image).prop_filter_map(
        "the window does not fit",
        |((n, channels, outputs), (kh, kw), (sh, sw), (top, bottom, left, right), (h, w))| {
            let config = Conv2dConfig {
                stride: [sh, sw],
                padding: Padding {
                    top,
                    bottom,
                    left,
                    right,
                },
            };
            Some(Case {
                n,
                channels,
                outputs,
                windows: Windows::of_conv([h, w], [kh, kw], &config).ok()?,
            })
        },
    )
}

proptest! {
    #[test]
    fn stride_one_follows_the_definition(case in cases(1..2), workers in 1usize..3) {
        case.check(&ConvPlan::new(case.channels, case.outputs, case.windows), workers);
    }

    #[test]
    fn any_stride_follows_the_definition(case in cases(1..4), workers in 1usize..3) {
        case.check(&ConvPlan::any_stride(case.channels, case.outputs, case.windows), workers);
    }
}

#[test]
fn every_instruction_set_follows_the_definition() {
    let windows = Windows::of_conv([13, 19], [3, 5], &Conv2dConfig::default()).unwrap();
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        Isa::limit(isa);
        for outputs in [1, 6, 11, 17] {
            let case = Case {
                n: 19,
                channels: 2,
                outputs,
                windows,
            };
            case.check(&ConvPlan::new(2, outputs, windows), 2);
        }
    }
    Isa::limit(Isa::best());
}
