//! From samples as they are stored to bytes.

use locam_core::Size;
use tiff::decoder::DecodingResult;

/// Rounds samples to bytes, those of fewer than 8 bits stretched to the full range.
///
/// `width` is the count of samples in a row. Fails with the index and value of a float outside 0 to 1.
pub(super) fn to_bytes(stored: DecodingResult, bits: u8, width: usize) -> Result<Vec<u8>, Unfit> {
    match stored {
        DecodingResult::U8(values) if bits < 8 => Ok(unpack(&values, bits, width)),
        DecodingResult::U8(values) => Ok(values),
        DecodingResult::U16(values) => Ok(values.into_iter().map(rounded).collect()),
        DecodingResult::F32(values) => match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            Some(at) => Err(Unfit::Float { at, value: values[at] }),
            None => Ok(values.into_iter().map(|value| (value * 255.0).round() as u8).collect()),
        },
        _ => Err(Unfit::Format),
    }
}

/// A sample of 16 bits in 8.
pub(super) fn rounded(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// Keeps the left top `size` of rows that lie `pitch` apart.
pub(super) fn crop(values: &mut Vec<u8>, pitch: usize, size: Size) {
    let (width, height) = (size.width as usize, size.height as usize);
    if width < pitch {
        for row in 1..height {
            values.copy_within(row * pitch..row * pitch + width, row * width);
        }
    }
    values.truncate(width * height);
}

/// Samples that have no place in 0 to 255.
pub(super) enum Unfit {
    /// A float value is outside 0 to 1.
    Float { at: usize, value: f32 },
    /// The decoder gave another kind of sample than the file describes.
    Format,
}

fn unpack(packed: &[u8], bits: u8, width: usize) -> Vec<u8> {
    let per_byte = usize::from(8 / bits);
    let largest = u8::MAX >> (8 - bits);
    let row = |row: &[u8]| -> Vec<u8> {
        let place = |at: usize| 8 - usize::from(bits) * (at % per_byte + 1);
        (0..width).map(|at| (row[at / per_byte] >> place(at) & largest) * (255 / largest)).collect()
    };
    packed.chunks_exact(width.div_ceil(per_byte)).flat_map(row).collect()
}

/// Puts the samples of each place beside each other.
pub(super) fn interleave(planes: &[Vec<u8>]) -> Vec<u8> {
    let length = planes.iter().map(Vec::len).min().unwrap_or(0);
    (0..length).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect()
}
