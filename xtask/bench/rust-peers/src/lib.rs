//! The bench's networks in other Rust frameworks, measured on request.
//!
//! `cargo xtask bench --rust-peers` builds each binary, starts it and sends one JSON object a line on
//! standard input, as it does to `peers.py`:
//! `{"net": ..., "mode": "train" | "infer" | "latency", "seconds": ...}`. Each is answered by one line:
//! `{"rate": images per second}` or `{"milliseconds": median of one image}`, with `peak_mb`, the
//! process's peak resident memory so far.

pub mod nets;
mod protocol;

pub use protocol::{Framework, Mode, repeat, serve};

/// Images of an inference batch.
pub const INFERENCE_BATCH: usize = 256;

/// Numbers in `[0, 1)`, always the same ones.
pub fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..count).map(next).collect()
}

/// Tests that call `works(name)` for every network of the bench.
#[macro_export]
macro_rules! test_every_network {
    ($works:ident) => {
        $crate::test_every_network!($works;
            lenet5_trains_and_answers "lenet5",
            bn_cnn_trains_and_answers "bn-cnn",
            residual_trains_and_answers "residual",
            resnet50_trains_and_answers "resnet50",
            custom_vgg_trains_and_answers "custom-vgg",
        );
    };
    ($works:ident; $($test:ident $name:literal,)*) => {
        $(#[test]
        fn $test() -> anyhow::Result<()> {
            $works($name)
        })*
    };
}
