//! A hash over a checkpoint's tensors, so that two trainings can be compared to the bit without keeping
//! their weights.

use super::error::ArchiveError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the header of a safetensors file says of a tensor.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// SHA-256 over the names, types, shapes and bytes of all tensors in the file, by name. What else the file
/// says (versions, times) is left out.
///
/// # Errors
/// [`ArchiveError`] when the file cannot be read or is no checkpoint.
pub(crate) fn hash(path: &Path) -> Result<String, ArchiveError> {
    let bytes = std::fs::read(path).map_err(hw_core::FileError::at("read", path))?;
    over_tensors(&bytes).ok_or_else(|| ArchiveError::Damaged {
        path: path.into(),
        problem: "it is no safetensors file".into(),
    })
}

fn over_tensors(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, data) = rest.split_at_checked(length)?;
    let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    header.remove("__metadata__");
    let mut hashed = Vec::with_capacity(data.len() + 64 * header.len());
    for (name, tensor) in header {
        let tensor: Tensor = serde_json::from_value(tensor).ok()?;
        let [from, to] = tensor.data_offsets;
        let shape = &tensor.shape;
        hashed.extend(format!("{name} {} {shape:?}\n", tensor.dtype).bytes());
        hashed.extend(data.get(from..to)?);
    }
    Some(hw_core::files::sha256_hex(&hashed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), data].concat()
    }

    #[test]
    fn the_hash_is_of_the_tensors_and_of_nothing_else() {
        let one = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        // The same tensors in another order, with words about them.
        let other = r#"{"__metadata__":{"x":"y"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        let hash = |header: &str, data: &[u8]| over_tensors(&file(header, data));
        let first = hash(one, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(hash(other, &[5, 6, 7, 8, 1, 2, 3, 4]).unwrap(), first);
        assert_ne!(hash(one, &[1, 2, 3, 4, 5, 6, 7, 9]).unwrap(), first);
        assert_ne!(
            hash(&one.replace("[1]", "[1,1]"), &[0; 8]),
            hash(one, &[0; 8])
        );
        assert_eq!(hash(one, &[1, 2, 3]), None);
        assert_eq!(over_tensors(b"short"), None);
    }
}
