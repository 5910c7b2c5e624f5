//! Where the files of a data set are, and which edition they are, without reading any image.

use crate::catalogue::{DatasetId, EmnistEdition, Entry};
use crate::published::{Checksum, PUBLISHED};
use crate::{DataError, Split, idx, verify};
use hw_core::FileError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The folders data is looked for in, and which EMNIST is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataDirs {
    /// Data folders, in the order they are tried. Each holds the files themselves or one folder a set.
    pub roots: Vec<PathBuf>,
    /// `None` takes the first EMNIST folder that holds both training and test files. Naming an
    /// edition takes only that one, and then a folder with test files alone will do for testing.
    pub edition: Option<EmnistEdition>,
}

impl DataDirs {
    /// `explicit` (the `--data-dir` option), then the `HW_DATA_DIR` variable, then
    /// `handwriting-workbench` in the user's cache folder.
    pub fn resolve(explicit: Option<&Path>) -> Self {
        let variable = std::env::var_os("HW_DATA_DIR").filter(|value| !value.is_empty());
        let cache = dirs::cache_dir().map(|cache| cache.join("handwriting-workbench"));
        let all = [
            explicit.map(PathBuf::from),
            variable.map(PathBuf::from),
            cache,
        ];
        Self {
            roots: all.into_iter().flatten().collect(),
            edition: None,
        }
    }

    /// Only `root`; for tests and for callers that know.
    pub fn only(root: impl Into<PathBuf>) -> Self {
        Self {
            roots: vec![root.into()],
            edition: None,
        }
    }

    /// The same folders, for one EMNIST.
    pub fn with_edition(self, edition: Option<EmnistEdition>) -> Self {
        Self { edition, ..self }
    }
}

/// Where a data set is. Glyphs are nowhere: they have neither folder nor files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The data set.
    pub id: DatasetId,
    /// The one folder that training and test files come from.
    pub folder: Option<PathBuf>,
    /// The training files, if the folder has them.
    pub train: Option<SplitFiles>,
    /// The test files, if the folder has them.
    pub test: Option<SplitFiles>,
}

/// The two files of one part of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitFiles {
    /// The images file.
    pub images: PathBuf,
    /// The labels file.
    pub labels: PathBuf,
    /// How many labels the labels file declares.
    pub count: u32,
    /// The edition that count belongs to; "unlisted" when the catalogue knows none.
    pub edition: &'static str,
    family: Option<EmnistEdition>,
}

impl Located {
    /// The files of one part.
    pub fn files(&self, split: Split) -> Option<&SplitFiles> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    /// The edition in words: one name, or two when training and test files differ in it.
    pub fn edition(&self) -> String {
        match (&self.train, &self.test) {
            (Some(train), Some(test)) if train.edition != test.edition => {
                format!("train {}, test {}", train.edition, test.edition)
            }
            (Some(files), _) | (None, Some(files)) => files.edition.to_string(),
            (None, None) => String::new(),
        }
    }
}

/// Finds the folder of a data set, both parts if there are both.
///
/// # Errors
/// [`DataError::NotFound`] with every folder looked in and what to place where;
/// [`DataError::File`] when a folder cannot be looked into; [`DataError::Damaged`] when a labels
/// file has no header.
pub fn locate(id: &DatasetId, dirs: &DataDirs) -> Result<Located, DataError> {
    find(id, dirs, None)
}

/// As [`locate`], for a folder that has the files of `split`.
pub(crate) fn locate_split(
    id: &DatasetId,
    split: Split,
    dirs: &DataDirs,
) -> Result<Located, DataError> {
    find(id, dirs, Some(split))
}

fn find(id: &DatasetId, dirs: &DataDirs, wanted: Option<Split>) -> Result<Located, DataError> {
    let Some(entry) = id.entry() else {
        return Ok(Located {
            id: id.clone(),
            folder: match id {
                DatasetId::Folder(path) => Some(path.clone()),
                _ => None,
            },
            train: None,
            test: None,
        });
    };
    let mut looked = Vec::new();
    for root in &dirs.roots {
        let flat = std::iter::once(root.clone());
        for folder in entry.folders.iter().map(|name| root.join(name)).chain(flat) {
            match look_into(&folder, id, entry, dirs.edition, wanted)? {
                Ok(located) => return Ok(located),
                Err(objection) => looked.push(format!("{} {objection}", folder.display())),
            }
        }
    }
    Err(not_found(id, entry, looked, wanted))
}

/// The set as `folder` has it, or why that folder will not do.
fn look_into(
    folder: &Path,
    id: &DatasetId,
    entry: &Entry,
    edition: Option<EmnistEdition>,
    wanted: Option<Split>,
) -> Result<Result<Located, String>, DataError> {
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Err(error) if !is_absence(&error) => {
            return Err(FileError::at("look into folder", folder)(error).into());
        }
        _ => return Ok(Err("is no folder".into())),
    }
    let train = part(entry, Split::Train, folder)?;
    let test = part(entry, Split::Test, folder)?;
    let (needs_train, needs_test) = needed(entry, edition, wanted, &train);
    for (part, needed) in [(&train, needs_train), (&test, needs_test)] {
        if let (Part::Lacks(name), true) = (part, needed) {
            return Ok(Err(format!("has no {name}")));
        }
    }
    let located = Located {
        id: id.clone(),
        folder: Some(folder.to_path_buf()),
        train: train.found(),
        test: test.found(),
    };
    Ok(match objection(&located, entry, edition)? {
        Some(objection) => Err(objection),
        None => Ok(located),
    })
}

