//! Chores of the workspace, as Rust.

mod args;
mod bench;
mod blocks;
mod cluster;
mod reproduce;
mod served;
mod web;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

/// Training allocates and frees the same large buffers at every step; the system's allocator hands
/// them back to the kernel each time, and the page faults cost more than the arithmetic.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ctrl-C stops a chore at the next step; once more stops it at once.
fn stop_on_ctrl_c(cancel: &hw_core::CancelToken) -> anyhow::Result<()> {
    use anyhow::Context;
    let cancel = cancel.clone();
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        eprintln!("stopping at the next step; once more to stop at once");
        cancel.cancel();
    })
    .context("cannot watch for Ctrl-C")
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::ReproduceAll(args) => reproduce::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Blocks(args) => blocks::run(&args),
        Command::TrainServed(args) => served::run(&args),
        Command::Web(args) => web::run(&args),
        Command::ClusterTest(args) => cluster::run(&args),
        Command::PageTests(args) => web::page_tests(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", hw_core::one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
