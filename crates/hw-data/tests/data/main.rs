//! Tests of hw-data from the outside, one module a question.
#![allow(missing_docs, clippy::unwrap_used)]

mod auditing;
mod augmenting;
mod catalogue;
mod centring;
mod class_maps;
mod folders;
mod idx_files;
mod loading;
mod locating;
mod preprocessing;
mod real_data;
mod resampling;
mod sharing;
mod splitting;
mod support;
