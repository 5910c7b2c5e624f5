//! What does not fit is refused with a message that says what and why; nothing panics.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{DType, Device, Tensor};
use hw_kernels::{Activation, Conv2dConfig, KernelError, Padding, Pool2dConfig, Windows};
use proptest::prelude::*;

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T, KernelError>, words: &[&str]) {
    let message = result.err().expect("should have been refused").to_string();
    for word in words {
        assert!(
            message.contains(word),
            "{message:?} does not mention {word:?}"
        );
    }
}

#[test]
fn a_convolution_that_does_not_fit_is_refused() {
    let (x, w) = (zeros(&[2, 1, 4, 6]), zeros(&[3, 1, 5, 5]));
    let valid = Conv2dConfig::default();
    refused(
        hw_kernels::conv2d(&x, &w, None, &valid),
        &["conv2d", "window of 5", "height of 4"],
    );
    let still = Conv2dConfig {
        stride: [0, 1],
        ..valid
    };
    refused(
        hw_kernels::conv2d(&x, &zeros(&[3, 1, 3, 3]), None, &still),
        &["stride is 0x1"],
    );
    refused(
        hw_kernels::conv2d(&x, &zeros(&[3, 1, 0, 3]), None, &valid),
        &["window is 0x3"],
    );
    refused(
        hw_kernels::conv2d(&x, &zeros(&[3, 2, 3, 3]), None, &valid),
        &["w has shape [3, 2, 3, 3]", "[outputs, 1, height, width]"],
    );
    refused(
        hw_kernels::conv2d(&x, &zeros(&[3, 1, 3, 3]), Some(&zeros(&[4])), &valid),
        &["bias has shape [4]", "[3] is needed"],
    );
    refused(
        hw_kernels::conv2d(&zeros(&[4, 6]), &w, None, &valid),
        &["x has shape [4, 6]"],
    );
}

#[test]
fn pooling_that_does_not_fit_is_refused() {
    let x = zeros(&[2, 1, 4, 6]);
    let big = Pool2dConfig::square(5);
    refused(
        hw_kernels::max_pool2d(&x, &big),
        &["max_pool2d", "window of 5"],
    );
    refused(
        hw_kernels::avg_pool2d(&x, &big, true),
        &["avg_pool2d", "window of 5"],
    );
    let padded = Pool2dConfig {
        padding: Padding::symmetric(2),
        ..Pool2dConfig::square(2)
    };
    refused(
        hw_kernels::max_pool2d(&x, &padded),
        &["padding 2", "not smaller than the window (2)"],
    );
    let still = Pool2dConfig {
        stride: [1, 0],
        ..Pool2dConfig::square(2)
    };
    refused(hw_kernels::max_pool2d(&x, &still), &["stride is 1x0"]);
    refused(
        hw_kernels::global_avg_pool(&zeros(&[3])),
        &["x has shape [3]"],
    );
}

#[test]
fn a_label_out_of_range_is_refused_with_its_place() {
    let logits = zeros(&[3, 10]);
    let labels = Tensor::new(&[0u32, 9, 10], &Device::Cpu).unwrap();
    refused(
        hw_kernels::softmax_cross_entropy(&logits, &labels),
        &["label 10", "position 2", "10 classes"],
    );
    let short = Tensor::new(&[0u32, 9], &Device::Cpu).unwrap();
    refused(
        hw_kernels::softmax_cross_entropy(&logits, &short),
        &["labels has shape [2]"],
    );
    let none = Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap();
    refused(
        hw_kernels::softmax_cross_entropy(&zeros(&[0, 10]), &none),
        &["at least one row"],
    );
}

#[test]
fn a_dropout_rate_outside_its_range_is_refused() {
    for rate in [-0.1, 1.0, 1.5, f32::NAN] {
        refused(
            hw_kernels::dropout(&zeros(&[3]), rate, 1),
            &["not in [0, 1)"],
        );
    }
}

#[test]
fn shapes_that_do_not_agree_are_refused() {
    let (x, c) = (zeros(&[2, 3]), zeros(&[4]));
    refused(
        hw_kernels::linear(&x, &zeros(&[5, 4]), None),
        &["w has shape [5, 4]", "[5, 3]"],
    );
    refused(
        hw_kernels::rbf(&x, &zeros(&[5, 4])),
        &["centers has shape [5, 4]"],
    );
    refused(
        hw_kernels::batch_norm_train(&x, &c, &c, 1e-5),
        &["gamma has shape [4]", "[3]"],
    );
    refused(
        hw_kernels::batch_norm_eval(&x, &zeros(&[3]), &zeros(&[3]), &c, &c, 1e-5),
        &["mean has shape [4]"],
    );
    refused(
        hw_kernels::channel_scale_shift(&zeros(&[3]), &c, &c),
        &["x has shape [3]"],
    );
    refused(
        hw_kernels::activate(&zeros(&[3]), &Activation::Softmax),
        &["[batch, channels]"],
    );
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let x = zeros(&[0, 1, 6, 6]);
    let w = zeros(&[3, 1, 3, 3]);
    let y = hw_kernels::conv2d(&x, &w, None, &Conv2dConfig::default());
    // candle's matrix product may refuse it, but nothing may panic.
    if let Ok(y) = y {
        assert_eq!(y.elem_count(), 0);
    }
    let y = hw_kernels::activate(&x, &Activation::Relu).unwrap();
    assert_eq!(y.dims(), [0, 1, 6, 6]);
}

proptest! {
    #[test]
    fn windows_are_refused_or_stay_inside_the_padded_input(
        input in [0usize..40, 0usize..40],
        kernel in [0usize..9, 0usize..9],
        stride in [0usize..5, 0usize..5],
        pads in [0usize..5, 0usize..5, 0usize..5, 0usize..5],
    ) {
        let padding = Padding { top: pads[0], bottom: pads[1], left: pads[2], right: pads[3] };
        let config = Conv2dConfig { stride, padding };
        if let Ok(windows) = Windows::of_conv(input, kernel, &config) {
            let padded = [input[0] + pads[0] + pads[1], input[1] + pads[2] + pads[3]];
            for axis in 0..2 {
                // The last window fits; one more would not.
                let last = (windows.output[axis] - 1) * stride[axis] + kernel[axis];
                prop_assert!(last <= padded[axis] && padded[axis] < last + stride[axis]);
            }
            let covered: usize = windows.cells_per_window().iter().sum();
            prop_assert!(covered <= windows.output_size() * windows.kernel_size());
            if padding == Padding::zero() {
                prop_assert_eq!(covered, windows.output_size() * windows.kernel_size());
            }
        }
    }

    #[test]
    fn pooling_windows_always_hold_a_real_cell(
        input in [1usize..20, 1usize..20],
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..5, 1usize..5],
        pads in [0usize..5, 0usize..5, 0usize..5, 0usize..5],
    ) {
        let padding = Padding { top: pads[0], bottom: pads[1], left: pads[2], right: pads[3] };
        let config = Pool2dConfig { kernel, stride, padding };
        if let Ok(windows) = Windows::of_pool("max_pool2d", input, &config) {
            let cells = windows.cells_per_window();
            prop_assert!(cells.iter().all(|&cells| cells > 0));
        }
    }
}
