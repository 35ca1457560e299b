//! A TIFF file that begins with a directory of one's choice.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::IfdPointer;
use tiff::{TiffError, TiffFormatError, TiffResult};

/// The most bytes that one chunk, compressed or decoded, may have.
pub(super) const MAX_CHUNK_BYTES: usize = 1 << 30;

/// The most bytes of decoded tag values: two million tiles, each of which takes 32 bytes in `tiff`'s hands.
const MAX_TAG_BYTES: usize = 64 << 20;

/// A decoder that stands at the directory at `ifd`, or at the file's first.
///
/// `tiff` reads the first directory before limits can be set, and can't be sent to one outside the chain of the first
/// (levels of pyramids often are). So it is given the file behind another beginning: a header that leads to a directory
/// of a single pixel, which exists in memory only and leads on to `ifd`.
pub(super) fn decoder_at(path: &Path, ifd: Option<IfdPointer>) -> TiffResult<Decoder<IfdFile>> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_CHUNK_BYTES;
    limits.intermediate_buffer_size = MAX_CHUNK_BYTES;
    limits.ifd_value_size = MAX_TAG_BYTES;
    let mut decoder = Decoder::new(IfdFile::open(path, ifd)?)?.with_limits(limits);
    decoder.next_image()?;
    Ok(decoder)
}

/// The file, less its header, and a directory after its end.
#[derive(Debug)]
pub(super) struct IfdFile {
    file: BufReader<File>,
    length: u64,
    header: Vec<u8>,
    tail: Vec<u8>,
    position: u64,
}

/// How a file writes numbers.
#[derive(Clone, Copy)]
struct Notation {
    little: bool,
    big_offsets: bool,
}

impl Notation {
    fn short(self, value: u16) -> Vec<u8> {
        if self.little { value.to_le_bytes().to_vec() } else { value.to_be_bytes().to_vec() }
    }

    /// An offset or count, whose size depends on the format.
    fn offset(self, value: u64) -> TiffResult<Vec<u8>> {
        Ok(match (self.big_offsets, self.little) {
            (true, true) => value.to_le_bytes().to_vec(),
            (true, false) => value.to_be_bytes().to_vec(),
            (false, true) => u32::try_from(value)?.to_le_bytes().to_vec(),
            (false, false) => u32::try_from(value)?.to_be_bytes().to_vec(),
        })
    }

    fn offset_of(self, bytes: &[u8]) -> u64 {
        let digits = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        if self.little { bytes.iter().rev().fold(0, digits) } else { bytes.iter().fold(0, digits) }
    }
}

impl IfdFile {
    fn open(path: &Path, ifd: Option<IfdPointer>) -> TiffResult<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut header = vec![0; 8];
        file.read_exact(&mut header)?;
        let big_offsets = header[2..4].contains(&43);
        let notation = Notation { little: header[0] == b'I', big_offsets };
        if big_offsets {
            header.resize(16, 0);
            file.read_exact(&mut header[8..])?;
        }
        let at = header.len() / 2;
        let first = match ifd {
            Some(IfdPointer(offset)) => offset,
            None => notation.offset_of(&header[at..]),
        };
        if first == 0 {
            return Err(TiffFormatError::ImageFileDirectoryNotFound.into());
        }
        let tail = single_pixel(notation, first)?;
        file.rewind()?;
        header.splice(at.., notation.offset(length)?);
        Ok(Self { file, length, header, tail, position: 0 })
    }
}

/// A directory of one grey pixel, followed by the one at `next`.
fn single_pixel(notation: Notation, next: u64) -> TiffResult<Vec<u8>> {
    const SHORT: u16 = 3;
    // Width, height, photometric interpretation, strip offsets, strip byte counts.
    let tags = [(256, 1), (257, 1), (262, 1), (273, 8), (279, 1)];
    let mut bytes = if notation.big_offsets {
        notation.offset(tags.len() as u64)?
    } else {
        notation.short(tags.len() as u16)
    };
    for (tag, value) in tags {
        bytes.extend([notation.short(tag), notation.short(SHORT), notation.offset(1)?].concat());
        let mut field = notation.short(value);
        field.resize(notation.offset(0)?.len(), 0);
        bytes.extend(field);
    }
    bytes.extend(notation.offset(next)?);
    Ok(bytes)
}

impl Read for IfdFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (mut from_header, mut from_tail);
        let part: &mut dyn Read = if self.position < self.header.len() as u64 {
            from_header = &self.header[self.position as usize..];
            &mut from_header
        } else if self.position < self.length {
            &mut self.file
        } else {
            let at = (self.position - self.length).min(self.tail.len() as u64);
            from_tail = &self.tail[at as usize..];
            &mut from_tail
        };
        let read = part.read(into)?;
        if self.position < self.header.len() as u64 {
            self.file.seek_relative(read as i64)?;
        }
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for IfdFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.length + self.tail.len() as u64;
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => end.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let target = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.file.seek(SeekFrom::Start(target.min(self.length)))?;
        self.position = target;
        Ok(target)
    }
}

/// Whether an error tells of a fault in the file, and not of the machine.
pub(super) fn is_damage(error: &TiffError) -> bool {
    match error {
        TiffError::IoError(error) => matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        ),
        TiffError::FormatError(_) | TiffError::LimitsExceeded | TiffError::IntSizeError => true,
        TiffError::UnsupportedError(_) | TiffError::UsageError(_) => false,
    }
}
