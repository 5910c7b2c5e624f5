//! The data sets the workbench knows, each declared once: the command line's choices, the listings,
//! locating, checking and downloading all read this page.

use crate::DataError;
use crate::centre::Centring;
use crate::dataset::{Dataset, Split};
use crate::locate::DataDirs;
use hw_core::{Member, Named, RegisterError, Registry};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Names a data set, wherever one is asked for; written as its name ("mnist", "folder:letters").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DatasetId {
    /// MNIST (LeCun, Cortes & Burges): 10 digits.
    Mnist,
    /// KMNIST (Clanuwat et al. 2018): 10 hiragana.
    Kmnist,
    /// EMNIST ByClass (Cohen et al. 2017): 62 characters.
    EmnistByclass,
    /// EMNIST ByMerge: 47 characters, look-alike cases merged.
    EmnistBymerge,
    /// EMNIST Balanced: the 47 characters in equal numbers.
    EmnistBalanced,
    /// EMNIST Letters: 26 letters, case folded.
    EmnistLetters,
    /// EMNIST Digits: 10 digits.
    EmnistDigits,
    /// EMNIST MNIST: 10 digits in MNIST's numbers.
    EmnistMnist,
    /// Drawn by our own generator.
    Glyphs(GlyphSet),
    /// A folder of images, one sub-folder a class.
    Folder(PathBuf),
    /// One that another crate has [registered](register).
    Registered(Member<dyn DataSource>),
}

/// A data set of another crate. Images that lie as IDX files or in folders need none: a folder is a
/// data set by its path.
pub trait DataSource: Named + Sync {
    /// The name of each class, by label.
    fn classes(&self) -> Arc<[String]>;

    /// One part of it.
    ///
    /// # Errors
    /// What keeps it from being loaded.
    fn load(&self, split: Split, dirs: &DataDirs) -> Result<Dataset, DataError>;

    /// How its images were cropped and centred, and how a new image must be to be like them.
    fn centring(&self) -> Centring {
        Centring::Mnist
    }

    /// Whether the images are drawn by a program.
    fn is_synthetic(&self) -> bool {
        false
    }
}

static REGISTERED: Registry<dyn DataSource> =
    Registry::new("data set", |name| ours().any(|id| id.to_string() == name));

/// Adds a data set to those that are found by name. To be called when the program starts.
///
/// # Errors
/// [`RegisterError`] when the name is taken or cannot be written on a command line.
pub fn register(source: &'static dyn DataSource) -> Result<(), RegisterError> {
    REGISTERED.add(source)
}

/// Ours that have a fixed name: the catalogue, then the glyphs.
fn ours() -> impl Iterator<Item = DatasetId> {
    let published = CATALOGUE.iter().map(|(id, _)| id.clone());
    published.chain(GlyphSet::ALL.map(DatasetId::Glyphs))
}

/// Which characters the glyph generator draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GlyphSet {
    /// The 62 characters of EMNIST ByClass.
    All,
    /// 0..9.
    Digits,
    /// The 26 letters, case folded as in EMNIST Letters.
    Letters,
    /// The ten hiragana of KMNIST.
    Hiragana,
}

impl GlyphSet {
    /// All four, in the order they are listed.
    pub const ALL: [Self; 4] = [Self::All, Self::Digits, Self::Letters, Self::Hiragana];

    /// The data set's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "glyphs",
            Self::Digits => "glyphs:digits",
            Self::Letters => "glyphs:letters",
            Self::Hiragana => "glyphs:hiragana",
        }
    }

    /// The name of each class, by label.
    pub fn classes(self) -> Arc<[String]> {
        match self {
            Self::All => names(BYCLASS),
            Self::Digits => names(DIGITS),
            Self::Letters => names(LETTERS),
            Self::Hiragana => names(HIRAGANA),
        }
    }
}

/// How a file's rows and columns lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// Row by row, as seen.
    Upright,
    /// Column by column: every EMNIST file is the transpose of what is seen.
    Transposed,
}

/// The digits' class names, in label order.
pub const DIGITS: &str = "0123456789";
/// The class names of EMNIST Letters, in label order.
pub const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// The class names of EMNIST ByClass, in label order.
pub const BYCLASS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The class names of EMNIST ByMerge and Balanced, in label order.
pub const BYMERGE: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt";
/// The class names of KMNIST, in label order: o ki su tsu na ha ma ya re wo.
pub const HIRAGANA: &str = "おきすつなはまやれを";

/// One class name a character of `text`.
pub fn names(text: &str) -> Arc<[String]> {
    text.chars().map(String::from).collect()
}

/// How many images an edition of a set has; the count is how an edition is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// "original", "nist-gzip", "csv", "sixth".
    pub name: &'static str,
    /// Which EMNIST it belongs to; `None` for sets that have one edition only.
    pub family: Option<EmnistEdition>,
    /// Training images.
    pub train: u32,
    /// Test images.
    pub test: u32,
}

