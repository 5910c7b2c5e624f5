//! The same bits on every instruction set, where no multiplication is fused with an addition.
//!
//! One test alone in its process: it changes what all kernels use.
#![allow(clippy::unwrap_used)] // in the helpers of tests, too

mod bits;

use bits::run;
use hw_kernels::cpu::simd::Isa;
use hw_kernels::{Activation, Pool2dConfig};

#[test]
fn elementwise_loops_give_the_same_bits_on_every_instruction_set() {
    let elementwise = || {
        let images: &[usize] = &[5, 3, 11, 13];
        let mut all: Vec<_> = Activation::ALL
            .map(|activation| run(&[images], &|t| hw_kernels::activate(&t[0], &activation)))
            .into();
        all.push(run(&[images, &[3], &[3]], &|t| {
            Ok(hw_kernels::batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0)
        }));
        all.push(run(&[images], &|t| {
            hw_kernels::max_pool2d(&t[0], &Pool2dConfig::square(2))
        }));
        all.push(run(&[images], &|t| hw_kernels::dropout(&t[0], 0.4, 5)));
        all
    };
    Isa::limit(Isa::Portable);
    let portable = elementwise();
    for isa in [Isa::Avx2, Isa::Avx512] {
        Isa::limit(isa);
        for (i, (portable, wide)) in portable.iter().zip(elementwise()).enumerate() {
            assert!(*portable == wide, "operation {i} with {isa:?}");
        }
    }
}
