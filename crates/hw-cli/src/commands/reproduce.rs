//! `hw reproduce`: rerun papers and report what held up.

use crate::args::Common;
use crate::output::note;
use crate::progress::stop_on_interrupt;
use hw_core::CancelToken;
use hw_repro::Options;
use std::process::ExitCode;

pub(crate) fn run(options: &Options, common: &Common) -> anyhow::Result<ExitCode> {
    let cancel = CancelToken::new();
    stop_on_interrupt(&cancel)?;
    let common = hw_repro::Common {
        data_dir: common.data_dir.clone(),
        json: common.json,
        program: "hw reproduce",
    };
    Ok(match hw_repro::run(options, &common, &cancel) {
        Ok(finished) if finished.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            note(format_args!("error: {error}"));
            ExitCode::from(error.exit_status())
        }
    })
}
