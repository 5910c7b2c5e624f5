//! The IDX file format of MNIST: a magic number `00 00 TYPE RANK`, RANK big-endian u32 sizes, then the
//! elements, big-endian, the last dimension running fastest. All six type codes, ranks 0 to 255,
//! plain or gzip (told apart by content, whatever the name says).
//!
//! A file is not believed before it is checked: header, declared size and file length must agree
//! before memory is taken, and nothing may follow the last element.
//!
//! ```
//! use hw_data::idx::{self, IdxArray, IdxData, Packing};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("two-images-idx3-ubyte.gz");
//! let two_images = IdxArray::new(vec![2, 1, 3], IdxData::U8(vec![0, 128, 255, 9, 8, 7]))?;
//! idx::write(&path, &two_images, Packing::Gzip)?;
//! assert_eq!(idx::read(&path)?, two_images);
//! # Ok::<(), hw_data::DataError>(())
//! ```

use crate::DataError;
use crate::gzip::{self, Content};
use flate2::Compression;
use flate2::write::GzEncoder;
use hw_core::FileError;
use hw_core::files::write_whole_with;
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The element types of the format, by code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IdxType {
    /// Unsigned bytes, code 08.
    U8 = 0x08,
    /// Signed bytes, code 09.
    I8 = 0x09,
    /// 16-bit integers, code 0B.
    I16 = 0x0b,
    /// 32-bit integers, code 0C.
    I32 = 0x0c,
    /// 32-bit floats, code 0D.
    F32 = 0x0d,
    /// 64-bit floats, code 0E.
    F64 = 0x0e,
}

impl IdxType {
    const ALL: [Self; 6] = [
        Self::U8,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::F32,
        Self::F64,
    ];

