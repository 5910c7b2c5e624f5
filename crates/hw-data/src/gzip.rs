//! A file's content, uncompressed when it is gzip: told by its first bytes, whatever its name.

use crate::DataError;
use flate2::bufread::MultiGzDecoder;
use hw_core::FileError;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The first two bytes of every gzip file (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open file whose content can be read through `reader`.
pub(crate) struct Content {
    pub(crate) reader: Box<dyn BufRead>,
    /// Whether `reader` uncompresses.
    pub(crate) gzip: bool,
    /// Bytes in the file itself.
    pub(crate) file_len: u64,
}

/// Opens a regular file.
pub(crate) fn open(path: &Path) -> Result<Content, DataError> {
    let failed = |error| DataError::File(FileError::at("read", path)(error));
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let mut raw = BufReader::with_capacity(1 << 18, file);
    let gzip = raw.fill_buf().map_err(failed)?.starts_with(&MAGIC);
    Ok(Content {
        reader: match gzip {
            true => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
            false => Box::new(raw),
        },
        gzip,
        file_len: metadata.len(),
    })
}
