//! What is kept of one run: everything the report needs, and what a rerun is compared with, without its
//! weights.

use super::compact;
use super::error::ArchiveError;
use crate::results::RunResult;
use crate::stopwatch::Rates;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hw_train::{Computation, DataStamp, EpochRecord, Machine, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;

/// The version of the format, in each record and in the manifest.
pub(crate) const VERSION: u32 = 1;
/// What a record begins with, before its version and the end of the line.
const MAGIC: &str = "hw-archive ";
/// A record is never larger than so many bytes of JSON.
const LARGEST: u64 = 1 << 28;

/// What is kept of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The run's id.
    pub(crate) run: String,
    pub(crate) config: TrainConfig,
    /// The training data.
    pub(crate) data: DataStamp,
    pub(crate) machine: Machine,
    pub(crate) computation: Computation,
    /// SHA-256 over the tensors of its best weights, where they were there.
    pub(crate) weights: Option<String>,
    pub(crate) came_of_it: CameOfIt,
    /// The same run tested on other numbers of its test images: a run may serve several papers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also: Vec<Tested>,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CameOfIt {
    /// It was trained and tested.
    Tested(Box<Tested>),
    /// It tried a learning rate: the best accuracy on held-out images, and its epochs.
    Searched {
        accuracy: f64,
        history: Vec<EpochRecord>,
    },
    /// It failed, in words; it diverged, say.
    Failed { problem: String },
}

/// A run with its test results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tested {
    #[serde(serialize_with = "packed", deserialize_with = "unpacked")]
    pub(crate) result: RunResult,
    /// Variants that could not be measured, and why.
    pub(crate) broken: Vec<(String, String)>,
    /// How fast it trains, where that was taken alone.
    pub(crate) rates: Option<Rates>,
    /// Where a map of its test images has each of them.
    pub(crate) map: Option<MapPlaces>,
}

/// Two maps of the same test images. Places are rounded to one part in 65,535 of each map's extent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MapPlaces {
    pub(crate) classes: Vec<String>,
    /// The class of each image.
    pub(crate) labels: Vec<u16>,
    /// By their pixels.
    pub(crate) pixels: Vec<[f32; 2]>,
    /// By what the last layer sees.
    pub(crate) features: Vec<[f32; 2]>,
}

impl MapPlaces {
    /// With places as they are kept, so that the first report shows what later ones show.
    pub(crate) fn rounded(mut self) -> Self {
        round(&mut self.pixels);
        round(&mut self.features);
        self
    }
}

/// Decimals of three to four digits: less than a pixel of any picture.
fn round(places: &mut [[f32; 2]]) {
    let largest = places.iter().flatten().fold(0f32, |a, b| a.max(b.abs()));
    let digits = (3.0 - largest.max(1e-6).log10().floor()).clamp(0.0, 9.0);
    let scale = 10f32.powf(digits);
    for value in places.iter_mut().flatten() {
        *value = (*value * scale).round() / scale;
    }
}

fn packed<S: serde::Serializer>(result: &RunResult, serializer: S) -> Result<S::Ok, S::Error> {
    compact::pack(result).serialize(serializer)
}

fn unpacked<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<RunResult, D::Error> {
    use serde::de::Error as _;
    compact::unpack(Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

impl Record {
    /// Its name in an archive.
    pub(crate) fn file(&self) -> String {
        format!("runs/{}.hwr", self.run)
    }

    pub(crate) fn tested(&self) -> Option<&Tested> {
        match &self.came_of_it {
            CameOfIt::Tested(tested) => Some(tested),
            _ => None,
        }
    }

    /// Its test results on so many test images at most, as a job asks for them.
    pub(crate) fn tested_on(&self, most: Option<usize>) -> Option<&Tested> {
        let all = || self.tested().into_iter().chain(&self.also);
        let on = |tested: Option<usize>| all().find(|known| known.result.tested == tested);
        // Where a job asks for more than there are, all were used.
        on(most).or_else(|| on(None)).or_else(|| self.tested())
    }

    /// The epochs of its training; none where it failed.
    pub(crate) fn history(&self) -> &[EpochRecord] {
        match &self.came_of_it {
            CameOfIt::Tested(tested) => &tested.result.history,
            CameOfIt::Searched { history, .. } => history,
            CameOfIt::Failed { .. } => &[],
        }
    }
}

/// A value as the bytes of a file: a line that names the format, then compressed JSON.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let text = serde_json::to_vec(value).expect("numbers and strings are JSON");
    let head = format!("{MAGIC}{VERSION}\n").into_bytes();
    let mut encoder = ZlibEncoder::new(head, Compression::best());
    let written = encoder.write_all(&text).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}

/// The value in those bytes, which are of the file at `path`.
///
/// # Errors
/// [`ArchiveError::Version`] for a format of later, [`ArchiveError::Damaged`] for anything else.
pub(crate) fn from_bytes<T: for<'de> Deserialize<'de>>(
    bytes: &[u8],
    path: &Path,
) -> Result<T, ArchiveError> {
    let damaged = |problem: &str| ArchiveError::Damaged {
        path: path.into(),
        problem: problem.into(),
    };
    let not_ours = || damaged("it does not begin as a file of an archive does");
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or_else(not_ours)?;
    let end = rest.iter().take(11).position(|byte| *byte == b'\n');
    let (version, data) = rest.split_at(end.ok_or_else(not_ours)?);
    let version = std::str::from_utf8(version)
        .ok()
        .and_then(|v| v.parse().ok());
    let version: u32 = version.ok_or_else(not_ours)?;
    if version != VERSION {
        return Err(ArchiveError::Version {
            path: path.into(),
            found: version,
            known: VERSION,
        });
    }
    let mut text = Vec::new();
    let mut decoder = ZlibDecoder::new(&data[1..]).take(LARGEST);
    let read = decoder.read_to_end(&mut text);
    read.map_err(|error| damaged(&format!("it cannot be decompressed ({error})")))?;
    serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))
}
