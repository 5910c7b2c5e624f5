//! IDX files: what is written is read back, what Python wrote is read right, damage is refused.

use crate::support::fixture;
use flate2::Compression;
use flate2::write::GzEncoder;
use hw_data::DataError;
use hw_data::idx::{IdxArray, IdxData, Packing, read, read_header, write};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Shapes of any rank up to the format's 255; most dimensions of the large ranks are 1.
fn shapes() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        vec(0u32..5, 0..5),
        (vec(2u32..4, 0..4), 0usize..=251).prop_map(|(mut shape, ones)| {
            shape.extend(vec![1; ones]);
            shape
        }),
    ]
}

/// Arrays of every type, every bit pattern possible.
fn arrays() -> impl Strategy<Value = IdxArray> {
    (shapes(), 0usize..6, any::<u64>()).prop_map(|(shape, kind, seed)| {
        let count = shape.iter().map(|&side| side as usize).product();
        let mut rng = hw_core::Rng::stream(seed, "test", 0);
        let bits: Vec<u64> = (0..count).map(|_| rng.next_u64()).collect();
        let bits = bits.into_iter();
        let data = match kind {
            0 => IdxData::U8(bits.map(|b| b as u8).collect()),
            1 => IdxData::I8(bits.map(|b| b as i8).collect()),
            2 => IdxData::I16(bits.map(|b| b as i16).collect()),
            3 => IdxData::I32(bits.map(|b| b as i32).collect()),
            4 => IdxData::F32(bits.map(|b| f32::from_bits(b as u32)).collect()),
            _ => IdxData::F64(bits.map(f64::from_bits).collect()),
        };
        IdxArray::new(shape, data).unwrap()
    })
}

/// Bit for bit: unlike `==`, NaN equals NaN and 0 differs from -0.
fn same_bits(a: &IdxArray, b: &IdxArray) -> bool {
    let bits = |array: &IdxArray| match array.data() {
        IdxData::F32(v) => v.iter().map(|x| u64::from(x.to_bits())).collect(),
        IdxData::F64(v) => v.iter().map(|x| x.to_bits()).collect(),
        _ => Vec::new(),
    };
    a.shape() == b.shape()
        && a.data().kind() == b.data().kind()
        && bits(a) == bits(b)
        && (matches!(a.data(), IdxData::F32(_) | IdxData::F64(_)) || a == b)
}

fn is_damaged(path: &Path) -> bool {
    matches!(read(path), Err(DataError::Damaged { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(array in arrays(), gzip: bool) {
        let folder = tempfile::tempdir().unwrap();
        // The name must not matter, so it says the opposite of the truth.
        let path = folder.path().join(if gzip { "array" } else { "array.gz" });
        write(&path, &array, if gzip { Packing::Gzip } else { Packing::Plain }).unwrap();
        let back = read(&path).unwrap();
        prop_assert!(same_bits(&back, &array), "{back:?} is not {array:?}");
        prop_assert_eq!(read_header(&path).unwrap().shape, array.shape());
    }

    #[test]
    fn a_file_cut_anywhere_or_longer_by_any_byte_is_refused(array in arrays(), gzip: bool, cut: prop::sample::Index, extra: u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array");
        write(&path, &array, if gzip { Packing::Gzip } else { Packing::Plain }).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..cut.index(whole.len())]).unwrap();
        prop_assert!(is_damaged(&path));
        fs::write(&path, [&whole[..], &[extra]].concat()).unwrap();
        prop_assert!(is_damaged(&path));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in vec(any::<u8>(), 0..200), head in 0usize..4) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let head = [&b""[..], &[0, 0, 8, 3], &[0x1f, 0x8b, 8, 0], &[0, 0, 14, 255]][head];
        fs::write(&path, [head, &bytes].concat()).unwrap();
        let _ = read(&path);
    }
}

