use super::{Bands, Level, Missing};
use crate::DataError;
use image::RgbImage;
use locam_core::Size;
use std::path::Path;

/// Decodes all columns of an image from the first row to the last; no part of it may be damaged.
pub(super) fn read_whole(path: &Path, size: Size, bands: &mut dyn Bands) -> Result<RgbImage, DataError> {
    let mut missing = Missing::new(Level::of(size, size, None), size);
    let length = 3 * size.area() as usize;
    let mut pixels = Vec::new();
    while pixels.len() < length {
        bands.read_next(0, &mut pixels, &mut missing)?;
        if !missing.regions().is_empty() {
            break;
        }
    }
    match missing.into_first_fault() {
        Some(fault) => Err(fault),
        None => RgbImage::from_raw(size.width, size.height, pixels).ok_or_else(|| DataError::Decode {
            path: path.to_owned(),
            reason: "it has more rows than it says".to_owned(),
        }),
    }
}
