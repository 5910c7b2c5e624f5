//! The real binary, as a user meets it.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod answers;
mod crossing;
mod damage;
mod determinism;
mod devices;
mod help;
mod interrupts;
mod looks;
mod real_data;
mod reproduce;
mod runs;
mod serve;
mod support;
mod sweep;
mod workers;
