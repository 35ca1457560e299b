//! TIFF and BigTIFF by tiles and strips.

mod bands;
mod chunk;
mod ifd_file;
mod jpeg;
mod level;
mod lzw;
mod pyramid;
mod resolution;
mod samples;

use super::whole::read_whole;
use crate::DataError;
use bands::TiffBands;
use image::RgbImage;
use image::metadata::Orientation;
use level::TiffLevel;
use locam_core::Size;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiff::TiffError;
use tiff::tags::Tag;

/// What a TIFF file holds of its first image; pixels are read as they are needed.
pub(crate) struct TiffImage {
    path: PathBuf,
    levels: Vec<Arc<TiffLevel>>,
    orientation: Orientation,
    microns_per_pixel: Option<f64>,
    warnings: Vec<String>,
}

impl TiffImage {
    /// Reads the description of the first image and of the smaller copies of it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let mut decoder = ifd_file::decoder_at(path, None).map_err(|error| data_error(path, error))?;
        let first = TiffLevel::read(path, &mut decoder, None)?;
        let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
        let orientation = orientation.and_then(|value| Orientation::from_exif(value.min(255) as u8));
        let microns_per_pixel = resolution::microns_per_pixel(&mut decoder);
        let (rest, warnings) = pyramid::smaller_levels(path, &mut decoder, &first)?;
        let levels = std::iter::once(first).chain(rest).map(Arc::new).collect();
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Self { path: path.to_owned(), levels, orientation, microns_per_pixel, warnings })
    }

    /// The size of the full image as it is stored.
    pub(crate) fn size(&self) -> Size {
        self.levels[0].size
    }

    /// The sizes of all levels, the full image first.
    pub(super) fn sizes(&self) -> impl Iterator<Item = Size> + '_ {
        self.levels.iter().map(|level| level.size)
    }

    /// How the stored pixels are to be turned.
    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    pub(super) fn microns_per_pixel(&self) -> Option<f64> {
        self.microns_per_pixel
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the full image has more than one row of chunks.
    pub(super) fn is_streamed(&self) -> bool {
        self.levels[0].chunk.height < self.size().height
    }

    /// The rows of some columns of a level.
    pub(super) fn bands(&self, level: usize, columns: Range<u32>) -> Result<TiffBands, DataError> {
        TiffBands::new(&self.path, Arc::clone(&self.levels[level]), columns)
    }

    /// Decodes the whole of the first image, in which no part may be damaged, as it is stored.
    pub(crate) fn read_whole(&self) -> Result<RgbImage, DataError> {
        let size = self.size();
        read_whole(&self.path, size, &mut self.bands(0, 0..size.width)?)
    }
}

fn decode_error(path: &Path, reason: String) -> DataError {
    DataError::Decode { path: path.to_owned(), reason }
}

fn data_error(path: &Path, error: TiffError) -> DataError {
    let path = path.to_owned();
    match error {
        TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            DataError::Truncated { path, reason: error.to_string() }
        }
        // Decompressors report damage as input that makes no sense.
        TiffError::IoError(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
        {
            DataError::Decode { path, reason: error.to_string() }
        }
        TiffError::IoError(source) => DataError::Read { path, source },
        error => DataError::Decode { path, reason: error.to_string() },
    }
}
