//! The drawing page and its HTTP API: anyone writes with mouse, pen or finger and reads what they
//! wrote, at once.
//!
//! [`Server`] answers the page (its files are embedded and name no outside address), `POST
//! /api/recognise`, `GET /api/models`, `/api/openapi.json`, `/healthz` and `/metrics`. Recognition
//! itself is [`hw_ink`]; [`engine`] runs it on threads of its own behind a bounded queue.
//!
//! ```
//! use hw_serve::{Server, Settings};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let settings = Settings { address: "127.0.0.1:0".parse()?, ..Settings::default() };
//! let server = Server::bind(settings).await?;
//! println!("http://{}", server.address()?);
//! server.run(async { /* until this is over */ }).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod engine;
mod error;
pub mod image;
pub mod metrics;
pub mod models;
pub mod page;
mod routes;
mod server;

pub use error::ServeError;
pub use routes::Limits;
pub use server::{Server, Settings, asked_to_stop};
