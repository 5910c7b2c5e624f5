//! The same bits on any number of threads.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

mod bits;

use bits::{optimizer_steps, run};
use candle_core::{Device, Tensor};
use hw_kernels::{Activation, Conv2dConfig, Padding, Pool2dConfig};

fn operations() -> Vec<Vec<Vec<u32>>> {
    let images: &[usize] = &[37, 3, 23, 21];
    let convolution = [images, &[5, 3, 3, 3], &[5]];
    let same = Conv2dConfig {
        stride: [1, 1],
        padding: Padding::symmetric(1),
    };
    let skipping = Conv2dConfig {
        stride: [2, 2],
        ..same
    };
    let (halve, overlap) = (
        Pool2dConfig::square(2),
        Pool2dConfig {
            stride: [1, 1],
            ..Pool2dConfig::square(3)
        },
    );
    let mut all = vec![
        run(&convolution, &|t| {
            hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &same)
        }),
        run(&convolution, &|t| {
            hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &skipping)
        }),
        run(&convolution, &|t| {
            hw_kernels::conv2d_relu_max_pool2d(&t[0], &t[1], Some(&t[2]), &same, &halve)
        }),
        run(&[images], &|t| hw_kernels::max_pool2d(&t[0], &halve)),
        run(&[images], &|t| hw_kernels::max_pool2d(&t[0], &overlap)),
        run(&[images], &|t| {
            hw_kernels::avg_pool2d(&t[0], &overlap, true)
        }),
        run(&[images], &|t| hw_kernels::global_avg_pool(&t[0])),
        run(&[images, &[3], &[3]], &|t| {
            Ok(hw_kernels::batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0)
        }),
        run(&[&[301, 70], &[70], &[70]], &|t| {
            Ok(hw_kernels::batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0)
        }),
        run(&[&[301, 170], &[90, 170], &[90]], &|t| {
            hw_kernels::linear(&t[0], &t[1], Some(&t[2]))
        }),
        run(&[&[301, 170], &[90, 170]], &|t| {
            hw_kernels::rbf(&t[0], &t[1])
        }),
        run(&[images], &|t| hw_kernels::dropout(&t[0], 0.4, 5)),
        run(&[&[3001, 17]], &|t| hw_kernels::log_softmax(&t[0])),
        run(&[&[3001, 17]], &|t| {
            let labels: Vec<u32> = (0..3001).map(|i| i % 17).collect();
            hw_kernels::softmax_cross_entropy(&t[0], &Tensor::from_vec(labels, 3001, &Device::Cpu)?)
        }),
    ];
    for activation in Activation::ALL {
        all.push(run(&[images], &|t| {
            hw_kernels::activate(&t[0], &activation)
        }));
    }
    all
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(work)
}

#[test]
fn one_two_and_three_threads_give_the_same_bits() {
    let single = with_threads(1, operations);
    for threads in [2, 3] {
        let several = with_threads(threads, operations);
        for (i, (single, several)) in single.iter().zip(&several).enumerate() {
            assert!(single == several, "operation {i} with {threads} threads");
        }
    }
}

#[test]
fn fused_convolution_gives_the_bits_of_its_steps() {
    let shapes: [&[usize]; 3] = [&[7, 2, 13, 15], &[5, 2, 3, 3], &[5]];
    for stride in [1, 2] {
        let conv = Conv2dConfig {
            stride: [stride, stride],
            padding: Padding::symmetric(1),
        };
        let overlap = Pool2dConfig {
            kernel: [3, 3],
            stride: [2, 2],
            padding: Padding::symmetric(1),
        };
        for pool in [Pool2dConfig::square(2), overlap] {
            let fused = run(&shapes, &|t| {
                hw_kernels::conv2d_relu_max_pool2d(&t[0], &t[1], Some(&t[2]), &conv, &pool)
            });
            let steps = run(&shapes, &|t| {
                let maps = hw_kernels::conv2d(&t[0], &t[1], Some(&t[2]), &conv)?;
                hw_kernels::max_pool2d(&hw_kernels::activate(&maps, &Activation::Relu)?, &pool)
            });
            let [.., fused_db] = &fused[..] else { return };
            let [.., steps_db] = &steps[..] else { return };
            assert!(fused[..3] == steps[..3], "{conv:?} {pool:?}");
            // The gradient of the bias is summed over windows, not over positions.
            for (a, b) in fused_db.iter().zip(steps_db) {
                let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
                assert!(
                    (a - b).abs() <= 1e-5 * b.abs(),
                    "{conv:?} {pool:?}: {a} for {b}"
                );
            }
        }
    }
}

#[test]
fn optimizer_steps_do_not_depend_on_the_number_of_threads() {
    let single = with_threads(1, optimizer_steps);
    assert!(single == with_threads(2, optimizer_steps));
    assert!(single == with_threads(3, optimizer_steps));
}
