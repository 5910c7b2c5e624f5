//! The stored answers of PyTorch and Keras, and the distance of ours to them.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The file `name` under `fixtures/`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
}

/// A JSON fixture.
pub(crate) fn json<T: DeserializeOwned>(name: &str) -> Result<T> {
    let text = hw_core::files::read_text(&fixture(name))?;
    serde_json::from_str(&text).with_context(|| format!("fixtures/{name}"))
}

/// The distance of a number to its reference, over the reference's size where that is above 1.
/// Equal numbers, infinities and NaN included, have none.
pub(crate) fn distance(ours: f64, reference: f64) -> f64 {
    if ours == reference || (ours.is_nan() && reference.is_nan()) {
        return 0.0;
    }
    let distance = (ours - reference).abs() / reference.abs().max(1.0);
    if distance.is_nan() {
        f64::INFINITY
    } else {
        distance
    }
}

/// The largest [`distance`] of two equally long lists.
pub(crate) fn largest(ours: &[f32], reference: &[f32]) -> f64 {
    if ours.len() != reference.len() {
        return f64::INFINITY;
    }
    let pairs = ours.iter().zip(reference);
    pairs
        .map(|(a, b)| distance(f64::from(*a), f64::from(*b)))
        .fold(0.0, f64::max)
}

/// What PyTorch computes for small cases of every operation of hw-kernels.
pub(crate) struct Kernels {
    cases: Vec<Value>,
    tensors: HashMap<String, Tensor>,
}

/// One case: an operation, its settings, its tensors.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    kernels: &'a Kernels,
    name: &'a str,
    pub(crate) settings: &'a Value,
}

impl Kernels {
    pub(crate) fn open() -> Result<Self> {
        let path = fixture("kernels/golden.safetensors");
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
        let header = length.and_then(|length| bytes.get(8..8 + length as usize));
        let header: Value = serde_json::from_slice(header.unwrap_or_default())?;
        let cases = header["__metadata__"]["cases"].as_str().unwrap_or_default();
        Ok(Self {
            cases: serde_json::from_str(cases)?,
            tensors: candle_core::safetensors::load(&path, &Device::Cpu)?,
        })
    }

    pub(crate) fn of<'a>(&'a self, op: &str) -> Result<Vec<Case<'a>>> {
        let cases: Vec<Case> = self
            .cases
            .iter()
            .filter(|case| case["op"] == op)
            .map(|case| Case {
                kernels: self,
                name: case["name"].as_str().unwrap_or_default(),
                settings: &case["settings"],
            })
            .collect();
        anyhow::ensure!(
            !cases.is_empty(),
            "the kernels' fixture has no case of {op}"
        );
        Ok(cases)
    }
}

impl Case<'_> {
    pub(crate) fn tensor(&self, key: &str) -> Result<&Tensor> {
        let tensors = &self.kernels.tensors;
        tensors
            .get(&format!("{}/{key}", self.name))
            .with_context(|| format!("{} has no {key}", self.name))
    }

    pub(crate) fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        Ok(serde_json::from_value(self.settings[key].clone())?)
    }

    /// The numbers of a tensor, row-major.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f32>> {
        let tensor = self.tensor(key)?.to_dtype(DType::F32)?;
        Ok(tensor.flatten_all()?.to_vec1()?)
    }
}