/// The two EMNISTs. They share images, so training on one and testing on the other would leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmnistEdition {
    /// The published sets.
    Full,
    /// A sixth-scale EMNIST made of the published ByClass test images, for development.
    Sixth,
}

impl fmt::Display for EmnistEdition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Sixth => "sixth",
        })
    }
}

impl FromStr for EmnistEdition {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "full" => Ok(Self::Full),
            "sixth" => Ok(Self::Sixth),
            other => {
                let problem = format!("\"{other}\" is neither full nor sixth");
                Err(DataError::invalid("EMNIST edition", problem))
            }
        }
    }
}

/// What is known about a set that comes as IDX files.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The set's name.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// Its classes' names, one a character, in label order.
    pub classes: &'static str,
    /// What the training files' names begin with.
    pub train_prefix: &'static str,
    /// What the test files' names begin with.
    pub test_prefix: &'static str,
    /// The folders it may lie in, under a data folder; that folder itself comes last.
    pub folders: &'static [&'static str],
    /// How its images are stored.
    pub orientation: Orientation,
    /// How its characters were cropped and centred.
    pub centring: Centring,
    /// The label of the first class in its files.
    pub label_base: u8,
    /// The editions in use.
    pub editions: &'static [Edition],
    /// Where the files are published.
    pub sources: &'static [&'static str],
    /// Data sets on the Hugging Face hub that hold copies of the same files, under the same names.
    pub hub: &'static [&'static str],
    /// Licence and attribution, in one line.
    pub licence: &'static str,
}

const ORIGINAL: &[Edition] = &[edition("original", None, 60_000, 10_000)];
const EMNIST_FOLDERS: &[&str] = &["emnist", "emnist/gzip", "EMNIST/raw", "emnist-sixth"];
const EMNIST_SOURCES: &[&str] = &["https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"];
const EMNIST_COPIES: &[&str] = &[
    "Heliosoph/EMNIST",
    "Royc30ne/emnist-balanced",
    "Royc30ne/emnist-letters",
];
const EMNIST_LICENCE: &str =
    "NIST Special Database 19; Cohen, Afshar, Tapson & van Schaik 2017, arXiv:1702.05373";

const fn edition(
    name: &'static str,
    family: Option<EmnistEdition>,
    train: u32,
    test: u32,
) -> Edition {
    Edition {
        name,
        family,
        train,
        test,
    }
}

const fn nist(train: u32, test: u32) -> Edition {
    edition("nist-gzip", Some(EmnistEdition::Full), train, test)
}

const fn sixth(train: u32, test: u32) -> Edition {
    edition("sixth", Some(EmnistEdition::Sixth), train, test)
}

const fn emnist(
    name: &'static str,
    about: &'static str,
    classes: &'static str,
    prefixes: [&'static str; 2],
    label_base: u8,
    editions: &'static [Edition],
) -> Entry {
    Entry {
        name,
        about,
        classes,
        train_prefix: prefixes[0],
        test_prefix: prefixes[1],
        folders: EMNIST_FOLDERS,
        orientation: Orientation::Transposed,
        centring: Centring::Emnist,
        label_base,
        editions,
        sources: EMNIST_SOURCES,
        hub: EMNIST_COPIES,
        licence: EMNIST_LICENCE,
    }
}

/// Every set that comes as IDX files, in the order they are listed.
pub const CATALOGUE: &[(DatasetId, Entry)] = &[
    (
        DatasetId::Mnist,
        Entry {
            name: "mnist",
            about: "handwritten digits",
            classes: DIGITS,
            train_prefix: "train",
            test_prefix: "t10k",
            folders: &["mnist", "MNIST/raw"],
            orientation: Orientation::Upright,
            centring: Centring::Mnist,
            label_base: 0,
            editions: ORIGINAL,
            sources: &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "http://yann.lecun.com/exdb/mnist/",
            ],
            hub: &[],
            licence: "CC BY-SA 3.0; LeCun, Cortes & Burges",
        },
    ),
    (
        DatasetId::Kmnist,
        Entry {
            name: "kmnist",
            about: "hiragana cut from books of the Edo period",
            classes: HIRAGANA,
            train_prefix: "train",
            test_prefix: "t10k",
            folders: &["kmnist", "KMNIST/raw"],
            orientation: Orientation::Upright,
            centring: Centring::Kmnist,
            label_base: 0,
            editions: ORIGINAL,
            sources: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
            hub: &[],
            licence: "CC BY-SA 4.0; ROIS-DS CODH, \"KMNIST Dataset\" adapted from \"Kuzushiji Dataset\", doi:10.20676/00000341",
        },
    ),
    (
        DatasetId::EmnistByclass,
        emnist(
            "emnist-byclass",
            "handwritten digits, capitals and small letters",
            BYCLASS,
            ["emnist-byclass-train", "emnist-byclass-test"],
            0,
            &[nist(697_932, 116_323), sixth(99_706, 16_617)],
        ),
    ),
    (
        DatasetId::EmnistBymerge,
        emnist(
            "emnist-bymerge",
            "digits and letters, 15 small letters merged with their capitals",
            BYMERGE,
            ["emnist-bymerge-train", "emnist-bymerge-test"],
            0,
            &[nist(697_932, 116_323), sixth(99_706, 16_617)],
        ),
    ),
    (
        DatasetId::EmnistBalanced,
        emnist(
            "emnist-balanced",
            "the ByMerge characters, equally many of each",
            BYMERGE,
            ["emnist-balanced-train", "emnist-balanced-test"],
            0,
            &[nist(112_800, 18_800), sixth(15_933, 2_726)],
        ),
    ),
    (
        DatasetId::EmnistLetters,
        emnist(
            "emnist-letters",
            "letters, capitals and small ones in one class",
            LETTERS,
            ["emnist-letters-train", "emnist-letters-test"],
            1,
            &[
                nist(124_800, 20_800),
                edition("csv", Some(EmnistEdition::Full), 88_800, 14_800),
                sixth(19_136, 2_912),
            ],
        ),
    ),
    (
        DatasetId::EmnistDigits,
        emnist(
            "emnist-digits",
            "handwritten digits, equally many of each",
            DIGITS,
            ["emnist-digits-train", "emnist-digits-test"],
            0,
            &[nist(240_000, 40_000), sixth(44_932, 7_500)],
        ),
    ),
    (
        DatasetId::EmnistMnist,
        emnist(
            "emnist-mnist",
            "handwritten digits in MNIST's numbers",
            DIGITS,
            ["emnist-mnist-train", "emnist-mnist-test"],
            0,
            &[nist(60_000, 10_000)],
        ),
    ),
];

