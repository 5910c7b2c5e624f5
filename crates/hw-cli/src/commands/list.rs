//! `hw list`: what there is to choose from, family by family.

use crate::args::{Common, ListFamilyArgs};
use crate::output::{Table, answer};
use anyhow::Result;
use hw_train::blocks::{Block, Family};
use serde::Serialize;
use std::fmt;
use std::process::ExitCode;

/// The families, or the members of one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Listing {
    Families(Vec<FamilyLine>),
    Family {
        family: &'static str,
        option: &'static str,
        blocks: Vec<Block>,
    },
}

#[derive(Debug, Serialize)]
struct FamilyLine {
    family: &'static str,
    option: &'static str,
    members: usize,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Families(families) => {
                let mut table = Table::new(&["family", ">members", "option"]);
                for line in families {
                    let members = line.members.to_string();
                    table.row([line.family.into(), members, line.option.into()]);
                }
                writeln!(f, "{table}")?;
                writeln!(f, "`hw list FAMILY` shows the members")
            }
            Self::Family { option, blocks, .. } => {
                let mut table = Table::new(&["name", "what", "from", "defaults"]);
                for block in blocks.iter().cloned() {
                    table.row([block.name, block.about, block.source, block.defaults]);
                }
                writeln!(f, "{table}")?;
                writeln!(f, "for `hw train {option}`")
            }
        }
    }
}

pub(crate) fn run(args: &ListFamilyArgs, common: &Common) -> Result<ExitCode> {
    let named = |family: &Family| Some(family.name()) == args.family.as_deref();
    let listing = match Family::ALL.into_iter().find(named) {
        Some(family) => Listing::Family {
            family: family.name(),
            option: family.option(),
            blocks: family.blocks(),
        },
        None => Listing::Families(
            Family::ALL
                .into_iter()
                .map(|family| FamilyLine {
                    family: family.name(),
                    option: family.option(),
                    members: family.blocks().len(),
                })
                .collect(),
        ),
    };
    answer(common.json, &listing)?;
    Ok(ExitCode::SUCCESS)
}
