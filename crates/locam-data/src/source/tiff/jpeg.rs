//! Tiles and strips that are JPEG files.
//!
//! `tiff` decodes them too, but takes any size that such a file claims, and fills what is missing with grey.

use super::level::{JpegChunks, TiffLevel};
use super::samples::crop;
use crate::image_io::jpeg_has_an_end;
use locam_core::Size;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// By how much a chunk's file may be larger than the chunk: whole blocks of twice-subsampled chroma.
const PADDING: u32 = 32;

/// The samples of a chunk, of which `size` belongs to the image; in words what is wrong with it.
pub(super) fn decode(
    level: &TiffLevel,
    chunks: &JpegChunks,
    bytes: &[u8],
    size: Size,
) -> Result<Vec<u8>, String> {
    if !jpeg_has_an_end(bytes) {
        return Err("its JPEG data end without an end-of-image marker".to_owned());
    }
    let mut stream = chunks.tables.clone();
    // The tables begin with a start-of-image marker, which must not come twice.
    stream.extend_from_slice(if stream.is_empty() { bytes } else { bytes.get(2..).unwrap_or_default() });
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width((level.chunk.width + PADDING) as usize)
        .set_max_height((level.chunk.height + PADDING) as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(stream), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let colors = if chunks.to_rgb { ColorSpace::RGB } else { stored };
    decoder.set_options(options.jpeg_set_out_colorspace(colors));
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let samples = level.samples_per_chunk_pixel();
    if width < size.width as usize || height < size.height as usize || colors.num_components() != samples {
        return Err(format!(
            "its JPEG data are {width}x{height} pixels of {} samples, not {size} of {samples}",
            colors.num_components()
        ));
    }
    let mut values = decoder.decode().map_err(|error| error.to_string())?;
    crop(&mut values, width * samples, Size::new(size.width * samples as u32, size.height));
    if chunks.white_is_zero {
        for value in &mut values {
            *value = !*value;
        }
    }
    Ok(values)
}
