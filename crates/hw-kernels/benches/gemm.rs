//! Speed of the matrix products of our networks, in GFLOP/s (criterion calls them Gelem/s) and as
//! a share of what the processor can do.
//!
//! `cargo bench -p hw-kernels --bench gemm` first prints a table: each product is timed in turns
//! with a loop of fused multiply-adds on registers, and the median of their ratio is shown, which
//! other work on the machine disturbs little. Criterion's own timing follows.
#![allow(missing_docs)] // criterion's macros make undocumented items

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group};
use hw_kernels::gemm::{Packed, Product, Simd, Strided, Target};
use hw_kernels::peak::{flops as peak_flops, run as peak};

/// One product: `a` and `b` say whether the operand is stored row by row, column by column, or
/// packed before.
struct Shape {
    name: &'static str,
    size: (usize, usize, usize),
    a: Storage,
    b: Storage,
}

#[derive(Clone, Copy, PartialEq)]
enum Storage {
    Rows,
    Columns,
    Packed,
}

use Storage::{Columns, Packed as Ready, Rows};

const fn shape(
    name: &'static str,
    size: (usize, usize, usize),
    (a, b): (Storage, Storage),
) -> Shape {
    Shape { name, size, a, b }
}

/// `m x n x k` of one image or one batch of 100.
const SHAPES: &[Shape] = &[
    shape("lenet5 conv1", (6, 784, 25), (Ready, Rows)),
    shape("lenet5 conv2", (16, 100, 150), (Ready, Rows)),
    shape("bn-cnn conv", (30, 576, 25), (Ready, Rows)),
    shape("bn-cnn conv, 64 images", (30, 576 * 64, 25), (Ready, Rows)),
    shape("bn-cnn dense", (100, 100, 4320), (Rows, Columns)),
    shape("bn-cnn dense, W packed", (100, 100, 4320), (Rows, Ready)),
    shape("bn-cnn dense dW", (100, 4320, 100), (Columns, Rows)),
    shape("bn-cnn dense dX", (100, 4320, 100), (Rows, Rows)),
    shape("vgg 64", (64, 784, 576), (Ready, Rows)),
    shape("vgg 128", (128, 196, 1152), (Ready, Rows)),
    shape("vgg 256", (256, 49, 2304), (Ready, Rows)),
    shape("vgg 256, 8 images", (256, 392, 2304), (Ready, Rows)),
    shape("vgg 64 dW", (64, 576, 784), (Rows, Columns)),
    shape("vgg 256 dW", (256, 2304, 49), (Rows, Columns)),
    shape("resnet 1x1, 256 of 64", (256, 3136, 64), (Ready, Rows)),
    shape("resnet 1x1, 64 of 256", (64, 3136, 256), (Ready, Rows)),
    shape("resnet 1x1, 128 of 512", (128, 784, 512), (Ready, Rows)),
    shape("dense 2304 to 1024", (128, 1024, 2304), (Rows, Columns)),
    shape("512 cubed", (512, 512, 512), (Rows, Rows)),
    shape("1024 cubed", (1024, 1024, 1024), (Rows, Rows)),
];

impl Shape {
    fn flops(&self) -> u64 {
        let (m, n, k) = self.size;
        2 * (m * n * k) as u64
    }

    /// The product as a closure to time.
    fn product(&self, parallel: bool) -> impl FnMut() + use<> {
        let (m, n, k) = self.size;
        let value = |i: usize| (i * 7 % 13) as f32 - 6.0;
        let a: Vec<f32> = (0..m * k).map(value).collect();
        let b: Vec<f32> = (0..k * n).map(value).collect();
        let mut c = vec![0.0; m * n];
        let (a_storage, b_storage) = (self.a, self.b);
        let a_strides = if a_storage == Columns { (1, m) } else { (k, 1) };
        let b_strides = if b_storage == Columns { (1, k) } else { (n, 1) };
        let packed_a = Packed::lhs(m, k, &Strided::lhs(&a, a_strides));
        let packed_b = Packed::rhs(k, n, &Strided::rhs(&b, b_strides));
        move || {
            let product = Product::new(m, n, k);
            let target = Target::rows(&mut c, n);
            let (a, b) = (Strided::lhs(&a, a_strides), Strided::rhs(&b, b_strides));
            match (a_storage, b_storage, parallel) {
                (Ready, _, true) => product.par_run(&packed_a, b, target),
                (Ready, _, false) => product.run(&packed_a, b, target),
                (_, Ready, true) => product.par_run(a, &packed_b, target),
                (_, Ready, false) => product.run(a, &packed_b, target),
                (_, _, true) => product.par_run(a, b, target),
                (_, _, false) => product.run(a, b, target),
            }
        }
    }
}

/// Floating-point operations per nanosecond while `work` runs `times` times.
fn rate(flops: u64, times: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    (flops * times) as f64 / start.elapsed().as_nanos().max(1) as f64
}

/// The best rate of a product, and the median of its ratios to the peak right before and after.
fn against_peak(shape: &Shape, parallel: bool) -> (f64, f64) {
    let threads = if parallel {
        rayon::current_num_threads() as u64
    } else {
        1
    };
    let measure_peak = || {
        rate(peak_flops() * threads, 1, || {
            if parallel {
                black_box(rayon::broadcast(|_| peak()));
            } else {
                black_box(peak());
            }
        })
    };
    let mut product = shape.product(parallel);
    product();
    let times = (50_000_000 * threads / shape.flops()).max(1);
    let (mut best, mut ratios) = (0.0f64, Vec::new());
    let start = Instant::now();
    let mut before = measure_peak();
    while start.elapsed() < Duration::from_millis(300) || ratios.len() < 9 {
        let speed = rate(shape.flops(), times, &mut product);
        let after = measure_peak();
        ratios.push(2.0 * speed / (before + after));
        best = best.max(speed);
        before = after;
    }
    ratios.sort_by(f64::total_cmp);
    (best, ratios[ratios.len() / 2])
}

fn print_table() {
    let threads = rayon::current_num_threads();
    println!(
        "{} kernels; GFLOP/s and share of the peak on 1 and on {threads} threads",
        Simd::detect().name()
    );
    for shape in SHAPES {
        let (m, n, k) = shape.size;
        let size = format!("{m} x {n} x {k}");
        let ((one, share), (all, share_of_all)) =
            (against_peak(shape, false), against_peak(shape, true));
        println!(
            "{:24} {size:>18} {one:8.1} {:4.0} % {all:8.1} {:4.0} %",
            shape.name,
            100.0 * share,
            100.0 * share_of_all,
        );
    }
}

fn products(criterion: &mut Criterion) {
    for (name, parallel) in [("one thread", false), ("all threads", true)] {
        let mut group = criterion.benchmark_group(name);
        for shape in SHAPES {
            group.throughput(Throughput::Elements(shape.flops()));
            group.bench_function(shape.name, |bencher| bencher.iter(shape.product(parallel)));
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("peak");
    group.throughput(Throughput::Elements(peak_flops()));
    group.bench_function("one thread", |bencher| bencher.iter(peak));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200)).sample_size(20);
    targets = products
}

fn main() {
    // `cargo test --benches` leaves this argument out and only wants everything run once.
    if std::env::args().any(|argument| argument == "--bench") {
        print_table();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
