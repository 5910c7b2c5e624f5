//! `hw serve`: the drawing page and its HTTP API.

use crate::args::{Common, ServeArgs};
use crate::output::{answer, note};
use anyhow::{Context, Result};
use hw_serve::{Server, Settings, asked_to_stop};
use serde::Serialize;
use std::fmt;
use std::process::ExitCode;

/// Where the page is.
#[derive(Debug, Serialize)]
struct Answer {
    address: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "write by hand at {}", self.address)
    }
}

pub(crate) fn run(args: &ServeArgs, common: &Common) -> Result<ExitCode> {
    let defaults = Settings::default();
    let settings = Settings {
        address: args.bind,
        checkpoint: args.checkpoint.clone(),
        queue: args.queue,
        threads: common.threads.unwrap_or(defaults.threads),
        ..defaults
    };
    if !args.bind.ip().is_loopback() {
        note("anyone who can reach this machine can use the page: it asks for no password");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(async {
        let server = Server::bind(settings).await?;
        let address = format!("http://{}", server.address()?);
        answer(common.json, &Answer { address })?;
        server.run(asked_to_stop()).await;
        Ok(ExitCode::SUCCESS)
    })
}
