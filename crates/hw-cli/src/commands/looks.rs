//! `hw looks`: which networks were scored on which test sets, and how often.

use crate::args::{Common, LooksArgs};
use crate::output::{Table, answer, counted, percent};
use anyhow::{Result, bail};
use hw_core::FileError;
use hw_eval::looks::{Look, REGISTER, RecipeLooks, Register, TestSetLooks, by_test_set};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the numbers mean.
const NOTE: &str = "\
A look is one result of one run on one test set. A recipe is a configuration without its seed, so seeds
are runs of one recipe. The more recipes were scored on a test set, the more the best of them owes to
chance; scores for different purposes are not to be compared.";

pub(crate) fn run(args: &LooksArgs, common: &Common) -> Result<ExitCode> {
    let mut registers = Vec::new();
    for path in &args.paths {
        registers.extend(registers_at(path)?);
    }
    registers.sort();
    registers.dedup();
    let mut looks: Vec<Look> = Vec::new();
    for register in &registers {
        looks.extend(Register::open(register)?.all()?);
    }
    let listing = Listing {
        registers,
        test_sets: by_test_set(&looks),
        note: NOTE.replace('\n', " "),
    };
    answer(common.json, &listing)?;
    Ok(ExitCode::SUCCESS)
}

/// The register that `path` is, or those in that folder and in the folders directly in it.
fn registers_at(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        if !path.exists() {
            bail!(
                "there is no {}; name a register of test looks, or the folder of the runs it lies beside",
                path.display()
            );
        }
        return Ok(vec![path.into()]);
    }
    let mut folders = vec![path.to_path_buf()];
    for entry in std::fs::read_dir(path).map_err(FileError::at("list folder", path))? {
        folders.push(entry.map_err(FileError::at("list folder", path))?.path());
    }
    let registers = folders.into_iter().map(|folder| folder.join(REGISTER));
    let found: Vec<PathBuf> = registers.filter(|register| register.is_file()).collect();
    if found.is_empty() {
        bail!(
            "there is no {REGISTER} in {} or directly below it; `hw eval` writes one beside the run's \
             folder: name that folder's parent, or the file",
            path.display()
        );
    }
    Ok(found)
}

/// All looks, test set by test set.
#[derive(Debug, Serialize)]
struct Listing {
    registers: Vec<PathBuf>,
    test_sets: Vec<TestSetLooks>,
    note: String,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for set in &self.test_sets {
            let (recipes, looks) = (counted(set.recipes, "recipe"), counted(set.looks, "look"));
            writeln!(f, "{}: {recipes}, {looks}", set.test)?;
            writeln!(f, "{}", table(&set.lines))?;
        }
        for register in &self.registers {
            writeln!(f, "register {}", register.display())?;
        }
        writeln!(f, "{NOTE}")
    }
}

fn table(lines: &[RecipeLooks]) -> Table {
    let mut table = Table::new(&[
        "recipe", "purpose", ">runs", ">looks", "first", "last", ">worst", ">best", "label",
    ]);
    for line in lines.iter().cloned() {
        table.row([
            line.recipe,
            line.purpose.to_string(),
            line.runs.to_string(),
            line.looks.to_string(),
            line.first,
            line.last,
            percent(line.worst),
            percent(line.best),
            line.label.unwrap_or_default(),
        ]);
    }
    table
}