/// Which parts a folder must have. Two EMNISTs share images, so unless one was named, training and
/// test files are only taken from a folder that has both: no later call can then mix them.
fn needed(
    entry: &Entry,
    edition: Option<EmnistEdition>,
    wanted: Option<Split>,
    train: &Part,
) -> (bool, bool) {
    let several = entry
        .editions
        .iter()
        .any(|edition| edition.family.is_some());
    match wanted {
        _ if several && edition.is_none() => (true, true),
        Some(split) => (split == Split::Train, split == Split::Test),
        // Any one part will do.
        None => (false, matches!(train, Part::Lacks(_))),
    }
}

/// What is wrong with files that are all there.
fn objection(
    located: &Located,
    entry: &Entry,
    edition: Option<EmnistEdition>,
) -> Result<Option<String>, DataError> {
    let parts = || [&located.train, &located.test].into_iter().flatten();
    let mut families = parts().filter_map(|files| files.family);
    let first = families.next();
    if first.is_some() && families.any(|family| Some(family) != first) {
        return Ok(Some(format!(
            "mixes two editions ({}), which share images",
            located.edition()
        )));
    }
    if edition.is_some() && entry.editions.iter().any(|e| e.family.is_some()) && first != edition {
        return Ok(Some(format!(
            "holds another edition ({})",
            located.edition()
        )));
    }
    for files in parts() {
        if let Some(other) = other_set(files, entry)? {
            return Ok(Some(format!("holds {other}")));
        }
    }
    Ok(None)
}

/// The set these files really are, when it is another one: MNIST and KMNIST use the same file names.
fn other_set(files: &SplitFiles, entry: &Entry) -> Result<Option<&'static str>, DataError> {
    let shared_names = |other: &&(DatasetId, Entry)| other.1.train_prefix == entry.train_prefix;
    if crate::catalogue::CATALOGUE
        .iter()
        .filter(shared_names)
        .count()
        < 2
    {
        return Ok(None);
    }
    let sum = verify::content_sha256(&files.labels)?;
    let known = PUBLISHED.iter().find(|file| match file.content {
        Some(Checksum::Sha256(known)) => known == sum,
        _ => false,
    });
    Ok(known.map(|file| file.set).filter(|&set| set != entry.name))
}

fn not_found(
    id: &DatasetId,
    entry: &Entry,
    looked: Vec<String>,
    wanted: Option<Split>,
) -> DataError {
    let (needs_train, needs_test) = match wanted {
        Some(split) => (split == Split::Train, split == Split::Test),
        None => (true, true),
    };
    let parts = [(Split::Train, needs_train), (Split::Test, needs_test)];
    let files: Vec<String> = parts
        .iter()
        .filter(|(_, needed)| *needed)
        .flat_map(|(split, _)| file_names(entry, *split))
        .map(|name| format!("{name}.gz"))
        .collect();
    let advice = format!(
        "place {} in FOLDER/{} and name FOLDER by --data-dir or HW_DATA_DIR (published at {})",
        files.join(" and "),
        entry.folders[0],
        entry.sources[0],
    );
    DataError::NotFound {
        set: id.to_string(),
        looked: match looked.is_empty() {
            true => "there is no folder to look in".to_string(),
            false => looked.join(", "),
        },
        advice,
    }
}

/// The files of one part in one folder, or which of them the folder lacks.
enum Part {
    Found(SplitFiles),
    Lacks(String),
}

impl Part {
    fn found(self) -> Option<SplitFiles> {
        match self {
            Self::Found(files) => Some(files),
            Self::Lacks(_) => None,
        }
    }
}

/// The published names of the images and the labels file of one part, without `.gz`.
pub(crate) fn file_names(entry: &Entry, split: Split) -> [String; 2] {
    let prefix = match split {
        Split::Train => entry.train_prefix,
        Split::Test => entry.test_prefix,
    };
    [
        format!("{prefix}-images-idx3-ubyte"),
        format!("{prefix}-labels-idx1-ubyte"),
    ]
}

fn part(entry: &Entry, split: Split, folder: &Path) -> Result<Part, DataError> {
    let [images, labels] = file_names(entry, split);
    let Some(images_path) = existing(folder, &images)? else {
        return Ok(Part::Lacks(images));
    };
    let Some(labels_path) = existing(folder, &labels)? else {
        return Ok(Part::Lacks(labels));
    };
    let count = idx::read_header(&labels_path)?
        .shape
        .first()
        .copied()
        .unwrap_or(0);
    let edition = entry.editions.iter().find(|edition| match split {
        Split::Train => edition.train == count,
        Split::Test => edition.test == count,
    });
    Ok(Part::Found(SplitFiles {
        images: images_path,
        labels: labels_path,
        count,
        edition: edition.map_or("unlisted", |edition| edition.name),
        family: edition.and_then(|edition| edition.family),
    }))
}

/// The file of this name in `folder` under any of its spellings: torchvision writes a dot for the
/// hyphen before "idx", and each may be compressed.
fn existing(folder: &Path, name: &str) -> Result<Option<PathBuf>, DataError> {
    let dotted = name.replace("-idx", ".idx");
    for spelling in [name, &dotted] {
        for path in [folder.join(spelling), folder.join(format!("{spelling}.gz"))] {
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
                Ok(_) => {}
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(FileError::at("look for", &path)(error).into()),
            }
        }
    }
    Ok(None)
}

/// Whether an error says that there is no such file, rather than that one may not look.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
