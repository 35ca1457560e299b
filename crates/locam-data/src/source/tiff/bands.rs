use super::super::{Bands, MAX_BAND_BYTES, Missing};
use super::chunk::{ChunkError, ChunkReader};
use super::level::TiffLevel;
use crate::DataError;
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Strips are often of a few rows, too little work to share among threads.
const MIN_ROWS: u32 = 64;

/// Decodes rows of chunks, all chunks of a row at once.
pub(in crate::source) struct TiffBands {
    path: PathBuf,
    level: Arc<TiffLevel>,
    columns: Range<u32>,
    next_chunk_row: u32,
    readers: Vec<ChunkReader>,
}

type Chunk = Result<Option<Vec<u8>>, ChunkError>;

impl TiffBands {
    pub(super) fn new(path: &Path, level: Arc<TiffLevel>, columns: Range<u32>) -> Result<Self, DataError> {
        let height = level.chunk.height.min(level.size.height);
        if 3 * columns.len() as u64 * u64::from(height) > MAX_BAND_BYTES {
            let (width, limit) = (columns.len() as u32, MAX_BAND_BYTES / 3);
            return Err(DataError::TooLarge { path: path.to_owned(), width, height, limit });
        }
        Ok(Self { path: path.to_owned(), level, columns, next_chunk_row: 0, readers: Vec::new() })
    }

    /// Decodes these chunks, in order.
    fn decode(&mut self, places: &[(u32, u32)]) -> Result<Vec<Chunk>, DataError> {
        let threads = rayon::current_num_threads().clamp(1, places.len().max(1));
        while self.readers.len() < threads {
            self.readers.push(ChunkReader::open(&self.path, &self.level)?);
        }
        let share = places.len().div_ceil(threads).max(1);
        let shares: Vec<Vec<Chunk>> = self.readers[..threads]
            .par_iter_mut()
            .zip(places.par_chunks(share))
            .map(|(reader, places)| places.iter().map(|&(column, row)| reader.read(column, row)).collect())
            .collect();
        Ok(shares.into_iter().flatten().collect())
    }

    /// The columns and rows of the level that a chunk covers.
    fn extent(&self, column: u32, row: u32) -> (Range<u32>, Range<u32>) {
        let size = self.level.size_of_chunk(column, row);
        let (left, top) = (column * self.level.chunk.width, row * self.level.chunk.height);
        (left..left + size.width, top..top + size.height)
    }
}

impl Bands for TiffBands {
    fn read_next(
        &mut self,
        from: u32,
        pixels: &mut Vec<u8>,
        missing: &mut Missing,
    ) -> Result<u32, DataError> {
        let chunk = self.level.chunk;
        let first = self.next_chunk_row.max(from / chunk.height);
        let last = (first + (MIN_ROWS / chunk.height).max(1)).min(self.level.chunks_down());
        self.next_chunk_row = last;
        let across = self.columns.start / chunk.width..self.columns.end.div_ceil(chunk.width);
        let places: Vec<_> =
            (first..last).flat_map(|row| across.clone().map(move |column| (column, row))).collect();
        let chunks = self.decode(&places)?;
        let first_row = first * chunk.height;
        let end_row = (last * chunk.height).min(self.level.size.height);
        let pitch = 3 * self.columns.len();
        let start = pixels.len();
        pixels.resize(start + pitch * (end_row - first_row) as usize, u8::MAX);
        for ((column, row), chunk) in places.into_iter().zip(chunks) {
            let (columns, rows) = self.extent(column, row);
            let wanted = columns.start.max(self.columns.start)..columns.end.min(self.columns.end);
            match chunk {
                Ok(None) => {}
                Err(ChunkError::Damaged(fault)) => missing.add(wanted, rows, fault),
                Err(ChunkError::Fatal(error)) => return Err(error),
                Ok(Some(chunk)) => {
                    let top = start + pitch * (rows.start - first_row) as usize;
                    let left = 3 * (wanted.start - self.columns.start) as usize;
                    let skip = 3 * (wanted.start - columns.start) as usize;
                    let length = 3 * wanted.len();
                    let rows = pixels[top..].chunks_exact_mut(pitch);
                    for (into, from) in rows.zip(chunk.chunks_exact(3 * columns.len())) {
                        into[left..][..length].copy_from_slice(&from[skip..][..length]);
                    }
                }
            }
        }
        Ok(first_row)
    }
}
