//! An archive as a whole: reading it with every hash checked, writing it whole, and finding runs in it.

use super::error::ArchiveError;
use super::manifest::{LOOKS, MANIFEST, Manifest};
use super::record::{Record, from_bytes, to_bytes};
use hw_core::FileError;
use hw_core::files::{sha256_hex, write_whole};
use hw_eval::looks::Look;
use hw_train::TrainConfig;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// All records of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) manifest: Manifest,
    /// By their runs' ids.
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) looks: Vec<Look>,
}

impl Archive {
    pub(crate) fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            records: BTreeMap::new(),
            looks: Vec::new(),
        }
    }

    /// Reads the archive in `folder`.
    ///
    /// # Errors
    /// [`ArchiveError`] naming the first file that is not as it was written.
    pub(crate) fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let manifest = Manifest::read(folder)?;
        let mut archive = Self::new(manifest.clone());
        for (name, hash) in &manifest.files {
            let path = folder.join(name);
            let damaged = |problem: &str| ArchiveError::Damaged {
                path: path.clone(),
                problem: problem.into(),
            };
            // A name from a file is not to lead out of the folder.
            let inside = Path::new(name).components();
            if !inside
                .clone()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
            {
                return Err(damaged("a file of an archive lies in its folder"));
            }
            let bytes = match std::fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(damaged("it is missing"));
                }
                bytes => bytes.map_err(FileError::at("read", &path))?,
            };
            if sha256_hex(&bytes) != *hash {
                return Err(damaged("its SHA-256 is not the manifest's"));
            }
            if name == LOOKS {
                archive.looks = from_bytes(&bytes, &path)?;
            } else {
                let record: Record = from_bytes(&bytes, &path)?;
                if record.file() != *name {
                    return Err(damaged("it holds another run"));
                }
                archive.records.insert(record.run.clone(), record);
            }
        }
        Ok(archive)
    }

    /// Writes the archive to `folder`: records first, each whole, then the manifest that names them. Files
    /// that belong to no record are removed after that.
    ///
    /// # Errors
    /// [`ArchiveError`] when a file cannot be written.
    pub(crate) fn write(&mut self, folder: &Path) -> Result<Written, ArchiveError> {
        self.manifest.files.clear();
        let mut bytes_in_all = 0;
        let looks = std::iter::once((LOOKS.to_string(), to_bytes(&self.looks)));
        let records = self.records.values();
        let records = records.map(|record| (record.file(), to_bytes(record)));
        for (name, bytes) in looks.chain(records) {
            let hash = sha256_hex(&bytes);
            bytes_in_all += bytes.len() as u64;
            let path = folder.join(&name);
            let there = std::fs::read(&path).is_ok_and(|known| known == bytes);
            if !there {
                write_whole(&path, &bytes)?;
            }
            self.manifest.files.insert(name, hash);
        }
        let text = serde_json::to_string_pretty(&self.manifest);
        let text = text.expect("numbers and strings are JSON") + "\n";
        bytes_in_all += text.len() as u64;
        write_whole(&folder.join(MANIFEST), text.as_bytes())?;
        self.remove_others(&folder.join("runs"))?;
        Ok(Written {
            runs: self.records.len(),
            bytes: bytes_in_all,
        })
    }

    /// Removes records that are no longer in the manifest.
    fn remove_others(&self, runs: &Path) -> Result<(), ArchiveError> {
        let known: HashSet<String> = self.records.values().map(Record::file).collect();
        for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".hwr") && !known.contains(&format!("runs/{name}")) {
                let path = entry.path();
                std::fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
            }
        }
        Ok(())
    }

    /// That every data set has one checksum in `self` and in `other`, which is in `folder`.
    ///
    /// # Errors
    /// [`ArchiveError::OtherData`] naming a run and its data.
    pub(crate) fn check_data(&self, folder: &Path, other: &Self) -> Result<(), ArchiveError> {
        let mut known: HashMap<String, &str> = HashMap::new();
        for (set, hash) in self.records.values().flat_map(stamps) {
            known.entry(set).or_insert(hash);
        }
        for record in other.records.values() {
            for (set, hash) in stamps(record) {
                let expected = *known.entry(set.clone()).or_insert(hash);
                if expected != hash {
                    return Err(ArchiveError::OtherData {
                        path: folder.into(),
                        run: record.run.clone(),
                        set,
                        found: hash.into(),
                        expected: expected.into(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What was written.
pub(crate) struct Written {
    pub(crate) runs: usize,
    pub(crate) bytes: u64,
}

/// The data sets of a record, in words, with their checksums.
fn stamps(record: &Record) -> Vec<(String, &str)> {
    let named = |part: &str, stamp: &hw_train::DataStamp| {
        format!("{} ({}), {part}", stamp.dataset, stamp.edition)
    };
    let mut stamps = vec![(named("training", &record.data), record.data.sha256.as_str())];
    if let Some(tested) = record.tested() {
        let result = &tested.result;
        let tests = std::iter::once(&result.test);
        let tests = tests.chain(result.variants.iter().map(|variant| &variant.test));
        stamps.extend(tests.map(|test| (named("test", test), test.sha256.as_str())));
    }
    stamps
}

/// Finds runs by their configuration. A teacher is named by its run, whose id holds what computed it; here
/// it is named by its own configuration, so that an archive of an older computation still serves.
pub(crate) struct Index {
    /// The run for each configuration, by its name.
    runs: HashMap<String, String>,
    /// The name of each run's configuration.
    names: HashMap<String, String>,
}

impl Index {
    /// Over these records; where several computations made the same run, this program's comes first, then
    /// the latest.
    pub(crate) fn of(archive: &Archive) -> Self {
        let mut index = Self {
            runs: HashMap::new(),
            names: HashMap::new(),
        };
        for record in archive.records.values() {
            index.name_of(record, archive, 0);
        }
        let rank = |run: &str| {
            let computation = &archive.records[run].computation;
            (computation.is_current(), computation.clone())
        };
        for run in archive.records.keys() {
            let name = &index.names[run];
            let better = |known: &String| rank(known) >= rank(run);
            if !index.runs.get(name).is_some_and(better) {
                index.runs.insert(name.clone(), run.clone());
            }
        }
        index
    }

    /// The name of a record's configuration; `depth` ends a circle of teachers, which a damaged record may
    /// hold.
    fn name_of(&mut self, record: &Record, archive: &Archive, depth: usize) {
        if self.names.contains_key(&record.run) {
            return;
        }
        let teachers = record
            .config
            .teacher
            .iter()
            .flat_map(|teacher| &teacher.runs);
        for teacher in teachers.filter_map(|run| archive.records.get(run)) {
            if depth < archive.records.len() {
                self.name_of(teacher, archive, depth + 1);
            }
        }
        let name = self.name(&record.config);
        self.names.insert(record.run.clone(), name);
    }

    /// A configuration with its teachers named by theirs.
    fn name(&self, config: &TrainConfig) -> String {
        let mut config = config.clone();
        for run in config
            .teacher
            .iter_mut()
            .flat_map(|teacher| &mut teacher.runs)
        {
            if let Some(name) = self.names.get(run) {
                run.clone_from(name);
            }
        }
        let text = serde_json::to_string(&config).expect("a configuration is JSON");
        sha256_hex(text.as_bytes())
    }

    /// The run of that configuration.
    pub(crate) fn run(&self, config: &TrainConfig) -> Option<&str> {
        self.runs.get(&self.name(config)).map(String::as_str)
    }
}