impl DatasetId {
    /// What the catalogue says of this set; `None` for the others: glyphs, folders and those registered.
    pub fn entry(&self) -> Option<&'static Entry> {
        CATALOGUE
            .iter()
            .find(|(id, _)| id == self)
            .map(|(_, entry)| entry)
    }

    /// Every data set with a fixed name: the catalogue, the glyphs, and those registered.
    pub fn all() -> Vec<Self> {
        let registered = REGISTERED.all().into_iter().map(Self::Registered);
        ours().chain(registered).collect()
    }

    /// What it shows, in one line.
    pub fn about(&self) -> &'static str {
        match self {
            Self::Glyphs(_) => "synthetic handwriting",
            Self::Folder(_) => "a folder of images",
            Self::Registered(source) => source.about(),
            other => other.entry().map_or("", |entry| entry.about),
        }
    }

    /// The names that can be asked for, for messages and completions; "folder:PATH" comes last.
    pub fn valid_names() -> Vec<String> {
        let fixed = Self::all().into_iter().map(|id| id.to_string());
        fixed.chain(["folder:PATH".to_string()]).collect()
    }

    /// The names of the classes, by label; `None` for a folder, which has to be read to know.
    pub fn classes(&self) -> Option<Arc<[String]>> {
        match self {
            Self::Glyphs(set) => Some(set.classes()),
            Self::Registered(source) => Some(source.classes()),
            other => other.entry().map(|entry| names(entry.classes)),
        }
    }

    /// How the set's images were cropped and centred, and how a new image must be to be like them.
    /// Glyphs and folders are made like MNIST.
    pub fn centring(&self) -> Centring {
        match self {
            Self::Registered(source) => source.centring(),
            other => other
                .entry()
                .map_or(Centring::Mnist, |entry| entry.centring),
        }
    }

    /// Whether the images are drawn by a program; where its results are shown that must be said.
    pub fn is_synthetic(&self) -> bool {
        match self {
            Self::Glyphs(_) => true,
            Self::Registered(source) => source.is_synthetic(),
            _ => false,
        }
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glyphs(set) => f.write_str(set.name()),
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
            Self::Registered(source) => f.write_str(source.name()),
            other => f.write_str(other.entry().map_or("", |entry| entry.name)),
        }
    }
}

impl From<DatasetId> for String {
    fn from(id: DatasetId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for DatasetId {
    type Error = DataError;

    fn try_from(name: String) -> Result<Self, DataError> {
        name.parse()
    }
}

impl FromStr for DatasetId {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        if let Some(path) = name.strip_prefix("folder:").filter(|path| !path.is_empty()) {
            return Ok(Self::Folder(path.into()));
        }
        let all = Self::all();
        all.iter()
            .find(|id| id.to_string() == name)
            .cloned()
            .ok_or_else(|| DataError::UnknownDataset {
                name: name.to_string(),
                suggestion: nearest(name, all.iter().map(Self::to_string)),
                valid: Self::valid_names().join(" "),
            })
    }
}

/// The candidate most like `name`, if any is at all like it.
fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let likeness = |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), candidate);
    candidates
        .map(|candidate| (likeness(&candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
