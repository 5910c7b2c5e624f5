//! One member of a ZIP archive, without touching the others (PKWARE's APPNOTE; no ZIP64, no encryption).

use crate::DataError;
use crate::published::Checksum;
use crate::verify::reader_matches;
use flate2::read::DeflateDecoder;
use hw_core::FileError;
use hw_core::files::write_whole_with;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The end record is at most this far from the end: its own size and the longest comment.
const TAIL: u64 = 22 + 0xffff;

/// Where a member lies.
struct Member {
    header: u64,
    packed: u64,
    method: u16,
}

/// Unpacks `member` of `archive` to `path`, whole or not at all, if it has the checksum.
///
/// # Errors
/// [`DataError::Damaged`] when the archive, or the member in it, is not what it must be.
pub(super) fn unpack(
    archive: &Path,
    member: &str,
    path: &Path,
    sum: Checksum,
) -> Result<(), DataError> {
    let damaged = |expected: &str| DataError::Damaged {
        path: archive.into(),
        offset: 0,
        expected: expected.into(),
        found: "something else".into(),
    };
    let read = FileError::at("read", archive);
    let mut file = File::open(archive).map_err(read)?;
    let found = find(&mut file, member).map_err(FileError::at("read", archive))?;
    let found = found.ok_or_else(|| damaged(&format!("a ZIP archive with {member} in it")))?;
    let content = || -> io::Result<Option<Box<dyn Read>>> {
        let mut file = File::open(archive)?;
        file.seek(SeekFrom::Start(found.header))?;
        let mut header = [0; 30];
        file.read_exact(&mut header)?;
        let skip = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        file.seek(SeekFrom::Current(skip as i64))?;
        let packed = file.take(found.packed);
        Ok(match found.method {
            0 => Some(Box::new(packed)),
            8 => Some(Box::new(DeflateDecoder::new(packed))),
            _ => None,
        })
    };
    let open = || match content() {
        Ok(Some(reader)) => Ok(reader),
        Ok(None) => Err(damaged(&format!("{member} stored or deflated"))),
        Err(error) => Err(FileError::at("read", archive)(error).into()),
    };
    if !reader_matches(open()?, sum, archive)? {
        return Err(damaged(&format!("{member} with its published checksum")));
    }
    let mut reader = open()?;
    Ok(write_whole_with(path, |file| {
        io::copy(&mut reader, file).map(|_| ())
    })?)
}

/// The member of that name, by the archive's central directory.
fn find(file: &mut File, name: &str) -> io::Result<Option<Member>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else {
        return Ok(None);
    };
    let Some(record) = tail.get(end..end + 22) else {
        return Ok(None);
    };
    let (size, offset) = (u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
    if offset + size > length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut directory = vec![0; size as usize];
    file.read_exact(&mut directory)?;
    let mut rest = &directory[..];
    while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let Some(found) = rest.get(46..46 + lengths[0]) else {
            return Ok(None);
        };
        if found == name.as_bytes() {
            return Ok(Some(Member {
                header: u64::from(u32_at(rest, 42)),
                packed: u64::from(u32_at(rest, 20)),
                method: u16_at(rest, 10),
            }));
        }
        rest = rest
            .get(46 + lengths.iter().sum::<usize>()..)
            .unwrap_or(&[]);
    }
    Ok(None)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
