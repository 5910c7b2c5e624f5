//! With what, and on what machine, a number was made.

use hw_data::Dataset;
use serde::{Deserialize, Serialize};

/// The candle release in use; a test compares it with the lock file.
const CANDLE: &str = "0.11.1";

/// Versions that decide a run's bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This workbench.
    pub workbench: String,
    /// The tensor library.
    pub candle: String,
    /// The layout of checkpoints.
    pub checkpoint: u32,
}

impl Versions {
    /// The versions this program was built from.
    pub fn current() -> Self {
        Self {
            workbench: env!("CARGO_PKG_VERSION").into(),
            candle: CANDLE.into(),
            checkpoint: 1,
        }
    }
}

/// Which data a run read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStamp {
    /// The data set's name.
    pub dataset: String,
    /// Which edition of it.
    pub edition: String,
    /// Whether it is generated, not collected.
    pub synthetic: bool,
    /// Its images.
    pub images: usize,
    /// SHA-256 over shape, pixels and labels.
    pub sha256: String,
}

impl DataStamp {
    /// The stamp of a loaded data set.
    pub fn of(dataset: &Dataset) -> Self {
        Self {
            dataset: dataset.id.clone(),
            edition: dataset.edition.clone(),
            synthetic: dataset.synthetic,
            images: dataset.len(),
            sha256: dataset.checksum.clone(),
        }
    }
}

/// The machine that measured a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it names itself.
    pub processor: String,
    /// Processor threads that this program may use.
    pub threads: usize,
    /// The operating system and architecture.
    pub system: String,
}

impl Machine {
    /// The machine this program runs on.
    pub fn current() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| {
                line.strip_prefix("model name")?
                    .split_once(':')
                    .map(|(_, v)| v.trim())
            })
            .unwrap_or("unknown processor")
            .to_string();
        Self {
            processor,
            threads: rayon::current_num_threads(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_named_candle_release_is_the_locked_one() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"candle-core\"\nversion = \"{}\"", super::CANDLE);
        assert!(
            lock.contains(&entry),
            "Cargo.lock holds another candle-core"
        );
    }
}
