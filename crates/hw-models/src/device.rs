//! Which device computes, by name.

use candle_core::{Device, DeviceLocation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A device as it is asked for: `cpu`, `cuda` (the first one), `cuda:1` or `metal`.
///
/// A network's numbers are promised for each kind of device, not across kinds: sums are taken in
/// another order on each.
///
/// ```
/// use hw_models::{DeviceChoice, Network, zoo};
///
/// let choice: DeviceChoice = "cpu".parse()?;
/// let network = Network::new(&zoo::spec("lenet5", [1, 28, 28], 10)?, 1, &choice.open()?)?;
/// assert_eq!(DeviceChoice::of(network.device()), choice);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its number from 0; the feature `cuda`.
    Cuda(usize),
    /// Apple's GPU; the feature `metal`.
    Metal,
}

/// Why there is no such device; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The name is no device's.
    #[error("unknown device '{name}'; it is cpu, cuda, cuda:N (the GPU number N, from 0) or metal")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The program cannot use that kind of device.
    #[error(
        "this program was built without {kind}; build it with --features {kind}, or use the device cpu"
    )]
    NotBuilt {
        /// The kind of device, which is the feature's name.
        kind: &'static str,
    },
    /// The machine has no such device, or the device cannot be used.
    #[error("the device {choice} cannot be used here; {hint}, or use the device cpu")]
    Missing {
        /// What was asked for.
        choice: DeviceChoice,
        /// What to do about it.
        hint: &'static str,
        /// What the tensor library says.
        source: candle_core::Error,
    },
}

impl DeviceChoice {
    /// Makes the device ready.
    ///
    /// # Errors
    /// [`DeviceError::NotBuilt`] without the feature, [`DeviceError::Missing`] without the device.
    pub fn open(self) -> Result<Device, DeviceError> {
        let kind = self.kind_name();
        let missing = |hint| {
            move |source| DeviceError::Missing {
                choice: self,
                hint,
                source,
            }
        };
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !candle_core::utils::cuda_is_available() => {
                Err(DeviceError::NotBuilt { kind })
            }
            Self::Cuda(ordinal) => Device::new_cuda(ordinal)
                .map_err(missing("nvidia-smi lists the GPUs and their numbers")),
            Self::Metal if !candle_core::utils::metal_is_available() => {
                Err(DeviceError::NotBuilt { kind })
            }
            Self::Metal => Device::new_metal(0).map_err(missing("it takes a Mac with Metal")),
        }
    }

    /// The choice that leads to `device`.
    pub fn of(device: &Device) -> Self {
        match device.location() {
            DeviceLocation::Cpu => Self::Cpu,
            DeviceLocation::Cuda { gpu_id } => Self::Cuda(gpu_id),
            DeviceLocation::Metal { .. } => Self::Metal,
        }
    }

    /// The kind of device alone, by its first one: which of a machine's equal GPUs computes is nobody's concern.
    pub fn kind(self) -> Self {
        match self {
            Self::Cuda(_) => Self::Cuda(0),
            other => other,
        }
    }

    /// `cpu`, `cuda` or `metal`.
    pub fn kind_name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Metal => "metal",
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { name: name.into() };
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => {
                let ordinal = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                // "+1" is a number to Rust, and no device's name.
                let digits = ordinal.bytes().all(|byte| byte.is_ascii_digit());
                let ordinal = ordinal.parse().ok().filter(|_| digits);
                ordinal.map(Self::Cuda).ok_or_else(unknown)
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(ordinal @ 1..) => write!(f, "cuda:{ordinal}"),
            _ => f.write_str(self.kind_name()),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(name: String) -> Result<Self, DeviceError> {
        name.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_name_by_which_it_is_read_back() {
        for (choice, name) in [
            (DeviceChoice::Cpu, "cpu"),
            (DeviceChoice::Cuda(0), "cuda"),
            (DeviceChoice::Cuda(1), "cuda:1"),
            (DeviceChoice::Metal, "metal"),
        ] {
            assert_eq!(choice.to_string(), name);
            assert_eq!(name.parse::<DeviceChoice>().unwrap(), choice);
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            let read: DeviceChoice = serde_json::from_str(&json).unwrap();
            assert_eq!(read, choice);
        }
        let first: DeviceChoice = "cuda:0".parse().unwrap();
        assert_eq!(first.to_string(), "cuda");
        assert_eq!(DeviceChoice::Cuda(3).kind(), first);
    }

    #[test]
    fn what_is_no_device_is_refused_with_what_there_is() {
        for wrong in [
            "", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "metal:0",
        ] {
            let problem = wrong.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(problem.contains(&format!("'{wrong}'")), "{problem}");
            assert!(problem.contains("cuda:N"), "{problem}");
        }
    }

    #[test]
    fn the_processor_is_always_there_and_other_devices_say_which_feature_they_take() {
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        for (choice, built) in [
            (
                DeviceChoice::Cuda(0),
                candle_core::utils::cuda_is_available(),
            ),
            (
                DeviceChoice::Metal,
                candle_core::utils::metal_is_available(),
            ),
        ] {
            if built {
                continue;
            }
            let problem = choice.open().unwrap_err().to_string();
            let feature = format!("--features {choice}, or use the device cpu");
            assert!(problem.ends_with(&feature), "{problem}");
        }
    }
}
