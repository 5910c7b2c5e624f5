//! PyTorch state dicts as safetensors files.

use crate::declaration::KEY;
use crate::{ExchangeError, Tensors};
use half::{bf16, f16};
use hw_models::weights::StoredTensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// What PyTorch counts beside batch norm's statistics, which no result depends on.
const COUNTER: &str = "num_batches_tracked";
/// What `DataParallel` and `torch.compile` put before names.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The file, with what it declares in its metadata.
pub(crate) fn write(tensors: &Tensors, declared: &str) -> Result<Vec<u8>, ExchangeError> {
    let refuse = |error: safetensors::SafeTensorError| damaged("model.safetensors".as_ref(), error);
    let bytes: Vec<(&String, &StoredTensor, Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| {
            (
                name,
                t,
                t.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (name, tensor, data) in &bytes {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), data).map_err(refuse)?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([(KEY.to_string(), declared.to_string())]);
    safetensors::serialize(views, Some(metadata)).map_err(refuse)
}

/// What the file declares of its network.
pub(crate) fn read_declaration(bytes: &[u8], path: &Path) -> Result<Option<String>, ExchangeError> {
    let read = SafeTensors::read_metadata(bytes);
    let (_, header) = read.map_err(|error| damaged(path, error))?;
    Ok(header.metadata().as_ref().and_then(|m| m.get(KEY).cloned()))
}

/// All tensors as f32, whatever floats they were stored as.
pub(crate) fn read(bytes: &[u8], path: &Path) -> Result<Tensors, ExchangeError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, error))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        if name.ends_with(COUNTER) {
            continue;
        }
        let name = WRAPPERS.iter().fold(name.as_str(), |name, wrapper| {
            name.strip_prefix(wrapper).unwrap_or(name)
        });
        let values = floats(view.dtype(), view.data()).ok_or_else(|| ExchangeError::Damaged {
            path: path.into(),
            problem: format!(
                "the tensor '{name}' is {:?}; expected floats of 16, 32 or 64 bits",
                view.dtype()
            ),
        })?;
        let shape = view.shape().to_vec();
        tensors.insert(name.to_string(), StoredTensor { shape, values });
    }
    Ok(tensors)
}

fn floats(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(data: &[u8], decode: fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|&c| decode(c)).collect()
    }
    Some(match dtype {
        Dtype::F32 => each(data, f32::from_le_bytes),
        Dtype::F64 => each(data, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => each(data, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(data, |b| bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    })
}

fn damaged(path: &Path, error: safetensors::SafeTensorError) -> ExchangeError {
    ExchangeError::Damaged {
        path: path.into(),
        problem: format!("is damaged or no safetensors file: {error}"),
    }
}
