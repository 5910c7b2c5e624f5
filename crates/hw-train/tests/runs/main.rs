//! Whole runs on small data: their bits, the weights they keep, what they refuse, what they log.

mod bits;
mod divergence;
mod log;
mod real_data;
mod refusals;
mod selection;
mod streams;
mod support;
