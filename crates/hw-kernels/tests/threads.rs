//! The same bits on any number of threads, and however large the batch is.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

mod bits;

use bits::{bits, run, variable};
use candle_core::{Device, Tensor, Var};
use hw_core::rng::Rng;
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

/// Result and gradient of `op` for a batch, bit by bit those of its images one at a time.
#[track_caller]
fn batch_is_its_images(shape: &[usize], op: &dyn Fn(&Tensor) -> hw_kernels::Result<Tensor>) {
    let mut rng = Rng::stream(3, "threads", 2);
    let whole = variable(shape, &mut rng);
    let run = |x: &Var| {
        let y = op(x.as_tensor()).unwrap();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        (bits(&y), bits(gradients.get(x).unwrap()))
    };
    let (y, dx) = run(&whole);
    let (mut ys, mut dxs) = (Vec::new(), Vec::new());
    for image in 0..shape[0] {
        let single = Var::from_tensor(&whole.narrow(0, image, 1).unwrap()).unwrap();
        let (y, dx) = run(&single);
        ys.extend(y);
        dxs.extend(dx);
    }
    assert!(y == ys && dx == dxs);
}

#[test]
fn a_large_batch_gives_what_its_images_give_alone() {
    let images: &[usize] = &[11, 4, 35, 33];
    let mut rng = Rng::stream(3, "threads", 3);
    let (w, bias) = (variable(&[5, 4, 3, 3], &mut rng), variable(&[5], &mut rng));
    for stride in [1, 2] {
        let config = Conv2dConfig {
            stride: [stride, stride],
            padding: Padding::symmetric(1),
        };
        batch_is_its_images(images, &|x| hw_kernels::conv2d(x, &w, Some(&bias), &config));
        let pool = Pool2dConfig::square(2);
        batch_is_its_images(images, &|x| {
            hw_kernels::conv2d_relu_max_pool2d(x, &w, Some(&bias), &config, &pool)
        });
        let overlap = Pool2dConfig {
            stride: [stride, 1],
            ..Pool2dConfig::square(2)
        };
        batch_is_its_images(images, &|x| hw_kernels::max_pool2d(x, &overlap));
        batch_is_its_images(images, &|x| hw_kernels::avg_pool2d(x, &overlap, true));
    }
    batch_is_its_images(images, &|x| {
        hw_kernels::max_pool2d(x, &Pool2dConfig::square(2))
    });
    batch_is_its_images(images, &|x| hw_kernels::global_avg_pool(x));
    for activation in Activation::ALL {
        batch_is_its_images(images, &|x| hw_kernels::activate(x, &activation));
    }
    batch_is_its_images(&[40, 1000], &|x| hw_kernels::log_softmax(x));
    let [scale, shift, mean] = [(); 3].map(|()| variable(&[4], &mut rng));
    let variance = mean.sqr().unwrap();
    batch_is_its_images(images, &|x| {
        hw_kernels::batch_norm_eval(x, &scale, &shift, &mean, &variance, 1e-3)
    });
    batch_is_its_images(images, &|x| {
        hw_kernels::channel_scale_shift(x, &scale, &shift)
    });
    let centres = variable(&[100, 300], &mut rng);
    batch_is_its_images(&[200, 300], &|x| hw_kernels::rbf(x, &centres));
}

#[test]
fn the_dropout_mask_of_an_element_is_that_of_its_index() {
    let ones = Tensor::ones(50_000, candle_core::DType::F32, &Device::Cpu).unwrap();
    let y: Vec<f32> = hw_kernels::dropout(&ones, 0.3, 11)
        .unwrap()
        .to_vec1()
        .unwrap();
    for (i, y) in y.into_iter().enumerate() {
        assert_eq!(y, hw_kernels::cpu::dropout::factor(11, i as u64, 0.3));
    }
}

#[test]
fn batch_statistics_of_a_large_batch_are_those_of_double_precision() {
    let mut rng = Rng::stream(3, "threads", 4);
    for shape in [&[3000usize, 7][..], &[50, 7, 20, 21]] {
        let x = variable(shape, &mut rng).affine(2.0, 30.0).unwrap();
        let one = Tensor::ones(7, candle_core::DType::F32, &Device::Cpu).unwrap();
        let (_, ours) = hw_kernels::batch_norm_train(&x, &one, &one, 1e-5).unwrap();
        let [x, one] = [x, one].map(|t| t.to_dtype(candle_core::DType::F64).unwrap());
        let (_, truth) = hw_kernels::batch_norm_train(&x, &one, &one, 1e-5).unwrap();
        assert_eq!(ours.count, truth.count);
        let pairs = ours.mean.iter().zip(&truth.mean);
        for (a, b) in pairs.chain(ours.variance.iter().zip(&truth.variance)) {
            assert!((a - b).abs() < 2e-6 * b.abs(), "{a} for {b}");
        }
    }
}
