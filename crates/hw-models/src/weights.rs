//! Weights on disk: one safetensors file that also says which network it belongs to.
//!
//! The file's metadata holds a single key, `hw`, with a JSON object whose `model` is the
//! [`ModelSpec`]; more fields may stand beside it. Tensors under `state.` belong to whoever wrote
//! them (a trainer's optimizer, say) and are no part of the network.

use crate::error::{ModelError, Result};
use crate::network::Network;
use crate::spec::ModelSpec;
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Prefix of tensors that are not the network's.
pub const STATE_PREFIX: &str = "state.";

/// A tensor as it lies in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// Everything in one file: the metadata object and the tensors by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The JSON object under the metadata key `hw`.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// All tensors, by name.
    pub tensors: BTreeMap<String, StoredTensor>,
}

/// Writes `contents` whole or not at all. The same contents give the same bytes.
///
/// # Errors
/// [`ModelError::File`] when the file cannot be written.
pub fn write(path: &Path, contents: &Contents) -> Result<()> {
    let bytes: Vec<(&String, &StoredTensor, Vec<u8>)> = contents
        .tensors
        .iter()
        .map(|(name, t)| {
            (
                name,
                t,
                t.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let refuse = |error: safetensors::SafeTensorError| weights_error(path, error.to_string());
    let mut views = Vec::with_capacity(bytes.len());
    for (name, tensor, data) in &bytes {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), data).map_err(refuse)?;
        views.push((name.as_str(), view));
    }
    let json = serde_json::Value::Object(contents.metadata.clone()).to_string();
    let metadata = HashMap::from([("hw".to_string(), json)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(refuse)?;
    Ok(hw_core::files::write_whole(path, &file)?)
}

/// Reads a whole file.
///
/// # Errors
/// [`ModelError::File`] when it cannot be read, [`ModelError::Weights`] when it is damaged, was not
/// written by this workbench or holds anything but f32.
pub fn read(path: &Path) -> Result<Contents> {
    let bytes = std::fs::read(path).map_err(hw_core::FileError::at("read", path))?;
    let refuse = |error: safetensors::SafeTensorError| {
        weights_error(path, format!("is damaged or no safetensors file: {error}"))
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(refuse)?;
    let file = SafeTensors::deserialize(&bytes).map_err(refuse)?;
    let json = header.metadata().as_ref().and_then(|map| map.get("hw"));
    let json = json.ok_or_else(|| {
        weights_error(
            path,
            "has no 'hw' metadata; it was not written by this workbench".into(),
        )
    })?;
    let metadata = serde_json::from_str(json).map_err(|error| {
        weights_error(path, format!("'hw' metadata is no JSON object: {error}"))
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            let problem = format!("tensor '{name}' is {:?}, expected F32", view.dtype());
            return Err(weights_error(path, problem));
        }
        let values = view.data().chunks_exact(4);
        let values = values
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        tensors.insert(
            name,
            StoredTensor {
                shape: view.shape().to_vec(),
                values,
            },
        );
    }
    Ok(Contents { metadata, tensors })
}

impl Network {
    /// The network's declaration and tensors, ready to [`write`] (with more beside them if wanted).
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when a tensor cannot be copied from its device.
    pub fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        let spec = serde_json::to_value(self.spec())
            .map_err(|error| weights_error(Path::new("model spec"), error.to_string()))?;
        contents.metadata.insert("model".into(), spec);
        for (name, var) in self.parameters().iter().chain(self.buffers()) {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            let stored = StoredTensor {
                shape: var.dims().to_vec(),
                values,
            };
            contents.tensors.insert(name.clone(), stored);
        }
        Ok(contents)
    }

    /// Writes the network's weights to `path`, whole or not at all.
    ///
    /// # Errors
    /// As [`write`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write(path, &self.contents()?)
    }

    /// Reads a network from a weights file.
    ///
    /// # Errors
    /// As [`read`] and [`Self::from_contents`].
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::from_contents(path, &read(path)?, device)
    }

    /// The network in the contents of a weights file; `path` is for messages only.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when the declaration is missing or a tensor is missing, unknown or of
    /// another shape: nothing is ignored.
    pub fn from_contents(path: &Path, contents: &Contents, device: &Device) -> Result<Self> {
        let spec = contents.metadata.get("model");
        let spec = spec.ok_or_else(|| weights_error(path, "metadata has no 'model'".into()))?;
        let spec = ModelSpec::deserialize_from(spec)
            .map_err(|error| weights_error(path, format!("'model' in the metadata: {error}")))?;
        let mut known = 0;
        let network = Self::build(&spec, device, |p| {
            let Some(stored) = contents.tensors.get(&p.name) else {
                return Err(weights_error(
                    path,
                    format!("tensor '{}' is missing", p.name),
                ));
            };
            if stored.shape != p.shape {
                let (found, wanted) = (&stored.shape, &p.shape);
                let problem = format!(
                    "tensor '{}' has shape {found:?}, expected {wanted:?}",
                    p.name
                );
                return Err(weights_error(path, problem));
            }
            known += 1;
            Ok(Tensor::from_slice(
                &stored.values,
                p.shape.as_slice(),
                device,
            )?)
        })?;
        let own = |name: &&String| !name.starts_with(STATE_PREFIX);
        if contents.tensors.keys().filter(own).count() != known {
            let stranger = contents.tensors.keys().filter(own).find(|name| {
                !network
                    .contents()
                    .is_ok_and(|c| c.tensors.contains_key(*name))
            });
            let stranger = stranger.cloned().unwrap_or_default();
            let problem = format!(
                "tensor '{stranger}' is not part of model '{}'",
                network.spec().name
            );
            return Err(weights_error(path, problem));
        }
        Ok(network)
    }
}

impl ModelSpec {
    fn deserialize_from(value: &serde_json::Value) -> std::result::Result<Self, serde_json::Error> {
        serde_json::from_value(value.clone())
    }
}

fn weights_error(path: &Path, problem: String) -> ModelError {
    ModelError::Weights {
        path: path.to_path_buf(),
        problem,
    }
}
