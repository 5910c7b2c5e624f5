//! Small data sets and files to test with.

use hw_data::idx::{self, IdxArray, IdxData, Packing};
use hw_data::{DataDirs, Dataset, Images, Split};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of the golden values.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/data")
        .join(name)
}

/// The real data, where there is any.
pub(crate) fn real_data() -> Option<DataDirs> {
    let root = std::env::var_os("HW_DATA_DIR")?;
    Some(DataDirs::only(PathBuf::from(root)))
}

/// `count` images of `side` x `side`, all different, of ten classes in turn.
pub(crate) fn dataset(count: usize, side: usize) -> Dataset {
    let pixel = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
    let data = (0..count * side * side).map(pixel).collect();
    let images = Images::new(data, count, 1, side, side).unwrap();
    let labels = (0..count).map(|i| (i % 10) as u16).collect();
    Dataset::new("test", Split::Train, images, labels, classes("0123456789")).unwrap()
}

pub(crate) fn classes(names: &str) -> Arc<[String]> {
    hw_data::catalogue::names(names)
}

/// Writes one byte-array IDX file.
pub(crate) fn write_idx(path: &Path, shape: &[u32], bytes: Vec<u8>) {
    let array = IdxArray::new(shape.to_vec(), IdxData::U8(bytes)).unwrap();
    let packing = match path.extension() {
        Some(extension) if extension == "gz" => Packing::Gzip,
        _ => Packing::Plain,
    };
    idx::write(path, &array, packing).unwrap();
}

/// Writes the images and labels of one part of a set; every pixel of an image is its label.
pub(crate) fn write_part(folder: &Path, prefix: &str, labels: &[u8]) {
    let count = labels.len() as u32;
    let pixels = labels.iter().flat_map(|&label| [label; 784]).collect();
    let images = folder.join(format!("{prefix}-images-idx3-ubyte"));
    write_idx(&images, &[count, 28, 28], pixels);
    let path = folder.join(format!("{prefix}-labels-idx1-ubyte.gz"));
    write_idx(&path, &[count], labels.to_vec());
}
