use super::super::samples::to_rgb;
use super::ifd_file::{self, IfdFile, is_damage};
use super::level::{Codec, TiffLevel};
use super::samples::{self, Unfit};
use super::{data_error, decode_error, jpeg, lzw};
use crate::DataError;
use locam_core::Size;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiff::TiffError;
use tiff::decoder::Decoder;

/// Decodes the tiles or strips of one level; one per thread.
pub(super) struct ChunkReader {
    path: PathBuf,
    level: Arc<TiffLevel>,
    decoder: Decoder<IfdFile>,
}

/// Why a chunk can't be had.
pub(super) enum ChunkError {
    /// Its data are damaged; others may be good.
    Damaged(DataError),
    /// The same would be wrong with others, or what is wrong is not in the file.
    Fatal(DataError),
}

impl ChunkReader {
    pub(super) fn open(path: &Path, level: &Arc<TiffLevel>) -> Result<Self, DataError> {
        let decoder = ifd_file::decoder_at(path, level.ifd).map_err(|error| data_error(path, error))?;
        Ok(Self { path: path.to_owned(), level: Arc::clone(level), decoder })
    }

    /// Red, green, blue of the part of a chunk that belongs to the image; nothing where no data are stored for it.
    pub(super) fn read(&mut self, column: u32, row: u32) -> Result<Option<Vec<u8>>, ChunkError> {
        let level = Arc::clone(&self.level);
        let first = row * level.chunks_across() + column;
        // Writers of slides leave out tiles of pure background in this way.
        if level.place_of_chunk(first) == (0, 0) {
            return Ok(None);
        }
        let size = level.size_of_chunk(column, row);
        let mut planes = Vec::with_capacity(level.planes as usize);
        for plane in 0..level.planes {
            let index = plane * level.chunks_per_plane() + first;
            let samples = match &level.codec {
                Codec::Other => self.samples(index, size, (column, row))?,
                Codec::Jpeg(chunks) => {
                    jpeg::decode(&level, chunks, &self.bytes(index)?, size).map_err(|e| self.damage(e))?
                }
                Codec::Lzw(chunks) => {
                    lzw::decode(&level, chunks, &self.bytes(index)?, size).map_err(|e| self.damage(e))?
                }
            };
            planes.push(samples);
        }
        let samples = match planes.len() {
            1 => planes.remove(0),
            _ => samples::interleave(&planes),
        };
        if samples.len() < level.color.samples() * size.area() as usize {
            let reason = format!("a tile or strip has {} values, too few for {size}", samples.len());
            return Err(self.damage(reason));
        }
        let is_rgb = matches!(&level.codec, Codec::Jpeg(chunks) if chunks.to_rgb);
        Ok(Some(if is_rgb { samples } else { to_rgb(samples, level.color) }))
    }

    fn samples(&mut self, index: u32, size: Size, (column, row): (u32, u32)) -> Result<Vec<u8>, ChunkError> {
        let stored = self.decoder.read_chunk(index).map_err(|error| self.error(error))?;
        let level = &self.level;
        let per_pixel = level.samples_per_chunk_pixel();
        let width = size.width as usize * per_pixel;
        samples::to_bytes(stored, level.bits, width).map_err(|unfit| {
            let reason = match unfit {
                Unfit::Format => "its samples are of an unexpected kind".to_owned(),
                Unfit::Float { at, value } => format!(
                    "its float values should lie in 0 to 1, and the one at column {}, row {} is {value}",
                    column as usize * level.chunk.width as usize + at % width / per_pixel,
                    row as usize * level.chunk.height as usize + at / width,
                ),
            };
            ChunkError::Fatal(decode_error(&self.path, reason))
        })
    }

    /// A chunk as it is stored.
    fn bytes(&mut self, index: u32) -> Result<Vec<u8>, ChunkError> {
        self.stored_bytes(index).map_err(|error| self.error(error.into()))
    }

    fn stored_bytes(&mut self, index: u32) -> io::Result<Vec<u8>> {
        let (offset, length) = self.level.place_of_chunk(index);
        let file = self.decoder.inner();
        file.seek(SeekFrom::Start(offset))?;
        // What the file does not hold is not allocated.
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    fn damage(&self, reason: String) -> ChunkError {
        ChunkError::Damaged(decode_error(&self.path, reason))
    }

    fn error(&self, error: TiffError) -> ChunkError {
        let damaged = is_damage(&error);
        let error = data_error(&self.path, error);
        if damaged { ChunkError::Damaged(error) } else { ChunkError::Fatal(error) }
    }
}
