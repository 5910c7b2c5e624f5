//! Results as bits, to be compared between ways of computing them.

use candle_core::{Device, Tensor, Var};
use hw_core::rng::Rng;

pub(crate) fn variable(shape: &[usize], rng: &mut Rng) -> Var {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// Result and gradients of `op`, large enough to be split between threads.
pub(crate) fn run(
    shapes: &[&[usize]],
    op: &dyn Fn(&[Var]) -> hw_kernels::Result<Tensor>,
) -> Vec<Vec<u32>> {
    let mut rng = Rng::stream(3, "threads", 0);
    let variables: Vec<Var> = shapes
        .iter()
        .map(|shape| variable(shape, &mut rng))
        .collect();
    let y = op(&variables).unwrap();
    let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = variables.iter().map(|v| bits(gradients.get(v).unwrap()));
    std::iter::once(bits(&y)).chain(gradients).collect()
}
