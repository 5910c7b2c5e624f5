//! `cargo xtask reproduce-all`: `hw reproduce` in a checkout.

use crate::args::ReproduceArgs;
use anyhow::{Context, Result};
use hw_core::CancelToken;
use hw_repro::Common;
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// When threads cannot be started; what keeps the report from being made is told here.
pub(crate) fn run(args: &ReproduceArgs) -> Result<ExitCode> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global()
            .context("cannot set the number of threads")?;
    }
    let cancel = CancelToken::new();
    crate::stop_on_ctrl_c(&cancel)?;
    let common = Common {
        data_dir: args.data_dir.clone(),
        json: args.json,
        program: "cargo xtask reproduce-all",
    };
    Ok(match hw_repro::run(&args.options, &common, &cancel) {
        Ok(finished) if finished.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_status())
        }
    })
}
