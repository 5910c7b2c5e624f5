//! `hw data fetch`: the published files, downloaded and checked.

use crate::args::{Common, FetchArgs};
use crate::output::answer;
use crate::progress::Download;
use anyhow::Result;
use hw_data::fetch::{FetchOptions, FetchProgress, Fetched, fetch, remove_archive, target};
use hw_data::{DataDirs, DatasetId, catalogue};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is here now.
#[derive(Debug, Serialize)]
struct Answer {
    sets: Vec<Set>,
}

#[derive(Debug, Serialize)]
struct Set {
    name: String,
    folder: PathBuf,
    licence: &'static str,
    files: Vec<Fetched>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for set in &self.sets {
            let (name, folder, licence) = (&set.name, set.folder.display(), set.licence);
            writeln!(f, "{name} in {folder} ({licence})")?;
            for file in &set.files {
                let from = match &file.from {
                    Some(url) => format!("from {url}"),
                    None => "was here already".into(),
                };
                let path = file.path.file_name().unwrap_or(file.path.as_os_str());
                writeln!(f, "  {}: {from}", path.display())?;
            }
        }
        Ok(())
    }
}

pub(crate) fn run(args: &FetchArgs, common: &Common) -> Result<ExitCode> {
    // The folder need not be there yet, so this does not ask for it.
    let dirs = DataDirs::resolve(common.data_dir.as_deref());
    let options = FetchOptions {
        mirror: args.from.clone(),
        ..FetchOptions::default()
    };
    let mut download = Download::default();
    let mut sets = Vec::new();
    for (id, entry) in catalogue::CATALOGUE {
        if !args
            .names
            .iter()
            .any(|name| name == "all" || name == entry.name)
        {
            continue;
        }
        let folder = target(id, &dirs)?;
        let files = one(id, &folder, &options, &mut download);
        download.clear();
        sets.push(Set {
            name: id.to_string(),
            files: files?,
            folder,
            licence: entry.licence,
        });
    }
    for set in &sets {
        remove_archive(&set.folder)?;
    }
    answer(common.json, &Answer { sets })?;
    Ok(ExitCode::SUCCESS)
}

fn one(
    id: &DatasetId,
    folder: &std::path::Path,
    options: &FetchOptions,
    download: &mut Download,
) -> Result<Vec<Fetched>> {
    let mut tell = |now: &FetchProgress<'_>| download.tell(now.file, now.done, now.total);
    Ok(fetch(id, folder, options, &mut tell)?)
}
