//! From samples as they are stored to red, green and blue.

use super::level::Color;
use crate::image_io::blend_over_white;
use tiff::decoder::DecodingResult;

/// Rounds samples to bytes, those of fewer than 8 bits stretched to the full range.
///
/// `width` is the count of samples in a row. Fails with the index and value of a float outside 0 to 1.
pub(super) fn to_bytes(stored: DecodingResult, bits: u8, width: usize) -> Result<Vec<u8>, Unfit> {
    match stored {
        DecodingResult::U8(values) if bits < 8 => Ok(unpack(&values, bits, width)),
        DecodingResult::U8(values) => Ok(values),
        DecodingResult::U16(values) => {
            Ok(values.into_iter().map(|value| ((u32::from(value) + 128) / 257) as u8).collect())
        }
        DecodingResult::F32(values) => {
            match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
                Some(at) => Err(Unfit::Float { at, value: values[at] }),
                None => Ok(values.into_iter().map(|value| (value * 255.0).round() as u8).collect()),
            }
        }
        _ => Err(Unfit::Format),
    }
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

/// Red, green, blue of interleaved samples.
pub(super) fn to_rgb(samples: Vec<u8>, color: Color) -> Vec<u8> {
    match color {
        Color::Rgb => samples,
        Color::Grey => samples.into_iter().flat_map(|grey| [grey; 3]).collect(),
        Color::GreyAlpha => of_pixels(&samples, |&[grey, alpha]| blend_over_white([grey; 3], alpha)),
        Color::Rgba => of_pixels(&samples, |&[r, g, b, alpha]| blend_over_white([r, g, b], alpha)),
        Color::Cmyk => of_pixels(&samples, cmyk_to_rgb),
        Color::YCbCr => of_pixels(&samples, ycbcr_to_rgb),
    }
}

fn of_pixels<const N: usize>(samples: &[u8], rgb: impl Fn(&[u8; N]) -> [u8; 3]) -> Vec<u8> {
    samples.as_chunks::<N>().0.iter().flat_map(rgb).collect()
}

/// As `image` converts the CMYK of TIFF files.
fn cmyk_to_rgb(&[cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let light = 1.0 - f32::from(black) / 255.0;
    [cyan, magenta, yellow].map(|ink| ((255.0 - f32::from(ink)) * light) as u8)
}

/// ITU-R BT.601 at full range, as JFIF has it.
fn ycbcr_to_rgb(&[luma, blue, red]: &[u8; 3]) -> [u8; 3] {
    let [luma, blue, red] = [f32::from(luma), f32::from(blue) - 128.0, f32::from(red) - 128.0];
    [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}
