//! Tiles and strips that are compressed by LZW.
//!
//! `tiff` decodes them too, but row by row where a tile reaches beyond the image, and loses the end of well compressed
//! ones on the way (image-tiff, issue 395). Here a chunk is decompressed at once.

use super::level::TiffLevel;
use super::samples::{crop, rounded};
use locam_core::Size;
use tiff::tags::ByteOrder;
use weezl::decode::Configuration;
use weezl::{BitOrder, LzwStatus};

/// How samples of 8 or 16 bits follow from decompressed bytes.
pub(super) struct LzwChunks {
    /// Whether each sample is stored as the difference from the one before.
    pub(super) is_difference: bool,
    pub(super) byte_order: ByteOrder,
    /// Whether values are to be inverted.
    pub(super) white_is_zero: bool,
}

/// The samples of a chunk, of which `size` belongs to the image, rounded to bytes; in words what is wrong with it.
pub(super) fn decode(
    level: &TiffLevel,
    chunks: &LzwChunks,
    bytes: &[u8],
    size: Size,
) -> Result<Vec<u8>, String> {
    let per_pixel = level.samples_per_chunk_pixel();
    let width = level.chunk.width as usize * per_pixel;
    let stored = decompress(bytes, width * size.height as usize * usize::from(level.bits / 8))?;
    let mut values = match (level.bits, chunks.byte_order) {
        (8, _) => stored,
        (_, order) => return Ok(deep(&stored, (order, width, per_pixel), chunks, size)),
    };
    if chunks.is_difference {
        for row in values.chunks_exact_mut(width) {
            for at in per_pixel..width {
                row[at] = row[at].wrapping_add(row[at - per_pixel]);
            }
        }
    }
    crop(&mut values, width, Size::new(size.width * per_pixel as u32, size.height));
    if chunks.white_is_zero {
        for value in &mut values {
            *value = !*value;
        }
    }
    Ok(values)
}

/// The same for samples of 16 bits.
fn deep(
    stored: &[u8],
    (order, width, per_pixel): (ByteOrder, usize, usize),
    chunks: &LzwChunks,
    size: Size,
) -> Vec<u8> {
    let read = |&pair: &[u8; 2]| match order {
        ByteOrder::LittleEndian => u16::from_le_bytes(pair),
        ByteOrder::BigEndian => u16::from_be_bytes(pair),
    };
    let mut values: Vec<u16> = stored.as_chunks::<2>().0.iter().map(read).collect();
    if chunks.is_difference {
        for row in values.chunks_exact_mut(width) {
            for at in per_pixel..width {
                row[at] = row[at].wrapping_add(row[at - per_pixel]);
            }
        }
    }
    let upright = |value: u16| if chunks.white_is_zero { !value } else { value };
    let mut values: Vec<u8> = values.into_iter().map(|value| rounded(upright(value))).collect();
    crop(&mut values, width, Size::new(size.width * per_pixel as u32, size.height));
    values
}

/// The first `length` bytes. What follows may be anything: some writers leave out the end code.
fn decompress(mut bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let configuration = Configuration::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut decoder = configuration.with_yield_on_full_buffer(true).build();
    let mut values = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let result = decoder.decode_bytes(bytes, &mut values[filled..]);
        bytes = &bytes[result.consumed_in..];
        filled += result.consumed_out;
        let status = result.status.map_err(|error| format!("its LZW data are damaged: {error}"))?;
        let is_at_end = !matches!(status, LzwStatus::Ok) || result.consumed_in + result.consumed_out == 0;
        if is_at_end && filled < length {
            return Err(format!("its LZW data end after {filled} of {length} bytes"));
        }
    }
    Ok(values)
}