    /// Bytes an element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// The elements of an array, in the file's order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each variant is its type
pub enum IdxData {
    U8(Vec<u8>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl IdxData {
    /// The element type.
    pub fn kind(&self) -> IdxType {
        match self {
            Self::U8(_) => IdxType::U8,
            Self::I8(_) => IdxType::I8,
            Self::I16(_) => IdxType::I16,
            Self::I32(_) => IdxType::I32,
            Self::F32(_) => IdxType::F32,
            Self::F64(_) => IdxType::F64,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn from_be_bytes(kind: IdxType, bytes: Vec<u8>) -> Self {
        fn each<const N: usize, T>(bytes: &[u8], decode: fn([u8; N]) -> T) -> Vec<T> {
            bytes
                .as_chunks::<N>()
                .0
                .iter()
                .map(|&chunk| decode(chunk))
                .collect()
        }
        match kind {
            IdxType::U8 => Self::U8(bytes),
            IdxType::I8 => Self::I8(each(&bytes, i8::from_be_bytes)),
            IdxType::I16 => Self::I16(each(&bytes, i16::from_be_bytes)),
            IdxType::I32 => Self::I32(each(&bytes, i32::from_be_bytes)),
            IdxType::F32 => Self::F32(each(&bytes, f32::from_be_bytes)),
            IdxType::F64 => Self::F64(each(&bytes, f64::from_be_bytes)),
        }
    }

    fn write_be_bytes(&self, out: &mut impl Write) -> io::Result<()> {
        fn each<const N: usize, T: Copy>(
            out: &mut impl Write,
            values: &[T],
            encode: fn(T) -> [u8; N],
        ) -> io::Result<()> {
            values
                .iter()
                .try_for_each(|&value| out.write_all(&encode(value)))
        }
        match self {
            Self::U8(v) => out.write_all(v),
            Self::I8(v) => each(out, v, i8::to_be_bytes),
            Self::I16(v) => each(out, v, i16::to_be_bytes),
            Self::I32(v) => each(out, v, i32::to_be_bytes),
            Self::F32(v) => each(out, v, f32::to_be_bytes),
            Self::F64(v) => each(out, v, f64::to_be_bytes),
        }
    }
}

/// What a file says it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxHeader {
    /// The element type.
    pub kind: IdxType,
    /// The size of each dimension, slowest first; empty for a single element.
    pub shape: Vec<u32>,
}

impl IdxHeader {
    /// Bytes of the header itself.
    pub fn header_len(&self) -> u64 {
        4 + 4 * self.shape.len() as u64
    }

    /// Bytes of the elements; `None` when that does not fit 64 bits.
    pub fn data_len(&self) -> Option<u64> {
        self.shape
            .iter()
            .try_fold(self.kind.size() as u64, |product, &side| {
                product.checked_mul(u64::from(side))
            })
    }

    fn shape_text(&self) -> String {
        match self.shape.is_empty() {
            true => "1 element".to_string(),
            false => self
                .shape
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join("x"),
        }
    }
}

/// An array of any of the format's types and ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct IdxArray {
    shape: Vec<u32>,
    data: IdxData,
}

impl IdxArray {
    /// An array of the given shape; an empty shape holds one element.
    ///
    /// # Errors
    /// [`DataError::Invalid`] when the shape has more than 255 dimensions or another number of
    /// elements than `data`.
    pub fn new(shape: Vec<u32>, data: IdxData) -> Result<Self, DataError> {
        let header = IdxHeader {
            kind: data.kind(),
            shape,
        };
        if header.shape.len() > 255 {
            let problem = format!("has {} dimensions; IDX can store 255", header.shape.len());
            return Err(DataError::invalid("IDX shape", problem));
        }
        if header.data_len() != Some((data.len() * header.kind.size()) as u64) {
            let problem = format!(
                "{} cannot hold {} elements",
                header.shape_text(),
                data.len()
            );
            return Err(DataError::invalid("IDX shape", problem));
        }
        let shape = header.shape;
        Ok(Self { shape, data })
    }

    /// The size of each dimension, slowest first.
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &IdxData {
        &self.data
    }
}

/// Whether a file is written compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// As one gzip member without name or time, so that equal arrays give equal files.
    Gzip,
}

/// Writes `array` to `path` whole or not at all.
///
/// # Errors
/// [`DataError::File`] when the file cannot be written; it is then as it was before.
pub fn write(path: &Path, array: &IdxArray, packing: Packing) -> Result<(), DataError> {
    let fill = |file: &mut File| -> io::Result<()> {
        let mut out = BufWriter::new(file);
        match packing {
            Packing::Plain => write_content(&mut out, array)?,
            Packing::Gzip => {
                let mut gzip = GzEncoder::new(&mut out, Compression::default());
                write_content(&mut gzip, array)?;
                gzip.finish()?;
            }
        }
        out.flush()
    };
    Ok(write_whole_with(path, fill)?)
}

fn write_content(out: &mut impl Write, array: &IdxArray) -> io::Result<()> {
    // `IdxArray::new` keeps the rank within a byte.
    out.write_all(&[0, 0, array.data.kind() as u8, array.shape.len() as u8])?;
    for side in &array.shape {
        out.write_all(&side.to_be_bytes())?;
    }
    array.data.write_be_bytes(out)
}

/// Reads the header only: what a file declares, unchecked against its content.
///
/// # Errors
/// As [`read`], as far as the header goes.
pub fn read_header(path: &Path) -> Result<IdxHeader, DataError> {
    Source::open(path)?.header()
}

/// Reads and checks a whole file.
///
/// # Errors
/// [`DataError::File`] when the file cannot be read, [`DataError::Damaged`] when it is not exactly
/// one IDX array: wrong magic, unknown type, cut short, longer than declared, or damaged gzip.
pub fn read(path: &Path) -> Result<IdxArray, DataError> {
    let mut source = Source::open(path)?;
    let header = source.header()?;
    let bytes = source.content(&header)?;
    Ok(IdxArray {
        data: IdxData::from_be_bytes(header.kind, bytes),
        shape: header.shape,
    })
}

/// Reads a file that must hold unsigned bytes in `rank` dimensions: images (3) or labels (1).
///
/// # Errors
/// As [`read`], and [`DataError::Damaged`] when type or rank differ.
pub fn read_bytes(path: &Path, rank: usize) -> Result<(IdxHeader, Vec<u8>), DataError> {
    let mut source = Source::open(path)?;
    let header = source.header()?;
    if header.kind != IdxType::U8 || header.shape.len() != rank {
        let expected = format!("IDX magic 00 00 08 {rank:02x} (unsigned bytes, rank {rank})");
        let magic = [0, 0, header.kind as u8, header.shape.len() as u8];
        return Err(source.damaged(0, expected, spaced_hex(&magic)));
    }
    let bytes = source.content(&header)?;
    Ok((header, bytes))
}

/// Deflate cannot shrink data further than this (a 258-byte match costs at least two bits).
const DEFLATE_LIMIT: u64 = 1032;

/// Memory is taken in steps of this many bytes as content really arrives.
const CHUNK: usize = 1 << 18;

/// A file being read, and how much of it has been.
struct Source {
    path: PathBuf,
    content: Content,
    /// Bytes of (uncompressed) content read so far.
    offset: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_path_buf(),
            content: gzip::open(path)?,
            offset: 0,
        })
    }

    fn damaged(
        &self,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> DataError {
        DataError::Damaged {
            path: self.path.clone(),
            offset,
            expected: match self.content.gzip {
                true => format!("{} (uncompressed)", expected.into()),
                false => expected.into(),
            },
            found: found.into(),
        }
    }

    /// Fills `buffer`, or says at which byte the content broke off.
    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), DataError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.content.reader.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.damaged(self.offset, what, "the end of the file")),
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) => return Err(self.refused(error, what)),
            }
        }
        Ok(())
    }

    /// A read error: what the gzip decoder says of damaged data, or the operating system of the disk.
    fn refused(&self, error: io::Error, what: &str) -> DataError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged(self.offset, what, "a gzip stream that is cut short")
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => self.damaged(
                self.offset,
                what,
                format!("a damaged gzip stream ({error})"),
            ),
            _ => DataError::File(FileError::at("read", &self.path)(error)),
        }
    }

    fn header(&mut self) -> Result<IdxHeader, DataError> {
        if self.content.file_len == 0 {
            return Err(self.damaged(0, MAGIC, "an empty file"));
        }
        let mut magic = [0; 4];
        self.fill(&mut magic, MAGIC)?;
        let kind = IdxType::ALL
            .into_iter()
            .find(|&kind| kind as u8 == magic[2]);
        let Some(kind) = kind.filter(|_| magic[..2] == [0, 0]) else {
            return Err(self.damaged(0, MAGIC, spaced_hex(&magic)));
        };
        let mut shape = Vec::with_capacity(usize::from(magic[3]));
        for _ in 0..magic[3] {
            let mut side = [0; 4];
            self.fill(&mut side, "the size of a dimension")?;
            shape.push(u32::from_be_bytes(side));
        }
        Ok(IdxHeader { kind, shape })
    }

    /// Everything after the header, checked against the file's length before memory is taken and
    /// against the declared size after.
    fn content(&mut self, header: &IdxHeader) -> Result<Vec<u8>, DataError> {
        let length = self.plausible_length(header)?;
        let mut bytes = Vec::new();
        let what = format!("{length} bytes of elements ({})", header.shape_text());
        while bytes.len() < length {
            let start = bytes.len();
            let step = CHUNK.min(length - start);
            if bytes.capacity() < start + step {
                // Doubling, but never beyond what the header declares.
                let more = start.max(CHUNK).min(length - start);
                bytes
                    .try_reserve_exact(more)
                    .map_err(|_| self.too_large(length))?;
            }
            bytes.resize(start + step, 0);
            self.fill(&mut bytes[start..], &what)?;
        }
        self.expect_end()?;
        Ok(bytes)
    }

    fn plausible_length(&self, header: &IdxHeader) -> Result<usize, DataError> {
        let start = header.header_len();
        let declared = header
            .data_len()
            .filter(|&length| length <= isize::MAX as u64);
        let Some(length) = declared else {
            let found = format!("{}, more than memory can hold", header.shape_text());
            return Err(self.damaged(4, "sizes of dimensions", found));
        };
        let what = format!("{length} bytes of elements ({})", header.shape_text());
        let most = match self.content.gzip {
            true => self.content.file_len.saturating_mul(DEFLATE_LIMIT),
            false => self.content.file_len,
        };
        let available = most.saturating_sub(start);
        if available < length {
            let found = match self.content.gzip {
                true => format!(
                    "a {}-byte gzip file, which holds at most {available}",
                    self.content.file_len
                ),
                false => format!("the end of the file after {available}"),
            };
            return Err(self.damaged(start, what, found));
        }
        if !self.content.gzip && available > length {
            let found = format!("{} more bytes", available - length);
            return Err(self.damaged(start + length, "the end of the file", found));
        }
        // Bounded by isize::MAX above.
        Ok(length as usize)
    }

    fn too_large(&self, length: usize) -> DataError {
        let error = io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!("no memory for {length} bytes"),
        );
        DataError::File(FileError::at("read", &self.path)(error))
    }

    fn expect_end(&mut self) -> Result<(), DataError> {
        let end = "the end of the file";
        match self.content.reader.fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(self.damaged(self.offset, end, "more bytes")),
            Err(error) => Err(self.refused(error, end)),
        }
    }
}

const MAGIC: &str = "IDX magic 00 00 TYPE RANK, or gzip 1f 8b";

fn spaced_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}
