//! Whole runs on small data: their bits, the weights they keep, what they refuse, what they log.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod bits;
mod divergence;
mod log;
mod range;
mod real_data;
mod refusals;
mod selection;
mod streams;
mod support;
mod teaching;
