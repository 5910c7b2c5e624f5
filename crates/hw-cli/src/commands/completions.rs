//! `hw completions` and `hw man`: both made from the command tree.

use crate::args::{Cli, Common, CompletionsArgs, ManArgs};
use crate::output::answer;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A generated text, or where generated texts were written.
#[derive(Debug, Serialize)]
struct Generated {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_deref().unwrap_or_default())?;
        self.files
            .iter()
            .try_for_each(|path| writeln!(f, "{}", path.display()))
    }
}

/// Prints a shell's completion script.
pub(crate) fn shell(args: &CompletionsArgs, common: &Common) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hw", &mut script);
    let text = Some(String::from_utf8(script).context("the script is not UTF-8")?);
    answer(
        common.json,
        &Generated {
            text,
            files: Vec::new(),
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the man page, or writes one page a command.
pub(crate) fn man(args: &ManArgs, common: &Common) -> Result<ExitCode> {
    let mut tree = Cli::command();
    tree.build();
    let generated = match &args.out {
        None => Generated {
            text: Some(page(&tree)?),
            files: Vec::new(),
        },
        Some(folder) => {
            let mut files = Vec::new();
            write_pages(&tree, folder, &mut files)?;
            Generated { text: None, files }
        }
    };
    answer(common.json, &generated)?;
    Ok(ExitCode::SUCCESS)
}

fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .context("cannot render the man page")?;
    String::from_utf8(page).context("the man page is not UTF-8")
}

fn write_pages(command: &Command, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let path = folder.join(Man::new(command.clone()).get_filename());
    hw_core::files::write_whole(&path, page(command)?.as_bytes())?;
    files.push(path);
    command
        .get_subcommands()
        .try_for_each(|command| write_pages(command, folder, files))
}
