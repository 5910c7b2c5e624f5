//! What an archive says of itself: of which reproduction it is, what data sets there were, and the hash of
//! each file.

use super::error::ArchiveError;
use super::letters::{LEVELS, LOWEST, STEP};
use super::record::VERSION;
use crate::data::ClassCounts;
use crate::options::Profile;
use crate::paper::Paper;
use hw_core::FileError;
use hw_data::EmnistEdition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The file that makes a folder an archive.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The file of the looks at test sets.
pub(crate) const LOOKS: &str = "looks.hwr";
const FORMAT: &str = "hw-archive";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) confidence: Quantization,
    pub(crate) of: Reproduction,
    /// The data sets that papers name, so that a report needs none of them.
    pub(crate) sets: Vec<SetSizes>,
    /// SHA-256 of each file, by its name.
    pub(crate) files: BTreeMap<String, String>,
}

/// How confidences are kept: one letter an image, levels of log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantization {
    scale: String,
    lowest: f64,
    step: f64,
    levels: u8,
}

/// Which reproduction, or which sweep, it is: what must be equal for archives to be merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reproduction {
    /// SHA-256 of each paper's file, by the paper's name.
    pub(crate) papers: BTreeMap<String, String>,
    /// None of a sweep.
    pub(crate) profile: Option<Profile>,
    /// The sweep's name and the hash of what it was checked to be; none of a reproduction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sweep: Option<String>,
    /// Whether glyphs stood in for the data.
    pub(crate) synthetic: bool,
    /// The `--only` it was made with.
    pub(crate) only: Option<String>,
    /// The `--seeds` it was made with.
    pub(crate) seeds: Option<u64>,
    /// Which EMNIST.
    pub(crate) emnist: Option<EmnistEdition>,
}

/// A data set as papers name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetSizes {
    pub(crate) set: String,
    pub(crate) edition: Option<EmnistEdition>,
    pub(crate) train: usize,
    pub(crate) test: usize,
    /// Images of each class, where a figure shows them.
    pub(crate) classes: Option<ClassCounts>,
}

impl Manifest {
    pub(crate) fn new(of: Reproduction, sets: Vec<SetSizes>) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            confidence: Quantization {
                scale: "log-odds".into(),
                lowest: LOWEST,
                step: STEP,
                levels: LEVELS,
            },
            of,
            sets,
            files: BTreeMap::new(),
        }
    }

    /// Reads the manifest of the archive in `folder`.
    ///
    /// # Errors
    /// That the folder is not there, is no archive, or is of another version.
    pub(crate) fn read(folder: &Path) -> Result<Self, ArchiveError> {
        if !folder.is_dir() {
            return Err(ArchiveError::Missing {
                path: folder.into(),
            });
        }
        let path = folder.join(MANIFEST);
        let not_one = || ArchiveError::NotAnArchive {
            path: folder.into(),
        };
        if !path.exists() {
            return Err(not_one());
        }
        let text = std::fs::read_to_string(&path).map_err(FileError::at("read", &path))?;
        let damaged = |error: serde_json::Error| ArchiveError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        if value["format"] != FORMAT {
            return Err(not_one());
        }
        let found = value["version"].as_u64().and_then(|v| v.try_into().ok());
        match found {
            Some(VERSION) => serde_json::from_value(value).map_err(damaged),
            found => Err(ArchiveError::Version {
                found: found.unwrap_or(0),
                known: VERSION,
                path,
            }),
        }
    }
}

impl Reproduction {
    /// That the papers here are those of the archive in `folder`.
    ///
    /// # Errors
    /// Which paper is missing or is another version.
    pub(crate) fn check_papers(&self, folder: &Path, papers: &[Paper]) -> Result<(), ArchiveError> {
        for (slug, archived) in &self.papers {
            let paper = papers.iter().find(|paper| paper.slug == *slug);
            let paper = paper.ok_or_else(|| ArchiveError::NoPaper {
                path: folder.into(),
                paper: slug.clone(),
            })?;
            if paper.sha256 != *archived {
                return Err(ArchiveError::Paper {
                    path: folder.into(),
                    paper: slug.clone(),
                    archived: archived.clone(),
                    here: paper.sha256.clone(),
                });
            }
        }
        Ok(())
    }

    /// That both are archives of the same reproduction; `other` is in `folder`.
    ///
    /// # Errors
    /// In what they differ.
    pub(crate) fn check_same(&self, folder: &Path, other: &Self) -> Result<(), ArchiveError> {
        for (slug, hash) in &other.papers {
            if let Some(own) = self.papers.get(slug).filter(|own| *own != hash) {
                return Err(ArchiveError::Paper {
                    path: folder.into(),
                    paper: slug.clone(),
                    archived: hash.clone(),
                    here: own.clone(),
                });
            }
        }
        let words = |of: &Self| {
            let data = if of.synthetic { "glyphs" } else { "real data" };
            let seeds = of
                .seeds
                .map_or("as needed".into(), |seeds| seeds.to_string());
            let emnist = of
                .emnist
                .map_or("none".into(), |edition| edition.to_string());
            let only = of.only.clone().unwrap_or_else(|| "all papers".into());
            let papers: Vec<&str> = of.papers.keys().map(String::as_str).collect();
            [
                (
                    "profile",
                    of.profile.map_or("none", Profile::name).to_string(),
                ),
                ("sweep", of.sweep.clone().unwrap_or_else(|| "none".into())),
                ("data", data.to_string()),
                ("EMNIST edition", emnist),
                ("papers", papers.join(", ")),
                ("--only", only),
                ("--seeds", seeds),
            ]
        };
        for ((what, expected), (_, found)) in words(self).into_iter().zip(words(other)) {
            if expected != found {
                return Err(ArchiveError::OtherReproduction {
                    path: folder.into(),
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}
