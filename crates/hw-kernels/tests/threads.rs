//! Masks follow from the seed and the place of each element alone.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

use candle_core::{Device, Tensor};

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
fn a_mask_is_that_of_the_indices_it_is_given_and_drops_what_is_not_finite() {
    let order = [5u64, 0, 3, 1, 4, 2];
    let mask = hw_kernels::dropout_mask(0.5, 42, order).unwrap();
    let plain = hw_kernels::dropout_mask(0.5, 42, 0..6).unwrap();
    assert_eq!(mask, order.map(|i| plain[i as usize]));
    assert!(mask.contains(&0.0) && mask.contains(&2.0));
    let x = Tensor::full(f64::NAN, 6, &Device::Cpu).unwrap();
    let mask_tensor = Tensor::new(mask.as_slice(), &Device::Cpu).unwrap();
    let y: Vec<f64> = hw_kernels::apply_mask(&x, &mask_tensor)
        .unwrap()
        .to_vec1()
        .unwrap();
    for (y, factor) in y.into_iter().zip(mask) {
        assert!(if factor == 0.0 { y == 0.0 } else { y.is_nan() });
    }
}
