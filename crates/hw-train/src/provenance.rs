//! With what, and on what machine, a number was made.

use crate::config::TrainConfig;
use hw_data::Dataset;
use hw_kernels::Activation;
use hw_models::graph::{Node, Op};
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// What computes a run. It is a part of the run's id, so that results of two ways to compute are never
/// taken for one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Computation {
    /// [`Self::VERSION`] of the program.
    pub version: u32,
    /// The type of the numbers: "f32".
    pub precision: String,
    /// The kind of device: "cpu", "cuda" or "metal".
    pub device: String,
}

impl Computation {
    /// Raised whenever kernels, gradients, random streams or the order of sums change so that the same
    /// configuration gives other bits; only runs that a change touches get its number. Version 1 stood in no
    /// id; version 3 is of [what plans learned](Self::of) when both executors came to read one graph.
    pub const VERSION: u32 = 3;
    /// The version of runs that no later change touched.
    const UNTOUCHED: u32 = 2;

    /// How this program computes the run of `config`.
    ///
    /// Version 3 are networks that were trained on tensors before (trainable subsampling, partly connected
    /// convolutions, radial basis functions, wavelets, transposed convolutions, concatenation, softmax inside),
    /// and re-estimated statistics of batch normalization.
    pub fn of(config: &TrainConfig) -> Self {
        // What a layer is lowered to does not depend on the images' size.
        let graph = config.model_spec([1, 32, 32], 10);
        let graph = graph.and_then(|spec| Ok(spec.lower()?.fused()));
        let touched = graph.is_ok_and(|graph| graph.nodes.iter().any(was_on_tensors));
        let touched = touched || config.batch_norm_statistics.is_some();
        let version = match touched {
            true => Self::VERSION,
            false => Self::UNTOUCHED,
        };
        Self {
            version,
            precision: "f32".into(),
            device: config.device.kind_name().into(),
        }
    }

    /// Whether this program computes like that, for the runs that have its version.
    pub fn is_current(&self) -> bool {
        (Self::UNTOUCHED..=Self::VERSION).contains(&self.version)
    }

    /// The same under the number that all current ones share, for texts.
    pub fn named(&self) -> Self {
        match self.is_current() {
            true => Self {
                version: Self::VERSION,
                ..self.clone()
            },
            false => self.clone(),
        }
    }

    /// That of files from before it was written down.
    pub fn first() -> Self {
        Self {
            version: 1,
            precision: "f32".into(),
            device: "cpu".into(),
        }
    }
}

/// Whether plans of version 2 did not know the operation.
fn was_on_tensors(node: &Node) -> bool {
    match &node.op {
        Op::Conv { connections, .. } => connections.is_some(),
        Op::Activation(function) => *function == Activation::Softmax,
        Op::Pad { .. }
        | Op::Affine { .. }
        | Op::ChannelsFirst
        | Op::Spread { .. }
        | Op::Haar { .. }
        | Op::Rbf { .. }
        | Op::Concat
        | Op::Custom { .. } => true,
        _ => false,
    }
}

impl fmt::Display for Computation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            precision,
            device,
        } = self;
        write!(f, "{precision} on {device}, version {version}")
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
    /// The processor, as it names itself, with the numbers of its model where it has them: a virtual machine may
    /// hide the name.
    pub processor: String,
    /// Processor threads that this program may use.
    pub threads: usize,
    /// The operating system and architecture.
    pub system: String,
}

impl Machine {
    /// The processor where the system does not name it.
    pub const UNKNOWN: &str = "unknown processor";

    /// The machine this program runs on.
    pub fn current() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor(&cpuinfo).unwrap_or_else(|| Self::UNKNOWN.into());
        Self {
            processor,
            threads: rayon::current_num_threads(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// The processor by the system's description.
fn processor(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        let mut lines = cpuinfo.lines();
        lines.find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let name = field("model name")?;
    let numbers = [field("cpu family"), field("model"), field("stepping")];
    Some(match numbers {
        [Some(family), Some(model), Some(stepping)] => {
            format!("{name} (family {family}, model {model}, stepping {stepping})")
        }
        _ => name.into(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn processors_that_hide_their_name_differ_by_their_numbers() {
        let info = |model: u32| {
            format!(
                "processor : 0\ncpu family : 25\nmodel\t: {model}\nmodel name : AMD EPYC\nstepping : 1\n"
            )
        };
        let genoa = super::processor(&info(17)).unwrap();
        assert_eq!(genoa, "AMD EPYC (family 25, model 17, stepping 1)");
        assert_ne!(super::processor(&info(1)), Some(genoa));
        assert_eq!(super::processor("model name: M1"), Some("M1".into()));
        assert_eq!(super::processor(""), None);
    }

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
