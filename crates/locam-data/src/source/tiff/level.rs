use super::super::samples::Color;
use super::ifd_file::{IfdFile, MAX_CHUNK_BYTES};
use super::lzw::LzwChunks;
use super::{data_error, decode_error};
use crate::DataError;
use locam_core::Size;
use std::path::Path;
use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::{CompressionMethod, IfdPointer, PhotometricInterpretation, Predictor, SampleFormat, Tag};
use tiff::{ColorType, TiffResult};

/// One directory whose pixels can be read.
pub(super) struct TiffLevel {
    /// Where the directory lies; none for the file's first.
    pub(super) ifd: Option<IfdPointer>,
    pub(super) size: Size,
    /// The size of a tile or strip; strips are as wide as the image.
    pub(super) chunk: Size,
    pub(super) color: Color,
    /// Bits of a sample; 32 are floats.
    pub(super) bits: u8,
    /// How many chunks hold the samples of one place.
    pub(super) planes: u32,
    pub(super) codec: Codec,
    /// Where chunks lie, and how many bytes they have.
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

/// How chunks are to be decoded.
pub(super) enum Codec {
    Jpeg(JpegChunks),
    Lzw(LzwChunks),
    /// By `tiff`.
    Other,
}

/// How chunks that are JPEG files are to be decoded.
pub(super) struct JpegChunks {
    /// The tables that all chunks share, without the end-of-image marker; empty where there are none.
    pub(super) tables: Vec<u8>,
    /// Whether the decoder turns luma and chroma into red, green and blue.
    pub(super) to_rgb: bool,
    /// Whether grey values are to be inverted.
    pub(super) white_is_zero: bool,
}

impl TiffLevel {
    /// Reads the directory at which the decoder stands.
    pub(super) fn read(
        path: &Path,
        decoder: &mut Decoder<IfdFile>,
        ifd: Option<IfdPointer>,
    ) -> Result<Self, DataError> {
        let fail = |error| data_error(path, error);
        let refuse = |reason| Err(decode_error(path, reason));
        let (width, height) = decoder.dimensions().map_err(fail)?;
        let size = Size::new(width, height);
        let compression = compression(decoder).map_err(fail)?;
        if !is_decoded(compression) {
            let name = match compression {
                CompressionMethod::JPEG => "old-style JPEG (method 6)".to_owned(),
                other => format!("{other:?}"),
            };
            return refuse(format!("it is compressed by {name}, which is not read"));
        }
        let (color, bits) = match color(decoder).map_err(fail)? {
            Ok(color) => color,
            Err(reason) => return refuse(reason),
        };
        let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(fail)? == Some(2);
        let (chunk_width, chunk_height) = decoder.chunk_dimensions();
        // Strips may claim more rows than there are, tiles are whole also where the image ends.
        let chunk = match decoder.get_chunk_type() {
            ChunkType::Strip => Size::new(chunk_width, chunk_height.min(height)),
            ChunkType::Tile => Size::new(chunk_width, chunk_height),
        };
        let bytes = u128::from(chunk.area()) * color.samples() as u128 * u128::from(bits.div_ceil(8));
        if bytes > MAX_CHUNK_BYTES as u128 {
            let limit = MAX_CHUNK_BYTES as u64 / u64::from(bits.div_ceil(8)) / color.samples() as u64;
            let path = path.to_owned();
            return Err(DataError::TooLarge { path, width: chunk.width, height: chunk.height, limit });
        }
        let (offsets, lengths) = chunk_places(decoder).map_err(fail)?;
        let codec = codec(decoder, compression, (color, bits)).map_err(fail)?;
        let planes = if planar { color.samples() as u32 } else { 1 };
        let level = Self { ifd, size, chunk, color, bits, planes, codec, offsets, lengths };
        if level.offsets.len() < (planes * level.chunks_across() * level.chunks_down()) as usize {
            return refuse("it lists fewer tiles or strips than it has".to_owned());
        }
        Ok(level)
    }

    pub(super) fn chunks_across(&self) -> u32 {
        self.size.width.div_ceil(self.chunk.width)
    }

    pub(super) fn chunks_down(&self) -> u32 {
        self.size.height.div_ceil(self.chunk.height)
    }

    /// How many samples of a pixel a chunk holds.
    pub(super) fn samples_per_chunk_pixel(&self) -> usize {
        if self.planes == 1 { self.color.samples() } else { 1 }
    }

    /// How far the samples of a chunk's planes are apart in the list of chunks.
    pub(super) fn chunks_per_plane(&self) -> u32 {
        self.chunks_across() * self.chunks_down()
    }

