//! `hw sweep`: which options of a training are best.

use crate::args::Common;
use crate::output::note;
use crate::progress::stop_on_interrupt;
use hw_core::CancelToken;
use hw_repro::SweepOptions;
use std::process::ExitCode;

pub(crate) fn run(options: &SweepOptions, common: &Common) -> anyhow::Result<ExitCode> {
    let cancel = CancelToken::new();
    stop_on_interrupt(&cancel)?;
    let common = hw_repro::Common {
        data_dir: common.data_dir.clone(),
        json: common.json,
        program: "hw sweep",
    };
    Ok(match hw_repro::sweep(options, &common, &cancel) {
        Ok(swept) if swept.decided || swept.open > 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            note(format_args!("error: {error}"));
            ExitCode::from(error.exit_status())
        }
    })
}
