//! Slides in scanners' own formats where this crate is built without `OpenSlide`: none can be opened.

use super::Bands;
use crate::DataError;
use image::RgbImage;
use locam_core::Size;
use std::ops::Range;
use std::path::Path;

/// A slide that was opened; there is none.
pub(crate) enum SlideImage {}

impl SlideImage {
    /// # Errors
    /// Always [`DataError::SlideFormat`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        Err(DataError::SlideFormat { path: path.to_owned() })
    }

    pub(crate) fn size(&self) -> Size {
        match *self {}
    }

    pub(super) fn sizes(&self) -> std::iter::Empty<Size> {
        match *self {}
    }

    pub(super) fn microns_per_pixel(&self) -> Option<f64> {
        match *self {}
    }

    pub(super) fn bands(&self, _: usize, _: Range<u32>) -> Result<Box<dyn Bands>, DataError> {
        match *self {}
    }

    pub(crate) fn read_whole(&self) -> Result<RgbImage, DataError> {
        match *self {}
    }
}
