//! Which network a file of ours holds, told in the place that its format keeps for metadata.

use crate::{ExchangeError, Format, onnx, state_dict};
use hw_models::ModelSpec;
use hw_models::weights::Contents;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The key of the metadata. Not that of our own weights files: names and layouts differ from theirs.
pub(crate) const KEY: &str = "hw-network";

/// Which network a file of ours holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declaration {
    /// The network.
    #[serde(rename = "model")]
    pub spec: ModelSpec,
    /// What the run that trained it wrote beside the weights; none where no run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<serde_json::Value>,
}

impl Declaration {
    pub(crate) fn of(contents: &Contents, spec: &ModelSpec) -> Self {
        Self {
            spec: spec.clone(),
            stamp: contents.metadata.get("stamp").cloned(),
        }
    }

    pub(crate) fn to_text(&self) -> Result<String, ExchangeError> {
        serde_json::to_string(self).map_err(|error| damaged("the network".as_ref(), &error))
    }
}

/// What the file says of its network; `None` where it says nothing, as files do that other programs
/// wrote. `path` is for messages.
///
/// # Errors
/// [`ExchangeError::Damaged`] when the bytes are not of that format, or say something that is no network.
pub fn declaration(
    format: Format,
    bytes: &[u8],
    path: &Path,
) -> Result<Option<Declaration>, ExchangeError> {
    let text = match format {
        Format::Pytorch | Format::Torchvision => state_dict::read_declaration(bytes, path)?,
        Format::Onnx => onnx::read_declaration(bytes, path)?,
    };
    let read = |text: String| serde_json::from_str(&text).map_err(|error| damaged(path, &error));
    text.map(read).transpose()
}

fn damaged(path: &Path, error: &serde_json::Error) -> ExchangeError {
    ExchangeError::Damaged {
        path: path.into(),
        problem: format!("\"{KEY}\" in its metadata: {error}"),
    }
}
