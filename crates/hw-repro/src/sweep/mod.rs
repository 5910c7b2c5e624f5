//! Sweeps: a TOML file says which options of a training vary, and the best by validation is retrained
//! and scored on the test set once.

mod axis;
mod decide;
mod plan;
mod words;
