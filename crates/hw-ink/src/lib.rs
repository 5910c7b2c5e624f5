//! Pen strokes to text: the recogniser behind the page, the HTTP API and the WebAssembly build.
//!
//! [`Ink`] is what was written, checked and smoothed. [`layout`] finds lines and pieces in it,
//! [`read`] tries the ways to join the pieces into characters, draws each as the networks' training
//! images were drawn ([`mod@render`]) and asks a [`read::Classifier`]; [`context`] weighs what the
//! neighbours say. [`Model`] is a small network ([`net`]) in a file of eight-bit weights; four come
//! with the crate ([`builtin()`]). Nothing here needs a tensor library, threads or files, so it all
//! compiles to WebAssembly, and answers with the same bits there.
//!
//! ```
//! use hw_ink::{Ink, Stroke, builtin, read};
//!
//! let seven = Stroke::even(vec![[20.0, 20.0], [70.0, 20.0], [40.0, 100.0]]);
//! let reading = read::strokes(&builtin("digits")?, &Ink::new(&[seven])?, false)?;
//! assert_eq!(reading.text, "7");
//! assert!(reading.characters[0].top[0].probability > 0.5);
//! # Ok::<(), hw_ink::InkError>(())
//! ```
#![warn(missing_docs)]

pub mod api;
pub mod builtin;
pub mod context;
mod error;
pub mod ink;
pub mod layout;
pub mod lookalike;
pub mod model;
pub mod net;
pub mod read;
pub mod render;
pub mod stroke;

pub use builtin::builtin;
pub use error::InkError;
pub use ink::Ink;
pub use model::{Card, Measurement, Model};
pub use net::Net;
pub use render::render;
pub use stroke::Stroke;
