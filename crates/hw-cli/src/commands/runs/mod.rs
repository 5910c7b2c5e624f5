//! `hw runs`: what lies in folders of runs. Everything is read; no test set is looked at.

mod compare;
mod found;
mod list;
mod page;
mod show;
mod tested;

use crate::args::{Common, RunsCommand};
use anyhow::Result;
use std::process::ExitCode;

pub(crate) fn run(command: &RunsCommand, common: &Common) -> Result<ExitCode> {
    match command {
        RunsCommand::List(args) => list::run(args, common)?,
        RunsCommand::Show(args) => show::run(args, common)?,
        RunsCommand::Compare(args) => compare::run(args, common)?,
    }
    Ok(ExitCode::SUCCESS)
}