    /// The columns and rows of a chunk that belong to the image.
    pub(super) fn size_of_chunk(&self, column: u32, row: u32) -> Size {
        Size::new(
            self.chunk.width.min(self.size.width - column * self.chunk.width),
            self.chunk.height.min(self.size.height - row * self.chunk.height),
        )
    }

    /// Where a chunk's bytes begin and how many there are.
    pub(super) fn place_of_chunk(&self, index: u32) -> (u64, u64) {
        (self.offsets[index as usize], self.lengths[index as usize])
    }
}

fn compression(decoder: &mut Decoder<IfdFile>) -> TiffResult<CompressionMethod> {
    let value = decoder.find_tag_unsigned::<u16>(Tag::Compression)?;
    Ok(value.map_or(CompressionMethod::None, CompressionMethod::from_u16_exhaustive))
}

fn is_decoded(compression: CompressionMethod) -> bool {
    matches!(
        compression,
        CompressionMethod::None
            | CompressionMethod::Fax4
            | CompressionMethod::LZW
            | CompressionMethod::ModernJPEG
            | CompressionMethod::Deflate
            | CompressionMethod::OldDeflate
            | CompressionMethod::PackBits
    )
}

/// What samples mean and how many bits they have, or in words that this is not read.
fn color(decoder: &mut Decoder<IfdFile>) -> TiffResult<Result<(Color, u8), String>> {
    let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
    let format = format.and_then(|formats| formats.first().copied()).unwrap_or(1);
    let float = format == SampleFormat::IEEEFP.to_u16();
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
    if photometric == Some(PhotometricInterpretation::RGBPalette.to_u16()) {
        return Ok(Err("its colours are a palette, which is not read in TIFF".to_owned()));
    }
    let kind = decoder.colortype()?;
    let (color, bits) = match kind {
        ColorType::Gray(bits) => (Color::Grey, bits),
        ColorType::Multiband { bit_depth, num_samples: 2 } => (Color::GreyAlpha, bit_depth),
        ColorType::RGB(bits) => (Color::Rgb, bits),
        ColorType::RGBA(bits) => (Color::Rgba, bits),
        ColorType::CMYK(bits) => (Color::Cmyk, bits),
        ColorType::YCbCr(bits) => (Color::YCbCr, bits),
        _ => return Ok(Err(format!("its pixels are {kind:?}, which are not read"))),
    };
    let is_read = match bits {
        1 | 2 | 4 => color == Color::Grey && !float,
        8 | 16 => !float && format == SampleFormat::Uint.to_u16(),
        32 => float && matches!(color, Color::Grey | Color::Rgb | Color::Rgba),
        _ => false,
    };
    let words = format!("its samples are of {bits} bits in format {format} ({kind:?}), which are not read");
    Ok(if is_read { Ok((color, bits)) } else { Err(words) })
}

fn chunk_places(decoder: &mut Decoder<IfdFile>) -> TiffResult<(Vec<u64>, Vec<u64>)> {
    let (offsets, lengths) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    Ok((decoder.get_tag_u64_vec(offsets)?, decoder.get_tag_u64_vec(lengths)?))
}

fn codec(
    decoder: &mut Decoder<IfdFile>,
    compression: CompressionMethod,
    (color, bits): (Color, u8),
) -> TiffResult<Codec> {
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
    let white_is_zero = photometric == Some(PhotometricInterpretation::WhiteIsZero.to_u16());
    let predictor = decoder.find_tag_unsigned::<u16>(Tag::Predictor)?.unwrap_or(Predictor::None.to_u16());
    Ok(match compression {
        CompressionMethod::ModernJPEG => {
            let mut tables = match decoder.find_tag(Tag::JPEGTables)? {
                Some(value) => value.into_u8_vec()?,
                None => Vec::new(),
            };
            tables.truncate(tables.len().saturating_sub(2));
            Codec::Jpeg(JpegChunks { tables, to_rgb: color == Color::YCbCr, white_is_zero })
        }
        CompressionMethod::LZW
            if matches!(bits, 8 | 16)
                && [Predictor::None, Predictor::Horizontal]
                    .map(|known| known.to_u16())
                    .contains(&predictor) =>
        {
            let is_difference = predictor == Predictor::Horizontal.to_u16();
            Codec::Lzw(LzwChunks { is_difference, byte_order: decoder.byte_order(), white_is_zero })
        }
        _ => Codec::Other,
    })
}
