//! Chores of the workspace, as Rust.

mod args;
mod bench;
mod blocks;
mod progress;
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

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::ReproduceAll(args) => reproduce::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Blocks(args) => blocks::run(&args),
        Command::TrainServed(args) => served::run(&args),
        Command::Web(args) => web::run(&args),
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
