//! Speed of the channels-last convolutions of our networks on one thread, in GFLOP/s (criterion calls
//! them Gelem/s) and as a share of what the processor can do.
//!
//! `cargo bench -p hw-kernels --bench nhwc` first prints a table: each kernel is timed in turns with a
//! loop of fused multiply-adds on registers. Criterion's own timing follows.
#![allow(missing_docs)] // criterion's macros make undocumented items

use criterion::{Criterion, Throughput, criterion_group};
use hw_kernels::geometry::{Conv2dConfig, Padding, Windows};
use hw_kernels::nhwc::{Conv, Finish, InputGradient};
use hw_kernels::peak;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Name, images, side, channels, outputs, kernel, stride, padding.
type Shape = (&'static str, [usize; 7]);

const SHAPES: &[Shape] = &[
    ("lenet5 conv1", [32, 28, 1, 6, 5, 1, 2]),
    ("lenet5 conv2", [32, 14, 6, 16, 5, 1, 0]),
    ("bn-cnn conv", [12, 28, 1, 30, 5, 1, 0]),
    ("bn-cnn dense", [100, 1, 4320, 100, 1, 1, 0]),
    ("vgg 64 of 1", [16, 28, 1, 64, 3, 1, 1]),
    ("vgg 64 of 64", [16, 28, 64, 64, 3, 1, 1]),
    ("vgg 128 of 64", [16, 14, 64, 128, 3, 1, 1]),
    ("vgg 128 of 128", [16, 14, 128, 128, 3, 1, 1]),
    ("vgg 256 of 128", [16, 7, 128, 256, 3, 1, 1]),
    ("vgg 256 of 256", [16, 7, 256, 256, 3, 1, 1]),
    ("vgg dense", [128, 1, 2304, 1024, 1, 1, 0]),
    ("residual 128 of 128", [16, 7, 128, 128, 3, 1, 1]),
    ("residual 256 of 256", [60, 4, 256, 256, 3, 1, 1]),
    ("resnet50 7x7 of 1", [8, 32, 1, 64, 7, 2, 3]),
    ("resnet50 1x1 256 of 64", [8, 8, 64, 256, 1, 1, 0]),
    ("resnet50 3x3 64 of 64", [8, 8, 64, 64, 3, 1, 1]),
    ("resnet50 3x3 256 of 256", [64, 2, 256, 256, 3, 1, 1]),
    ("resnet50 3x3 512 stride 2", [64, 2, 512, 512, 3, 2, 1]),
    ("resnet50 1x1 2048 of 512", [64, 1, 512, 2048, 1, 1, 0]),
];

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    Input,
    Weights,
}

const PASSES: [(Pass, &str); 3] = [
    (Pass::Forward, "forward"),
    (Pass::Input, "dx"),
    (Pass::Weights, "dw"),
];

fn conv([_, side, c, o, k, stride, pad]: [usize; 7]) -> Conv {
    let config = Conv2dConfig {
        stride: [stride; 2],
        padding: Padding::symmetric(pad),
    };
    match Windows::of_conv([side; 2], [k; 2], &config) {
        // As a plan has it: by Winograd's algorithm where that pays.
        Ok(windows) => Conv::new(c, o, windows).with_winograd(),
        Err(error) => panic!("{error}"),
    }
}

/// Multiplications and additions of one pass, those with padding not counted.
fn flops(shape: [usize; 7]) -> u64 {
    let conv = conv(shape);
    let w = conv.windows;
    let real = |axis: usize| -> usize {
        let inside = |out: usize, tap: usize| {
            let at = out * w.stride[axis] + tap;
            at >= w.padding.top && at - w.padding.top < w.input[axis]
        };
        let taps = |out| (0..w.kernel[axis]).filter(|&tap| inside(out, tap)).count();
        (0..w.output[axis]).map(taps).sum()
    };
    2 * (shape[0] * real(0) * real(1) * conv.channels * conv.outputs) as u64
}

/// One pass as a closure to time.
fn work(shape: [usize; 7], pass: Pass) -> impl FnMut() + use<> {
    let (conv, n) = (conv(shape), shape[0]);
    let back = InputGradient::new(&conv);
    let value = |i: usize| (i * 7 % 13) as f32 - 6.0;
    let x: Vec<f32> = (0..n * conv.input_len()).map(value).collect();
    let w: Vec<f32> = (0..conv.panels().len()).map(value).collect();
    let turned: Vec<f32> = (0..back.turned_len()).map(value).collect();
    let mut y = vec![0.0; n * conv.output_len()];
    let mut dx = vec![0.0; n * conv.input_len()];
    let mut dw = vec![0.0; conv.panels().len()];
    let prepared: Vec<f32> = (0..conv.prepared_len()).map(value).collect();
    let scratch = conv.forward_scratch().max(conv.weight_scratch());
    let scratch = scratch.max(conv.prepared_scratch());
    let mut scratch = vec![0.0; scratch.max(back.scratch())];
    move || match pass {
        Pass::Forward if conv.has_winograd() => {
            let (finish, y) = (Finish::default(), y.as_mut_ptr());
            // SAFETY: one thread, and room for all images.
            unsafe { conv.forward_prepared(&x, &prepared, finish, y, n, &mut scratch) };
        }
        Pass::Forward => conv.forward(&x, &w, Finish::default(), &mut y, n, &mut scratch),
        Pass::Input => back.run(&y, &turned, false, &mut dx, n, &mut scratch),
        Pass::Weights => {
            let blocks = 0..conv.weight_blocks();
            // SAFETY: one thread, and room for all panels.
            unsafe {
                conv.weight_gradient(&x, &y, dw.as_mut_ptr(), false, n, &mut scratch, blocks);
            }
        }
    }
}

fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// GFLOP/s and share of the peak: medians of rounds in which both are timed in turns.
fn against_peak(shape: [usize; 7], pass: Pass) -> (f64, f64) {
    let mut work = work(shape, pass);
    work();
    let times = (2e7 / flops(shape) as f64).ceil() as u64;
    let (mut rates, mut shares) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(150) || rates.len() < 9 {
        let peak = peak::flops() as f64
            / seconds(|| {
                black_box(peak::run());
            });
        let rate = (times * flops(shape)) as f64 / seconds(|| (0..times).for_each(|_| work()));
        rates.push(rate / 1e9);
        shares.push(rate / peak);
    }
    rates.sort_by(f64::total_cmp);
    shares.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], shares[shares.len() / 2])
}

fn table() {
    println!("one thread; GFLOP/s and share of the peak, forward, input gradient, weight gradient");
    for &(name, shape) in SHAPES {
        let cells = PASSES.map(|(pass, _)| {
            let (rate, share) = against_peak(shape, pass);
            format!("{rate:7.1} {:4.0} %", 100.0 * share)
        });
        println!("{name:28} {}", cells.join("   "));
    }
}

fn kernels(criterion: &mut Criterion) {
    for &(name, shape) in SHAPES {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(flops(shape)));
        group.sample_size(10);
        for (pass, label) in PASSES {
            let mut work = work(shape, pass);
            group.bench_function(label, |bencher| bencher.iter(&mut work));
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);

fn main() {
    // `cargo test --benches` and `--list` only want to know that it runs.
    let quick = std::env::args().any(|arg| arg == "--test" || arg == "--list");
    if !quick {
        table();
    }
    if !std::env::args().any(|arg| arg == "--table") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
