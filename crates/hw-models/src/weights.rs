//! Weights on disk: one safetensors file that also says which network it belongs to.
//!
//! The file's metadata holds a single key, `hw`, with a JSON object whose `model` is the
//! [`ModelSpec`]; more fields may stand beside it. Tensors under `state.` belong to whoever wrote
//! them (a trainer's optimizer, say) and are no part of the network.

use crate::error::{ModelError, Result};
use crate::graph::{Graph, Parameter, Tensors};
use crate::reference::Network;
use crate::spec::ModelSpec;
use candle_core::Device;
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

impl Contents {
    /// The declaration and the tensors of a network, ready to [`write()`] (with more beside them if wanted).
    pub fn of(graph: &Graph, tensors: Tensors) -> Self {
        let spec = serde_json::to_value(&graph.spec).expect("numbers, names and lists are JSON");
        let metadata = [("model".to_string(), spec)].into_iter().collect();
        let all = [
            (&graph.parameters, tensors.parameters),
            (&graph.buffers, tensors.buffers),
        ];
        let stored = all.into_iter().flat_map(|(list, values)| {
            list.iter().zip(values).map(|(tensor, values)| {
                let shape = tensor.shape.clone();
                (tensor.name.clone(), StoredTensor { shape, values })
            })
        });
        Self {
            metadata,
            tensors: stored.collect(),
        }
    }

    /// The graph that the contents declare, with its tensors; `path` is for messages only.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when the declaration is missing or a tensor is missing, unknown or of
    /// another shape: nothing is ignored.
    pub fn graph(&self, path: &Path) -> Result<(Graph, Tensors)> {
        let spec = self.metadata.get("model");
        let spec = spec.ok_or_else(|| weights_error(path, "metadata has no 'model'".into()))?;
        let spec: ModelSpec = serde_json::from_value(spec.clone())
            .map_err(|error| weights_error(path, format!("'model' in the metadata: {error}")))?;
        let graph = spec.lower()?;
        let all = |list: &[Parameter]| -> Result<Vec<Vec<f32>>> {
            list.iter()
                .map(|tensor| self.tensor(path, tensor))
                .collect()
        };
        let tensors = Tensors {
            parameters: all(&graph.parameters)?,
            buffers: all(&graph.buffers)?,
        };
        let known = |name: &str| {
            let mut all = graph.parameters.iter().chain(&graph.buffers);
            all.any(|tensor| tensor.name == name)
        };
        let mut own = self
            .tensors
            .keys()
            .filter(|name| !name.starts_with(STATE_PREFIX));
        match own.find(|name| !known(name)) {
            None => Ok((graph, tensors)),
            Some(stranger) => {
                let problem = format!("tensor '{stranger}' is not part of model '{}'", spec.name);
                Err(weights_error(path, problem))
            }
        }
    }

    fn tensor(&self, path: &Path, wanted: &Parameter) -> Result<Vec<f32>> {
        let name = &wanted.name;
        let Some(stored) = self.tensors.get(name) else {
            return Err(weights_error(path, format!("tensor '{name}' is missing")));
        };
        if stored.shape != wanted.shape {
            let (found, expected) = (&stored.shape, &wanted.shape);
            let problem = format!("tensor '{name}' has shape {found:?}, expected {expected:?}");
            return Err(weights_error(path, problem));
        }
        Ok(stored.values.clone())
    }
}

impl Network {
    /// The network's declaration and tensors.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] when a tensor cannot be copied from its device.
    pub fn contents(&self) -> Result<Contents> {
        Ok(Contents::of(self.graph(), self.tensors()?))
    }

    /// Writes the network's weights to `path`, whole or not at all.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write(path, &self.contents()?)
    }

    /// Reads a network from a weights file.
    ///
    /// # Errors
    /// As [`read`] and [`Contents::graph`].
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::from_contents(path, &read(path)?, device)
    }

    /// The network in the contents of a weights file; `path` is for messages only.
    ///
    /// # Errors
    /// As [`Contents::graph`].
    pub fn from_contents(path: &Path, contents: &Contents, device: &Device) -> Result<Self> {
        let (graph, tensors) = contents.graph(path)?;
        Self::from_tensors(graph, &tensors, device)
    }
}

fn weights_error(path: &Path, problem: String) -> ModelError {
    ModelError::Weights {
        path: path.to_path_buf(),
        problem,
    }
}
