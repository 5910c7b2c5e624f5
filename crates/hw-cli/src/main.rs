//! The command `hw`: look at handwriting data, train networks on it, measure and use them.

mod args;
mod commands;
mod failure;
mod lower;
mod output;
mod progress;
mod test_looks;

use anyhow::Context;
use args::{Cli, Command};
use clap::Parser;
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Every batch makes and drops large tensors. The system's allocator gives them back to the kernel
/// and faults them in again, which takes almost as long as the arithmetic.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            output::note(format_args!("error: {}", failure::one_line(&error)));
            failure::exit_code(&error)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    start_logging(common.verbose);
    if let Some(threads) = common.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global()
            .with_context(|| format!("cannot start {threads} threads"))?;
    }
    match &cli.command {
        Command::Data(args) => commands::data::run(args, common),
        Command::LrRange(args) => commands::lr_range::run(args, common),
        Command::List(args) => commands::list::run(args, common),
        Command::Models(args) => commands::models::run(args, common),
        Command::Train(args) => commands::train::run(args, common),
        Command::Eval(args) => commands::eval::run(args, common),
        Command::Cross(args) => commands::cross::run(args, common),
        Command::Reproduce(options) => commands::reproduce::run(options, common),
        Command::Sweep(options) => commands::sweep::run(options, common),
        Command::Runs(command) => commands::runs::run(command, common),
        Command::Looks(args) => commands::looks::run(args, common),
        Command::Predict(args) => commands::predict::run(args, common),
        Command::Export(args) => commands::exchange::export(args, common),
        Command::Import(args) => commands::exchange::import(args, common),
        Command::Serve(args) => commands::serve::run(args, common),
        Command::Completions(args) => commands::completions::shell(args, common),
        Command::Man(args) => commands::completions::man(args, common),
    }
}

/// Logs go to standard error; `HW_LOG` sets what is logged ("info", "hw_data=debug", ...).
fn start_logging(verbose: bool) {
    let usual = if verbose { "info" } else { "warn" };
    let filter = EnvFilter::try_from_env("HW_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !progress::no_colour())
        .with_target(false)
        .without_time()
        // Complaining about a closed standard error on standard error would panic.
        .log_internal_errors(false)
        .init();
}