#[test]
fn files_laid_out_by_python_are_read_right() {
    let golden = [
        ("idx-u8", IdxData::U8(vec![0, 1, 127, 128, 254, 255])),
        ("idx-u8.gz", IdxData::U8(vec![0, 1, 127, 128, 254, 255])),
        ("idx-i8", IdxData::I8(vec![-128, -1, 0, 1, 64, 127])),
        ("idx-i16", IdxData::I16(vec![-32768, -2, -1, 0, 1, 32767])),
        (
            "idx-i32",
            IdxData::I32(vec![i32::MIN, -1, 0, 1, 65536, i32::MAX]),
        ),
        (
            "idx-f32",
            IdxData::F32(vec![-1.5, -0.0, 0.0, 1.0, 3.0e38, f32::INFINITY]),
        ),
        (
            "idx-f64",
            IdxData::F64(vec![-1.5, -0.0, 0.0, 1.0, 1.0e300, f64::NEG_INFINITY]),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, data) in golden {
        let array = IdxArray::new(vec![2, 3], data).unwrap();
        assert!(same_bits(&read(&fixture(name)).unwrap(), &array), "{name}");
        if !name.ends_with(".gz") {
            let ours = folder.path().join(name);
            write(&ours, &array, Packing::Plain).unwrap();
            assert_eq!(
                fs::read(&ours).unwrap(),
                fs::read(fixture(name)).unwrap(),
                "{name}"
            );
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The error that a file of these bytes ends in; it names the file.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.gz");
    fs::write(&path, bytes).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("bad.gz"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

const TWO_BY_TWO: [u8; 12] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2];

#[test]
fn an_empty_file_is_refused() {
    assert_says(&refusal(&[]), &["byte 0", "IDX magic", "an empty file"]);
}

#[test]
fn a_wrong_magic_is_refused_with_the_bytes_found() {
    assert_says(
        &refusal(b"\x89PNG\r\n\x1a\n"),
        &["byte 0", "IDX magic", "89 50 4e 47"],
    );
    assert_says(
        &refusal(&[0, 0, 0x0a, 1, 0, 0, 0, 0]),
        &["byte 0", "00 00 0a 01"],
    );
    assert_says(
        &refusal(&gzip(b"hello, world")),
        &["byte 0", "68 65 6c 6c", "uncompressed"],
    );
}

#[test]
fn a_truncated_file_is_refused_with_its_offset() {
    assert_says(&refusal(&[0, 0, 8]), &["byte 3", "the end of the file"]);
    assert_says(
        &refusal(&TWO_BY_TWO[..10]),
        &["byte 10", "size of a dimension"],
    );
    let short = [&TWO_BY_TWO[..], &[1, 2, 3]].concat();
    assert_says(
        &refusal(&short),
        &["byte 12", "4 bytes of elements (2x2)", "after 3"],
    );
    assert_says(
        &refusal(&gzip(&short)),
        &["byte 15", "4 bytes of elements (2x2)"],
    );
}

#[test]
fn a_truncated_or_damaged_gzip_stream_is_refused() {
    let whole = gzip(&[&TWO_BY_TWO[..], &[1, 2, 3, 4]].concat());
    assert_says(&refusal(&whole[..whole.len() - 9]), &["gzip", "cut short"]);
    assert_says(&refusal(&whole[..12]), &["gzip", "cut short"]);
    let mut bad_sum = whole.clone();
    let crc = whole.len() - 8;
    bad_sum[crc] ^= 1;
    assert_says(&refusal(&bad_sum), &["damaged gzip stream"]);
    assert_says(
        &refusal(&[0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
        &["damaged gzip"],
    );
}

#[test]
fn trailing_bytes_are_refused() {
    let long = [&TWO_BY_TWO[..], &[1, 2, 3, 4, 5]].concat();
    assert_says(
        &refusal(&long),
        &["byte 16", "the end of the file", "1 more byte"],
    );
    assert_says(
        &refusal(&gzip(&long)),
        &["byte 16", "the end of the file", "more bytes"],
    );
}

#[test]
fn a_huge_declared_size_is_refused_without_taking_memory() {
    let huge = |sides: [u32; 3]| {
        let sizes = sides.iter().flat_map(|side| side.to_be_bytes());
        [0, 0, 8, 3].into_iter().chain(sizes).collect::<Vec<u8>>()
    };
    // Ten terabytes: only a check made before memory is taken can refuse it.
    let images = huge([u32::MAX, 28, 90]);
    assert_says(
        &refusal(&images),
        &["byte 16", "4294967295x28x90", "after 0"],
    );
    let packed = gzip(&images);
    assert!(packed.len() < 45);
    assert_says(
        &refusal(&packed),
        &["byte 16", "4294967295x28x90", "holds at most"],
    );
    let overflow = huge([u32::MAX; 3]);
    assert_says(
        &refusal(&overflow),
        &["byte 4", "more than memory can hold"],
    );
    assert_says(
        &refusal(&gzip(&overflow)),
        &["byte 4", "more than memory can hold"],
    );
}

#[test]
fn a_folder_in_place_of_a_file_and_a_missing_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = read(folder.path()).unwrap_err().to_string();
    assert_says(&message, &["cannot read", "regular file"]);
    let message = read(&folder.path().join("none")).unwrap_err().to_string();
    assert_says(&message, &["cannot read", "none"]);
}

#[test]
fn several_gzip_members_are_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("members");
    fs::write(&path, [gzip(&TWO_BY_TWO), gzip(&[1, 2, 3, 4])].concat()).unwrap();
    let expected = IdxArray::new(vec![2, 2], IdxData::U8(vec![1, 2, 3, 4])).unwrap();
    assert_eq!(read(&path).unwrap(), expected);
}

#[test]
fn an_array_that_is_not_its_shape_cannot_be_made() {
    assert!(IdxArray::new(vec![2, 2], IdxData::U8(vec![1, 2, 3])).is_err());
    assert!(IdxArray::new(vec![1; 256], IdxData::U8(vec![1])).is_err());
    assert!(IdxArray::new(vec![u32::MAX; 3], IdxData::U8(vec![])).is_err());
    assert!(IdxArray::new(vec![], IdxData::F64(vec![1.0])).is_ok());
}
