//! PNG by rows.

use super::samples::{Color, to_rgb};
use super::{Bands, MAX_BAND_BYTES, Missing};
use crate::DataError;
use image::metadata::Orientation;
use locam_core::Size;
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Reader, Transformations};
use std::fs::File;
use std::io::{self, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Rows that are decoded at a time.
const ROWS: u32 = 64;

/// The size of a PNG whose rows lie in the file from top to bottom; nothing for an interlaced, animated or turned one.
pub(super) fn size_of_rows(path: &Path) -> Result<Option<Size>, DataError> {
    let reader = open(path)?;
    let info = reader.info();
    let turn = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let is_upright = turn.is_none_or(|turn| turn == Orientation::NoTransforms);
    let in_order = !info.interlaced && info.animation_control.is_none() && is_upright;
    Ok(in_order.then_some(Size::new(info.width, info.height)))
}

/// Decodes some columns of a PNG from top to bottom.
pub(super) struct PngBands {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    size: Size,
    columns: Range<u32>,
    next_row: u32,
    color: Color,
    is_deep: bool,
}

impl PngBands {
    pub(super) fn new(path: &Path, columns: Range<u32>) -> Result<Self, DataError> {
        let reader = open(path)?;
        let size = Size::new(reader.info().width, reader.info().height);
        if u64::from(size.width) > MAX_BAND_BYTES / 8 {
            let (path, limit) = (path.to_owned(), MAX_BAND_BYTES / 8);
            return Err(DataError::TooLarge { path, width: size.width, height: 1, limit });
        }
        let (color, depth) = reader.output_color_type();
        let color = match color {
            ColorType::Grayscale => Color::Grey,
            ColorType::GrayscaleAlpha => Color::GreyAlpha,
            ColorType::Rgba => Color::Rgba,
            ColorType::Rgb | ColorType::Indexed => Color::Rgb,
        };
        let is_deep = depth == BitDepth::Sixteen;
        Ok(Self { path: path.to_owned(), reader, size, columns, next_row: 0, color, is_deep })
    }

    fn append_row(&mut self, pixels: &mut Vec<u8>) -> Result<(), DataError> {
        let row = self.reader.next_row().map_err(|error| data_error(&self.path, error))?;
        let Some(row) = row else {
            let reason = format!("it ends after row {} of {}", self.next_row, self.size.height);
            return Err(DataError::Truncated { path: self.path.clone(), reason });
        };
        let pitch = self.color.samples() * if self.is_deep { 2 } else { 1 };
        let data = &row.data()[self.columns.start as usize * pitch..self.columns.end as usize * pitch];
        let samples = if self.is_deep {
            let deep = data.as_chunks::<2>().0.iter().map(|&value| u16::from_be_bytes(value));
            deep.map(|value| ((u32::from(value) + 128) / 257) as u8).collect()
        } else {
            data.to_vec()
        };
        pixels.extend(to_rgb(samples, self.color));
        self.next_row += 1;
        Ok(())
    }
}

impl Bands for PngBands {
    fn read_next(&mut self, _: u32, pixels: &mut Vec<u8>, _: &mut Missing) -> Result<u32, DataError> {
        let first = self.next_row;
        for _ in first..(first + ROWS).min(self.size.height) {
            self.append_row(pixels)?;
        }
        Ok(first)
    }
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, DataError> {
    let file = File::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    let limits = Limits { bytes: MAX_BAND_BYTES as usize };
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|error| data_error(path, error))
}

fn data_error(path: &Path, error: DecodingError) -> DataError {
    let path = path.to_owned();
    match error {
        DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            DataError::Truncated { path, reason: error.to_string() }
        }
        DecodingError::IoError(source) => DataError::Read { path, source },
        error => DataError::Decode { path, reason: error.to_string() },
    }
}
