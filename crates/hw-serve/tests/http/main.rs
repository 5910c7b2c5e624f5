//! The server from outside, over real connections.
#![allow(clippy::unwrap_used)]

mod abuse;
mod answers;
#[cfg(feature = "checkpoint")]
mod checkpoint;
mod client;
mod life;
